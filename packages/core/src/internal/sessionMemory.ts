/**
 * Session records in this process. Everything goes in and comes out as a copy, through JSON as in a database, so that a
 * program behaves the same with either.
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Prompt } from "../Claude.js"
import { cursorOf, fold, type Listing, orderValue, resolve, resolvePage } from "../SessionFilter.js"
import { busy, deadHolders, expiry, type Lease } from "../SessionLease.js"
import {
  promptText,
  type SessionRecord,
  tidy,
  tidyTags,
  toJson,
  type TurnRecord,
  unknownSession
} from "../SessionRecord.js"
import type { SessionRepositoryService } from "../SessionRepository.js"
import { addUsage, noUsage } from "./figures.js"

export const make: Effect.Effect<SessionRepositoryService> = Effect.sync(() => {
  const sessions = new Map<string, Stored>()
  const turns = new Map<string, StoredTurn>()
  const leases = new Map<string, Lease>()

  const retag = (sessionId: string, change: (tags: Set<string>) => void) =>
    Effect.sync(() => {
      const session = sessions.get(sessionId)
      if (session === undefined) return false
      const tags = new Set(session.record.tags)
      change(tags)
      session.record = { ...session.record, tags: tidyTags([...tags]) }
      return true
    })

  const matching = (listing: Listing): ReadonlyArray<SessionRecord> =>
    [...sessions.values()]
      .filter((session) => matches(listing, session.record, session.turns.map(({ record }) => record.prompt)))
      .map(({ record }) => record)

  /** What is held at this time, by whoever is alive. */
  const held = (sessionId: string, now: number): Lease | undefined => {
    const lease = leases.get(sessionId)
    return lease !== undefined && lease.expiresAt > now ? lease : undefined
  }

  const lend = (sessionId: string, holder: string, now: number, ttl: Duration.DurationInput): Lease => {
    const lease = { sessionId, holder, expiresAt: expiry(now, ttl) }
    leases.set(sessionId, lease)
    return lease
  }

  return {
    save: (given) =>
      Effect.map(tidy("save", given), (record) => {
        const before = sessions.get(record.sessionId)
        if (before === undefined) return void sessions.set(record.sessionId, { record, turns: [] })
        const { costUsd, durationMs, tags, turnCount, usage } = before.record
        before.record = { ...record, costUsd, durationMs, tags, turnCount, usage }
      }),

    get: (id) => Effect.sync(() => Option.map(Option.fromNullable(sessions.get(id)), ({ record }) => copy(record))),

    delete: (id) =>
      Effect.sync(() => {
        for (const { record } of sessions.get(id)?.turns ?? []) turns.delete(record.turnId)
        leases.delete(id)
        return sessions.delete(id)
      }),

    list: (filter = {}) =>
      Effect.map(resolve("list", filter), (listing) => {
        const rest = matching(listing).filter((record) => behind(listing, record)).sort(compare(listing))
        const page = rest.slice(0, listing.limit)
        const last = page.at(-1)
        return {
          sessions: copy(page),
          ...(last === undefined || rest.length === page.length ? {} : { next: cursorOf(listing, last) })
        }
      }),

    count: (filter = {}) => Effect.map(resolve("count", filter), (listing) => matching(listing).length),

    addTags: (id, added) => retag(id, (tags) => tidyTags(added).forEach((tag) => tags.add(tag))),
    removeTags: (id, removed) => retag(id, (tags) => tidyTags(removed).forEach((tag) => tags.delete(tag))),

    beginTurn: ({ holder, prompt, sessionId, turnId }) =>
      Effect.gen(function*() {
        const [json = ""] = yield* toJson("beginTurn", [prompt])
        const now = yield* Clock.currentTimeMillis
        const known = turns.get(turnId)
        if (known !== undefined) return copy(known.record)
        const session = sessions.get(sessionId)
        if (session === undefined) return yield* Effect.fail(unknownSession(sessionId))
        const record: TurnRecord = {
          turnId,
          sessionId,
          index: session.turns.length,
          prompt: JSON.parse(json),
          status: "running",
          startedAt: now,
          seen: "",
          holder
        }
        const turn: StoredTurn = { record, messages: [] }
        turns.set(turnId, turn)
        session.turns.push(turn)
        session.record = { ...session.record, updatedAt: now }
        return copy(record)
      }),

    progress: (id, seen) =>
      Effect.sync(() => {
        const turn = turns.get(id)
        if (turn?.record.status !== "running") return false
        turn.record = { ...turn.record, seen }
        return true
      }),

    endTurn: (id, end) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const turn = turns.get(id)
        if (turn === undefined || (turn.record.status !== "running" && turn.record.status !== "cut")) return false
        turn.record = { ...turn.record, ...copy(end), endedAt: now }
        const session = sessions.get(turn.record.sessionId)
        if (session === undefined) return true
        const { record } = session
        session.record = {
          ...record,
          updatedAt: now,
          turnCount: record.turnCount + (end.status === "completed" ? 1 : 0),
          costUsd: record.costUsd + (end.costUsd ?? 0),
          durationMs: record.durationMs + now - turn.record.startedAt,
          usage: addUsage(record.usage, end.usage ?? noUsage)
        }
        return true
      }),

    turns: (id, page = {}) =>
      Effect.map(resolvePage("turns", page), (asked) => {
        const { shown, ...more } = pageOf(sessions.get(id)?.turns ?? [], asked)
        return { turns: shown.map(({ record }) => copy(record)), ...more }
      }),

    appendMessages: (id, given) =>
      Effect.map(toJson("appendMessages", given), (lines) => {
        for (const line of turns.has(id) ? lines : []) turns.get(id)?.messages.push(line)
        return turns.has(id)
      }),

    messages: (id, page = {}) =>
      Effect.map(resolvePage("messages", page), (asked) => {
        const { shown, ...more } = pageOf(turns.get(id)?.messages ?? [], asked)
        return { messages: shown.map((line): unknown => JSON.parse(line)), ...more }
      }),

    recover: (holderIsAlive) =>
      Effect.gen(function*() {
        const running = () => [...turns.values()].filter(({ record }) => record.status === "running")
        const dead = yield* deadHolders(running().map(({ record }) => record.holder), holderIsAlive)
        const now = yield* Clock.currentTimeMillis
        return running().flatMap((turn) => {
          const { holder, sessionId } = turn.record
          if (!dead.has(holder) && held(sessionId, now)?.holder === holder) return []
          turn.record = { ...turn.record, status: "cut", endedAt: now }
          return [copy(turn.record)]
        })
      }),

    acquireLease: (id, holder, ttl, holderIsAlive = () => true) =>
      Effect.gen(function*() {
        const other = held(id, yield* Clock.currentTimeMillis)
        const dead = other === undefined || other.holder === holder
          ? new Set()
          : yield* deadHolders([other.holder], holderIsAlive)
        const now = yield* Clock.currentTimeMillis
        const current = held(id, now)
        if (current === undefined || current.holder === holder || dead.has(current.holder)) {
          return lend(id, holder, now, ttl)
        }
        return yield* Effect.fail(busy(current))
      }),

    renewLease: (id, holder, ttl) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        if (leases.get(id)?.holder !== holder) return false
        lend(id, holder, now, ttl)
        return true
      }),

    releaseLease: (id, holder) => Effect.sync(() => leases.get(id)?.holder === holder && leases.delete(id)),

    lease: (id) => Effect.map(Clock.currentTimeMillis, (now) => Option.fromNullable(held(id, now)))
  }
})

// ---------------------------------------------------------------------------

interface Stored {
  record: SessionRecord
  readonly turns: Array<StoredTurn>
}

interface StoredTurn {
  record: TurnRecord
  /** One JSON text each. */
  readonly messages: Array<string>
}

const copy = <A>(value: A): A => JSON.parse(JSON.stringify(value))

const pageOf = <A>(all: ReadonlyArray<A>, { after, limit }: { readonly after: number; readonly limit: number }) => {
  const end = after + 1 + limit
  return { shown: all.slice(after + 1, end), ...(end < all.length ? { next: end - 1 } : {}) }
}

const matches = (listing: Listing, record: SessionRecord, prompts: ReadonlyArray<Prompt>): boolean =>
  (listing.status === undefined || record.status === listing.status) &&
  (listing.model === undefined || record.model === listing.model) &&
  (listing.tags.length === 0 || listing.tags.some((tag) => record.tags.includes(tag))) &&
  (listing.createdAfter === undefined || record.createdAt > listing.createdAfter) &&
  (listing.createdBefore === undefined || record.createdAt < listing.createdBefore) &&
  (listing.updatedAfter === undefined || record.updatedAt > listing.updatedAfter) &&
  (listing.updatedBefore === undefined || record.updatedAt < listing.updatedBefore) &&
  (listing.minTurns === undefined || record.turnCount >= listing.minTurns) &&
  (listing.maxTurns === undefined || record.turnCount <= listing.maxTurns) &&
  (listing.search === "" ||
    [record.title, ...prompts.map(promptText)].some((text) => fold(text).includes(listing.search)))

const compare = (listing: Listing) => (one: SessionRecord, other: SessionRecord): number =>
  (listing.descending ? -1 : 1) * (
    byValue(orderValue(listing.orderBy, one), orderValue(listing.orderBy, other)) ||
    byValue(one.sessionId, other.sessionId)
  )

/** Whether a session belongs behind the cursor of the page before. */
const behind = ({ after, descending, orderBy }: Listing, record: SessionRecord): boolean =>
  after === undefined ||
  (byValue(orderValue(orderBy, record), after.value) || byValue(record.sessionId, after.sessionId)) *
        (descending ? -1 : 1) > 0

/** Text by code points, as databases compare its bytes; JavaScript's `<` puts surrogate pairs before U+E000. */
const byValue = (one: string | number, other: string | number): number => {
  if (one === other) return 0
  if (typeof one === "number" || typeof other === "number") return one < other ? -1 : 1
  const left = [...one]
  const right = [...other]
  const at = left.findIndex((character, index) => character !== right[index])
  if (at < 0) return -1
  return (left[at]?.codePointAt(0) ?? 0) - (right[at]?.codePointAt(0) ?? -1)
}
