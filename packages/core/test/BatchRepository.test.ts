import { BatchRepository, layerMemory } from "@ccflow/core/BatchRepository"
import { suite } from "@ccflow/testing/BatchRepositorySuite"
import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"

describe("batches in memory", () => {
  for (const { name, run } of suite) it.effect(name, () => Effect.provide(run, layerMemory))

  it.effect("what failed later than a run began is not begun anew by it", () =>
    Effect.gen(function*() {
      const { claim, end } = yield* BatchRepository
      const item = { batchId: "b", key: "a", index: 0, prompt: "p", sessionId: "s", holder: "me", ttl: 1_000 }
      const usage = { inputTokens: 0, outputTokens: 0, cacheReadInputTokens: 0, cacheCreationInputTokens: 0 }
      yield* claim(item)
      yield* TestClock.adjust(100)
      yield* end("b", "a", "me", { status: "failed", costUsd: 0, usage, error: "why" })
      const by = (endedBy: number) => Effect.map(claim({ ...item, again: ["failed"], endedBy }), ({ _tag }) => _tag)
      assert.deepStrictEqual([yield* by(99), yield* by(100)], ["ended", "begun"])
    }).pipe(Effect.provide(layerMemory)))
})
