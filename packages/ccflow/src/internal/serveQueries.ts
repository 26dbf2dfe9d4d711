import * as Batch from "@ccflow/core/Batch"
import { Claude } from "@ccflow/core/Claude"
import type { ClaudeError } from "@ccflow/core/ClaudeError"
import type { Message, Result } from "@ccflow/core/Message"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { isReadonlyRecord } from "effect/Predicate"
import * as Stream from "effect/Stream"
import { Api, BatchBody, type BatchEndView, BatchItemBody, QueryBody } from "../HttpServiceApi.js"
import { answered, begin, either, Service } from "./serveContext.js"
import { answerOf, internalError, invalid } from "./serveErrors.js"
import type { ServerEvent } from "./serveEvents.js"
import { checked, read } from "./serveOptions.js"

/** Queries and batches. */
export const layer = HttpApiBuilder.group(Api, "queries", (handlers) =>
  Effect.gen(function*() {
    const claude = yield* Claude
    const { maxBatch, rules } = yield* Service

    const query = Effect.gen(function*() {
      const { body: { prompt }, options } = yield* read(rules, QueryBody, yield* begin)
      return yield* messages(claude.query(prompt, options))
    })

    const batch = Effect.gen(function*() {
      const { concurrency, items, maxBudgetUsd } = yield* batchOf(yield* begin)
      const batch = yield* Batch.make(items, { concurrency, maxBudgetUsd, ordered: true, caller: "batch" })
      const results: Array<BatchEndView> = []
      const events = Stream.merge(
        Stream.mapEffect(batch.ends, (end) =>
          Effect.map(viewOf(end), (data): ServerEvent => {
            results.push(data)
            return { event: "BatchEnd", data }
          })),
        Stream.map(batch.progress, (data): ServerEvent => ({ event: "BatchProgress", data }))
      )
      return yield* either(
        events,
        Effect.sync(() => ({ results, costUsd: results.reduce((sum, { costUsd }) => sum + costUsd, 0) }))
      )
    })

    /** Each item is checked before any is begun. */
    const batchOf = (given: unknown) =>
      Effect.gen(function*() {
        const { options: shared = {}, prompts, ...rest } = isReadonlyRecord(given) ? given : {}
        if (!Array.isArray(prompts) || prompts.length === 0) return yield* invalid("prompts", "they must be a list")
        if (prompts.length > maxBatch) {
          return yield* invalid("prompts", `they must be ${maxBatch} at the most`, "Send them in parts.")
        }
        const { concurrency, maxBudgetUsd } = yield* checked(BatchBody.pick("concurrency", "maxBudgetUsd"), rest)
        if (!isReadonlyRecord(shared)) return yield* invalid("options", "they must be an object")
        const items = yield* Effect.forEach(prompts, (item: unknown, index) => {
          const own = typeof item === "string" ? { prompt: item } : item
          return Effect.map(
            read(rules, BatchItemBody, isReadonlyRecord(own) ? { ...shared, ...own } : own, `prompts.${index}.`),
            ({ body: { key, priority, prompt }, options }): Batch.BatchItem => ({ key, priority, prompt, options })
          )
        })
        return { concurrency: Math.min(concurrency ?? 5, 100), items, maxBudgetUsd }
      })

    return handlers
      .handleRaw("query", () => answered(query))
      .handleRaw("batch", () => answered(batch))
  }))

/** The result of a run, or its messages as events. */
export const messages = (stream: Stream.Stream<Message, ClaudeError>) => {
  let last: Result | undefined
  return either(
    Stream.map(stream, (message): ServerEvent => {
      if (message._tag === "Result" && message.origin === undefined) last = message
      return { event: message._tag, data: message }
    }),
    Effect.suspend(() => last === undefined ? internalError : Effect.succeed(last))
  )
}

// ---------------------------------------------------------------------------

const viewOf = ({ costUsd, durationMs, index, key, outcome }: Batch.BatchEnd): Effect.Effect<BatchEndView> =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    const common = { index, key, costUsd, durationMs }
    switch (outcome._tag) {
      case "Completed":
        return { ...common, status: "completed" as const, result: outcome.result }
      case "Failed":
        return { ...common, status: "failed" as const, error: answerOf(outcome.error, now).body.error }
      case "Cancelled":
        return { ...common, status: "cancelled" as const }
    }
  })
