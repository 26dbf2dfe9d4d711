import * as CircuitBreaker from "@ccflow/core/CircuitBreaker"
import {
  ApiClientError,
  ApiError,
  ApiRateLimitError,
  AuthenticationError,
  BudgetExceededError,
  type ClaudeError,
  CliExitError,
  CliNotFoundError,
  CliProtocolError,
  CliSpawnError,
  CliTimeoutError,
  ContextOverflowError,
  MaxTurnsError,
  MissingResultError,
  ModelNotFoundError,
  RateLimitExceededError,
  RefusalError,
  UsageLimitError
} from "@ccflow/core/ClaudeError"
import type * as Policy from "@ccflow/core/Policy"
import { assert, describe, it } from "@effect/vitest"
import {
  Chunk,
  Config,
  ConfigProvider,
  Deferred,
  Effect,
  Exit,
  FastCheck as fc,
  Fiber,
  Scope,
  Stream,
  TestClock,
  TestContext
} from "effect"
import { Circuits } from "../src/internal/circuits.js"
import { pullOf, streamed } from "../src/internal/streamed.js"
import { type Attempt, crashed, facts, overloaded, refused, running, text } from "./attempts.js"

const { make } = CircuitBreaker
type Breaker = CircuitBreaker.CircuitBreaker["Type"]

const key = "k"
const fails = (breaker: Breaker, count = 1) =>
  Effect.forEach(
    Array.from({ length: count }),
    () => Effect.flip(breaker.protect(key, Effect.fail("no"))),
    { discard: true }
  )
const succeeds = (breaker: Breaker) => breaker.protect(key, Effect.void)
const refusal = (breaker: Breaker) =>
  Effect.map(Effect.flip(breaker.protect(key, Effect.void)), ({ _tag, retryAfter }) => ({ _tag, retryAfter }))
/** A call that goes on until it is told how it ends. */
const call = (breaker: Breaker) =>
  Effect.gen(function*() {
    const end = yield* Deferred.make<void, string>()
    const fiber = yield* Effect.fork(breaker.protect(key, Deferred.await(end)))
    yield* TestClock.adjust(0)
    return {
      fiber,
      succeed: Effect.zipRight(Deferred.succeed(end, undefined), Effect.exit(Fiber.join(fiber))),
      fail: Effect.zipRight(Deferred.fail(end, "no"), Effect.exit(Fiber.join(fiber))),
      leave: Fiber.interrupt(fiber)
    }
  })

describe("a breaker", () => {
  it.scoped("opens after 5 failures in a row, refuses for 30 seconds and says for how long", () =>
    Effect.gen(function*() {
      const breaker = yield* make()
      yield* fails(breaker, 4)
      assert.deepStrictEqual(yield* breaker.state(key), { _tag: "Closed", failures: 4 })
      yield* fails(breaker)
      assert.deepStrictEqual(yield* breaker.state(key), { _tag: "Open", until: 30_000 })
      assert.deepStrictEqual(yield* refusal(breaker), { _tag: "CircuitBreakerError", retryAfter: 30_000 })
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(yield* refusal(breaker), { _tag: "CircuitBreakerError", retryAfter: 10_000 })
      yield* TestClock.adjust("9999 millis")
      assert.deepStrictEqual(yield* refusal(breaker), { _tag: "CircuitBreakerError", retryAfter: 1 })
    }))

  it.scoped("does not run what it refuses", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ failureThreshold: 1 })
      yield* fails(breaker)
      let ran = false
      yield* Effect.flip(breaker.protect(
        key,
        Effect.sync(() => {
          ran = true
        })
      ))
      assert.isFalse(ran)
    }))

  it.scoped("forgets its failures with a success", () =>
    Effect.gen(function*() {
      const breaker = yield* make()
      yield* fails(breaker, 4)
      yield* succeeds(breaker)
      yield* fails(breaker, 4)
      assert.deepStrictEqual(yield* breaker.state(key), { _tag: "Closed", failures: 4 })
    }))

  it.scoped("is half open as soon as its time has come, although nobody has called", () =>
    Effect.gen(function*() {
      const breaker = yield* make()
      yield* fails(breaker, 5)
      yield* TestClock.adjust("29999 millis")
      assert.strictEqual((yield* breaker.state(key))._tag, "Open")
      yield* TestClock.adjust(1)
      const halfOpen = { _tag: "HalfOpen", successes: 0, probing: false } as const
      assert.deepStrictEqual(yield* breaker.state(key), halfOpen)
      assert.deepStrictEqual(yield* breaker.states, [{ key, state: halfOpen }])
    }))

  it.scoped("lets one probe through at a time, and closes after two that succeed", () =>
    Effect.gen(function*() {
      const breaker = yield* make()
      yield* fails(breaker, 5)
      yield* TestClock.adjust("30 seconds")
      const probe = yield* call(breaker)
      assert.deepStrictEqual(yield* breaker.state(key), { _tag: "HalfOpen", successes: 0, probing: true })
      assert.deepStrictEqual(yield* refusal(breaker), { _tag: "CircuitBreakerError", retryAfter: 1000 })
      yield* probe.succeed
      assert.deepStrictEqual(yield* breaker.state(key), { _tag: "HalfOpen", successes: 1, probing: false })
      yield* succeeds(breaker)
      assert.deepStrictEqual(yield* breaker.state(key), { _tag: "Closed", failures: 0 })
      assert.deepStrictEqual(yield* breaker.states, [])
    }))

  it.scoped("lets exactly one of 50 calls through that come at once when it is half open", () =>
    Effect.gen(function*() {
      const breaker = yield* make()
      yield* fails(breaker, 5)
      yield* TestClock.adjust("30 seconds")
      let ran = 0
      const one = breaker.protect(key, Effect.zipRight(Effect.sync(() => ran++), Effect.sleep("1 second")))
      const fiber = yield* Effect.fork(
        Effect.forEach(Array.from({ length: 50 }), () => Effect.exit(one), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("1 second")
      const exits = yield* Fiber.join(fiber)
      assert.strictEqual(ran, 1)
      assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
    }))

  it.scoped("opens again, for as long again, when a probe fails, also after one that has succeeded", () =>
    Effect.gen(function*() {
      const breaker = yield* make()
      yield* fails(breaker, 5)
      yield* TestClock.adjust("40 seconds")
      yield* succeeds(breaker)
      yield* fails(breaker)
      assert.deepStrictEqual(yield* breaker.state(key), { _tag: "Open", until: 70_000 })
    }))

  it.scoped("gives the probe's place back when it is interrupted, fails in a way that does not count, or has a bug", () =>
    Effect.gen(function*() {
      const breaker = yield* make()
      yield* fails(breaker, 5)
      yield* TestClock.adjust("30 seconds")
      const halfOpen = { _tag: "HalfOpen", successes: 0, probing: false } as const
      const left = yield* call(breaker)
      yield* left.leave
      assert.deepStrictEqual(yield* breaker.state(key), halfOpen)
      yield* Effect.flip(breaker.protect(key, Effect.fail("mine"), () => false))
      assert.deepStrictEqual(yield* breaker.state(key), halfOpen)
      yield* Effect.exit(breaker.protect(key, Effect.die("bug")))
      assert.deepStrictEqual(yield* breaker.state(key), halfOpen)
      yield* succeeds(breaker)
      assert.deepStrictEqual(yield* breaker.state(key), { ...halfOpen, successes: 1 })
    }))

  it.scoped("is not moved by calls that were let through before it opened, however they end", () =>
    Effect.gen(function*() {
      const breaker = yield* make()
      const old = yield* Effect.replicateEffect(call(breaker), 4)
      yield* fails(breaker, 5)
      yield* old[0]!.fail
      yield* old[1]!.succeed
      assert.deepStrictEqual(yield* breaker.state(key), { _tag: "Open", until: 30_000 })
      yield* TestClock.adjust("30 seconds")
      const probe = yield* call(breaker)
      yield* old[2]!.succeed
      yield* old[3]!.fail
      assert.deepStrictEqual(yield* breaker.state(key), { _tag: "HalfOpen", successes: 0, probing: true })
      yield* probe.succeed
      assert.deepStrictEqual(yield* breaker.state(key), { _tag: "HalfOpen", successes: 1, probing: false })
    }))

  it.scoped("closes by hand, and listens no more to the calls under way", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ failureThreshold: 2 })
      const old = yield* call(breaker)
      yield* fails(breaker, 2)
      yield* breaker.reset(key)
      yield* old.fail
      assert.deepStrictEqual(yield* breaker.state(key), { _tag: "Closed", failures: 0 })
      yield* succeeds(breaker)
      yield* breaker.reset("never seen")
    }))

  it.scoped("keeps its keys apart", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ failureThreshold: 1 })
      yield* fails(breaker)
      yield* breaker.protect("other", Effect.void)
      assert.deepStrictEqual((yield* breaker.states).map(({ key }) => key), [key])
    }))

  it.scoped("tells each time that it opens, half opens and closes", () =>
    Effect.gen(function*() {
      const breaker = yield* make()
      const fiber = yield* Effect.fork(Stream.runCollect(Stream.take(breaker.changes, 5)))
      yield* TestClock.adjust(0)
      yield* fails(breaker, 5)
      yield* TestClock.adjust("30 seconds")
      yield* fails(breaker)
      yield* TestClock.adjust("30 seconds")
      yield* succeeds(breaker)
      yield* succeeds(breaker)
      yield* succeeds(breaker)
      const seen = Chunk.toReadonlyArray(yield* Fiber.join(fiber))
      assert.deepStrictEqual(seen.map(({ state }) => state._tag), ["Open", "HalfOpen", "Open", "HalfOpen", "Closed"])
      assert.isTrue(seen.every((change) => change.key === key))
    }))

  it.effect("ends the stream of its changes with its layer", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const breaker = yield* Scope.extend(make(), scope)
      const fiber = yield* Effect.fork(Stream.runDrain(breaker.changes))
      yield* TestClock.adjust(0)
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust(0)
      assert.isNotNull(fiber.unsafePoll())
    }))

  it.scoped("counts what it has seen", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ failureThreshold: 2 })
      yield* succeeds(breaker)
      yield* TestClock.adjust("1 second")
      yield* Effect.flip(breaker.protect(key, Effect.fail("mine"), () => false))
      yield* fails(breaker, 2)
      yield* TestClock.adjust("1 second")
      yield* refusal(breaker)
      assert.deepStrictEqual(yield* breaker.stats, {
        calls: 4,
        successes: 1,
        failures: 2,
        rejections: 1,
        lastSuccessAt: 0,
        lastFailureAt: 1000
      })
    }))

  it.scoped("is as at first again when nobody has asked for an hour after its reset time, and not before", () =>
    Effect.gen(function*() {
      const breaker = yield* make()
      yield* fails(breaker)
      yield* TestClock.adjust(30_000 + 3_600_000 - 1)
      assert.deepStrictEqual(yield* breaker.state(key), { _tag: "Closed", failures: 1 })
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* breaker.state(key), { _tag: "Closed", failures: 0 })
      assert.deepStrictEqual(yield* breaker.states, [])
      yield* fails(breaker)
      assert.deepStrictEqual(yield* breaker.state(key), { _tag: "Closed", failures: 1 })
    }))

  it("keeps no key for ever, but one that has calls under way", () => {
    const circuits = new Circuits({ failureThreshold: 5, resetMs: 30_000, successThreshold: 2 })
    const admitted = (key: string, now: number) => {
      const admission = circuits.admit(key, now)
      return "ticket" in admission ? admission.ticket : assert.fail("refused")
    }
    for (let n = 0; n < 10_000; n++) circuits.end(admitted(`good ${n}`, n), "succeeded", n)
    assert.strictEqual(circuits.size, 0)
    const long = admitted("long", 0)
    for (let n = 0; n < 1000; n++) circuits.end(admitted(`bad ${n}`, n), "failed", n)
    assert.strictEqual(circuits.states(2000).length, 1000)
    const later = 4 * 60 * 60 * 1000
    assert.deepStrictEqual(circuits.states(later), [])
    assert.deepStrictEqual(circuits.state("bad 1", later), { _tag: "Closed", failures: 0 })
    circuits.end(admitted("new", later), "failed", later)
    assert.strictEqual(circuits.size, 2)
    circuits.end(long, "failed", later)
    assert.deepStrictEqual(circuits.state("long", later), { _tag: "Closed", failures: 1 })
  })

  for (
    const [field, options] of [
      ["failureThreshold", { failureThreshold: 0 }],
      ["successThreshold", { successThreshold: 1.5 }],
      ["resetTimeout", { resetTimeout: 0 }],
      ["resetTimeout", { resetTimeout: Infinity }],
      ["resetTimeout", { resetTimeout: "soon" }],
      ["resetTimout", { resetTimout: 5 }],
      ["key", { key: "all" }]
    ] as const
  ) {
    it.scoped(`refuses ${JSON.stringify(options)}`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(make(options as CircuitBreaker.CircuitBreakerOptions))
        assert.deepInclude({ ...error }, { _tag: "InvalidOptionsError", field: `circuitBreaker.${field}` })
      }))
  }

  it.effect("can be had from the environment", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      yield* fails(breaker, 2)
      assert.deepStrictEqual(yield* breaker.state(key), { _tag: "Open", until: 7000 })
    }).pipe(
      Effect.provide(CircuitBreaker.layerConfig({
        failureThreshold: Config.integer("FAILURES"),
        resetTimeout: Config.duration("RESET")
      })),
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["FAILURES", "2"], ["RESET", "7 seconds"]])))
    ))

  it.effect("is not there in a noop", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.CircuitBreaker
      yield* fails(breaker, 50)
      yield* succeeds(breaker)
      yield* breaker.reset(key)
      assert.deepStrictEqual(yield* breaker.states, [])
      assert.deepStrictEqual(yield* breaker.state(key), { _tag: "Closed", failures: 0 })
      assert.deepInclude(yield* breaker.stats, { calls: 0, failures: 0, rejections: 0 })
      assert.strictEqual(breaker.keyOf({ cli: "claude", account: "", model: "" }), "")
      assert.strictEqual(yield* Stream.runCount(breaker.changes), 0)
    }).pipe(Effect.provide(CircuitBreaker.layerNoop)))
})

describe("the default key", () => {
  it.scoped("tells CLIs, accounts and models apart", () =>
    Effect.gen(function*() {
      const { keyOf } = yield* make()
      const target: Policy.Target = { cli: "claude", account: "", model: "" }
      const keys = [
        target,
        { ...target, cli: "/opt/claude" },
        { ...target, account: "#1" },
        { ...target, model: "opus" },
        { ...target, account: "#1", model: "opus" }
      ].map(keyOf)
      assert.strictEqual(new Set(keys).size, keys.length)
      assert.strictEqual(keys[0], "claude")
    }))
})

// ---------------------------------------------------------------------------

const target: Policy.Target = { cli: "claude", account: "", model: "" }
const over = (breaker: Breaker, attempt: Attempt) => {
  const run = running([attempt])
  return {
    run,
    stream: breaker.around({ id: "call", prompt: "hi", options: {}, target, wait: (effect) => effect })(
      streamed(run.open)
    )
  }
}

describe("the verdict of a stream", () => {
  const stateOf = (breaker: Breaker) => breaker.state("claude")
  const opened = (attempt: Attempt) =>
    Effect.gen(function*() {
      const breaker = yield* make({ failureThreshold: 1, successThreshold: 1 })
      yield* Effect.exit(Stream.runDrain(over(breaker, { end: crashed }).stream))
      yield* TestClock.adjust("30 seconds")
      return { breaker, ...over(breaker, attempt) }
    })

  it.scoped("is its end: nothing is known while it goes on", () =>
    Effect.gen(function*() {
      const { breaker, stream } = yield* opened({ batches: [[text("a")]], end: "never" })
      const fiber = yield* Effect.fork(Stream.runDrain(stream))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* stateOf(breaker), { _tag: "HalfOpen", successes: 0, probing: true })
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* stateOf(breaker), { _tag: "HalfOpen", successes: 0, probing: false })
    }))

  it.scoped("is a success when it ends well", () =>
    Effect.gen(function*() {
      const { breaker, stream } = yield* opened({ batches: [[text("a")], [text("b")]] })
      yield* Stream.runDrain(stream)
      assert.deepStrictEqual(yield* stateOf(breaker), { _tag: "Closed", failures: 0 })
    }))

  for (const attempt of [{ batches: [[text("a")]], end: overloaded }, { refuses: crashed }]) {
    it.scoped(`is a failure when it ${attempt.refuses ? "does not begin" : "breaks off"}`, () =>
      Effect.gen(function*() {
        const { breaker, stream } = yield* opened(attempt)
        yield* Effect.flip(Stream.runDrain(stream))
        assert.strictEqual((yield* stateOf(breaker))._tag, "Open")
      }))
  }

  for (
    const [what, attempt, take] of [
      ["the consumer leaves early", { batches: [[text("a")], [text("b")]] }, 1],
      ["it fails in a way that does not count", { end: refused }, 9],
      ["it is not begun in a way that does not count", { refuses: refused }, 9],
      ["it has a bug", { end: "defect" }, 9]
    ] as const
  ) {
    it.scoped(`is neither when ${what}: the probe's place is free again when nothing is left of it`, () =>
      Effect.gen(function*() {
        const { breaker, run, stream } = yield* opened(attempt)
        yield* Effect.exit(Stream.runDrain(Stream.take(stream, take)))
        assert.deepStrictEqual(yield* stateOf(breaker), { _tag: "HalfOpen", successes: 0, probing: false })
        assert.deepStrictEqual(run.log, ["open 0", "close 0"])
      }))
  }

  it.scoped("counts once, although the end is told again", () =>
    Effect.gen(function*() {
      const breaker = yield* make()
      const { stream } = over(breaker, { end: crashed })
      yield* Effect.scoped(Effect.gen(function*() {
        const pull = yield* pullOf(stream)
        yield* Effect.flip(pull)
        yield* Effect.flip(pull)
      }))
      assert.deepStrictEqual(yield* stateOf(breaker), { _tag: "Closed", failures: 1 })
      assert.strictEqual((yield* breaker.stats).failures, 1)
    }))

  it.scoped("can be the caller's to say", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ counts: (error) => error._tag === "InvalidOptionsError", key: () => "all" })
      yield* Effect.exit(Stream.runDrain(over(breaker, { end: refused }).stream))
      yield* Effect.exit(Stream.runDrain(over(breaker, { end: crashed }).stream))
      assert.deepStrictEqual(yield* breaker.state("all"), { _tag: "Closed", failures: 1 })
    }))
})

describe("what counts", () => {
  const about = { facts, hint: "", detail: "" }
  const api = (status: number | null, type: string) => new ApiError({ status, type, ...about })
  const exit = (reason: CliExitError["reason"]) => new CliExitError({ reason, ...about })
  const spawn = (reason: CliSpawnError["reason"]) => new CliSpawnError({ command: "c", reason, code: "E", hint: "" })
  const late = (phase: CliTimeoutError["phase"]) =>
    new CliTimeoutError({ phase, timeoutMs: 1, sessionId: "", frames: 0, partial: "", costUsd: null, hint: "" })
  const client = (status: number | null, type: string) => new ApiClientError({ status, type, detail: "", hint: "" })
  const counted: ReadonlyArray<ClaudeError> = [
    spawn("NoResources"),
    spawn("NotExecutable"),
    exit("Exited"),
    exit("Killed"),
    exit("StartupFailed"),
    new MissingResultError({ facts, hint: "" }),
    late("startup"),
    late("stall"),
    new CliProtocolError({ request: "initialize", detail: "", hint: "" }),
    overloaded,
    api(500, "api_error"),
    api(503, "x"),
    api(null, "connection_failed"),
    client(500, "x"),
    client(502, "x"),
    client(null, "connection_failed")
  ]
  const uncounted: ReadonlyArray<ClaudeError> = [
    new CliNotFoundError({ command: "c", hint: "" }),
    spawn("CwdMissing"),
    spawn("TooLarge"),
    exit("Interrupted"),
    exit("ConfigInvalid"),
    late("total"),
    refused,
    api(429, "rate_limit_error"),
    api(400, "invalid_request_error"),
    api(null, "max_output_tokens"),
    api(500, "billing_error"),
    client(400, "x"),
    client(499, "x"),
    client(null, "unsupported_option"),
    new ApiRateLimitError({ status: 429, type: "x", detail: "", retryAfter: null, hint: "" }),
    new AuthenticationError({ status: 401, ...about }),
    new UsageLimitError({ limit: "five_hour", resetsAt: null, ...about }),
    new ModelNotFoundError({ model: "m", ...about }),
    new RefusalError(about),
    new ContextOverflowError(about),
    new MaxTurnsError({ numTurns: 1, facts, hint: "" }),
    new BudgetExceededError({ spentUsd: 1, facts, hint: "" }),
    new RateLimitExceededError({ retryAfter: 1, limit: "", hint: "" })
  ]
  for (const [expected, errors] of [[true, counted], [false, uncounted]] as const) {
    it(`${expected ? "is what is wrong with the CLI or the API" : "is not what the caller asked for or has used up"}`, () => {
      for (const error of errors) assert.strictEqual(CircuitBreaker.isCounted(error), expected, JSON.stringify(error))
    })
  }
})

// ---------------------------------------------------------------------------

type Step =
  | { readonly _tag: "call" }
  | { readonly _tag: "end"; readonly which: number; readonly how: "succeed" | "fail" | "leave" }
  | { readonly _tag: "pass"; readonly ms: number }
  | { readonly _tag: "reset" }

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.constant({ _tag: "call" as const }) },
  {
    weight: 6,
    arbitrary: fc.record({
      _tag: fc.constant("end" as const),
      which: fc.nat(3),
      how: fc.constantFrom("succeed" as const, "fail" as const, "fail" as const, "fail" as const, "leave" as const)
    })
  },
  {
    weight: 2,
    arbitrary: fc.record({ _tag: fc.constant("pass" as const), ms: fc.constantFrom(1, 40, 59, 60, 100) })
  },
  { weight: 1, arbitrary: fc.constant({ _tag: "reset" as const }) }
)

const rules = { failureThreshold: 3, resetTimeout: 100, successThreshold: 2 }

/** The same rules, said with what was seen since the breaker last opened or closed. */
class Model {
  now = 0
  private openedAt: number | undefined
  private seen: Array<"succeed" | "fail"> = []
  /** Calls under way of which it listens. */
  private heard = new Set<number>()

  get halfOpen(): boolean {
    return this.openedAt !== undefined && this.now >= this.openedAt + rules.resetTimeout
  }

  /** Whether it is let through. */
  call(id: number): boolean {
    if (this.openedAt !== undefined && (!this.halfOpen || this.heard.size > 0)) return false
    this.heard.add(id)
    return true
  }

  end(id: number, how: "succeed" | "fail" | "leave"): void {
    if (!this.heard.delete(id) || how === "leave") return
    this.seen.push(how)
    if (this.openedAt === undefined) {
      if (this.seen.length >= 3 && this.seen.slice(-3).every((one) => one === "fail")) this.turn(this.now)
    } else if (how === "fail") this.turn(this.now)
    else if (this.seen.length >= rules.successThreshold) this.turn(undefined)
  }

  turn(openedAt: number | undefined): void {
    this.openedAt = openedAt
    this.seen = []
    this.heard.clear()
  }

  get state(): CircuitBreaker.State {
    if (this.openedAt === undefined) {
      return { _tag: "Closed", failures: this.seen.length - 1 - this.seen.lastIndexOf("succeed") }
    }
    return this.halfOpen
      ? { _tag: "HalfOpen", successes: this.seen.length, probing: this.heard.size > 0 }
      : { _tag: "Open", until: this.openedAt + rules.resetTimeout }
  }
}

/** Plays the steps on a breaker and on the model, which must agree at each of them. Gives the states as they came. */
const play = (steps: ReadonlyArray<Step>) =>
  Effect.gen(function*() {
    const breaker = yield* make(rules)
    const model = new Model()
    const calls: Array<{ readonly id: number; readonly call: Effect.Effect.Success<ReturnType<typeof call>> }> = []
    const states: Array<CircuitBreaker.State> = []
    for (const [id, step] of steps.entries()) {
      if (step._tag === "call") {
        const made = yield* call(breaker)
        const through = made.fiber.unsafePoll() === null
        assert.strictEqual(through, model.call(id), `step ${id}`)
        if (through) calls.push({ id, call: made })
      } else if (step._tag === "end") {
        const [ended] = calls.splice(step.which % Math.max(1, calls.length), 1)
        if (ended !== undefined) {
          yield* ended.call[step.how]
          model.end(ended.id, step.how)
        }
      } else if (step._tag === "pass") {
        yield* TestClock.adjust(step.ms)
        model.now += step.ms
      } else {
        yield* breaker.reset(key)
        model.turn(undefined)
      }
      const state = yield* breaker.state(key)
      assert.deepStrictEqual(state, model.state, `step ${id}`)
      states.push(state)
    }
    return states
  }).pipe(Effect.scoped, Effect.provide(TestContext.TestContext))

describe("for any events", { timeout: 60_000 }, () => {
  it("it is as a simple model says, after each of them", () =>
    fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 60 }), (steps) => Effect.runPromise(Effect.asVoid(play(steps)))),
      { numRuns: 150 }
    ))

  it("the same ones in the same order give the same states", () =>
    fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 40 }), (steps) =>
        Effect.runPromise(Effect.gen(function*() {
          assert.deepStrictEqual(yield* play(steps), yield* play(steps))
        }))),
      { numRuns: 20 }
    ))
})
