import * as DateTime from "effect/DateTime"
import * as Num from "effect/Number"
import type { BudgetChange, BudgetLevel } from "../Budget.js"
import { BudgetScope } from "../MoneyError.js"

/** What each scope may spend, in US dollars. */
export type Limits = { readonly [Scope in BudgetScope]: number }

/** A call under way, and what it has spent. */
export interface Tally {
  sessionId: string
  readonly batchId: string
  /** Of its results. */
  reportedUsd: number
  /** What was seen since, by message and model: the ledger does not have it yet. */
  readonly seen: Map<string, number>
  /** Messages and results that are booked, or about to be: they may be seen again. */
  readonly settled: Set<string>
  /** The answer has been read, or has been handed on. */
  answer: "awaited" | "read" | "given"
}

export const newTally = (sessionId: string, batchId: string): Tally => ({
  sessionId,
  batchId,
  reportedUsd: 0,
  seen: new Map(),
  settled: new Set(),
  answer: "awaited"
})

/** A day in its time zone, in UTC epoch milliseconds. */
export interface Day {
  readonly since: number
  readonly until: number
}

export type BudgetBook = ReturnType<typeof budgetBook>

/**
 * What is spent, by what the ledger has said of it and by what is in flight here: only arithmetic, and nothing that takes
 * time. It warns once `warnAt` of a limit is spent.
 */
export const budgetBook = (limits: Limits, zone: DateTime.TimeZone, warnAt: number) => {
  const calls = new Set<Tally>()
  const booked = new Map<string, number>()
  const told = new Set<string>()
  let today: Day = { since: 0, until: 0 }

  const day = (now: number): Day => {
    if (now < today.since || now >= today.until) {
      const begin = DateTime.startOf(DateTime.unsafeMakeZoned(now, { timeZone: zone }), "day")
      const next = DateTime.startOf(DateTime.add(begin, { hours: 36 }), "day")
      today = { since: begin.epochMillis, until: next.epochMillis }
    }
    return today
  }

  const keyOf = (scope: BudgetScope, { batchId, sessionId }: Tally, now: number): string =>
    ({ query: "", session: sessionId, batch: batchId, day: `${day(now).since}` })[scope]

  /** What has a limit and a name. The query's own is known here alone. */
  const kept = (tally: Tally, now: number): ReadonlyArray<Pick<BudgetLevel, "scope" | "key">> =>
    BudgetScope.literals.flatMap((scope) => {
      const key = keyOf(scope, tally, now)
      return scope === "query" || key === "" || limits[scope] === Infinity ? [] : [{ scope, key }]
    })

  /** The ledger's word for it. */
  const learn = (scope: BudgetScope, key: string, usd: number): void => {
    const name = `${scope} ${key}`
    // The newest is the last: what has been left alone for longest is forgotten, and would be asked for again.
    booked.delete(name)
    booked.set(name, usd)
    forgetOldest(booked)
  }

  const level = (scope: BudgetScope, key: string, now: number): BudgetLevel => {
    let spentUsd = booked.get(`${scope} ${key}`) ?? 0
    for (const call of calls) if (keyOf(scope, call, now) === key) spentUsd += inFlight(call)
    const renewsAt = scope === "day" ? day(now).until : undefined
    return { scope, key, spentUsd, limitUsd: limits[scope], renewsAt }
  }

  return {
    calls,
    day,
    kept,
    learn,
    level,

    /** What a message costs by its list. */
    saw: (tally: Tally, name: string, usd: number): void => {
      if (!tally.settled.has(name)) tally.seen.set(name, Math.max(tally.seen.get(name) ?? 0, usd))
    },

    /** A result, which covers what was in flight. It is about to be booked. */
    settle: (tally: Tally, name: string, usd: number, now: number): void => {
      if (tally.settled.has(name)) return
      for (const covered of tally.seen.keys()) tally.settled.add(covered)
      tally.settled.add(name)
      tally.seen.clear()
      tally.reportedUsd += usd
      for (const { key, scope } of kept(tally, now)) learn(scope, key, (booked.get(`${scope} ${key}`) ?? 0) + usd)
    },

    levels: (tally: Tally, now: number): ReadonlyArray<BudgetLevel> => {
      const levels = kept(tally, now).map(({ key, scope }) => level(scope, key, now))
      const limitUsd = limits.query
      if (limitUsd === Infinity) return levels
      const spentUsd = tally.reportedUsd + inFlight(tally)
      return [{ scope: "query", key: "", spentUsd, limitUsd, renewsAt: undefined }, ...levels]
    },

    /** What is to be told of these, once: nearly spent, and spent. */
    news: (call: string, levels: ReadonlyArray<BudgetLevel>): ReadonlyArray<BudgetChange> =>
      levels.flatMap((level) =>
        [false, true].flatMap((exceeded) => {
          const name = `${level.scope} ${level.scope === "query" ? call : level.key} ${exceeded}`
          const limitUsd = level.limitUsd * (exceeded ? 1 : warnAt)
          if (!isSpent({ ...level, limitUsd }) || told.has(name)) return []
          told.add(name)
          forgetOldest(told)
          return [{ ...level, exceeded }]
        })
      )
  }
}

/** The one that is spent, if one is. */
export const spent = (levels: ReadonlyArray<BudgetLevel>): BudgetLevel | undefined => levels.find(isSpent)

/** The one of which least is left. */
export const tightest = (levels: ReadonlyArray<BudgetLevel>): BudgetLevel | undefined =>
  levels.toSorted((one, other) => left(one) - left(other))[0]

export const left = ({ limitUsd, spentUsd }: BudgetLevel): number => limitUsd - spentUsd

// ---------------------------------------------------------------------------

const inFlight = ({ seen }: Tally): number => Num.sumAll(seen.values())

/** Sessions, batches and days that are remembered. */
const most = 4096

const forgetOldest = (names: Map<string, unknown> | Set<string>): void => {
  if (names.size > most) names.delete(names.keys().next().value ?? "")
}

/** Ten times 0.1 is a little less than 1: so little is not left. */
const isSpent = (level: BudgetLevel): boolean => left(level) < 1e-9
