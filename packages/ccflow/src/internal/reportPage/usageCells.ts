import type { UsageEntry } from "@ccflow/core/UsageLedger"
import type { UsageCell } from "./data.js"

/** Entries of the ledger, summed up as finely as the page can be filtered. */
export class UsageCells {
  private readonly cells = new Map<string, Cell>()

  add(entry: UsageEntry, day: string, model: number, tagSet: number): void {
    const key = `${day} ${model} ${tagSet} ${entry.sessionId}`
    const cell = this.cells.get(key) ?? { day, model, tagSet, sessionId: entry.sessionId, sums: nothing() }
    this.cells.set(key, cell)
    const { basis, costUsd, usage } = entry
    cell.sums = [
      cell.sums[0] + (costUsd ?? 0),
      cell.sums[1] + (basis === "estimated" ? costUsd ?? 0 : 0),
      cell.sums[2] + (usage?.inputTokens ?? 0),
      cell.sums[3] + (usage?.outputTokens ?? 0),
      cell.sums[4] + (usage?.cacheReadInputTokens ?? 0),
      cell.sums[5] + (usage?.cacheCreationInputTokens ?? 0),
      cell.sums[6] + 1,
      cell.sums[7] + (costUsd === undefined ? 1 : 0),
      cell.sums[8] + (usage === undefined ? 1 : 0)
    ]
  }

  get days(): ReadonlyArray<string> {
    return [...this.cells.values()].map(({ day }) => day)
  }

  /** Those of sessions that have no place are one. */
  placed(day: (day: string) => number, session: (sessionId: string) => number): ReadonlyArray<UsageCell> {
    const placed = new Map<string, UsageCell>()
    for (const { day: name, model, sessionId, sums, tagSet } of this.cells.values()) {
      const where = [day(name), model, tagSet, session(sessionId)] as const
      const known = placed.get(where.join())
      placed.set(where.join(), [...where, ...(known === undefined ? sums : plus(known, sums))])
    }
    return [...placed.values()]
  }
}

// ---------------------------------------------------------------------------

type Nine = readonly [number, number, number, number, number, number, number, number, number]

interface Cell {
  readonly day: string
  readonly model: number
  readonly tagSet: number
  readonly sessionId: string
  sums: Nine
}

const nothing = (): Nine => [0, 0, 0, 0, 0, 0, 0, 0, 0]

const plus = ([, , , , a, b, c, d, e, f, g, h, i]: UsageCell, sums: Nine): Nine => [
  a + sums[0],
  b + sums[1],
  c + sums[2],
  d + sums[3],
  e + sums[4],
  f + sums[5],
  g + sums[6],
  h + sums[7],
  i + sums[8]
]
