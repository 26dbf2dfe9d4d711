import type { Provisions } from "../provision.js"
import type { Section } from "../report.js"

export interface Context extends Provisions {
  readonly quick: boolean
  /** So many rounds, or fewer when it must be quick. */
  readonly rounds: (full: number, quick: number) => number
}

export interface Benchmark {
  readonly name: string
  readonly run: (context: Context) => Promise<ReadonlyArray<Section>>
}

/** What is counted and not measured: it needs no quiet machine, and nothing that is built. */
export interface Count {
  readonly name: string
  readonly table: () => string
}
