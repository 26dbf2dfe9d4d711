import { cursorOf, type EventFilter, type EventLogService, type LoggedEvent, resolvePage } from "@ccflow/core/EventLog"
import { wellFormed } from "@ccflow/core/SessionRecord"
import type { Fragment } from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import { readAll, type Whole } from "./rows.js"
import type { Store } from "./store.js"

/** @internal */
export const make = ({ run, sql, transaction }: Store): EventLogService => {
  const insert = (events: ReadonlyArray<LoggedEvent>) =>
    sql`INSERT INTO ccflow_events ${
      sql.insert(events.map((event) => ({
        at: event.at,
        type: event._tag,
        call_id: wellFormed(event.callId ?? ""),
        session_id: wellFormed(event.sessionId ?? ""),
        body: JSON.stringify(event)
      })))
    }`

  const conditions = ({ callId, sessionId, since, types, until }: EventFilter): ReadonlyArray<Fragment> => [
    ...given(since, (time) => sql`at >= ${Math.ceil(time)}`),
    ...given(until, (time) => sql`at < ${Math.ceil(time)}`),
    ...given(sessionId, (id) => sql`session_id = ${wellFormed(id)}`),
    ...given(callId, (id) => sql`call_id = ${wellFormed(id)}`),
    ...given(types, (types) => types.length === 0 ? sql`1 = 0` : sql.in("type", types))
  ]

  return {
    append: (events) => {
      if (events.length === 0) return Effect.void
      const chunks = Array.from(
        { length: Math.ceil(events.length / longestInsert) },
        (_, index) => events.slice(index * longestInsert, (index + 1) * longestInsert)
      )
      const all = Effect.forEach(chunks, insert, { discard: true })
      return chunks.length === 1 ? run("appendEvents", all) : transaction("appendEvents", all)
    },

    read: (filter = {}) =>
      Effect.gen(function*() {
        const { after, limit, newestFirst } = yield* resolvePage(filter)
        const order = sql.literal(newestFirst ? "DESC" : "ASC")
        const behind = given(after, ({ at, id }) =>
          newestFirst ? sql`(at, event_id) < (${at}, ${id})` : sql`(at, event_id) > (${at}, ${id})`)
        const rows = yield* run(
          "readEvents",
          sql<EventRow>`SELECT event_id, at, body FROM ccflow_events WHERE ${
            sql.and([sql`1 = 1`, ...conditions(filter), ...behind])
          } ORDER BY at ${order}, event_id ${order} LIMIT ${limit + 1}`
        )
        const shown = rows.slice(0, limit)
        const events = yield* readAll("readEvents", ({ body }): LoggedEvent =>
          JSON.parse(body), shown)
        const last = shown.at(-1)
        return {
          events,
          ...(last === undefined || rows.length <= limit
            ? {}
            : { next: cursorOf({ at: Number(last.at), id: Number(last.event_id) }) })
        }
      }),

    forget: ({ before, most }) =>
      transaction(
        "forgetEvents",
        Effect.gen(function*() {
          yield* sql`DELETE FROM ccflow_events WHERE at < ${Math.ceil(before)}`
          const [oldest] = yield* sql<EventRow>`SELECT event_id, at FROM ccflow_events
            ORDER BY at DESC, event_id DESC LIMIT 1 OFFSET ${Math.max(0, most)}`
          if (oldest === undefined) return
          yield* sql`DELETE FROM ccflow_events WHERE (at, event_id) <= (${oldest.at}, ${oldest.event_id})`
        })
      )
  }
}

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

interface EventRow {
  readonly event_id: Whole
  readonly at: Whole
  readonly body: string
}

/** Rows of one INSERT: SQLite holds the event loop for as long as a statement takes. */
const longestInsert = 500

const given = <A>(value: A | undefined, condition: (value: A) => Fragment): ReadonlyArray<Fragment> =>
  value === undefined ? [] : [condition(value)]
