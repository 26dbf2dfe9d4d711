import type { SqlClient } from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import type * as Effect from "effect/Effect"

/** @internal */
export const eventTables = (sql: SqlClient): Effect.Effect<unknown, SqlError> =>
  sql`CREATE TABLE ccflow_events (id TEXT NOT NULL PRIMARY KEY)`
