/** Records of batches in a database: SQLite or PostgreSQL, through any client of `@effect/sql`, beside the sessions. */
import {
  type BatchClaim,
  type BatchRecord,
  BatchRepository,
  type BatchRepositoryService,
  type BatchTotals
} from "@ccflow/core/BatchRepository"
import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import type { Usage } from "@ccflow/core/Message"
import { deadHolders, expiry } from "@ccflow/core/SessionLease"
import { inputError, toJson } from "@ccflow/core/SessionRecord"
import type { SqlClient } from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { opened } from "./internal/migrations.js"
import { given, readAll, readPage, readSums, type TokenColumns, usageOf, type Whole } from "./internal/rows.js"
import type { Store } from "./internal/store.js"

/** The repository over the client in the context. Fails with `NewerVersion` before it changes anything. */
export const make: Effect.Effect<BatchRepositoryService, SessionStoreError, SqlClient> = Effect.suspend(() =>
  Effect.map(opened, over)
)

/** The repository over the client in the context. */
export const layer: Layer.Layer<BatchRepository, SessionStoreError, SqlClient> = Layer.effect(BatchRepository, make)

// ---------------------------------------------------------------------------

/** Who claims an item is decided by single statements. */
const over = ({ changed, run, sql }: Store): BatchRepositoryService => {
  const of = (batchId: string, key: string) => sql`batch_id = ${batchId} AND item_key = ${key}`

  /** What its holder may change, and tell whether it has. */
  const own = (batchId: string, key: string, holder: string) =>
    sql`WHERE ${of(batchId, key)} AND status = 'running' AND holder = ${holder} RETURNING item_key`

  const one = (operation: string, statement: (now: number) => Effect.Effect<ReadonlyArray<BatchRow>, SqlError>) =>
    Effect.flatMap(Clock.currentTimeMillis, statement).pipe(
      (rows) => run(operation, rows),
      Effect.flatMap((rows) => readAll(operation, readItem, rows)),
      Effect.map(([record]) => record)
    )

  const get = (operation: string, batchId: string, key: string) =>
    one(operation, () => sql`SELECT * FROM ccflow_batch_items WHERE ${of(batchId, key)}`)

  const begin = ({ batchId, holder, index, key, sessionId, ttl }: BatchClaim, prompt: string) =>
    one("claim", (now) =>
      sql`INSERT INTO ccflow_batch_items (
        batch_id, item_key, item_index, prompt, status, session_id, committed, attempts, cost_usd,
        input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens,
        started_at, holder, expires_at
      ) VALUES (
        ${batchId}, ${key}, ${index}, ${prompt}, 'running', ${sessionId}, 0, 1, 0, 0, 0, 0, 0,
        ${now}, ${holder}, ${expiry(now, ttl)}
      ) ON CONFLICT (batch_id, item_key) DO NOTHING RETURNING *`)

  /** From its holder if it is this one, dead, or too late. */
  const goOn = ({ batchId, holder, key, ttl }: BatchClaim, dead: ReadonlySet<string>) =>
    one("claim", (now) =>
      sql`UPDATE ccflow_batch_items SET
        holder = ${holder}, expires_at = ${expiry(now, ttl)}, attempts = attempts + 1
        WHERE ${of(batchId, key)} AND status = 'running'
          AND (expires_at <= ${now} OR ${sql.in("holder", [holder, ...dead])}) RETURNING *`)

  const beginAnew = (
    { again = [], batchId, endedBy = Number.MAX_SAFE_INTEGER, holder, key, sessionId, ttl }: BatchClaim
  ) =>
    again.length === 0 ? Effect.succeed(undefined) : one("claim", (now) =>
      sql`UPDATE ccflow_batch_items SET
        status = 'running', session_id = ${sessionId}, committed = 0, attempts = attempts + 1, result = NULL,
        error = NULL, started_at = ${now}, ended_at = NULL, holder = ${holder}, expires_at = ${expiry(now, ttl)}
        WHERE ${of(batchId, key)} AND ${sql.in("status", again)} AND ended_at <= ${endedBy} RETURNING *`)

  return {
    claim: (item) =>
      Effect.gen(function*() {
        const { batchId, holderIsAlive = () => true, key } = item
        const [prompt = ""] = yield* toJson("claim", [item.prompt])
        const begun = yield* begin(item, prompt)
        if (begun !== undefined) return { _tag: "begun", record: begun }
        const before = yield* get("claim", batchId, key)
        const dead = before?.status === "running"
          ? yield* deadHolders([before.holder], holderIsAlive)
          : new Set<string>()
        const cut = yield* goOn(item, dead)
        if (cut !== undefined) return { _tag: "cut", record: cut }
        const anew = yield* beginAnew(item)
        if (anew !== undefined) return { _tag: "begun", record: anew }
        const record = yield* get("claim", batchId, key)
        if (record === undefined) return yield* Effect.fail(inputError("claim", "the item is gone"))
        return { _tag: record.status === "running" ? "busy" : "ended", record }
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
            ${own(batchId, key, holder)}`
        )
      }),

    end: (batchId, key, holder, { costUsd, error, result, status, usage }) =>
      Effect.gen(function*() {
        const [answer, failure] = [yield* optional("end", result), yield* optional("end", error)]
        return yield* changed(
          "end",
          Effect.flatMap(Clock.currentTimeMillis, (time) =>
            sql`UPDATE ccflow_batch_items SET
              status = ${status}, result = ${answer}, error = ${failure}, ended_at = ${time}, cost_usd = ${costUsd},
              input_tokens = ${usage.inputTokens}, output_tokens = ${usage.outputTokens},
              cache_read_input_tokens = ${usage.cacheReadInputTokens},
              cache_creation_input_tokens = ${usage.cacheCreationInputTokens}
              ${own(batchId, key, holder)}`)
        )
      }),

    release: (batchId, key, holder) =>
      changed("release", sql`UPDATE ccflow_batch_items SET expires_at = 0 ${own(batchId, key, holder)}`),

    renew: (batchId, holder, ttl) => {
      const renewed = Effect.flatMap(
        Clock.currentTimeMillis,
        (time) =>
          sql<Pick<BatchRow, "item_key">>`UPDATE ccflow_batch_items SET expires_at = ${expiry(time, ttl)}
          WHERE batch_id = ${batchId} AND status = 'running' AND holder = ${holder} RETURNING item_key`
      )
      return Effect.map(run("renew", renewed), Arr.map((row) => row.item_key))
    },

    get: (batchId, key) => get("get", batchId, key),

    list: (batchId, { after, limit = 100 } = {}) =>
      Effect.gen(function*() {
        const rows = yield* run(
          "list",
          sql<BatchRow>`SELECT * FROM ccflow_batch_items
            WHERE ${sql.and([sql`batch_id = ${batchId}`, ...given(after, (key) => sql`item_key > ${key}`)])}
            ORDER BY item_key LIMIT ${limit + 1}`
        )
        const [items, more] = yield* readPage("list", readItem, rows, limit, ({ key }) => key)
        return { items, ...more }
      }),

    totals: (batchId) =>
      Effect.map(
        run(
          "totals",
          sql<TotalsRow>`SELECT
            count(*) FILTER (WHERE status = 'running') AS running,
            count(*) FILTER (WHERE status = 'completed') AS completed,
            count(*) FILTER (WHERE status = 'failed') AS failed,
            count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
            sum(cost_usd) AS "costUsd", sum(cost_usd) FILTER (WHERE status <> 'running') AS "endedCostUsd",
            sum(input_tokens) AS "inputTokens", sum(output_tokens) AS "outputTokens",
            sum(cache_read_input_tokens) AS "cacheReadInputTokens",
            sum(cache_creation_input_tokens) AS "cacheCreationInputTokens"
            FROM ccflow_batch_items WHERE batch_id = ${batchId}`
        ),
        ([row]) => totalsOf(row!)
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

type TotalsRow = Readonly<Record<Exclude<keyof BatchTotals, "usage"> | keyof Usage, Whole | null>>

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

/** A sum of nothing is NULL. */
const totalsOf = (row: TotalsRow): BatchTotals => {
  const { cancelled, completed, costUsd, endedCostUsd, failed, running, ...usage } = readSums(row)
  return { running, completed, failed, cancelled, costUsd, endedCostUsd, usage }
}
