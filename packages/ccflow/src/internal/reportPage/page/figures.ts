import { dollars } from "../../amounts.js"
import { type CallCell, nothing, parts, type ReportData, type Sum, type UsageCell } from "../data.js"
import { dayOf } from "./format.js"

/** What is looked at: places in the data, -1 for all. Days are such as `2026-11-22`, both included. */
export interface Filter {
  readonly from: string
  readonly to: string
  readonly model: number
  readonly tag: number
  readonly session: number
}

export interface Figures {
  readonly total: Sum
  readonly byDay: ReadonlyMap<number, Sum>
  readonly byModel: ReadonlyMap<number, Sum>
  /** By day, and then by model. */
  readonly byDayAndModel: ReadonlyMap<number, ReadonlyMap<number, Sum>>
  /** -1: without any. What has many is in each. */
  readonly byTag: ReadonlyMap<number, Sum>
  /** -1: those that are not shown. */
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
  const total = { ...nothing }
  const byDay = new Map<number, Sum>()
  const byModel = new Map<number, Sum>()
  const byDayAndModel = new Map<number, Map<number, Sum>>()
  const byTag = new Map<number, Sum>()
  const bySession = new Map<number, Sum>()
  const passes = (day: string, model: number, tagSet: number, session: number): boolean =>
    day >= filter.from && (filter.to === "" || day <= filter.to) &&
    (filter.model < 0 || filter.model === model) &&
    (filter.tag < 0 || (data.tagSets[tagSet] ?? []).includes(filter.tag)) &&
    (filter.session < 0 || filter.session === session)
  const isOf = ([day, model, tagSet, session]: UsageCell | CallCell) =>
    passes(data.days[day] ?? "", model, tagSet, session)
  for (const cell of data.usage.filter(isOf)) {
    const [day, model, tagSet, session] = cell
    const tags = data.tagSets[tagSet] ?? []
    const models = byDayAndModel.get(day) ?? new Map<number, Sum>()
    byDayAndModel.set(day, models)
    const sums = [total, sumOf(byDay, day), sumOf(byModel, model), sumOf(models, model), sumOf(bySession, session)]
    for (const sum of sums) add(sum, cell)
    for (const tag of tags.length === 0 ? [-1] : tags) add(sumOf(byTag, tag), cell)
  }
  const calls = data.calls.filter(isOf)
  const active = new Set([...bySession.keys(), ...calls.map(sessionOf)])
  const known = new Set([...data.usage, ...data.calls].map(sessionOf))
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
    // One of which nothing was booked or logged is there by its record.
    sessions: data.sessions.flatMap(({ model, tagSet, used }, place) =>
      active.has(place) || !known.has(place) && passes(dayOf(used), model, tagSet, place) ? [place] : []
    )
  }
}

/** What nobody has told is not nothing. */
export const costOf = ({ costUsd, entries, unpriced }: Sum): string =>
  entries > 0 && unpriced === entries ? "unknown" : dollars(costUsd)

export const tokensOf = ({ cacheRead, cacheWrite, input, output }: Sum): number =>
  input + output + cacheRead + cacheWrite

/** The value that so much of all are not above. Undefined where there are none. */
export const percentile = (ascendingValues: ReadonlyArray<number>, share: number): number | undefined =>
  ascendingValues[Math.max(0, Math.ceil(ascendingValues.length * share) - 1)]

// ---------------------------------------------------------------------------

const sumOf = (sums: Map<number, Sum>, key: number): Sum => {
  const sum = sums.get(key) ?? { ...nothing }
  sums.set(key, sum)
  return sum
}

const add = (sum: Sum, [, , , , ...more]: UsageCell): void => {
  for (const [index, part] of parts.entries()) sum[part] += more[index] ?? 0
}

const sessionOf = ([, , , session]: UsageCell | CallCell): number => session

const ascending = (one: number, other: number): number => one - other
