/** What is refused or ended for the sake of money: a budget is spent, or somebody else would pay than was asked for. */
import * as Schema from "effect/Schema"
import { dateText, failure, say } from "./internal/errorText.js"
import { RunFacts } from "./internal/runFacts.js"

/** What a budget is for: one query or turn, a session, a batch, or all of a day. */
export const BudgetScope = Schema.Literal("query", "session", "batch", "day")
export type BudgetScope = typeof BudgetScope.Type

/**
 * A budget is spent. Without `facts` it was refused here, before anything was paid; with them the CLI has stopped by
 * itself. What it costs is known after each step, so a little more than the limit can be spent.
 */
export class BudgetExceededError extends failure<BudgetExceededError>()("BudgetExceededError", {
  /** The one that is spent. Default: `query`. */
  scope: Schema.optionalWith(BudgetScope, { default: () => "query" }),
  /** What is known to be spent of it, in US dollars. */
  spentUsd: Schema.Number,
  /** Absent where the CLI did not say. */
  limitUsd: Schema.optional(Schema.Number),
  /** UTC epoch milliseconds. Absent for a budget that does not renew. */
  renewsAt: Schema.optional(Schema.Number),
  /** Only when the CLI said so. */
  facts: Schema.optional(RunFacts)
}, ({ hint, limitUsd, renewsAt, scope, spentUsd }) => {
  const spent = usd(spentUsd)
  if (limitUsd === undefined) {
    const what = scope === "query" ? "maxBudgetUsd" : `the ${scope}'s budget`
    return say(`Stopped after ${spent} USD: ${what} is reached`, hint)
  }
  const start = dateText(renewsAt)
  const renews = start === undefined ? "" : `; it renews at ${start}`
  return say(`The budget of the ${scope} is spent: ${spent} of ${usd(limitUsd)} USD${renews}`, hint)
}) {}

/** Who pays, by what the CLI says of its credentials. */
export const Payer = Schema.Literal("subscription", "apiKey", "token", "cloud", "nobody", "unknown")
export type Payer = typeof Payer.Type

/** Somebody else would pay than `billing` asks for. No prompt was sent, unless it changed on the way. */
export class BillingMismatchError extends failure<BillingMismatchError>()("BillingMismatchError", {
  expected: Schema.Literal("subscription", "apiKey"),
  found: Payer,
  /** Where the CLI has the key from, such as `ANTHROPIC_API_KEY`; `none` where it has none. No secret. */
  apiKeySource: Schema.String
}, ({ apiKeySource, expected, found, hint }) => {
  const source = apiKeySource === "none" ? "" : ` (${apiKeySource})`
  return say(`${payers[found]}${source}, where ${wanted[expected]} is to`, hint)
}) {}

// ---------------------------------------------------------------------------

const usd = (amount: number): number => Number(amount.toFixed(4))

const payers = {
  subscription: "A subscription would pay",
  apiKey: "An API key would pay",
  token: "The owner of a bearer token would pay",
  cloud: "A cloud account would pay",
  nobody: "Nobody is logged in who would pay",
  unknown: "It cannot be told who would pay"
} as const

const wanted = { subscription: "a subscription", apiKey: "the owner of an API key" } as const
