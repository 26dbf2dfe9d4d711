import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as CliFrame from "../CliFrame.js"
import type { Message, Task, Unknown } from "../Message.js"
import type { Conversation } from "./conversation.js"
import { guard, isRecord } from "./guard.js"
import { complaint } from "./schemaIssue.js"

/** Finds the kind of a frame, checks it, and has the conversation tell it. */
export const translate = (self: Conversation, out: Array<Message>, raw: Record<string, unknown>): void => {
  const { session_id: sessionId, subtype, type } = raw
  if (typeof sessionId === "string") self.sessionId = sessionId
  if (type === "stream_event") return tell(self, out, eventKind(raw["event"]), raw)
  if (type === "system" && typeof subtype === "string") {
    const known = system.get(subtype)
    if (known !== undefined) return tell(self, out, known, raw)
    out.push({
      _tag: "UnknownSystem",
      sessionId: self.sessionId,
      uuid: text(raw["uuid"]),
      parentToolUseId: text(raw["parent_tool_use_id"]),
      subtype,
      raw
    })
    return
  }
  const name = text(type) ?? ""
  const known = kinds.get(name)
  if (known !== undefined) tell(self, out, known, raw)
  else if (name !== "keep_alive") out.push(notUnderstood(self, { reason: "kind", type: name, raw }))
}

/** What a frame becomes, or the text of a line that is none. */
export const notUnderstood = (
  { sessionId }: Conversation,
  { bytes, issues, raw, reason, type }: Pick<Unknown, "reason" | "type" | "raw" | "issues" | "bytes">
): Unknown => {
  const { parent_tool_use_id: parent, uuid } = isRecord(raw) ? raw : {}
  return {
    _tag: "Unknown",
    sessionId,
    uuid: text(uuid),
    parentToolUseId: text(parent),
    reason,
    type,
    raw,
    issues,
    bytes
  }
}

const tell = (self: Conversation, out: Array<Message>, kind: Kind, raw: Record<string, unknown>): void => {
  const issues = kind.accept(self, out, raw)
  if (issues === undefined) return
  out.push(notUnderstood(self, { reason: "changed", type: kind.name, raw, issues }))
  if (kind.reduce !== undefined) kind.accept(self, out, kind.reduce(raw))
}

const text = (value: unknown): string | undefined => typeof value === "string" ? value : undefined

/** How frames of one type are checked and told. Gives the issues of a frame that does not fit. */
interface Kind {
  readonly name: string
  readonly accept: (self: Conversation, out: Array<Message>, raw: unknown) => string | undefined
  /** What of a frame that does not fit may still be told beside it. */
  readonly reduce?: (raw: Record<string, unknown>) => Record<string, unknown>
}

const kind = <A>(
  name: string,
  schema: Schema.Schema<A>,
  tell: (self: Conversation, out: Array<Message>, frame: A) => void
): Kind => {
  const fits = guard(schema)
  return {
    name,
    accept: (self, out, raw) => {
      if (!fits(raw)) return issuesOf(schema, raw)
      tell(self, out, raw)
      return undefined
    }
  }
}

/** Why a frame does not fit. The values are not shown: they are in `raw`, and may be megabytes. */
const issuesOf = <A>(schema: Schema.Schema<A>, raw: unknown): string =>
  Either.match(Schema.decodeUnknownEither(schema)(raw), { onLeft: complaint, onRight: () => "the guard refused it" })

/** The fields that are as they should be, and those that nobody knows. */
const fittingFields = (fields: Schema.Struct.Fields) => (raw: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(raw).filter(([name, value]) => {
      const field = fields[name]
      return field === undefined || Schema.is(Schema.Struct({ [name]: field }))({ [name]: value })
    })
  )

/** A frame that only tells how things stand. */
const notice = (name: string): Kind =>
  kind(name, CliFrame.Notice, (self, out, frame) => {
    const raw: Record<string, unknown> = frame
    if (name === "conversation_reset") self.cleared()
    const said = raw["status"] ?? raw["state"] ?? raw["content"] ?? raw["text"] ?? raw["title"] ?? raw["suggestion"]
    out.push({
      _tag: "Status",
      sessionId: self.sessionId,
      uuid: frame.uuid ?? undefined,
      parentToolUseId: frame.parent_tool_use_id ?? undefined,
      kind: frame.subtype ?? frame.type,
      content: text(said) ?? "",
      raw
    })
  })

const control = <A extends CliFrame.Control>(name: string, schema: Schema.Schema<A>): Kind =>
  kind(name, schema, (self, _, frame) => self.control.push(frame))

/** What an event of another type holds is of no interest: a block's start, its end, a ping. */
const otherEvent = kind("stream_event", CliFrame.StreamEvent, () => {})

const events: ReadonlyMap<unknown, Kind> = new Map([
  ["message_start", kind("stream_event", CliFrame.MessageStart, (self, out, frame) => self.messageStart(out, frame))],
  ["content_block_delta", kind("stream_event", CliFrame.BlockDelta, (self, out, frame) => self.blockDelta(out, frame))],
  ["message_delta", kind("stream_event", CliFrame.MessageDelta, (self, out, frame) => self.messageDelta(out, frame))],
  ["message_stop", kind("stream_event", CliFrame.MessageStop, (self, out, frame) => self.messageStop(out, frame))]
])

const eventKind = (event: unknown): Kind => isRecord(event) ? events.get(event["type"]) ?? otherEvent : otherEvent

const byName = (entries: Iterable<Kind>): ReadonlyMap<string, Kind> =>
  new Map(Array.from(entries, (entry) => [entry.name.replace("system/", ""), entry]))

const kinds = byName([
  kind("assistant", CliFrame.Assistant, (self, out, frame) => self.assistant(out, frame)),
  kind("user", CliFrame.User, (self, out, frame) => self.user(out, frame)),
  {
    ...kind("result", CliFrame.Result, (self, out, frame) => self.result(out, frame)),
    // Without its result the run would fail: a changed figure must not take the answer along.
    reduce: fittingFields(CliFrame.Result.fields)
  },
  kind("rate_limit_event", CliFrame.RateLimitEvent, (self, out, frame) => {
    const info = frame.rate_limit_info
    out.push({
      _tag: "RateLimit",
      sessionId: self.sessionId,
      uuid: frame.uuid ?? undefined,
      parentToolUseId: undefined,
      status: info.status,
      limit: info.rateLimitType ?? "",
      resetsAt: info.resetsAt == null ? undefined : info.resetsAt * 1000,
      utilization: info.utilization ?? undefined,
      usingOverage: info.isUsingOverage ?? undefined,
      overageStatus: info.overageStatus ?? undefined,
      raw: info
    })
  }),
  control("control_request", CliFrame.ControlRequest),
  control("control_response", CliFrame.ControlResponse),
  control("control_cancel_request", CliFrame.ControlCancel),
  ...Array.from(CliFrame.notices, notice)
])

const hook = (phase: "started" | "progress" | "response"): Kind =>
  kind(`system/hook_${phase}`, CliFrame.Hook, (self, out, frame) => {
    out.push({
      _tag: "Hook",
      sessionId: self.sessionId,
      uuid: frame.uuid ?? undefined,
      parentToolUseId: undefined,
      phase,
      hookId: frame.hook_id ?? "",
      name: frame.hook_name ?? "",
      event: frame.hook_event ?? "",
      output: frame.output ?? undefined,
      exitCode: frame.exit_code ?? undefined,
      outcome: frame.outcome ?? undefined
    })
  })

const task = <A extends CliFrame.Task>(phase: Exclude<Task["phase"], "background">, schema: Schema.Schema<A>): Kind =>
  kind(`system/task_${phase}`, schema, (self, out, frame) => self.task(out, phase, frame))

const system = byName([
  {
    ...kind("system/init", CliFrame.Init, (self, out, frame) => self.init(out, frame)),
    // A turn has begun, whatever else is said of it otherwise.
    reduce: fittingFields(CliFrame.Init.fields)
  },
  kind("system/api_retry", CliFrame.ApiRetry, (self, out, frame) => {
    out.push({
      _tag: "ApiRetry",
      sessionId: self.sessionId,
      uuid: frame.uuid ?? undefined,
      parentToolUseId: undefined,
      attempt: frame.attempt,
      maxRetries: frame.max_retries,
      delayMs: frame.retry_delay_ms,
      status: frame.error_status ?? null,
      error: frame.error ?? ""
    })
  }),
  kind("system/permission_denied", CliFrame.PermissionDenied, (self, out, frame) => {
    out.push({
      _tag: "PermissionDenied",
      sessionId: self.sessionId,
      uuid: frame.uuid ?? undefined,
      parentToolUseId: frame.parent_tool_use_id ?? undefined,
      tool: frame.tool_name,
      toolUseId: frame.tool_use_id,
      content: frame.message ?? "",
      reason: frame.decision_reason ?? undefined
    })
  }),
  task("started", CliFrame.TaskStarted),
  task("progress", CliFrame.TaskProgress),
  task("updated", CliFrame.TaskUpdated),
  task("notification", CliFrame.TaskNotification),
  kind("system/background_tasks_changed", CliFrame.BackgroundTasks, (self, out, frame) => {
    out.push({
      _tag: "Task",
      sessionId: self.sessionId,
      uuid: frame.uuid ?? undefined,
      parentToolUseId: undefined,
      phase: "background",
      taskId: "",
      toolUseId: undefined,
      description: "",
      status: undefined,
      background: true,
      live: frame.tasks.map((task) => task.task_id),
      raw: frame
    })
  }),
  kind("system/compact_boundary", CliFrame.CompactBoundary, (self, out, frame) => {
    out.push({
      _tag: "Compact",
      sessionId: self.sessionId,
      uuid: frame.uuid ?? undefined,
      parentToolUseId: undefined,
      trigger: frame.compact_metadata?.trigger ?? undefined,
      preTokens: frame.compact_metadata?.pre_tokens ?? undefined,
      postTokens: frame.compact_metadata?.post_tokens ?? undefined,
      durationMs: frame.compact_metadata?.duration_ms ?? undefined,
      raw: frame
    })
  }),
  ...(["started", "progress", "response"] as const).map(hook),
  ...Array.from(CliFrame.systemNotices, (subtype) => notice(`system/${subtype}`))
])
