/** Many prompts as one promise: a few at a time, each with an end of its own. */
import * as Core from "@ccflow/core/Batch"
import type { Prompt } from "@ccflow/core/Claude"
import { BudgetExceededError, type CCFlowError, CliExitError, type InvalidOptionsError } from "@ccflow/core/ClaudeError"
import type { Result } from "@ccflow/core/Message"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { QueryOptions } from "./Client.js"
import * as Decisions from "./Decisions.js"
import { following } from "./internal/abort.js"
import { invalidOption } from "./internal/invalidOption.js"
import { Records } from "./internal/records.js"
import * as Owner from "./Owner.js"

/** A prompt with options of its own. */
export interface BatchItem {
  readonly prompt: Prompt
  /** By which a batch with an `id` knows it again. Different for each. Default: its place and a hash of it. */
  readonly key?: string | undefined
  /** Over those of the batch; `timeout` and `maxBudgetUsd` are this prompt's alone. */
  readonly options?: Omit<QueryOptions, "priority" | "signal"> | undefined
  /** Higher comes first. Default: 0. */
  readonly priority?: number | undefined
}

export interface BatchOptions extends Omit<QueryOptions, "priority"> {
  /** Prompts at once. Default: 5. */
  readonly concurrency?: number | undefined
  /** Called as each prompt ends. What it throws becomes a warning and stops nothing. */
  readonly onProgress?: ((progress: BatchProgress) => void) | undefined
  /** `onProgress` is told in the order of the input. Default: as prompts end. */
  readonly ordered?: boolean | undefined
  /**
   * Over all prompts. Once so much is spent nothing more begins: what runs is finished, and the others have a
   * `BudgetExceededError`. That of one prompt is among its own options.
   */
  readonly maxBudgetUsd?: number | undefined
  /**
   * Makes it durable, in the client's `storagePath`: killed at any moment and started again with the same id and prompts
   * it runs what is missing, goes on with what was cut, and asks nothing again that was answered.
   */
  readonly id?: string | undefined
  /** Of a batch with an `id`: runs again what has failed in an earlier run. Default: it fails as it did. */
  readonly retryFailed?: boolean | undefined
}

export interface BatchProgress {
  /** Prompts that have ended, however they did. */
  readonly completed: number
  /** Those of them that have an error. */
  readonly failed: number
  readonly total: number
  /** What they have cost together. */
  readonly costUsd: number
  readonly latest: BatchResult
}

/** One prompt's end: a result or an error. */
export interface BatchResult {
  readonly index: number
  readonly prompt: Prompt
  readonly key: string
  /** What was seen of it, also where it failed; in a batch with an `id` over all attempts. */
  readonly costUsd: number
  readonly result?: Result
  readonly error?: CCFlowError
}

/** What a batch may be asked. */
export type BatchPrompts = ReadonlyArray<Prompt | BatchItem>

/** The batches of this owner. */
export const make = (owner: Owner.Owner) => (prompts: BatchPrompts, options: BatchOptions = {}) =>
  following(options, async (own): Promise<Array<BatchResult>> => {
    const { concurrency, id, maxBudgetUsd, onProgress, ordered, retryFailed, signal, ...shared } = options
    if (!Array.isArray(prompts)) throw noList
    const results: Array<BatchResult> = []
    const sums = { completed: 0, failed: 0, total: prompts.length, costUsd: 0 }

    const take = (end: Core.BatchEnd) => {
      const latest = resultOf(end)
      results[latest.index] = latest
      sums.completed++
      if (latest.error !== undefined) sums.failed++
      sums.costUsd += latest.costUsd
      tell(onProgress, { ...sums, latest })
    }
    const run = Effect.gen(function*() {
      const items = yield* Effect.forEach(prompts, itemOf)
      const ends = Core.run(items, {
        concurrency,
        ordered,
        maxBudgetUsd,
        options: yield* Decisions.resolve(shared),
        ...(id === undefined ? {} : { id, retryFailed })
      })
      yield* Stream.runForEach(ends, (end) => Effect.sync(() => take(end)))
    })

    const running = Owner.valueOf(owner.run(id === undefined ? run : durably(run), own))
    const closable: Owner.Closable = {
      close: () => {
        own.abort()
        return running.catch(() => {})
      }
    }
    owner.open.add(closable)
    try {
      await running
      return results
    } finally {
      owner.open.delete(closable)
    }
  })

// ---------------------------------------------------------------------------

const durably = <A, E, R>(run: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const records = yield* Effect.flatMap(Records, ({ batches }) => batches)
    return yield* records === undefined ? keepsNone : Effect.provide(run, records)
  })

/** Of a text each letter would be asked. */
const noList = invalidOption("prompts", "they must be a list", "Give an array, also of one prompt.")

const keepsNone = invalidOption(
  "id",
  "this client keeps no batches",
  "Give createClient a storagePath, or set CCFLOW_SESSION_STORAGE_PATH; or leave the id out."
)

const itemOf = (given: Prompt | BatchItem): Effect.Effect<Prompt | Core.BatchItem, InvalidOptionsError> => {
  if (!isItem(given)) return Effect.succeed(given)
  const { options = {}, ...item } = given
  return Effect.map(Decisions.resolve(options), (options) => ({ ...item, options }))
}

const isItem = (given: Prompt | BatchItem): given is BatchItem => typeof given === "object" && !Array.isArray(given)

const resultOf = ({ costUsd, index, key, outcome, prompt }: Core.BatchEnd): BatchResult => {
  const end = { index, prompt, key, costUsd }
  switch (outcome._tag) {
    case "Completed":
      return { ...end, result: outcome.result }
    case "Failed":
      return { ...end, error: outcome.error }
    case "Cancelled":
      return { ...end, error: outcome.reason === "budget" ? overBudget(costUsd) : cancelled }
  }
}

const nothing = { exitCode: null, signal: null, argv: [], stderrTail: "", sessionId: "", frames: 0 }

const overBudget = (spentUsd: number) =>
  new BudgetExceededError({
    scope: "batch",
    spentUsd,
    facts: nothing,
    hint: "It was not begun: give the batch a higher maxBudgetUsd."
  })

const cancelled = new CliExitError({
  reason: "Interrupted",
  detail: "this prompt was cancelled",
  facts: nothing,
  hint: "In a batch with an id, retryFailed asks it again."
})

const tell = (onProgress: BatchOptions["onProgress"], progress: BatchProgress): void => {
  try {
    onProgress?.(progress)
  } catch (error) {
    process.emitWarning(`onProgress threw: ${error instanceof Error ? error.message : String(error)}`, "CCFlowWarning")
  }
}
