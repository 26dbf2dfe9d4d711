import * as LogLevel from "effect/LogLevel"
import * as Records from "effect/Record"
import * as Struct from "effect/Struct"
import type { ClaudeError } from "../ClaudeError.js"
import type { EventOf, EventType } from "../Events.js"
import { errorFacts } from "./errorFacts.js"
import { dateText } from "./errorText.js"

/** What a line says beside its text, unless it is undefined or empty. Never what was said by anybody. */
export type Fields = Readonly<Record<string, unknown>>

interface Line<Type extends EventType> {
  readonly level: LogLevel.LogLevel
  readonly text: string
  readonly fields: (event: EventOf<Type>) => Fields
}

/** What is logged of an event, where it is logged. */
export const lineOf = <Type extends EventType>(event: EventOf<Type>) => {
  const line: Line<Type> | undefined = lines[event._tag]
  return line && { ...line, fields: line.fields(event) }
}

/** The kinds of events that are lines at this level. */
export const typesAt = (minimum: LogLevel.LogLevel): ReadonlyArray<EventType> =>
  Struct.keys(lines).filter((type) => LogLevel.greaterThanEqual(lines[type]?.level ?? LogLevel.None, minimum))

// ---------------------------------------------------------------------------

const failure = (error: ClaudeError | undefined): Fields =>
  error === undefined ? {} : { error: error._tag, ...Records.mapKeys(errorFacts(error), (name) => `error.${name}`) }

const begun = Struct.pick("model")

const ended = (
  { costUsd, durationMs, error, firstMessageMs, model, outcome, usage }: EventOf<"QueryEnded" | "TurnCompleted">
): Fields => ({
  outcome,
  ...failure(error),
  model,
  durationMs,
  firstMessageMs,
  inputTokens: usage?.inputTokens,
  outputTokens: usage?.outputTokens,
  costUsd
})

const at = (level: LogLevel.LogLevel) => <E>(text: string, fields: (event: E) => Fields = () => ({})) => ({
  level,
  text,
  fields
})

const trace = at(LogLevel.Trace)
const debug = at(LogLevel.Debug)
const info = at(LogLevel.Info)
const warning = at(LogLevel.Warning)

/** A failed call is no warning: its caller has the error. */
const lines: { readonly [Type in EventType]?: Line<Type> } = {
  QueryStarted: debug("query started", begun),
  QueryEnded: info("query ended", ended),
  TurnStarted: debug("turn started", ({ model, turnNumber }) => ({ turn: turnNumber, model })),
  TurnCompleted: info("turn ended", (event) => ({ turn: event.turnNumber, ...ended(event) })),
  SessionCreated: debug("session created", begun),
  SessionResumed: debug("session resumed", begun),
  SessionClosed: debug("session closed", Struct.pick("turns", "durationMs", "costUsd")),
  SessionError: info("session error", ({ error }) => failure(error)),
  SessionPersisted: debug("session stored"),
  SessionLoaded: debug("session loaded", ({ turnCount }) => ({ turns: turnCount })),
  SessionDeleted: debug("session deleted"),
  MessageReceived: trace("message", ({ message }) => ({ kind: message._tag })),
  ToolCalled: debug("tool called", Struct.pick("tool", "toolUseId")),
  ToolFinished: debug("tool finished", ({ durationMs, isError, tool, toolUseId }) => ({
    tool,
    toolUseId,
    failed: isError,
    durationMs
  })),
  TokensUsed: trace("tokens used", Struct.pick("model", "inputTokens", "outputTokens", "estimated")),
  CostIncurred: trace("cost incurred", Struct.pick("model", "costUsd", "estimated")),
  ProcessStarted: debug("process started", ({ processId, warm }) => ({ processId, warm: warm || undefined })),
  ProcessEnded: debug("process ended", Struct.pick("processId", "lines", "unknown", "noise", "malformed")),
  Retrying: warning("trying again", ({ attempt, delayMs, error }) => ({ attempt, delayMs, ...failure(error) })),
  BreakerChanged: warning("circuit breaker", ({ state, until }) => ({ state, until: dateText(until) })),
  RateLimited: debug("waited for the rate limit", Struct.pick("waitedMs")),
  Queued: debug("waited for a process", Struct.pick("waitedMs")),
  Parked: warning("waiting for the subscription's limit", ({ limit, until }) => ({ limit, until: dateText(until) })),
  Unparked: info("waited for the subscription's limit", Struct.pick("limit", "waitedMs")),
  FellBack: warning("asking the fallback", ({ cause, error }) => ({ cause, ...failure(error) })),
  TimedOut: warning("time is up", Struct.pick("phase", "timeoutMs")),
  PermissionAsked: debug("permission asked", Struct.pick("tool", "toolUseId")),
  PermissionDecided: debug("permission decided", Struct.pick("tool", "toolUseId", "decision", "waitedMs")),
  BudgetWarning: warning("budget", Struct.pick("scope", "spentUsd", "limitUsd", "exceeded")),
  ContextEncoded: debug("context encoded", Struct.pick("format", "savedTokens"))
}
