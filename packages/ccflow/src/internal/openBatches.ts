import { SessionStoreError } from "@ccflow/core/ClaudeError"
import * as NodeSessionHolder from "@ccflow/node/NodeSessionHolder"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { BatchRecords } from "./records.js"

/** The batches in this file. A module of its own: only who keeps batches loads it. @internal */
export const openBatches = (
  path: string
): Effect.Effect<Context.Context<BatchRecords>, SessionStoreError, Scope.Scope> =>
  Effect.flatMap(
    sql,
    ([batches, file]) =>
      Layer.build(Layer.merge(Layer.provide(batches.layer, file.layer({ path })), NodeSessionHolder.layer))
  )

// ---------------------------------------------------------------------------

const sql = Effect.tryPromise({
  try: () => Promise.all([import("@ccflow/sql/SqlBatchRepository"), import("@ccflow/sql/SqliteFile")]),
  catch: (error) =>
    new SessionStoreError({
      operation: "open",
      reason: "Unavailable",
      detail: `@ccflow/sql cannot be loaded: ${error instanceof Error ? error.message : String(error)}`,
      hint: "Install it: npm install @ccflow/sql."
    })
})
