/**
 * The log of events in a database: SQLite or PostgreSQL, through any client of `@effect/sql`, beside the sessions. What a
 * session has left in it stays when the session is deleted, until it is too old: it holds nothing that was said.
 */
import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import { EventLog, type EventLogService } from "@ccflow/core/EventLog"
import type { SqlClient } from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as eventLog from "./internal/eventLog.js"
import { opened } from "./internal/opened.js"

/** The log over the client in the context. Its table is made, and brought up to date, here. */
export const make: Effect.Effect<EventLogService, SessionStoreError, SqlClient> = Effect.map(opened, eventLog.make)

export const layer: Layer.Layer<EventLog, SessionStoreError, SqlClient> = Layer.effect(EventLog, make)
