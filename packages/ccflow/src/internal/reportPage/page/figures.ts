import type { CallCell, ReportData, UsageCell } from "../data.js"
import { dollars } from "./format.js"

/** What is looked at: places in the data, -1 for all. Days are such as `2026-11-22`, both included. */
export interface Filter {
  readonly from: string
  readonly to: string
  readonly model: number
  readonly tag: number
  readonly session: number
}

/** Sums of the ledger. What is unknown is in none of them. */
export interface Sum {
  costUsd: number
  estimatedUsd: number
  input: number
  output: number
  cacheRead: number
  cacheWrite: number
  entries: number
  unpriced: number
  uncounted: number
}

export interface Figures {
  readonly total: Sum
  readonly byDay: ReadonlyMap<number, Sum>
  readonly byModel: ReadonlyMap<number, Sum>
  /** By day, and then by model. */
  readonly byDayAndModel: ReadonlyMap<number, ReadonlyMap<number, Sum>>
  /** -1: without any. What has many is in each. */
  readonly byTag: ReadonlyMap<number, Sum>
  readonly bySession: ReadonlyMap<number, Sum>
  readonly calls: ReadonlyArray<CallCell>
  /** Of how long calls took and of their first messages, in milliseconds, ascending. */
  readonly durations: ReadonlyArray<number>
  readonly firstMessages: ReadonlyArray<number>
  /** Places of the sessions that have anything of it. */
  readonly sessions: ReadonlyArray<number>
}

export const everything: Filter = { from: "", to: "", model: -1, tag: -1, session: -1 }

/** Everything that the page says of what the filter lets through. */
export const figuresOf = (data: ReportData, filter: Filter): Figures => {
  const total = nothing()
  const byDay = new Map<number, Sum>()
  const byModel = new Map<number, Sum>()
  const byDayAndModel = new Map<number, Map<number, Sum>>()
  const byTag = new Map<number, Sum>()
  const bySession = new Map<number, Sum>()
  const active = new Set<number>()
  for (const cell of data.usage) {
    const [day, model, tagSet, session] = cell
    if (!passes(data, filter, day, model, tagSet, session)) continue
    const tags = data.tagSets[tagSet] ?? []
    const models = byDayAndModel.get(day) ?? new Map<number, Sum>()
    byDayAndModel.set(day, models)
    for (const sum of [total, sumOf(byDay, day), sumOf(byModel, model), sumOf(models, model)]) add(sum, cell)
    for (const tag of tags.length === 0 ? [-1] : tags) add(sumOf(byTag, tag), cell)
    if (session < 0) continue
    active.add(session)
    add(sumOf(bySession, session), cell)
  }
  const calls = data.calls.filter((cell) => passes(data, filter, cell[0], cell[1], cell[2], cell[3]))
  for (const [, , , session] of calls) active.add(session)
  return {
    total,
    byDay,
    byModel,
    byDayAndModel,
    byTag,
    bySession,
    calls,
    durations: calls.map(([, , , , , , ms]) => ms).sort(ascending),
    firstMessages: calls.map(([, , , , , , , ms]) => ms).filter((ms) => ms >= 0).sort(ascending),
    sessions: data.sessions.flatMap((_, place) => active.has(place) || quiet(data, filter, place) ? [place] : [])
  }
}

/** What nobody has told is not nothing. */
export const costOf = ({ costUsd, entries, unpriced }: Sum): string =>
  entries > 0 && unpriced === entries ? "unknown" : dollars(costUsd)

/** The value that so much of all are not above. Undefined where there are none. */
export const percentile = (ascendingValues: ReadonlyArray<number>, share: number): number | undefined =>
  ascendingValues[Math.max(0, Math.ceil(ascendingValues.length * share) - 1)]

// ---------------------------------------------------------------------------

const nothing = (): Sum => ({
  costUsd: 0,
  estimatedUsd: 0,
  input: 0,
  output: 0,
  cacheRead: 0,
  cacheWrite: 0,
  entries: 0,
  unpriced: 0,
  uncounted: 0
})

const sumOf = <Key>(sums: Map<Key, Sum>, key: Key): Sum => {
  const sum = sums.get(key) ?? nothing()
  sums.set(key, sum)
  return sum
}

const add = (sum: Sum, cell: UsageCell): void => {
  sum.costUsd += cell[4]
  sum.estimatedUsd += cell[5]
  sum.input += cell[6]
  sum.output += cell[7]
  sum.cacheRead += cell[8]
  sum.cacheWrite += cell[9]
  sum.entries += cell[10]
  sum.unpriced += cell[11]
  sum.uncounted += cell[12]
}

const inDays = ({ from, to }: Filter, day: string): boolean => (from === "" || day >= from) && (to === "" || day <= to)

const passes = (
  data: ReportData,
  filter: Filter,
  day: number,
  model: number,
  tagSet: number,
  session: number
): boolean =>
  inDays(filter, data.days[day] ?? "") &&
  (filter.model < 0 || filter.model === model) &&
  (filter.tag < 0 || (data.tagSets[tagSet] ?? []).includes(filter.tag)) &&
  (filter.session < 0 || filter.session === session)

/** A session of which nothing was booked or logged is there by its record. */
const quiet = (data: ReportData, filter: Filter, place: number): boolean => {
  const session = data.sessions[place]
  return session !== undefined && !known(data).has(place) &&
    passes({ ...data, days: [dayOf(session.used)] }, filter, 0, session.model, session.tagSet, place)
}

const knownOf = new WeakMap<ReportData, ReadonlySet<number>>()

const known = (data: ReportData): ReadonlySet<number> => {
  const found = knownOf.get(data) ?? new Set([...data.usage, ...data.calls].map(([, , , session]) => session))
  knownOf.set(data, found)
  return found
}

const dayOf = (at: number): string => {
  const date = new Date(at)
  return [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, "0")).join(
    "-"
  )
}

const ascending = (one: number, other: number): number => one - other
