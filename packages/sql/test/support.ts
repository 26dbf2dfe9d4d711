import type { SessionRecord } from "@ccflow/core/SessionRecord"
import { type SessionRepository } from "@ccflow/core/SessionRepository"
import * as PgSessionRepository from "@ccflow/sql/PgSessionRepository"
import * as SqliteSessionRepository from "@ccflow/sql/SqliteSessionRepository"
import * as Reactivity from "@effect/experimental/Reactivity"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import { vi } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Redacted } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"

// Files, databases and processes have no time of their own on a busy machine.
vi.setConfig({ testTimeout: 60_000 })

/** A folder that goes with the scope. */
export const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "ccflow-sql-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

/** A store in a file of its own. */
export const sqlite: Layer.Layer<SessionRepository, unknown> = Layer.unwrapScoped(
  Effect.map(folder, (path) => SqliteSessionRepository.layer({ path: join(path, "sessions.db") }))
)

export const session = (sessionId: string, fields: Partial<SessionRecord> = {}): SessionRecord => ({
  sessionId,
  status: "open",
  title: "",
  cwd: "/work",
  tags: [],
  createdAt: 0,
  updatedAt: 0,
  turnCount: 0,
  usage: { inputTokens: 0, outputTokens: 0, cacheReadInputTokens: 0, cacheCreationInputTokens: 0 },
  costUsd: 0,
  durationMs: 0,
  options: {},
  ...fields
})

/** Uses the store in a file, and closes it. */
export const inFile = <A, E, R>(path: string, use: Effect.Effect<A, E, R>) =>
  Effect.provide(use, SqliteSessionRepository.layer({ path }))

/** SQLite without the repository, to look at what it has made, or to make what it has to cope with. */
export const rawFile = (path: string, options: Partial<SqliteClient.SqliteClientConfig> = {}) =>
  Effect.provideServiceEffect(
    SqliteClient.make({ ...options, filename: path, disableWAL: true }),
    Reactivity.Reactivity,
    Reactivity.make
  )

const url = process.env["DATABASE_URL"] ?? `postgres://${userInfo().username}@127.0.0.1:5432/test`

const pg = (schema: string) => {
  const inSchema = new URL(url)
  inSchema.searchParams.set("options", `-c search_path=${schema}`)
  return Redacted.make(inSchema.toString())
}

export const rawPg = (given: Redacted.Redacted) =>
  Effect.provideServiceEffect(
    PgClient.make({ url: given, maxConnections: 1 }),
    Reactivity.Reactivity,
    Reactivity.make
  )

const connected = rawPg(Redacted.make(url))

/** Why PostgreSQL cannot be tested here, if it cannot. */
export const noPostgres = await Effect.runPromiseExit(
  Effect.scoped(Effect.flatMap(connected, (sql) => sql`SELECT 1`))
).then(Exit.match({
  onFailure: (cause) => `no PostgreSQL at DATABASE_URL or 127.0.0.1:5432/test: ${reason(Cause.squash(cause))}`,
  onSuccess: () => undefined
}))

function reason(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return cause instanceof Error && "code" in cause ? String(cause.code) : String(cause)
}

/** What is added to the name of a test that cannot run here. */
export const because = (reason: string | undefined): string => reason === undefined ? "" : ` (skipped: ${reason})`

let schemas = 0

/** A schema of its own, dropped with the scope. */
export const pgUrl = Effect.gen(function*() {
  const sql = yield* connected
  const schema = `ccflow_test_${process.pid}_${++schemas}_${Date.now()}`
  yield* Effect.acquireRelease(
    sql`CREATE SCHEMA ${sql(schema)}`,
    () => Effect.orDie(sql`DROP SCHEMA ${sql(schema)} CASCADE`)
  )
  return pg(schema)
})

export const postgres: Layer.Layer<SessionRepository, unknown> = Layer.unwrapScoped(
  Effect.map(pgUrl, PgSessionRepository.layerUrl)
)
