/** What the page is made from. Names of models, tags, errors and tools are in `names` once, and then meant by their place. */
export interface ReportData {
  /** UTC epoch milliseconds. */
  readonly madeAt: number
  readonly timeZone: string
  /** What was asked for, in UTC epoch milliseconds; null: everything. */
  readonly since: number | null
  readonly until: number | null
  /** Those on which something happened, in order. */
  readonly days: ReadonlyArray<string>
  readonly names: ReadonlyArray<string>
  /** Sets of tags, by names. */
  readonly tagSets: ReadonlyArray<ReadonlyArray<number>>
  /** The latest first. */
  readonly sessions: ReadonlyArray<SessionData>
  readonly usage: ReadonlyArray<UsageCell>
  /** The latest first. */
  readonly calls: ReadonlyArray<CallCell>
  /** What is not in here one by one, because it would be too much. */
  readonly left: { readonly sessions: number; readonly calls: boolean; readonly steps: boolean }
}

/** What is summed up of the ledger. What is unknown is in none of the sums. */
export const nothing = {
  costUsd: 0,
  estimatedUsd: 0,
  input: 0,
  output: 0,
  cacheRead: 0,
  cacheWrite: 0,
  entries: 0,
  unpriced: 0,
  uncounted: 0
}

export type Sum = typeof nothing

/** In the order in which a `UsageCell` has them. */
export const parts = Object.keys(nothing) as ReadonlyArray<keyof Sum>

/** Everything that was used on a day, by a model, for these tags, by a session: -1 for one that is not shown. */
export type UsageCell = readonly [
  day: number,
  model: number,
  tagSet: number,
  session: number,
  ...parts: ReadonlyArray<number>
]

/** A call that has ended. `error` and `firstMessageMs` are -1 where there is none. */
export type CallCell = readonly [
  day: number,
  model: number,
  tagSet: number,
  session: number,
  outcome: OutcomeIndex,
  error: number,
  durationMs: number,
  firstMessageMs: number
]

/** By its place in `outcomes`. */
export type OutcomeIndex = 0 | 1 | 2

export const outcomes = ["success", "failure", "interrupted"] as const

export interface SessionData {
  readonly id: string
  /** Empty for a query, of which only its figures are kept. */
  readonly title: string
  /** -1 where it is not known. */
  readonly model: number
  readonly tagSet: number
  readonly begun: number
  readonly used: number
  readonly turns: ReadonlyArray<TurnData>
}

/** A turn of a session, or a query. */
export interface TurnData {
  readonly title: string
  readonly start: number
  readonly ms: number
  readonly end: TurnEnding
  /** By name; -1 where there is none. */
  readonly error: number
  readonly steps: ReadonlyArray<StepCell>
}

/** `cut`: nobody knows what became of it. */
export type TurnEnding = "success" | "failure" | "interrupted" | "cut" | "running"

/** A part of a turn, from its beginning in milliseconds. */
export type StepCell = readonly [
  kind: StepKind,
  name: number,
  start: number,
  ms: number,
  /** 1: it failed, or was refused. 2: its end is not known. */
  state: 0 | 1 | 2
]

/** 0: tool. 1: retry. 2: wait. 3: permission. 4: something that happened at one moment. */
export type StepKind = 0 | 1 | 2 | 3 | 4
