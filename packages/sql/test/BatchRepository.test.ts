import { BatchRepository } from "@ccflow/core/BatchRepository"
import { SessionRepository } from "@ccflow/core/SessionRepository"
import * as SqlBatchRepository from "@ccflow/sql/SqlBatchRepository"
import * as SqliteFile from "@ccflow/sql/SqliteFile"
import * as SqlSessionRepository from "@ccflow/sql/SqlSessionRepository"
import { suite } from "@ccflow/testing/BatchRepositorySuite"
import { SqlClient } from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
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

describe("batches in a SQLite file", () => {
  for (const { name, run } of suite) it.effect(name, () => Effect.provide(run, sqlite))

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
  }
)
