import { SessionStoreError } from "@ccflow/core/ClaudeError"
import * as Events from "@ccflow/core/Events"
import * as Message from "@ccflow/core/Message"
import * as MessageParser from "@ccflow/core/MessageParser"
import * as Pricing from "@ccflow/core/Pricing"
import type { UsageEntry, UsageLedgerService } from "@ccflow/core/UsageLedger"
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

const accounting = (ledger: UsageLedgerService | undefined = new MemoryLedger(), events = Events.noop) => {
  const account = new Account(new Bookkeeper(ledger, events, Pricing.make(Pricing.table)), () => 0)
  const parser = MessageParser.make()
  return {
    account,
    /** One read of the process's output. */
    read: (...frames: ReadonlyArray<f.Frame>) =>
      Effect.runSync(account.look(parser.push([f.bytes(frames)])) ?? Effect.void),
    close: () => Effect.runSync(account.close(parser.unfinished?.())),
    entries: () => ledger === undefined ? [] : Effect.runSync(ledger.entries({ limit: 1000 })).entries
  }
}

/** A message of so many tokens. */
const says = (id: string, input: number, model = "a", more: f.Frame = {}) =>
  f.assistant(id, [f.says(id)], {
    message: { id, model, content: [f.says(id)], usage: { input_tokens: input, output_tokens: 1 } },
    ...more
  })

describe("what a process is charged with", () => {
  it("has who pays, as the process said it at its start", () => {
    const { entries, read } = accounting()
    read({ ...f.init, apiKeySource: "none" }, f.result("", { uuid: "r" }))
    assert.deepStrictEqual(
      entries().map(({ apiKeySource, sessionId, tags }) => [apiKeySource, sessionId, tags]),
      [["none", f.session, []]]
    )
  })

  it("is every result of a read", () => {
    const { entries, read } = accounting()
    read(
      f.result("", { uuid: "1" }),
      f.result("", { uuid: "2", total_cost_usd: 1 }),
      f.result("", { total_cost_usd: 3 })
    )
    assert.deepStrictEqual(entries().map(({ costUsd }) => costUsd).sort(), [0.25, 0.75, 2])
  })

  it("is not asked for where nobody wants to know", () => {
    const { account } = accounting(undefined)
    const idle = new Account(new Bookkeeper(undefined, Events.noop, Pricing.make(Pricing.table)), () => 0)
    assert.isDefined(account)
    assert.isUndefined(idle.look(f.parse(f.result(""))))
  })

  it("is its only model's where the CLI names none, and nobody's where there are several or none", () => {
    const modelOf = (...said: ReadonlyArray<f.Frame>) => {
      const { entries, read } = accounting()
      read(...said, f.result("", { uuid: "r", modelUsage: undefined }))
      return entries().map(({ entryId, model }) => [entryId, model])
    }
    assert.deepStrictEqual(modelOf(says("m1", 1), says("m2", 1)), [["r/", "a"]])
    assert.deepStrictEqual(modelOf(says("m1", 1), says("m2", 1, "b")), [["r/", ""]])
    assert.deepStrictEqual(modelOf(), [["r/", ""]])
  })

  it("is not a subagent's message that was told in full only after a result had counted it", () => {
    const sub = { parent_tool_use_id: "toolu_agent" }
    const { close, entries, read } = accounting()
    read(f.starts("s1", sub), f.delta("begun", 0, sub))
    read(f.result("", { uuid: "r" }), says("s1", 7, "a", sub), says("s2", 8, "a", sub))
    close()
    assert.deepStrictEqual(
      entries().map(({ basis, entryId, usage }) => [basis, entryId, usage?.inputTokens]),
      [["estimated", `${f.session}/s2/a`, 8], ["reported", "r/", 25]]
    )
  })

  it("is what was cut, for the session in which it was last heard", () => {
    const { account, close, entries, read } = accounting()
    read(says("m1", 5))
    read(f.starts("m3"))
    account.look([{ ...f.parse(says("m2", 6)).filter(Message.is("Assistant"))[0]!, sessionId: "" }])
    close()
    assert.deepStrictEqual(
      entries().map(({ entryId, sessionId }) => [entryId, sessionId]),
      [["/m2/a", ""], [`${f.session}/m1/a`, f.session], [`${f.session}/m3/claude-opus-5-5`, f.session]]
    )
  })

  it("is listed by the length of the prompts, also of a model with a suffix, where all have one price", () => {
    const haiku = "claude-haiku-5-5"
    const listed = (model: string, ...prompts: ReadonlyArray<number>) => {
      const { entries, read } = accounting()
      const usage = { inputTokens: 300_000, outputTokens: 0, costUSD: 1 }
      read(
        ...prompts.map((tokens, n) => says(`m${n}`, tokens, haiku)),
        f.result("", { modelUsage: { [model]: usage } })
      )
      return entries()[0]?.listUsd?.toFixed(6)
    }
    for (const model of [haiku, `${haiku}[1m]`]) {
      assert.strictEqual(listed(model, 90_000, 80_000), "0.030000")
      assert.strictEqual(listed(model, 110_000, 120_000), "0.150000")
      assert.isUndefined(listed(model, 90_000, 110_000))
    }
  })
})

describe("a process that goes on with a session", () => {
  const full = {
    inputTokens: 100,
    outputTokens: 50,
    cacheReadInputTokens: 200,
    cacheCreationInputTokens: 300,
    webSearchRequests: 4,
    costUSD: 1
  }
  const plus = (more: Partial<typeof full>) =>
    Object.fromEntries(Object.entries(full).map(([name, value]) => [name, value + (Reflect.get(more, name) ?? 0)]))
  const turn = (
    uuid: string,
    modelUsage: Readonly<Record<string, object>>,
    said: ReadonlyArray<f.Frame>
  ) => [...said, f.result("", { uuid, modelUsage })]
  const first = turn("r1", { a: full }, [])

  /** What the second process of a session is booked for. */
  const booked = (
    modelUsage: Readonly<Record<string, object>>,
    said: ReadonlyArray<f.Frame>,
    ledger: UsageLedgerService = new MemoryLedger(),
    before: ReadonlyArray<f.Frame> = first
  ) => {
    accounting(ledger).read(...before)
    const { entries, read } = accounting(ledger)
    read(...turn("r2", modelUsage, said))
    return Object.fromEntries(
      entries().filter(({ entryId }) => entryId.startsWith("r2")).map(({ costUsd, model, usage }) => [
        model,
        { ...usage, costUSD: costUsd }
      ])
    )
  }

  it("is charged for the difference in each figure, and for no model that it has not used", () => {
    const own = {
      inputTokens: 30,
      outputTokens: 5,
      cacheReadInputTokens: 6,
      cacheCreationInputTokens: 7,
      webSearchRequests: 1,
      costUSD: 0.5
    }
    assert.deepStrictEqual(booked({ a: plus(own) }, [says("m", 43)]), { a: own })
    assert.deepStrictEqual(booked({ a: full, b: own }, [says("m", 43, "b")]), { b: own })
  })

  it("is charged for all where its figures are not those that are booked, and more", () => {
    const input = { inputTokens: 30, outputTokens: 1 }
    const whole = (usage: object, ...said: ReadonlyArray<f.Frame>) =>
      assert.deepStrictEqual<unknown>(booked({ a: usage }, said), { a: usage })
    // Nothing that its messages show, or no more than they show.
    whole(plus(input))
    whole(plus(input), says("m", 630))
    // Fewer tokens out, or less money, than is booked.
    whole(plus({ ...input, outputTokens: -1 }), says("m", 30))
    whole(plus({ ...input, costUSD: -0.5 }), says("m", 30))
    // More than a hundredth beside what its messages show.
    whole(plus({ inputTokens: 37 }), says("m", 30))
    whole(plus({ inputTokens: 23 }), says("m", 30))
    assert.deepStrictEqual<unknown>(booked({ b: plus(input) }, [says("m", 30, "b")]), { b: plus(input) })
    assert.deepStrictEqual<unknown>(booked({ a: plus(input) }, [says("m", 30)], new MemoryLedger(), []), {
      a: plus(input)
    })
  })

  it("is charged for the difference up to a hundredth beside what its messages show, with figures that stay", () => {
    for (const inputTokens of [36, 30, 24]) {
      const { a } = booked({ a: plus({ inputTokens }) }, [says("m", 30)])
      assert.deepInclude(a, { inputTokens, outputTokens: 0, costUSD: 0 })
    }
  })

  it("is charged for all by a ledger that cannot say what is booked, and told all without one", () => {
    const memory = new MemoryLedger()
    const blind: UsageLedgerService = {
      book: memory.book,
      total: memory.total,
      entries: memory.entries,
      by: () => Effect.fail(new SessionStoreError({ operation: "by", reason: "Other", detail: "", hint: "" }))
    }
    assert.deepStrictEqual<unknown>(booked({ a: plus({ inputTokens: 30 }) }, [says("m", 30)], blind), {
      a: plus({ inputTokens: 30 })
    })
    const told: Array<number> = []
    const events: Events.EventsService = {
      ...Events.noop,
      silent: () => false,
      tell: (event) => void (event._tag === "TokensUsed" && told.push(event.inputTokens))
    }
    const account = new Account(new Bookkeeper(undefined, events, Pricing.make(Pricing.table)), () => 0)
    const messages = f.parse(...turn("r2", { a: plus({ inputTokens: 30 }) }, [says("m", 30)]))
    Effect.runSync(account.look(messages) ?? Effect.void)
    assert.deepStrictEqual(told, [130])
  })

  it("is charged for the difference at its first result alone", () => {
    const { entries, read } = accounting()
    read(...turn("r1", { a: { inputTokens: 100, costUSD: 1 } }, [says("m1", 100)]))
    read({ type: "conversation_reset", session_id: f.session })
    const figures = { modelUsage: { a: { inputTokens: 130, costUSD: 2 } }, usage: { input_tokens: 130 } }
    read(says("m2", 30), f.result("", { uuid: "r2", ...figures }))
    assert.deepStrictEqual(entries().map(({ usage }) => usage?.inputTokens), [100, 130])
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

  const figures = {
    inputTokens: 10,
    outputTokens: 10,
    cacheReadInputTokens: 10,
    cacheCreationInputTokens: 10,
    webSearchRequests: 10,
    costUSD: 10
  }
  /** What the second of two results adds. */
  const second = (before: Readonly<Record<string, object>>, now: Readonly<Record<string, object>>) =>
    results([f.result("", { uuid: "1", modelUsage: before }), f.result("", { uuid: "2", modelUsage: now })])[1]

  it("starts again where any one figure falls, or a model is gone, and goes on where each is the same or more", () => {
    const more = Object.fromEntries(Object.keys(figures).map((name) => [name, 20]))
    for (const name of Object.keys(figures)) {
      const fell = { ...more, [name]: 9 }
      assert.deepStrictEqual<unknown>(shown(second({ a: figures }, { a: fell })?.turnUsage), { a: fell }, name)
    }
    assert.deepStrictEqual(shown(second({ a: figures }, { a: more })?.turnUsage), { a: figures })
    assert.deepStrictEqual(second({ a: figures }, { a: figures })?.turnUsage, {})
    assert.deepStrictEqual<unknown>(shown(second({ a: figures, b: figures }, { a: more })?.turnUsage), { a: more })
    assert.deepStrictEqual<unknown>(shown(second({ a: figures }, { a: figures, b: more })?.turnUsage), { b: more })
  })

  it("goes on after a result that says nothing by model", () => {
    const of = (inputTokens: number) => ({ modelUsage: { a: { inputTokens, costUSD: 1 } } })
    const frames = [of(100), { modelUsage: undefined }, of(130)].map((fields, n) =>
      f.result("", { uuid: `${n}`, ...fields })
    )
    assert.strictEqual(results(frames)[2]?.turnUsage?.["a"]?.inputTokens, 30)
  })

  it("has every model of which anything at all was used, with what the CLI knows of it", () => {
    const used = { costUSD: 0, contextWindow: 200_000 }
    for (const name of Object.keys(figures)) {
      const [result] = results([f.result("", { modelUsage: { a: { ...used, [name]: 1 }, b: used } })])
      assert.deepStrictEqual(Object.keys(result?.turnUsage ?? {}), ["a"], name)
      assert.strictEqual(result?.turnUsage?.["a"]?.contextWindow, 200_000)
    }
  })

  it.each([
    ["cacheCreationEphemeral1hInputTokens", "cacheCreationHourInputTokens"],
    ["thinkingTokens", "thinkingTokens"]
  ])("has %s as a difference, where there is one", (field, name) => {
    const told = (before: number | undefined, now: number | undefined) => {
      const models = (count: number | undefined) => ({ ...figures, [field]: count })
      return second({ a: models(before) }, { a: { ...models(now), inputTokens: 11 } })?.turnUsage?.["a"]
    }
    assert.propertyVal(told(5, 8), name, 3)
    assert.propertyVal(told(undefined, 8), name, 8)
    for (const now of [told(5, 5), told(undefined, undefined)]) assert.notProperty(now, name)
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
    for (const usage of [undefined, null]) assert.deepStrictEqual(share({ ...nothing, usage }), [undefined, 0, [""]])
    assert.deepStrictEqual(share({ ...nothing, total_cost_usd: 1 }), [undefined, 0, [""]])
    assert.deepStrictEqual(share({ ...nothing, usage: { input_tokens: 5 }, total_cost_usd: 1 }), [[""], 0, undefined])
    assert.deepStrictEqual(share({ ...nothing, usage: { output_tokens: 5 } }), [[""], 0, [""]])
    assert.deepStrictEqual(share({ ...nothing, usage: { input_tokens: 0 }, total_cost_usd: 3 }), [[""], 2, undefined])
    assert.deepStrictEqual(share({ ...nothing, usage: { input_tokens: 0 } }), [[], 0, undefined])
    assert.deepStrictEqual(share({ ...nothing, total_cost_usd: 0.5 }), [undefined, 0.5, undefined])
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
