import * as Claude from "@ccflow/core/Claude"
import * as Pricing from "@ccflow/core/Pricing"
import * as UsageLedger from "@ccflow/core/UsageLedger"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { text } from "../../../test/support/MessagesApi.js"
import { scripted, sse, streamOf, withFetch } from "./api.js"

const booked = Effect.flatMap(UsageLedger.UsageLedger, ({ entries }) => Effect.map(entries(), ({ entries }) => entries))

const usage = {
  input_tokens: 1000,
  output_tokens: 100,
  cache_read_input_tokens: 10_000,
  cache_creation_input_tokens: 0
}

const run = <A, E>(
  fetch: typeof globalThis.fetch,
  test: Effect.Effect<A, E, Claude.Claude | UsageLedger.UsageLedger>,
  prices: Pricing.PriceTable = []
) =>
  Effect.provide(
    test,
    withFetch(fetch).pipe(
      Layer.provideMerge(UsageLedger.layerMemory),
      Layer.provide(Layer.orDie(Pricing.layer(prices)))
    )
  )

describe("the ledger", () => {
  it.effect("has an answer of the API, its price, its purpose and who pays", () => {
    const { fetch } = scripted(() => streamOf(sse(text("4", { usage }), "claude-opus-5-5")))
    return run(
      fetch,
      Effect.gen(function*() {
        const result = yield* UsageLedger.withTags("around")(Claude.result("hi", { tags: ["mine"] }))
        const cost = (1000 * 4 + 100 * 20 + 10_000 * 0.2) / 1e6
        assert.closeTo(result.costUsd, cost, 1e-12)
        assert.deepStrictEqual(Object.keys(result.turnUsage ?? {}), ["claude-opus-5-5"])
        const [entry, ...others] = yield* booked
        assert.deepStrictEqual(others, [])
        assert.strictEqual(entry?.costUsd, result.costUsd)
        assert.deepStrictEqual(entry?.tags, ["around", "mine"])
        assert.deepStrictEqual([entry?.basis, entry?.model, entry?.apiKeySource, entry?.sessionId], [
          "reported",
          "claude-opus-5-5",
          "ANTHROPIC_API_KEY",
          result.sessionId
        ])
        assert.strictEqual(entry?.usage?.cacheReadInputTokens, 10_000)
        assert.notStrictEqual(entry?.callId, "")
      })
    )
  })

  it.effect("has the tokens of a model without a price, and no price", () => {
    const { fetch } = scripted(() => streamOf(sse(text("4", { usage }), "claude-next-9")))
    return run(
      fetch,
      Effect.gen(function*() {
        yield* Claude.result("hi", { model: "claude-next-9" })
        const { total } = yield* UsageLedger.UsageLedger
        const { costUsd, inputTokens, unpriced } = yield* total()
        assert.deepStrictEqual([inputTokens, costUsd, unpriced], [1000, 0, 1])
      })
    )
  })

  it.effect("has it by the program's own price", () => {
    const { fetch } = scripted(() => streamOf(sse(text("4", { usage }), "claude-next-9")))
    return run(
      fetch,
      Effect.gen(function*() {
        const result = yield* Claude.result("hi", { model: "claude-next-9" })
        assert.isUndefined(result.unpriced)
        assert.closeTo((yield* booked)[0]?.costUsd ?? 0, (1000 + 100 + 1000) / 1e6, 1e-12)
      }),
      [{ model: "claude-next-9", input: 1, output: 1 }]
    )
  })

  it.live("has an estimate of an answer that was left in the middle", () => {
    const { fetch } = scripted(() => {
      const all = sse(text("one two three four", { chunkSize: 4, usage }))
      return new Response(
        new ReadableStream({
          start: (controller) => {
            for (const event of all.slice(0, 5)) controller.enqueue(new TextEncoder().encode(event))
          }
        }),
        { headers: { "content-type": "text/event-stream" } }
      )
    })
    return run(
      fetch,
      Effect.gen(function*() {
        yield* Claude.query("hi", { includePartialMessages: true }).pipe(
          Stream.takeUntil(({ _tag }) => _tag === "Text"),
          Stream.runDrain
        )
        assert.deepStrictEqual((yield* booked).map(({ basis, usage }) => [basis, usage?.inputTokens]), [
          ["estimated", 1000]
        ])
      })
    )
  })

  it.effect("has nothing of a request that was refused", () => {
    const { fetch } = scripted(() =>
      Response.json({ type: "error", error: { type: "overloaded_error", message: "Overloaded" } }, { status: 529 })
    )
    return run(
      fetch,
      Effect.gen(function*() {
        yield* Effect.flip(Claude.result("hi"))
        assert.deepStrictEqual(yield* booked, [])
      })
    )
  })
})
