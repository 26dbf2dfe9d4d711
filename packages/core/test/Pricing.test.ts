import { CCFlowError, InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as Pricing from "@ccflow/core/Pricing"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, FastCheck as fc, Option } from "effect"

const million = { inputTokens: 1e6 }
const day = (text: string) => Date.parse(`${text}T12:00:00Z`)
const thrown = (run: () => unknown): unknown => {
  try {
    run()
  } catch (error) {
    return error
  }
}

describe("calculateCost", () => {
  it("of 1000 tokens in and 500 out is 0.0105 for sonnet, exactly", () => {
    assert.strictEqual(Pricing.calculateCost("sonnet", { inputTokens: 1000, outputTokens: 500 }), 0.0105)
    assert.strictEqual(Pricing.calculateCost("Sonnet ", 1000, 500), 0.0105)
    assert.strictEqual(Pricing.calculateCost("sonnet", 1000, 500, { batch: true }), 0.00525)
    assert.strictEqual(Pricing.calculateCost("opus", 1000, 500), 0.0525)
    assert.strictEqual(Pricing.calculateCost("haiku", 1000, 500), 0.0028)
    assert.strictEqual(Pricing.calculateCost("sonnet", 0, 0, { cacheReadInputTokens: 1e6 }), 0.3)
  })

  it("of a model by its id is that of the table", () => {
    assert.strictEqual(Pricing.calculateCost("claude-sonnet-5-5", { inputTokens: 1000, outputTokens: 500 }), 0.007)
  })

  it("of a model that nobody knows throws, is a CCFlowError and names those that are near", () => {
    for (const [model, near] of [["sonet", "sonnet"], ["claude-sonnet-9", "sonnet"], ["hiaku", "haiku"]] as const) {
      const error = thrown(() => Pricing.calculateCost(model, { inputTokens: 1 }))
      assert.isTrue(error instanceof Pricing.UnknownModelError && error instanceof CCFlowError, model)
      assert.include(String(error), model)
      assert.include(String(error), `Did you mean ${near}`)
    }
    for (const model of ["", "a", "o", "gpt-5", "claude", "default"]) {
      const error = thrown(() => Pricing.calculateCost(model, { inputTokens: 1 }))
      assert.isTrue(error instanceof Pricing.UnknownModelError, model)
    }
  })

  it("of a number of tokens that is none throws", () => {
    for (const inputTokens of [-1, NaN, Infinity]) {
      assert.isTrue(thrown(() => Pricing.calculateCost("sonnet", { inputTokens })) instanceof InvalidOptionsError)
      assert.isTrue(Option.isNone(Pricing.costOf("claude-sonnet-5-5", { inputTokens })))
    }
  })
})

describe("the table", () => {
  it("has a model by its id, its dated versions and its suffixes, and no other model", () => {
    const same = [
      "claude-sonnet-5-5",
      "claude-sonnet-5-5-20260928",
      "claude-sonnet-5-5[1m]",
      "claude-sonnet-5-5-latest"
    ]
    for (const model of same) assert.strictEqual(Option.getOrNull(Pricing.costOf(model, million)), 2, model)
    const others = ["claude-sonnet-5-6", "claude-sonnet", "sonnet", "", "Claude-Sonnet-5-5", "claude-sonnet-5-5-fast"]
    for (const model of others) assert.strictEqual(Option.getOrNull(Pricing.costOf(model, million)), null, model)
    const prices = ["claude-haiku-4-5-20251001", "claude-opus-4-8[1m]", "claude-opus-4-1-20250805"]
      .map((model) => Option.getOrNull(Pricing.costOf(model, million)))
    assert.deepStrictEqual(prices, [1, 5, 15])
  })

  it("prices an old entry as of its day", () => {
    const cost = (at?: number) =>
      Option.getOrNull(Pricing.costOf("claude-sonnet-5-5", { cacheReadInputTokens: 1e6 }, { at }))
    assert.deepStrictEqual(
      [cost(day("2026-10-01")), cost(Date.UTC(2026, 9, 7) - 1), cost(Date.UTC(2026, 9, 7)), cost()],
      [0.2, 0.2, 0.1, 0.1]
    )
  })

  it("prices by the length of one request's prompt, with what is cached", () => {
    const cost = (tokens: Pricing.PricedTokens, promptTokens?: number) =>
      Option.getOrThrow(Pricing.costOf("claude-haiku-5-5", tokens, { promptTokens }))
    assert.closeTo(cost({ inputTokens: 100_000 }), 0.01, 1e-12)
    assert.closeTo(cost({ inputTokens: 100_001 }), 0.0500005, 1e-12)
    assert.closeTo(cost({ inputTokens: 50_000, cacheReadInputTokens: 60_000 }), 0.028, 1e-12)
    assert.closeTo(cost({ inputTokens: 1e6 }, 30_000), 0.1, 1e-12)
  })

  it("knows what it costs to write to the cache for 5 minutes and for an hour, to search, and a batch", () => {
    const tokens = {
      inputTokens: 1e6,
      outputTokens: 1e6,
      cacheReadInputTokens: 1e6,
      cacheCreationInputTokens: 3e6,
      cacheCreationHourInputTokens: 1e6,
      webSearchRequests: 100
    }
    const [once, batch] = [false, true].map((batch) =>
      Option.getOrThrow(Pricing.costOf("claude-opus-4-5", tokens, { batch }))
    )
    assert.closeTo(once!, 5 + 25 + 0.5 + 2 * 6.25 + 10 + 1, 1e-9)
    assert.closeTo(batch!, (5 + 25 + 0.5 + 2 * 6.25 + 10) / 2 + 1, 1e-9)
  })

  it("has each model, day and length once", () => {
    const keys = Pricing.table.map(({ model, since, upTo }) => `${model} ${since} ${upTo}`)
    assert.strictEqual(new Set(keys).size, keys.length)
  })

  it("never makes more tokens of one kind cheaper", () => {
    const kinds = ["inputTokens", "outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens"] as const
    fc.assert(fc.property(
      fc.constantFrom(...Pricing.table.map(({ model }) => model)),
      fc.constantFrom(...kinds),
      fc.nat(1e6),
      fc.nat(1e6),
      (model, kind, some, more) => {
        const cost = (count: number) => Option.getOrThrow(Pricing.costOf(model, { [kind]: count }))
        return cost(some + more) >= cost(some)
      }
    ))
  })
})

describe("prices of one's own", () => {
  const own: Pricing.PriceTable = [
    { model: "my-model", input: 1, output: 2 },
    { model: "claude-sonnet-5-5", input: 7, output: 8, since: "2026-12-01" }
  ]

  it.effect("are added, and replace those of a model that they name", () =>
    Effect.gen(function*() {
      const { costOf } = yield* Pricing.Pricing
      const usd = (...asked: Parameters<typeof costOf>) => Option.getOrNull(costOf(...asked))
      assert.strictEqual(usd("my-model", million), 1)
      assert.strictEqual(usd("claude-sonnet-5-5", million), 7)
      assert.strictEqual(usd("claude-sonnet-5-5", million, { at: day("2026-11-30") }), null)
      assert.strictEqual(usd("claude-opus-5-5", million), 4)
      assert.isTrue(Option.isNone(Pricing.costOf("my-model", million)))
    }).pipe(Effect.provide(Pricing.layer(own))))

  it.effect("are the published ones without a layer", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* Pricing.Pricing).table, Pricing.table)
    }))

  it.effect("that are none are refused by name", () =>
    Effect.gen(function*() {
      const bad: ReadonlyArray<readonly [string, Pricing.Price]> = [
        ["m.input", { model: "m", input: -1, output: 1 }],
        ["m.output", { model: "m", input: 1, output: NaN }],
        ["m.since", { model: "m", input: 1, output: 1, since: "yesterday" }],
        ["m.since", { model: "m", input: 1, output: 1, since: "2026-13-01" }],
        ["model", { model: " ", input: 1, output: 1 }]
      ]
      for (const [field, price] of bad) {
        const exit = yield* Effect.exit(Effect.provide(Pricing.Pricing, Pricing.layer([price])))
        assert.include(Exit.isFailure(exit) ? String(exit.cause) : "", field)
      }
    }))
})
