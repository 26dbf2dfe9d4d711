import * as Events from "@ccflow/core/Events"
import * as Message from "@ccflow/core/Message"
import * as MessageParser from "@ccflow/core/MessageParser"
import * as Pricing from "@ccflow/core/Pricing"
import type { UsageEntry } from "@ccflow/core/UsageLedger"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import { Account } from "../src/internal/account.js"
import { Bookkeeper } from "../src/internal/books.js"
import { MemoryLedger } from "../src/internal/ledgerMemory.js"
import * as f from "./frames.js"
import { recordedRuns } from "./recorded.js"

/** The entries that a process's output makes, without those of what was cut. */
const bookedOf = (frames: ReadonlyArray<f.Frame>): ReadonlyArray<UsageEntry> => {
  const ledger = new MemoryLedger()
  const account = new Account(new Bookkeeper(ledger, Events.noop, Pricing.make(Pricing.table)), () => 0)
  const parser = MessageParser.make()
  for (const frame of frames) {
    const due = account.look(parser.push([f.bytes([frame])]))
    if (due !== undefined) Effect.runSync(due)
  }
  return Effect.runSync(ledger.entries({ limit: 1000 })).entries
}

describe("an account", () => {
  it("tells and books a result once, however often it is printed", () => {
    const told: Array<string> = []
    const events: Events.EventsService = {
      ...Events.noop,
      silent: () => false,
      tell: ({ _tag }) => void told.push(_tag)
    }
    const account = new Account(new Bookkeeper(undefined, events, Pricing.make(Pricing.table)), () => 0)
    const [result] = results([f.result("", { uuid: "r", modelUsage: { a: { inputTokens: 1, costUSD: 1 } } })])
    for (let n = 0; n < 3; n++) Effect.runSync(account.look([result!]) ?? Effect.void)
    assert.deepStrictEqual(told, ["TokensUsed", "CostIncurred"])
  })

  it("has nothing to do with batches that hold no result", () => {
    const account = new Account(new Bookkeeper(new MemoryLedger(), Events.noop, Pricing.make(Pricing.table)), () => 0)
    const messages = f.parse(f.init, f.assistant("m", [f.says("said")]), f.user("x"))
    assert.isUndefined(account.look(messages))
  })
})

describe("messages that were cut", () => {
  it("are known until a result has counted them, also when no line has told of them", () => {
    const parser = MessageParser.make()
    const push = (...frames: ReadonlyArray<f.Frame>) => {
      parser.push([f.bytes(frames)])
      return [...new Set(parser.unfinished?.().map(({ messageId }) => messageId))]
    }
    assert.deepStrictEqual(push(f.starts("m1"), f.delta("one")), ["m1"])
    assert.deepStrictEqual(push(f.starts("m2"), f.delta("two")), ["m1", "m2"])
    assert.deepStrictEqual(push(f.assistant("m2", [f.says("two")]), f.stops()), ["m1"])
    assert.deepStrictEqual(push(f.result("two")), [])
    push(f.starts("m3"))
    parser.end()
    assert.deepStrictEqual(push(), ["m3"])
    assert.deepStrictEqual(parser.unfinished?.()[0], {
      messageId: "m3",
      model: "claude-opus-5-5",
      usage: { inputTokens: 25, outputTokens: 1, cacheReadInputTokens: 3, cacheCreationInputTokens: 0 }
    })
  })
})

const results = (frames: ReadonlyArray<f.Frame>) => f.parse(...frames).filter(Message.is("Result"))

const counts = fc.record({
  inputTokens: fc.nat(1000),
  outputTokens: fc.nat(1000),
  cacheReadInputTokens: fc.nat(1000),
  cacheCreationInputTokens: fc.nat(1000),
  webSearchRequests: fc.nat(3),
  // Sums of eighths are exact.
  costUSD: fc.nat(80).map((eighths) => eighths / 8)
})
type Counts = typeof counts extends fc.Arbitrary<infer A> ? A : never
type Models = Readonly<Record<string, Counts>>

const turns = fc.array(
  fc.record({
    used: fc.dictionary(fc.constantFrom("a", "b", "c"), counts, { maxKeys: 3 }),
    clears: fc.nat(4).map((n) => n === 0)
  }),
  { maxLength: 8 }
)

const plus = (one: Models, other: Models): Models =>
  Object.fromEntries([...new Set([...Object.keys(one), ...Object.keys(other)])].map((model) => {
    const [a, b] = [one[model], other[model]]
    const names = Object.keys(a ?? b ?? {})
    return [
      model,
      Object.fromEntries(
        names.map((name) => [name, (Reflect.get(a ?? {}, name) ?? 0) + (Reflect.get(b ?? {}, name) ?? 0)])
      ) as Counts
    ]
  }))

const costOf = (models: Models): number => Object.values(models).reduce((sum, { costUSD }) => sum + costUSD, 0)

/** Models of which something was used. */
const real = (models: Models): Models =>
  Object.fromEntries(Object.entries(models).filter(([, usage]) => Object.values(usage).some((count) => count > 0)))

/** As one version tells it: 2.1.330 starts again when it is cleared, 2.1.197 goes on; the first says each turn's own. */
const told = (
  drawn: ReadonlyArray<{ readonly used: Models; readonly clears: boolean }>,
  version: { readonly startsAgain: boolean; readonly saysSince: boolean },
  before: Models = {}
): { readonly frames: ReadonlyArray<f.Frame>; readonly shares: ReadonlyArray<Models> } => {
  let total = before
  const shares: Array<Models> = []
  const frames: Array<f.Frame> = []
  const result = (used: Models) => {
    total = plus(total, used)
    shares.push(real(used))
    frames.push(f.result("", {
      uuid: `r${shares.length}`,
      usage: { input_tokens: 0, output_tokens: 0 },
      total_cost_usd: costOf(total),
      modelUsage: total,
      ...(version.saysSince ? { model_usage_since_last_result: used } : {})
    }))
  }
  for (const { clears, used } of drawn) {
    if (clears) {
      frames.push({ type: "conversation_reset", session_id: f.session })
      if (version.startsAgain) total = {}
      result({})
    }
    result(used)
  }
  return { frames, shares }
}

const shown = (models: Record<string, Message.ModelUsage> | undefined) =>
  Object.fromEntries(
    Object.entries(models ?? {}).map((
      [model, { contextWindow: _, costUsd, ...rest }]
    ) => [model, { ...rest, costUSD: costUsd }])
  )

describe("a turn's share of cumulative figures", () => {
  for (const startsAgain of [true, false]) {
    for (const saysSince of [true, false]) {
      it(`is what was used in it: ${startsAgain ? "starts again" : "goes on"}, ${saysSince ? "with" : "without"} its own`, () => {
        fc.assert(fc.property(turns, (drawn) => {
          const { frames, shares } = told(drawn, { startsAgain, saysSince })
          const found = results(frames)
          assert.deepStrictEqual(found.map(({ turnUsage }) => shown(turnUsage)), shares)
          found.forEach(({ costUsd }, n) => assert.closeTo(costUsd, costOf(shares[n]!), 1e-9))
          const sum = bookedOf(frames).reduce((sum, { costUsd = 0 }) => sum + costUsd, 0)
          assert.closeTo(sum, shares.reduce((sum, share) => sum + costOf(share), 0), 1e-9)
        }))
      })
    }
  }

  it("is its own also where the figures go on from an earlier process", () => {
    fc.assert(fc.property(turns, fc.dictionary(fc.constantFrom("a", "b"), counts), (drawn, before) => {
      const { frames, shares } = told(drawn, { startsAgain: true, saysSince: true }, before)
      assert.deepStrictEqual(results(frames).map(({ turnUsage }) => shown(turnUsage)), shares)
    }))
  })

  it("starts again without a word of it where figures fall, or do not hold what the turn has used", () => {
    const models = (inputTokens: number) => ({ a: { inputTokens, outputTokens: 1, costUSD: inputTokens / 8 } })
    const first = f.result("", { uuid: "1", modelUsage: models(100) })
    const fell = f.result("", { uuid: "2", modelUsage: models(40) })
    assert.deepStrictEqual(results([first, fell]).map(({ costUsd }) => costUsd), [12.5, 5])
    const cleared = { type: "conversation_reset", session_id: f.session }
    const more = f.result("", { uuid: "2", modelUsage: models(120), usage: { input_tokens: 110, output_tokens: 1 } })
    assert.deepStrictEqual(results([first, cleared, more]).map(({ costUsd }) => costUsd), [12.5, 15])
    assert.deepStrictEqual(results([first, more]).map(({ costUsd }) => costUsd), [12.5, 2.5])
  })

  it("is not known where nothing is said, and its cost where only the cost is said", () => {
    const share = (fields: f.Frame) =>
      results([
        f.result("", { total_cost_usd: 1, modelUsage: { a: { inputTokens: 1, costUSD: 1 } } }),
        f.result("", fields)
      ])
        .map(({ costUsd, turnUsage, unpriced }) => [turnUsage && Object.keys(turnUsage), costUsd, unpriced]).at(-1)
    const nothing = { usage: {}, modelUsage: undefined, total_cost_usd: undefined }
    assert.deepStrictEqual(share(nothing), [undefined, 0, [""]])
    assert.deepStrictEqual(share({ ...nothing, total_cost_usd: 3 }), [undefined, 2, undefined])
    assert.deepStrictEqual(share({ ...nothing, usage: { input_tokens: 5 } }), [[""], 0, [""]])
    assert.deepStrictEqual(share({ ...nothing, usage: { input_tokens: 5 }, total_cost_usd: 3 }), [[""], 2, undefined])
    assert.deepStrictEqual(share({ ...nothing, modelUsage: { a: { inputTokens: 3 } } }), [["a"], 0, ["a"]])
    assert.deepStrictEqual(share({ ...nothing, model_usage_since_last_result: {} }), [[], 0, undefined])
  })
})

describe("usage on other lines than the result", () => {
  const usageOf = (frame: f.Frame): unknown => Reflect.get(Object(frame["message"]), "usage")

  /** The same lines with other figures on those that are no result: dropped, exchanged, or told again. */
  const changed = (frames: ReadonlyArray<f.Frame>, draws: ReadonlyArray<number>): ReadonlyArray<f.Frame> => {
    const usages = frames.map(usageOf).filter((usage) => usage !== undefined)
    return frames.flatMap((frame, n) => {
      const draw = draws[n % draws.length]!
      if (frame["type"] === "result") return [frame]
      if (usageOf(frame) === undefined) return [frame]
      const other = { ...frame, message: { ...Object(frame["message"]), usage: usages[draw % usages.length] } }
      const without = { ...frame, message: { ...Object(frame["message"]), usage: undefined } }
      return [[other], [without], [frame, frame], [frame]][draw % 4]!
    })
  }

  it("changes nothing that is booked, over all recorded runs", () => {
    const draws = fc.array(fc.nat(1000), { minLength: 1, maxLength: 40 })
    let booked = 0
    fc.assert(
      fc.property(fc.constantFrom(...recordedRuns), draws, (frames, draws) => {
        const before = bookedOf(frames)
        booked += before.length
        assert.deepStrictEqual(bookedOf(changed(frames, draws)), before)
      }),
      { numRuns: 300 }
    )
    assert.isAbove(booked, 100)
  })
})
