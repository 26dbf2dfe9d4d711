import * as CircuitBreaker from "@ccflow/core/CircuitBreaker"
import * as Claude from "@ccflow/core/Claude"
import { CliSpawnError, RateLimitExceededError } from "@ccflow/core/ClaudeError"
import * as Policies from "@ccflow/core/Policies"
import { layerNoop, RateLimiter } from "@ccflow/core/RateLimiter"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Stream, TestClock } from "effect"
import { follow, processes, settle } from "./sessions.js"

const overloaded = FakeCli.apiError({
  status: 529,
  code: "overloaded",
  type: "overloaded_error",
  message: "Overloaded"
})
const missing = { refuse: new CliSpawnError({ command: "claude", reason: "NotExecutable", code: "EACCES", hint: "" }) }
const noRoom = { refuse: new CliSpawnError({ command: "claude", reason: "NoResources", code: "EAGAIN", hint: "" }) }
const answers = { turns: [FakeCli.answer("4")] }

/** The first processes do this, those after them answer. */
const at = (first: ReadonlyArray<FakeCli.Script>) => (index: number): FakeCli.Script => first[index] ?? answers
const layerWith = (script: Parameters<typeof FakeCli.layer>[0], options: Policies.PolicyOptions = {}) =>
  FakeClaude.layerWith(script, Policies.layerWith(options))

const breaker = CircuitBreaker.CircuitBreaker
const stateNow = Effect.flatMap(breaker, ({ state }) => state("claude"))

const ask = () => Effect.flatMap(Claude.Claude, (claude) => follow(claude.query("2+2")))
const askAndFail = Effect.flip(Claude.text("2+2"))

describe("a query under all policies", { timeout: 20_000 }, () => {
  it.scoped("answers when an overloaded API gets well, and runs one process at a time", () =>
    Effect.gen(function*() {
      const turn = yield* ask()
      for (const [started, pause] of [[1, "2 seconds"], [2, "3 seconds"]] as const) {
        assert.deepStrictEqual(yield* processes, { started, running: 0 })
        yield* TestClock.adjust(pause)
      }
      assert.strictEqual((yield* turn.result).result, "4")
      assert.deepStrictEqual(turn.tags(), ["Init", "Init", "Init", "Text", "Assistant", "Stop", "Result"])
      assert.deepStrictEqual(yield* processes, { started: 3, running: 0 })
    }).pipe(Effect.provide(layerWith(at([{ turns: [overloaded] }, { turns: [overloaded] }])))))

  it.scoped("shows the last failure's messages once, in order, and fails with it", () =>
    Effect.gen(function*() {
      const turn = yield* ask()
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Effect.flip(turn.result))._tag, "OverloadedError")
      assert.deepStrictEqual(turn.tags(), [
        "Init",
        "Init",
        "Init",
        "Init",
        "Text",
        "Error",
        "Assistant",
        "Stop",
        "Result"
      ])
      assert.deepStrictEqual(yield* processes, { started: 4, running: 0 })
    }).pipe(Effect.provide(layerWith({ turns: [overloaded] }))))

  it.scoped("asks once where it does without retries", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* askAndFail)._tag, "OverloadedError")
      assert.deepStrictEqual(yield* processes, { started: 1, running: 0 })
    }).pipe(Effect.provide(layerWith({ turns: [overloaded] }, { retry: false }))))

  it.scoped("never asks again once a tool was used, whatever the failure", () =>
    Effect.gen(function*() {
      const turn = yield* ask()
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* Effect.flip(turn.result))._tag, "OverloadedError")
      assert.strictEqual((yield* processes).started, 1)
    }).pipe(Effect.provide(layerWith({
      turns: [[
        FakeCli.init(),
        FakeCli.toolUse("t1", "Bash", { command: "rm" }),
        FakeCli.toolResult("t1", "ok"),
        ...overloaded.slice(1)
      ]]
    }))))

  it.scoped("gives up its wait when it is interrupted, and starts nothing more", () =>
    Effect.gen(function*() {
      const claude = yield* Claude.Claude
      const stop = yield* Deferred.make<void>()
      const turn = yield* follow(claude.query("2+2", { interruptWhen: Deferred.await(stop) }))
      assert.isFalse(turn.ended())
      yield* Deferred.succeed(stop, undefined)
      yield* settle
      assert.deepInclude({ ...yield* Effect.flip(turn.result) }, { _tag: "CliExitError", reason: "Interrupted" })
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* processes).started, 1)
    }).pipe(Effect.provide(layerWith({ turns: [overloaded] }))))

  it.scoped("goes through the breaker with each attempt, and does not try again what the breaker refuses", () =>
    Effect.gen(function*() {
      const turn = yield* ask()
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* Effect.flip(turn.result))._tag, "CircuitBreakerError")
      assert.strictEqual((yield* processes).started, 2)
      const { stats } = yield* breaker
      assert.deepInclude(yield* stats, { calls: 2, failures: 2, rejections: 1 })
    }).pipe(Effect.provide(layerWith({ turns: [overloaded] }, { circuitBreaker: { failureThreshold: 2 } }))))

  it.scoped("starts no process while the breaker is open, and one probe when its time has come", () =>
    Effect.gen(function*() {
      yield* Effect.replicateEffect(askAndFail, 5)
      assert.strictEqual((yield* processes).started, 5)
      assert.deepInclude({ ...yield* askAndFail }, { _tag: "CircuitBreakerError", key: "claude", retryAfter: 30_000 })
      assert.strictEqual((yield* processes).started, 5)
      yield* TestClock.adjust("30 seconds")
      const all = yield* Effect.fork(
        Effect.forEach(Array.from({ length: 50 }), () => Effect.exit(Claude.text("2+2")), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("10 seconds")
      const exits = yield* Fiber.join(all)
      assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
      assert.strictEqual((yield* processes).started, 6)
      assert.deepStrictEqual(yield* stateNow, { _tag: "HalfOpen", successes: 1, probing: false })
      const second = yield* ask()
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* second.result).result, "4")
      assert.deepStrictEqual(yield* stateNow, { _tag: "Closed", failures: 0 })
    }).pipe(
      Effect.provide(
        layerWith((index) =>
          index < 5
            ? missing
            : { turns: [[FakeCli.init(), FakeCli.delay("1 second"), ...FakeCli.answer("4").slice(1)]] }
        )
      )
    ))

  it.scoped("gives the probe's place back when its caller leaves", () =>
    Effect.gen(function*() {
      yield* askAndFail
      yield* TestClock.adjust("30 seconds")
      const probe = yield* ask()
      assert.deepStrictEqual(yield* stateNow, { _tag: "HalfOpen", successes: 0, probing: true })
      yield* Fiber.interrupt(probe.fiber)
      assert.deepStrictEqual(yield* stateNow, { _tag: "HalfOpen", successes: 0, probing: false })
      assert.strictEqual(yield* Claude.text("2+2"), "4")
    }).pipe(Effect.provide(layerWith(at([missing, { turns: [[FakeCli.init(), FakeCli.hang]] }]), {
      circuitBreaker: { failureThreshold: 1 }
    }))))

  it.scoped("does not open the breaker with what our own rate limit refuses", () =>
    Effect.gen(function*() {
      const failures = yield* Effect.replicateEffect(askAndFail, 20)
      assert.isTrue(failures.every(({ _tag }) => _tag === "RateLimitExceededError"))
      assert.deepStrictEqual(yield* stateNow, { _tag: "Closed", failures: 0 })
      assert.strictEqual((yield* processes).started, 0)
    }).pipe(Effect.provide(FakeClaude.layerWith(answers, Layer.merge(Policies.layerWith({}), refusesAll)))))

  it.scoped("waits for room for a process, and tells the breaker of its failure", () =>
    Effect.gen(function*() {
      const turn = yield* ask()
      assert.deepStrictEqual(yield* stateNow, { _tag: "Closed", failures: 1 })
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* turn.result).result, "4")
      assert.deepStrictEqual(yield* stateNow, { _tag: "Closed", failures: 0 })
    }).pipe(Effect.provide(layerWith(at([noRoom])))))

  it.scoped("is refused at once with options of a policy that are wrong", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Layer.build(Policies.layerWith({ retry: { maxRetries: 0.5 } })))
      assert.deepInclude({ ...error }, { _tag: "InvalidOptionsError", field: "retry.maxRetries" })
    }))

  it.scoped("stays as it is where there is no policy", () =>
    Effect.gen(function*() {
      const policy = yield* Policies.make
      const stream = Stream.never
      const call = {
        id: "",
        prompt: "",
        options: {},
        target: { cli: "", account: "", model: "" },
        wait: <A>(a: A) => a
      }
      assert.strictEqual(policy.around(call)(stream), stream)
    }).pipe(Effect.provide(Policies.layerNoop)))
})

// ---------------------------------------------------------------------------

const refusesAll = Layer.effect(
  RateLimiter,
  Effect.map(RateLimiter, (limiter) => ({
    ...limiter,
    around: () => () => Stream.fail(new RateLimitExceededError({ retryAfter: 1, limit: "0 a minute", hint: "" }))
  }))
).pipe(Layer.provide(layerNoop))
