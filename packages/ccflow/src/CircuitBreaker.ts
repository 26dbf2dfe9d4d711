/**
 * A circuit breaker for what a program does itself, and a view of the one that the queries go through.
 */
import * as Breaker from "@ccflow/core/CircuitBreaker"
import { ClaudeError } from "@ccflow/core/ClaudeError"
import { targetOf } from "@ccflow/core/Policy"
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
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
  private readonly source: Source

  /** With a source it is a view of a breaker that is there already. */
  constructor(config: CircuitBreakerConfig = {}, source: Source = sourceOf(config)) {
    this.name = config.name ?? defaultName
    this.counts = config.counts ?? isCounted
    this.source = source
  }

  get state(): CircuitState {
    return this.stats.state
  }

  get stats(): CircuitBreakerStats {
    const seen = this.source.now((breaker) => Effect.all([breaker.states, breaker.stats]))
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
    return Owner.valueOf(
      this.source.run((breaker, key) => breaker.protect(key, calling, (error) => this.counts(error)))
    )
  }

  /** The same function, behind the breaker. */
  protect<Args extends ReadonlyArray<unknown>, A>(
    fn: (...args: Args) => A | PromiseLike<A>
  ): (...args: Args) => Promise<A> {
    return (...args) => this.call(() => fn(...args))
  }

  /** Closes it. Calls that are under way tell it nothing any more. */
  reset(): void {
    this.source.now((breaker) =>
      Effect.flatMap(breaker.states, (states) => Effect.forEach(states, ({ key }) => breaker.reset(key)))
    )
  }
}

/** Where a breaker is. */
export interface Source {
  /** `undefined` where it is not there yet. */
  readonly now: <A>(f: (breaker: Breaker.CircuitBreaker["Type"]) => Effect.Effect<A>) => A | undefined
  readonly run: <A>(
    f: (breaker: Breaker.CircuitBreaker["Type"], key: string) => Effect.Effect<A, unknown>
  ) => Promise<Exit.Exit<A, unknown>>
}

/**
 * The breaker of the top-level functions. It counts by CLI, account and model: `state` is the worst of them, `reset`
 * closes all. What goes through its own `call` counts with the queries that name none of these.
 */
export const getCliCircuitBreaker = (): CircuitBreaker =>
  cliBreaker ??= new CircuitBreaker({ name: "cli" }, sharedSource(Owner.shared()))

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

const defaultName = "default"

let cliBreaker: CircuitBreaker | undefined

/** Its changes are nobody's, so its scope is never closed. */
const sourceOf = ({ counts, name = defaultName, ...options }: CircuitBreakerConfig): Source => {
  const made = Effect.runSyncExit(Effect.flatMap(Scope.make(), (scope) => Scope.extend(Breaker.make(options), scope)))
  if (Exit.isFailure(made)) throw Cause.squash(made.cause)
  const breaker = made.value
  return {
    now: (f) => Effect.runSync(f(breaker)),
    run: (f) => Effect.runPromiseExit(f(breaker, name))
  }
}

const sharedSource = (owner: Owner.Owner): Source => {
  const found = Effect.serviceOption(Breaker.CircuitBreaker)
  return {
    now: (f) => Option.getOrUndefined(owner.now(Effect.flatMap(found, Effect.transposeMapOption(f))) ?? Option.none()),
    run: (f) =>
      owner.run(Effect.flatMap(Effect.flatten(found), (breaker) => f(breaker, breaker.keyOf(targetOf(owner.config)))))
  }
}

const isClaudeError = Schema.is(ClaudeError)

const isCounted = (error: unknown): boolean =>
  isClaudeError(error)
    ? Breaker.isCounted(error)
    : !(Predicate.hasProperty(error, "name") && error.name === "AbortError")
