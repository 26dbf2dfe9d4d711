import { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import type { RateLimitExceededError } from "@ccflow/core/PolicyError"
import * as RateLimiter from "@ccflow/core/RateLimiter"
import { layerStoreMemory, RateLimiterStore, RateLimitStoreError } from "@effect/experimental/RateLimiter"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Config, ConfigProvider, Deferred, Effect, Exit, Fiber, Layer, Scope, Stream, TestClock } from "effect"
import { settle } from "./sessions.js"

const limited = (options: RateLimiter.RateLimiterOptions) => Effect.provide(Layer.orDie(RateLimiter.layer(options)))

/** Calls that ask at once, and when each was let through, in seconds. */
const starting = (count: number, options: RateLimiter.Acquiring = {}) =>
  Effect.gen(function*() {
    const { acquire } = yield* RateLimiter.RateLimiter
    const starts: Array<string> = []
    const calls = yield* Effect.forEach(Array.from({ length: count }), (_, index) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const fiber = yield* acquire(options).pipe(
          Effect.tap(() => Effect.map(Clock.currentTimeMillis, (now) => starts.push(`${index}@${now / 1000}`))),
          Scope.extend(scope),
          Effect.fork
        )
        yield* settle
        return { fiber, end: Effect.zipRight(Scope.close(scope, Exit.void), settle) }
      }))
    return { calls, starts }
  })

const failure = (options?: RateLimiter.Acquiring) =>
  Effect.flatMap(
    RateLimiter.RateLimiter,
    ({ acquire }) =>
      Effect.map(Effect.flip(Effect.scoped(acquire(options))), (error) => error as RateLimitExceededError)
  )

const state = Effect.flatMap(RateLimiter.RateLimiter, (limiter) => limiter.state)

describe("a token bucket", () => {
  it.effect("lets a burst through, and then one after the other at the rate, as they came", () =>
    Effect.gen(function*() {
      const { starts } = yield* starting(6)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(starts, ["0@0", "1@0", "2@1", "3@2", "4@3", "5@4"])
    }).pipe(limited({ requestsPerMinute: 60, burst: 2 })))

  it.effect("lets one that comes between two refills go when its share is there, and not with the next", () =>
    Effect.gen(function*() {
      const first = yield* starting(1)
      yield* TestClock.adjust(900)
      const second = yield* starting(2)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([...first.starts, ...second.starts], ["0@0", "0@1", "1@2"])
    }).pipe(limited({ requestsPerMinute: 60, burst: 1 })))

  it.effect("has a burst of a tenth of the minute where none is given", () =>
    Effect.gen(function*() {
      const { starts } = yield* starting(7)
      assert.strictEqual(starts.length, 6)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(starts.length, 7)
    }).pipe(limited({ requestsPerMinute: 60 })))

  it.effect("gives the share of one who gives up to those behind", () =>
    Effect.gen(function*() {
      const { calls, starts } = yield* starting(5)
      yield* TestClock.adjust(500)
      yield* Fiber.interrupt(calls[1]!.fiber)
      yield* Fiber.interrupt(calls[3]!.fiber)
      assert.strictEqual((yield* state).waiting, 2)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(starts, ["0@0", "2@1", "4@2"])
    }).pipe(limited({ requestsPerMinute: 60, burst: 1 })))

  it.effect("refuses at once who would wait longer than they want to, and takes nothing from the others", () =>
    Effect.gen(function*() {
      const { starts } = yield* starting(3)
      for (let index = 0; index < 5; index++) {
        const error = yield* failure()
        assert.deepInclude(error, { _tag: "RateLimitExceededError", retryAfter: 3000, limit: "60 requests per minute" })
      }
      yield* TestClock.adjust(1500)
      const later = yield* starting(1)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([...starts, ...later.starts], ["0@0", "1@1", "2@2", "0@3"])
    }).pipe(limited({ requestsPerMinute: 60, burst: 1, maxWait: "2 seconds" })))

  it.effect("refuses whoever would wait at all where nobody may", () =>
    Effect.gen(function*() {
      yield* starting(1)
      assert.strictEqual((yield* failure()).retryAfter, 60_000)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* starting(1)).starts.length, 1)
    }).pipe(limited({ requestsPerMinute: 1, maxWait: 0 })))

  it.scoped("refuses nobody who is due, however often the clock moves on while it is looked at", () =>
    Effect.gen(function*() {
      let ticks = 0
      const clock = { ...yield* Effect.clock, unsafeCurrentTimeMillis: () => ticks++ }
      for (const options of [{ requestsPerMinute: 120, burst: 1 }, { tokensPerMinute: 100 }, { maxConcurrent: 1 }]) {
        const limiter = yield* Effect.withClock(RateLimiter.makeMemory(options), clock)
        assert.isAtLeast(yield* limiter.acquire({ maxWait: 0 }), 0)
      }
    }))

  it.effect("has whole milliseconds between two, and never a call too many for them", () =>
    Effect.gen(function*() {
      const { starts } = yield* starting(3)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(starts, ["0@0", "1@8.572", "2@17.144"])
    }).pipe(limited({ requestsPerMinute: 7, burst: 1 })))

  it.effect("keeps what a key has taken, however many others come", () =>
    Effect.gen(function*() {
      yield* starting(1, { key: "mine" })
      for (let other = 0; other < 200; other++) yield* starting(1, { key: `${other}` })
      assert.strictEqual((yield* failure({ key: "mine", maxWait: 0 })).retryAfter, 60_000)
      assert.strictEqual((yield* failure({ key: "0", maxWait: 0 })).retryAfter, 60_000)
    }).pipe(limited({ requestsPerMinute: 1 })))

  it.effect("keeps what a key has under way, however many others come", () =>
    Effect.gen(function*() {
      yield* starting(1, { key: "mine" })
      for (let other = 0; other < 200; other++) yield* (yield* starting(1, { key: `${other}` })).calls[0]!.end
      assert.strictEqual((yield* failure({ key: "mine", maxWait: 0 })).limit, "1 calls at once")
      assert.deepStrictEqual(yield* state, { waiting: 0, active: 1 })
    }).pipe(limited({ maxConcurrent: 1 })))

  it.effect("counts each key for itself", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* starting(1, { key: "a" })).starts.length, 1)
      assert.strictEqual((yield* starting(1, { key: "b" })).starts.length, 1)
      assert.strictEqual((yield* starting(1, { key: "a" })).starts.length, 0)
    }).pipe(limited({ requestsPerMinute: 1 })))
})

describe("several calls in one", () => {
  const tooMany = (options: RateLimiter.RateLimiterOptions, requests: number) =>
    Effect.map(
      Effect.either(Effect.scoped(Effect.flatMap(
        RateLimiter.makeMemory(options),
        ({ acquire }) => acquire({ requests, maxWait: 0 })
      ))),
      (got) => got._tag === "Left" && got.left._tag === "InvalidOptionsError" ? got.left.field : got._tag
    )

  it.effect("go when there is room for all of them, and count as so many", () =>
    Effect.gen(function*() {
      const { starts } = yield* starting(2, { requests: 2 })
      const one = yield* starting(1)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([...starts, ...one.starts], ["0@0", "1@1", "0@2"])
    }).pipe(limited({ requestsPerMinute: 60, burst: 3 })))

  it.effect("go in a window when there are places for all of them, also behind others", () =>
    Effect.gen(function*() {
      const { starts } = yield* starting(2, { requests: 3 })
      assert.strictEqual((yield* failure({ requests: 3, maxWait: "1 minute" })).retryAfter, 120_000)
      const more = yield* starting(2, { requests: 2 })
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual([...starts, ...more.starts], ["0@0", "1@60", "0@120", "1@180"])
    }).pipe(limited({ requestsPerMinute: 3, algorithm: "sliding-window" })))

  it.effect("are refused where so many never go at once, and no fewer are", () =>
    Effect.gen(function*() {
      const all: ReadonlyArray<readonly [RateLimiter.RateLimiterOptions, number]> = [
        [{ requestsPerMinute: 60, burst: 3 }, 3],
        [{ requestsPerMinute: 40 }, 4],
        [{ requestsPerMinute: 5 }, 1],
        [{ requestsPerMinute: 5, algorithm: "sliding-window" }, 5],
        [{ requestsPerWindow: { requests: 2, window: "1 hour" } }, 2],
        [{ requestsPerWindow: { requests: 2, window: "1 hour" }, requestsPerMinute: 60, burst: 3 }, 2],
        [{ tokensPerMinute: 1 }, 1000]
      ]
      for (const [options, most] of all) {
        assert.strictEqual(yield* tooMany(options, most), "Right", JSON.stringify(options))
        if (options.tokensPerMinute === undefined) {
          assert.strictEqual(yield* tooMany(options, most + 1), "acquire.requests", JSON.stringify(options))
        }
      }
    }))

  it.effect("are whole numbers above 0, of no fewer tokens than none", () =>
    Effect.gen(function*() {
      const { acquire } = yield* RateLimiter.RateLimiter
      for (const [field, options] of [["requests", { requests: 0 }], ["tokens", { tokens: -1 }]] as const) {
        const error = yield* Effect.flip(Effect.scoped(acquire(options)))
        assert.deepInclude({ ...error }, { _tag: "InvalidOptionsError", field: `acquire.${field}` })
      }
    }).pipe(limited({ requestsPerMinute: 1 })))
})

describe("a sliding window", () => {
  it.effect("never has more in any window, also with a burst after a rest and those who wait", () =>
    Effect.gen(function*() {
      yield* TestClock.adjust("1 hour")
      const { starts } = yield* starting(2)
      yield* TestClock.adjust("50 seconds")
      const more = yield* starting(5)
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(starts, ["0@3600", "1@3600"])
      assert.deepStrictEqual(more.starts, ["0@3650", "1@3660", "2@3660", "3@3710", "4@3720"])
    }).pipe(limited({ requestsPerMinute: 3, algorithm: "sliding-window" })))

  it.effect("can be as long as a subscription's", () =>
    Effect.gen(function*() {
      yield* starting(45)
      assert.strictEqual((yield* failure({ maxWait: 0 })).retryAfter, 5 * 3600_000)
      assert.strictEqual((yield* failure({ maxWait: 0 })).limit, "45 requests in any 5h")
      yield* TestClock.adjust("5 hours")
      assert.strictEqual((yield* starting(1)).starts.length, 1)
    }).pipe(limited({ requestsPerWindow: { requests: 45, window: "5 hours" } })))

  it.effect("knows how long the last in the line waits", () =>
    Effect.gen(function*() {
      yield* starting(5)
      assert.strictEqual((yield* failure({ maxWait: "1 second" })).retryAfter, 120_000)
    }).pipe(limited({ requestsPerMinute: 2, algorithm: "sliding-window" })))
})

describe("tokens", () => {
  it.effect("delay the next by what they are", () =>
    Effect.gen(function*() {
      yield* starting(1, { tokens: 1000 })
      const { starts } = yield* starting(2, { tokens: 500 })
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(starts, ["0@30", "1@60"])
    }).pipe(limited({ tokensPerMinute: 1000 })))

  it.effect("of those who wait before it are in what the last of them is told", () =>
    Effect.gen(function*() {
      yield* starting(1, { tokens: 1000 })
      yield* starting(1, { tokens: 500 })
      assert.strictEqual((yield* failure({ tokens: 500, maxWait: "1 second" })).retryAfter, 60_000)
    }).pipe(limited({ tokensPerMinute: 1000 })))

  it.effect("of one call may be more than a minute's: it goes when all are there, and the next waits for it", () =>
    Effect.gen(function*() {
      yield* starting(1, { tokens: 100 })
      const { starts } = yield* starting(2, { tokens: 3000 })
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(starts, ["0@6", "1@186"])
    }).pipe(limited({ tokensPerMinute: 1000 })))
})

describe("calls under way", () => {
  it.effect("are as many as may be, and the next begins when one has ended", () =>
    Effect.gen(function*() {
      const { calls, starts } = yield* starting(4)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(starts, ["0@0", "1@0"])
      assert.deepStrictEqual(yield* state, { waiting: 2, active: 2 })
      yield* calls[1]!.end
      yield* calls[0]!.end
      assert.deepStrictEqual(starts, ["0@0", "1@0", "2@60", "3@60"])
      yield* calls[2]!.end
      yield* calls[3]!.end
      assert.deepStrictEqual(yield* state, { waiting: 0, active: 0 })
    }).pipe(limited({ maxConcurrent: 2 })))

  it.effect("that fail for want of one have taken nothing of the rate, and the other way round", () =>
    Effect.gen(function*() {
      const { calls } = yield* starting(1)
      const late = yield* Effect.fork(failure({ maxWait: "30 seconds" }))
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* Fiber.join(late)).limit, "1 calls at once")
      yield* calls[0]!.end
      const { starts } = yield* starting(2)
      assert.deepStrictEqual(starts, ["0@30"])
      assert.deepStrictEqual(yield* state, { waiting: 1, active: 1 })
    }).pipe(limited({ requestsPerMinute: 2, burst: 2, maxConcurrent: 1 })))
})

describe("those who wait", () => {
  it.effect("wait as their caller says", () =>
    Effect.gen(function*() {
      const { acquire } = yield* RateLimiter.RateLimiter
      yield* acquire({ wait: () => Effect.dieMessage("it waited") })
      const gone = new InvalidOptionsError({ field: "x", detail: "y", hint: "z" })
      const given = yield* Deferred.make<never, InvalidOptionsError>()
      const waiting = yield* Effect.fork(
        Effect.flip(acquire({ wait: (effect) => Effect.raceFirst(effect, Deferred.await(given)) }))
      )
      yield* settle
      assert.strictEqual((yield* state).waiting, 1)
      yield* Deferred.fail(given, gone)
      assert.strictEqual(yield* Fiber.join(waiting), gone)
      assert.deepStrictEqual(yield* state, { waiting: 0, active: 1 })
    }).pipe(Effect.scoped, limited({ requestsPerMinute: 1 })))

  it.effect("are told of, and each change", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const { changes } = yield* RateLimiter.RateLimiter
      yield* Effect.fork(
        Stream.runForEach(changes, ({ active, waiting }) => Effect.sync(() => seen.push(`${waiting} ${active}`)))
      )
      yield* settle
      const { calls } = yield* starting(2)
      yield* calls[0]!.end
      yield* calls[1]!.end
      assert.strictEqual(seen[0], "0 0")
      assert.includeMembers(seen, ["0 1", "1 1"])
      assert.strictEqual(seen.at(-1), "0 0")
    }).pipe(limited({ maxConcurrent: 1 })))
})

describe("the options", () => {
  const wrong: ReadonlyArray<readonly [string, RateLimiter.RateLimiterOptions]> = [
    ["requestsPerMinute", { requestsPerMinute: 0 }],
    ["requestsPerMinute", { requestsPerMinute: -1 }],
    ["requestsPerMinute", { requestsPerMinute: Number.NaN }],
    ["requestsPerMinute", { requestsPerMinute: Infinity }],
    ["requestsPerMinute", { requestsPerMinute: 1.5, algorithm: "sliding-window" }],
    ["requestsPerMinute", { algorithm: "sliding-window" }],
    ["burst", { requestsPerMinute: 60, burst: 0 }],
    ["burst", { burst: 2 }],
    ["burst", { requestsPerMinute: 60, algorithm: "sliding-window", burst: 2 }],
    ["tokensPerMinute", { tokensPerMinute: 0 }],
    ["maxConcurrent", { maxConcurrent: 0 }],
    ["maxConcurrent", { maxConcurrent: Number.NaN }],
    ["maxWait", { maxWait: -1 }],
    ["requestsPerWindow.requests", { requestsPerWindow: { requests: 0, window: 1 } }],
    ["requestsPerWindow.window", { requestsPerWindow: { requests: 1, window: 0 } }]
  ]
  for (const [field, options] of wrong) {
    it.effect(`refuse ${JSON.stringify(options)}`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Effect.scoped(Layer.build(RateLimiter.layer(options))))
        assert.instanceOf(error, InvalidOptionsError)
        assert.strictEqual(error.field, `rateLimit.${field}`)
      }))
  }

  it.effect("can come from a configuration", () =>
    Effect.gen(function*() {
      yield* starting(1)
      assert.strictEqual((yield* failure({ maxWait: 0 })).retryAfter, 20_000)
    }).pipe(
      Effect.provide(RateLimiter.layerConfig({ requestsPerMinute: Config.number("PER_MINUTE") })),
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["PER_MINUTE", "3"]])))
    ))

  it.effect("can ask for nothing, and all goes through", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* starting(100)).starts.length, 100)
    }).pipe(limited({})))

  it.effect("are not asked in a noop", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      assert.strictEqual(yield* limiter.acquire({ requests: 1000 }), 0)
      assert.deepStrictEqual(yield* limiter.state, { waiting: 0, active: 0 })
      assert.strictEqual(yield* Stream.runCount(limiter.changes), 0)
    }).pipe(Effect.scoped, Effect.provide(RateLimiter.layerNoop)))
})

describe("the stream of changes", () => {
  it.effect("ends with its layer", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { changes } = yield* Scope.extend(RateLimiter.makeMemory({ maxConcurrent: 1 }), scope)
      const fiber = yield* Effect.fork(Stream.runDrain(changes))
      yield* settle
      yield* Scope.close(scope, Exit.void)
      yield* settle
      assert.isNotNull(fiber.unsafePoll())
    }))
})

describe("hosts that share a store", () => {
  const host = (options: RateLimiter.RateLimiterOptions) =>
    Effect.flatMap(
      Layer.build(RateLimiter.layerWith(options)),
      (context) => Effect.succeed(Effect.provide(starting(4), context))
    )

  it.scoped("keep a rate together", () =>
    Effect.gen(function*() {
      const options = { requestsPerMinute: 60, burst: 2 }
      const [one, other] = [yield* yield* host(options), yield* yield* host(options)]
      yield* TestClock.adjust("1 minute")
      const times = [...one.starts, ...other.starts].map((start) => Number(start.split("@")[1]))
      assert.deepStrictEqual(times.toSorted((a, b) => a - b), [0, 0, 1, 2, 3, 4, 5, 6])
    }).pipe(Effect.provide(layerStoreMemory)))

  it.scoped("keep a window together", () =>
    Effect.gen(function*() {
      const options = { requestsPerMinute: 3, algorithm: "sliding-window" as const }
      const [one, other] = [yield* yield* host(options), yield* yield* host(options)]
      yield* TestClock.adjust("10 minutes")
      const times = [...one.starts, ...other.starts].map((start) => Number(start.split("@")[1]))
      assert.deepStrictEqual(times.toSorted((a, b) => a - b), [0, 0, 0, 60, 60, 60, 120, 120])
    }).pipe(Effect.provide(layerStoreMemory)))

  it.scoped("refuse who would wait too long for what the others took, and take nothing for it", () =>
    Effect.gen(function*() {
      const layer = RateLimiter.layerWith({ requestsPerMinute: 1, maxWait: "10 seconds" })
      const [one, other] = [yield* Layer.build(layer), yield* Layer.build(Layer.fresh(layer))]
      assert.strictEqual((yield* Effect.provide(starting(1), one)).starts.length, 1)
      assert.include(yield* Effect.provide(failure(), other), { _tag: "RateLimitExceededError", retryAfter: 60_000 })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Effect.provide(starting(1, { maxWait: 0 }), other)).starts.length, 1)
    }).pipe(Effect.provide(layerStoreMemory)))

  it.scoped("limit by themselves when it fails, and when it does not answer", () =>
    Effect.gen(function*() {
      const down = Effect.fail(new RateLimitStoreError({ message: "down" }))
      const deaf = Effect.uninterruptible(Effect.never)
      for (const [answer, after] of [[down, 0], [Effect.never, 2000], [deaf, 2000]] as const) {
        const store = RateLimiterStore.of({ fixedWindow: () => answer, tokenBucket: () => answer })
        const started = yield* Effect.fork(
          Effect.provide(
            Effect.flatMap(RateLimiter.RateLimiter, ({ acquire }) => Effect.scoped(Effect.all([acquire(), acquire()]))),
            Layer.provide(RateLimiter.layerWith({ requestsPerMinute: 1 }), Layer.succeed(RateLimiterStore, store))
          )
        )
        yield* TestClock.adjust(59_999)
        assert.strictEqual((yield* Fiber.poll(started))._tag, "None")
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(yield* Fiber.join(started), [0, 60_000 + after])
      }
    }))
})
