/**
 * Session records in a database: SQLite or PostgreSQL, through any client of `@effect/sql`. Its tables begin with
 * `ccflow_`, so they can live beside a program's own; they are made, and brought up to date, when the layer is built.
 *
 * A program's own `sql.withTransaction` takes the repository along: what it changes is kept or undone with the rest.
 */
import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import { SessionRepository, type SessionRepositoryService } from "@ccflow/core/SessionRepository"
import type { SqlClient } from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as leases from "./internal/leases.js"
import { opened } from "./internal/migrations.js"
import * as sessions from "./internal/sessions.js"
import * as turns from "./internal/turns.js"

/** The repository over the client in the context. Fails with `NewerVersion` before it changes anything. */
export const make: Effect.Effect<SessionRepositoryService, SessionStoreError, SqlClient> = Effect.gen(function*() {
  const store = yield* opened
  return { ...sessions.make(store), ...turns.make(store), ...leases.make(store) }
})

/** The repository over the client in the context. */
export const layer: Layer.Layer<SessionRepository, SessionStoreError, SqlClient> = Layer.effect(SessionRepository, make)
