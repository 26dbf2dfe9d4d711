import * as Concurrency from "@ccflow/core/Concurrency"
import * as NodeClaude from "@ccflow/node/NodeClaude"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import { availableParallelism } from "node:os"
import { capacity, processesOn } from "../src/internal/machine.js"

const gib = 1024 ** 3

describe("the number of CLIs", () => {
  it("is what the cores serve and half of the memory holds, and two at least", () => {
    assert.strictEqual(processesOn({ cores: 4, memoryBytes: 64 * gib }), 16)
    assert.strictEqual(processesOn({ cores: 4, memoryBytes: 8 * gib }), 8)
    assert.strictEqual(processesOn({ cores: 64, memoryBytes: 2 * gib }), 2)
    assert.strictEqual(processesOn({ cores: 1, memoryBytes: 0.2 * gib }), 2)
  })

  it("is of this machine, or of its container", () => {
    const { cores, memoryBytes } = capacity()
    assert.strictEqual(cores, availableParallelism())
    assert.isAbove(memoryBytes, 0)
    assert.isBelow(memoryBytes, 2 ** 48)
  })

  const limitOf = (
    maxConcurrent: number | false | undefined,
    variables: Readonly<Record<string, string>> = {}
  ) =>
    Effect.scoped(
      Effect.flatMap(Layer.build(NodeClaude.layerWith({ maxConcurrent })), (context) =>
        Effect.provide(
          Effect.flatMap(Concurrency.Concurrency, ({ state }) => Effect.map(state, (all) => all.maxConcurrent)),
          context
        ))
    ).pipe(Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables)), { pathDelim: "_" })))

  it.effect("is that of the option, else of the environment, else of the machine", () =>
    Effect.gen(function*() {
      const variables = { CCFLOW_MAX_CONCURRENT: "7" }
      assert.strictEqual(yield* limitOf(3, variables), 3)
      assert.strictEqual(yield* limitOf(false, variables), Infinity)
      assert.strictEqual(yield* limitOf(undefined, variables), 7)
      assert.strictEqual(yield* limitOf(undefined, { CCFLOW_MAX_CONCURRENT: "" }), processesOn(capacity()))
      assert.strictEqual(yield* limitOf(undefined), processesOn(capacity()))
    }))
})
