import { BatchRepository } from "@ccflow/core/BatchRepository"
import { EventLog, type LoggedEvent } from "@ccflow/core/EventLog"
import { SessionRepository } from "@ccflow/core/SessionRepository"
import { type UsageEntry, UsageLedger } from "@ccflow/core/UsageLedger"
import { UsageLimitStore } from "@ccflow/core/UsageLimit"
import * as PgSessionRepository from "@ccflow/sql/PgSessionRepository"
import * as SqlBatchRepository from "@ccflow/sql/SqlBatchRepository"
import * as SqlEventLog from "@ccflow/sql/SqlEventLog"
import * as SqliteSessionRepository from "@ccflow/sql/SqliteSessionRepository"
import * as SqlUsageLedger from "@ccflow/sql/SqlUsageLedger"
import * as SqlUsageLimitStore from "@ccflow/sql/SqlUsageLimitStore"
import { SqlClient } from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { currentVersion, migrate, type Migrations, migrations } from "../src/internal/migrations.js"
import * as Store from "../src/internal/store.js"
import { because, folder, inFile, noPostgres, pgUrl, rawFile, rawPg, session } from "./support.js"

const dumped = (version: Version, database: "sqlite" | "pg") =>
  readFileSync(new URL(`fixtures/schema-000${version}.${database}.sql`, import.meta.url), "utf8")
    .replace(/^--.*\n/, "")
    .split(/;\n/)
    .filter((statement) => statement.trim() !== "")

/** A store as this version left it. */
const left = {
  sqlite: (version: Version) =>
    Effect.gen(function*() {
      const path = join(yield* folder, "sessions.db")
      const sql = yield* rawFile(path)
      yield* Effect.forEach(dumped(version, "sqlite"), (statement) => sql.unsafe(statement))
      return { sql, layer: SqliteSessionRepository.layer({ path }) }
    }),
  pg: (version: Version) =>
    Effect.gen(function*() {
      const url = yield* pgUrl
      const sql = yield* rawPg(url)
      yield* Effect.forEach(dumped(version, "pg"), (statement) => sql.unsafe(statement))
      return { sql, layer: PgSessionRepository.layerUrl(url) }
    })
}

/** The versions of which there is a dump. */
const versions = [1, 3, 5] as const
type Version = typeof versions[number]

const first = "11111111-1111-4111-8111-111111111111"
const answered = "33333333-3333-4333-8333-333333333333"

/** All that was in it, through today's repository. */
const isIntact = Effect.gen(function*() {
  const repository = yield* SessionRepository
  const { sessions } = yield* repository.list({ orderBy: "createdAt", descending: false })
  assert.deepStrictEqual(sessions, [
    session(first, {
      title: "Fix the tests",
      model: "opus",
      cwd: "/home/user/project",
      tags: ["ci", "urgent"],
      createdAt: 1700000000000,
      updatedAt: 1700000004000,
      turnCount: 1,
      usage: { inputTokens: 10, outputTokens: 20, cacheReadInputTokens: 30, cacheCreationInputTokens: 40 },
      costUsd: 0.25,
      durationMs: 1500,
      options: { model: "opus", maxTurns: 3 },
      cliVersion: "2.1.330"
    }),
    session("22222222-2222-4222-8222-222222222222", {
      parentId: first,
      status: "closed",
      title: "Ärger",
      cwd: "/home/user/project",
      createdAt: 1700000001000,
      updatedAt: 1700000001000
    })
  ])
  const holder = "4711@host#1700000000"
  assert.deepStrictEqual((yield* repository.turns(first)).turns, [
    {
      turnId: answered,
      sessionId: first,
      index: 0,
      prompt: "Why does CI fail?",
      status: "completed",
      startedAt: 1700000002000,
      endedAt: 1700000003500,
      result: "It is flaky.",
      seen: "It is",
      stopReason: "end_turn",
      usage: { inputTokens: 10, outputTokens: 20, cacheReadInputTokens: 30, cacheCreationInputTokens: 40 },
      costUsd: 0.25,
      numTurns: 1,
      holder
    },
    {
      turnId: "44444444-4444-4444-8444-444444444444",
      sessionId: first,
      index: 1,
      prompt: [{ type: "text", text: "Then mend it" }],
      status: "running",
      startedAt: 1700000004000,
      seen: "Let me",
      holder
    }
  ])
  assert.deepStrictEqual((yield* repository.messages(answered)).messages, [
    { type: "system", subtype: "init" },
    { type: "result", result: "It is flaky." }
  ])
  assert.strictEqual(yield* repository.count({ search: "ÄRGER" }), 1)
  assert.strictEqual(yield* repository.count({ search: "does ci" }), 1)
  assert.strictEqual(yield* repository.count({ tags: ["urgent"] }), 1)
})

/** And it goes on from there. */
const goesOn = Effect.gen(function*() {
  const repository = yield* SessionRepository
  const cut = yield* repository.recover(() => true)
  assert.deepStrictEqual(cut.map(({ index, seen, status }) => [index, seen, status]), [[1, "Let me", "cut"]])
  yield* repository.beginTurn({ turnId: "t", sessionId: first, prompt: "hi", holder: "me" })
  assert.isTrue(yield* repository.appendMessages("t", ["new"]))
  assert.isTrue(yield* repository.endTurn("t", { status: "completed" }))
  assert.strictEqual(Option.getOrThrow(yield* repository.get(first)).turnCount, 2)
})

const newest = Object.keys(migrations).length

const later = (step: number, name: string) => `${String(newest + step).padStart(4, "0")}_${name}`

/** A version that is still to come. */
const next: Migrations = {
  ...migrations,
  [later(1, "starred")]: (sql) =>
    Effect.zipRight(
      sql`ALTER TABLE ccflow_sessions ADD COLUMN starred BIGINT NOT NULL DEFAULT 0`,
      sql`UPDATE ccflow_sessions SET starred = 1 WHERE status = 'open'`
    )
}

const broken: Migrations = {
  ...next,
  [later(2, "broken")]: (sql) =>
    Effect.zipRight(
      sql`ALTER TABLE ccflow_sessions ADD COLUMN half BIGINT`,
      Effect.fail(new SqlError({ message: "no", cause: new Error("no") }))
    )
}

/** What version 3 knew besides. */
const batchesAreIntact = Effect.gen(function*() {
  const batches = yield* BatchRepository
  assert.deepStrictEqual((yield* batches.list("nightly")).items, [{
    batchId: "nightly",
    key: "k1",
    index: 0,
    prompt: "Summarize it",
    status: "completed",
    sessionId: "55555555-5555-4555-8555-555555555555",
    committed: true,
    attempts: 2,
    costUsd: 0.125,
    usage: { inputTokens: 10, outputTokens: 20, cacheReadInputTokens: 30, cacheCreationInputTokens: 40 },
    result: { result: "Short." },
    startedAt: 1700000005000,
    endedAt: 1700000006000,
    holder: "4711@host#1700000000",
    expiresAt: 1700000035000
  }])
  assert.deepStrictEqual(yield* Effect.flatMap(UsageLimitStore, ({ load }) => load), [{
    account: "",
    limit: "five_hour",
    status: "allowed_warning",
    resetsAt: 1700010000000,
    utilization: 0.75,
    overage: false,
    seenAt: 1700000006000
  }])
})

const callId = "66666666-6666-4666-8666-666666666666"

const used: UsageEntry = {
  entryId: "e1",
  at: 1700000003000,
  basis: "reported",
  model: "claude-opus-4-8",
  usage: {
    inputTokens: 10,
    outputTokens: 20,
    cacheReadInputTokens: 30,
    cacheCreationInputTokens: 40,
    webSearchRequests: 1
  },
  costUsd: 0.25,
  listUsd: 0.5,
  sessionId: first,
  callId,
  turnId: answered,
  batchId: undefined,
  tags: ["own"],
  apiKeySource: "none"
}

/** What version 5 knew besides. */
const booksAreIntact = Effect.gen(function*() {
  const unknown: UsageEntry = {
    ...used,
    entryId: "e2",
    at: 1700000006000,
    basis: "estimated",
    model: "haiku",
    usage: undefined,
    costUsd: undefined,
    listUsd: undefined,
    sessionId: "55555555-5555-4555-8555-555555555555",
    callId: "",
    turnId: undefined,
    batchId: "nightly",
    tags: [],
    apiKeySource: ""
  }
  const ledger = yield* UsageLedger
  assert.deepStrictEqual((yield* ledger.entries()).entries, [used, unknown])
  const common = { callId, sessionId: first }
  const started: LoggedEvent = { _tag: "TurnStarted", at: 1700000002000, ...common, model: "opus", turnNumber: 1 }
  const completed: LoggedEvent = {
    _tag: "TurnCompleted",
    at: 1700000003500,
    ...common,
    model: "claude-opus-4-8",
    turnNumber: 1,
    outcome: "success",
    durationMs: 1500,
    firstMessageMs: 200
  }
  const log = yield* EventLog
  assert.deepStrictEqual((yield* log.read({ callId })).events, [started, completed])
  yield* log.append([started])
  assert.deepStrictEqual((yield* log.read()).events, [started, started, completed])
})

/** What the ledger makes of the tags of sessions that were there before it. */
const booksBeside = (before: ReadonlyArray<readonly [string, number]>, after: typeof before) =>
  Effect.gen(function*() {
    const ledger = yield* UsageLedger
    const byTag = Effect.map(ledger.by("tag"), (groups) => groups.map(({ costUsd, key }) => [key, costUsd] as const))
    assert.deepStrictEqual(yield* byTag, before)
    yield* ledger.book([{ ...used, entryId: "e", costUsd: 0.5, tags: [] }])
    assert.deepStrictEqual(yield* byTag, after)
  })

const databases = [
  { name: "SQLite", made: left.sqlite, skip: undefined },
  { name: `PostgreSQL${because(noPostgres)}`, made: left.pg, skip: noPostgres }
]

for (const { made, name, skip } of databases) {
  for (const version of versions) {
    describe.skipIf(skip !== undefined)(`a store that version ${version} left in ${name}`, () => {
      it.scopedLive("is read as it was, and goes on", () =>
        Effect.gen(function*() {
          const { layer } = yield* made(version)
          const opened = <A, E>(use: Effect.Effect<A, E, SessionRepository>) =>
            Effect.provide(use, layer as Layer.Layer<SessionRepository, unknown>)
          yield* opened(isIntact)
          yield* opened(Effect.zipRight(isIntact, goesOn))
        }))

      it.scopedLive("has its batches, windows, books and events, where it had them, and books beside them", () =>
        Effect.gen(function*() {
          const { sql } = yield* made(version)
          const intact = Effect.gen(function*() {
            if (version >= 3) yield* batchesAreIntact
            if (version >= 5) yield* booksAreIntact
            yield* version >= 5
              ? booksBeside([["ci", 0.25], ["own", 0.25], ["urgent", 0.25], ["", 0]], [
                ["ci", 0.75],
                ["urgent", 0.75],
                ["own", 0.25],
                ["", 0]
              ])
              : booksBeside([], [["ci", 0.5], ["urgent", 0.5]])
          })
          yield* Effect.provide(
            intact,
            Layer.mergeAll(
              SqlBatchRepository.layer,
              SqlUsageLimitStore.layer,
              SqlUsageLedger.layer,
              SqlEventLog.layer
            ).pipe(Layer.provide(Layer.succeed(SqlClient, sql)))
          )
        }))

      it.scopedLive("takes the steps that it has not seen, once, and is then too new for this version", () =>
        Effect.gen(function*() {
          const { layer, sql } = yield* made(version)
          const store = Store.make(sql)
          yield* migrate(store, next)
          yield* migrate(store, next)
          assert.deepStrictEqual(
            (yield* sql<{ starred: number | string }>`SELECT starred FROM ccflow_sessions ORDER BY session_id`).map(
              ({ starred }) => Number(starred)
            ),
            [1, 0]
          )
          const steps = yield* sql<{ id: number; name: string }>`SELECT id, name FROM ccflow_migrations ORDER BY id`
          assert.deepStrictEqual(steps.map(({ id }) => id), Array.from({ length: newest + 1 }, (_, step) => step + 1))
          assert.deepStrictEqual([steps[0]?.name, steps.at(-1)?.name], ["sessions", "starred"])
          const error = yield* Effect.flip(Effect.provide(isIntact, layer))
          assert.strictEqual((error as { reason?: string }).reason, "NewerVersion")
        }))

      it.scopedLive("stays what it was when a step fails, and can take it later", () =>
        Effect.gen(function*() {
          const { sql } = yield* made(version)
          const store = Store.make(sql)
          const error = yield* Effect.flip(migrate(store, broken))
          assert.deepStrictEqual([error._tag, error.operation], ["SessionStoreError", "open"])
          assert.strictEqual(yield* currentVersion(store, broken), version)
          yield* migrate(store, next)
          assert.strictEqual(yield* currentVersion(store, next), newest + 1)
        }))
    })
  }
}

it.scopedLive("an empty file that many open at once is set up once, and all can use it", () =>
  Effect.gen(function*() {
    const path = join(yield* folder, "sessions.db")
    const numbers = Array.from({ length: 8 }, (_, n) => n)
    yield* Effect.forEach(
      numbers,
      (n) => inFile(path, Effect.flatMap(SessionRepository, (repository) => repository.save(session(`s${n}`)))),
      { concurrency: "unbounded" }
    )
    assert.strictEqual(yield* inFile(path, Effect.flatMap(SessionRepository, (repository) => repository.count())), 8)
    const rows = yield* Effect.flatMap(rawFile(path), (sql) => sql`SELECT id FROM ccflow_migrations`)
    assert.strictEqual(rows.length, Object.keys(migrations).length)
  }))

it.scopedLive.skipIf(noPostgres !== undefined)(
  `so is an empty schema of PostgreSQL${because(noPostgres)}`,
  () =>
    Effect.gen(function*() {
      const url = yield* pgUrl
      yield* Effect.forEach(Array.from({ length: 5 }, (_, n) => n), (n) =>
        Effect.provide(
          Effect.flatMap(SessionRepository, (repository) => repository.save(session(`s${n}`))),
          PgSessionRepository.layerUrl(url)
        ), { concurrency: "unbounded" })
      const rows = yield* Effect.flatMap(rawPg(url), (sql) => sql`SELECT id FROM ccflow_migrations`)
      assert.strictEqual(rows.length, Object.keys(migrations).length)
    })
)
