import type { RateLimiterStore } from "@effect/experimental/RateLimiter"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** What a call counts for. */
export interface Cost {
  readonly requests: number
  readonly tokens: number
}

/** One limit of a rate, of one key. */
export interface Meter {
  /** Such as `60 requests per 1 minute`. */
  readonly limit: string
  /** Requests that ever go at once. */
  readonly most: number
  /** When a call may go, in milliseconds, as far as it is known here: other hosts can make it later, and not sooner. */
  readonly at: (cost: Cost, ahead: Cost) => number
  /** Takes a share, and tells when it is due; `undefined` where another host was first, and nothing was taken. */
  readonly take: (cost: Cost) => Effect.Effect<number | undefined>
  /** Takes what was too little, or gives back what was too much. */
  readonly settle: (difference: Cost) => Effect.Effect<void>
  /** What it knows is what a new one would. */
  readonly atRest: () => boolean
}

/** How a limit is kept together with other hosts. */
export interface Asking {
  readonly key: string
  readonly now: () => number
  /** Counts in their store, which may be another machine; `None` where there is none, or it has not answered. */
  readonly ask: (
    count: Parameters<RateLimiterStore["Type"]["fixedWindow"]>[0]
  ) => Effect.Effect<Option.Option<readonly [count: number, ttl: number]>>
}

/**
 * So much in a time, evenly, and `burst` of it at once after a rest. The store's counter serves as the clock of a leaky
 * bucket: what it has left to live is what was taken and not yet paid off. Its own token bucket counts whole refills from
 * its first call, so that two who wait leave together where they came between two refills.
 */
export const evenly = (
  { amount, ask, counts, key, limit, msPer, now }: Asking & {
    readonly limit: string
    readonly counts: keyof Cost
    /** What may go at once. */
    readonly amount: number
    readonly msPer: number
  }
): Meter => {
  const capacity = amount * msPer
  /** When all that was taken is paid off. */
  let paidAt = -Infinity
  // A store keeps whole milliseconds.
  const msOf = (cost: Cost) => Math.ceil(cost[counts] * msPer)
  /** What is larger than the bucket goes when it is full, and is owed. */
  const needed = (ms: number) => Math.min(ms, capacity)

  const take = (ms: number) =>
    Effect.map(
      ask({ key, tokens: ms, refillRate: Duration.millis(1), limit: undefined }),
      (told) => {
        paidAt = Option.match(told, {
          // This host keeps the limit by itself.
          onNone: () => Math.max(now(), paidAt) + ms,
          onSome: ([, ttl]) => now() + ttl
        })
      }
    )

  return {
    limit,
    most: counts === "requests" ? amount : Infinity,
    at: (cost, ahead) => Math.max(now(), paidAt) + msOf(ahead) + needed(msOf(cost)) - capacity,
    take: (cost) => {
      const ms = msOf(cost)
      return Effect.map(take(ms), () => paidAt - ms + needed(ms) - capacity)
    },
    settle: (difference) => {
      const ms = msOf(difference)
      // No store can keep less than nothing.
      const owed = Math.max(ms, Math.min(0, Math.ceil(now() - paidAt) + 1))
      return owed === 0 ? Effect.void : take(owed)
    },
    atRest: () => paidAt <= now()
  }
}

/**
 * At most so many in any window of that length. Each of them is a place that is taken for the length of the window, which
 * a store does at once or not at all.
 */
export const inWindow = (
  { ask, key, limit, now, requests, windowMs }: Asking & {
    readonly limit: string
    readonly requests: number
    readonly windowMs: number
  }
): Meter => {
  const freeAt = new Array<number>(requests).fill(-Infinity)
  const window = Duration.millis(Math.ceil(windowMs))

  /** The place that is free first. */
  const takeOne = Effect.suspend(() => {
    const place = freeAt.indexOf(Math.min(...freeAt))
    return Effect.map(
      ask({ key: `${key}:${place}`, tokens: 1, refillRate: window, limit: 1 }),
      (told) => {
        freeAt[place] = now() + Option.match(told, { onNone: () => windowMs, onSome: ([, ttl]) => ttl })
        return Option.match(told, { onNone: () => true, onSome: ([count]) => count <= 1 })
      }
    )
  })

  return {
    limit,
    most: requests,
    at: (cost, ahead) => {
      const last = ahead.requests + cost.requests - 1
      const free = Math.max(now(), freeAt.toSorted((one, other) => one - other)[last % requests] ?? 0)
      return free + Math.floor(last / requests) * windowMs
    },
    take: (cost) =>
      Effect.gen(function*() {
        for (let taken = 0; taken < cost.requests; taken++) if (!(yield* takeOne)) return undefined
        return now()
      }),
    settle: () => Effect.void,
    atRest: () => Math.max(...freeAt) <= now()
  }
}
