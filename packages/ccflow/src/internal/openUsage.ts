import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import type { UsageLedgerService } from "@ccflow/core/UsageLedger"
import * as SqlUsageLedger from "@ccflow/sql/SqlUsageLedger"
import * as Effect from "effect/Effect"
import type { File } from "./kept.js"

/** The ledger in this file. A module of its own: only who reads it loads it. @internal */
export const openLedger = (file: File): Effect.Effect<UsageLedgerService, SessionStoreError> =>
  Effect.provide(SqlUsageLedger.make, file)
