/**
 * The schema, as the steps that led to it. A released step is never changed: a database goes through those it has not
 * seen. `@effect/sql`'s own migrator takes a lock it cannot get for work that is done, and so may leave no tables.
 */
import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import { SqlClient } from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import type { Fragment } from "@effect/sql/Statement"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { openError } from "./failure.js"
import * as Store from "./store.js"

/** The database of the client in the context, with all tables as this version has them. */
export const opened: Effect.Effect<Store.Store, SessionStoreError, SqlClient> = Effect.gen(function*() {
  const client = yield* SqlClient
  yield* client.onDialectOrElse({
    sqlite: () => Effect.void,
    pg: () => Effect.void,
    orElse: () => Effect.fail(unknownDialect)
  })
  const store = Store.make(client)
  yield* migrate(store, migrations)
  return store
})

/** By number and name, such as `0001_sessions`. */
export type Migrations = Readonly<Record<string, (sql: SqlClient, types: Types) => Effect.Effect<unknown, SqlError>>>

/** Brings a database up to date. One that a newer version has made is left as it is. */
export const migrate = (store: Store.Store, known: Migrations): Effect.Effect<void, SessionStoreError> => {
  const { sql } = store
  const lock = sql.onDialectOrElse({
    pg: () => Effect.asVoid(sql`SELECT pg_advisory_xact_lock(hashtext('ccflow_migrations'))`),
    orElse: () => Effect.void
  })
  const advance = Effect.gen(function*() {
    yield* lock
    yield* sql`CREATE TABLE IF NOT EXISTS ccflow_migrations (
      id INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL
    )`
    const from = yield* version(sql, known)
    const now = yield* Clock.currentTimeMillis
    for (const { id, name, step } of stepsOf(known).filter((step) => step.id > from)) {
      yield* step(sql, typesOf(sql))
      yield* sql`INSERT INTO ccflow_migrations (id, name, applied_at) VALUES (${id}, ${name}, ${now})`
    }
  })
  return Effect.flatMap(
    currentVersion(store, known),
    (found) => found === newestOf(known) ? Effect.void : store.transaction("open", advance)
  )
}

/**
 * The schema's version, 0 where there is none. Changes nothing; fails with `NewerVersion` for one that is not known.
 */
export const currentVersion = (store: Store.Store, known: Migrations): Effect.Effect<number, SessionStoreError> =>
  store.run("open", version(store.sql, known))

export const migrations: Migrations = {
  // Children are deleted by statements: not every SQLite client enforces foreign keys.
  "0001_sessions": (sql, { key, serial }) =>
    Effect.all([
      sql`CREATE TABLE ccflow_sessions (
        session_id ${key} NOT NULL PRIMARY KEY,
        parent_id TEXT,
        status TEXT NOT NULL,
        title TEXT NOT NULL,
        title_folded ${key} NOT NULL,
        model TEXT,
        cwd TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL,
        turn_count BIGINT NOT NULL,
        input_tokens DOUBLE PRECISION NOT NULL,
        output_tokens DOUBLE PRECISION NOT NULL,
        cache_read_input_tokens DOUBLE PRECISION NOT NULL,
        cache_creation_input_tokens DOUBLE PRECISION NOT NULL,
        cost_usd DOUBLE PRECISION NOT NULL,
        duration_ms DOUBLE PRECISION NOT NULL,
        options TEXT NOT NULL,
        cli_version TEXT
      )`,
      sql`CREATE INDEX ccflow_sessions_updated_at ON ccflow_sessions (updated_at, session_id)`,
      sql`CREATE INDEX ccflow_sessions_created_at ON ccflow_sessions (created_at, session_id)`,
      sql`CREATE INDEX ccflow_sessions_turn_count ON ccflow_sessions (turn_count, session_id)`,
      sql`CREATE INDEX ccflow_sessions_cost_usd ON ccflow_sessions (cost_usd, session_id)`,
      sql`CREATE INDEX ccflow_sessions_title ON ccflow_sessions (title_folded, session_id)`,
      sql`CREATE TABLE ccflow_session_tags (
        session_id ${key} NOT NULL,
        tag TEXT NOT NULL,
        PRIMARY KEY (session_id, tag)
      )`,
      sql`CREATE INDEX ccflow_session_tags_tag ON ccflow_session_tags (tag, session_id)`,
      sql`CREATE TABLE ccflow_turns (
        turn_id TEXT NOT NULL PRIMARY KEY,
        session_id ${key} NOT NULL,
        turn_index BIGINT NOT NULL,
        prompt TEXT NOT NULL,
        prompt_folded TEXT NOT NULL,
        status TEXT NOT NULL,
        started_at BIGINT NOT NULL,
        ended_at BIGINT,
        result TEXT,
        seen TEXT NOT NULL,
        stop_reason TEXT,
        usage TEXT,
        cost_usd DOUBLE PRECISION,
        num_turns DOUBLE PRECISION,
        error TEXT,
        holder TEXT NOT NULL,
        UNIQUE (session_id, turn_index)
      )`,
      sql`CREATE INDEX ccflow_turns_running ON ccflow_turns (session_id) WHERE status = 'running'`,
      sql`CREATE TABLE ccflow_messages (
        message_id ${serial},
        turn_id TEXT NOT NULL,
        body TEXT NOT NULL
      )`,
      sql`CREATE INDEX ccflow_messages_turn ON ccflow_messages (turn_id, message_id)`,
      sql`CREATE TABLE ccflow_leases (
        session_id ${key} NOT NULL PRIMARY KEY,
        holder TEXT NOT NULL,
        expires_at BIGINT NOT NULL
      )`
    ], { discard: true }),
  "0002_batches": (sql, { key }) =>
    sql`CREATE TABLE ccflow_batch_items (
      batch_id ${key} NOT NULL,
      item_key ${key} NOT NULL,
      item_index BIGINT NOT NULL,
      prompt TEXT NOT NULL,
      status TEXT NOT NULL,
      session_id TEXT NOT NULL,
      committed INTEGER NOT NULL,
      attempts BIGINT NOT NULL,
      cost_usd DOUBLE PRECISION NOT NULL,
      input_tokens DOUBLE PRECISION NOT NULL,
      output_tokens DOUBLE PRECISION NOT NULL,
      cache_read_input_tokens DOUBLE PRECISION NOT NULL,
      cache_creation_input_tokens DOUBLE PRECISION NOT NULL,
      result TEXT,
      error TEXT,
      started_at BIGINT NOT NULL,
      ended_at BIGINT,
      holder TEXT NOT NULL,
      expires_at BIGINT NOT NULL,
      PRIMARY KEY (batch_id, item_key)
    )`,
  "0003_usage_windows": (sql) =>
    sql`CREATE TABLE ccflow_usage_windows (
      account TEXT NOT NULL,
      limit_name TEXT NOT NULL,
      status TEXT NOT NULL,
      resets_at DOUBLE PRECISION,
      utilization DOUBLE PRECISION,
      overage BIGINT NOT NULL,
      seen_at BIGINT NOT NULL,
      PRIMARY KEY (account, limit_name)
    )`,
  // What is NULL nobody has told.
  "0004_usage_ledger": (sql, { key }) =>
    Effect.all([
      sql`CREATE TABLE ccflow_usage (
        entry_id ${key} NOT NULL PRIMARY KEY,
        used_at BIGINT NOT NULL,
        basis TEXT NOT NULL,
        model ${key} NOT NULL,
        input_tokens DOUBLE PRECISION,
        output_tokens DOUBLE PRECISION,
        cache_read_input_tokens DOUBLE PRECISION,
        cache_creation_input_tokens DOUBLE PRECISION,
        web_search_requests DOUBLE PRECISION,
        cost_usd DOUBLE PRECISION,
        list_usd DOUBLE PRECISION,
        session_id ${key} NOT NULL,
        call_id TEXT NOT NULL,
        turn_id TEXT,
        batch_id ${key},
        api_key_source TEXT NOT NULL
      )`,
      sql`CREATE INDEX ccflow_usage_used_at ON ccflow_usage (used_at, entry_id)`,
      sql`CREATE INDEX ccflow_usage_session ON ccflow_usage (session_id, used_at)`,
      sql`CREATE INDEX ccflow_usage_batch ON ccflow_usage (batch_id, used_at)`,
      sql`CREATE TABLE ccflow_usage_tags (
        entry_id ${key} NOT NULL,
        tag TEXT NOT NULL,
        PRIMARY KEY (entry_id, tag)
      )`,
      sql`CREATE INDEX ccflow_usage_tags_tag ON ccflow_usage_tags (tag, entry_id)`
    ], { discard: true }),
  "0005_event_log": (sql, { key, serial }) =>
    Effect.all([
      sql`CREATE TABLE ccflow_events (
        event_id ${serial},
        at BIGINT NOT NULL,
        type ${key} NOT NULL,
        call_id ${key} NOT NULL,
        session_id ${key} NOT NULL,
        body TEXT NOT NULL
      )`,
      sql`CREATE INDEX ccflow_events_at ON ccflow_events (at, event_id)`,
      sql`CREATE INDEX ccflow_events_session ON ccflow_events (session_id, at, event_id)`,
      sql`CREATE INDEX ccflow_events_call ON ccflow_events (call_id, at, event_id)`
    ], { discard: true })
}

// ---------------------------------------------------------------------------

const unknownDialect = openError(
  "Unavailable",
  "the database is neither SQLite nor PostgreSQL",
  "Provide a client of one of those."
)

/** Types of columns for which each database has a word of its own. */
interface Types {
  /** Text that is ordered and paged by: bytes, as SQLite compares it, whatever the database's language. */
  readonly key: Fragment
  readonly serial: Fragment
}

const typesOf = (sql: SqlClient): Types =>
  sql.onDialectOrElse({
    pg: () => ({
      key: sql.literal(`TEXT COLLATE "C"`),
      serial: sql.literal("BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
    }),
    orElse: () => ({ key: sql.literal("TEXT"), serial: sql.literal("INTEGER PRIMARY KEY") })
  })

const newer = (found: number, newest: number) =>
  openError(
    "NewerVersion",
    `its schema is version ${found}, this program knows ${newest}`,
    "Update ccflow, or give this program a store of its own."
  )

const version = (sql: SqlClient, known: Migrations): Effect.Effect<number, SqlError | SessionStoreError> =>
  Effect.gen(function*() {
    const tables = yield* sql.onDialectOrElse({
      pg: () => sql`SELECT 1 WHERE to_regclass('ccflow_migrations') IS NOT NULL`,
      orElse: () => sql`SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'ccflow_migrations'`
    })
    if (tables.length === 0) return 0
    const rows = yield* sql<{ id: number | null }>`SELECT max(id) AS id FROM ccflow_migrations`
    const found = rows[0]?.id ?? 0
    return found > newestOf(known) ? yield* Effect.fail(newer(found, newestOf(known))) : found
  })

const stepsOf = (known: Migrations) =>
  Object.entries(known)
    .map(([key, step]) => ({ id: Number.parseInt(key, 10), name: key.slice(key.indexOf("_") + 1), step }))
    .sort((one, other) => one.id - other.id)

const newestOf = (known: Migrations): number => stepsOf(known).at(-1)?.id ?? 0
