import { SessionRepository } from "@ccflow/core/SessionRepository"
import { layerMemory, type UsageEntry, UsageLedger } from "@ccflow/core/UsageLedger"
import * as SqliteFile from "@ccflow/sql/SqliteFile"
import * as SqlSessionRepository from "@ccflow/sql/SqlSessionRepository"
import * as SqlUsageLedger from "@ccflow/sql/SqlUsageLedger"
import { suite } from "@ccflow/testing/UsageLedgerSuite"
import { SqlClient } from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { join } from "node:path"
import { because, folder, noPostgres, pgUrl, rawPg, session } from "./support.js"

const both = Layer.merge(SqlUsageLedger.layer, SqlSessionRepository.layer)

const inFile = (path: string) => Layer.provide(both, SqliteFile.layer({ path }))

const sqlite = Layer.unwrapScoped(Effect.map(folder, (path) => inFile(join(path, "sessions.db"))))

const postgres = Layer.unwrapScoped(
  Effect.map(Effect.flatMap(pgUrl, rawPg), (sql) => Layer.provide(both, Layer.succeed(SqlClient, sql)))
)

const databases = [
  { name: "in a SQLite file", layer: sqlite, skip: undefined },
  { name: `in PostgreSQL${because(noPostgres)}`, layer: postgres, skip: noPostgres }
]

const entry = (entryId: string, fields: Partial<UsageEntry> = {}): UsageEntry => ({
  entryId,
  at: 1_000,
  basis: "reported",
  model: "m",
  usage: undefined,
  costUsd: 1,
  listUsd: undefined,
  sessionId: "s",
  callId: "",
  turnId: undefined,
  batchId: undefined,
  tags: [],
  apiKeySource: "",
  ...fields
})

describe("the ledger in memory", () => {
  for (const { name, run } of suite) it.effect(name, () => Effect.provide(run, layerMemory))
})

for (const { layer, name, skip } of databases) {
  describe.skipIf(skip !== undefined)(`the ledger ${name}`, () => {
    const provided = <A, E>(use: Effect.Effect<A, E, UsageLedger | SessionRepository>) =>
      Effect.provide(use, layer as Layer.Layer<UsageLedger | SessionRepository, unknown>)

    for (const { name, run } of suite) it.effect(name, () => provided(run))

    it.effect("an entry has its session's tags beside its own, each once, and keeps them when that is deleted", () =>
      provided(Effect.gen(function*() {
        const ledger = yield* UsageLedger
        const sessions = yield* SessionRepository
        yield* sessions.save(session("s", { tags: ["both", "session"] }))
        yield* sessions.save(session("t", { tags: ["session"] }))
        yield* ledger.book([
          entry("a", { tags: ["both", "own"] }),
          entry("b", { costUsd: 2 }),
          entry("c", { costUsd: 4, sessionId: "t" }),
          entry("d", { costUsd: 8, sessionId: "unknown" }),
          entry("e", { costUsd: 16, sessionId: "" })
        ])
        const cost = Effect.map(ledger.by("tag"), (groups) => groups.map(({ costUsd, key }) => [key, costUsd]))
        assert.deepStrictEqual(yield* cost, [["", 24], ["session", 7], ["both", 3], ["own", 1]])
        assert.strictEqual((yield* ledger.total({ tag: "both" })).costUsd, 3)
        assert.strictEqual((yield* ledger.total({ tag: "session" })).costUsd, 7)
        yield* sessions.addTags("s", ["later"])
        yield* sessions.removeTags("s", ["both"])
        assert.deepStrictEqual(yield* cost, [["", 24], ["session", 7], ["later", 3], ["both", 1], ["own", 1]])
        // What was spent stays booked.
        yield* sessions.delete("s")
        assert.deepStrictEqual(yield* cost, [["", 24], ["session", 7], ["later", 3], ["both", 1], ["own", 1]])
        assert.strictEqual((yield* ledger.total()).costUsd, 31)
        assert.strictEqual((yield* ledger.total({ tag: "later" })).costUsd, 3)
        yield* sessions.save(session("s", { tags: ["again"] }))
        assert.strictEqual((yield* ledger.total({ tag: "later" })).costUsd, 3)
        assert.strictEqual((yield* ledger.total({ tag: "again" })).costUsd, 3)
      })))

    it.effect("more entries than one statement takes are booked together, and those that a database cannot hold", () =>
      provided(Effect.gen(function*() {
        const ledger = yield* UsageLedger
        yield* ledger.book(Array.from({ length: 1_203 }, (_, n) => entry(`${n}`, { tags: ["a", "b"] })))
        assert.deepInclude(yield* ledger.total({ tag: "b" }), { entries: 1_203, costUsd: 1_203 })
        const odd = entry("odd \0", { model: "\0m", tags: ["\ud800", "\0"], costUsd: NaN, at: 2_000.5 })
        yield* ledger.book([odd])
        yield* ledger.book([odd])
        const { entries } = yield* ledger.entries({ tag: "\0" })
        const kept = { entryId: "odd \ufffd", model: "\ufffdm", tags: ["\ufffd"], costUsd: undefined, at: 2_000 }
        assert.deepStrictEqual(entries, [entry("", { ...odd, ...kept })])
        assert.strictEqual((yield* ledger.total({ model: "\0m" })).unpriced, 1)
      })))
  })
}
