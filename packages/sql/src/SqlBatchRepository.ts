/**
 * Records of batches in a database: SQLite or PostgreSQL, through any client of `@effect/sql`. Its table is made with
 * those of the sessions, and can live beside them.
 */
import {
  type BatchClaim,
  type BatchClaimed,
  type BatchRecord,
  BatchRepository,
  type BatchRepositoryService,
  type BatchTotals
} from "@ccflow/core/BatchRepository"
import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import { deadHolders, expiry } from "@ccflow/core/SessionLease"
import { inputError, toJson } from "@ccflow/core/SessionRecord"
import type { SqlClient } from "@effect/sql/SqlClient"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { opened } from "./internal/migrations.js"
import { readAll, readPage, type TokenColumns, usageOf, type Whole } from "./internal/rows.js"
import type { Store } from "./internal/store.js"

/** The repository over the client in the context. Fails with `NewerVersion` before it changes anything. */
export const make: Effect.Effect<BatchRepositoryService, SessionStoreError, SqlClient> = Effect.suspend(() =>
  Effect.map(opened, over)
)

/** The repository over the client in the context. */
export const layer: Layer.Layer<BatchRepository, SessionStoreError, SqlClient> = Layer.effect(BatchRepository, make)

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

/** Who claims an item is decided by a single statement. */
const over = ({ changed, held, run, sql, transaction }: Store): BatchRepositoryService => {
  const now = Clock.currentTimeMillis

  const find = (batchId: string, key: string) =>
    sql<BatchRow>`SELECT * FROM ccflow_batch_items WHERE batch_id = ${batchId} AND item_key = ${key}`

  const one = (operation: string, rows: ReadonlyArray<BatchRow>): Effect.Effect<BatchRecord, SessionStoreError> =>
    Effect.flatMap(
      readAll(operation, readItem, rows),
      ([record]) =>
        record === undefined ? Effect.fail(inputError(operation, "the item is gone")) : Effect.succeed(record)
    )

  const insert = ({ batchId, holder, index, key, sessionId, ttl }: BatchClaim, prompt: string, time: number) =>
    sql<BatchRow>`INSERT INTO ccflow_batch_items (
      batch_id, item_key, item_index, prompt, status, session_id, committed, attempts, cost_usd,
      input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens,
      started_at, holder, expires_at
    ) VALUES (
      ${batchId}, ${key}, ${index}, ${prompt}, 'running', ${sessionId}, 0, 1, 0, 0, 0, 0, 0,
      ${time}, ${holder}, ${expiry(time, ttl)}
    ) ON CONFLICT (batch_id, item_key) DO NOTHING RETURNING *`

  /** From its holder if it is this one, dead, or too late; the row is locked, or the database is. */
  const takeOver = (
    { again = [], batchId, holder, key, sessionId, ttl }: BatchClaim,
    dead: ReadonlySet<string>,
    time: number
  ) =>
    Effect.gen(function*() {
      const rows = yield* sql<BatchRow>`SELECT * FROM ccflow_batch_items
        WHERE batch_id = ${batchId} AND item_key = ${key} ${held}`
      const found = yield* one("claim", rows)
      const of = sql`WHERE batch_id = ${batchId} AND item_key = ${key} RETURNING *`
      if (found.status === "running") {
        if (found.holder !== holder && found.expiresAt > time && !dead.has(found.holder)) return claimed("busy", found)
        const taken = yield* sql<BatchRow>`UPDATE ccflow_batch_items SET
          holder = ${holder}, expires_at = ${expiry(time, ttl)}, attempts = attempts + 1 ${of}`
        return claimed("cut", yield* one("claim", taken))
      }
      if (found.status === "completed" || !again.includes(found.status)) return claimed("ended", found)
      const anew = yield* sql<BatchRow>`UPDATE ccflow_batch_items SET
        status = 'running', session_id = ${sessionId}, committed = 0, attempts = attempts + 1, result = NULL,
        error = NULL, started_at = ${time}, ended_at = NULL, holder = ${holder}, expires_at = ${
        expiry(time, ttl)
      } ${of}`
      return claimed("begun", yield* one("claim", anew))
    })

  return {
    claim: (item) =>
      Effect.gen(function*() {
        const { batchId, holderIsAlive = () => true, key } = item
        const [prompt = ""] = yield* toJson("claim", [item.prompt])
        const inserted = yield* run("claim", Effect.flatMap(now, (time) => insert(item, prompt, time)))
        if (inserted.length > 0) return claimed("begun", yield* one("claim", inserted))
        const found = yield* Effect.flatMap(run("claim", find(batchId, key)), (rows) => one("claim", rows))
        // Asked outside of any transaction: it may take its time.
        const dead = found.status === "running" && found.holder !== item.holder
          ? yield* deadHolders([found.holder], holderIsAlive)
          : new Set<string>()
        return yield* transaction("claim", Effect.flatMap(now, (time) => takeOver(item, dead, time)))
      }),

    seen: (batchId, key, holder, { committed, costUsd, result, sessionId, usage }) =>
      Effect.gen(function*() {
        const json = yield* optional("seen", result)
        return yield* changed(
          "seen",
          sql`UPDATE ccflow_batch_items SET
            session_id = coalesce(${sessionId ?? null}, session_id),
            committed = coalesce(${committed === undefined ? null : Number(committed)}, committed),
            cost_usd = coalesce(${costUsd ?? null}, cost_usd),
            input_tokens = coalesce(${usage?.inputTokens ?? null}, input_tokens),
            output_tokens = coalesce(${usage?.outputTokens ?? null}, output_tokens),
            cache_read_input_tokens = coalesce(${usage?.cacheReadInputTokens ?? null}, cache_read_input_tokens),
            cache_creation_input_tokens =
              coalesce(${usage?.cacheCreationInputTokens ?? null}, cache_creation_input_tokens),
            result = coalesce(${json}, result)
            WHERE batch_id = ${batchId} AND item_key = ${key} AND status = 'running' AND holder = ${holder}
            RETURNING item_key`
        )
      }),

    end: (batchId, key, holder, { costUsd, error, result, status, usage }) =>
      Effect.gen(function*() {
        const [answer, failure] = [yield* optional("end", result), yield* optional("end", error)]
        return yield* changed(
          "end",
          Effect.flatMap(now, (time) =>
            sql`UPDATE ccflow_batch_items SET
              status = ${status}, result = ${answer}, error = ${failure}, ended_at = ${time}, cost_usd = ${costUsd},
              input_tokens = ${usage.inputTokens}, output_tokens = ${usage.outputTokens},
              cache_read_input_tokens = ${usage.cacheReadInputTokens},
              cache_creation_input_tokens = ${usage.cacheCreationInputTokens}
              WHERE batch_id = ${batchId} AND item_key = ${key} AND status = 'running' AND holder = ${holder}
              RETURNING item_key`)
        )
      }),

    release: (batchId, key, holder) =>
      changed(
        "release",
        sql`UPDATE ccflow_batch_items SET expires_at = 0
          WHERE batch_id = ${batchId} AND item_key = ${key} AND status = 'running' AND holder = ${holder}
          RETURNING item_key`
      ),

    renew: (batchId, holder, ttl) =>
      Effect.map(
        run(
          "renew",
          Effect.flatMap(now, (time) =>
            sql<{ item_key: string }>`UPDATE ccflow_batch_items SET expires_at = ${expiry(time, ttl)}
              WHERE batch_id = ${batchId} AND status = 'running' AND holder = ${holder} RETURNING item_key`)
        ),
        (rows) =>
          rows.map(({ item_key: key }) =>
            key
          )
      ),

    get: (batchId, key) =>
      Effect.map(
        Effect.flatMap(run("get", find(batchId, key)), (rows) => readAll("get", readItem, rows)),
        ([record]) => record
      ),

    list: (batchId, { after = "", limit = 100 } = {}) =>
      Effect.gen(function*() {
        const rows = yield* run(
          "list",
          sql<BatchRow>`SELECT * FROM ccflow_batch_items WHERE batch_id = ${batchId} AND item_key > ${after}
            ORDER BY item_key LIMIT ${limit + 1}`
        )
        const [items, more] = yield* readPage("list", readItem, rows, limit, ({ key }) => key)
        return { items, ...more }
      }),

    totals: (batchId) =>
      Effect.map(
        run(
          "totals",
          sql<TotalsRow>`SELECT status, count(*) AS items, sum(cost_usd) AS cost_usd,
            sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
            sum(cache_read_input_tokens) AS cache_read_input_tokens,
            sum(cache_creation_input_tokens) AS cache_creation_input_tokens
            FROM ccflow_batch_items WHERE batch_id = ${batchId} GROUP BY status`
        ),
        totalsOf
      ),

    delete: (batchId) =>
      changed("delete", sql`DELETE FROM ccflow_batch_items WHERE batch_id = ${batchId} RETURNING item_key`)
  }
}

interface BatchRow extends TokenColumns {
  readonly batch_id: string
  readonly item_key: string
  readonly item_index: Whole
  readonly prompt: string
  readonly status: BatchRecord["status"]
  readonly session_id: string
  readonly committed: number
  readonly attempts: Whole
  readonly cost_usd: number
  readonly result: string | null
  readonly error: string | null
  readonly started_at: Whole
  readonly ended_at: Whole | null
  readonly holder: string
  readonly expires_at: Whole
}

interface TotalsRow extends TokenColumns {
  readonly status: BatchRecord["status"]
  readonly items: Whole
  readonly cost_usd: number
}

const claimed = (_tag: BatchClaimed["_tag"], record: BatchRecord): BatchClaimed => ({ _tag, record })

const optional = (operation: string, value: unknown): Effect.Effect<string | null, SessionStoreError> =>
  value === undefined ? Effect.succeed(null) : Effect.map(toJson(operation, [value]), ([json = null]) => json)

const readItem = (row: BatchRow): BatchRecord => ({
  batchId: row.batch_id,
  key: row.item_key,
  index: Number(row.item_index),
  prompt: JSON.parse(row.prompt),
  status: row.status,
  sessionId: row.session_id,
  committed: row.committed !== 0,
  attempts: Number(row.attempts),
  costUsd: row.cost_usd,
  usage: usageOf(row),
  ...(row.result === null ? {} : { result: JSON.parse(row.result) }),
  ...(row.error === null ? {} : { error: JSON.parse(row.error) }),
  startedAt: Number(row.started_at),
  ...(row.ended_at === null ? {} : { endedAt: Number(row.ended_at) }),
  holder: row.holder,
  expiresAt: Number(row.expires_at)
})

const totalsOf = (rows: ReadonlyArray<TotalsRow>): BatchTotals => {
  const count = (status: BatchRecord["status"]) => Number(rows.find((row) => row.status === status)?.items ?? 0)
  const sum = (of: (row: TotalsRow) => number) => rows.reduce((total, row) => total + of(row), 0)
  return {
    running: count("running"),
    completed: count("completed"),
    failed: count("failed"),
    cancelled: count("cancelled"),
    costUsd: sum((row) => row.cost_usd),
    endedCostUsd: sum((row) => row.status === "running" ? 0 : row.cost_usd),
    usage: {
      inputTokens: sum((row) => row.input_tokens),
      outputTokens: sum((row) => row.output_tokens),
      cacheReadInputTokens: sum((row) => row.cache_read_input_tokens),
      cacheCreationInputTokens: sum((row) => row.cache_creation_input_tokens)
    }
  }
}
