/**
 * A circuit breaker for what a program does itself, and a view of the one that the queries go through.
 */
import * as Breaker from "@ccflow/core/CircuitBreaker"
import { ClaudeError } from "@ccflow/core/ClaudeError"
import { targetOf } from "@ccflow/core/Policy"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Standing from "./internal/standing.js"
import * as Owner from "./Owner.js"

export interface CircuitBreakerConfig {
  /** Failures in a row that open it. Default: 5. */
  readonly failureThreshold?: number | undefined
  /** How long it stays open. Default: 30 seconds. */
  readonly resetTimeout?: Duration.DurationInput | undefined
  /** Probes that must succeed, one after the other, before it closes. Default: 2. */
  readonly successThreshold?: number | undefined
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
    const seen = this.breaker.now((breaker) => Effect.all([breaker.states, breaker.stats]))
    const states = seen === undefined ? [] : seen[0].map(({ state }) => state)
    const of = <Tag extends Breaker.State["_tag"]>(tag: Tag) =>
      states.filter((state): state is Extract<Breaker.State, { _tag: Tag }> => state._tag === tag)
    return {
      state: of("Open").length > 0 ? "open" : of("HalfOpen").length > 0 ? "half_open" : "closed",
      failureCount: Math.max(0, ...of("Closed").map(({ failures }) => failures)),
      successCount: Math.max(0, ...of("HalfOpen").map(({ successes }) => successes)),
      totalCalls: seen?.[1].calls ?? 0,
      totalFailures: seen?.[1].failures ?? 0,
      totalRejections: seen?.[1].rejections ?? 0,
      lastFailureTime: seen?.[1].lastFailureAt,
      lastSuccessTime: seen?.[1].lastSuccessAt
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
// internal
// ---------------------------------------------------------------------------

type Service = Breaker.CircuitBreaker["Type"]

let cliBreaker: CircuitBreaker | undefined

const isClaudeError = Schema.is(ClaudeError)

const isCounted = (error: unknown): boolean =>
  isClaudeError(error)
    ? Breaker.isCounted(error)
    : !(Predicate.hasProperty(error, "name") && error.name === "AbortError")
