import { EventLog } from "@ccflow/core/EventLog"
import { SessionRepository } from "@ccflow/core/SessionRepository"
import * as SqlEventLog from "@ccflow/sql/SqlEventLog"
import * as SqliteFile from "@ccflow/sql/SqliteFile"
import * as SqlSessionRepository from "@ccflow/sql/SqlSessionRepository"
import { suite } from "@ccflow/testing/EventLogSuite"
import { SqlClient } from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { join } from "node:path"
import { because, folder, noPostgres, pgUrl, rawPg } from "./support.js"

const inFile = (path: string) =>
  Layer.merge(SqlEventLog.layer, SqlSessionRepository.layer).pipe(Layer.provide(SqliteFile.layer({ path })))

const sqlite: Layer.Layer<EventLog, unknown> = Layer.unwrapScoped(
  Effect.map(folder, (path) => inFile(join(path, "sessions.db")))
)

const postgres: Layer.Layer<EventLog, unknown> = SqlEventLog.layer.pipe(
  Layer.provide(Layer.scoped(SqlClient, Effect.flatMap(pgUrl, rawPg)))
)

describe("the event log in a SQLite file", () => {
  for (const { name, run } of suite) it.effect(name, () => Effect.provide(run, sqlite))

  it.scopedLive("is kept when the program ends, beside the sessions", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "sessions.db")
      const event = { _tag: "Queued", at: 1_000, callId: "c", waitedMs: 5 } as const
      yield* Effect.provide(Effect.flatMap(EventLog, ({ append }) => append([event])), inFile(path))
      const found = yield* Effect.all([
        Effect.flatMap(EventLog, ({ read }) => read()),
        Effect.flatMap(SessionRepository, ({ count }) => count())
      ]).pipe(Effect.provide(inFile(path)))
      assert.deepStrictEqual(found, [{ events: [event] }, 0])
    }))
})

describe.skipIf(noPostgres !== undefined)(
  `the event log in PostgreSQL${because(noPostgres)}`,
  () => {
    for (const { name, run } of suite) it.effect(name, () => Effect.provide(run, postgres))
  }
)
