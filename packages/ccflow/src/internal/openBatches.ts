import * as NodeSessionHolder from "@ccflow/node/NodeSessionHolder"
import * as SqlBatchRepository from "@ccflow/sql/SqlBatchRepository"
import * as Layer from "effect/Layer"
import type { File } from "./kept.js"

/** The batches in a file that is open. A module of its own: only who keeps batches loads it. */
export const batchesIn = (file: File) =>
  Layer.build(Layer.merge(Layer.provide(SqlBatchRepository.layer, Layer.succeedContext(file)), NodeSessionHolder.layer))
