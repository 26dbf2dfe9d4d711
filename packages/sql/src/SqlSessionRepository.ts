/**
 * Session records in a database: SQLite or PostgreSQL, through any client of `@effect/sql`. Its tables begin with
 * `ccflow_`, so they can live beside a program's own; they are made, and brought up to date, when the layer is built.
 *
 * A program's own `sql.withTransaction` takes the repository along: what it changes is kept or undone with the rest.
 */
import { SessionStoreError } from "@ccflow/core/ClaudeError"
import { SessionRepository, type SessionRepositoryService } from "@ccflow/core/SessionRepository"
import { SqlClient } from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as leases from "./internal/leases.js"
import { migrate, migrations } from "./internal/migrations.js"
import * as sessions from "./internal/sessions.js"
import * as Store from "./internal/store.js"
import * as turns from "./internal/turns.js"

/** The repository over the client in the context. Fails with `NewerVersion` before it changes anything. */
export const make: Effect.Effect<SessionRepositoryService, SessionStoreError, SqlClient> = Effect.gen(function*() {
  const client = yield* SqlClient
  yield* client.onDialectOrElse({
    sqlite: () => Effect.void,
    pg: () => Effect.void,
    orElse: () => Effect.fail(unknownDialect)
  })
  const store = Store.make(client)
  yield* migrate(store, migrations)
  return { ...sessions.make(store), ...turns.make(store), ...leases.make(store) }
})

/** The repository over the client in the context. */
export const layer: Layer.Layer<SessionRepository, SessionStoreError, SqlClient> = Layer.effect(SessionRepository, make)

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

const unknownDialect = new SessionStoreError({
  operation: "open",
  reason: "Unavailable",
  detail: "sessions are stored in SQLite or PostgreSQL only",
  hint: "Provide a client of one of those."
})
