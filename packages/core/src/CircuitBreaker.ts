/**
 * Refuses calls for a while when those before them have failed: a CLI or an API that is down is not asked again and again.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { CircuitBreakerError, InvalidOptionsError } from "./ClaudeError.js"
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
    /** All that is not as at first. */
    readonly states: Effect.Effect<ReadonlyArray<Change>>
    readonly changes: Stream.Stream<Change>
    /** Closes it. */
    readonly reset: (key: string) => Effect.Effect<void>
  }
>() {}

/** Refuses nothing. */
export const layerNoop: Layer.Layer<CircuitBreaker> = Layer.succeed(CircuitBreaker, {
  ...Policy.noop,
  protect: (_key, effect) => effect,
  keyOf: () => "",
  state: () => Effect.succeed({ _tag: "Closed", failures: 0 }),
  states: Effect.succeed([]),
  changes: Stream.empty,
  reset: () => Effect.void
})

export const layer = (_options: CircuitBreakerOptions = {}): Layer.Layer<CircuitBreaker, InvalidOptionsError> =>
  layerNoop
