import * as Context from "effect/Context"

/** What spans are called. */
export const Span = {
  query: "claude.query",
  turn: "claude.turn",
  attempt: "claude.attempt",
  tool: "claude.tool"
} as const

/** What they say: OpenTelemetry's names for generative AI where it has one, else `ccflow.*`. */
export const Attribute = {
  /** `invoke_agent` of a query or turn, `execute_tool` of a tool; `chat` of what the API is asked without a CLI. */
  operationName: "gen_ai.operation.name",
  /** `anthropic`. */
  providerName: "gen_ai.provider.name",
  /** The same, as it was called before. */
  system: "gen_ai.system",
  /** `claude-code`, where that is asked first. */
  agentName: "gen_ai.agent.name",
  /** As it was asked for. Absent where the CLI chooses. */
  requestModel: "gen_ai.request.model",
  /** As the CLI resolved it. */
  responseModel: "gen_ai.response.model",
  /** With what was read from the cache and written to it, as OpenTelemetry has it. */
  inputTokens: "gen_ai.usage.input_tokens",
  outputTokens: "gen_ai.usage.output_tokens",
  /** The part of the input that was read from the cache. */
  cacheReadInputTokens: "gen_ai.usage.cache_read.input_tokens",
  /** The part of the input that was written to the cache. */
  cacheCreationInputTokens: "gen_ai.usage.cache_creation.input_tokens",
  /** The session's id. */
  conversationId: "gen_ai.conversation.id",
  /** The API's host, where it is asked without a CLI: no port, no path. */
  serverAddress: "server.address",
  finishReasons: "gen_ai.response.finish_reasons",
  toolName: "gen_ai.tool.name",
  toolCallId: "gen_ai.tool.call.id",
  /** The tag of the error, such as `UsageLimitError`; of a tool `tool_error`, or `permission_denied`. */
  errorType: "error.type",
  /** The call's id, as events and log lines have it. */
  callId: "ccflow.call.id",
  /** `success`, `failure` or `interrupted`. */
  outcome: "ccflow.outcome",
  /** US dollars, subagents included, as the CLI counts them. */
  costUsd: "ccflow.cost.usd",
  /** Requests to the model, as the CLI counts them. */
  modelTurns: "ccflow.model_turns",
  /** From the call to its first message that was not only a notice, in milliseconds. */
  firstMessageMs: "ccflow.first_message_ms",
  /** Of a session's turns; 1 is the first here. */
  turnNumber: "ccflow.turn.number",
  /** 1 is the first; more are retries. */
  attemptNumber: "ccflow.attempt.number",
  /** Of a query that went on with the fallback: why. */
  fallbackCause: "ccflow.fallback.cause",
  /** This and what follows only where content was asked for. */
  prompt: "gen_ai.input.messages",
  answer: "gen_ai.output.messages",
  toolInput: "gen_ai.tool.call.arguments",
  toolOutput: "gen_ai.tool.call.result"
} as const

/** What happens within a span. Waits tell how long they were in `ccflow.waited_ms`, or will be in `ccflow.delay_ms`. */
export const SpanEvent = {
  /** The process was started: what came before was waiting for a place. */
  started: "ccflow.process_started",
  /** The CLI waits before it asks the API again. */
  apiRetry: "ccflow.api_retry",
  /** The conversation was compacted. */
  compacted: "ccflow.compacted",
  retrying: "ccflow.retrying",
  queued: "ccflow.queued",
  rateLimited: "ccflow.rate_limited",
  parked: "ccflow.parked",
  unparked: "ccflow.unparked",
  /** What could not be answered is asked of the fallback. */
  fellBack: "ccflow.fell_back"
} as const

/** Whether prompts, answers, tools' inputs and what they gave become attributes. Default: no. */
export class CurrentContent extends Context.Reference<CurrentContent>()("@ccflow/core/CurrentContent", {
  defaultValue: (): boolean => false
}) {}
