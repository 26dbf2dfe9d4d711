import * as Concurrency from "@ccflow/core/Concurrency"
import * as Policies from "@ccflow/core/Policies"
import * as RateLimiter from "@ccflow/core/RateLimiter"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"

const built = (options: Policies.PolicyOptions, variables: Readonly<Record<string, string>>) =>
  Effect.withConfigProvider(
    Layer.build(Policies.layerWith(options, { maxConcurrent: 5 })),
    ConfigProvider.fromMap(new Map(Object.entries(variables)), { pathDelim: "_" })
  )

/** How long the second of two calls would wait. */
const waiting = (options: Policies.PolicyOptions, variables: Readonly<Record<string, string>>) =>
  Effect.flatMap(built(options, variables), (context) =>
    Effect.gen(function*() {
      const { acquire } = yield* RateLimiter.RateLimiter
      yield* acquire()
      const second = yield* Effect.either(acquire({ maxWait: 0 }))
      return second._tag === "Right" || second.left._tag !== "RateLimitExceededError" ? 0 : second.left.retryAfter
    }).pipe(Effect.provide(context)))

describe("what the environment says of the policies", () => {
  it.scoped("holds where the options say nothing of it", () =>
    Effect.gen(function*() {
      const perMinute = { CCFLOW_RATE_LIMIT_PER_MINUTE: "6" }
      assert.strictEqual(yield* waiting({}, {}), 0)
      assert.strictEqual(yield* waiting({}, perMinute), 10_000)
      assert.strictEqual(yield* waiting({ rateLimit: { maxConcurrent: 9 } }, perMinute), 10_000)
      assert.strictEqual(yield* waiting({ rateLimit: { requestsPerMinute: 1 } }, perMinute), 60_000)
      assert.strictEqual(yield* waiting({ rateLimit: false }, perMinute), 0)
      const concurrent = (options: Policies.PolicyOptions, variables: Readonly<Record<string, string>>) =>
        Effect.flatMap(built(options, variables), (context) =>
          Effect.provide(Effect.flatMap(Concurrency.Concurrency, ({ state }) => state), context))
      assert.strictEqual((yield* concurrent({}, {})).maxConcurrent, 5)
      assert.strictEqual((yield* concurrent({}, { CCFLOW_MAX_CONCURRENT: "2" })).maxConcurrent, 2)
      assert.strictEqual((yield* concurrent({ maxConcurrent: 3 }, { CCFLOW_MAX_CONCURRENT: "2" })).maxConcurrent, 3)
      assert.strictEqual((yield* concurrent({ maxConcurrent: false }, {})).maxConcurrent, Infinity)
    }))

  for (const name of ["CCFLOW_MAX_CONCURRENT", "CCFLOW_RATE_LIMIT_PER_MINUTE"]) {
    for (const value of ["0", "-1", "many", "NaN", "Infinity"]) {
      it.scoped(`is refused by its name when ${name} is ${value}`, () =>
        Effect.gen(function*() {
          const error = yield* Effect.flip(built({}, { [name]: value }))
          assert.strictEqual(error._tag, "InvalidOptionsError")
          assert.strictEqual(error.field, name)
        }))
    }
  }
})
