/** What happens, told to listeners. */
import type { Event, EventOf, EventType as Type } from "@ccflow/core/Events"
import * as Events from "@ccflow/core/Events"
import { type EventStream, eventStream, type EventStreamOptions } from "./internal/eventStream.js"
import * as Owner from "./Owner.js"

export type { EventStream, EventStreamOptions } from "./internal/eventStream.js"

/**
 * Listeners are called one after the other, in the order of the events, and soon after them: before the promise, or the
 * iteration, ends whose call it was that told them. What one of them throws or rejects with is told once as a warning of
 * the process; a promise is not waited for. Listening keeps no program alive, and ends with the client. A loop over the
 * events comes to them in its own time.
 */
export interface Emitter extends AsyncIterable<Event> {
  /** What it gives ends it. The same listener twice for one type is called once. */
  on<T extends Type>(type: T, listener: (event: EventOf<T>) => unknown): () => void
  onAny(listener: (event: Event) => unknown): () => void
  once<T extends Type>(type: T, listener: (event: EventOf<T>) => unknown): () => void
  /** False where it did not listen. */
  off<T extends Type>(type: T, listener: (event: EventOf<T>) => unknown): boolean
  /** For `for await`, from now on. It ends when the loop is left, or the client is closed. */
  stream(options?: EventStreamOptions): EventStream
}

/** Of one client. */
export const make = ({ events: flow }: Pick<Owner.Owner, "events">): Emitter => {
  const add = <T extends Type>(type: T, listener: (event: EventOf<T>) => unknown, before: () => void = () => {}) => {
    const isOurs = Events.is(type)
    return flow.add(type, listener, (event) => {
      before()
      return isOurs(event) ? listener(event) : undefined
    })
  }
  const stream = (options?: EventStreamOptions) => eventStream(flow, options)
  return {
    on: (type, listener) => add(type, listener),
    onAny: (listener) => flow.add("any", listener, listener),
    once: (type, listener) => {
      const stop: () => void = add(type, listener, () => stop())
      return stop
    },
    off: (type, listener) => flow.remove(type, listener),
    stream,
    [Symbol.asyncIterator]: () => stream()
  }
}

/** Of the top-level functions, such as `query`. */
export const getEmitter = (): Emitter => shared ??= make(Owner.shared())

/** The names of the events, for those who like constants better than text. */
export const EventType = {
  QUERY_STARTED: "QueryStarted",
  QUERY_ENDED: "QueryEnded",
  SESSION_CREATED: "SessionCreated",
  SESSION_RESUMED: "SessionResumed",
  SESSION_CLOSED: "SessionClosed",
  SESSION_ERROR: "SessionError",
  SESSION_PERSISTED: "SessionPersisted",
  SESSION_LOADED: "SessionLoaded",
  SESSION_DELETED: "SessionDeleted",
  TURN_STARTED: "TurnStarted",
  TURN_COMPLETED: "TurnCompleted",
  MESSAGE_RECEIVED: "MessageReceived",
  THINKING_RECEIVED: "ThinkingReceived",
  TOOL_CALLED: "ToolCalled",
  TOOL_RESULT: "ToolFinished",
  TOKENS_USED: "TokensUsed",
  COST_INCURRED: "CostIncurred",
  PROCESS_STARTED: "ProcessStarted",
  PROCESS_ENDED: "ProcessEnded",
  RETRYING: "Retrying",
  BREAKER_CHANGED: "BreakerChanged",
  RATE_LIMITED: "RateLimited",
  QUEUED: "Queued",
  PARKED: "Parked",
  UNPARKED: "Unparked",
  FELL_BACK: "FellBack",
  TIMED_OUT: "TimedOut",
  PERMISSION_ASKED: "PermissionAsked",
  PERMISSION_DECIDED: "PermissionDecided",
  BUDGET_WARNING: "BudgetWarning",
  CONTEXT_ENCODED: "ContextEncoded"
} as const satisfies Readonly<Record<string, Type>>
export type EventType = Type

// ---------------------------------------------------------------------------

let shared: Emitter | undefined
