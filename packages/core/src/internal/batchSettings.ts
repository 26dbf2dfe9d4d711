import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { BatchOptions } from "../Batch.js"
import { Budget } from "../Budget.js"
import { InvalidOptionsError } from "../ClaudeError.js"

export interface Settings extends BatchOptions {
  readonly concurrency: number
  readonly readAhead: number
  readonly maxAhead: number
  readonly maxBudgetUsd: number
  readonly maxWait: Duration.Duration
}

/** What was asked for, with the defaults, and no more money than a budget gives to each batch. */
export const settingsOf = (options: BatchOptions): Effect.Effect<Settings, InvalidOptionsError> =>
  Effect.gen(function*() {
    const { concurrency = 5, maxBudgetUsd = Infinity, maxWait = Duration.infinity } = options
    yield* count("concurrency", concurrency)
    const { maxAhead = Math.max(100, concurrency), readAhead = concurrency } = options
    yield* count("readAhead", readAhead)
    yield* count("maxAhead", maxAhead)
    if (!(maxBudgetUsd > 0)) yield* refused("maxBudgetUsd", "it must be a number above 0")
    if (options.id !== undefined && (typeof options.id !== "string" || options.id.trim() === "")) {
      yield* refused("id", "it must be text, and not empty")
    }
    const wait = Duration.decodeUnknown(maxWait)
    if (Option.isNone(wait)) return yield* refused("maxWait", "it must be a duration")
    const budget = Option.getOrUndefined(yield* Effect.serviceOption(Budget))
    return {
      ...options,
      concurrency,
      readAhead,
      maxAhead,
      maxBudgetUsd: Math.min(maxBudgetUsd, budget?.limits.perBatchUsd ?? Infinity),
      maxWait: wait.value
    }
  })

// ---------------------------------------------------------------------------

const count = (field: string, value: number): Effect.Effect<void, InvalidOptionsError> =>
  value === Infinity || Number.isInteger(value) && value > 0
    ? Effect.void
    : refused(field, "it must be a whole number above 0")

const refused = (field: string, detail: string): Effect.Effect<never, InvalidOptionsError> =>
  Effect.fail(new InvalidOptionsError({ field, detail, hint: "See BatchOptions for what it takes." }))
