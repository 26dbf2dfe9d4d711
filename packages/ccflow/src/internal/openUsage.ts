import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import type { UsageLedgerService } from "@ccflow/core/UsageLedger"
import type { UsageLimitStore } from "@ccflow/core/UsageLimit"
import * as SqlUsageLedger from "@ccflow/sql/SqlUsageLedger"
import * as SqlUsageLimitStore from "@ccflow/sql/SqlUsageLimitStore"
import * as Effect from "effect/Effect"
import type { File } from "./kept.js"

/** The windows in this file. A module of its own: only who remembers them loads it. @internal */
export const openUsage = (file: File): Effect.Effect<UsageLimitStore["Type"], SessionStoreError> =>
  Effect.provide(SqlUsageLimitStore.make, file)

/** The ledger in this file. @internal */
export const openLedger = (file: File): Effect.Effect<UsageLedgerService, SessionStoreError> =>
  Effect.provide(SqlUsageLedger.make, file)
