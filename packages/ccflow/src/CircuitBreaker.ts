/** A circuit breaker for what a program does itself, and a view of the one that the queries go through. */
import * as Breaker from "@ccflow/core/CircuitBreaker"
import { ClaudeError } from "@ccflow/core/ClaudeError"
import { targetOf } from "@ccflow/core/Policy"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Standing from "./internal/standing.js"
import * as Owner from "./Owner.js"

export interface CircuitBreakerConfig
  extends Pick<Breaker.CircuitBreakerOptions, "failureThreshold" | "resetTimeout" | "successThreshold">
{
  /** For the errors that it throws. Default: `default`. */
  readonly name?: string | undefined
  /**
   * Which failures count; the others count as neither failure nor success. Default: of the errors of queries those that
   * are about the CLI or the API, and all others but an `AbortError`.
   */
  readonly counts?: ((error: unknown) => boolean) | undefined
}

/** As of now: `half_open` when its time has come, whether or not anybody has called. */
export type CircuitState = "closed" | "open" | "half_open"

export interface CircuitBreakerStats {
  readonly state: CircuitState
  /** In a row, while it is closed. */
  readonly failureCount: number
  /** Of probes, while it is half open. */
  readonly successCount: number
  /** Those that were let through. */
  readonly totalCalls: number
  readonly totalFailures: number
  readonly totalRejections: number
  /** UTC epoch milliseconds. */
  readonly lastFailureTime: number | undefined
  readonly lastSuccessTime: number | undefined
}

/** Refuses calls for a while, with a `CircuitBreakerError`, when those before them have failed. It needs no timer. */
export class CircuitBreaker {
  readonly name: string
  private readonly counts: (error: unknown) => boolean
  private readonly owner: Owner.Owner | undefined
  private readonly breaker: Standing.Standing<Service>

  /** With an owner it is a view of the breaker that is there already. */
  constructor({ counts = isCounted, name = "default", ...options }: CircuitBreakerConfig = {}, owner?: Owner.Owner) {
    this.name = name
    this.counts = counts
    this.owner = owner
    this.breaker = owner === undefined
      ? Standing.alone(Breaker.make(options))
      : Standing.of(owner, Breaker.CircuitBreaker)
  }

  get state(): CircuitState {
    return this.stats.state
  }

  get stats(): CircuitBreakerStats {
    const [changes, seen] = this.breaker.now((breaker) => Effect.all([breaker.states, breaker.stats])) ?? [[]]
    const states = changes.map(({ state }) => state)
    const some = (tag: Breaker.State["_tag"]) => states.some(({ _tag }) => _tag === tag)
    return {
      state: some("Open") ? "open" : some("HalfOpen") ? "half_open" : "closed",
      failureCount: Math.max(0, ...states.map((state) => state._tag === "Closed" ? state.failures : 0)),
      successCount: Math.max(0, ...states.map((state) => state._tag === "HalfOpen" ? state.successes : 0)),
      totalCalls: seen?.calls ?? 0,
      totalFailures: seen?.failures ?? 0,
      totalRejections: seen?.rejections ?? 0,
      lastFailureTime: seen?.lastFailureAt,
      lastSuccessTime: seen?.lastSuccessAt
    }
  }

  /** Calls `fn`, if it is let through, and throws what it throws. */
  call<A>(fn: () => A | PromiseLike<A>): Promise<A> {
    const calling = Effect.tryPromise({ try: async () => fn(), catch: (error) => error })
    return Owner.valueOf(this.breaker.run((breaker) => {
      const key = this.owner === undefined ? this.name : breaker.keyOf(targetOf(this.owner.config))
      return breaker.protect(key, calling, this.counts)
    }))
  }

  /** The same function, behind the breaker. */
  protect<Args extends ReadonlyArray<unknown>, A>(
    fn: (...args: Args) => A | PromiseLike<A>
  ): (...args: Args) => Promise<A> {
    return (...args) => this.call(() => fn(...args))
  }

  /** Closes it. Calls that are under way tell it nothing any more. */
  reset(): void {
    this.breaker.now((breaker) =>
      Effect.flatMap(breaker.states, (states) => Effect.forEach(states, ({ key }) => breaker.reset(key)))
    )
  }
}

/**
 * The breaker of the top-level functions. It counts by CLI, account and model: `state` is the worst of them, `reset`
 * closes all. What goes through its own `call` counts with the queries that name none of these.
 */
export const getCliCircuitBreaker = (): CircuitBreaker =>
  cliBreaker ??= new CircuitBreaker({ name: "cli" }, Owner.shared())

// ---------------------------------------------------------------------------

type Service = Breaker.CircuitBreaker["Type"]

let cliBreaker: CircuitBreaker | undefined

const isClaudeError = Schema.is(ClaudeError)

const isCounted = (error: unknown): boolean =>
  isClaudeError(error)
    ? Breaker.isCounted(error)
    : !(Predicate.hasProperty(error, "name") && error.name === "AbortError")
