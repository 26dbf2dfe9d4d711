/**
 * Records of batches in a database: SQLite or PostgreSQL, through any client of `@effect/sql`. Its table is made with
 * those of the sessions, and can live beside them.
 */
import { BatchRepository, type BatchRepositoryService } from "@ccflow/core/BatchRepository"
import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import type { SqlClient } from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as batches from "./internal/batches.js"
import { opened } from "./internal/opened.js"

/** The repository over the client in the context. Fails with `NewerVersion` before it changes anything. */
export const make: Effect.Effect<BatchRepositoryService, SessionStoreError, SqlClient> = Effect.map(
  opened,
  batches.make
)

/** The repository over the client in the context. */
export const layer: Layer.Layer<BatchRepository, SessionStoreError, SqlClient> = Layer.effect(BatchRepository, make)
