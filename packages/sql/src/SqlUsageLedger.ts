/**
 * The ledger in a database: SQLite or PostgreSQL, through any client of `@effect/sql`, beside the sessions. Any number of
 * processes book in it at once, and each of them sees what all have used.
 *
 * An entry has its own tags and those that its session has now, or had when it was deleted.
 */
import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import { checked, inputError, tidyTags, wellFormed } from "@ccflow/core/SessionRecord"
import { checkFilter, dayIn, PageLimit, quarterMs, type UsageFilter, UsageKey } from "@ccflow/core/UsageFilter"
import {
  type UsageEntry,
  type UsageGroup,
  UsageLedger,
  type UsageLedgerService,
  type UsageSum
} from "@ccflow/core/UsageLedger"
import type { SqlClient } from "@effect/sql/SqlClient"
import type { Fragment } from "@effect/sql/Statement"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as Layer from "effect/Layer"
import * as Num from "effect/Number"
import * as Rec from "effect/Record"
import * as Schema from "effect/Schema"
import { opened } from "./internal/migrations.js"
import { given, longestInsert, readPage, readSums, tagsOf, type Whole } from "./internal/rows.js"
import type { Store } from "./internal/store.js"

/** The ledger over the client in the context. Fails with `NewerVersion` before it changes anything. */
export const make: Effect.Effect<UsageLedgerService, SessionStoreError, SqlClient> = Effect.suspend(() =>
  Effect.map(opened, over)
)

/** The ledger over the client in the context. */
export const layer: Layer.Layer<UsageLedger, SessionStoreError, SqlClient> = Layer.effect(UsageLedger, make)

// ---------------------------------------------------------------------------

/** Entries are booked once, and summed up by the database. */
const over = ({ allTags, run, sql, transaction }: Store): UsageLedgerService => {
  const tags = sql`(SELECT ${allTags} FROM ccflow_usage_tags t WHERE t.entry_id = u.entry_id)`

  const sums = sql`count(*) AS entries, count(*) - count(u.cost_usd) AS unpriced,
    count(*) - count(u.input_tokens) AS uncounted, sum(u.input_tokens) AS "inputTokens",
    sum(u.output_tokens) AS "outputTokens", sum(u.cache_read_input_tokens) AS "cacheReadInputTokens",
    sum(u.cache_creation_input_tokens) AS "cacheCreationInputTokens",
    sum(u.web_search_requests) AS "webSearchRequests", sum(u.cost_usd) AS "costUsd",
    sum(CASE WHEN u.basis = 'estimated' THEN u.cost_usd END) AS "estimatedUsd", sum(u.list_usd) AS "listUsd"`

  const conditions = ({ batchId, model, sessionId, since, tag, until }: UsageFilter): ReadonlyArray<Fragment> => [
    ...given(since, (time) => sql`u.used_at >= ${Math.ceil(time)}`),
    ...given(until, (time) => sql`u.used_at < ${Math.ceil(time)}`),
    ...given(model, (name) => sql`u.model = ${wellFormed(name)}`),
    ...given(sessionId, (id) => sql`u.session_id = ${wellFormed(id)}`),
    ...given(batchId, (id) => sql`u.batch_id = ${wellFormed(id)}`),
    ...given(tag, (name) =>
      sql`(u.entry_id IN (SELECT entry_id FROM ccflow_usage_tags WHERE tag = ${wellFormed(name)})
        OR u.session_id IN (SELECT session_id FROM ccflow_session_tags WHERE tag = ${wellFormed(name)}))`)
  ]

  const found = (filter: UsageFilter) => sql`ccflow_usage u WHERE ${sql.and(conditions(filter))}`

  /** Its own tags and those of its session, each once; an entry without any has the empty one. */
  const tagged = (filter: UsageFilter) =>
    sql`WITH u AS (SELECT u.* FROM ${found(filter)})
      SELECT coalesce(g.tag, '') AS key, ${sums} FROM u LEFT JOIN (
        SELECT o.entry_id, o.tag FROM ccflow_usage_tags o JOIN u ON u.entry_id = o.entry_id
        UNION
        SELECT u.entry_id, s.tag FROM ccflow_session_tags s JOIN u ON u.session_id = s.session_id
      ) g ON g.entry_id = u.entry_id GROUP BY 1`

  const quarterLength = sql.literal(String(quarterMs))

  // The only columns that are grouped by.
  const columns = { model: sql`u.model`, session: sql`u.session_id`, batch: sql`coalesce(u.batch_id, '')` }

  const groups = (key: Exclude<UsageKey, "day">, filter: UsageFilter) =>
    Effect.map(
      run(
        "by",
        sql<SumRow & { readonly key: string }>`${
          key === "tag" ? tagged(filter) : sql`SELECT ${columns[key]} AS key, ${sums} FROM ${found(filter)} GROUP BY 1`
        }`
      ),
      (rows) =>
        rows.map(({ key, ...sum }): UsageGroup => ({ key, ...readSums(sum) }))
          .sort(key === "batch" ? byKey : byCost)
    )

  /** What is booked already is left as it is, and so are its tags. */
  const book = (entries: ReturnType<typeof booked>) =>
    Effect.gen(function*() {
      const added = yield* sql<{ entry_id: string }>`INSERT INTO ccflow_usage ${
        sql.insert(entries.map(({ row }) => row))
      } ON CONFLICT (entry_id) DO NOTHING RETURNING entry_id`
      const fresh = new Set(added.map((row) => row.entry_id))
      const tags = entries.flatMap(({ row: { entry_id }, tags }) =>
        fresh.has(entry_id) ? tags.map((tag) => ({ entry_id, tag })) : []
      )
      yield* Effect.forEach(Arr.chunksOf(tags, longestInsert), (chunk) =>
        sql`INSERT INTO ccflow_usage_tags ${sql.insert(chunk)}`, { discard: true })
    })

  return {
    book: (entries) => {
      const all = booked(entries)
      if (all.length === 0) return Effect.void
      const one = all.length === 1 && all[0]?.tags.length === 0
      return (one ? run : transaction)(
        "book",
        Effect.forEach(Arr.chunksOf(all, longestInsert), book, { discard: true })
      )
    },

    total: (filter = {}) =>
      Effect.gen(function*() {
        yield* checkFilter("total", filter)
        const rows = yield* run("total", sql<SumRow>`SELECT ${sums} FROM ${found(filter)}`)
        // Also of nothing there is one.
        return readSums(rows[0]!)
      }),

    by: (key, { timeZone, ...filter } = {}) =>
      Effect.gen(function*() {
        yield* checked("by", UsageKey, key)
        yield* checkFilter("by", filter)
        if (key !== "day") return yield* groups(key, filter)
        const day = yield* dayIn(timeZone)
        const rows = yield* run(
          "by",
          sql<SumRow & { readonly quarter: Whole }>`SELECT u.used_at / ${quarterLength} AS quarter, ${sums}
            FROM ${found(filter)} GROUP BY 1 ORDER BY 1`
        )
        return daysOf(rows.map(({ quarter, ...sum }) => [Number(quarter), readSums(sum)]), day)
      }),

    entries: ({ after, limit = 100, ...filter } = {}) =>
      Effect.gen(function*() {
        yield* checkFilter("entries", filter)
        yield* checked("entries", PageLimit, limit)
        const cursor = after === undefined ? undefined : yield* readCursor(after)
        const behind = given(cursor, ([at, id]) => sql`(u.used_at, u.entry_id) > (${at}, ${id})`)
        const rows = yield* run(
          "entries",
          sql<EntryRow>`SELECT u.*, ${tags} AS tags FROM ccflow_usage u
            WHERE ${sql.and([...conditions(filter), ...behind])}
            ORDER BY u.used_at, u.entry_id LIMIT ${limit + 1}`
        )
        const [entries, more] = yield* readPage("entries", readEntry, rows, limit, cursorOf)
        return { entries, ...more }
      })
  }
}

/** Each once: of two with the same id the first counts. */
const booked = (entries: Parameters<UsageLedgerService["book"]>[0]) => {
  const all = entries.map((entry) => ({ row: rowOf(entry), tags: tidyTags(entry.tags) }))
  return Arr.dedupeWith(all, (one, other) => one.row.entry_id === other.row.entry_id)
}

type SumRow = Readonly<Record<keyof UsageSum, Whole | null>>

/** Sums of quarters of an hour, in their order, as sums of a time zone's days. */
const daysOf = (
  quarters: ReadonlyArray<readonly [quarter: number, sum: UsageSum]>,
  day: (at: number) => string
): ReadonlyArray<UsageGroup> =>
  Object.entries(Arr.groupBy(quarters, ([quarter]) => day(quarter * quarterMs))).map(([key, group]) => ({
    key,
    ...group.map(([, sum]) => sum).reduce((one, other) => Rec.union(one, other, Num.sum))
  }))

const byKey = (one: UsageGroup, other: UsageGroup): number => one.key < other.key ? -1 : 1

const byCost = (one: UsageGroup, other: UsageGroup): number => other.costUsd - one.costUsd || byKey(one, other)

const Cursor = Schema.parseJson(Schema.Tuple(Schema.Int, Schema.String))

const cursorOf = ({ at, entryId }: { readonly at: number; readonly entryId: string }) =>
  Encoding.encodeBase64Url(JSON.stringify([at, entryId]))

const readCursor = (after: string) =>
  Effect.mapError(
    Encoding.decodeBase64UrlString(after).pipe(Either.flatMap(Schema.decodeUnknownEither(Cursor))),
    () => inputError("entries", "after is not the next of a page")
  )

/** What is NULL nobody has told. */
const rowOf = (entry: UsageEntry) => ({
  entry_id: wellFormed(entry.entryId),
  used_at: Math.trunc(entry.at),
  basis: entry.basis,
  model: wellFormed(entry.model),
  input_tokens: told(entry.usage?.inputTokens),
  output_tokens: told(entry.usage?.outputTokens),
  cache_read_input_tokens: told(entry.usage?.cacheReadInputTokens),
  cache_creation_input_tokens: told(entry.usage?.cacheCreationInputTokens),
  web_search_requests: told(entry.usage?.webSearchRequests),
  cost_usd: told(entry.costUsd),
  list_usd: told(entry.listUsd),
  session_id: wellFormed(entry.sessionId),
  call_id: wellFormed(entry.callId),
  turn_id: entry.turnId === undefined ? null : wellFormed(entry.turnId),
  batch_id: entry.batchId === undefined ? null : wellFormed(entry.batchId),
  api_key_source: wellFormed(entry.apiKeySource)
})

interface EntryRow extends Omit<ReturnType<typeof rowOf>, "used_at"> {
  readonly used_at: Whole
  /** A JSON array. */
  readonly tags: string
}

const readEntry = (row: EntryRow): UsageEntry => ({
  entryId: row.entry_id,
  at: Number(row.used_at),
  basis: row.basis,
  model: row.model,
  usage: row.input_tokens === null ? undefined : {
    inputTokens: row.input_tokens,
    outputTokens: row.output_tokens ?? 0,
    cacheReadInputTokens: row.cache_read_input_tokens ?? 0,
    cacheCreationInputTokens: row.cache_creation_input_tokens ?? 0,
    webSearchRequests: row.web_search_requests ?? 0
  },
  costUsd: row.cost_usd ?? undefined,
  listUsd: row.list_usd ?? undefined,
  sessionId: row.session_id,
  callId: row.call_id,
  turnId: row.turn_id ?? undefined,
  batchId: row.batch_id ?? undefined,
  tags: tagsOf(row.tags),
  apiKeySource: row.api_key_source
})

/** What is no number is not known. */
const told = (value: number | undefined): number | null => value !== undefined && Number.isFinite(value) ? value : null
