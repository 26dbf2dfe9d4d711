import type * as Budget from "@ccflow/core/Budget"
import type { ClaudeError } from "@ccflow/core/ClaudeError"
import * as Events from "@ccflow/core/Events"
import * as Policies from "@ccflow/core/Policies"
import * as Pricing from "@ccflow/core/Pricing"
import * as UsageLedger from "@ccflow/core/UsageLedger"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { Effect, Layer } from "effect"

let said = 0

/** A step of the model that costs so many dollars: a token is one. */
export const step = (
  usd: number,
  { model = "priced", tool = "Read" }: { readonly model?: string; readonly tool?: string } = {}
): FakeCli.Step => {
  const id = `msg_step_${++said}`
  return FakeCli.emit({
    type: "assistant",
    parent_tool_use_id: null,
    message: {
      id,
      role: "assistant",
      model,
      content: [{ type: "tool_use", id: `tool_${id}`, name: tool, input: {} }],
      stop_reason: null,
      usage: { input_tokens: usd, output_tokens: 0 }
    }
  })
}

export const costing = (usd: number, content = "done"): FakeCli.Turn => [
  FakeCli.init(),
  FakeCli.text(content),
  FakeCli.result({ result: content, total_cost_usd: usd })
]

/** Each process answers once, for so much. */
export const each = (usd: number): FakeCli.Script => ({ respond: () => costing(usd) })

/** Steps a second apart, and a result that costs what they have cost. */
export const steps = (...usd: ReadonlyArray<number>): FakeCli.Turn => [
  FakeCli.init(),
  ...usd.flatMap((cost) => [step(cost), FakeCli.delay("1 second")]),
  FakeCli.text("done"),
  FakeCli.result({ result: "done", total_cost_usd: usd.reduce((sum, cost) => sum + cost, 0) })
]

export const prices = Pricing.layer([{ model: "priced", input: 1e6, output: 1 }])

/** All policies but those that would wait or try again, over a ledger in memory. */
export const layerOf = (
  script: Parameters<typeof FakeCli.layer>[0],
  budget: Budget.BudgetOptions,
  { ledger = UsageLedger.layerMemory, ...others }: Policies.PolicyOptions & {
    readonly ledger?: Layer.Layer<UsageLedger.UsageLedger>
  } = {}
) =>
  Layer.orDie(FakeClaude.layerWith(script, Policies.layerWith({ ...others, budget }))).pipe(
    Layer.provideMerge(Layer.mergeAll(ledger, Events.layer, Layer.orDie(prices)))
  )

/** The warnings, as they come. */
export const warnings = Effect.gen(function*() {
  const heard: Array<string> = []
  const { observe } = yield* Events.Events
  yield* observe((event) => {
    if (event._tag === "BudgetWarning") {
      heard.push(`${event.scope} ${event.spentUsd}/${event.limitUsd} ${event.exceeded}`)
    }
  })
  return heard
})

/** What a refusal says, and nothing that is not of interest. */
export const refusalOf = (error: ClaudeError) =>
  error._tag === "BudgetExceededError"
    ? { scope: error.scope, spentUsd: error.spentUsd, limitUsd: error.limitUsd, renewsAt: error.renewsAt }
    : error

export const spentIn = (filter?: UsageLedger.UsageFilter) =>
  Effect.flatMap(UsageLedger.UsageLedger, (ledger) => Effect.map(ledger.total(filter), ({ costUsd }) => costUsd))
