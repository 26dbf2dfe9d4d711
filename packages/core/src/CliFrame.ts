/**
 * The lines that the CLI writes on stdout, as schemas: a field is listed where we rely on it, everything else stays open.
 *
 * Observed on 2.1.330 and 2.1.197. A frame that does not fit its schema is not an error: it reaches the consumer as
 * `Unknown` with the reason, because the CLI changes every week and a program that only wants the answer must go on.
 */
import * as Schema from "effect/Schema"

const nullish = <A>(schema: Schema.Schema<A>) => Schema.optional(Schema.NullOr(schema))
const string = nullish(Schema.String)
const number = nullish(Schema.Number)
const boolean = nullish(Schema.Boolean)
const strings = nullish(Schema.Array(Schema.String))

/** What an API message block may hold; only `type` is promised. */
export const Block = Schema.Struct({
  type: Schema.String,
  text: string,
  thinking: string,
  id: string,
  name: string,
  tool_use_id: string,
  is_error: boolean,
  input: Schema.optional(Schema.Unknown),
  content: Schema.optional(Schema.Unknown)
})
export type Block = typeof Block.Type

export const Usage = Schema.Struct({
  input_tokens: number,
  output_tokens: number,
  cache_read_input_tokens: number,
  cache_creation_input_tokens: number
})
export type Usage = typeof Usage.Type

const common = { session_id: string, uuid: string }
const threaded = { ...common, parent_tool_use_id: string }

/** One content block of an API message; blocks of one message share `message.id`. */
export const Assistant = Schema.Struct({
  type: Schema.Literal("assistant"),
  ...threaded,
  message: Schema.Struct({
    id: Schema.String,
    model: Schema.String,
    content: Schema.Array(Block),
    stop_reason: string,
    usage: nullish(Usage)
  }),
  error: string,
  api_error_status: number,
  api_error_type: string,
  api_error: string,
  request_id: string,
  aborted: boolean
})
export type Assistant = typeof Assistant.Type

export const User = Schema.Struct({
  type: Schema.Literal("user"),
  ...threaded,
  message: Schema.Struct({ content: Schema.Union(Schema.String, Schema.Array(Block)) }),
  tool_use_result: Schema.optional(Schema.Unknown),
  isSynthetic: boolean,
  isReplay: boolean
})
export type User = typeof User.Type

/**
 * With `--include-partial-messages`: an event of the API's stream. The events that we read have a schema of their own,
 * because a guard that looks at what a delta has is a third of one that looks at what any event may have.
 */
export const StreamEvent = Schema.Struct({
  type: Schema.Literal("stream_event"),
  ...threaded,
  event: Schema.Struct({ type: Schema.String })
})
export type StreamEvent = typeof StreamEvent.Type

const streamEvent = <const Type extends string, const Fields extends Schema.Struct.Fields>(
  type: Type,
  fields: Fields
) =>
  Schema.Struct({
    type: Schema.Literal("stream_event"),
    ...threaded,
    event: Schema.Struct({ type: Schema.Literal(type), ...fields })
  })

export const MessageStart = streamEvent("message_start", {
  message: Schema.Struct({ id: Schema.String, model: string, usage: nullish(Usage) })
})
export type MessageStart = typeof MessageStart.Type

export const BlockDelta = streamEvent("content_block_delta", {
  index: number,
  delta: Schema.Struct({ text: string, thinking: string })
})
export type BlockDelta = typeof BlockDelta.Type

export const MessageDelta = streamEvent("message_delta", {
  delta: nullish(Schema.Struct({ stop_reason: string })),
  usage: nullish(Usage)
})
export type MessageDelta = typeof MessageDelta.Type

/** `abandoned_blocks`: the CLI has given up on the message from a block on, as when the connection was cut. */
export const MessageStop = Schema.Struct({
  ...streamEvent("message_stop", {}).fields,
  abandoned_blocks: nullish(Schema.Struct({ from_block_index: Schema.Number }))
})
export type MessageStop = typeof MessageStop.Type

const ModelUsage = Schema.Struct({
  inputTokens: number,
  outputTokens: number,
  cacheReadInputTokens: number,
  cacheCreationInputTokens: number,
  webSearchRequests: number,
  costUSD: number,
  /** `unknown` where the CLI has no price for the model and took another one's. */
  costBasis: string,
  cacheCreationEphemeral1hInputTokens: number,
  thinkingTokens: number,
  contextWindow: number
})

/** The end of a turn. Its cost figures are cumulative over the process, its usage is the turn's. */
export const Result = Schema.Struct({
  type: Schema.Literal("result"),
  ...common,
  subtype: Schema.String,
  is_error: Schema.Boolean,
  result: string,
  errors: strings,
  structured_output: Schema.optional(Schema.Unknown),
  stop_reason: string,
  terminal_reason: string,
  startup_failure_reason: string,
  api_error_status: number,
  api_error_type: string,
  api_error: string,
  usage: nullish(Usage),
  total_cost_usd: number,
  modelUsage: nullish(Schema.Record({ key: Schema.String, value: ModelUsage })),
  model_usage_since_last_result: nullish(Schema.Record({ key: Schema.String, value: ModelUsage })),
  num_turns: number,
  duration_ms: number,
  duration_api_ms: number,
  ttft_ms: number,
  permission_denials: nullish(Schema.Array(
    Schema.Struct({ tool_name: Schema.String, tool_use_id: string, tool_input: Schema.optional(Schema.Unknown) })
  )),
  origin: nullish(Schema.Struct({ kind: string })),
  user_message_uuids: strings,
  subagent_stats: nullish(Schema.Struct({ spawned: number, completed: number, failed: number }))
})
export type Result = typeof Result.Type

export const RateLimitEvent = Schema.Struct({
  type: Schema.Literal("rate_limit_event"),
  ...common,
  rate_limit_info: Schema.Struct({
    status: Schema.String,
    resetsAt: number,
    rateLimitType: string,
    utilization: number,
    overageStatus: string,
    isUsingOverage: boolean
  })
})
export type RateLimitEvent = typeof RateLimitEvent.Type

const system = <const Subtype extends string, const Fields extends Schema.Struct.Fields>(
  subtype: Subtype,
  fields: Fields
) => Schema.Struct({ type: Schema.Literal("system"), subtype: Schema.Literal(subtype), ...common, ...fields })

export const Init = system("init", {
  model: Schema.String,
  cwd: string,
  tools: Schema.Array(Schema.String),
  mcp_servers: nullish(Schema.Array(Schema.Struct({ name: Schema.String, status: Schema.String, source: string }))),
  permissionMode: string,
  apiKeySource: string,
  claude_code_version: string,
  slash_commands: strings,
  agents: strings,
  skills: strings,
  plugins: nullish(Schema.Array(Schema.Struct({ name: Schema.String, path: string, source: string, version: string }))),
  capabilities: strings,
  output_style: string,
  user_message_uuids: strings
})
export type Init = typeof Init.Type

export const ApiRetry = system("api_retry", {
  attempt: Schema.Number,
  max_retries: Schema.Number,
  retry_delay_ms: Schema.Number,
  error_status: number,
  error: string
})
export type ApiRetry = typeof ApiRetry.Type

export const PermissionDenied = system("permission_denied", {
  parent_tool_use_id: string,
  tool_name: Schema.String,
  tool_use_id: Schema.String,
  message: string,
  decision_reason: string
})
export type PermissionDenied = typeof PermissionDenied.Type

const task = <const Subtype extends string>(subtype: Subtype) =>
  system(subtype, {
    task_id: Schema.String,
    tool_use_id: string,
    description: string,
    summary: string,
    status: string,
    is_backgrounded: boolean,
    task_type: string,
    subagent_type: string,
    last_tool_name: string,
    usage: nullish(Schema.Struct({ total_tokens: number, tool_uses: number, duration_ms: number })),
    patch: nullish(Schema.Struct({ status: string }))
  })

export const TaskStarted = task("task_started")
export const TaskProgress = task("task_progress")
export const TaskUpdated = task("task_updated")
export const TaskNotification = task("task_notification")
export type Task = Omit<typeof TaskStarted.Type, "subtype"> & { readonly subtype: string }

/** Always the full set of background work that lives. */
export const BackgroundTasks = system("background_tasks_changed", {
  tasks: Schema.Array(Schema.Struct({ task_id: Schema.String }))
})
export type BackgroundTasks = typeof BackgroundTasks.Type

export const CompactBoundary = system("compact_boundary", {
  compact_metadata: nullish(
    Schema.Struct({ trigger: string, pre_tokens: number, post_tokens: number, duration_ms: number })
  )
})
export type CompactBoundary = typeof CompactBoundary.Type

/** Settings hooks, with `--include-hook-events`. */
export const Hook = Schema.Struct({
  type: Schema.Literal("system"),
  subtype: Schema.Literal("hook_started", "hook_progress", "hook_response"),
  ...common,
  hook_id: string,
  hook_name: string,
  hook_event: string,
  output: string,
  exit_code: number,
  outcome: string
})
export type Hook = typeof Hook.Type

/** Frames that only tell how things stand. Which field holds the text differs; all are optional. */
export const Notice = Schema.Struct({ type: Schema.String, ...threaded, subtype: string })
export type Notice = typeof Notice.Type

/** The subtypes of `system` that arrive as `Status`. */
export const systemNotices: ReadonlySet<string> = new Set([
  "status",
  "session_state_changed",
  "session_title_changed",
  "thinking_tokens",
  "informational",
  "notification",
  "model_fallback",
  "model_refusal_fallback",
  "model_refusal_no_fallback",
  "control_request_progress",
  "ui_invalidate",
  "commands_changed",
  "local_command_output",
  "files_persisted",
  "elicitation_complete",
  "mirror_error"
])

/** The types that arrive as `Status`. */
export const notices: ReadonlySet<string> = new Set([
  "tool_progress",
  "command_lifecycle",
  "conversation_reset",
  "prompt_suggestion",
  "tool_use_summary",
  "auth_status"
])

/** A request of the CLI to us. */
export const ControlRequest = Schema.Struct({
  type: Schema.Literal("control_request"),
  request_id: Schema.String,
  request: Schema.Struct({ subtype: Schema.String }, { key: Schema.String, value: Schema.Unknown })
})
export type ControlRequest = typeof ControlRequest.Type

/** The CLI's answer to a request of ours. `response` may be missing: acknowledged only. */
export const ControlResponse = Schema.Struct({
  type: Schema.Literal("control_response"),
  response: Schema.Struct({
    subtype: Schema.Literal("success", "error"),
    request_id: string,
    response: Schema.optional(Schema.Unknown),
    error: string,
    error_code: string
  })
})
export type ControlResponse = typeof ControlResponse.Type

/** The CLI no longer wants an answer to its request. */
export const ControlCancel = Schema.Struct({
  type: Schema.Literal("control_cancel_request"),
  request_id: Schema.String
})
export type ControlCancel = typeof ControlCancel.Type

/** Frames of the control protocol: they are answered, not shown. */
export type Control = ControlRequest | ControlResponse | ControlCancel
