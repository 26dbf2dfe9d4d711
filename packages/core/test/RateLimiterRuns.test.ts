import * as Claude from "@ccflow/core/Claude"
import { CliNotFoundError } from "@ccflow/core/ClaudeError"
import * as Policies from "@ccflow/core/Policies"
import type * as Policy from "@ccflow/core/Policy"
import * as RateLimiter from "@ccflow/core/RateLimiter"
import * as Session from "@ccflow/core/Session"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import {
  Clock,
  Deferred,
  Effect,
  FastCheck as fc,
  Fiber,
  Layer,
  Option,
  Scope,
  Stream,
  TestClock,
  TestContext
} from "effect"
import { failureOf, follow, processes, sending, settle } from "./sessions.js"

const limited = (options: RateLimiter.RateLimiterOptions, script: Parameters<typeof FakeCli.layer>[0]) =>
  Effect.provide(
    Layer.orDie(FakeClaude.layerWith(script, Layer.merge(Policies.layerNoop, RateLimiter.layer(options))))
  )

const state = Effect.flatMap(RateLimiter.RateLimiter, (limiter) => limiter.state)

const echo: FakeCli.Script = { respond: (prompt) => FakeCli.answer(`to ${prompt}`) }

/** A turn of so many tokens, of which nine tenths come from the cache. */
const costing = (tokens: number): FakeCli.Script => ({
  respond: () => [
    FakeCli.init(),
    FakeCli.text("answer"),
    FakeCli.result({
      result: "answer",
      usage: { input_tokens: tokens - 10, output_tokens: 10, cache_read_input_tokens: 9 * tokens }
    })
  ]
})

/** When a query of this prompt begins, in seconds. */
const startOf = (prompt: string) =>
  Effect.gen(function*() {
    const { started } = yield* FakeCli.FakeCli
    const before = (yield* started).length
    const query = yield* follow(Claude.query(prompt))
    yield* TestClock.adjust(1)
    for (let ticks = 0; (yield* started).length === before && ticks < 600; ticks++) yield* TestClock.adjust("1 second")
    const now = yield* Clock.currentTimeMillis
    yield* TestClock.adjust("100 millis")
    yield* Fiber.join(query.fiber)
    return Math.round(now / 1000)
  })

describe("queries under a rate", () => {
  it.scoped("wait before their CLI is started, and begin in the order in which they were asked", () =>
    Effect.gen(function*() {
      const all = yield* Effect.forEach(["a", "b", "c"], (prompt) => follow(Claude.query(prompt)))
      assert.strictEqual((yield* processes).started, 1)
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(all.map(({ ended }) => ended()), [true, true, false])
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(yield* Effect.flatMap(FakeCli.FakeCli, ({ prompts }) => prompts), ["a", "b", "c"])
    }).pipe(limited({ requestsPerMinute: 2, burst: 1 }, echo)))

  it.scoped("wait for a window of any length, too", () =>
    Effect.gen(function*() {
      const all = yield* Effect.forEach(["a", "b"], (prompt) => follow(Claude.query(prompt)))
      yield* TestClock.adjust("59 minutes")
      assert.deepStrictEqual(all.map(({ ended }) => ended()), [true, false])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(all.map(({ ended }) => ended()), [true, true])
    }).pipe(limited({ requestsPerWindow: { requests: 1, window: "1 hour" } }, echo)))

  const callOf = (account: string): Policy.Call => ({
    id: "",
    prompt: "",
    options: {},
    target: { cli: "", account, model: "" },
    wait: (effect) => effect
  })

  it.scoped("stay as they are where nothing is limited", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const stream = Stream.never
      assert.strictEqual(limiter.around(callOf(""))(stream), stream)
    }).pipe(limited({ maxWait: "1 second" }, echo)))

  it.scoped("are counted by their account", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const begun: Array<string> = []
      for (const account of ["a", "b", "a"]) {
        const stream = limiter.around(callOf(account))(
          Stream.drain(Stream.fromEffect(Effect.sync(() => begun.push(account))))
        )
        yield* Effect.forkScoped(Stream.runDrain(stream))
        yield* settle
      }
      assert.deepStrictEqual(begun, ["a", "b"])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(begun, ["a", "b", "a"])
    }).pipe(limited({ requestsPerMinute: 1 }, echo)))

  it.scoped("end at once when they are interrupted while they wait, and give their place to the next", () =>
    Effect.gen(function*() {
      yield* follow(Claude.query("a"))
      const interrupt = yield* Deferred.make<void>()
      const second = yield* follow(Claude.query("b", { interruptWhen: Deferred.await(interrupt) }))
      const third = yield* follow(Claude.query("c"))
      yield* Deferred.succeed(interrupt, undefined)
      yield* settle
      assert.propertyVal(failureOf(yield* Fiber.await(second.fiber)), "reason", "Interrupted")
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* third.result).result, "to c")
    }).pipe(limited({ requestsPerMinute: 2, burst: 1 }, echo)))

  it.scoped("of a session end at once when the session is interrupted, and it goes on", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* Session.text(session, "a")
      const turn = yield* sending(session, "b")
      assert.deepStrictEqual(yield* state, { waiting: 1, active: 0 })
      yield* session.interrupt
      yield* settle
      assert.isTrue(turn.ended())
      const next = yield* sending(session, "c")
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* next.result).result, "to c")
    }).pipe(limited({ requestsPerMinute: 2, burst: 1 }, echo)))

  it.scoped("are refused without being started when they would wait too long", () =>
    Effect.gen(function*() {
      yield* Claude.text("a")
      const error = yield* Effect.flip(Claude.text("b"))
      assert.deepInclude(error, { _tag: "RateLimitExceededError", retryAfter: 30_000 })
      assert.strictEqual((yield* processes).started, 1)
    }).pipe(limited({ requestsPerMinute: 2, burst: 1, maxWait: "20 seconds" }, echo)))

  it.scoped("are under way until their stream has ended or is left, and no longer", () =>
    Effect.gen(function*() {
      const first = yield* follow(Claude.query("slow"))
      const second = yield* follow(Claude.query("a"))
      assert.deepStrictEqual(yield* state, { waiting: 1, active: 1 })
      yield* TestClock.adjust("20 seconds")
      assert.isFalse(second.ended())
      yield* Fiber.interrupt(first.fiber)
      yield* settle
      assert.strictEqual((yield* second.result).result, "to a")
      // Read to its end, and not closed yet.
      const pull = yield* Claude.toPull(Claude.query("b"))
      for (let more = true; more;) more = Option.isSome(yield* Effect.option(pull))
      assert.deepStrictEqual(yield* state, { waiting: 0, active: 0 })
    }).pipe(limited({ maxConcurrent: 1 }, {
      respond: (prompt) =>
        prompt === "slow" ? [FakeCli.delay("50 seconds"), ...FakeCli.answer("")] : FakeCli.answer(`to ${prompt}`)
    })))
})

describe("tokens of queries", () => {
  it.scoped("are settled by the result: an estimate that was too small delays the next", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* startOf("short"), 0)
      // 5000 of 1000 a minute were used: four minutes are owed, and a little for the next.
      assert.strictEqual(yield* startOf("short"), 241)
    }).pipe(limited({ tokensPerMinute: 1000 }, costing(5000))))

  it.scoped("are given back where the estimate was too large", () =>
    Effect.gen(function*() {
      const long = "x".repeat(4000)
      assert.strictEqual(yield* startOf(long), 0)
      // 100 of the 1000 were used.
      assert.strictEqual(yield* startOf(long), 6)
    }).pipe(limited({ tokensPerMinute: 1000 }, costing(100))))

  it.scoped("that are given back let go who waits for them", () =>
    Effect.gen(function*() {
      const long = "x".repeat(4000)
      yield* follow(Claude.query(`${long} slow`))
      const second = yield* follow(Claude.query(long))
      yield* TestClock.adjust("10 seconds")
      assert.isTrue(second.ended())
    }).pipe(limited({ tokensPerMinute: 1001 }, {
      respond: (prompt) => [
        ...prompt.endsWith("slow") ? [FakeCli.delay("5 seconds")] : [],
        FakeCli.init(),
        FakeCli.result({ result: "", usage: { input_tokens: 5, output_tokens: 5 } })
      ]
    })))

  it.scoped("are given back where nothing could begin", () =>
    Effect.gen(function*() {
      const long = "x".repeat(4000)
      assert.strictEqual((yield* Effect.flip(Claude.text(long)))._tag, "CliNotFoundError")
      assert.strictEqual(yield* startOf(long), 0)
    }).pipe(limited(
      { tokensPerMinute: 1000 },
      (index) => index === 0 ? { refuse: new CliNotFoundError({ command: "claude", hint: "" }) } : echo
    )))
})

describe("a limiter, whatever is asked of it", () => {
  const action = fc.oneof(
    fc.record({ kind: fc.constant("ask" as const), calls: fc.integer({ min: 1, max: 6 }) }),
    fc.record({ kind: fc.constantFrom("cancel" as const, "end" as const), at: fc.nat(30) }),
    fc.record({ kind: fc.constant("pass" as const), ms: fc.integer({ min: 1, max: 7000 }) })
  )

  interface Limits {
    readonly options: RateLimiter.RateLimiterOptions
    /** No more than so many begin within so many milliseconds, for any number of milliseconds. */
    readonly most: (ms: number) => number
    /** The earliest next start after these, by the definition. */
    readonly next: (starts: ReadonlyArray<number>, from: number) => number
    readonly active: number
  }

  const every = 1000
  const burst = 3
  const limits: Readonly<Record<string, Limits>> = {
    "token bucket": {
      options: { requestsPerMinute: 60, burst, maxConcurrent: 5 },
      most: (ms) => burst + Math.floor(ms / every),
      next: (starts, from) => {
        let paid = -Infinity
        for (const start of starts) paid = Math.max(start, paid) + every
        return Math.max(from, paid + every - burst * every)
      },
      active: 5
    },
    "sliding window": {
      options: { requestsPerWindow: { requests: 4, window: 5000 }, maxConcurrent: 5 },
      most: (ms) => 4 * (1 + Math.floor(ms / 5000)),
      next: (starts, from) => Math.max(from, starts.length < 4 ? 0 : starts.at(-4)! + 5000),
      active: 5
    }
  }

  for (const [name, { active, most, next, options }] of Object.entries(limits)) {
    it.effect(`lets nobody go too soon, too late or out of turn (${name})`, () =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(fc.array(action, { maxLength: 40 }), (script) =>
            Effect.runPromise(
              Effect.gen(function*() {
                const { acquire, state } = yield* RateLimiter.RateLimiter
                const starts: Array<{ readonly id: number; readonly at: number }> = []
                const expected: Array<{ readonly id: number; readonly at: number }> = []
                const fibers = new Map<number, Fiber.RuntimeFiber<unknown, unknown>>()
                const scopes = new Map<number, Scope.CloseableScope>()
                let waiting: Array<number> = []
                let running: Array<number> = []
                let now = 0
                let ids = 0
                /** The model: whoever is first goes as soon as it may. */
                const serve = (until: number) => {
                  while (waiting.length > 0 && running.length < active) {
                    const at = next(expected.map((one) => one.at), now)
                    if (at > until) break
                    now = at
                    const id = waiting.shift()!
                    expected.push({ id, at })
                    running.push(id)
                  }
                  now = until
                }
                for (const step of script) {
                  if (step.kind === "ask") {
                    for (let call = 0; call < step.calls; call++) {
                      const id = ids++
                      const scope = yield* Scope.make()
                      scopes.set(id, scope)
                      const begun = Effect.map(Clock.currentTimeMillis, (at) => starts.push({ id, at }))
                      fibers.set(id, yield* Effect.fork(Scope.extend(Effect.zipRight(acquire(), begun), scope)))
                      waiting.push(id)
                      yield* settle
                    }
                  } else if (step.kind === "pass") {
                    yield* TestClock.adjust(step.ms)
                    serve(now + step.ms)
                  } else {
                    const ids = step.kind === "cancel" ? waiting : running
                    const id = ids[step.at % Math.max(1, ids.length)]
                    if (id !== undefined) {
                      if (step.kind === "cancel") yield* Fiber.interrupt(fibers.get(id)!)
                      yield* Scope.close(scopes.get(id)!, yield* Effect.exit(Effect.void))
                      waiting = waiting.filter((other) => other !== id)
                      running = running.filter((other) => other !== id)
                    }
                    yield* settle
                  }
                  serve(now)
                  assert.deepStrictEqual(starts, expected)
                  assert.deepStrictEqual(yield* state, { waiting: waiting.length, active: running.length })
                }
                for (const [index, { at }] of starts.entries()) {
                  for (let other = index; other < starts.length; other++) {
                    assert.isAtMost(other - index + 1, most(starts[other]!.at - at))
                  }
                }
                for (const fiber of fibers.values()) yield* Fiber.interrupt(fiber)
                for (const scope of scopes.values()) yield* Scope.close(scope, yield* Effect.exit(Effect.void))
                assert.deepStrictEqual(yield* state, { waiting: 0, active: 0 })
              }).pipe(Effect.provide(Layer.provideMerge(RateLimiter.layer(options), TestContext.TestContext)))
            )),
          { numRuns: 60 }
        )
      ), 60_000)
  }
})
