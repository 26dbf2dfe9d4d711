import type { UsageEntry } from "@ccflow/core/UsageLedger"
import { nothing, parts, type Sum, type UsageCell } from "./data.js"

/** Entries of the ledger, summed up as finely as the page can be filtered. */
export class UsageCells {
  private readonly cells = new Map<string, Cell>()

  add({ basis, costUsd, sessionId, usage }: UsageEntry, day: string, model: number, tagSet: number): void {
    const key = `${day} ${model} ${tagSet} ${sessionId}`
    const cell = this.cells.get(key) ?? { day, model, tagSet, sessionId, sum: { ...nothing } }
    this.cells.set(key, cell)
    add(cell.sum, {
      costUsd: costUsd ?? 0,
      estimatedUsd: basis === "estimated" ? costUsd ?? 0 : 0,
      input: usage?.inputTokens ?? 0,
      output: usage?.outputTokens ?? 0,
      cacheRead: usage?.cacheReadInputTokens ?? 0,
      cacheWrite: usage?.cacheCreationInputTokens ?? 0,
      entries: 1,
      unpriced: costUsd === undefined ? 1 : 0,
      uncounted: usage === undefined ? 1 : 0
    })
  }

  get days(): ReadonlyArray<string> {
    return [...this.cells.values()].map(({ day }) => day)
  }

  /** Those of sessions that have no place are one. */
  placed(day: (day: string) => number, session: (sessionId: string) => number): ReadonlyArray<UsageCell> {
    const placed = new Map<string, { readonly where: readonly [number, number, number, number]; readonly sum: Sum }>()
    for (const { day: name, model, sessionId, sum, tagSet } of this.cells.values()) {
      const where = [day(name), model, tagSet, session(sessionId)] as const
      const cell = placed.get(where.join()) ?? { where, sum: { ...nothing } }
      placed.set(where.join(), cell)
      add(cell.sum, sum)
    }
    return [...placed.values()].map(({ sum, where }) => [...where, ...parts.map((part) => sum[part])])
  }
}

// ---------------------------------------------------------------------------

interface Cell {
  readonly day: string
  readonly model: number
  readonly tagSet: number
  readonly sessionId: string
  readonly sum: Sum
}

const add = (sum: Sum, more: Sum): void => {
  for (const part of parts) sum[part] += more[part]
}
