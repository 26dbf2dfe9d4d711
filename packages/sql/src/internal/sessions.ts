/** Sessions: saving, listing, tags. */
import { cursorOf, fold, type Listing, resolve } from "@ccflow/core/SessionFilter"
import { type SessionRecord, tidy, tidyTags } from "@ccflow/core/SessionRecord"
import type { SessionRepositoryService } from "@ccflow/core/SessionRepository"
import type { Fragment } from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { given, readAll, readPage, tagsOf, usageOf, type Whole } from "./rows.js"
import type { Store } from "./store.js"

export const make = (
  { allTags, held, run, sql, transaction }: Store
): Pick<SessionRepositoryService, "save" | "get" | "delete" | "list" | "count" | "addTags" | "removeTags"> => {
  const hold = (id: string) =>
    Effect.map(sql`SELECT session_id FROM ccflow_sessions WHERE session_id = ${id} ${held}`, (rows) => rows.length > 0)

  const tags = sql`(SELECT ${allTags} FROM ccflow_session_tags t WHERE t.session_id = s.session_id)`

  const insertTags = (id: string, added: ReadonlyArray<string>) =>
    added.length === 0
      ? Effect.void
      : sql`INSERT INTO ccflow_session_tags ${
        sql.insert(added.map((tag) => ({ session_id: id, tag })))
      } ON CONFLICT (session_id, tag) DO NOTHING`

  const contains = (column: Fragment, text: string) =>
    sql.onDialectOrElse({
      pg: () => sql`strpos(${column}, ${text}) > 0`,
      orElse: () => sql`instr(${column}, ${text}) > 0`
    })

  const conditions = (listing: Listing): ReadonlyArray<Fragment> => [
    ...given(listing.status, (status) => sql`s.status = ${status}`),
    ...given(listing.model, (model) => sql`s.model = ${model}`),
    ...given(listing.createdAfter, (time) => sql`s.created_at > ${time}`),
    ...given(listing.createdBefore, (time) => sql`s.created_at < ${time}`),
    ...given(listing.updatedAfter, (time) => sql`s.updated_at > ${time}`),
    ...given(listing.updatedBefore, (time) => sql`s.updated_at < ${time}`),
    ...given(listing.minTurns, (turns) => sql`s.turn_count >= ${turns}`),
    ...given(listing.maxTurns, (turns) => sql`s.turn_count <= ${turns}`),
    ...listing.tags.length === 0
      ? []
      : [
        sql`EXISTS (SELECT 1 FROM ccflow_session_tags t WHERE t.session_id = s.session_id AND ${
          sql.in("tag", listing.tags)
        })`
      ],
    ...listing.search === ""
      ? []
      : [sql`(${contains(sql`s.title_folded`, listing.search)} OR EXISTS (
          SELECT 1 FROM ccflow_turns p WHERE p.session_id = s.session_id AND ${
        contains(sql`p.prompt_folded`, listing.search)
      }))`]
  ]

  const position = ({ after, descending, orderBy }: Listing): ReadonlyArray<Fragment> => {
    if (after === undefined) return []
    const key = sql`(${columns[orderBy]}, s.session_id)`
    const value = sql`(${after.value}, ${after.sessionId})`
    return [descending ? sql`${key} < ${value}` : sql`${key} > ${value}`]
  }

  // The only columns that a listing can be ordered by.
  const columns = {
    updatedAt: sql`s.updated_at`,
    createdAt: sql`s.created_at`,
    turnCount: sql`s.turn_count`,
    costUsd: sql`s.cost_usd`,
    title: sql`s.title_folded`
  }

  return {
    save: (session) =>
      Effect.flatMap(tidy("save", session), (record) =>
        transaction(
          "save",
          Effect.gen(function*() {
            const known = yield* hold(record.sessionId)
            yield* sql`INSERT INTO ccflow_sessions ${sql.insert(rowOf(record))} ON CONFLICT (session_id) DO UPDATE SET
              parent_id = excluded.parent_id, status = excluded.status, title = excluded.title,
              title_folded = excluded.title_folded, model = excluded.model, cwd = excluded.cwd,
              created_at = excluded.created_at, updated_at = excluded.updated_at, options = excluded.options,
              cli_version = excluded.cli_version`
            if (!known) yield* insertTags(record.sessionId, record.tags)
          })
        )),

    get: (id) =>
      run("get", sql<SessionRow>`SELECT s.*, ${tags} AS tags FROM ccflow_sessions s WHERE s.session_id = ${id}`).pipe(
        Effect.flatMap((rows) => readAll("get", readSession, rows)),
        Effect.map((records) => Option.fromNullable(records[0]))
      ),

    delete: (id) =>
      transaction(
        "delete",
        Effect.gen(function*() {
          const found = yield* hold(id)
          yield* sql`DELETE FROM ccflow_messages WHERE turn_id IN (
            SELECT turn_id FROM ccflow_turns WHERE session_id = ${id}
          )`
          yield* sql`DELETE FROM ccflow_turns WHERE session_id = ${id}`
          // What was spent stays booked under them.
          yield* sql`INSERT INTO ccflow_usage_tags (entry_id, tag)
            SELECT u.entry_id, t.tag FROM ccflow_usage u JOIN ccflow_session_tags t ON t.session_id = u.session_id
            WHERE u.session_id = ${id} ON CONFLICT (entry_id, tag) DO NOTHING`
          yield* sql`DELETE FROM ccflow_session_tags WHERE session_id = ${id}`
          yield* sql`DELETE FROM ccflow_leases WHERE session_id = ${id}`
          yield* sql`DELETE FROM ccflow_sessions WHERE session_id = ${id}`
          return found
        })
      ),

    list: (filter = {}) =>
      Effect.gen(function*() {
        const listing = yield* resolve("list", filter)
        const direction = listing.descending ? sql`DESC` : sql`ASC`
        const rows = yield* run(
          "list",
          sql<SessionRow>`SELECT s.*, ${tags} AS tags FROM ccflow_sessions s
            WHERE ${sql.and([...conditions(listing), ...position(listing)])}
            ORDER BY ${columns[listing.orderBy]} ${direction}, s.session_id ${direction}
            LIMIT ${listing.limit + 1}`
        )
        const [sessions, more] = yield* readPage("list", readSession, rows, listing.limit, (last) =>
          cursorOf(listing, last))
        return { sessions, ...more }
      }),

    count: (filter = {}) =>
      Effect.flatMap(resolve("count", filter), (listing) =>
        Effect.map(
          run(
            "count",
            sql<{ count: Whole }>`SELECT count(*) AS count FROM ccflow_sessions s WHERE ${sql.and(conditions(listing))}`
          ),
          (rows) => Number(rows[0]?.count ?? 0)
        )),

    addTags: (id, added) =>
      transaction("addTags", Effect.tap(hold(id), (found) => found ? insertTags(id, tidyTags(added)) : Effect.void)),

    removeTags: (id, removed) =>
      transaction(
        "removeTags",
        Effect.tap(hold(id), () =>
          removed.length === 0
            ? Effect.void
            : sql`DELETE FROM ccflow_session_tags WHERE session_id = ${id} AND ${sql.in("tag", tidyTags(removed))}`)
      )
  }
}

// ---------------------------------------------------------------------------

const rowOf = (record: SessionRecord) => ({
  session_id: record.sessionId,
  parent_id: record.parentId ?? null,
  status: record.status,
  title: record.title,
  title_folded: fold(record.title),
  model: record.model ?? null,
  cwd: record.cwd,
  created_at: record.createdAt,
  updated_at: record.updatedAt,
  turn_count: record.turnCount,
  input_tokens: record.usage.inputTokens,
  output_tokens: record.usage.outputTokens,
  cache_read_input_tokens: record.usage.cacheReadInputTokens,
  cache_creation_input_tokens: record.usage.cacheCreationInputTokens,
  cost_usd: record.costUsd,
  duration_ms: record.durationMs,
  options: JSON.stringify(record.options),
  cli_version: record.cliVersion ?? null
})

interface SessionRow extends Omit<ReturnType<typeof rowOf>, "created_at" | "updated_at" | "turn_count"> {
  readonly created_at: Whole
  readonly updated_at: Whole
  readonly turn_count: Whole
  /** A JSON array. */
  readonly tags: string
}

const readSession = (row: SessionRow): SessionRecord => ({
  sessionId: row.session_id,
  ...(row.parent_id === null ? {} : { parentId: row.parent_id }),
  status: row.status,
  title: row.title,
  ...(row.model === null ? {} : { model: row.model }),
  cwd: row.cwd,
  tags: tagsOf(row.tags),
  createdAt: Number(row.created_at),
  updatedAt: Number(row.updated_at),
  turnCount: Number(row.turn_count),
  usage: usageOf(row),
  costUsd: row.cost_usd,
  durationMs: row.duration_ms,
  options: JSON.parse(row.options),
  ...(row.cli_version === null ? {} : { cliVersion: row.cli_version })
})
