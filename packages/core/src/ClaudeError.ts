/**
 * Every way in which a query can fail, each with the facts it was decided on and a hint what to do about it.
 *
 * All of them are `instanceof CCFlowError`, here and behind the promise facade, and carry a `_tag` for `Effect.catchTag`.
 */
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { dateText, describe, explained, failure, say, TypeId } from "./internal/errorText.js"
import { RunFacts } from "./internal/runFacts.js"
import { BillingMismatchError, BudgetExceededError } from "./MoneyError.js"
import { ApiClientError, ApiRateLimitError, CircuitBreakerError, RateLimitExceededError } from "./PolicyError.js"

export { RunFacts } from "./internal/runFacts.js"
export { BillingMismatchError, BudgetExceededError } from "./MoneyError.js"
export * from "./PolicyError.js"

/** The common supertype. Use it with `instanceof`; branch on `_tag` for what exactly went wrong. */
export abstract class CCFlowError extends Error {
  abstract readonly _tag: string
  /** What to do about it, in one sentence. */
  abstract readonly hint: string

  static override [Symbol.hasInstance](value: unknown): boolean {
    return Predicate.hasProperty(value, TypeId)
  }
}

/** What the CLI said, and how its run went. */
const told = { detail: Schema.String, facts: RunFacts }

/** No executable at the given path or on the child's `PATH`. */
export class CliNotFoundError extends failure<CliNotFoundError>()("CliNotFoundError", {
  command: Schema.String
}, ({ command, hint }) => say(`No Claude Code CLI at "${command}"`, hint)) {}

/** The executable exists but could not be started: `reason` is what the operating system refused. */
export class CliSpawnError extends failure<CliSpawnError>()("CliSpawnError", {
  command: Schema.String,
  reason: Schema.Literal("NotExecutable", "IsDirectory", "BadFormat", "CwdMissing", "TooLarge", "NoResources", "Other"),
  /** The operating system's code, such as `EACCES`. */
  code: Schema.String
}, ({ code, command, hint, reason }) => say(`Could not start "${command}": ${reason} (${code})`, hint)) {}

/** The process ended on its own without an answer and without saying why on its protocol. */
export class CliExitError extends failure<CliExitError>()("CliExitError", {
  reason: Schema.Literal("Exited", "Killed", "Interrupted", "ConfigInvalid", "StartupFailed"),
  ...told
}, (error) =>
  error.reason === "ConfigInvalid" || error.reason === "StartupFailed"
    ? explained(error)
    : describe(`Claude Code ended: ${error.detail}`, error))
{}

/** The CLI answered one of our control requests with an error, or not in time. */
export class CliProtocolError extends failure<CliProtocolError>()("CliProtocolError", {
  request: Schema.String,
  detail: Schema.String,
  /** The CLI's word for it, such as `bypass_not_launched` or `unsupported_request`. */
  code: Schema.optional(Schema.String)
}, ({ detail, hint, request }) => say(`Claude Code did not accept "${request}": ${detail}`, hint)) {}

/** The output ended, with exit code 0, before the CLI gave a result. Never taken for success. */
export class MissingResultError extends failure<MissingResultError>()("MissingResultError", {
  facts: RunFacts
}, (error) => describe("Claude Code ended without a result", error)) {}

/** An option that we refuse before the CLI starts, or that the CLI itself refused at start-up. */
export class InvalidOptionsError extends failure<InvalidOptionsError>()("InvalidOptionsError", {
  /** The option as the caller writes it, such as `maxTurns`; the CLI's own words where it named no option of ours. */
  field: Schema.String,
  detail: Schema.String,
  /** Only when the CLI refused it. */
  facts: Schema.optional(RunFacts)
}, ({ detail, field, hint }) => say(`Invalid option ${field}: ${detail}`, hint)) {}

/** A deadline ran out. The CLI was interrupted first, so that it could say what there was, then stopped. */
export class CliTimeoutError extends failure<CliTimeoutError>()("CliTimeoutError", {
  /**
   * `startup`: no line at all; `stall`: no line for this long; `total`: the whole run. `background`: work that went on
   * after the answer was stopped, which fails no run and is only told to those who watch `Deadline.changes`.
   */
  phase: Schema.Literal("startup", "stall", "total", "background"),
  timeoutMs: Schema.Number,
  /** To resume. Empty where the CLI had not named one yet. */
  sessionId: Schema.String,
  frames: Schema.Int,
  /** The answer's text so far. */
  partial: Schema.String,
  /** What it has cost, in US dollars; `null` when the CLI did not say. */
  costUsd: Schema.NullOr(Schema.Number)
}, ({ hint, phase, timeoutMs }) => {
  const missed = phase === "total" || phase === "background" ? "finish" : "say anything"
  return say(`Claude Code did not ${missed} within ${timeoutMs} ms (${phase} deadline)`, hint)
}) {}

/** Not logged in, a key or token that is refused, or an account that may not use what was asked for (401, 403). */
export class AuthenticationError extends failure<AuthenticationError>()("AuthenticationError", {
  /** `null` when the CLI refused without asking the API. */
  status: Schema.NullOr(Schema.Number),
  ...told
}, explained) {}

/** The API refused or failed in a way that has no error of its own; `type` is the API's own name for it. */
export class ApiError extends failure<ApiError>()("ApiError", {
  /** `null` when no answer was received, as with a refused connection. */
  status: Schema.NullOr(Schema.Number),
  type: Schema.String,
  ...told
}, explained) {}

/** The API is overloaded (529), and the CLI's own retries are used up. */
export class OverloadedError extends failure<OverloadedError>()("OverloadedError", told, explained) {}

/** A window of the subscription is used up. Waiting helps, retrying does not. */
export class UsageLimitError extends failure<UsageLimitError>()("UsageLimitError", {
  /** The window as the CLI names it, such as `five_hour` or `seven_day`. */
  limit: Schema.String,
  /** UTC epoch milliseconds; `null` when the CLI did not say. */
  resetsAt: Schema.NullOr(Schema.Number),
  ...told
}, explained) {}

/** The model is unknown, or not for this account. */
export class ModelNotFoundError extends failure<ModelNotFoundError>()("ModelNotFoundError", {
  model: Schema.String,
  ...told
}, explained) {}

/** The model declined to answer, also after the CLI's one retry. */
export class RefusalError extends failure<RefusalError>()("RefusalError", told, explained) {}

/** The conversation no longer fits the model's context window. The same prompt will fail again. */
export class ContextOverflowError extends failure<ContextOverflowError>()("ContextOverflowError", told, explained) {}

/** `maxTurns` was reached before the model was done. */
export class MaxTurnsError extends failure<MaxTurnsError>()("MaxTurnsError", {
  /** As the CLI counts them: each tool's result is one, too. */
  numTurns: Schema.Number,
  facts: RunFacts
}, ({ hint }) => say("Stopped before the model was done: maxTurns is reached", hint)) {}

/** A permission handler denied the use of a tool and ended the turn with it. A denial alone is no failure. */
export class PermissionDeniedError extends failure<PermissionDeniedError>()("PermissionDeniedError", {
  tool: Schema.String,
  toolUseId: Schema.String,
  facts: RunFacts
}, ({ hint, tool }) => say(`The use of ${tool} was denied, and the turn ended`, hint)) {}

/** An `outputSchema` was given and the model gave no output, or none that fits. */
export class StructuredOutputError extends failure<StructuredOutputError>()("StructuredOutputError", {
  reason: Schema.Literal("NeverGiven", "RetriesExhausted", "DoesNotDecode"),
  ...told
}, ({ detail, hint }) => say(`No structured output: ${detail}`, hint)) {}

/** The session to resume, an id or a title, is unknown to the CLI on this machine. */
export class SessionNotFoundError extends failure<SessionNotFoundError>()("SessionNotFoundError", {
  sessionId: Schema.String,
  /** Only when the CLI said so. */
  facts: Schema.optional(RunFacts)
}, ({ hint, sessionId }) => say(`No conversation with session id "${sessionId}"`, hint)) {}

/** The session id is taken by an earlier conversation, or another process is working on the session. */
export class SessionBusyError extends failure<SessionBusyError>()("SessionBusyError", {
  sessionId: Schema.String,
  /** Who has the session's lease. Absent when the CLI itself refused the id. */
  holder: Schema.optional(Schema.String),
  /** Until when the lease runs, if its holder does not renew it. UTC epoch milliseconds. */
  until: Schema.optional(Schema.Number),
  /** Only when the CLI said so. */
  facts: Schema.optional(RunFacts)
}, ({ hint, holder, sessionId, until }) => {
  const by = holder === undefined ? "" : ` by ${holder}`
  const end = dateText(until)
  const long = end === undefined ? "" : ` until ${end}`
  return say(`Session id "${sessionId}" is already in use${by}${long}`, hint)
}) {}

/** The session has been closed: it takes no more turns. */
export class SessionClosedError extends failure<SessionClosedError>()("SessionClosedError", {
  sessionId: Schema.String
}, ({ hint, sessionId }) => say(`Session "${sessionId}" is closed`, hint)) {}

/** A `SessionManager` has as many live sessions as it may have. */
export class SessionLimitError extends failure<SessionLimitError>()(
  "SessionLimitError",
  { maxLive: Schema.Int },
  ({ hint, maxLive }) =>
    say(`${maxLive} live ${maxLive === 1 ? "session is" : "sessions are"} all that there may be`, hint)
) {}

/** The durable records could not be read or written. */
export class SessionStoreError extends failure<SessionStoreError>()(
  "SessionStoreError",
  {
    /** What was being done, such as `open` or `endTurn`. */
    operation: Schema.String,
    reason: Schema.Literal("NotAFile", "ReadOnly", "Corrupt", "NewerVersion", "DiskFull", "Unavailable", "Other"),
    detail: Schema.String
  },
  ({ detail, hint, operation, reason }) => say(`The session store failed (${operation}, ${reason}): ${detail}`, hint)
) {}

/** Everything that a query can fail with. As a schema it writes an error to JSON and reads it back. */
export const ClaudeError = Schema.Union(
  CliNotFoundError,
  CliSpawnError,
  CliExitError,
  CliProtocolError,
  MissingResultError,
  InvalidOptionsError,
  CliTimeoutError,
  AuthenticationError,
  ApiError,
  OverloadedError,
  UsageLimitError,
  ModelNotFoundError,
  RefusalError,
  ContextOverflowError,
  MaxTurnsError,
  BudgetExceededError,
  BillingMismatchError,
  PermissionDeniedError,
  StructuredOutputError,
  SessionNotFoundError,
  SessionBusyError,
  SessionClosedError,
  SessionLimitError,
  SessionStoreError,
  CircuitBreakerError,
  RateLimitExceededError,
  ApiClientError,
  ApiRateLimitError
)
export type ClaudeError = typeof ClaudeError.Type
