import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import * as NodeSessionHolder from "@ccflow/node/NodeSessionHolder"
import * as SqlBatchRepository from "@ccflow/sql/SqlBatchRepository"
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { File } from "./kept.js"
import type { BatchRecords } from "./records.js"

/** The batches in a file that is open. A module of its own: only who keeps batches loads it. */
export const batchesIn = (
  file: File
): Effect.Effect<Context.Context<BatchRecords>, SessionStoreError, Scope.Scope> =>
  Layer.build(Layer.merge(Layer.provide(SqlBatchRepository.layer, Layer.succeedContext(file)), NodeSessionHolder.layer))
