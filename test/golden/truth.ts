import { type Account, type AccountedMessage, type AccountedResult, money, said, type Tokens } from "./account.js"
import type { Run } from "./runs.js"

/** Reads a field of a value that may be anything. */
export const at = (value: unknown, ...path: ReadonlyArray<string | number>): unknown =>
  path.reduce<unknown>(
    (held, key) => typeof held === "object" && held !== null ? Reflect.get(held, key) : undefined,
    value
  )

const list = (value: unknown): ReadonlyArray<unknown> => Array.isArray(value) ? value : []
const string = (value: unknown): string => typeof value === "string" ? value : ""
const number = (value: unknown): number => typeof value === "number" ? value : 0
const frameOf = (line: string): unknown => {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

export const framesOf = (stdout: Uint8Array): ReadonlyArray<unknown> =>
  Buffer.from(stdout).toString().split("\n").filter((line) => line.startsWith("{")).map(frameOf)

const tokens = (usage: unknown): Tokens => [
  number(at(usage, "input_tokens")),
  number(at(usage, "output_tokens")),
  number(at(usage, "cache_read_input_tokens")),
  number(at(usage, "cache_creation_input_tokens"))
]

const larger = (a: Tokens, b: Tokens): Tokens => [
  Math.max(a[0], b[0]),
  Math.max(a[1], b[1]),
  Math.max(a[2], b[2]),
  Math.max(a[3], b[3])
]

/** As what each kind of line arrives that is no part of the conversation; from the CLI's own list of its lines. */
const arrivesAs: Readonly<Record<string, string>> = {
  "system/init": "Init",
  "system/api_retry": "ApiRetry",
  "system/permission_denied": "PermissionDenied",
  "system/compact_boundary": "Compact",
  "system/task_started": "Task",
  "system/task_progress": "Task",
  "system/task_updated": "Task",
  "system/task_notification": "Task",
  "system/background_tasks_changed": "Task",
  "system/hook_started": "Hook",
  "system/hook_response": "Hook",
  "system/status": "Status",
  "system/thinking_tokens": "Status",
  "system/informational": "Status",
  "system/notification": "Status",
  "system/model_fallback": "Status",
  "system/model_refusal_fallback": "Status",
  "system/model_refusal_no_fallback": "Status",
  "system/session_title_changed": "Status",
  "system/session_state_changed": "Status",
  "system/control_request_progress": "Status",
  "system/ui_invalidate": "Status",
  rate_limit_event: "RateLimit",
  tool_progress: "Status",
  command_lifecycle: "Status",
  conversation_reset: "Status",
  prompt_suggestion: "Status"
}

const conversation = new Set(["assistant", "user", "result", "stream_event"])
const resumes = new Set(["--resume", "-r", "--continue", "-c"])

/** The account that the raw lines give, worked out without anything of the library. */
export const truth = (run: Run): Account => {
  const frames = framesOf(run.stdout)
  const text: Record<string, string> = {}
  const thinking: Record<string, string> = {}
  const byThread: Record<string, Array<AccountedMessage>> = {}
  const toolUses: Array<string> = []
  const names = new Map<string, string>()
  const toolResults: Array<Account["toolResults"][number]> = []
  const results: Array<AccountedResult> = []
  const kinds: Record<string, number> = {}
  const sessions: Array<string> = []
  const streaming: Record<string, string> = {}
  let control = 0
  let total = 0
  const one = (kind: string) => kinds[kind] = (kinds[kind] ?? 0) + 1
  const count = (thread: string, id: string, usage: unknown) => {
    const messages = byThread[thread] ?? []
    const known = messages.findIndex((message) => message.id === id)
    const message = messages[known]
    if (message !== undefined) messages[known] = { ...message, usage: larger(message.usage, tokens(usage)) }
  }

  for (const frame of frames) {
    const type = string(at(frame, "type"))
    const kind = type === "system" ? `system/${string(at(frame, "subtype"))}` : type
    const thread = string(at(frame, "parent_tool_use_id"))
    const session = string(at(frame, "session_id"))
    if (session !== "" && !sessions.includes(session)) sessions.push(session)
    if (type.startsWith("control_")) control++
    else if (!conversation.has(type)) one(arrivesAs[kind] ?? `${kind} is not known`)

    if (type === "stream_event") {
      const event = string(at(frame, "event", "type"))
      if (event === "message_start") {
        streaming[thread] = string(at(frame, "event", "message", "id"))
        // Its usage is told once a line has told the message.
        const messages = byThread[thread] ??= []
        const id = string(at(frame, "event", "message", "id"))
        const model = string(at(frame, "event", "message", "model"))
        messages.push({ id, model, content: [], usage: tokens(at(frame, "event", "message", "usage")) })
      } else if (event === "message_delta") count(thread, streaming[thread] ?? "", at(frame, "event", "usage"))
      else if (event === "message_stop") streaming[thread] = ""
    }

    if (type === "assistant") {
      const content = list(at(frame, "message", "content"))
      const id = string(at(frame, "message", "id"))
      if (streaming[thread] !== id) streaming[thread] = ""
      const messages = byThread[thread] ??= []
      const known = messages.findIndex((message) => message.id === id)
      const before = messages[known] ?? { id, model: "", content: [], usage: [0, 0, 0, 0] }
      messages[known < 0 ? messages.length : known] = {
        id,
        model: string(at(frame, "message", "model")),
        content: [...before.content, ...content],
        usage: larger(before.usage, tokens(at(frame, "message", "usage")))
      }
      for (const block of content) {
        if (at(block, "type") === "text") text[thread] = (text[thread] ?? "") + string(at(block, "text"))
        if (at(block, "type") === "thinking") {
          thinking[thread] = (thinking[thread] ?? "") + string(at(block, "thinking"))
        }
        if (at(block, "type") === "tool_use") {
          toolUses.push(`${string(at(block, "id"))} ${string(at(block, "name"))}`)
          names.set(string(at(block, "id")), string(at(block, "name")))
        }
      }
      if (at(frame, "error") != null) one("Error")
    }

    if (type === "user") {
      const content = at(frame, "message", "content")
      const others = list(content).filter((block) => at(block, "type") !== "tool_result")
      if (typeof content === "string" || others.length > 0) one("User")
      for (const block of list(content)) {
        if (at(block, "type") !== "tool_result") continue
        const id = string(at(block, "tool_use_id"))
        toolResults.push({ id, tool: names.get(id) ?? "", isError: at(block, "is_error") === true })
      }
    }

    if (type === "conversation_reset") total = 0
    if (type === "result") {
      const before = total
      total = number(at(frame, "total_cost_usd"))
      const resumed = results.length === 0 && run.args.some((arg) => resumes.has(arg.split("=")[0]!))
      const since = at(frame, "model_usage_since_last_result")
      const used = Object.values(typeof since === "object" && since !== null ? since : {})
      const costOf = (parts: ReadonlyArray<unknown>) =>
        parts.reduce<number>((sum, usage) => sum + number(at(usage, "costUSD")), 0)
      // The CLI had no price for it, and took another model's.
      const guessed = costOf(used.filter((usage) => at(usage, "costBasis") === "unknown"))
      results.push({
        text: typeof at(frame, "result") === "string"
          ? string(at(frame, "result"))
          // The CLI's diagnostics are for its makers.
          : list(at(frame, "errors")).map(string).filter((error) => !error.startsWith("[ede_")).join("\n"),
        isError: at(frame, "is_error") === true,
        usage: tokens(at(frame, "usage")),
        // Of a resumed conversation the total holds the earlier turns.
        costUsd: money((resumed ? costOf(used) : total - before) - guessed),
        totalCostUsd: money(total),
        userTurn: at(frame, "origin") == null
      })
    }
  }

  const lines = Buffer.from(run.stdout).toString().split("\n").filter((line) => line.trim() !== "")
  return {
    text: said(text),
    thinking: said(thinking),
    messages: complete(byThread),
    toolUses,
    toolResults,
    results,
    kinds,
    sessions,
    control,
    frames: frames.length,
    noise: lines.length - frames.length
  }
}

/** A message of which no line has told anything is none. */
const complete = (byThread: Readonly<Record<string, ReadonlyArray<AccountedMessage>>>): Account["messages"] =>
  Object.fromEntries(
    Object.entries(byThread)
      .map(([thread, messages]) => [thread, messages.filter(({ content }) => content.length > 0)] as const)
      .filter(([, messages]) => messages.length > 0)
  )
