import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import type { EventLog, LoggedEvent, LoggedType } from "@ccflow/core/EventLog"
import type { SessionRecord, TurnRecord } from "@ccflow/core/SessionRecord"
import { SessionRepository } from "@ccflow/core/SessionRepository"
import type { UsageLedger } from "@ccflow/core/UsageLedger"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { oneLine } from "../safe.js"
import { local } from "../time.js"
import type { CallCell, OutcomeIndex, ReportData, SessionData, TurnData, TurnEnding } from "./data.js"
import { Names, TagSets } from "./names.js"
import { entries, latest, overlaps, type Range, records } from "./sources.js"
import { timelineOf, type TimelineTurn } from "./timeline.js"
import { UsageCells } from "./usageCells.js"

export interface Asked extends Range {
  /** Titles and prompts stay where they are. */
  readonly withoutPrompts?: boolean | undefined
}

/** How much is given one by one, the latest first. What is summed up is summed up whole. */
export interface Bounds {
  readonly sessions: number
  readonly calls: number
  /** Of one session. */
  readonly turns: number
  readonly events: number
  readonly steps: number
}

export const usual: Bounds = { sessions: 500, calls: 20_000, turns: 200, events: 120_000, steps: 40_000 }

/** Everything that the page shows. */
export const collect = (
  asked: Asked = {},
  bounds: Bounds = usual
): Effect.Effect<ReportData, SessionStoreError, SessionRepository | UsageLedger | EventLog> =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const range = { since: asked.since, until: asked.until }
    const all = yield* records
    const tagsOf = (sessionId: string) => all.get(sessionId)?.tags ?? []
    const names = new Names()
    const tagSets = new TagSets(names)

    const ended = yield* latest(["QueryEnded", "TurnCompleted"], bounds.calls, range)
    const calls = ended.slice(0, bounds.calls)
    const tagged = new Map(calls.map(({ callId = "" }) => [callId, new Set<string>()]))
    const seen = new Seen()
    for (const { createdAt, sessionId, updatedAt } of all.values()) {
      if (overlaps(range, createdAt, updatedAt)) seen.at(sessionId, createdAt, updatedAt)
    }
    const lastModel = new Map<string, string>()
    for (const { at, durationMs, model, sessionId = "" } of calls) {
      seen.at(sessionId, at - durationMs, at)
      if (!lastModel.has(sessionId)) lastModel.set(sessionId, model)
    }

    const usage = new UsageCells()
    yield* Stream.runForEach(entries(range), (entry) =>
      Effect.sync(() => {
        const { at, callId, model, sessionId, tags } = entry
        for (const tag of tags) tagged.get(callId)?.add(tag)
        seen.at(sessionId, at, at)
        usage.add(entry, dayOf(at), names.of(oneLine(model)), tagSets.of(...tags, ...tagsOf(sessionId)))
      }))

    const shown = seen.latest(bounds.sessions)
    const places = new Map(shown.map(({ sessionId }, place) => [sessionId, place]))
    const session = (sessionId: string) => places.get(sessionId) ?? -1
    const logged = yield* latest(shownTypes, bounds.events, range)
    const eventsOf = bySession(logged.slice(0, bounds.events).reverse())
    const sessions: Array<SessionData> = []
    /** How a call ended, as its cell says it. */
    const factsOf = (ending: TurnEnding, error: string | undefined, ms: number, firstMs = -1) =>
      [outcomeOf(ending), error === undefined ? -1 : names.of(error), Math.round(ms), Math.round(firstMs)] as const
    const given = calls.map(
      ({ at, callId = "", durationMs, error, firstMessageMs, model, outcome, sessionId = "" }) => {
        const tagSet = tagSets.of(...tagged.get(callId) ?? [], ...tagsOf(sessionId))
        const where = [names.of(oneLine(model)), tagSet, session(sessionId)] as const
        return { day: dayOf(at), where, facts: factsOf(outcome, error, durationMs, firstMessageMs) }
      }
    )
    let steps = 0
    let cut = logged.length > bounds.events
    for (const { begun, sessionId, used: usedAt } of shown) {
      const record = all.get(sessionId)
      const used = record?.model ?? lastModel.get(sessionId) ?? ""
      const model = used === "" ? -1 : names.of(oneLine(used))
      const tagSet = tagSets.of(...tagsOf(sessionId))
      const { less, turns } = steps < bounds.steps
        ? yield* turnsOf(sessionId, range, eventsOf(sessionId), bounds.turns, now)
        : { less: true, turns: [] }
      cut ||= less
      for (const { callId, end, ending, error, start, steps: parts } of turns) {
        steps += 1 + parts.length
        // Nobody has logged it: its record has to do.
        if (callId !== undefined || ending === "running") continue
        const where = [model, tagSet, session(sessionId)] as const
        given.push({ day: dayOf(end), where, facts: factsOf(ending, error, end - start) })
      }
      sessions.push({
        id: sessionId,
        title: record === undefined ? "" : titleOf(record, asked),
        model,
        tagSet,
        begun,
        used: usedAt,
        turns: turns.map((turn) => turnData(turn, names, asked))
      })
    }

    const days = [...new Set([...usage.days, ...given.map(({ day }) => day)])].sort()
    const dayPlaces = new Map(days.map((day, place) => [day, place]))
    const day = (name: string) => dayPlaces.get(name) ?? -1
    return {
      madeAt: now,
      timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      since: asked.since ?? null,
      until: asked.until ?? null,
      days,
      usage: usage.placed(day, session),
      calls: given.map(({ day: name, facts, where }): CallCell => [day(name), ...where, ...facts]),
      sessions,
      names: names.all,
      tagSets: tagSets.all,
      left: { sessions: seen.count - shown.length, calls: ended.length > calls.length, steps: cut }
    }
  })

// ---------------------------------------------------------------------------

interface SeenSession {
  readonly sessionId: string
  readonly begun: number
  readonly used: number
}

/** Sessions, and when something of them was seen. */
class Seen {
  private readonly all = new Map<string, SeenSession>()

  at(sessionId: string, from: number, to: number): void {
    if (sessionId === "") return
    const { begun = from, used = to } = this.all.get(sessionId) ?? {}
    this.all.set(sessionId, { sessionId, begun: Math.min(begun, from), used: Math.max(used, to) })
  }

  get count(): number {
    return this.all.size
  }

  latest(most: number): ReadonlyArray<SeenSession> {
    return [...this.all.values()]
      .sort((one, other) => other.used - one.used || (one.sessionId < other.sessionId ? -1 : 1))
      .slice(0, most)
  }
}

const turnsOf = (sessionId: string, range: Range, logged: ReadonlyArray<LoggedEvent>, most: number, now: number) =>
  Effect.gen(function*() {
    const repository = yield* SessionRepository
    const turns: Array<TurnRecord> = []
    let after: number | undefined
    // A stream for each of hundreds of sessions takes longer than all the reading.
    do {
      const page = yield* repository.turns(sessionId, { after })
      turns.push(...page.turns.filter(({ endedAt, startedAt }) => overlaps(range, startedAt, endedAt ?? now)))
      after = page.next
    } while (after !== undefined && turns.length <= most)
    const timeline = timelineOf(turns.slice(0, most), logged, now)
    return { turns: timeline.slice(0, most), less: turns.length > most || timeline.length > most }
  })

/**
 * What is logged of a session. What a call has waited for before its session had an id is its session's, and a breaker
 * that belongs to no call everybody's.
 */
const bySession = (logged: ReadonlyArray<LoggedEvent>) => {
  const homes = new Map(
    logged.flatMap(({ callId, sessionId }) =>
      callId === undefined || sessionId === undefined ? [] : [[callId, sessionId] as const]
    )
  )
  const global: Array<LoggedEvent> = []
  const own = new Map<string, Array<LoggedEvent>>()
  for (const event of logged) {
    const { callId, sessionId = homes.get(callId ?? "") } = event
    if (sessionId === undefined) {
      if (callId === undefined) global.push(event)
    } else if (own.get(sessionId)?.push(event) === undefined) own.set(sessionId, [event])
  }
  return (sessionId: string): ReadonlyArray<LoggedEvent> => [...own.get(sessionId) ?? [], ...global]
}

const shownTypes: ReadonlyArray<LoggedType> = [
  "QueryStarted",
  "QueryEnded",
  "TurnStarted",
  "TurnCompleted",
  "ToolCalled",
  "ToolFinished",
  "PermissionAsked",
  "PermissionDecided",
  "Retrying",
  "RateLimited",
  "Queued",
  "Parked",
  "Unparked",
  "FellBack",
  "TimedOut",
  "BreakerChanged"
]

const dayOf = (at: number): string => local(at).slice(0, 10)

const outcomeOf = (ending: TurnEnding): OutcomeIndex => ending === "success" ? 0 : ending === "failure" ? 1 : 2

/** A title is read at a glance; what is longer is in the records. */
const clipped = (text: string): string => {
  const line = oneLine(text.slice(0, 2_000))
  return line.length > 160 ? `${line.slice(0, 159).replace(/[\ud800-\udbff]$/, "")}…` : line
}

const titleOf = ({ sessionId, title }: SessionRecord, { withoutPrompts }: Asked): string =>
  (withoutPrompts === true ? "" : clipped(title)) || `Session ${sessionId.slice(0, 8)}`

const turnData = (turn: TimelineTurn, names: Names, { withoutPrompts }: Asked): TurnData => ({
  title: withoutPrompts === true ? "" : clipped(turn.title),
  start: Math.round(turn.start),
  ms: Math.round(turn.end - turn.start),
  end: turn.ending,
  error: turn.error === undefined ? -1 : names.of(turn.error),
  steps: turn.steps.map(({ end, kind, name, start, state }) => [
    kind,
    names.of(oneLine(name)),
    Math.round(start - turn.start),
    Math.round(end - start),
    state
  ])
})
