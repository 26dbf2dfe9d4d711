import type { SqlClient } from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"

/** @internal */
export const eventTables = (sql: SqlClient): Effect.Effect<unknown, SqlError> => {
  const key = sql.literal(sql.onDialectOrElse({ pg: () => `TEXT COLLATE "C"`, orElse: () => "TEXT" }))
  const serial = sql.literal(
    sql.onDialectOrElse({
      pg: () => "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
      orElse: () => "INTEGER PRIMARY KEY"
    })
  )
  return Effect.all([
    sql`CREATE TABLE ccflow_events (
      event_id ${serial},
      at BIGINT NOT NULL,
      type ${key} NOT NULL,
      call_id ${key} NOT NULL,
      session_id ${key} NOT NULL,
      body TEXT NOT NULL
    )`,
    sql`CREATE INDEX ccflow_events_at ON ccflow_events (at, event_id)`,
    sql`CREATE INDEX ccflow_events_session ON ccflow_events (session_id, at, event_id)`,
    sql`CREATE INDEX ccflow_events_call ON ccflow_events (call_id, at, event_id)`
  ], { discard: true })
}
