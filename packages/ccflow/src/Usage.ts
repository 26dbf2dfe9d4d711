/**
 * What was used and what it cost.
 */
import * as UsageLedger from "@ccflow/core/UsageLedger"
import * as Effect from "effect/Effect"
import * as Owner from "./Owner.js"

export type { UsageFilter } from "@ccflow/core/UsageLedger"

/** All that was used, and each model's share. */
export interface UsageTotals extends Omit<UsageLedger.UsageSum, "costUsd"> {
  readonly totalCostUsd: number
  readonly byModel: Readonly<Record<string, UsageLedger.UsageSum>>
}

export const totals = (owner: Owner.Owner, filter?: UsageLedger.UsageFilter): Promise<UsageTotals> =>
  Owner.valueOf(owner.run(Effect.gen(function*() {
    const ledger = yield* UsageLedger.UsageLedger
    const { costUsd, ...sum } = yield* ledger.total(filter)
    const models = yield* ledger.by("model", filter)
    return {
      ...sum,
      totalCostUsd: costUsd,
      byModel: Object.fromEntries(models.map(({ key, ...sum }) => [key, sum]))
    }
  })))
