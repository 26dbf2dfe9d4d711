/**
 * Durable records of batches. An item's record is stored before it runs and its end before anyone sees it, so that a
 * batch that was killed knows what was finished, what was cut, and what it has cost.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Prompt } from "./Claude.js"
import type { SessionStoreError } from "./ClaudeError.js"
import * as memory from "./internal/batchMemory.js"
import type { Usage } from "./Message.js"
import type { HolderIsAlive } from "./SessionLease.js"

/** An item of a batch, as it is kept. All times are UTC epoch milliseconds. */
export interface BatchRecord {
  readonly batchId: string
  readonly key: string
  /** Its place in the input when it was begun first. */
  readonly index: number
  readonly prompt: Prompt
  /** `running` is also what was cut: its holder is gone then, or its lease has run out. */
  readonly status: "running" | "completed" | "failed" | "cancelled"
  /** The CLI's session, to go on with. Empty while it is not known. */
  readonly sessionId: string
  /** An answer or a tool was seen: its prompt must not be sent again. */
  readonly committed: boolean
  /** How often it was begun or gone on with. */
  readonly attempts: number
  /** What was seen of the cost, over all attempts. */
  readonly costUsd: number
  readonly usage: Usage
  /** The `Result` of a completed item, as JSON; of a running one the answer, when it has come. */
  readonly result?: unknown
  /** The error of a failed item, as JSON. */
  readonly error?: unknown
  readonly startedAt: number
  readonly endedAt?: number
  /** Who runs it, or ran it last. */
  readonly holder: string
  /** Until when it is the holder's, if it runs. */
  readonly expiresAt: number
}

/** What is known of an item before it runs. */
export interface BatchClaim extends Pick<BatchRecord, "batchId" | "key" | "index" | "prompt" | "sessionId" | "holder"> {
  readonly ttl: Duration.DurationInput
  /** Ended items with these are begun anew, under the new session id; their cost stays. */
  readonly again?: ReadonlyArray<"failed" | "cancelled"> | undefined
  /** Not those that ended later: another run has had them meanwhile. UTC epoch milliseconds. Default: all. */
  readonly endedBy?: number | undefined
  /** Who is dead loses what he holds. Default: all are alive. */
  readonly holderIsAlive?: HolderIsAlive | undefined
}

/** `begun`: it is new, or begun anew. `cut`: gone on with. `ended` and `busy`: it is not to be run. */
export type BatchClaimed = { readonly _tag: "begun" | "cut" | "ended" | "busy"; readonly record: BatchRecord }

/** What was seen of a running item. What is left out stays as it is; money is the sum over all attempts. */
export type BatchSeen = Partial<Pick<BatchRecord, "sessionId" | "committed" | "costUsd" | "usage" | "result">>

/** How an item ended. */
export interface BatchItemEnd extends Pick<BatchRecord, "costUsd" | "usage" | "result" | "error"> {
  readonly status: "completed" | "failed" | "cancelled"
}

/** What a batch has come to: the sums of its records. */
export interface BatchTotals {
  readonly running: number
  readonly completed: number
  readonly failed: number
  readonly cancelled: number
  /** Of all, and of those that have ended. */
  readonly costUsd: number
  readonly endedCostUsd: number
  readonly usage: Usage
}

/** `next` is there when there is more: give it as `after`. */
export interface BatchPage {
  readonly items: ReadonlyArray<BatchRecord>
  readonly next?: string
}

/** What `BatchRepository` offers. `holder` is who has claimed the item: to anyone else a change answers `false`. */
export interface BatchRepositoryService {
  /** Stores an item as running, or takes over what was cut, unless it has ended or somebody else runs it. */
  readonly claim: (item: BatchClaim) => Effect.Effect<BatchClaimed, SessionStoreError>
  readonly seen: (
    batchId: string,
    key: string,
    holder: string,
    seen: BatchSeen
  ) => Effect.Effect<boolean, SessionStoreError>
  readonly end: (
    batchId: string,
    key: string,
    holder: string,
    end: BatchItemEnd
  ) => Effect.Effect<boolean, SessionStoreError>
  /** The next one who claims it goes on with it. */
  readonly release: (batchId: string, key: string, holder: string) => Effect.Effect<boolean, SessionStoreError>
  /** Keeps what the holder runs. Gives the keys of it: what is not among them was taken over. */
  readonly renew: (
    batchId: string,
    holder: string,
    ttl: Duration.DurationInput
  ) => Effect.Effect<ReadonlyArray<string>, SessionStoreError>
  readonly get: (batchId: string, key: string) => Effect.Effect<BatchRecord | undefined, SessionStoreError>
  /** By key. None for an unknown batch. Default: 100 at a time. */
  readonly list: (
    batchId: string,
    page?: { readonly after?: string | undefined; readonly limit?: number | undefined }
  ) => Effect.Effect<BatchPage, SessionStoreError>
  readonly totals: (batchId: string) => Effect.Effect<BatchTotals, SessionStoreError>
  /** With all its items. False when there are none. */
  readonly delete: (batchId: string) => Effect.Effect<boolean, SessionStoreError>
}

export class BatchRepository
  extends Context.Tag("@ccflow/core/BatchRepository")<BatchRepository, BatchRepositoryService>()
{}

/** Records that live as long as the layer. */
export const layerMemory: Layer.Layer<BatchRepository> = Layer.effect(BatchRepository, memory.make)
