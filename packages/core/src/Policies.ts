/**
 * All policies of a `Claude` in one place: which there are, in which order, and how a client asks for them.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CircuitBreaker from "./CircuitBreaker.js"
import type { InvalidOptionsError } from "./ClaudeError.js"
import * as Concurrency from "./Concurrency.js"
import * as Deadline from "./Deadline.js"
import { noop, type Policy } from "./Policy.js"
import * as RateLimiter from "./RateLimiter.js"
import * as Retry from "./Retry.js"
import * as UsageLimit from "./UsageLimit.js"

/** What a `Claude` needs. To replace one, merge another layer of it over these. */
export type Policies =
  | Retry.Retry
  | CircuitBreaker.CircuitBreaker
  | RateLimiter.RateLimiter
  | UsageLimit.UsageLimit
  | Deadline.Deadline
  | Concurrency.Concurrency

/** What a client asks of them. `false` does without one. */
export interface PolicyOptions {
  readonly retry?: Retry.RetryOptions | false | undefined
  readonly circuitBreaker?: CircuitBreaker.CircuitBreakerOptions | false | undefined
  /** Default: `CCFLOW_RATE_LIMIT_PER_MINUTE`, else no limit. */
  readonly rateLimit?: RateLimiter.RateLimiterOptions | false | undefined
  readonly usageLimit?: UsageLimit.UsageLimitOptions | false | undefined
  /** CLI processes at once. Default: `CCFLOW_MAX_CONCURRENT`, else what the machine can hold. */
  readonly maxConcurrent?: number | false | undefined
}

/** None but the deadlines, which a run cannot do without. */
export const layerNoop: Layer.Layer<Policies> = Layer.mergeAll(
  Retry.layerNoop,
  CircuitBreaker.layerNoop,
  RateLimiter.layerNoop,
  UsageLimit.layerNoop,
  Layer.orDie(Deadline.layer()),
  Concurrency.layerNoop
)

/** As asked for, with the defaults of each; without a limit of processes where none is given. */
export const layerWith = (
  { circuitBreaker, maxConcurrent = false, rateLimit = false, retry, usageLimit }: PolicyOptions
): Layer.Layer<Policies, InvalidOptionsError> =>
  Layer.mergeAll(
    retry === false ? Retry.layerNoop : Retry.layer(retry),
    circuitBreaker === false ? CircuitBreaker.layerNoop : CircuitBreaker.layer(circuitBreaker),
    rateLimit === false ? RateLimiter.layerNoop : RateLimiter.layer(rateLimit),
    usageLimit === false ? UsageLimit.layerNoop : UsageLimit.layer(usageLimit),
    Deadline.layer(),
    maxConcurrent === false ? Concurrency.layerNoop : Concurrency.layer({ maxConcurrent })
  )

/** The defaults of each. */
export const layer: Layer.Layer<Policies> = Layer.orDie(layerWith({}))

/**
 * Those that are put around a stream, as one. Outermost first: a retry goes through the breaker again, a call that waits
 * for its turn is not one that fails, and no deadline runs before it may begin. `Deadline` and `Concurrency` are within,
 * where the process is.
 */
export const make: Effect.Effect<
  Policy,
  never,
  Retry.Retry | CircuitBreaker.CircuitBreaker | RateLimiter.RateLimiter | UsageLimit.UsageLimit
> = Effect.gen(function*() {
  const retry = yield* Retry.Retry
  const breaker = yield* CircuitBreaker.CircuitBreaker
  const rateLimiter = yield* RateLimiter.RateLimiter
  const usageLimit = yield* UsageLimit.UsageLimit
  const all = [retry, breaker, rateLimiter, usageLimit]
  if (all.every(({ around }) => around === noop.around)) return noop
  return {
    around: (call) => (messages) =>
      messages.pipe(
        usageLimit.around(call),
        rateLimiter.around(call),
        breaker.around(call),
        retry.around(call)
      )
  }
})
