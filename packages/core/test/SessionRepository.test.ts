import { layerMemory, SessionRepository } from "@ccflow/core/SessionRepository"
import { suite } from "@ccflow/testing/SessionRepositorySuite"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"

describe("sessions in memory", () => {
  for (const { name, run } of suite) it.effect(name, () => Effect.provide(run, layerMemory))

  it.effect("are each layer's own", () =>
    Effect.gen(function*() {
      const taken = yield* Effect.provide(
        Effect.flatMap(SessionRepository, (repository) => repository.acquireLease("s", "me", "1 minute")),
        layerMemory
      )
      assert.strictEqual(taken.holder, "me")
      yield* Effect.provide(
        Effect.flatMap(SessionRepository, (repository) => repository.acquireLease("s", "you", "1 minute")),
        layerMemory
      )
    }))
})
