import * as Batch from "@ccflow/core/Batch"
import { BatchRepository } from "@ccflow/core/BatchRepository"
import { SessionRepository } from "@ccflow/core/SessionRepository"
import * as SqlBatchRepository from "@ccflow/sql/SqlBatchRepository"
import * as SqliteFile from "@ccflow/sql/SqliteFile"
import * as SqlSessionRepository from "@ccflow/sql/SqlSessionRepository"
import { suite } from "@ccflow/testing/BatchRepositorySuite"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { SqlClient } from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream, TestClock } from "effect"
import { join } from "node:path"
import { because, folder, noPostgres, pgUrl, rawPg } from "./support.js"

const sqlite: Layer.Layer<BatchRepository, unknown> = Layer.unwrapScoped(
  Effect.map(
    folder,
    (path) => Layer.provide(SqlBatchRepository.layer, SqliteFile.layer({ path: join(path, "sessions.db") }))
  )
)

const postgres: Layer.Layer<BatchRepository, unknown> = SqlBatchRepository.layer.pipe(
  Layer.provide(Layer.scoped(SqlClient, Effect.flatMap(pgUrl, rawPg)))
)

const notMeanwhile = Effect.gen(function*() {
  const { claim, end } = yield* BatchRepository
  const item = { batchId: "b", key: "a", index: 0, prompt: "p", sessionId: "s", holder: "me", ttl: 1_000 }
  const usage = { inputTokens: 0, outputTokens: 0, cacheReadInputTokens: 0, cacheCreationInputTokens: 0 }
  yield* claim(item)
  yield* TestClock.adjust(100)
  yield* end("b", "a", "me", { status: "failed", costUsd: 0, usage, error: "why" })
  const by = (endedBy?: number) => Effect.map(claim({ ...item, again: ["failed"], endedBy }), ({ _tag }) => _tag)
  assert.deepStrictEqual([yield* by(99), yield* by(100)], ["ended", "begun"])
  yield* end("b", "a", "me", { status: "failed", costUsd: 0, usage, error: "why" })
  assert.strictEqual(yield* by(), "begun")
})

const listed = Effect.gen(function*() {
  const { claim, list } = yield* BatchRepository
  const item = { batchId: "b", index: 0, prompt: "p", sessionId: "s", holder: "me", ttl: 1_000 }
  for (const key of ["", "a"]) yield* claim({ ...item, key })
  const keys = (after?: string) => Effect.map(list("b", { after }), ({ items }) => items.map(({ key }) => key))
  assert.deepStrictEqual([yield* keys(), yield* keys("")], [["", "a"], ["a"]])
})

describe("batches in a SQLite file", () => {
  for (const { name, run } of suite) it.effect(name, () => Effect.provide(run, sqlite))

  it.effect("what failed later than a run began is not begun anew by it", () => Effect.provide(notMeanwhile, sqlite))

  it.effect("an item without a name is listed, too", () => Effect.provide(listed, sqlite))

  it.effect("an item is asked once, also when its key is one that no database can hold", () =>
    Effect.gen(function*() {
      const ends = yield* Effect.fork(
        Stream.runCollect(Batch.run([{ key: "a\ud800\0", prompt: "take a minute" }], { id: "b" }))
      )
      yield* TestClock.adjust("2 minutes")
      const told = [...yield* Fiber.join(ends)].map(({ attempts, key, outcome }) => [key, outcome._tag, attempts])
      assert.deepStrictEqual(told, [["a\ufffd\ufffd", "Completed", 1]])
    }).pipe(
      Effect.provide(Layer.merge(
        sqlite,
        FakeClaude.layer({ respond: () => [FakeCli.init(), FakeCli.delay(60_000), ...FakeCli.answer("done").slice(1)] })
      ))
    ))

  it.scopedLive("are kept when the program ends, beside the sessions", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "sessions.db")
      const both = Layer.merge(SqlBatchRepository.layer, SqlSessionRepository.layer).pipe(
        Layer.provide(SqliteFile.layer({ path }))
      )
      const claimed = yield* Effect.flatMap(BatchRepository, (repository) =>
        repository.claim({ batchId: "b", key: "a", index: 0, prompt: "p", sessionId: "s", holder: "me", ttl: 0 })).pipe(
          Effect.provide(both)
        )
      const found = yield* Effect.all([
        Effect.flatMap(BatchRepository, (repository) =>
          repository.get("b", "a")),
        Effect.flatMap(SessionRepository, (repository) =>
          repository.count())
      ]).pipe(Effect.provide(both))
      assert.deepStrictEqual(found, [claimed.record, 0])
    }))
})

describe.skipIf(noPostgres !== undefined)(
  `batches in PostgreSQL${because(noPostgres)}`,
  () => {
    for (const { name, run } of suite) it.effect(name, () => Effect.provide(run, postgres))

    it.effect("what failed later than a run began is not begun anew by it", () =>
      Effect.provide(notMeanwhile, postgres))
  }
)
