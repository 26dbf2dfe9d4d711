/**
 * What happens, as it happens: every query, session and policy of a program tells it here. Telling never waits and never
 * fails; whoever listens slowly misses what lies far back, and harms nobody.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Prompt } from "./Claude.js"
import type { ClaudeError } from "./ClaudeError.js"
import { Hub } from "./internal/hub.js"
import type { Message, Usage } from "./Message.js"

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

/** Each event by its name. */
export interface EventTypes {
  readonly QueryStarted: CallStarted
  readonly QueryEnded: CallEnded
  /** Its prompt has been taken; it may still wait for the turn before it. */
  readonly TurnStarted: CallStarted & { readonly turnNumber: number }
  readonly TurnCompleted: CallEnded & { readonly turnNumber: number }
  /** The session exists here. Its process is started when it is needed. */
  readonly SessionCreated: Common & { readonly model: string; readonly tags: ReadonlyArray<string> }
  /** It goes on with a conversation that was begun before, here or elsewhere. */
  readonly SessionResumed: Common & { readonly sessionId: string }
  readonly SessionClosed: Common & {
    readonly turns: number
    readonly inputTokens: number
    readonly outputTokens: number
    readonly costUsd: number
    readonly durationMs: number
  }
  /** A turn has failed, or the session could not be started or stored. */
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
  /** A CLI was started, for whatever reason. */
  readonly ProcessStarted: Common & { readonly processId: string; readonly warm: boolean }
  readonly ProcessEnded: Common & {
    readonly processId: string
    readonly lines: number
    readonly unknown: number
    readonly noise: number
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
  readonly Unparked: Common & { readonly limit: string; readonly waitedMs: number }
  readonly FellBack: Common & { readonly cause: string; readonly error: ClaudeError }
  readonly TimedOut: Common & { readonly phase: string; readonly timeoutMs: number }
  /** The CLI asks whether a tool may run. */
  readonly PermissionAsked: Common & { readonly tool: string; readonly toolUseId: string }
  readonly PermissionDecided: Common & {
    readonly tool: string
    readonly toolUseId: string
    readonly decision: "allow" | "deny"
    readonly waitedMs: number
  }
  /** A budget is nearly, or wholly, spent. */
  readonly BudgetWarning: Common & {
    readonly scope: "query" | "session" | "batch" | "day"
    readonly spentUsd: number
    readonly limitUsd: number
    readonly exceeded: boolean
  }
  /** Data for the model was encoded. Tokens are estimates; `saved` is below 0 where TOON would have been longer. */
  readonly ContextEncoded: Common & {
    readonly format: "toon" | "json"
    readonly jsonTokens: number
    readonly toonTokens: number
    readonly savedTokens: number
  }
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
  /** Nobody would hear it: what only an event needs need not be made. */
  readonly silent: () => boolean
  readonly tell: (event: Telling) => void
  /** Told in place, before `tell` returns: it must be short. The same one twice is told once. What it throws is lost. */
  readonly observe: (observer: (event: Event) => void) => Effect.Effect<void, never, Scope.Scope>
  /** From now on. At most 1024 wait for a reader; then the oldest are dropped. */
  readonly stream: Stream.Stream<Event>
}

export class Events extends Context.Tag("@ccflow/core/Events")<Events, EventsService>() {}

export const make: Effect.Effect<EventsService> = Effect.map(
  Effect.clock,
  (clock) => new Hub(() => clock.unsafeCurrentTimeMillis())
)

export const layer: Layer.Layer<Events> = Layer.effect(Events, make)

/** Nobody hears anything. */
export const noop: EventsService = {
  silent: () => true,
  tell: () => {},
  observe: () => Effect.void,
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
