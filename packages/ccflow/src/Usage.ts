/** What was used and what it cost: what the CLI has said, once. Estimates, and what is not known, are told apart. */
import * as UsageLedger from "@ccflow/core/UsageLedger"
import * as Effect from "effect/Effect"
import * as Owner from "./Owner.js"

export type { UsageGroup, UsageKey, UsageSum } from "@ccflow/core/UsageLedger"

/** Which usage. All conditions that are given must hold. */
export interface UsageFilter {
  /** From here on: a `Date`, or UTC epoch milliseconds. */
  readonly since?: Date | number | undefined
  /** Before this. */
  readonly until?: Date | number | undefined
  /** As the CLI resolved it, such as `claude-sonnet-5-5`. */
  readonly model?: string | undefined
  readonly sessionId?: string | undefined
  /** A tag of the call, or of its session. */
  readonly tag?: string | undefined
  readonly batchId?: string | undefined
}

/** How usage is put into groups. */
export interface UsageGrouping extends UsageFilter {
  /** Whose days, such as `Europe/Berlin`. Default: this host's. */
  readonly timeZone?: string | undefined
}

/** All that was used, and each model's share. What is unknown is in no sum: `unpriced` and `uncounted` count it. */
export interface UsageTotals extends Omit<UsageLedger.UsageSum, "costUsd"> {
  /** USD, as the CLI says; `estimatedUsd` is the part of it that is an estimate, of runs that were cut. */
  readonly totalCostUsd: number
  readonly byModel: Readonly<Record<string, UsageLedger.UsageSum>>
}

export const totals = (owner: Owner.Owner, filter?: UsageFilter): Promise<UsageTotals> =>
  Owner.valueOf(owner.run(Effect.gen(function*() {
    const ledger = yield* UsageLedger.UsageLedger
    const { costUsd, ...sum } = yield* ledger.total(within(filter))
    const models = yield* ledger.by("model", within(filter))
    return {
      ...sum,
      totalCostUsd: costUsd,
      byModel: Object.fromEntries(models.map(({ key, ...sum }) => [key, sum]))
    }
  })))

export const by = (
  owner: Owner.Owner,
  key: UsageLedger.UsageKey,
  { timeZone, ...filter }: UsageGrouping = {}
): Promise<ReadonlyArray<UsageLedger.UsageGroup>> =>
  Owner.valueOf(owner.run(
    Effect.flatMap(UsageLedger.UsageLedger, (ledger) => ledger.by(key, { ...within(filter), timeZone }))
  ))

/** What the ledger of the top-level functions has: all of it, or what came since the last `reset`. */
export class UsageTracker {
  private readonly owner: Owner.Owner
  private since: number | undefined

  constructor(owner: Owner.Owner) {
    this.owner = owner
  }

  /** All of it, and each model's share. */
  totals(): Promise<UsageTotals> {
    return totals(this.owner, { since: this.since })
  }

  /** In groups: days and batches in their order, the others by what they cost. */
  by(key: UsageLedger.UsageKey): Promise<ReadonlyArray<UsageLedger.UsageGroup>> {
    return by(this.owner, key, { since: this.since })
  }

  /** Counts from now on. What was booked stays where it is. */
  reset(): void {
    this.since = Date.now() + 1
  }
}

/**
 * The ledger of the top-level functions. Where `CCFLOW_SESSION_STORAGE_PATH` names a file it has all that is kept in
 * it, by whomever; else what this program has used.
 */
export const getUsageTracker = (): UsageTracker => tracker ??= new UsageTracker(Owner.shared())

// ---------------------------------------------------------------------------

let tracker: UsageTracker | undefined

const within = ({ since, until, ...filter }: UsageFilter = {}): UsageLedger.UsageFilter => ({
  ...filter,
  since: since?.valueOf(),
  until: until?.valueOf()
})
