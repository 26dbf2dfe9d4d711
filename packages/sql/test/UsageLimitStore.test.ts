import { layerStoreMemory, UsageLimitStore } from "@ccflow/core/UsageLimit"
import * as SqliteFile from "@ccflow/sql/SqliteFile"
import * as SqlUsageLimitStore from "@ccflow/sql/SqlUsageLimitStore"
import { suite } from "@ccflow/testing/UsageLimitStoreSuite"
import { SqlClient } from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { join } from "node:path"
import { because, folder, noPostgres, pgUrl, rawPg } from "./support.js"

const inFile = (path: string) => Layer.provide(SqlUsageLimitStore.layer, SqliteFile.layer({ path }))

const sqlite = Layer.unwrapScoped(Effect.map(folder, (path) => inFile(join(path, "sessions.db"))))

const postgres = Layer.unwrapScoped(
  Effect.map(
    Effect.flatMap(pgUrl, rawPg),
    (sql) => Layer.provide(SqlUsageLimitStore.layer, Layer.succeed(SqlClient, sql))
  )
)

const stores = [
  { name: "in memory", layer: layerStoreMemory, skip: undefined },
  { name: "in a SQLite file", layer: sqlite, skip: undefined },
  { name: `in PostgreSQL${because(noPostgres)}`, layer: postgres, skip: noPostgres }
]

for (const { layer, name, skip } of stores) {
  describe.skipIf(skip !== undefined)(`usage windows ${name}`, () => {
    for (const promise of suite) {
      it.effect(promise.name, () => Effect.provide(promise.run, layer as Layer.Layer<UsageLimitStore, unknown>))
    }
  })
}

it.scopedLive("usage windows are there for the next who opens the file, and for who has it open", () =>
  Effect.gen(function*() {
    const path = join(yield* folder, "sessions.db")
    const window = {
      account: "",
      limit: "five_hour",
      status: "rejected",
      resetsAt: 1_800_000_000_000,
      utilization: 1,
      overage: false,
      seenAt: 1_000
    }
    const [one, other] = yield* Effect.all([Layer.build(inFile(path)), Layer.build(inFile(path))])
    yield* Context.get(one, UsageLimitStore).save(window)
    assert.deepStrictEqual(yield* Context.get(other, UsageLimitStore).load, [window])
    assert.deepStrictEqual(
      yield* Effect.provide(Effect.flatMap(UsageLimitStore, (store) => store.load), inFile(path)),
      [window]
    )
  }))
