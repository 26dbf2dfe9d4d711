import * as Struct from "effect/Struct"
import type { LoggedEvent, LoggedFacts, LoggedType } from "../EventLog.js"
import type { Common, Event, EventOf, EventTypes } from "../Events.js"

/** What of an event may be kept: none of its content. Undefined where nothing of it is. @internal */
export const keptOf = (event: Event): LoggedEvent | undefined => {
  const { _tag } = event
  if (!isKept(_tag)) return undefined
  // The compiler does not see that an event and what is kept of it go by the same name.
  const facts: (event: never) => object = kept[_tag]
  return { _tag, ...common(event), ...facts(event as never) } as LoggedEvent
}

// ---------------------------------------------------------------------------

type Kept = { readonly [Type in LoggedType]: (event: EventOf<Type>) => LoggedFacts[Type] }

/** Names come from models and servers: they can be of any length. */
const short = (name: string): string => name.length > longestName ? name.slice(0, longestName) : name

const longestName = 200

const common = ({ at, callId, sessionId, traceId }: Common): Common => ({
  at,
  ...(callId === undefined ? {} : { callId: short(callId) }),
  ...(sessionId === undefined || sessionId === "" ? {} : { sessionId: short(sessionId) }),
  ...(traceId === undefined ? {} : { traceId: short(traceId) })
})

const ended = ({ durationMs, error, firstMessageMs, model, outcome }: EventTypes["QueryEnded"]) => ({
  outcome,
  model: short(model),
  durationMs,
  ...(firstMessageMs === undefined ? {} : { firstMessageMs }),
  ...(error === undefined ? {} : { error: error._tag })
})

const tool = ({ tool, toolUseId }: { readonly tool: string; readonly toolUseId: string }) => ({
  tool: short(tool),
  toolUseId: short(toolUseId)
})

const until = ({ until }: { readonly until?: number | undefined }) => until === undefined ? {} : { until }

const kept: Kept = {
  QueryStarted: ({ model }) => ({ model: short(model) }),
  QueryEnded: ended,
  TurnStarted: ({ model, turnNumber }) => ({ model: short(model), turnNumber }),
  TurnCompleted: (event) => ({ ...ended(event), turnNumber: event.turnNumber }),
  ToolCalled: tool,
  ToolFinished: (event) => ({
    ...tool(event),
    isError: event.isError,
    ...(event.durationMs === undefined ? {} : { durationMs: event.durationMs })
  }),
  Retrying: ({ attempt, delayMs, error }) => ({ attempt, delayMs, error: error._tag }),
  BreakerChanged: (event) => ({ key: short(event.key), state: event.state, ...until(event) }),
  RateLimited: Struct.pick("waitedMs"),
  Queued: Struct.pick("waitedMs"),
  Parked: (event) => ({ limit: short(event.limit), ...until(event) }),
  Unparked: ({ limit, waitedMs }) => ({ limit: short(limit), waitedMs }),
  FellBack: ({ cause, error }) => ({ cause: short(cause), error: error._tag }),
  TimedOut: ({ phase, timeoutMs }) => ({ phase: short(phase), timeoutMs }),
  PermissionAsked: tool,
  PermissionDecided: (event) => ({ ...tool(event), decision: event.decision, waitedMs: event.waitedMs })
}

/** What has anything that may be kept. @internal */
export const keptTypes: ReadonlyArray<LoggedType> = Struct.keys(kept)

const isKept = (type: string): type is LoggedType => Object.hasOwn(kept, type)
