/**
 * What became of each call, kept: when it began and ended, its tools, its retries and what it waited for. Nothing that
 * was said is in it: no prompt, no answer, no input of a tool, of an error its name alone.
 *
 * `layerKeeping` fills it from the bus, behind the back of the calls. `layerMemory` forgets with its layer;
 * `@ccflow/sql` keeps.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SessionStoreError } from "./ClaudeError.js"
import { type Common, Events, type EventTypes } from "./Events.js"
import { keeper } from "./internal/eventLogKeeper.js"
import { keptTypes } from "./internal/eventLogKept.js"
import { memoryEventLog } from "./internal/eventLogMemory.js"
import { checked, inputError } from "./SessionRecord.js"
import { PageLimit } from "./UsageFilter.js"

interface Failed {
  /** The error's name. */
  readonly error: string
}

/** How a call ended, and how long that took, in milliseconds; of a failure also the error's name. */
type Ended =
  & Pick<EventTypes["QueryEnded"], "outcome" | "model" | "durationMs" | "firstMessageMs">
  & { readonly error?: string | undefined }

/** What is kept of each kind of event. */
export interface LoggedFacts {
  readonly QueryStarted: Pick<EventTypes["QueryStarted"], "model">
  readonly QueryEnded: Ended
  readonly TurnStarted: Pick<EventTypes["TurnStarted"], "model" | "turnNumber">
  readonly TurnCompleted: Ended & Pick<EventTypes["TurnCompleted"], "turnNumber">
  readonly ToolCalled: Pick<EventTypes["ToolCalled"], "tool" | "toolUseId">
  readonly ToolFinished: Pick<EventTypes["ToolFinished"], "tool" | "toolUseId" | "isError" | "durationMs">
  readonly Retrying: Pick<EventTypes["Retrying"], "attempt" | "delayMs"> & Failed
  readonly BreakerChanged: Pick<EventTypes["BreakerChanged"], "key" | "state" | "until">
  readonly RateLimited: Pick<EventTypes["RateLimited"], "waitedMs">
  readonly Queued: Pick<EventTypes["Queued"], "waitedMs">
  readonly Parked: Pick<EventTypes["Parked"], "limit" | "until">
  readonly Unparked: Pick<EventTypes["Unparked"], "limit" | "waitedMs">
  readonly FellBack: Pick<EventTypes["FellBack"], "cause"> & Failed
  readonly TimedOut: Pick<EventTypes["TimedOut"], "phase" | "timeoutMs">
  readonly PermissionAsked: Pick<EventTypes["PermissionAsked"], "tool" | "toolUseId">
  readonly PermissionDecided: Pick<EventTypes["PermissionDecided"], "tool" | "toolUseId" | "decision" | "waitedMs">
}

export type LoggedType = keyof LoggedFacts

/** One kind of them. Names are at most 200 characters long. */
export type LoggedOf<Type extends LoggedType> = { readonly _tag: Type } & Common & LoggedFacts[Type]

export type LoggedEvent = { readonly [Type in LoggedType]: LoggedOf<Type> }[LoggedType]

/** All conditions that are given must hold. */
export interface EventFilter {
  /** UTC epoch milliseconds: from here on. */
  readonly since?: number | undefined
  /** UTC epoch milliseconds: before this. */
  readonly until?: number | undefined
  readonly sessionId?: string | undefined
  readonly callId?: string | undefined
  /** Any of these. */
  readonly types?: ReadonlyArray<LoggedType> | undefined
}

/** Which page: behind `after`, at most `limit` events (1 to 1,000, default 100). */
export interface EventPageOptions {
  /** The `next` of the page before, which must have been in the same order. */
  readonly after?: string | undefined
  readonly limit?: number | undefined
  /** Default: the oldest first. */
  readonly newestFirst?: boolean | undefined
}

/** `next` is there when there is more: give it as `after`. */
export interface EventPage {
  readonly events: ReadonlyArray<LoggedEvent>
  readonly next?: string
}

/** What need not be kept any longer. */
export interface Retention {
  /** UTC epoch milliseconds: what happened before this. */
  readonly before: number
  /** Of the rest the latest so many stay. */
  readonly most: number
}

export interface EventLogService {
  readonly append: (events: ReadonlyArray<LoggedEvent>) => Effect.Effect<void, SessionStoreError>
  /** By time, and what happened at the same time in the order in which it was appended. */
  readonly read: (filter?: EventFilter & EventPageOptions) => Effect.Effect<EventPage, SessionStoreError>
  readonly forget: (retention: Retention) => Effect.Effect<void, SessionStoreError>
}

export class EventLog extends Context.Tag("@ccflow/core/EventLog")<EventLog, EventLogService>() {}

/** For as long as the layer lives. */
export const layerMemory: Layer.Layer<EventLog> = Layer.sync(EventLog, memoryEventLog)

/** How events are kept. */
export interface KeepingOptions {
  /** How long events may wait for others, to be written together. The end of a call waits for nobody. Default: 1 second. */
  readonly every?: Duration.DurationInput | undefined
  /** Default: 90 days. */
  readonly maxAge?: Duration.DurationInput | undefined
  /** Default: 250,000. */
  readonly maxEvents?: number | undefined
  /** What closing waits for the last events to be written. Default: 2 seconds. */
  readonly grace?: Duration.DurationInput | undefined
}

/**
 * Keeps what the bus tells. No call waits for it or fails by it: a log that cannot be written is told once as a warning,
 * and where it is too slow, the oldest of more than 8,192 waiting events are dropped.
 */
export const layerKeeping = (options: KeepingOptions = {}): Layer.Layer<never, never, EventLog | Events> =>
  Layer.scopedDiscard(Effect.gen(function*() {
    const { tell, work } = keeper(yield* EventLog, options)
    const { observe } = yield* Events
    yield* work
    yield* observe(tell, keptTypes)
  }))

/** What a page asks for, with the defaults filled in. For those who make a log of their own. */
export interface Resolved {
  readonly after: Position | undefined
  readonly limit: number
  readonly newestFirst: boolean
}

/** An event's place in the order. */
export interface Position {
  readonly at: number
  readonly id: number
}

/** Refuses what is no page. */
export const resolvePage = (page: EventPageOptions): Effect.Effect<Resolved, SessionStoreError> =>
  Effect.gen(function*() {
    const limit = yield* checked("readEvents", PageLimit, page.limit ?? 100)
    const [, at, id] = /^(-?\d+):(\d+)$/.exec(page.after ?? "") ?? []
    if (page.after !== undefined && id === undefined) {
      return yield* inputError("readEvents", "after is not the next of a page")
    }
    const after = id === undefined ? undefined : { at: Number(at), id: Number(id) }
    return { after, limit, newestFirst: page.newestFirst ?? false }
  })

/** What follows this one is the next page. */
export const cursorOf = ({ at, id }: Position): string => `${at}:${id}`
