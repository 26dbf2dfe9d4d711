/**
 * The log of events in a database: SQLite or PostgreSQL, through any client of `@effect/sql`, beside the sessions. What a
 * session has left in it stays when the session is deleted, until it is too old: it holds nothing that was said.
 */
import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import {
  cursorOf,
  type EventFilter,
  EventLog,
  type EventLogService,
  type LoggedEvent,
  resolvePage
} from "@ccflow/core/EventLog"
import { wellFormed } from "@ccflow/core/SessionRecord"
import type { SqlClient } from "@effect/sql/SqlClient"
import type { Fragment } from "@effect/sql/Statement"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { opened } from "./internal/migrations.js"
import { given, longestInsert, readPage, type Whole } from "./internal/rows.js"
import type { Store } from "./internal/store.js"

/** The log over the client in the context. Its table is made, and brought up to date, here. */
export const make: Effect.Effect<EventLogService, SessionStoreError, SqlClient> = Effect.suspend(() =>
  Effect.map(opened, over)
)

export const layer: Layer.Layer<EventLog, SessionStoreError, SqlClient> = Layer.effect(EventLog, make)

// ---------------------------------------------------------------------------

const over = ({ run, sql, transaction }: Store): EventLogService => {
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
    ...given(types, (types) => sql.in("type", types))
  ]

  return {
    append: (events) => {
      if (events.length === 0) return Effect.void
      const all = Effect.forEach(Arr.chunksOf(events, longestInsert), insert, { discard: true })
      return (events.length > longestInsert ? transaction : run)("appendEvents", all)
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
            sql.and([...conditions(filter), ...behind])
          } ORDER BY at ${order}, event_id ${order} LIMIT ${limit + 1}`
        )
        const read = ({ body }: EventRow): LoggedEvent =>
          JSON.parse(body)
        const [events, more] = yield* readPage("readEvents", read, rows, limit, (_, { at, event_id }) =>
          cursorOf({ at: Number(at), id: Number(event_id) }))
        return { events, ...more }
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

interface EventRow {
  readonly event_id: Whole
  readonly at: Whole
  readonly body: string
}
