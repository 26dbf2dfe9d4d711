/**
 * The ledger in a database: SQLite or PostgreSQL, through any client of `@effect/sql`, beside the sessions. Any number of
 * processes book in it at once, and each of them sees what all have used.
 *
 * An entry has its own tags and those that its session has now, or had when it was deleted.
 */
import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import { UsageLedger, type UsageLedgerService } from "@ccflow/core/UsageLedger"
import type { SqlClient } from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { opened } from "./internal/opened.js"
import * as usageLedger from "./internal/usageLedger.js"

/** The ledger over the client in the context. Fails with `NewerVersion` before it changes anything. */
export const make: Effect.Effect<UsageLedgerService, SessionStoreError, SqlClient> = Effect.map(
  opened,
  usageLedger.make
)

/** The ledger over the client in the context. */
export const layer: Layer.Layer<UsageLedger, SessionStoreError, SqlClient> = Layer.effect(UsageLedger, make)
