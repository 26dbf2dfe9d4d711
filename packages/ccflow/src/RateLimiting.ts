/**
 * Rate limits for what a program does itself, and a view of the one that the queries go through.
 */
import type { ClaudeError } from "@ccflow/core/ClaudeError"
import * as RateLimiter from "@ccflow/core/RateLimiter"
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { following } from "./internal/abort.js"
import { clock, keepingAlive } from "./internal/keepAlive.js"
import * as Owner from "./Owner.js"

export interface LimiterOptions {
  /** The longest that a call waits; it fails at once with a `RateLimitExceededError` where it would be longer. Default: no limit. */
  readonly maxWait?: Duration.DurationInput | undefined
}

export interface AcquireOptions {
  /** Aborting it ends the waiting; the call then rejects with an `AbortError`, and has taken nothing. */
  readonly signal?: AbortSignal | undefined
}

/** A call that was let through. */
export interface LimiterPermit extends Disposable {
  readonly waitedMs: number
  /** The call is over. Once is enough. */
  readonly release: () => void
}

/** As of now. */
export type LimiterStats = RateLimiter.State

/** First come, first served. Waiting keeps Node alive, and nothing else does. */
export interface Limiter {
  readonly stats: LimiterStats
  /** Waits for its turn. What is not released counts as under way. */
  acquire(options?: AcquireOptions): Promise<LimiterPermit>
  /** `undefined` where it would have to wait. */
  tryAcquire(): Promise<LimiterPermit | undefined>
  /** Calls `fn` when its turn has come, and throws what it throws. */
  limit<A>(fn: () => A | PromiseLike<A>, options?: AcquireOptions): Promise<A>
}

/** So many calls a minute, and so many at once. Left out or `false`, a limit is off. */
export class CombinedLimiter implements Limiter {
  private readonly source: Source

  constructor(
    ratePerMinute?: number | false,
    maxConcurrent?: number | false,
    { burst, maxWait }: LimiterOptions & { readonly burst?: number | undefined } = {}
  ) {
    this.source = sourceOf({
      requestsPerMinute: ratePerMinute === false ? undefined : ratePerMinute,
      maxConcurrent: maxConcurrent === false ? undefined : maxConcurrent,
      burst,
      maxWait
    })
  }

  get stats(): LimiterStats {
    return this.source.state()
  }

  acquire(options?: AcquireOptions): Promise<LimiterPermit> {
    return enter(this.source, {}, options)
  }

  tryAcquire(): Promise<LimiterPermit | undefined> {
    return tryEnter(this.source, {})
  }

  limit<A>(fn: () => A | PromiseLike<A>, options?: AcquireOptions): Promise<A> {
    return within(this.source, fn, options)
  }
}

/** A rate, however it is counted. */
export abstract class RateOnlyLimiter {
  private readonly source: Source

  constructor(options: RateLimiter.RateLimiterOptions) {
    this.source = sourceOf(options)
  }

  /** Waits for its turn. Gives the milliseconds that it has waited. */
  acquire(calls = 1, options?: AcquireOptions): Promise<number> {
    return pass(this.source, calls, options)
  }

  /** False where it would have to wait. */
  tryAcquire(calls = 1): Promise<boolean> {
    return tryPass(this.source, calls)
  }

  limit<A>(fn: () => A | PromiseLike<A>, options?: AcquireOptions): Promise<A> {
    return within(this.source, fn, options)
  }
}

/** Evenly so many calls a minute, after a burst. */
export class TokenBucketRateLimiter extends RateOnlyLimiter {
  /** Default of the burst: a tenth of the rate, and at least 1. */
  constructor(
    ratePerMinute: number,
    { burst, maxWait }: LimiterOptions & { readonly burst?: number | undefined } = {}
  ) {
    super({ requestsPerMinute: ratePerMinute, burst, maxWait })
  }
}

/** Never more than so many calls in any window of time. */
export class SlidingWindowRateLimiter extends RateOnlyLimiter {
  /** Default of the window: 1 minute. */
  constructor(
    limit: number,
    { maxWait, window = "1 minute" }: LimiterOptions & { readonly window?: Duration.DurationInput | undefined } = {}
  ) {
    super({ requestsPerWindow: { requests: limit, window }, maxWait })
  }
}

/**
 * That of the top-level functions, of the user's own login: what goes through it counts with their queries. Without
 * `CCFLOW_RATE_LIMIT_PER_MINUTE` it lets everything through.
 */
export const getLimiter = (): Limiter => sharedLimiter ??= limiterOf(sharedSource(Owner.shared()))

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

type Service = RateLimiter.RateLimiter["Type"]

/** Where a limiter is. */
interface Source {
  readonly state: () => LimiterStats
  readonly run: <A, E>(
    f: (limiter: Service) => Effect.Effect<A, E>,
    options?: { readonly signal?: AbortSignal }
  ) => Promise<Exit.Exit<A, unknown>>
}

let sharedLimiter: Limiter | undefined

/** Its changes are nobody's, so its scope is never closed. */
const sourceOf = (options: RateLimiter.RateLimiterOptions): Source => {
  const made = Effect.runSyncExit(
    Effect.flatMap(Scope.make(), (scope) => Scope.extend(RateLimiter.makeMemory(options), scope)).pipe(
      Effect.withClock(clock)
    )
  )
  if (Exit.isFailure(made)) throw Cause.squash(made.cause)
  const limiter = made.value
  return {
    state: () => Effect.runSync(limiter.state),
    run: (f, options) => keepingAlive(Effect.runPromiseExit(Effect.withClock(f(limiter), clock), options))
  }
}

const sharedSource = (owner: Owner.Owner): Source => {
  const found = Effect.serviceOption(RateLimiter.RateLimiter)
  return {
    state: () =>
      Option.getOrElse(
        owner.now(Effect.flatMap(found, Effect.transposeMapOption(({ state }) => state))) ?? Option.none(),
        () => ({ waiting: 0, active: 0 })
      ),
    run: (f, options) => owner.run(Effect.flatMap(Effect.flatten(found), f), options)
  }
}

const limiterOf = (source: Source): Limiter => ({
  get stats() {
    return source.state()
  },
  acquire: (options) => enter(source, {}, options),
  tryAcquire: () => tryEnter(source, {}),
  limit: (fn, options) => within(source, fn, options)
})

const entering = (
  limiter: Service,
  acquiring: RateLimiter.Acquiring
): Effect.Effect<LimiterPermit, ClaudeError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Scope.make(), (scope) => {
      const release = () => Effect.runSync(Scope.close(scope, Exit.void))
      return Effect.map(
        Effect.onError(restore(Scope.extend(limiter.acquire(acquiring), scope)), (cause) =>
          Scope.close(scope, Exit.failCause(cause))),
        (waitedMs) => ({ waitedMs, release, [Symbol.dispose]: release })
      )
    })
  )

const enter = (
  source: Source,
  acquiring: RateLimiter.Acquiring,
  options: AcquireOptions | undefined
): Promise<LimiterPermit> =>
  following(
    options?.signal,
    (signal) => Owner.valueOf(source.run((limiter) => entering(limiter, acquiring), signal))
  )

const tryEnter = (source: Source, acquiring: RateLimiter.Acquiring): Promise<LimiterPermit | undefined> =>
  Owner.valueOf(source.run((limiter) =>
    Effect.catchTag(
      entering(limiter, { ...acquiring, maxWait: 0 }),
      "RateLimitExceededError",
      () => Effect.succeed(undefined)
    )
  ))

const pass = async (source: Source, calls: number, options: AcquireOptions | undefined): Promise<number> => {
  const { release, waitedMs } = await enter(source, { requests: calls }, options)
  release()
  return waitedMs
}

const tryPass = async (source: Source, calls: number): Promise<boolean> => {
  const permit = await tryEnter(source, { requests: calls })
  permit?.release()
  return permit !== undefined
}

const within = async <A>(
  source: Source,
  fn: () => A | PromiseLike<A>,
  options: AcquireOptions | undefined
): Promise<A> => {
  const { release } = await enter(source, {}, options)
  try {
    return await fn()
  } finally {
    release()
  }
}
