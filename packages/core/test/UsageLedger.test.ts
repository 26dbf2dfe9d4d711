import * as Claude from "@ccflow/core/Claude"
import { SessionStoreError } from "@ccflow/core/ClaudeError"
import * as Events from "@ccflow/core/Events"
import type { UsageEntry } from "@ccflow/core/UsageLedger"
import * as UsageLedger from "@ccflow/core/UsageLedger"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { suite } from "@ccflow/testing/UsageLedgerSuite"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc, Fiber, Layer, Logger, Stream, TestClock } from "effect"
import { MemoryLedger } from "../src/internal/ledgerMemory.js"
import { step } from "./budgets.js"
import { processes, settle } from "./sessions.js"

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
      assert.strictEqual(Reflect.get(ledger, "booked").size, 1000)
    }))

  it.effect("says the same total whether it was asked for before or not, whatever was booked meanwhile", () =>
    Effect.promise(() => {
      const filter = fc.record({
        since: fc.option(fc.constantFrom(day, day + 10 * 60_000), { nil: undefined }),
        until: fc.option(fc.constantFrom(day + 20 * 60_000, day + 50 * 60_000), { nil: undefined }),
        model: fc.option(fc.constantFrom("model 0", "model 1"), { nil: undefined }),
        sessionId: fc.option(fc.constantFrom("session 1", "session 2"), { nil: undefined }),
        tag: fc.option(fc.constantFrom("x", "z"), { nil: undefined }),
        batchId: fc.option(fc.constant("batch"), { nil: undefined })
      })
      const step = fc.record({
        booked: fc.array(fc.nat(60), { maxLength: 5 }),
        asked: fc.array(filter, { maxLength: 5 })
      })
      return fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 12 }), (steps) =>
          Effect.runPromise(Effect.gen(function*() {
            const ledger = new MemoryLedger()
            for (const [at, { asked, booked }] of steps.entries()) {
              yield* ledger.book(booked.map((index) => entryOf(index)))
              const fresh = new MemoryLedger()
              yield* fresh.book(steps.slice(0, at + 1).flatMap((step) => step.booked).map((index) => entryOf(index)))
              for (const filter of asked) {
                assert.deepStrictEqual(yield* ledger.total(filter), yield* fresh.total(filter))
              }
            }
          })))
      )
    }))

  it.effect("keeps as many whole as it may, and the quarter of an hour of those before", () =>
    Effect.gen(function*() {
      const ledger = new MemoryLedger(2)
      yield* ledger.book([entryOf(7), entryOf(8)])
      assert.strictEqual((yield* ledger.entries()).entries.length, 2)
      yield* ledger.book([entryOf(20)])
      assert.deepStrictEqual((yield* ledger.entries()).entries.map(({ entryId }) => entryId), ["8", "20"])
      assert.strictEqual((yield* ledger.total({ since: day, until: day + 1 })).entries, 1)
      assert.strictEqual((yield* ledger.total({ since: day + 1 })).entries, 2)
    }))

  it.effect("keeps the first of two entries that are the same", () =>
    Effect.gen(function*() {
      const ledger = new MemoryLedger()
      yield* ledger.book([entryOf(1, { costUsd: 1 })])
      yield* ledger.book([entryOf(1, { costUsd: 2 })])
      assert.strictEqual((yield* ledger.total()).costUsd, 1)
    }))
})

describe("what one has used without the CLI", () => {
  /** A store that takes what it is given, or breaks, and what it was asked. */
  const storing = () => {
    const asked: Array<ReadonlyArray<string>> = []
    const memory = new MemoryLedger()
    const how = { fails: Effect.void as Effect.Effect<void, SessionStoreError> }
    const service: UsageLedger.UsageLedgerService = {
      book: (entries) =>
        Effect.suspend(() => {
          asked.push(entries.map(({ entryId }) => entryId))
          return Effect.zipRight(how.fails, memory.book(entries))
        }),
      total: memory.total,
      by: memory.by,
      entries: memory.entries
    }
    return { asked, how, layer: Layer.succeed(UsageLedger.UsageLedger, service) }
  }
  const full = Effect.fail(
    new SessionStoreError({ operation: "book", reason: "DiskFull", detail: "of a secret", hint: "" })
  )

  it.scoped("is booked, and told: its tokens and its cost, where they are known", () => {
    const { asked, layer } = storing()
    return Effect.gen(function*() {
      const { observe } = yield* Events.Events
      const seen: Array<Events.Event> = []
      yield* observe((event) => seen.push(event))
      const book = yield* UsageLedger.booking
      yield* book([])
      yield* book([
        entryOf(1),
        entryOf(2, { callId: "", basis: "estimated", usage: undefined }),
        entryOf(3, { costUsd: undefined })
      ])
      assert.deepStrictEqual(asked, [["1", "2", "3"]])
      const about = (index: number) => ({ sessionId: `session ${index}`, model: `model ${index % 2}` })
      const tokens = {
        _tag: "TokensUsed",
        callId: "call",
        estimated: false,
        inputTokens: 1,
        outputTokens: 2,
        cacheReadInputTokens: 3,
        cacheCreationInputTokens: 4,
        totalTokens: 10
      }
      assert.deepStrictEqual(seen.map(({ at: _, ...event }) => event) as ReadonlyArray<unknown>, [
        { ...tokens, ...about(1) },
        { _tag: "CostIncurred", callId: "call", estimated: false, costUsd: 0.25, ...about(1) },
        { _tag: "CostIncurred", estimated: true, costUsd: 0.25, ...about(2) },
        { ...tokens, ...about(3) }
      ])
    }).pipe(Effect.provide(Layer.mergeAll(Events.layer, layer)))
  })

  it.effect("is nobody's to take where a program has no ledger", () =>
    Effect.gen(function*() {
      const book = yield* UsageLedger.booking
      yield* book([entryOf(1)])
      assert.isUndefined(yield* UsageLedger.current)
    }))

  it.effect("is owed by a store that fails up to 10,000 entries, the newest, and each new trouble is said once", () => {
    const { asked, how, layer } = storing()
    const said: Array<string> = []
    const listening = Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ message }) => void said.push(String(message)))
    )
    return Effect.gen(function*() {
      const book = yield* UsageLedger.booking
      how.fails = full
      yield* book([entryOf(0)])
      yield* book([entryOf(1)])
      assert.deepStrictEqual(said, [
        "The usage ledger did not take 1 entries: DiskFull. They are kept, and tried again with the next."
      ])
      how.fails = Effect.die("a secret")
      yield* book(Array.from({ length: 10_001 }, (_, index) => entryOf(2 + index)))
      assert.deepStrictEqual(said.slice(1), [
        "The usage ledger did not take 10003 entries: it broke. The oldest 3 are lost."
      ])
      how.fails = Effect.void
      yield* book([entryOf(10_003)])
      assert.deepStrictEqual(asked.at(-1), Array.from({ length: 10_001 }, (_, index) => `${index + 3}`))
      how.fails = full
      yield* book([entryOf(10_004)])
      assert.strictEqual(said.length, 3)
    }).pipe(Effect.provide(Layer.merge(layer, listening)))
  })

  it.effect("is owed by a store that does not answer, which is waited for 5 seconds", () => {
    const { asked, how, layer } = storing()
    return Effect.gen(function*() {
      const book = yield* UsageLedger.booking
      how.fails = Effect.never
      const booking = yield* Effect.fork(Effect.uninterruptible(book([entryOf(0)])))
      yield* TestClock.adjust("4999 millis")
      assert.isNull(booking.unsafePoll())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(booking)
      how.fails = Effect.void
      yield* book([entryOf(1)])
      assert.deepStrictEqual(asked, [["0"], ["0", "1"]])
    }).pipe(Effect.provide(Layer.merge(layer, Logger.remove(Logger.defaultLogger))))
  })

  it.scoped("keeps no process that nobody wants any more, however long the ledger takes", () =>
    Effect.gen(function*() {
      const { how, layer } = storing()
      how.fails = Effect.never
      yield* Effect.gen(function*() {
        const query = yield* Effect.fork(Stream.runDrain(Claude.query("a")))
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* processes, { started: 1, running: 1 })
        const left = yield* Effect.fork(Fiber.interrupt(query))
        yield* settle
        assert.deepStrictEqual(yield* processes, { started: 1, running: 0 })
        assert.isNull(left.unsafePoll())
        for (let waits = 0; waits < 3; waits++) yield* Effect.zipRight(TestClock.adjust("5 seconds"), settle)
        yield* Fiber.join(left)
      }).pipe(Effect.provide(Layer.provideMerge(
        FakeClaude.layer({ turns: [[FakeCli.init(), step(7), FakeCli.hang]] }),
        Layer.merge(layer, Logger.remove(Logger.defaultLogger))
      )))
    }))
})

describe("a purpose", () => {
  it.effect("gathers the tags of all that is around, each once", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* UsageLedger.purposeOf(["c", "a"])).tags, ["a", "b", "c"])
      assert.deepStrictEqual((yield* UsageLedger.CurrentPurpose).batchId, "7")
    }).pipe(UsageLedger.withTags("b"), UsageLedger.withBatch("7"), UsageLedger.withTags("a", "b")))
  it.effect("is nobody's where none is around, and is not taken away by a batch without an id", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* UsageLedger.purposeOf(), { tags: [], batchId: undefined })
      const within = UsageLedger.purposeOf().pipe(UsageLedger.withBatch(undefined), UsageLedger.withBatch("7"))
      assert.deepStrictEqual(yield* within, { tags: [], batchId: "7" })
    }))
})
