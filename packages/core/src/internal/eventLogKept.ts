import type { LoggedEvent, LoggedType } from "../EventLog.js"
import type { Common, Event, EventTypes } from "../Events.js"

/** What has anything that may be kept. @internal */
export const keptTypes: ReadonlyArray<LoggedType> = [
  "QueryStarted",
  "QueryEnded",
  "TurnStarted",
  "TurnCompleted",
  "ToolCalled",
  "ToolFinished",
  "Retrying",
  "BreakerChanged",
  "RateLimited",
  "Queued",
  "Parked",
  "Unparked",
  "FellBack",
  "TimedOut",
  "PermissionAsked",
  "PermissionDecided"
]

/** What of an event may be kept: none of its content. Undefined where nothing of it is. @internal */
export const keptOf = (event: Event): LoggedEvent | undefined => {
  switch (event._tag) {
    case "QueryStarted":
      return { _tag: event._tag, ...common(event), model: short(event.model) }
    case "QueryEnded":
      return { _tag: event._tag, ...common(event), ...ended(event) }
    case "TurnStarted":
      return { _tag: event._tag, ...common(event), model: short(event.model), turnNumber: event.turnNumber }
    case "TurnCompleted":
      return { _tag: event._tag, ...common(event), ...ended(event), turnNumber: event.turnNumber }
    case "ToolCalled":
    case "PermissionAsked":
      return { _tag: event._tag, ...common(event), ...tool(event) }
    case "ToolFinished":
      return {
        _tag: event._tag,
        ...common(event),
        ...tool(event),
        isError: event.isError,
        ...(event.durationMs === undefined ? {} : { durationMs: event.durationMs })
      }
    case "PermissionDecided":
      return {
        _tag: event._tag,
        ...common(event),
        ...tool(event),
        decision: event.decision,
        waitedMs: event.waitedMs
      }
    case "Retrying":
      return {
        _tag: event._tag,
        ...common(event),
        attempt: event.attempt,
        delayMs: event.delayMs,
        error: event.error._tag
      }
    case "BreakerChanged":
      return { _tag: event._tag, ...common(event), key: short(event.key), state: event.state, ...until(event) }
    case "RateLimited":
    case "Queued":
      return { _tag: event._tag, ...common(event), waitedMs: event.waitedMs }
    case "Parked":
      return { _tag: event._tag, ...common(event), limit: short(event.limit), ...until(event) }
    case "Unparked":
      return { _tag: event._tag, ...common(event), limit: short(event.limit), waitedMs: event.waitedMs }
    case "FellBack":
      return { _tag: event._tag, ...common(event), cause: short(event.cause), error: event.error._tag }
    case "TimedOut":
      return { _tag: event._tag, ...common(event), phase: short(event.phase), timeoutMs: event.timeoutMs }
    default:
      return undefined
  }
}

// ---------------------------------------------------------------------------

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
