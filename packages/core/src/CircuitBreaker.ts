/**
 * Refuses calls for a while when those before them have failed: a CLI or an API that is down is not asked again and again.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { CircuitBreakerError, type ClaudeError, type InvalidOptionsError } from "./ClaudeError.js"
import * as Events from "./Events.js"
import { Circuits, noStats, type Ticket, type Verdict } from "./internal/circuits.js"
import { saying } from "./internal/currentCall.js"
import { Observers } from "./internal/observed.js"
import * as Options from "./internal/policyOptions.js"
import { around, type Open } from "./internal/streamed.js"
import * as Policy from "./Policy.js"

export interface CircuitBreakerOptions {
  /** Failures in a row that open it. Default: 5. */
  readonly failureThreshold?: number | undefined
  /** How long it stays open. Default: 30 seconds. */
  readonly resetTimeout?: Duration.DurationInput | undefined
  /** Probes that must succeed, one after the other, before it closes. Default: 2. */
  readonly successThreshold?: number | undefined
  /** What is counted together. Default: the CLI, the account and the model. */
  readonly key?: ((target: Policy.Target) => string) | undefined
  /** Which failures count; the others count as neither failure nor success. Default: `isCounted`. */
  readonly counts?: ((error: ClaudeError) => boolean) | undefined
}

/** As of now: an open one whose time has come is `HalfOpen`, whether or not anybody has called. */
export type State =
  | { readonly _tag: "Closed"; readonly failures: number }
  /** `until` is in UTC epoch milliseconds. */
  | { readonly _tag: "Open"; readonly until: number }
  | { readonly _tag: "HalfOpen"; readonly successes: number; readonly probing: boolean }

export interface Change {
  readonly key: string
  readonly state: State
}

/** All that a breaker has seen, under all its keys. */
export interface Stats {
  /** Those that were let through. */
  readonly calls: number
  readonly successes: number
  /** Those that count. */
  readonly failures: number
  /** Those that were not let through. */
  readonly rejections: number
  /** UTC epoch milliseconds. */
  readonly lastSuccessAt: number | undefined
  readonly lastFailureAt: number | undefined
}

export class CircuitBreaker extends Context.Tag("@ccflow/core/CircuitBreaker")<
  CircuitBreaker,
  Policy.Policy & {
    /** Any effect under a key of one's own; `counts` says which of its failures count. Default: all. */
    readonly protect: <A, E, R>(
      key: string,
      effect: Effect.Effect<A, E, R>,
      counts?: (error: E) => boolean
    ) => Effect.Effect<A, E | CircuitBreakerError, R>
    readonly keyOf: (target: Policy.Target) => string
    readonly state: (key: string) => Effect.Effect<State>
    /** All that is not as at first. A key that nobody has asked for in an hour is as at first again. */
    readonly states: Effect.Effect<ReadonlyArray<Change>>
    /**
     * Each time one opens, closes, or lets a probe through for the first time since it opened. Who reads slowly misses
     * some.
     */
    readonly changes: Stream.Stream<Change>
    readonly stats: Effect.Effect<Stats>
    /** Closes it. Calls that are under way tell it nothing any more. */
    readonly reset: (key: string) => Effect.Effect<void>
  }
>() {}

export const make = (
  options: CircuitBreakerOptions = {}
): Effect.Effect<CircuitBreaker["Type"], InvalidOptionsError, Scope.Scope> =>
  Effect.gen(function*() {
    const {
      counts = isCounted,
      failureThreshold = 5,
      key: keyOf = defaultKey,
      resetTimeout = "30 seconds",
      successThreshold = 2
    } = yield* check(options)
    const circuits = new Circuits({ failureThreshold, successThreshold, resetMs: Duration.toMillis(resetTimeout) })
    const changes = yield* Observers.scoped<Change>()
    const events = yield* Events.current

    const now = <A>(f: (now: number) => A) => Effect.map(Clock.currentTimeMillis, f)
    const tell = (change: Change | undefined, callId?: string): void => {
      if (change === undefined) return
      events.tell({ ...eventOf(change), ...saying(callId) })
      changes.tell(change)
    }

    const admit = (key: string, callId?: string): Effect.Effect<Ticket, CircuitBreakerError> =>
      Effect.flatMap(now((now) => circuits.admit(key, now)), (admitted) => {
        if ("retryAfter" in admitted) {
          return new CircuitBreakerError({
            key,
            retryAfter: admitted.retryAfter,
            hint:
              "The calls before it have failed: see their errors. It lets a call through by itself when its time has come."
          })
        }
        tell(admitted.change, callId)
        return Effect.succeed(admitted.ticket)
      })

    const end = (ticket: Ticket, verdict: Verdict, callId?: string): Effect.Effect<void> =>
      now((now) => tell(circuits.end(ticket, verdict, now), callId))

    const verdictOf = (error: ClaudeError): Verdict => counts(error) ? "failed" : "neither"

    /** Whoever leaves early gives its place back when nothing of the run is left. */
    const guarded = ({ id, target }: Policy.Call, open: Open): Open =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function*() {
          const ticket = yield* admit(keyOf(target), id)
          const ended = (verdict: Verdict) => end(ticket, verdict, id)
          yield* Effect.addFinalizer(() => ended("neither"))
          const pull = yield* Effect.tapError(restore(open), (error) => ended(verdictOf(error)))
          return Effect.tapError(pull, (error) => ended(Option.isSome(error) ? verdictOf(error.value) : "succeeded"))
        })
      )

    return {
      around: (call) => around((open) => guarded(call, open)),
      protect: (key, effect, counts = () => true) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(admit(key), (ticket) =>
            Effect.onExit(restore(effect), (exit) => {
              const failed = Exit.isFailure(exit) && Option.exists(Cause.failureOption(exit.cause), counts)
              return end(ticket, Exit.isSuccess(exit) ? "succeeded" : failed ? "failed" : "neither")
            }))
        ),
      keyOf,
      state: (key) => now((now) => circuits.state(key, now)),
      states: now((now) => circuits.states(now)),
      changes: changes.stream,
      stats: Effect.sync(() => ({ ...circuits.stats })),
      reset: (key) => now((now) => tell(circuits.reset(key, now)))
    }
  })

export const layer = (options: CircuitBreakerOptions = {}): Layer.Layer<CircuitBreaker, InvalidOptionsError> =>
  Layer.scoped(CircuitBreaker, make(options))

export const layerConfig = Options.configured(layer)

/** Refuses nothing. */
export const layerNoop: Layer.Layer<CircuitBreaker> = Layer.succeed(CircuitBreaker, {
  ...Policy.noop,
  protect: <A, E, R>(_key: string, effect: Effect.Effect<A, E, R>) => effect,
  keyOf: () => "",
  state: () => Effect.succeed({ _tag: "Closed", failures: 0 }),
  states: Effect.succeed([]),
  changes: Stream.empty,
  stats: Effect.succeed(noStats),
  reset: () => Effect.void
})

/**
 * The CLI could not be started, died, hung or broke its protocol, or the API was down or not reached: the next call is
 * likely to fail, too. That there is no CLI is told better by its own error, and costs nothing to find out. What the
 * caller asked for, may not do or has used up says nothing of the next call, and neither do our own refusals, records and
 * limits.
 */
export const isCounted = (error: ClaudeError): boolean => {
  switch (error._tag) {
    case "MissingResultError":
    case "CliProtocolError":
    case "OverloadedError":
      return true
    case "CliSpawnError":
      // These two are about one call's options.
      return error.reason !== "CwdMissing" && error.reason !== "TooLarge"
    case "CliExitError":
      return error.reason !== "Interrupted" && error.reason !== "ConfigInvalid"
    case "CliTimeoutError":
      // How long it may take in all is the caller's choice.
      return error.phase === "startup" || error.phase === "stall"
    case "ApiError":
      return error.type === "connection_failed" ||
        (error.type !== "billing_error" && error.status !== null && error.status >= 500)
    case "ApiClientError":
      return error.status === null ? error.type !== "unsupported_option" : error.status >= 500
    default:
      return false
  }
}

// ---------------------------------------------------------------------------

const eventOf = ({ key, state }: Change): Events.Telling => ({
  _tag: "BreakerChanged",
  key,
  state: state._tag === "Open" ? "open" : state._tag === "HalfOpen" ? "halfOpen" : "closed",
  ...(state._tag === "Open" ? { until: state.until } : {})
})

const check = Options.checked(
  Schema.Struct({
    failureThreshold: Schema.optional(Options.Count),
    resetTimeout: Schema.optional(Options.TimeAboveZero),
    successThreshold: Schema.optional(Options.Count),
    key: Schema.optional(Options.Callback),
    counts: Schema.optional(Options.Callback)
  }),
  "circuitBreaker"
)

const defaultKey = ({ account, cli, model }: Policy.Target): string =>
  [cli, account, model].filter((part) => part !== "").join(" ")
