import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import type { EventLogService } from "@ccflow/core/EventLog"
import * as SqlEventLog from "@ccflow/sql/SqlEventLog"
import * as Effect from "effect/Effect"
import type { File } from "./kept.js"

/** The event log in this file. A module of its own: only who keeps events loads it. @internal */
export const openEventLog = (file: File): Effect.Effect<EventLogService, SessionStoreError> =>
  Effect.provide(SqlEventLog.make, file)
