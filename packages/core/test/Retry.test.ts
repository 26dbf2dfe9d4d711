import {
  ApiClientError,
  ApiError,
  ApiRateLimitError,
  AuthenticationError,
  CircuitBreakerError,
  type ClaudeError,
  CliSpawnError,
  MissingResultError,
  RateLimitExceededError,
  UsageLimitError
} from "@ccflow/core/ClaudeError"
import type { Message } from "@ccflow/core/Message"
import type * as Policy from "@ccflow/core/Policy"
import * as Retry from "@ccflow/core/Retry"
import { assert, describe, it } from "@effect/vitest"
import {
  Chunk,
  Config,
  ConfigProvider,
  Deferred,
  Duration,
  Effect,
  Exit,
  FastCheck as fc,
  Fiber,
  Random,
  Schedule,
  Scope,
  Stream,
  TestClock
} from "effect"
import { streamed } from "../src/internal/streamed.js"
import { waitUnless } from "../src/internal/waiting.js"
import {
  type Attempt,
  crashed,
  facts,
  overloaded,
  problem,
  refused,
  result,
  running,
  status,
  text
} from "./attempts.js"

const target: Policy.Target = { cli: "claude", account: "", model: "opus" }
const patiently: Policy.Wait = (effect) => effect
/** Chance as it is in the middle: no jitter. */
const evenly = Effect.withRandom(Random.fixed([0.5]))

/** Runs it under the policy, and looks on. */
const watch = (
  attempts: ReadonlyArray<Attempt>,
  options: Retry.RetryOptions = {},
  wait: Policy.Wait = patiently
) =>
  Effect.gen(function*() {
    const retry = yield* Retry.make(options)
    const run = running(attempts)
    const retrying: Array<Retry.Retrying> = []
    yield* Effect.forkScoped(Stream.runForEach(retry.changes, (one) => Effect.sync(() => retrying.push(one))))
    yield* TestClock.adjust(0)
    const messages: Array<Message> = []
    const stream = retry.around({ id: "call", prompt: "hi", options: {}, target, wait })(streamed(run.open))
    const fiber = yield* Effect.forkScoped(
      Stream.runForEach(stream, (message) => Effect.sync(() => messages.push(message)))
    )
    yield* TestClock.adjust(0)
    return {
      run,
      retrying,
      messages,
      fiber,
      stream,
      ended: () => fiber.unsafePoll() !== null,
      failure: Effect.flip(Fiber.join(fiber))
    }
  })

const busy: Attempt = { batches: [[status("starts")], [problem("busy"), result("busy", true)]], end: overloaded }
const good: Attempt = { batches: [[status("starts")], [text("hi")], [result("hi")]] }
const delays = (retrying: ReadonlyArray<Retry.Retrying>) => retrying.map(({ delayMs }) => Math.round(delayMs))

describe("a retry", () => {
  it.scoped("waits 1, 2 and 4 seconds, and the fourth failure is the last", () =>
    Effect.gen(function*() {
      const seen = yield* watch([busy])
      for (const [ms, opened] of [[999, 1], [1, 2], [1999, 2], [1, 3], [3999, 3], [1, 4]] as const) {
        yield* TestClock.adjust(ms)
        assert.strictEqual(seen.run.opened(), opened)
      }
      assert.strictEqual(yield* seen.failure, overloaded)
      assert.deepStrictEqual(delays(seen.retrying), [1000, 2000, 4000])
    }).pipe(evenly))

  it.scoped("gives the answer of the attempt that has one, and nothing of what failed", () =>
    Effect.gen(function*() {
      const seen = yield* watch([busy, busy, good])
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(seen.fiber)
      assert.deepStrictEqual(seen.messages, [
        status("starts"),
        status("starts"),
        status("starts"),
        text("hi"),
        result("hi")
      ])
    }))

  it.scoped("tells of itself before it waits", () =>
    Effect.gen(function*() {
      const seen = yield* watch([busy, good])
      assert.deepStrictEqual(seen.retrying, [{ target, attempt: 1, delayMs: 1000, error: overloaded }])
      assert.strictEqual(seen.run.opened(), 1)
    }).pipe(evenly))

  it.scoped("leaves no attempt open while it waits", () =>
    Effect.gen(function*() {
      const seen = yield* watch([busy, good])
      assert.deepStrictEqual(seen.run.log, ["open 0", "close 0"])
    }))

  it.scoped("is for an attempt that did not begin, too", () =>
    Effect.gen(function*() {
      const noRoom = new CliSpawnError({ command: "claude", reason: "NoResources", code: "EAGAIN", hint: "" })
      const seen = yield* watch([{ refuses: noRoom }, good])
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(seen.fiber)
      assert.deepStrictEqual(seen.run.log, ["open 0", "close 0", "open 1", "close 1"])
    }))

  it.scoped("is not for what will fail again, nor for an answer that breaks off", () =>
    Effect.gen(function*() {
      for (const attempt of [{ end: refused }, { end: crashed }, { batches: [[text("a")]], end: overloaded }]) {
        const seen = yield* watch([attempt, good])
        assert.strictEqual(yield* seen.failure, attempt.end)
        assert.strictEqual(seen.run.opened(), 1)
        assert.deepStrictEqual(seen.retrying, [])
      }
    }))

  it.scoped("is for what the caller says", () =>
    Effect.gen(function*() {
      const seen = yield* watch([{ end: crashed }, busy], { retryable: (error) => error === crashed })
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* seen.failure, overloaded)
      assert.strictEqual(seen.run.opened(), 2)
    }))

  it.scoped("begins to count anew with each run of the same stream", () =>
    Effect.gen(function*() {
      const seen = yield* watch([busy], { maxRetries: 2 })
      yield* TestClock.adjust("1 hour")
      const again = yield* Effect.fork(Effect.exit(Stream.runDrain(seen.stream)))
      yield* TestClock.adjust("1 hour")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(again)))
      assert.strictEqual(seen.run.opened(), 6)
      assert.deepStrictEqual(seen.retrying.map(({ attempt }) => attempt), [1, 2, 1, 2])
    }))

  it.scoped("waits as long as the server has told, in place of the backoff", () =>
    Effect.gen(function*() {
      const told = (retryAfter: number | null): Attempt => ({
        end: new ApiRateLimitError({ status: 429, type: "rate_limit_error", detail: "", retryAfter, hint: "" })
      })
      const seen = yield* watch([told(45_000), told(10), told(null), good])
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(seen.fiber)
      assert.deepStrictEqual(delays(seen.retrying), [45_000, 10, 4000])
    }).pipe(evenly))

  it.scoped("follows a schedule of the caller's, and what the server has told", () =>
    Effect.gen(function*() {
      const limited = new RateLimitExceededError({ retryAfter: 70, limit: "", hint: "" })
      const seen = yield* watch([busy, { end: limited }, busy], {
        schedule: Schedule.intersect(Schedule.spaced("5 seconds"), Schedule.recurs(4)),
        retryable: () => true
      })
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* seen.failure, overloaded)
      assert.deepStrictEqual(delays(seen.retrying), [5000, 70, 5000, 5000])
    }))

  it.scoped("ends its wait when the call is interrupted, and fails because it was given up", () =>
    Effect.gen(function*() {
      const stop = yield* Deferred.make<void>()
      const seen = yield* watch([busy, good], {}, waitUnless(Deferred.await(stop)))
      assert.isFalse(seen.ended())
      yield* Deferred.succeed(stop, undefined)
      yield* TestClock.adjust(0)
      assert.deepInclude({ ...yield* seen.failure }, { _tag: "CliExitError", reason: "Interrupted" })
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(seen.run.opened(), 1)
    }))

  it.scoped("can be interrupted while it waits, and nothing comes after", () =>
    Effect.gen(function*() {
      const seen = yield* watch([busy, good])
      yield* Fiber.interrupt(seen.fiber)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(seen.run.opened(), 1)
    }))

  it.scoped("is not delayed by someone who watches and reads nothing", () =>
    Effect.gen(function*() {
      const retry = yield* Retry.make({ maxRetries: 1500, baseDelay: 0 })
      yield* Effect.forkScoped(Stream.runForEach(retry.changes, () => Effect.never))
      yield* TestClock.adjust(0)
      const run = running([busy])
      const stream = retry.around({ id: "call", prompt: "hi", options: {}, target, wait: patiently })(
        streamed(run.open)
      )
      yield* Effect.fork(Effect.exit(Stream.runDrain(stream)))
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(run.opened(), 1501)
    }))

  it.effect("is told no more when its layer is gone", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { changes } = yield* Scope.extend(Retry.make(), scope)
      const fiber = yield* Effect.fork(Stream.runDrain(changes))
      yield* TestClock.adjust(0)
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust(0)
      assert.isNotNull(fiber.unsafePoll())
    }))

  it.effect("is not there in a noop", () =>
    Effect.gen(function*() {
      const retry = yield* Retry.Retry
      const run = running([busy, good])
      const stream = retry.around({ id: "call", prompt: "hi", options: {}, target, wait: patiently })(
        streamed(run.open)
      )
      assert.strictEqual(yield* Effect.flip(Stream.runDrain(stream)), overloaded)
    }).pipe(Effect.provide(Retry.layerNoop)))

  it.scoped("can be had from the environment", () =>
    Effect.gen(function*() {
      const retry = yield* Retry.Retry
      const run = running([busy])
      const stream = retry.around({ id: "call", prompt: "hi", options: {}, target, wait: patiently })(
        streamed(run.open)
      )
      const fiber = yield* Effect.fork(Effect.flip(Stream.runDrain(stream)))
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(fiber)
      assert.strictEqual(run.opened(), 2)
    }).pipe(
      Effect.provide(Retry.layerConfig({ maxRetries: Config.integer("RETRIES") })),
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["RETRIES", "1"]])))
    ))

  for (
    const [field, options] of [
      ["maxRetries", { maxRetries: -1 }],
      ["maxRetries", { maxRetries: Infinity }],
      ["baseDelay", { baseDelay: "a while" }],
      ["baseDelay", { baseDelay: -1 }],
      ["maxDelay", { maxDelay: NaN }],
      ["exponentialBase", { exponentialBase: 0.5 }],
      ["jitter", { jitter: 2 }],
      ["jitter", { jitter: NaN }],
      ["schedule", { schedule: "5 times" }],
      ["attempts", { attempts: 3 }]
    ] as const
  ) {
    it.scoped(`refuses ${field}: ${Object.values(options)[0]}`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Retry.make(options as Retry.RetryOptions))
        assert.deepInclude({ ...error }, { _tag: "InvalidOptionsError", field: `retry.${field}` })
      }))
  }
})

describe("the backoff", () => {
  const waits = (options: Retry.BackoffOptions) =>
    Effect.gen(function*() {
      const schedule = yield* Retry.backoff(options)
      return Chunk.toReadonlyArray(
        yield* Schedule.run(Schedule.delays(schedule), 0, Array.from({ length: 99 }, () => "no"))
      )
        .map(Duration.toMillis)
    })

  it.effect("doubles up to half a minute", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        (yield* waits({ maxRetries: 7, jitter: 0 })).slice(0, 7),
        [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]
      )
    }))

  it.effect("of any options lies within its jitter, which comes after the cap, and ends when its retries are used up", () =>
    Effect.promise(() =>
      fc.assert(fc.asyncProperty(
        fc.record({
          maxRetries: fc.nat(12),
          baseDelay: fc.nat(5000),
          maxDelay: fc.nat(60_000),
          exponentialBase: fc.double({ min: 1, max: 4, noNaN: true }),
          jitter: fc.double({ min: 0, max: 1, noNaN: true })
        }),
        (options) =>
          Effect.runPromise(Effect.gen(function*() {
            const { baseDelay, exponentialBase, jitter, maxDelay, maxRetries } = options
            const got = (yield* waits(options)).slice(0, maxRetries)
            assert.strictEqual(got.length, maxRetries)
            for (const [index, ms] of got.entries()) {
              const even = Math.min(baseDelay * exponentialBase ** index, maxDelay)
              assert.isAtLeast(ms, even * (1 - jitter) - 1)
              assert.isAtMost(ms, even * (1 + jitter) + 1)
            }
          }))
      ))
    ))

  it.effect("is left to chance also where it is as long as it may be, so that the late ones do not come together", () =>
    Effect.gen(function*() {
      const longest = { maxRetries: 1, baseDelay: "1 hour", jitter: 0.5 } as const
      assert.deepStrictEqual((yield* Effect.withRandom(waits(longest), Random.fixed([1])))[0], 45_000)
      assert.deepStrictEqual((yield* Effect.withRandom(waits(longest), Random.fixed([0])))[0], 15_000)
    }))

  it.effect("is left to chance by a fifth, so that many do not come back together", () =>
    Effect.gen(function*() {
      const first = yield* Effect.replicateEffect(Effect.map(waits({ maxRetries: 1 }), ([ms]) => ms), 200)
      assert.isAbove(new Set(first).size, 100)
      assert.isTrue(first.every((ms) => ms !== undefined && ms >= 800 && ms <= 1200))
    }))

  it.effect("is as long as one of our errors says, and not as long as that of another library may mean", () =>
    Effect.gen(function*() {
      const schedule = Schedule.delays(yield* Retry.backoff({ jitter: 0 }))
      const limited = new RateLimitExceededError({ retryAfter: 70, limit: "", hint: "" })
      const waited = yield* Schedule.run(schedule, 0, [
        limited,
        { retryAfter: 70 },
        Object.assign(new Error(), { retryAfter: 70 })
      ])
      assert.deepStrictEqual(Chunk.toReadonlyArray(waited).map(Duration.toMillis), [70, 2000, 4000])
    }))

  it.effect("is for effects of one's own, too", () =>
    Effect.gen(function*() {
      let tries = 0
      const schedule = yield* Retry.backoff({ maxRetries: 4 })
      const fiber = yield* Effect.fork(Effect.flip(Effect.retry(Effect.failSync(() => `no ${++tries}`), schedule)))
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* Fiber.join(fiber), "no 5")
    }))
})

describe("what passes", () => {
  const about = { facts, hint: "", detail: "" }
  const api = (status: number | null, type: string) => new ApiError({ status, type, ...about })
  const client = (status: number | null, type: string) => new ApiClientError({ status, type, detail: "", hint: "" })
  const spawn = (reason: CliSpawnError["reason"]) => new CliSpawnError({ command: "c", reason, code: "E", hint: "" })
  const passing: ReadonlyArray<ClaudeError> = [
    overloaded,
    api(500, "api_error"),
    api(504, "x"),
    api(null, "connection_failed"),
    api(429, "rate_limit_error"),
    spawn("NoResources"),
    client(500, "api_error"),
    client(null, "connection_failed"),
    new ApiRateLimitError({ status: 429, type: "x", detail: "", retryAfter: null, hint: "" })
  ]
  const lasting: ReadonlyArray<ClaudeError> = [
    crashed,
    refused,
    api(400, "invalid_request_error"),
    api(429, "billing_error"),
    api(null, "max_output_tokens"),
    spawn("TooLarge"),
    spawn("Other"),
    client(400, "invalid_request_error"),
    client(null, "unsupported_option"),
    new UsageLimitError({ limit: "five_hour", resetsAt: null, ...about }),
    new AuthenticationError({ status: 401, ...about }),
    new MissingResultError({ facts, hint: "" }),
    new CircuitBreakerError({ key: "", retryAfter: 1, hint: "" }),
    new RateLimitExceededError({ retryAfter: 1, limit: "", hint: "" })
  ]

  it("is an overload, a failure of the API or on the way to it, too many requests of a key, no room for a process", () => {
    for (const error of passing) assert.isTrue(Retry.isTransient(error), JSON.stringify(error))
  })

  it("is nothing that the same call would meet again, and no refusal of our own", () => {
    for (const error of lasting) assert.isFalse(Retry.isTransient(error), JSON.stringify(error))
  })
})
