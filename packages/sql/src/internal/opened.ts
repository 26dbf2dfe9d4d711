import { SessionStoreError } from "@ccflow/core/ClaudeError"
import { SqlClient } from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import { migrate, migrations } from "./migrations.js"
import * as Store from "./store.js"

/**
 * The database of the client in the context, with all tables as this version has them.
 *
 * @internal
 */
export const opened: Effect.Effect<Store.Store, SessionStoreError, SqlClient> = Effect.gen(function*() {
  const client = yield* SqlClient
  yield* client.onDialectOrElse({
    sqlite: () => Effect.void,
    pg: () => Effect.void,
    orElse: () => Effect.fail(unknownDialect)
  })
  const store = Store.make(client)
  yield* migrate(store, migrations)
  return store
})

// ---------------------------------------------------------------------------

const unknownDialect = new SessionStoreError({
  operation: "open",
  reason: "Unavailable",
  detail: "the database is neither SQLite nor PostgreSQL",
  hint: "Provide a client of one of those."
})
