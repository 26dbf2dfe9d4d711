/**
 * What a query yields: plain structs tagged by `_tag`, made from the CLI's frames by `MessageParser`.
 *
 * The union is open towards the future by its last two members: what the CLI says and we do not know arrives as
 * `Unknown` or `UnknownSystem` with the whole raw frame.
 */
import * as Match from "effect/Match"
import * as Schema from "effect/Schema"
import { ContextSavings, ModelUsage, Usage } from "./internal/figures.js"

export { ContextSavings, ModelUsage, Usage } from "./internal/figures.js"

/** A block of a message's content, as the API gave it. Only `type` is promised. */
export type ContentBlock = { readonly type: string; readonly [field: string]: unknown }
const ContentBlock: Schema.Schema<ContentBlock> = Schema.Struct(
  { type: Schema.String },
  { key: Schema.String, value: Schema.Unknown }
)

const common = {
  /** The CLI's session. Empty for lines that carry none. */
  sessionId: Schema.String,
  uuid: Schema.optional(Schema.String),
  /** The tool use that started the subagent which this comes from; absent on the main thread. */
  parentToolUseId: Schema.optional(Schema.String)
}

/** The start of a turn. The CLI repeats it for every turn, also for those that it starts itself. */
export const Init = Schema.TaggedStruct("Init", {
  ...common,
  model: Schema.String,
  cwd: Schema.String,
  tools: Schema.Array(Schema.String),
  mcpServers: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      status: Schema.String,
      /** Who has named it, such as `sdk` for the program itself. Older CLIs do not say. */
      source: Schema.optional(Schema.String)
    })
  ),
  permissionMode: Schema.String,
  /** Who pays: `none` for a subscription login, else where the API key came from. */
  apiKeySource: Schema.String,
  cliVersion: Schema.String,
  slashCommands: Schema.Array(Schema.String),
  agents: Schema.Array(Schema.String),
  skills: Schema.Array(Schema.String),
  /** Those that are loaded; from 2.1.330 on the CLI's own, too. Absent where the CLI did not say. */
  plugins: Schema.optional(
    Schema.Array(
      Schema.Struct({
        name: Schema.String,
        /** Its folder; `builtin` for the CLI's own. */
        path: Schema.optional(Schema.String),
        /** `<name>@<marketplace>`; `<name>@inline` for one of `pluginDirs`. */
        source: Schema.optional(Schema.String),
        /** Of one of `pluginDirs`, where it has one. 2.1.197 does not say. */
        version: Schema.optional(Schema.String)
      })
    )
  ),
  capabilities: Schema.Array(Schema.String),
  outputStyle: Schema.String,
  /** The ids of the user's messages that this turn answers. Older CLIs do not say, nor where the messages have none. */
  userMessageUuids: Schema.optional(Schema.Array(Schema.String))
})
export type Init = typeof Init.Type

const said = {
  ...common,
  messageId: Schema.String,
  content: Schema.String,
  delta: Schema.Boolean,
  /** Take this many UTF-16 code units off the end of the text so far: the CLI has withdrawn them. */
  retract: Schema.optional(Schema.Number)
}

/**
 * Text of the answer. The `content` of all of them, joined, is the text of the CLI's complete assistant lines: once,
 * in order, whether partial messages are on (`delta: true`) or off.
 */
export const Text = Schema.TaggedStruct("Text", said)
export type Text = typeof Text.Type

/** The model's thinking, in the same way as `Text`. */
export const Thinking = Schema.TaggedStruct("Thinking", said)
export type Thinking = typeof Thinking.Type

/** The model uses a tool. */
export const ToolUse = Schema.TaggedStruct("ToolUse", {
  ...common,
  messageId: Schema.String,
  id: Schema.String,
  tool: Schema.String,
  input: Schema.Unknown
})
export type ToolUse = typeof ToolUse.Type

/** What a tool gave. Results of parallel tools come in the order of their completion. */
export const ToolResult = Schema.TaggedStruct("ToolResult", {
  ...common,
  toolUseId: Schema.String,
  /** Joined by `toolUseId`; empty when the use was never seen. */
  tool: Schema.String,
  /** The text of the result; `blocks` has images and the like. */
  content: Schema.String,
  isError: Schema.Boolean,
  blocks: Schema.optional(Schema.Array(ContentBlock)),
  /** The CLI's own structured form of the result, different for each tool. */
  details: Schema.optional(Schema.Unknown)
})
export type ToolResult = typeof ToolResult.Type

/**
 * A whole message of the model, once per API message id, when it is complete. With partial messages off only what
 * follows tells that: the model's next message, or the turn's end. So it comes after the results of its tools.
 */
export const Assistant = Schema.TaggedStruct("Assistant", {
  ...common,
  messageId: Schema.String,
  model: Schema.String,
  content: Schema.Array(ContentBlock),
  /** Known with partial messages on; else `null`, because the CLI does not say. */
  stopReason: Schema.NullOr(Schema.String),
  /** With partial messages off the CLI knows `outputTokens` only as of the message's start: use `Result` for totals. */
  usage: Usage,
  /** The message was cut by an interrupt. */
  aborted: Schema.Boolean
})
export type Assistant = typeof Assistant.Type

/** A message of the user, as the CLI has it: replayed, or written by the CLI itself (`synthetic`). */
export const User = Schema.TaggedStruct("User", {
  ...common,
  content: Schema.String,
  blocks: Schema.optional(Schema.Array(ContentBlock)),
  synthetic: Schema.Boolean,
  replay: Schema.Boolean
})
export type User = typeof User.Type

/** The end of a turn's work, just before its `Result`. */
export const Stop = Schema.TaggedStruct("Stop", { ...common, stopReason: Schema.NullOr(Schema.String), usage: Usage })
export type Stop = typeof Stop.Type

/** A turn's answer and account. A run whose `isError` is true fails after this message. */
export const Result = Schema.TaggedStruct("Result", {
  ...common,
  /** The answer's text. Of an interrupted turn what there was of it; of a failed one what the CLI says about it. */
  result: Schema.String,
  structuredOutput: Schema.optional(Schema.Unknown),
  /** `success` says little: API errors have it too. Look at `isError`. */
  subtype: Schema.String,
  isError: Schema.Boolean,
  stopReason: Schema.NullOr(Schema.String),
  terminalReason: Schema.optional(Schema.String),
  /** The turn was ended by an interrupt before the model was done. */
  interrupted: Schema.Boolean,
  /** This turn's tokens of the main thread, without subagents. 0 also where the CLI did not say: see `turnUsage`. */
  usage: Usage,
  /** What this turn has cost, subagents included, and without the models in `unpriced`. */
  costUsd: Schema.Number,
  /** What the CLI has counted so far, over all turns of the process. */
  totalCostUsd: Schema.Number,
  modelUsage: Schema.Record({ key: Schema.String, value: ModelUsage }),
  /**
   * What this turn has used, by model and with subagents: what is new in `modelUsage`. Empty when nothing was used; the
   * model is `""` where it was not named. Absent where the CLI did not say.
   */
  turnUsage: Schema.optional(Schema.Record({ key: Schema.String, value: ModelUsage })),
  /** Models without a price: the CLI guessed one, or did not say. `""` for one without a name. Absent if all have. */
  unpriced: Schema.optional(Schema.Array(Schema.String)),
  /** Of the data that was given with this call; with a session's first turn, also of the session's. Absent without. */
  context: Schema.optional(ContextSavings),
  numTurns: Schema.Number,
  durationMs: Schema.Number,
  /** What of all the process's time the API took, over all its turns. Absent where the CLI did not say. */
  durationApiMs: Schema.optional(Schema.Number),
  /** Until the first token of this turn. Absent where there was none, or the CLI did not say. */
  timeToFirstTokenMs: Schema.optional(Schema.Number),
  permissionDenials: Schema.Array(
    Schema.Struct({ tool: Schema.String, toolUseId: Schema.String, input: Schema.Unknown })
  ),
  errors: Schema.Array(Schema.String),
  apiErrorStatus: Schema.optional(Schema.Number),
  apiErrorType: Schema.optional(Schema.String),
  apiError: Schema.optional(Schema.String),
  startupFailure: Schema.optional(Schema.String),
  /** Set when the CLI started the turn itself, as for a background task that has ended; absent for a user's turn. */
  origin: Schema.optional(Schema.String),
  /**
   * Over all turns of the process, from 0 again when the conversation is cleared. One that was stopped has neither completed
   * nor failed. Absent where the CLI did not say, as 2.1.197.
   */
  subagents: Schema.optional(
    Schema.Struct({ spawned: Schema.Number, completed: Schema.Number, failed: Schema.Number })
  ),
  userMessageUuids: Schema.optional(Schema.Array(Schema.String))
})
export type Result = typeof Result.Type

/** The CLI reports an API error in place of an answer. */
export const ErrorMessage = Schema.TaggedStruct("Error", {
  ...common,
  /** The CLI's word for it, such as `rate_limit` or `authentication_failed`. */
  code: Schema.String,
  content: Schema.String,
  status: Schema.optional(Schema.Number),
  type: Schema.optional(Schema.String),
  apiError: Schema.optional(Schema.String),
  /** The API's name for the request that failed: what its support asks for. */
  requestId: Schema.optional(Schema.String)
})
export type ErrorMessage = typeof ErrorMessage.Type

/** A settings hook ran (with `includeHookEvents`). */
export const Hook = Schema.TaggedStruct("Hook", {
  ...common,
  phase: Schema.String,
  hookId: Schema.String,
  name: Schema.String,
  event: Schema.String,
  output: Schema.optional(Schema.String),
  exitCode: Schema.optional(Schema.Number),
  outcome: Schema.optional(Schema.String)
})
export type Hook = typeof Hook.Type

/** A notice that commits the run to nothing: `kind` is the CLI's name for it, `raw` its frame. */
export const Status = Schema.TaggedStruct("Status", {
  ...common,
  kind: Schema.String,
  /** The state or text of the notice, where it has one. */
  content: Schema.String,
  raw: Schema.Unknown
})
export type Status = typeof Status.Type

/** The CLI waits before it asks the API again. */
export const ApiRetry = Schema.TaggedStruct("ApiRetry", {
  ...common,
  attempt: Schema.Number,
  /** What the CLI announces; for 529 it was seen to stop after 2 of the 10. */
  maxRetries: Schema.Number,
  delayMs: Schema.Number,
  /** `null` when there was no answer at all. */
  status: Schema.NullOr(Schema.Number),
  error: Schema.String
})
export type ApiRetry = typeof ApiRetry.Type

/** The state of the subscription's windows. */
export const RateLimit = Schema.TaggedStruct("RateLimit", {
  ...common,
  /** `allowed`, `allowed_warning` or `rejected`. */
  status: Schema.String,
  /** The window in question, such as `five_hour`. */
  limit: Schema.String,
  /** UTC epoch milliseconds. */
  resetsAt: Schema.optional(Schema.Number),
  utilization: Schema.optional(Schema.Number),
  /** Whether this is paid for beyond the plan, and whether it could be (`allowed`, `rejected` …). */
  usingOverage: Schema.optional(Schema.Boolean),
  overageStatus: Schema.optional(Schema.String),
  raw: Schema.Unknown
})
export type RateLimit = typeof RateLimit.Type

/** A tool was not allowed to run, and nobody was asked. */
export const PermissionDenied = Schema.TaggedStruct("PermissionDenied", {
  ...common,
  tool: Schema.String,
  toolUseId: Schema.String,
  content: Schema.String,
  reason: Schema.optional(Schema.String)
})
export type PermissionDenied = typeof PermissionDenied.Type

/** A subagent or background command: started, progressed, changed, ended, or (`background`) the whole set that lives. */
export const Task = Schema.TaggedStruct("Task", {
  ...common,
  phase: Schema.Literal("started", "progress", "updated", "notification", "background"),
  taskId: Schema.String,
  toolUseId: Schema.optional(Schema.String),
  description: Schema.String,
  status: Schema.optional(Schema.String),
  background: Schema.Boolean,
  /** `local_bash`, `local_agent` …; told when it starts. */
  taskType: Schema.optional(Schema.String),
  /** The name of the agent, where the task is one. */
  subagentType: Schema.optional(Schema.String),
  /** The tool that it used last; told as it progresses. */
  lastTool: Schema.optional(Schema.String),
  /** What it has used so far. */
  usage: Schema.optional(
    Schema.Struct({ totalTokens: Schema.Number, toolUses: Schema.Number, durationMs: Schema.Number })
  ),
  /** The ids of all background tasks that live; only in phase `background`. */
  live: Schema.Array(Schema.String),
  raw: Schema.Unknown
})
export type Task = typeof Task.Type

/** The conversation was compacted. */
export const Compact = Schema.TaggedStruct("Compact", {
  ...common,
  trigger: Schema.optional(Schema.String),
  preTokens: Schema.optional(Schema.Number),
  /** What is left of them. Older CLIs do not say. */
  postTokens: Schema.optional(Schema.Number),
  /** How long it took. */
  durationMs: Schema.optional(Schema.Number),
  raw: Schema.Unknown
})
export type Compact = typeof Compact.Type

/** A line that could not be understood: nothing is lost, and nothing fails. */
export const Unknown = Schema.TaggedStruct("Unknown", {
  ...common,
  /**
   * `kind`: a type we do not know; `changed`: a known one whose fields are not what they were, see `issues`;
   * `malformed`: not JSON although it begins like it; `oversized`: over the limit, only its head kept;
   * `truncated`: the output ended within the line.
   */
  reason: Schema.Literal("kind", "changed", "malformed", "oversized", "truncated"),
  type: Schema.String,
  /** The frame, or the text of a line that is none. */
  raw: Schema.Unknown,
  issues: Schema.optional(Schema.String),
  bytes: Schema.optional(Schema.Number)
})
export type Unknown = typeof Unknown.Type

/** A `system` frame of a subtype we do not know. */
export const UnknownSystem = Schema.TaggedStruct("UnknownSystem", {
  ...common,
  subtype: Schema.String,
  raw: Schema.Unknown
})
export type UnknownSystem = typeof UnknownSystem.Type

/** The union as a schema, for those who store or send messages. */
export const Message = Schema.Union(
  Init,
  Text,
  Thinking,
  ToolUse,
  ToolResult,
  Assistant,
  User,
  Stop,
  Result,
  ErrorMessage,
  Hook,
  Status,
  ApiRetry,
  RateLimit,
  PermissionDenied,
  Task,
  Compact,
  Unknown,
  UnknownSystem
)
export type Message = typeof Message.Type

/** Narrows to one kind: `Stream.filter(Message.is("Text"))`. */
export const is =
  <Tag extends Message["_tag"]>(tag: Tag) => (message: Message): message is Extract<Message, { _tag: Tag }> =>
    message._tag === tag

/** One case for each kind, checked by the compiler to be complete. */
export const match = Match.typeTags<Message>()

/** The answer so far: joins `Text` of the main thread and honours what was retracted. */
export const appendText = (soFar: string, message: Message): string =>
  message._tag !== "Text" || message.parentToolUseId !== undefined
    ? soFar
    : (message.retract === undefined ? soFar : soFar.slice(0, soFar.length - message.retract)) + message.content
