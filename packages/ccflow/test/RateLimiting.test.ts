import {
  CombinedLimiter,
  InvalidOptionsError,
  RateLimitExceededError,
  SlidingWindowRateLimiter,
  TokenBucketRateLimiter
} from "ccflow"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { bundle } from "../../../test/support/bundle.js"
import { runScript } from "../../../test/support/programs.js"

const thrown = (f: () => unknown): unknown => {
  try {
    f()
  } catch (error) {
    return error
  }
  return assert.fail("it threw nothing")
}

const rejected = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(() => assert.fail("it was not rejected"), (error: unknown) => error)

describe("a token bucket", () => {
  it("lets a burst through, and then waits for its rate", async () => {
    const limiter = new TokenBucketRateLimiter(60, { burst: 2 })
    assert.strictEqual(await limiter.acquire(), 0)
    assert.isTrue(await limiter.tryAcquire())
    assert.isFalse(await limiter.tryAcquire())
    assert.isAbove(await limiter.acquire(), 0)
    assert.strictEqual(await limiter.limit(() => 7), 7)
  })

  it("says at once when it would take too long, and how long", async () => {
    const limiter = new TokenBucketRateLimiter(1, { maxWait: "1 second" })
    await limiter.acquire()
    const error = await rejected(limiter.acquire())
    assert.instanceOf(error, RateLimitExceededError)
    assert.closeTo(error.retryAfter, 60_000, 1000)
  })

  it("takes nothing from one who is aborted", async () => {
    const limiter = new TokenBucketRateLimiter(600, { burst: 1 })
    await limiter.acquire()
    const controller = new AbortController()
    const waiting = Array.from({ length: 20 }, () => rejected(limiter.acquire(1, { signal: controller.signal })))
    const last = limiter.acquire()
    controller.abort()
    for (const error of await Promise.all(waiting)) assert.propertyVal(error, "name", "AbortError")
    assert.isBelow(await last, 1000)
  })

  it("cannot be asked for more than go at once", async () => {
    assert.instanceOf(await rejected(new TokenBucketRateLimiter(60, { burst: 2 }).acquire(3)), InvalidOptionsError)
  })
})

describe("a sliding window", () => {
  it("lets as many through as it counts, and the next when the first has left it", async () => {
    const limiter = new SlidingWindowRateLimiter(3, { window: "1 second" })
    assert.isTrue(await limiter.tryAcquire(3))
    assert.isFalse(await limiter.tryAcquire())
    assert.isAbove(await limiter.acquire(), 0)
    assert.instanceOf(await rejected(limiter.acquire(4)), InvalidOptionsError)
  })
})

describe("both together", () => {
  it("let so many run at once, until they are released or have failed", async () => {
    const limiter = new CombinedLimiter(60_000, 2, { burst: 100 })
    const first = await limiter.acquire()
    const failure = new Error("of the program")
    const failing = limiter.limit(() => Promise.reject(failure))
    assert.strictEqual(await rejected(failing), failure)
    const second = await limiter.tryAcquire()
    assert.isDefined(second)
    assert.isUndefined(await limiter.tryAcquire())
    assert.deepStrictEqual(limiter.stats, { waiting: 0, active: 2 })
    const third = limiter.acquire()
    first.release()
    first.release()
    const permit = await third
    assert.deepStrictEqual(limiter.stats, { waiting: 0, active: 2 })
    permit[Symbol.dispose]()
    second?.release()
    assert.deepStrictEqual(limiter.stats, { waiting: 0, active: 0 })
  })

  it("can each be off", async () => {
    const limiter = new CombinedLimiter(false)
    await Promise.all(Array.from({ length: 100 }, () => limiter.acquire()))
    assert.strictEqual(limiter.stats.active, 100)
  })
})

it("what is no limit is refused where it is made", () => {
  for (
    const make of [
      () => new TokenBucketRateLimiter(0),
      () => new TokenBucketRateLimiter(Number.NaN),
      () => new TokenBucketRateLimiter(60, { burst: 0 }),
      () => new SlidingWindowRateLimiter(1.5),
      () => new SlidingWindowRateLimiter(1, { window: 0 }),
      () => new CombinedLimiter(0),
      () => new CombinedLimiter(1, 0),
      () => new CombinedLimiter(1, 1, { maxWait: -1 })
    ]
  ) assert.instanceOf(thrown(make), InvalidOptionsError)
})

it("a program that waits is kept alive, and one that waits for nothing ends", async () => {
  const program = await bundle("limiter", { limiter: "packages/ccflow/test/fixtures/limiter.ts" })
  const ended = await runScript(join(program, "limiter.mjs"), [], { env: process.env, timeout: 20_000 })
  assert.deepStrictEqual(
    [ended.code, ended.stdout],
    [0, JSON.stringify([true, false, true, "through"])],
    ended.stderr
  )
}, 60_000)
