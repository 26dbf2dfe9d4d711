import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { QueryOptions } from "../AgentOptions.js"

/** What a budget leaves to a run, in US dollars. @internal */
export class CurrentAllowance extends Context.Reference<CurrentAllowance>()("@ccflow/core/CurrentAllowance", {
  defaultValue: (): number => Infinity
}) {}

/** The options of a run that the CLI itself is to end when that is spent, or what was asked for. @internal */
export const limited = (options: QueryOptions): Effect.Effect<QueryOptions> =>
  Effect.map(CurrentAllowance, (allowance) => {
    const { maxBudgetUsd = Infinity } = options
    return allowance >= maxBudgetUsd ? options : { ...options, maxBudgetUsd: written(allowance) }
  })

// ---------------------------------------------------------------------------

/** Not so small that it would be written with an exponent, nor 0, which the CLI takes for a mistake. */
const written = (usd: number): number => Math.max(1, Math.ceil(usd * 1e6)) / 1e6
