import * as Batch from "@ccflow/core/Batch"
import { Claude } from "@ccflow/core/Claude"
import type { ClaudeError } from "@ccflow/core/ClaudeError"
import type { Message, Result } from "@ccflow/core/Message"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { isReadonlyRecord } from "effect/Predicate"
import * as Stream from "effect/Stream"
import { Api, BatchBody, type BatchEndView, BatchItemBody, QueryBody } from "../HttpServiceApi.js"
import { answered, begin, either, Service } from "./serveContext.js"
import { answerOf, internalError, invalid, type ServiceError } from "./serveErrors.js"
import type { ServerEvent } from "./serveEvents.js"
import { checked, read } from "./serveOptions.js"

/** Queries and batches. @internal */
export const layer = HttpApiBuilder.group(
  Api,
  "queries",
  (handlers) =>
    Effect.map(Service, (service) => {
      const { claude } = service
      const query = Effect.gen(function*() {
        const { body: { prompt }, options } = yield* read(service.rules, QueryBody, yield* begin)
        return yield* messages(claude.query(prompt, options))
      })

      const batch = Effect.gen(function*() {
        const { concurrency, items, maxBudgetUsd } = yield* batchOf(yield* begin)
        const batch = yield* Effect.provideService(
          Batch.make(items, { concurrency, maxBudgetUsd, ordered: true, caller: "batch" }),
          Claude,
          claude
        )
        const ends: Array<BatchEndView> = []
        const ended = Stream.tap(Stream.mapEffect(batch.ends, viewOf), (end) => Effect.sync(() => ends.push(end)))
        const whole = Effect.sync(() => ({
          results: ends,
          costUsd: ends.reduce((sum, { costUsd }) => sum + costUsd, 0)
        }))
        const events = Stream.merge(
          Stream.map(ended, (data): ServerEvent => ({ event: "BatchEnd", data })),
          Stream.map(batch.progress, (data): ServerEvent => ({ event: "BatchProgress", data }))
        )
        return yield* either(
          Effect.zipRight(Stream.runDrain(ended), Effect.map(whole, (body) => HttpServerResponse.unsafeJson(body))),
          Stream.concat(
            events,
            Stream.fromEffect(Effect.map(whole, (data): ServerEvent => ({ event: "result", data })))
          )
        )
      })

      /** Each item is checked before any is begun. */
      const batchOf = (given: unknown) =>
        Effect.gen(function*() {
          const rules = service.rules
          const { options: shared, prompts, ...rest } = isReadonlyRecord(given)
            ? given
            : { prompts: undefined, options: undefined }
          if (!Array.isArray(prompts) || prompts.length === 0) return yield* invalid("prompts", "they must be a list")
          if (prompts.length > service.maxBatch) {
            return yield* invalid("prompts", `they must be ${service.maxBatch} at the most`, "Send them in parts.")
          }
          const { concurrency, maxBudgetUsd } = yield* checked(BatchBody.pick("concurrency", "maxBudgetUsd"), rest)
          const common = isReadonlyRecord(shared) ? shared : {}
          if (shared !== undefined && !isReadonlyRecord(shared)) {
            return yield* invalid("options", "they must be an object")
          }
          const items = yield* Effect.forEach(prompts, (item: unknown, index) =>
            Effect.map(
              read(
                rules,
                BatchItemBody,
                typeof item === "string"
                  ? { ...common, prompt: item }
                  : isReadonlyRecord(item)
                  ? { ...common, ...item }
                  : item,
                `prompts.${index}.`
              ),
              ({ body: { key, priority, prompt }, options }): Batch.BatchItem => ({ key, priority, prompt, options })
            ))
          return { concurrency: Math.min(concurrency ?? 5, 100), items, maxBudgetUsd }
        })

      return handlers
        .handleRaw("query", () => answered(Effect.provideService(query, Service, service)))
        .handleRaw("batch", () => answered(Effect.provideService(batch, Service, service)))
    })
)

/** The result of a run, or its messages as events. @internal */
export const messages = (stream: Stream.Stream<Message, ClaudeError>) => {
  let last: Result | undefined
  const seen = Stream.tap(stream, (message) =>
    Effect.sync(() => {
      if (message._tag === "Result" && message.origin === undefined) last = message
    }))
  const result: Effect.Effect<Result, ServiceError> = Effect.suspend(() =>
    last === undefined ? Effect.fail(internalError) : Effect.succeed(last)
  )
  return either(
    Effect.zipRight(Stream.runDrain(seen), Effect.map(result, (body) => HttpServerResponse.unsafeJson(body))),
    Stream.concat(
      Stream.map(seen, (message): ServerEvent => ({ event: message._tag, data: message })),
      Stream.map(Stream.fromEffect(result), (data): ServerEvent => ({ event: "result", data }))
    )
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
