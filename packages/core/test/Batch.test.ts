import * as Batch from "@ccflow/core/Batch"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"

const echo = FakeClaude.layer({ respond: (prompt) => FakeCli.answer(`echo: ${prompt}`) })

describe("a batch", () => {
  it.effect("gives each prompt its own end", () =>
    Effect.gen(function*() {
      const ends = yield* Stream.runCollect(Batch.run(["one", "two", "three"], { ordered: true }))
      assert.deepStrictEqual(
        [...ends].map((
          { outcome, prompt }
        ) => [prompt, outcome._tag === "Completed" ? outcome.result.result : outcome]),
        [["one", "echo: one"], ["two", "echo: two"], ["three", "echo: three"]]
      )
    }).pipe(Effect.provide(echo)))
})
