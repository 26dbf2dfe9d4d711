import { RateLimiterStore } from "@effect/experimental/RateLimiter"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

interface Counter {
  count: number
  expiresAt: number
}

interface Tokens {
  left: number
  refilledAt: number
  fullAt: number
}

/**
 * What the library's own memory store does, without keeping each key for ever: one that has run out says nothing that a
 * new one would not.
 */
export const makeStore = (): RateLimiterStore["Type"] => {
  const counters = new Sweeping<Counter>(({ expiresAt }) => expiresAt)
  const buckets = new Sweeping<Tokens>(({ fullAt }) => fullAt)
  return RateLimiterStore.of({
    fixedWindow: ({ key, limit, refillRate, tokens }) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const counter = counters.get(key, now, () => ({ count: 0, expiresAt: now }))
        if (limit !== undefined && counter.count + tokens > limit) {
          return [counter.count + tokens, counter.expiresAt - now] as const
        }
        counter.count += tokens
        counter.expiresAt += Duration.toMillis(refillRate) * tokens
        return [counter.count, counter.expiresAt - now] as const
      }),
    tokenBucket: ({ allowOverflow, key, limit, refillRate, tokens }) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const every = Duration.toMillis(refillRate)
        const bucket = buckets.get(key, now, () => ({ left: limit, refilledAt: now, fullAt: now }))
        const refilled = Math.floor((now - bucket.refilledAt) / every)
        bucket.left = Math.min(limit, bucket.left + refilled)
        bucket.refilledAt += refilled * every
        const left = bucket.left - tokens
        if (allowOverflow || left >= 0) bucket.left = left
        bucket.fullAt = bucket.refilledAt + (limit - bucket.left) * every
        return left
      })
  })
}

// ---------------------------------------------------------------------------

/**
 * Looked through each time that it has doubled, so that what has run out is at most as much again as what has not.
 */
export class Sweeping<A> {
  private readonly all = new Map<string, A>()
  private readonly endOf: (value: A) => number
  private sweepAt = 64

  constructor(endOf: (value: A) => number) {
    this.endOf = endOf
  }

  get size(): number {
    return this.all.size
  }

  get(key: string, now: number, fresh: () => A): A {
    const known = this.all.get(key)
    if (known !== undefined && this.endOf(known) > now) return known
    const value = fresh()
    this.all.set(key, value)
    if (this.all.size > this.sweepAt) {
      for (const [other, kept] of this.all) if (other !== key && this.endOf(kept) <= now) this.all.delete(other)
      this.sweepAt = Math.max(64, 2 * this.all.size)
    }
    return value
  }
}
