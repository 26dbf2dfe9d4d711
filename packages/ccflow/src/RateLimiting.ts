/** Rate limits for what a program does itself, and a view of the one that the queries go through. */
import * as RateLimiter from "@ccflow/core/RateLimiter"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { following } from "./internal/abort.js"
import { keepingAlive } from "./internal/keepAlive.js"
import * as Standing from "./internal/standing.js"
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

/** What all of them do. */
abstract class Limiting {
  protected readonly limiter: Standing.Standing<Service>

  constructor(limiter: Standing.Standing<Service>) {
    this.limiter = limiter
  }

  /** Calls `fn` when its turn has come, and throws what it throws. */
  async limit<A>(fn: () => A | PromiseLike<A>, options?: AcquireOptions): Promise<A> {
    const { release } = await this.enter({}, options)
    try {
      return await fn()
    } finally {
      release()
    }
  }

  protected enter(acquiring: RateLimiter.Acquiring, options: AcquireOptions = {}): Promise<LimiterPermit> {
    return following(
      options,
      (own) => Owner.valueOf(keepingAlive(this.limiter.run((limiter) => entering(limiter, acquiring), own)))
    )
  }

  protected tryEnter(acquiring: RateLimiter.Acquiring): Promise<LimiterPermit | undefined> {
    return Owner.valueOf(this.limiter.run((limiter) =>
      Effect.catchTag(
        entering(limiter, { ...acquiring, maxWait: 0 }),
        "RateLimitExceededError",
        () => Effect.succeed(undefined)
      )
    ))
  }
}

/** So many calls a minute, and so many at once. Left out or `false`, a limit is off. */
export class CombinedLimiter extends Limiting implements Limiter {
  /** With an owner it is a view of the limiter that is there already. */
  constructor(
    ratePerMinute?: number | false,
    maxConcurrent?: number | false,
    options: LimiterOptions & { readonly burst?: number | undefined } = {},
    owner?: Owner.Owner
  ) {
    super(
      owner === undefined
        ? Standing.alone(RateLimiter.makeMemory({
          requestsPerMinute: ratePerMinute === false ? undefined : ratePerMinute,
          maxConcurrent: maxConcurrent === false ? undefined : maxConcurrent,
          ...options
        }))
        : Standing.of(owner, RateLimiter.RateLimiter)
    )
  }

  get stats(): LimiterStats {
    return this.limiter.now(({ state }) => state) ?? { waiting: 0, active: 0 }
  }

  acquire(options?: AcquireOptions): Promise<LimiterPermit> {
    return this.enter({}, options)
  }

  tryAcquire(): Promise<LimiterPermit | undefined> {
    return this.tryEnter({})
  }
}

/** A rate, however it is counted. */
export abstract class RateOnlyLimiter extends Limiting {
  constructor(options: RateLimiter.RateLimiterOptions) {
    super(Standing.alone(RateLimiter.makeMemory(options)))
  }

  /** Waits for its turn. Gives the milliseconds that it has waited. */
  async acquire(calls = 1, options?: AcquireOptions): Promise<number> {
    const { release, waitedMs } = await this.enter({ requests: calls }, options)
    release()
    return waitedMs
  }

  /** False where it would have to wait. */
  async tryAcquire(calls = 1): Promise<boolean> {
    const permit = await this.tryEnter({ requests: calls })
    permit?.release()
    return permit !== undefined
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
export const getLimiter = (): Limiter => sharedLimiter ??= new CombinedLimiter(undefined, undefined, {}, Owner.shared())

// ---------------------------------------------------------------------------

type Service = RateLimiter.RateLimiter["Type"]

let sharedLimiter: Limiter | undefined

const entering = (limiter: Service, acquiring: RateLimiter.Acquiring) =>
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
