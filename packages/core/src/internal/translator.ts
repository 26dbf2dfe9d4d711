import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as CliFrame from "../CliFrame.js"
import type { Message } from "../Message.js"
import { Conversation } from "./conversation.js"
import { guard } from "./guard.js"

/**
 * Frames to messages: finds the kind of each frame, checks it, and has the conversation tell it. Control frames are put
 * aside.
 *
 * @internal
 */
export class Translator {
  private control: Array<CliFrame.Control> = []
  private readonly conversation = new Conversation()

  takeControl(): ReadonlyArray<CliFrame.Control> {
    if (this.control.length === 0) return this.control
    const taken = this.control
    this.control = []
    return taken
  }

  frame(out: Array<Message>, raw: Record<string, unknown>): void {
    const { session_id: sessionId, subtype, type } = raw
    if (typeof sessionId === "string") this.conversation.sessionId = sessionId
    if (type === "system" && typeof subtype === "string") {
      const known = system.get(subtype) ?? (CliFrame.systemNotices.has(subtype) ? notice : undefined)
      if (known !== undefined) return this.translate(out, known, raw)
      out.push({ ...this.conversation.common(raw), _tag: "UnknownSystem", subtype, raw })
      return
    }
    const name = typeof type === "string" ? type : ""
    const known = kinds.get(name) ?? (CliFrame.notices.has(name) ? notice : undefined)
    if (known !== undefined) return this.translate(out, known, raw)
    if (controls.has(name)) return this.addControl(out, name, raw)
    if (name !== "keep_alive") {
      out.push({ ...this.conversation.common(raw), _tag: "Unknown", reason: "kind", type: name, raw })
    }
  }

  damaged(out: Array<Message>, reason: "malformed" | "oversized" | "truncated", raw: string, bytes?: number): void {
    out.push({ _tag: "Unknown", sessionId: this.conversation.sessionId, reason, type: "", raw, bytes })
  }

  end(out: Array<Message>): void {
    this.conversation.end(out)
  }

  private addControl(out: Array<Message>, name: string, raw: Record<string, unknown>): void {
    if (isControl(raw)) this.control.push(raw)
    else out.push({ ...this.conversation.common(raw), _tag: "Unknown", reason: "changed", type: name, raw })
  }

  private translate(out: Array<Message>, kind: Kind, raw: Record<string, unknown>): void {
    const issues = kind.accept(this.conversation, out, raw)
    if (issues === undefined) return
    out.push({ ...this.conversation.common(raw), _tag: "Unknown", reason: "changed", type: kind.name, raw, issues })
  }
}

const isControl = guard(Schema.Union(CliFrame.ControlRequest, CliFrame.ControlResponse, CliFrame.ControlCancel))
const controls = new Set(["control_request", "control_response", "control_cancel_request"])

/** How frames of one type are checked and told. Gives the issues of a frame that does not fit. */
interface Kind {
  readonly name: string
  readonly accept: (self: Conversation, out: Array<Message>, raw: unknown) => string | undefined
}

const kind = <A>(
  name: string,
  schema: Schema.Schema<A>,
  tell: (self: Conversation, out: Array<Message>, frame: A) => void
): Kind => {
  const fits = guard(schema)
  const decode = Schema.decodeUnknownEither(schema)
  return {
    name,
    accept: (self, out, raw) => {
      if (fits(raw)) {
        tell(self, out, raw)
        return undefined
      }
      const decoded = decode(raw)
      return Either.isLeft(decoded) ? ParseResult.TreeFormatter.formatErrorSync(decoded.left) : "the guard refused it"
    }
  }
}

const kinds: ReadonlyMap<string, Kind> = new Map([
  kind("assistant", CliFrame.Assistant, (self, out, frame) => self.assistant(out, frame)),
  kind("user", CliFrame.User, (self, out, frame) => self.user(out, frame)),
  kind("stream_event", CliFrame.StreamEvent, (self, out, frame) => self.streamEvent(out, frame)),
  kind("result", CliFrame.Result, (self, out, frame) => self.result(out, frame)),
  kind("rate_limit_event", CliFrame.RateLimitEvent, (self, out, frame) => {
    const info = frame.rate_limit_info
    out.push({
      ...self.common(frame),
      _tag: "RateLimit",
      status: info.status,
      limit: info.rateLimitType ?? "",
      resetsAt: info.resetsAt == null ? undefined : info.resetsAt * 1000,
      utilization: info.utilization ?? undefined,
      raw: info
    })
  })
].map((entry) => [entry.name, entry]))

const hook = kind("system/hook", CliFrame.Hook, (self, out, frame) => {
  out.push({
    ...self.common(frame),
    _tag: "Hook",
    phase: frame.subtype.slice("hook_".length),
    hookId: frame.hook_id ?? "",
    name: frame.hook_name ?? "",
    event: frame.hook_event ?? "",
    output: frame.output ?? undefined,
    exitCode: frame.exit_code ?? undefined,
    outcome: frame.outcome ?? undefined
  })
})

const notice = kind("notice", CliFrame.Notice, (self, out, frame) => {
  const raw: Record<string, unknown> = frame
  const said = raw["status"] ?? raw["state"] ?? raw["content"] ?? raw["text"] ?? raw["title"] ?? raw["suggestion"]
  out.push({
    ...self.common(raw),
    _tag: "Status",
    kind: frame.subtype ?? frame.type,
    content: typeof said === "string" ? said : "",
    raw
  })
})

const system: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ["init", kind("system/init", CliFrame.Init, (self, out, frame) => self.init(out, frame))],
  [
    "api_retry",
    kind("system/api_retry", CliFrame.ApiRetry, (self, out, frame) => {
      out.push({
        ...self.common(frame),
        _tag: "ApiRetry",
        attempt: frame.attempt,
        maxRetries: frame.max_retries,
        delayMs: frame.retry_delay_ms,
        status: frame.error_status ?? null,
        error: frame.error ?? ""
      })
    })
  ],
  [
    "permission_denied",
    kind("system/permission_denied", CliFrame.PermissionDenied, (self, out, frame) => {
      out.push({
        ...self.common(frame),
        _tag: "PermissionDenied",
        tool: frame.tool_name,
        toolUseId: frame.tool_use_id,
        content: frame.message ?? "",
        reason: frame.decision_reason ?? undefined
      })
    })
  ],
  [
    "task_started",
    kind("system/task_started", CliFrame.TaskStarted, (self, out, frame) => self.task("started")(out, frame))
  ],
  [
    "task_progress",
    kind("system/task_progress", CliFrame.TaskProgress, (self, out, frame) => self.task("progress")(out, frame))
  ],
  [
    "task_updated",
    kind("system/task_updated", CliFrame.TaskUpdated, (self, out, frame) => self.task("updated")(out, frame))
  ],
  [
    "task_notification",
    kind(
      "system/task_notification",
      CliFrame.TaskNotification,
      (self, out, frame) => self.task("notification")(out, frame)
    )
  ],
  [
    "background_tasks_changed",
    kind("system/background_tasks_changed", CliFrame.BackgroundTasks, (self, out, frame) => {
      out.push({
        ...self.common(frame),
        _tag: "Task",
        phase: "background",
        taskId: "",
        description: "",
        background: true,
        live: frame.tasks.map((task) => task.task_id),
        raw: frame
      })
    })
  ],
  [
    "compact_boundary",
    kind("system/compact_boundary", CliFrame.CompactBoundary, (self, out, frame) => {
      out.push({
        ...self.common(frame),
        _tag: "Compact",
        trigger: frame.compact_metadata?.trigger ?? undefined,
        preTokens: frame.compact_metadata?.pre_tokens ?? undefined,
        raw: frame
      })
    })
  ],
  ["hook_started", hook],
  ["hook_progress", hook],
  ["hook_response", hook]
])
