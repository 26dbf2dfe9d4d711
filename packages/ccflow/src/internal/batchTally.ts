import type { BatchEnd, BatchProgress } from "@ccflow/core/Batch"
import { dollars } from "./amounts.js"
import type * as Bar from "./batchBar.js"
import type { Item } from "./batchInput.js"
import { type Line, lineOf } from "./batchOutput.js"

/** What has become of the prompts of the input, those of earlier runs included. */
export class Tally {
  private readonly total: number | undefined
  /** Where in the input those stand that have no end yet. */
  private readonly places = new Map<string, number>()
  /** Of the input, and completed by an earlier run. */
  private earlier = 0
  private readonly counts = { completed: 0, failed: 0, cancelled: 0 }
  /** Read when it was stopped, and not ended. */
  private cut = 0
  private costUsd = 0

  constructor(total: number | undefined) {
    this.total = total
  }

  /** Whether it is to be asked. */
  begins({ index, key }: Item, finished: ReadonlySet<string>): boolean {
    if (finished.has(key)) {
      this.earlier++
      return false
    }
    this.places.set(key, index)
    return true
  }

  /** Its line in the output. None for one that is to be gone on with. */
  ended(end: BatchEnd): Line | undefined {
    const index = this.places.get(end.key) ?? end.index
    this.places.delete(end.key)
    this.costUsd += end.costUsd
    if (end.outcome._tag === "Cancelled" && end.outcome.reason === "all") {
      this.cut++
      return undefined
    }
    const line = lineOf(end, index)
    this.counts[line.status]++
    return line
  }

  seen(progress: BatchProgress): Bar.Progress {
    return {
      ...progress,
      total: this.total ?? (progress.total === undefined ? undefined : progress.total + this.earlier),
      earlier: this.earlier + progress.restored,
      completed: progress.completed + this.earlier
    }
  }

  get allCompleted(): boolean {
    return this.counts.failed === 0 && this.counts.cancelled === 0 && this.cut === 0
  }

  get summary(): string {
    const { cancelled, completed, failed } = this.counts
    const parts = [
      `${completed} completed`,
      `${failed} failed`,
      ...(cancelled > 0 ? [`${cancelled} not begun, because the budget is spent`] : []),
      ...(this.earlier > 0 ? [`${this.earlier} completed earlier`] : []),
      ...(this.cut > 0 ? [`${this.cut} stopped`] : [])
    ]
    return `${parts.join(", ")}: ${dollars(this.costUsd)}`
  }
}
