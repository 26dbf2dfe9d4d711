import { Budget } from "@ccflow/core/Budget"
import { CircuitBreaker, isCounted } from "@ccflow/core/CircuitBreaker"
import * as Claude from "@ccflow/core/Claude"
import { CircuitBreakerError, type ClaudeError, CliSpawnError } from "@ccflow/core/ClaudeError"
import { Concurrency } from "@ccflow/core/Concurrency"
import { Deadline } from "@ccflow/core/Deadline"
import type { Message } from "@ccflow/core/Message"
import * as Policies from "@ccflow/core/Policies"
import { noop, type Policy } from "@ccflow/core/Policy"
import * as RateLimiter from "@ccflow/core/RateLimiter"
import { Retry } from "@ccflow/core/Retry"
import * as Session from "@ccflow/core/Session"
import { UsageLimit } from "@ccflow/core/UsageLimit"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { type Context, Effect, Layer, Stream, TestClock } from "effect"
import { follow } from "./sessions.js"

describe("what was asked goes through the policies from the outermost to the process", () => {
  const promised = [
    "budget",
    "retry",
    "breaker",
    "rate limit",
    "usage limit",
    "deadline",
    "concurrency",
    "process"
  ]

  it.effect("as a query", () => heardBy(promised, Claude.text("2+2")))

  it.scoped("as a session's turn", () =>
    heardBy(promised, Effect.flatMap(Session.make(), (session) => Session.text(session, "2+2"))))
})

describe("a policy of one's own", () => {
  let calls = 0
  const counting: Policy = { around: () => (messages) => Stream.suspend(() => (calls++, messages)) }
  const noRoom = new CliSpawnError({ command: "claude", reason: "NoResources", code: "EAGAIN", hint: "" })
  const thirdTime = (index: number): FakeCli.Script =>
    index < 2 ? { refuse: noRoom } : { respond: () => FakeCli.answer("4") }
  const seenBy = (
    put: (policies: typeof Policies.layer) => typeof Policies.layer,
    ask: Effect.Effect<string, ClaudeError, Claude.Claude>
  ) =>
    Effect.gen(function*() {
      calls = 0
      assert.strictEqual(yield* ask, "4")
      return calls
    }).pipe(
      Effect.provide(FakeClaude.layerWith(thirdTime, put(Policies.layerWith({ retry: { baseDelay: 0 } }))))
    )

  it.effect("sees a call once outside of the retry, and each attempt within it", () =>
    Effect.gen(function*() {
      const turn = Effect.scoped(Effect.flatMap(Session.make(), (session) => Session.text(session, "2+2")))
      for (const ask of [Claude.text("2+2"), turn]) {
        assert.strictEqual(yield* seenBy(Policies.outside(Retry, counting), ask), 1)
        assert.strictEqual(yield* seenBy(Policies.outside(CircuitBreaker, counting), ask), 3)
      }
    }))

  it.effect("leaves the rest of the service that it is put around as it is", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker
      assert.strictEqual(breaker.keyOf({ cli: "a", account: "", model: "b" }), "a b")
    }).pipe(Effect.provide(Policies.layer.pipe(Policies.outside(CircuitBreaker, noop)))))
})

describe("a call that a limit holds up for longer than it may take", () => {
  const oneAMinute = FakeClaude.layerWith(
    { respond: () => FakeCli.answer("4") },
    Layer.merge(Policies.layerNoop, RateLimiter.layer({ requestsPerMinute: 1 }))
  )
  const answersLate = <R>(ask: Stream.Stream<Message, ClaudeError, R>) =>
    Effect.gen(function*() {
      yield* Stream.runDrain(ask)
      const late = yield* follow(ask)
      yield* TestClock.adjust("59 seconds")
      assert.isFalse(late.ended())
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* late.result).result, "4")
    }).pipe(Effect.provide(oneAMinute))

  it.scoped("has all its time when it begins, as a query", () =>
    answersLate(Claude.query("2+2", { timeout: "10 seconds" })))

  it.scoped("has all its time when it begins, as a session's turn", () =>
    answersLate(
      Stream.unwrap(Effect.map(Session.make({ timeout: "10 seconds" }), (session) => session.send("2+2")))
    ))
})

it("an open breaker's refusal is no failure of the CLI to the breaker around it", () => {
  assert.isFalse(isCounted(new CircuitBreakerError({ key: "claude", retryAfter: 1, hint: "" })))
})

// ---------------------------------------------------------------------------

/** Who hears of it, in the order in which they first do. */
const heardBy = <E, R>(order: ReadonlyArray<string>, ask: Effect.Effect<string, E, R | Claude.Claude>) => {
  const heard = new Set<string>()
  const policy = <I, S extends Policy>(tag: Context.Tag<I, S>, name: string) =>
    Layer.effect(
      tag,
      Effect.map(tag, (service): S => ({
        ...service,
        around: () => (messages) =>
          Stream.suspend(() => {
            heard.add(name)
            return messages
          })
      }))
    )
  const policies = Layer.mergeAll(
    policy(UsageLimit, "usage limit"),
    policy(RateLimiter.RateLimiter, "rate limit"),
    policy(CircuitBreaker, "breaker"),
    policy(Retry, "retry"),
    policy(Budget, "budget"),
    Layer.effect(
      Concurrency,
      Effect.map(Concurrency, (service) => ({
        ...service,
        acquire: (wait) =>
          Effect.suspend(() => {
            heard.add("concurrency")
            return service.acquire(wait)
          })
      }))
    ),
    Layer.effect(
      Deadline,
      Effect.map(Deadline, (service) => ({
        ...service,
        limits: (options) => {
          heard.add("deadline")
          return service.limits(options)
        }
      }))
    )
  ).pipe(Layer.provide(Policies.layerNoop))
  const process = (): FakeCli.Script => {
    heard.add("process")
    return { turns: [FakeCli.answer("4")] }
  }
  return ask.pipe(
    Effect.map((answer) => {
      assert.strictEqual(answer, "4")
      assert.deepStrictEqual([...heard], order)
    }),
    Effect.provide(FakeClaude.layerWith(process, policies))
  )
}
