/**
 * Session records in PostgreSQL, for sessions that several machines share. The driver is loaded when the layer is built.
 */
import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import { SessionRepository } from "@ccflow/core/SessionRepository"
import * as Reactivity from "@effect/experimental/Reactivity"
import { SqlClient } from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { openError, storeError } from "./internal/failure.js"
import * as SqlSessionRepository from "./SqlSessionRepository.js"

/** The repository in the database at this URL. Its tables are made in the first schema of the user's search path. */
export const layerUrl = (url: Redacted.Redacted): Layer.Layer<SessionRepository, SessionStoreError> =>
  Layer.scoped(
    SessionRepository,
    Effect.gen(function*() {
      const driver = yield* Effect.tryPromise({ try: () => import("@effect/sql-pg/PgClient"), catch: missing })
      const client = yield* driver.make({ url, applicationName: "ccflow" }).pipe(
        Effect.provideServiceEffect(Reactivity.Reactivity, Reactivity.make),
        Effect.mapError(unreachable),
        // What is wrong with a URL is thrown, with the URL in it.
        Effect.catchAllDefect(() => Effect.fail(noUrl))
      )
      return yield* Effect.provideService(SqlSessionRepository.make, SqlClient, client)
    })
  )

// ---------------------------------------------------------------------------

const missing = (): SessionStoreError =>
  openError("Unavailable", "PostgreSQL's driver is not installed", "Install it: npm install @effect/sql-pg@^0.53.")

/** Whatever the driver calls it, a time-out for one has no code of its own: there is no connection. */
const unreachable = (error: unknown): SessionStoreError => {
  const failed = storeError("open", error)
  return failed.reason === "Other"
    ? openError("Unavailable", failed.detail, "Check the URL, and that the server answers there.")
    : failed
}

const noUrl = openError(
  "Unavailable",
  "the URL is not one of PostgreSQL",
  "Give it as postgres://user:password@host:port/database."
)
