/**
 * Many prompts: so many at a time, each with an end of its own, as they come or in order.
 *
 * With an `id` and a `BatchRepository` in the context it is durable: killed at any moment and started again with the same
 * id and items, it gives the stored ends of what was finished, goes on with what was cut, and counts each paid call once.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Claude, ClaudeOptions, Prompt } from "./Claude.js"
import type { ClaudeError, InvalidOptionsError, SessionStoreError } from "./ClaudeError.js"
import * as engine from "./internal/batchEngine.js"
import type { Result, Usage } from "./Message.js"

/** One prompt of a batch. */
export interface BatchItem {
  /**
   * What it is called by `cancel`, and known by when a durable batch is started again. Different for each item. Default:
   * its place in the input and a hash of prompt and options, so that it holds as long as the input stays as it is. NUL and
   * halves of surrogate pairs, which no database can hold, become U+FFFD.
   */
  readonly key?: string | undefined
  readonly prompt: Prompt
  /** Over those of the batch. `timeout` and `maxBudgetUsd` are the item's own. */
  readonly options?: ClaudeOptions | undefined
  /** Higher comes first, among the items that have been read. Default: 0. */
  readonly priority?: number | undefined
}

/** How a batch is run. */
export interface BatchOptions {
  /** Items at once. Default: 5. */
  readonly concurrency?: number | undefined
  /** Ends in the order of the input. Default: as they come. */
  readonly ordered?: boolean | undefined
  /** How far ahead of the slowest item others may get where the ends are `ordered`. Default: 100, or `concurrency`. */
  readonly maxAhead?: number | undefined
  /**
   * Items that are read before they can begin: priorities count among these. Default: all of an array, which is there
   * anyway; of everything else as many as run at once.
   */
  readonly readAhead?: number | undefined
  /**
   * Over all items, earlier runs of a durable batch included. Once so much is spent nothing more begins: what runs is
   * finished, and all others end as cancelled, those that are still to be read too.
   */
  readonly maxBudgetUsd?: number | undefined
  /** Options of all items. */
  readonly options?: ClaudeOptions | undefined
  /**
   * How long an item waits where the subscription's window is used up, or the circuit breaker is open: what is down for a
   * while fails the items that find out, and not all the others. Default: `Infinity`, as long as it takes.
   */
  readonly maxWait?: Duration.DurationInput | undefined
  /** By which it shares processes with other callers. Default: a name of its own. */
  readonly caller?: string | undefined
  /** Makes it durable. Needs a `BatchRepository`. */
  readonly id?: string | undefined
  /**
   * Runs again what failed, or was cancelled by its key, before this run began. What another host has run meanwhile is
   * not. Default: gives its stored end.
   */
  readonly retryFailed?: boolean | undefined
  /** What a cut item's session is asked when it is resumed. */
  readonly continuePrompt?: string | undefined
  /**
   * What becomes of a cut item that had begun to act and whose session is gone. Default: `fail`, with
   * `SessionNotFoundError`; `rerun` sends its prompt again, and what it has done is done again.
   */
  readonly whenSessionIsGone?: "fail" | "rerun" | undefined
}

export type BatchOutcome =
  | { readonly _tag: "Completed"; readonly result: Result }
  | { readonly _tag: "Failed"; readonly error: ClaudeError }
  /** By its key, with all others, or because the batch's budget is spent. */
  | { readonly _tag: "Cancelled"; readonly reason: "item" | "all" | "budget" }

/** How an item ended. Each item that was read has one. */
export interface BatchEnd {
  /** Its place in the input, from 0. */
  readonly index: number
  readonly key: string
  readonly prompt: Prompt
  readonly outcome: BatchOutcome
  /** It was finished by an earlier run of the batch, or by another host. */
  readonly restored: boolean
  /** How often it was begun or gone on with, over all runs; 0 where it was cancelled before. */
  readonly attempts: number
  /** What was seen of its cost, over all attempts. */
  readonly costUsd: number
  readonly usage: Usage
  /** From its begin in this run until it ended. */
  readonly durationMs: number
}

/** How far it is. */
export interface BatchProgress {
  /** Unknown while the input is not at its end. */
  readonly total: number | undefined
  /** Read, and not begun. */
  readonly waiting: number
  readonly running: number
  readonly completed: number
  readonly failed: number
  readonly cancelled: number
  /** How many of those that have ended were ended by an earlier run. */
  readonly restored: number
  /** What has been spent, earlier runs of a durable batch included. */
  readonly costUsd: number
  /** UTC epoch milliseconds. */
  readonly startedAt: number
  /** The subscription's window is used up until then. UTC epoch milliseconds. */
  readonly parkedUntil: number | undefined
  /** Nothing more will change. */
  readonly done: boolean
}

/** A batch that runs until its input is at its end, or until its scope closes. */
export interface Batch<E = never> {
  /**
   * The end of each item, once; to be read by one reader. New work waits for a reader that is slow. Fails with what the
   * input or the store failed with, after everything that had been read has ended.
   */
  readonly ends: Stream.Stream<BatchEnd, E | SessionStoreError>
  /** The newest state, at once and whenever it has changed; ends with the batch. A slow reader misses what is between. */
  readonly progress: Stream.Stream<BatchProgress>
  /** Ends an item that waits or runs; its process is gone then. False where there is none, or it has ended otherwise. */
  readonly cancel: (key: string) => Effect.Effect<boolean>
  /** Ends all that wait or run, and reads no more. A durable batch can be started again: what ran is gone on with. */
  readonly cancelAll: Effect.Effect<void>
}

/** What can be run: prompts, or items with options of their own. Nothing of it is read before there is room for it. */
export type BatchInput<E = never, R = never> = Iterable<BatchItem | Prompt> | Stream.Stream<BatchItem | Prompt, E, R>

/** Begins at once. Closing the scope stops it: what runs is interrupted, and nothing is left behind. */
export const make: <E = never, R = never>(
  items: BatchInput<E, R>,
  options?: BatchOptions
) => Effect.Effect<Batch<E>, InvalidOptionsError | SessionStoreError, Claude | Scope.Scope | R> = engine.make

/** A batch for as long as its ends are read. */
export const run = <E = never, R = never>(
  items: BatchInput<E, R>,
  options?: BatchOptions
): Stream.Stream<BatchEnd, E | InvalidOptionsError | SessionStoreError, Claude | R> =>
  Stream.unwrapScoped(Effect.map(make(items, options), ({ ends }) => ends))
