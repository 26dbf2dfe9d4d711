import * as CircuitBreaker from "@ccflow/core/CircuitBreaker"
import * as Claude from "@ccflow/core/Claude"
import { ClaudeConfig } from "@ccflow/core/ClaudeConfig"
import { CliNotFoundError } from "@ccflow/core/ClaudeError"
import * as Events from "@ccflow/core/Events"
import * as MessageParser from "@ccflow/core/MessageParser"
import * as Permissions from "@ccflow/core/Permissions"
import * as Policies from "@ccflow/core/Policies"
import * as RateLimiter from "@ccflow/core/RateLimiter"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, TestClock } from "effect"
import { claude, hear, names, of } from "./listening.js"
import { at, inTurn, rejected } from "./usage.js"

const yes = FakeCli.answer("yes")
const overloaded = FakeCli.apiError({
  status: 529,
  code: "overloaded",
  type: "overloaded_error",
  message: "Overloaded"
})

const ask = (options?: Claude.ClaudeOptions) => Effect.fork(Effect.exit(Claude.text("hi", options)))

/** The calls in the order in which they were begun. */
const calls = (heard: ReadonlyArray<Events.Event>) => of(heard, "QueryStarted").map(({ callId }) => callId)

describe("is told, with its call,", () => {
  it.scoped("that it is made again, before the wait", () =>
    Effect.gen(function*() {
      const heard = yield* hear()
      yield* ask()
      yield* TestClock.adjust("2 minutes")
      const [call] = calls(heard)
      assert.deepStrictEqual(
        of(heard, "Retrying").map(({ attempt, callId, delayMs, error }) => [callId, attempt, delayMs, error._tag]),
        [[call, 1, 2000, "OverloadedError"], [call, 2, 4000, "OverloadedError"]]
      )
      assert.deepStrictEqual(of(heard, "Retrying").map(({ at }) => at), [0, 2000])
      assert.deepStrictEqual(of(heard, "QueryEnded").map(({ outcome }) => outcome), ["success"])
      assert.strictEqual(of(heard, "ProcessEnded").length, 3)
    }).pipe(
      Effect.provide(
        claude(inTurn(overloaded, overloaded, yes), { retry: { baseDelay: "2 seconds", jitter: 0, maxRetries: 3 } })
      )
    ))

  it.scoped("that a breaker has opened, tries, and has closed", () =>
    Effect.gen(function*() {
      const heard = yield* hear("BreakerChanged", "QueryEnded")
      for (let n = 0; n < 3; n++) {
        yield* ask({ model: "opus" })
        yield* TestClock.adjust("10 seconds")
      }
      yield* TestClock.adjust("30 seconds")
      for (let n = 0; n < 3; n++) {
        yield* ask({ model: "opus" })
        yield* TestClock.adjust("1 second")
      }
      assert.deepStrictEqual(
        of(heard, "BreakerChanged").map(({ state, until }) => [state, until]),
        [["open", 40_000], ["halfOpen", undefined], ["closed", undefined]]
      )
      const calls = of(heard, "QueryEnded").map(({ callId }) => callId)
      assert.deepStrictEqual(of(heard, "BreakerChanged").map(({ callId }) => callId), [calls[1], calls[3], calls[4]])
      const { keyOf } = yield* CircuitBreaker.CircuitBreaker
      const target = { cli: "claude", account: "", model: "opus" }
      assert.deepStrictEqual([...new Set(of(heard, "BreakerChanged").map(({ key }) => key))], [keyOf(target)])
    }).pipe(
      Effect.provide(claude(inTurn(overloaded, overloaded, yes), { circuitBreaker: { failureThreshold: 2 } }))
    ))

  it.scoped("what it has waited for the rate limit, if it has", () =>
    Effect.gen(function*() {
      const heard = yield* hear()
      yield* ask()
      yield* ask()
      yield* TestClock.adjust("2 minutes")
      const [, second] = calls(heard)
      assert.deepStrictEqual(
        of(heard, "RateLimited").map(({ callId, waitedMs }) => [callId, waitedMs]),
        [[second, 60_000]]
      )
      const { acquire } = yield* RateLimiter.RateLimiter
      yield* Effect.forkScoped(Effect.zipRight(acquire(), acquire()))
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(of(heard, "RateLimited").map(({ callId }) => callId), [second, undefined])
    }).pipe(Effect.provide(claude({ respond: () => yes }, { rateLimit: { requestsPerMinute: 1 } }))))

  it.scoped("what it has waited for a process, if it has", () =>
    Effect.gen(function*() {
      const heard = yield* hear()
      yield* ask()
      yield* ask()
      yield* TestClock.adjust("1 minute")
      const [, second] = calls(heard)
      assert.deepStrictEqual(
        of(heard, "Queued").map(({ callId, waitedMs }) => [callId, waitedMs]),
        [[second, 5000]]
      )
    }).pipe(
      Effect.provide(
        claude({ respond: () => [FakeCli.init(), FakeCli.delay("5 seconds"), ...yes.slice(1)] }, { maxConcurrent: 1 })
      )
    ))

  it.scoped("that it is parked until a window opens, and when it goes on", () =>
    Effect.gen(function*() {
      const heard = yield* hear()
      yield* ask()
      yield* TestClock.adjust("50 seconds")
      assert.deepStrictEqual(names(heard, "Parked", "Unparked"), ["Parked"])
      yield* TestClock.adjust("1 minute")
      const [call] = calls(heard)
      assert.deepInclude(of(heard, "Parked")[0], { callId: call, limit: "five_hour", until: at(100) })
      const [unparked] = of(heard, "Unparked")
      assert.deepInclude(unparked, { callId: call, limit: "five_hour" })
      assert.isTrue(unparked !== undefined && unparked.waitedMs >= 100_000 && unparked.waitedMs < 101_000)
      assert.deepStrictEqual(of(heard, "QueryEnded").map(({ outcome }) => outcome), ["success"])
    }).pipe(Effect.provide(claude(inTurn(rejected("five_hour", 100), yes), { usageLimit: {} }))))

  it.scoped("that it is parked no more when its caller gives it up", () =>
    Effect.gen(function*() {
      const heard = yield* hear()
      const waiting = yield* ask()
      yield* TestClock.adjust("50 seconds")
      yield* Fiber.interrupt(waiting)
      assert.deepStrictEqual(
        of(heard, "Unparked").map(({ limit, waitedMs }) => [limit, waitedMs]),
        [["five_hour", 50_000]]
      )
      assert.deepStrictEqual(of(heard, "QueryEnded").map(({ outcome }) => outcome), ["interrupted"])
    }).pipe(Effect.provide(claude(inTurn(rejected("five_hour", 100), yes), { usageLimit: {} }))))

  it.scoped("that its time was up, once", () =>
    Effect.gen(function*() {
      const heard = yield* hear()
      yield* ask({ timeout: "3 seconds" })
      yield* TestClock.adjust("1 minute")
      const [call] = calls(heard)
      assert.deepStrictEqual(
        of(heard, "TimedOut").map(({ callId, phase, timeoutMs }) => [callId, phase, timeoutMs]),
        [[call, "total", 3000]]
      )
      assert.strictEqual(of(heard, "QueryEnded")[0]?.error?._tag, "CliTimeoutError")
    }).pipe(Effect.provide(claude([[FakeCli.init(), FakeCli.hang]]))))

  it.scoped("that it falls back, and why", () =>
    Effect.gen(function*() {
      const heard = yield* hear("FellBack")
      const { query, session } = yield* Claude.Claude
      const missing = new CliNotFoundError({ command: "claude", hint: "" })
      const primary: Claude.Claude["Type"] = { query: () => Claude.fromPull(Effect.fail(missing)), session }
      const both = Claude.withFallback(primary, { query, session }, ["cliMissing"])
      yield* Effect.fork(Effect.provideService(Claude.text("hi"), Claude.Claude, both))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        of(heard, "FellBack").map(({ cause, error }) => [cause, error._tag]),
        [["cliMissing", "CliNotFoundError"]]
      )
    }).pipe(Effect.provide(claude({ respond: () => yes }))))
})

describe("a tool that may or may not run", () => {
  const asking = (after: FakeCli.Turn = []): FakeCli.Turn => [
    FakeCli.init(),
    FakeCli.toolUse("t1", "Bash", { command: "secret" }),
    FakeCli.askPermission("Bash", { command: "secret" }),
    ...after,
    ...yes.slice(1)
  ]

  for (const decision of ["allow", "deny"] as const) {
    it.scoped(`is told when it is asked for, and when and how it is decided: ${decision}`, () =>
      Effect.gen(function*() {
        const heard = yield* hear()
        yield* ask({
          permissions: () =>
            Effect.as(Effect.sleep("7 seconds"), decision === "allow" ? Permissions.allow() : Permissions.deny("no"))
        })
        yield* TestClock.adjust("1 minute")
        const [call] = calls(heard)
        assert.deepStrictEqual(
          of(heard, "PermissionAsked").map(({ callId, tool }) => [callId, tool]),
          [[call, "Bash"]]
        )
        assert.deepStrictEqual(
          of(heard, "PermissionDecided").map(({ callId, decision, waitedMs }) => [callId, decision, waitedMs]),
          [[call, decision, 7000]]
        )
        assert.notInclude(JSON.stringify(of(heard, "PermissionAsked")), "secret")
      }).pipe(Effect.provide(claude([asking()]))))
  }

  it.scoped("is told as withdrawn when nobody wants to know any more", () =>
    Effect.gen(function*() {
      const heard = yield* hear("PermissionAsked", "PermissionDecided")
      const asked = yield* Deferred.make<void>()
      const call = yield* ask({
        permissions: () => Effect.zipRight(Deferred.succeed(asked, undefined), Effect.never)
      })
      yield* TestClock.adjust("1 second")
      yield* Deferred.await(asked)
      yield* Fiber.interrupt(call)
      assert.deepStrictEqual(of(heard, "PermissionDecided").map(({ decision }) => decision), ["withdrawn"])
    }).pipe(Effect.provide(claude([asking()]))))
})

describe("a process", () => {
  it.scoped("is told from its start to its end, with what its output was made of", () =>
    Effect.gen(function*() {
      const heard = yield* hear("ProcessStarted", "ProcessEnded", "QueryStarted")
      yield* ask()
      yield* TestClock.adjust("1 second")
      const [started, ended] = [of(heard, "ProcessStarted")[0], of(heard, "ProcessEnded")[0]]
      assert.deepInclude(started, { warm: false, callId: calls(heard)[0] })
      assert.strictEqual(ended?.processId, started?.processId)
      assert.deepInclude(ended, { unknown: 2, noise: 1, malformed: 1 })
      assert.isAtLeast(ended?.lines ?? 0, 7)
    }).pipe(Effect.provide(claude([[
      FakeCli.init(),
      FakeCli.raw("a hook said this\n"),
      FakeCli.raw("{\"type\": broken\n"),
      FakeCli.emit({ type: "of_the_future" }),
      FakeCli.emit({ type: "system", subtype: "of_the_future" }),
      ...yes.slice(1)
    ]]))))

  it.scoped("that is started for nobody yet is told as warm, and belongs to no call", () =>
    Effect.gen(function*() {
      const scope = yield* Effect.scope
      const { observe } = yield* Events.Events
      const heard: Array<Events.Event> = []
      yield* observe((event) => heard.push(event), ["ProcessStarted"])
      yield* Layer.buildWithScope(
        Claude.layerWith({ warm: 1 }).pipe(Layer.provide([
          MessageParser.layer,
          Layer.succeed(ClaudeConfig, { defaults: {} }),
          Policies.layerNoop,
          FakeCli.layer({ respond: () => yes })
        ])),
        scope
      )
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(of(heard, "ProcessStarted").map(({ callId, warm }) => [callId, warm]), [[undefined, true]])
    }).pipe(Effect.provide(Events.layer)))

  it.scoped("that cannot be started is not told", () =>
    Effect.gen(function*() {
      const heard = yield* hear()
      yield* ask()
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(names(heard), ["QueryStarted", "QueryEnded"])
    }).pipe(
      Effect.provide(claude({ refuse: new CliNotFoundError({ command: "claude", hint: "" }) }))
    ))
})
