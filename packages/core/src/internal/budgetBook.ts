import * as DateTime from "effect/DateTime"
import * as Num from "effect/Number"
import type { BudgetLevel } from "../Budget.js"
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

const inFlight = ({ seen }: Tally): number => Num.sumAll(seen.values())

/** A day in its time zone, in UTC epoch milliseconds. */
export interface Day {
  readonly since: number
  readonly until: number
}

/**
 * What is spent, by what the ledger has said of it and by what is in flight here: only arithmetic, and nothing that takes
 * time.
 */
export class BudgetBook {
  readonly limits: Limits
  readonly calls = new Set<Tally>()
  private readonly zone: DateTime.TimeZone
  private readonly warnAt: number
  private readonly booked = new Map<string, number>()
  private readonly told = new Set<string>()
  private today: Day = { since: 0, until: 0 }

  constructor(limits: Limits, zone: DateTime.TimeZone, warnAt: number) {
    this.limits = limits
    this.zone = zone
    this.warnAt = warnAt
  }

  day(now: number): Day {
    if (now < this.today.since || now >= this.today.until) {
      const begin = DateTime.startOf(DateTime.unsafeMakeZoned(now, { timeZone: this.zone }), "day")
      const next = DateTime.startOf(DateTime.add(begin, { hours: 36 }), "day")
      this.today = { since: begin.epochMillis, until: next.epochMillis }
    }
    return this.today
  }

  /** What has a limit and a name. The query's own is known here alone. */
  kept(tally: Tally, now: number): ReadonlyArray<{ readonly scope: BudgetScope; readonly key: string }> {
    return BudgetScope.literals.flatMap((scope) => {
      const key = this.keyOf(scope, tally, now)
      return scope === "query" || key === "" || this.limits[scope] === Infinity ? [] : [{ scope, key }]
    })
  }

  keyOf(scope: BudgetScope, { batchId, sessionId }: Tally, now: number): string {
    return { query: "", session: sessionId, batch: batchId, day: `${this.day(now).since}` }[scope]
  }

  /** The ledger's word for it. */
  learn(scope: BudgetScope, key: string, usd: number): void {
    const name = `${scope} ${key}`
    // The newest is the last: what has been left alone for longest is forgotten, and would be asked for again.
    this.booked.delete(name)
    this.booked.set(name, usd)
    forgetOldest(this.booked)
  }

  /** What a message costs by its list. */
  saw(tally: Tally, name: string, usd: number): void {
    if (!tally.settled.has(name)) tally.seen.set(name, Math.max(tally.seen.get(name) ?? 0, usd))
  }

  /** A result, which covers what was in flight. It is about to be booked. */
  settle(tally: Tally, name: string, usd: number, now: number): void {
    if (tally.settled.has(name)) return
    for (const covered of tally.seen.keys()) tally.settled.add(covered)
    tally.settled.add(name)
    tally.seen.clear()
    tally.reportedUsd += usd
    for (const { key, scope } of this.kept(tally, now)) {
      this.learn(scope, key, (this.booked.get(`${scope} ${key}`) ?? 0) + usd)
    }
  }

  levels(tally: Tally, now: number): ReadonlyArray<BudgetLevel> {
    const kept = this.kept(tally, now).map(({ key, scope }) => this.level(scope, key, now))
    const limitUsd = this.limits.query
    if (limitUsd === Infinity) return kept
    const spentUsd = tally.reportedUsd + inFlight(tally)
    return [{ scope: "query", key: "", spentUsd, limitUsd, renewsAt: undefined }, ...kept]
  }

  level(scope: BudgetScope, key: string, now: number): BudgetLevel {
    let spentUsd = this.booked.get(`${scope} ${key}`) ?? 0
    for (const call of this.calls) if (this.keyOf(scope, call, now) === key) spentUsd += inFlight(call)
    return {
      scope,
      key,
      spentUsd,
      limitUsd: this.limits[scope],
      renewsAt: scope === "day" ? this.day(now).until : undefined
    }
  }

  /** What is to be told of these, once: nearly spent, and spent. */
  news(call: string, levels: ReadonlyArray<BudgetLevel>): ReadonlyArray<BudgetLevel & { readonly exceeded: boolean }> {
    return levels.flatMap((level) =>
      [false, true].flatMap((exceeded) => {
        const name = `${level.scope} ${level.scope === "query" ? call : level.key} ${exceeded}`
        const limitUsd = level.limitUsd * (exceeded ? 1 : this.warnAt)
        if (!isSpent({ ...level, limitUsd }) || this.told.has(name)) return []
        this.told.add(name)
        forgetOldest(this.told)
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

/** Sessions, batches and days that are remembered. */
const most = 4096

const forgetOldest = (names: Map<string, unknown> | Set<string>): void => {
  if (names.size > most) names.delete(names.keys().next().value ?? "")
}

/** Ten times 0.1 is a little less than 1: so little is not left. */
const isSpent = (level: BudgetLevel): boolean => left(level) < 1e-9
