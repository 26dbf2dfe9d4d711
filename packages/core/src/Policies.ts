/** All policies of a `Claude` in one place: which there are, in which order, and how a client asks for them. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Budget from "./Budget.js"
import * as CircuitBreaker from "./CircuitBreaker.js"
import type { InvalidOptionsError } from "./ClaudeError.js"
import * as Concurrency from "./Concurrency.js"
import * as Deadline from "./Deadline.js"
import { isAboveZero, numberIn } from "./internal/variable.js"
import { noop, type Policy } from "./Policy.js"
import * as RateLimiter from "./RateLimiter.js"
import * as Retry from "./Retry.js"
import * as UsageLimit from "./UsageLimit.js"

/** Those that are put around a stream. */
export type Around =
  | Budget.Budget
  | Retry.Retry
  | CircuitBreaker.CircuitBreaker
  | RateLimiter.RateLimiter
  | UsageLimit.UsageLimit

/** What a `Claude` needs. To replace one, merge another layer of it over these. */
export type Policies = Around | Deadline.Deadline | Concurrency.Concurrency

/** What a client asks of them. `false` does without one. */
export interface PolicyOptions {
  /**
   * What may be spent. Default: no limit; of a day that of `CCFLOW_DAILY_BUDGET_USD`, if it is set. More than the queries'
   * own budgets needs a `UsageLedger`, and is shared between programs by one that they share.
   */
  readonly budget?: Budget.BudgetOptions | false | undefined
  readonly retry?: Retry.RetryOptions | false | undefined
  readonly circuitBreaker?: CircuitBreaker.CircuitBreakerOptions | false | undefined
  /**
   * Default: no limit. Where the options say nothing of requests, those of
   * `CCFLOW_RATE_LIMIT_PER_MINUTE` hold, if it is set.
   */
  readonly rateLimit?: RateLimiter.RateLimiterOptions | false | undefined
  readonly usageLimit?: UsageLimit.UsageLimitOptions | false | undefined
  /**
   * CLI processes at once. Default: `CCFLOW_MAX_CONCURRENT`, else on Node what the machine, or its container, can hold:
   * four for each core, and one for each 512 MiB of half its memory, at least 2. One was seen to hold 160 MB at first and
   * 240 MB after 50 turns, and its MCP servers come on top. What waits is started in its turn; sessions at rest make room.
   */
  readonly maxConcurrent?: number | false | undefined
}

/** None but the deadlines, which a run cannot do without. */
export const layerNoop: Layer.Layer<Policies> = Layer.mergeAll(
  Budget.layerNoop,
  Retry.layerNoop,
  CircuitBreaker.layerNoop,
  RateLimiter.layerNoop,
  UsageLimit.layerNoop,
  Layer.orDie(Deadline.layer()),
  Concurrency.layerNoop
)

/** As asked for, else as the environment says, else as `defaults` do, else with the defaults of each. */
export const layerWith = (
  options: PolicyOptions,
  defaults: Pick<PolicyOptions, "maxConcurrent"> = {}
): Layer.Layer<Policies, InvalidOptionsError> =>
  Layer.unwrapEffect(Effect.map(
    fromEnvironment,
    (environment) =>
      layerOf({
        ...merged(options, environment),
        maxConcurrent: options.maxConcurrent ?? environment.maxConcurrent ?? defaults.maxConcurrent
      })
  ))

/** The defaults of each, and what the environment says. */
export const layer: Layer.Layer<Policies, InvalidOptionsError> = Layer.suspend(() => layerWith({}))

/**
 * Puts a policy of one's own around one of ours, for queries and for sessions' turns: outside of `Retry.Retry` it sees a
 * call once, outside of `CircuitBreaker.CircuitBreaker` each attempt. For example
 * `Policies.layer.pipe(Policies.outside(Retry.Retry, mine))`.
 */
export const outside =
  <Id, Service extends Policy>(ours: Context.Tag<Id, Service>, policy: Policy) =>
  <Out, E, R>(layer: Layer.Layer<Out | Id, E, R>): Layer.Layer<Out | Id, E, R> =>
    Layer.map(layer, (context) => {
      const inner = Context.get(context, ours)
      return Context.add(context, ours, { ...inner, around: composed(policy, inner).around })
    })

/**
 * Those that are put around a stream. `budget` is outermost: what may cost nothing more does not wait or count as a
 * failure, and whoever takes over for the others spends it as well. In the others a retry goes through the breaker again,
 * a call that waits for its turn is not one that fails, and no deadline runs before it may begin. `Deadline` and
 * `Concurrency` are within, where the process is.
 */
export const parts: Effect.Effect<{ readonly budget: Policy; readonly others: Policy }, never, Around> = Effect.map(
  Effect.all([
    Budget.Budget,
    Retry.Retry,
    CircuitBreaker.CircuitBreaker,
    RateLimiter.RateLimiter,
    UsageLimit.UsageLimit
  ]),
  ([budget, ...others]) => ({ budget, others: composed(...others) })
)

/** All of them as one. */
export const make: Effect.Effect<Policy, never, Around> = Effect.map(
  parts,
  ({ budget, others }) => composed(budget, others)
)

// ---------------------------------------------------------------------------

/** The first is outermost. Those that let everything through are left out. */
const composed = (...policies: ReadonlyArray<Policy>): Policy =>
  policies.filter(({ around }) => around !== noop.around).reduceRight(
    (inner, outer) =>
      inner === noop ? outer : { around: (call) => (messages) => outer.around(call)(inner.around(call)(messages)) },
    noop
  )

const aboveZero = (name: string) => numberIn(name, "a number above 0", isAboveZero)

const fromEnvironment = Effect.all({
  maxConcurrent: numberIn(
    "CCFLOW_MAX_CONCURRENT",
    "a whole number above 0",
    (value) => Number.isInteger(value) && value > 0
  ),
  requestsPerMinute: aboveZero("CCFLOW_RATE_LIMIT_PER_MINUTE"),
  perDayUsd: aboveZero("CCFLOW_DAILY_BUDGET_USD")
})

/** What the environment says of requests, or of a day, goes with what an option says of other limits. */
const merged = (
  { budget, rateLimit, ...options }: PolicyOptions,
  { perDayUsd, requestsPerMinute }: Effect.Effect.Success<typeof fromEnvironment>
): PolicyOptions => {
  const said = rateLimit === false || requestsPerMinute === undefined || rateLimit?.requestsPerMinute !== undefined ||
    rateLimit?.requestsPerWindow !== undefined
  return {
    ...options,
    budget: budget === false || perDayUsd === undefined || budget?.perDayUsd !== undefined
      ? budget
      : { ...budget, perDayUsd },
    rateLimit: said ? rateLimit : { ...rateLimit, requestsPerMinute }
  }
}

const layerOf = (
  { budget = false, circuitBreaker, maxConcurrent = false, rateLimit = false, retry, usageLimit }: PolicyOptions
): Layer.Layer<Policies, InvalidOptionsError> =>
  Layer.mergeAll(
    budget === false ? Budget.layerNoop : Budget.layer(budget),
    retry === false ? Retry.layerNoop : Retry.layer(retry),
    circuitBreaker === false ? CircuitBreaker.layerNoop : CircuitBreaker.layer(circuitBreaker),
    rateLimit === false ? RateLimiter.layerNoop : RateLimiter.layer(rateLimit),
    usageLimit === false ? UsageLimit.layerNoop : UsageLimit.layer(usageLimit),
    Deadline.layer(),
    maxConcurrent === false ? Concurrency.layerNoop : Concurrency.layer({ maxConcurrent })
  )
