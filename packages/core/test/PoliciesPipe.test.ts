import { Budget } from "@ccflow/core/Budget"
import { CircuitBreaker } from "@ccflow/core/CircuitBreaker"
import * as Claude from "@ccflow/core/Claude"
import { Concurrency } from "@ccflow/core/Concurrency"
import { Deadline } from "@ccflow/core/Deadline"
import * as Policies from "@ccflow/core/Policies"
import type { Policy } from "@ccflow/core/Policy"
import { RateLimiter } from "@ccflow/core/RateLimiter"
import { Retry } from "@ccflow/core/Retry"
import * as Session from "@ccflow/core/Session"
import { UsageLimit } from "@ccflow/core/UsageLimit"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { type Context, Effect, Layer, Stream } from "effect"

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
    policy(RateLimiter, "rate limit"),
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
