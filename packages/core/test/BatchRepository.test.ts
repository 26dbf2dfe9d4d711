import { layerMemory } from "@ccflow/core/BatchRepository"
import { suite } from "@ccflow/testing/BatchRepositorySuite"
import { describe, it } from "@effect/vitest"
import { Effect } from "effect"

describe("batches in memory", () => {
  for (const { name, run } of suite) it.effect(name, () => Effect.provide(run, layerMemory))
})
