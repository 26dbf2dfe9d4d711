import * as Effect from "effect/Effect"
import type { UsageEntry, UsageFilter, UsageLedgerService, UsageSum } from "../UsageLedger.js"

/** Entries in the order in which they were booked. @internal */
export class MemoryLedger implements UsageLedgerService {
  private readonly booked = new Map<string, UsageEntry>()

  readonly book: UsageLedgerService["book"] = (entries) =>
    Effect.sync(() => {
      for (const entry of entries) {
        if (!this.booked.has(entry.entryId)) this.booked.set(entry.entryId, entry)
      }
    })

  readonly total: UsageLedgerService["total"] = (filter = {}) => Effect.sync(() => sumOf(this.found(filter)))

  readonly by: UsageLedgerService["by"] = () => Effect.succeed([])

  readonly entries: UsageLedgerService["entries"] = (filter = {}) =>
    Effect.sync(() => ({ entries: [...this.found(filter)] }))

  private *found(filter: UsageFilter): Iterable<UsageEntry> {
    for (const entry of this.booked.values()) {
      if (filter.since !== undefined && entry.at < filter.since) continue
      if (filter.until !== undefined && entry.at >= filter.until) continue
      if (filter.model !== undefined && entry.model !== filter.model) continue
      if (filter.sessionId !== undefined && entry.sessionId !== filter.sessionId) continue
      if (filter.tag !== undefined && !entry.tags.includes(filter.tag)) continue
      if (filter.batchId !== undefined && entry.batchId !== filter.batchId) continue
      yield entry
    }
  }
}

// ---------------------------------------------------------------------------

const sumOf = (entries: Iterable<UsageEntry>): UsageSum => {
  const sum = { ...nothing }
  for (const { basis, costUsd, listUsd, usage } of entries) {
    sum.entries++
    sum.costUsd += costUsd ?? 0
    sum.estimatedUsd += basis === "estimated" ? costUsd ?? 0 : 0
    sum.listUsd += listUsd ?? 0
    if (costUsd === undefined) sum.unpriced++
    if (usage === undefined) sum.uncounted++
    sum.inputTokens += usage?.inputTokens ?? 0
    sum.outputTokens += usage?.outputTokens ?? 0
    sum.cacheReadInputTokens += usage?.cacheReadInputTokens ?? 0
    sum.cacheCreationInputTokens += usage?.cacheCreationInputTokens ?? 0
    sum.webSearchRequests += usage?.webSearchRequests ?? 0
  }
  return sum
}

const nothing = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadInputTokens: 0,
  cacheCreationInputTokens: 0,
  webSearchRequests: 0,
  costUsd: 0,
  estimatedUsd: 0,
  listUsd: 0,
  unpriced: 0,
  uncounted: 0,
  entries: 0
}
