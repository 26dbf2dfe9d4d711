import * as LogLevel from "effect/LogLevel"
import type { ClaudeError } from "../ClaudeError.js"
import type { Event, EventOf, EventType } from "../Events.js"
import { errorFacts } from "./errorFacts.js"
import { dateText } from "./errorText.js"

/** What a line says beside its text. Never what was said by anybody. */
export type Fields = Readonly<Record<string, unknown>>

interface Line<Type extends EventType> {
  readonly level: LogLevel.LogLevel
  readonly text: string
  readonly fields?: (event: EventOf<Type>) => Fields
}

/** What is logged of an event, where it is logged. */
export const lineOf = (
  event: Event
): { readonly level: LogLevel.LogLevel; readonly text: string; readonly fields: Fields } | undefined =>
  of(event._tag, event)

/** The kinds of events that are lines at this level. */
export const typesAt = (minimum: LogLevel.LogLevel): ReadonlyArray<EventType> =>
  (Object.keys(lines) as ReadonlyArray<EventType>).filter((type) =>
    LogLevel.greaterThanEqual(lines[type]?.level ?? LogLevel.None, minimum)
  )

// ---------------------------------------------------------------------------

const of = <Type extends EventType>(type: Type, event: Event) => {
  const line: Line<Type> | undefined = lines[type]
  if (line === undefined) return undefined
  const fields = line.fields?.(event as EventOf<Type>) ?? {}
  return { level: line.level, text: line.text, fields }
}

const failure = (error: ClaudeError | undefined): Fields =>
  error === undefined ? {} : {
    error: error._tag,
    ...Object.fromEntries(Object.entries(errorFacts(error)).map(([name, value]) => [`error.${name}`, value]))
  }

const begun = ({ model }: { readonly model: string }): Fields => model === "" ? {} : { model }

const ended = (
  { costUsd, durationMs, error, firstMessageMs, model, outcome, usage }: EventOf<"QueryEnded" | "TurnCompleted">
): Fields => ({
  outcome,
  ...failure(error),
  ...begun({ model }),
  durationMs,
  ...(firstMessageMs === undefined ? {} : { firstMessageMs }),
  ...(usage === undefined ? {} : { inputTokens: usage.inputTokens, outputTokens: usage.outputTokens }),
  ...(costUsd === undefined ? {} : { costUsd })
})

const time = (at: number | undefined): Fields => {
  const until = dateText(at)
  return until === undefined ? {} : { until }
}

const { Debug, Info, Trace, Warning } = LogLevel

/** A failed call is no warning: its caller has the error. */
const lines: { readonly [Type in EventType]?: Line<Type> } = {
  QueryStarted: { level: Debug, text: "query started", fields: begun },
  QueryEnded: { level: Info, text: "query ended", fields: ended },
  TurnStarted: {
    level: Debug,
    text: "turn started",
    fields: ({ model, turnNumber }) => ({ turn: turnNumber, ...begun({ model }) })
  },
  TurnCompleted: { level: Info, text: "turn ended", fields: (event) => ({ turn: event.turnNumber, ...ended(event) }) },
  SessionCreated: { level: Debug, text: "session created", fields: begun },
  SessionResumed: { level: Debug, text: "session resumed", fields: begun },
  SessionClosed: {
    level: Debug,
    text: "session closed",
    fields: ({ costUsd, durationMs, turns }) => ({ turns, durationMs, costUsd })
  },
  SessionError: { level: Info, text: "session error", fields: ({ error }) => failure(error) },
  SessionPersisted: { level: Debug, text: "session stored" },
  SessionLoaded: { level: Debug, text: "session loaded", fields: ({ turnCount }) => ({ turns: turnCount }) },
  SessionDeleted: { level: Debug, text: "session deleted" },
  MessageReceived: { level: Trace, text: "message", fields: ({ message }) => ({ kind: message._tag }) },
  ToolCalled: { level: Debug, text: "tool called", fields: ({ tool, toolUseId }) => ({ tool, toolUseId }) },
  ToolFinished: {
    level: Debug,
    text: "tool finished",
    fields: ({ durationMs, isError, tool, toolUseId }) => ({
      tool,
      toolUseId,
      failed: isError,
      ...(durationMs === undefined ? {} : { durationMs })
    })
  },
  TokensUsed: {
    level: Trace,
    text: "tokens used",
    fields: ({ estimated, inputTokens, model, outputTokens }) => ({ model, inputTokens, outputTokens, estimated })
  },
  CostIncurred: {
    level: Trace,
    text: "cost incurred",
    fields: ({ costUsd, estimated, model }) => ({ model, costUsd, estimated })
  },
  ProcessStarted: {
    level: Debug,
    text: "process started",
    fields: ({ processId, warm }) => ({ processId, ...(warm ? { warm } : {}) })
  },
  ProcessEnded: {
    level: Debug,
    text: "process ended",
    fields: ({ lines, malformed, noise, processId, unknown }) => ({ processId, lines, unknown, noise, malformed })
  },
  Retrying: {
    level: Warning,
    text: "trying again",
    fields: ({ attempt, delayMs, error }) => ({ attempt, delayMs, ...failure(error) })
  },
  BreakerChanged: {
    level: Warning,
    text: "circuit breaker",
    fields: ({ state, until }) => ({ state, ...time(until) })
  },
  RateLimited: { level: Debug, text: "waited for the rate limit", fields: ({ waitedMs }) => ({ waitedMs }) },
  Queued: { level: Debug, text: "waited for a process", fields: ({ waitedMs }) => ({ waitedMs }) },
  Parked: {
    level: Warning,
    text: "waiting for the subscription's limit",
    fields: ({ limit, until }) => ({ limit, ...time(until) })
  },
  Unparked: {
    level: Info,
    text: "waited for the subscription's limit",
    fields: ({ limit, waitedMs }) => ({ limit, waitedMs })
  },
  FellBack: {
    level: Warning,
    text: "asking the fallback",
    fields: ({ cause, error }) => ({ cause, ...failure(error) })
  },
  TimedOut: { level: Warning, text: "time is up", fields: ({ phase, timeoutMs }) => ({ phase, timeoutMs }) },
  PermissionAsked: {
    level: Debug,
    text: "permission asked",
    fields: ({ tool, toolUseId }) => ({ tool, toolUseId })
  },
  PermissionDecided: {
    level: Debug,
    text: "permission decided",
    fields: ({ decision, tool, toolUseId, waitedMs }) => ({ tool, toolUseId, decision, waitedMs })
  },
  BudgetWarning: {
    level: Warning,
    text: "budget",
    fields: ({ exceeded, limitUsd, scope, spentUsd }) => ({ scope, spentUsd, limitUsd, exceeded })
  },
  ContextEncoded: {
    level: Debug,
    text: "context encoded",
    fields: ({ format, savedTokens }) => ({ format, savedTokens })
  }
}
