/**
 * What happens, as it happens: every query, session and policy of a program tells it here. Telling never waits and never
 * fails; whoever listens slowly misses what lies far back, and harms nobody.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { BudgetChange } from "./Budget.js"
import type { Prompt } from "./Claude.js"
import type { ClaudeError } from "./ClaudeError.js"
import { hub } from "./internal/hub.js"
import type { ContextSavings, Message, Usage } from "./Message.js"
import type { SessionStats } from "./Session.js"

/** What every event has. */
export interface Common {
  /** UTC epoch milliseconds. */
  readonly at: number
  /** The call that it belongs to: one query, or one turn of a session, with all its attempts. */
  readonly callId?: string | undefined
  /** Where it is known by then. */
  readonly sessionId?: string | undefined
  /** The W3C trace id, where the call is traced. */
  readonly traceId?: string | undefined
}

/** How a call ended. `interrupted`: its caller left it, or asked for its end. */
export type CallOutcome = "success" | "failure" | "interrupted"

interface CallStarted extends Common {
  readonly callId: string
  /** Empty where the CLI chooses. */
  readonly model: string
  readonly prompt: Prompt
}

interface CallEnded extends Common {
  readonly callId: string
  readonly outcome: CallOutcome
  /** Only of a failure. */
  readonly error?: ClaudeError | undefined
  /** As the CLI resolved it; else as it was asked for. */
  readonly model: string
  /** From the call to its end, with all waits. */
  readonly durationMs: number
  /** From the call to its first message that was not only a notice. */
  readonly firstMessageMs?: number | undefined
  /** What the result says, where there was one. */
  readonly usage?: Usage | undefined
  readonly costUsd?: number | undefined
  /** The answer's text. */
  readonly result?: string | undefined
}

interface SessionBegun extends Common {
  /** Empty where the CLI chooses. */
  readonly model: string
  readonly tags: ReadonlyArray<string>
}

/** Each event by its name. */
export interface EventTypes {
  readonly QueryStarted: CallStarted
  readonly QueryEnded: CallEnded
  /** Its prompt has been taken; it may still wait for the turn before it. */
  readonly TurnStarted: CallStarted & { readonly turnNumber: number }
  readonly TurnCompleted: CallEnded & { readonly turnNumber: number }
  /** The session exists here. Its process is started when it is needed. A session begins by this or by the next, once. */
  readonly SessionCreated: SessionBegun
  /** The session exists here, and goes on with a conversation of before. `continueSession` does not know its id yet. */
  readonly SessionResumed: SessionBegun
  /** Once, by whomever and however often it is closed. */
  readonly SessionClosed: Common & SessionStats
  /** A turn has failed, because of the CLI or because its end could not be stored. `TurnCompleted` follows. */
  readonly SessionError: Common & { readonly error: ClaudeError }
  /** A turn's end is in the records. */
  readonly SessionPersisted: Common & { readonly sessionId: string }
  /** Its record was read in order to go on with it. */
  readonly SessionLoaded: Common & { readonly sessionId: string; readonly turnCount: number }
  readonly SessionDeleted: Common & { readonly sessionId: string }
  readonly MessageReceived: Common & { readonly message: Message }
  readonly ThinkingReceived: Common & { readonly content: string }
  readonly ToolCalled: Common & { readonly tool: string; readonly toolUseId: string; readonly input: unknown }
  readonly ToolFinished: Common & {
    readonly tool: string
    readonly toolUseId: string
    readonly isError: boolean
    readonly content: string
    readonly durationMs?: number | undefined
  }
  /** Once per model and result, as the ledger books it. */
  readonly TokensUsed: Common & Usage & {
    readonly model: string
    /** Of all four kinds. */
    readonly totalTokens: number
    readonly estimated: boolean
  }
  /** Once per model and result, as the ledger books it. */
  readonly CostIncurred: Common & {
    readonly model: string
    readonly costUsd: number
    readonly estimated: boolean
  }
  /** A CLI was started. */
  readonly ProcessStarted: Common & {
    /** One of our own, which no other process has had. */
    readonly processId: string
    /** For nobody yet. */
    readonly warm: boolean
  }
  /** It is gone. What its output was made of is counted in lines. */
  readonly ProcessEnded: Common & {
    readonly processId: string
    /** All of them. */
    readonly lines: number
    /** Frames of a kind that is not known here, or that have changed. */
    readonly unknown: number
    /** No JSON: what hooks and shells print between the frames. */
    readonly noise: number
    /** Broken, cut, or longer than the limit. */
    readonly malformed: number
  }
  /** A call is made again after this wait. */
  readonly Retrying: Common & { readonly attempt: number; readonly delayMs: number; readonly error: ClaudeError }
  readonly BreakerChanged: Common & {
    readonly key: string
    readonly state: "closed" | "open" | "halfOpen"
    readonly until?: number | undefined
  }
  /** A call has waited for the rate limit. */
  readonly RateLimited: Common & { readonly waitedMs: number }
  /** A call has waited for a process. */
  readonly Queued: Common & { readonly waitedMs: number }
  /** A call waits until a window of the subscription opens again. */
  readonly Parked: Common & { readonly limit: string; readonly until?: number | undefined }
  /** It waits no more: it goes on, or its caller has given it up. */
  readonly Unparked: Common & { readonly limit: string; readonly waitedMs: number }
  /** A call goes on with the fallback, whose answer is its end. */
  readonly FellBack: Common & { readonly cause: string; readonly error: ClaudeError }
  readonly TimedOut: Common & { readonly phase: string; readonly timeoutMs: number }
  /** The CLI asks whether a tool may run. */
  readonly PermissionAsked: Common & { readonly tool: string; readonly toolUseId: string }
  readonly PermissionDecided: Common & {
    readonly tool: string
    readonly toolUseId: string
    /** `withdrawn`: the CLI no longer wanted to know. */
    readonly decision: "allow" | "deny" | "withdrawn"
    readonly waitedMs: number
  }
  /** A budget is nearly, or wholly, spent. */
  readonly BudgetWarning: Common & Pick<BudgetChange, "scope" | "spentUsd" | "limitUsd" | "exceeded">
  /** Data for the model was encoded. Tokens are estimates; `saved` is below 0 where TOON would have been longer. */
  readonly ContextEncoded: Common & ContextSavings
}

export type EventType = keyof EventTypes

/** One kind of event. */
export type EventOf<Type extends EventType> = { readonly _tag: Type } & EventTypes[Type]

export type Event = { readonly [Type in EventType]: EventOf<Type> }[EventType]

/** What is told; the time is added. */
export type Telling = {
  readonly [Type in EventType]: { readonly _tag: Type } & Omit<EventTypes[Type], "at">
}[EventType]

export interface EventsService {
  /** Nobody would hear it, or nothing of this kind: what only an event needs need not be made. */
  readonly silent: (type?: EventType) => boolean
  readonly tell: (event: Telling) => void
  /**
   * Told in place, before `tell` returns: it must be short. The same one twice is told once. What it throws is lost.
   * Of all events, or of some kinds: those that nobody wants cost nothing.
   */
  readonly observe: (
    observer: (event: Event) => void,
    types?: ReadonlyArray<EventType>
  ) => Effect.Effect<void, never, Scope.Scope>
  /** From now on, until the scope or the bus closes. */
  readonly subscribe: (options?: SubscribeOptions) => Effect.Effect<Subscription, never, Scope.Scope>
  /** All, from now on. At most 1024 wait for a reader; then the oldest are dropped. */
  readonly stream: Stream.Stream<Event>
}

export interface SubscribeOptions {
  /** Default: all. */
  readonly types?: ReadonlyArray<EventType> | undefined
  /** Events that wait for a slow reader; then the oldest are dropped. Default: 1024. */
  readonly capacity?: number | undefined
}

export interface Subscription {
  /** For one reader. */
  readonly events: Stream.Stream<Event>
  /** How many the reader has missed so far. */
  readonly dropped: Effect.Effect<number>
}

/** A bus that its owner closes: then its streams end, when they have given what was told before. */
export interface ClosableEvents extends EventsService {
  readonly close: () => void
}

export class Events extends Context.Tag("@ccflow/core/Events")<Events, EventsService>() {}

/** For those who must have one before their program runs. It tells the time by this clock. */
export const unsafeMake = (clock: Clock.Clock): ClosableEvents => hub(() => clock.unsafeCurrentTimeMillis())

export const make: Effect.Effect<EventsService, never, Scope.Scope> = Effect.acquireRelease(
  Effect.map(Effect.clock, unsafeMake),
  (events) => Effect.sync(events.close)
)

export const layer: Layer.Layer<Events> = Layer.scoped(Events, make)

/** Nobody hears anything. */
export const noop: EventsService = {
  silent: () => true,
  tell: () => {},
  observe: () => Effect.void,
  subscribe: () => Effect.succeed({ events: Stream.empty, dropped: Effect.succeed(0) }),
  stream: Stream.empty
}

export const layerNoop: Layer.Layer<Events> = Layer.succeed(Events, noop)

/** Those of the program, or none. */
export const current: Effect.Effect<EventsService> = Effect.map(
  Effect.serviceOption(Events),
  Option.getOrElse(() => noop)
)

/** Narrows to one kind: `Stream.filter(Events.is("ToolCalled"))`. */
export const is = <Type extends EventType>(type: Type) => (event: Event): event is EventOf<Type> & Event =>
  event._tag === type
