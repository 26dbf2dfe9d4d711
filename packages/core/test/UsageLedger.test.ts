import type { UsageEntry } from "@ccflow/core/UsageLedger"
import * as UsageLedger from "@ccflow/core/UsageLedger"
import { suite } from "@ccflow/testing/UsageLedgerSuite"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import { MemoryLedger } from "../src/internal/ledgerMemory.js"

const day = Date.UTC(2026, 10, 22)

const entryOf = (index: number, fields: Partial<UsageEntry> = {}): UsageEntry => ({
  entryId: `${index}`,
  at: day + index * 60_000,
  basis: "reported",
  model: `model ${index % 2}`,
  usage: {
    inputTokens: 1,
    outputTokens: 2,
    cacheReadInputTokens: 3,
    cacheCreationInputTokens: 4,
    webSearchRequests: 0
  },
  costUsd: index % 5 === 0 ? undefined : 0.25,
  listUsd: 0.5,
  sessionId: `session ${index}`,
  callId: "call",
  turnId: undefined,
  batchId: index % 3 === 0 ? "batch" : undefined,
  tags: index % 4 === 0 ? ["x", "y"] : [],
  apiKeySource: "none",
  ...fields
})

describe("a ledger in memory", () => {
  for (const { name, run } of suite) it.effect(name, () => Effect.provide(run, UsageLedger.layerMemory))

  it.effect("that folds its oldest entries has the same sums by all but the session", () =>
    Effect.promise(() =>
      fc.assert(fc.asyncProperty(fc.array(fc.nat(200), { maxLength: 60 }), fc.nat(20), async (indices, most) => {
        const entries = [...new Set(indices)].map((index) => entryOf(index))
        const [whole, small] = [new MemoryLedger(), new MemoryLedger(most)]
        await Effect.runPromise(Effect.zipRight(whole.book(entries), small.book(entries)))
        const told = (ledger: MemoryLedger) =>
          Effect.runPromise(Effect.all([
            ledger.total(),
            ledger.by("day", { timeZone: "Asia/Kathmandu" }),
            ledger.by("model"),
            ledger.by("tag"),
            ledger.by("batch", { tag: "x" }),
            ledger.total({ since: day + 45 * 60_000, model: "model 1" })
          ]))
        assert.deepStrictEqual(await told(small), await told(whole))
        const { entries: kept } = await Effect.runPromise(small.entries({ limit: 1000 }))
        assert.isAtMost(kept.length, most)
      }))
    ))

  it.effect("of 100,000 entries and more does not grow by them", () =>
    Effect.gen(function*() {
      const ledger = new MemoryLedger(1000)
      for (let from = 0; from < 20_000; from += 1000) {
        yield* ledger.book(Array.from({ length: 1000 }, (_, n) => entryOf(from + n, { at: day, tags: [] })))
      }
      const { entries, unpriced } = yield* ledger.total()
      assert.deepStrictEqual([entries, unpriced], [20_000, 4_000])
      assert.isAtMost(Reflect.get(ledger, "folded").size, 4)
    }))
})

describe("a purpose", () => {
  it.effect("gathers the tags of all that is around, each once", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* UsageLedger.purposeOf(["c", "a"])).tags, ["a", "b", "c"])
      assert.deepStrictEqual((yield* UsageLedger.CurrentPurpose).batchId, "7")
    }).pipe(UsageLedger.withTags("b"), UsageLedger.withBatch("7"), UsageLedger.withTags("a", "b")))
})
