/** Turns: what was asked, what came of it, and the log of what was said. */
import { fold, resolvePage } from "@ccflow/core/SessionFilter"
import { deadHolders } from "@ccflow/core/SessionLease"
import { promptText, toJson, type TurnRecord, unknownSession } from "@ccflow/core/SessionRecord"
import type { SessionRepositoryService } from "@ccflow/core/SessionRepository"
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Order from "effect/Order"
import { longestInsert, readAll, readPage, type Whole } from "./rows.js"
import type { Store } from "./store.js"

export const make = (
  { changed, held, run, sql, transaction }: Store
): Pick<
  SessionRepositoryService,
  "beginTurn" | "progress" | "endTurn" | "turns" | "appendMessages" | "messages" | "recover"
> => {
  const place = sql.onDialectOrElse({ pg: () => (index: number) => `$${index}`, orElse: () => () => "?" })

  /** One statement: it either finds its turn or adds nothing. Its text depends on the number of rows alone. */
  const append = (turnId: string, bodies: ReadonlyArray<string>) =>
    sql.unsafe(
      `INSERT INTO ccflow_messages (turn_id, body)
        SELECT t.turn_id, v.column1 FROM (VALUES ${bodies.map((_, index) => `(${place(index + 1)})`).join(",")}) AS v
        CROSS JOIN ccflow_turns t WHERE t.turn_id = ${place(bodies.length + 1)}`,
      [...bodies, turnId]
    )

  return {
    beginTurn: ({ holder, prompt, sessionId, turnId }) =>
      Effect.gen(function*() {
        const [json = ""] = yield* toJson("beginTurn", [prompt])
        const rows = yield* transaction(
          "beginTurn",
          Effect.gen(function*() {
            const sessions = yield* sql`SELECT session_id FROM ccflow_sessions WHERE session_id = ${sessionId} ${held}`
            const known = yield* sql<TurnRow>`SELECT * FROM ccflow_turns WHERE turn_id = ${turnId}`
            if (known.length > 0) return known
            if (sessions.length === 0) return yield* Effect.fail(unknownSession(sessionId))
            const now = yield* Clock.currentTimeMillis
            yield* sql`UPDATE ccflow_sessions SET updated_at = ${now} WHERE session_id = ${sessionId}`
            return yield* sql<TurnRow>`INSERT INTO ccflow_turns (
              turn_id, session_id, turn_index, prompt, prompt_folded, status, started_at, seen, holder
            ) VALUES (
              ${turnId}, ${sessionId},
              (SELECT coalesce(max(turn_index) + 1, 0) FROM ccflow_turns WHERE session_id = ${sessionId}),
              ${json}, ${fold(promptText(prompt))}, 'running', ${now}, '""', ${holder}
            ) RETURNING *`
          })
        )
        const [turn] = yield* readAll("beginTurn", readTurn, rows)
        return turn ?? (yield* Effect.fail(unknownSession(sessionId)))
      }),

    progress: (id, seen) =>
      changed(
        "progress",
        sql`UPDATE ccflow_turns SET seen = ${JSON.stringify(seen)}
          WHERE turn_id = ${id} AND status = 'running' RETURNING turn_id`
      ),

    endTurn: (id, { costUsd, error, numTurns, result, seen, status, stopReason, usage }) =>
      transaction(
        "endTurn",
        Effect.gen(function*() {
          const now = yield* Clock.currentTimeMillis
          const [turn] = yield* sql<{ session_id: string; started_at: Whole }>`UPDATE ccflow_turns SET
            status = ${status}, ended_at = ${now}, result = ${json(result)}, seen = coalesce(${json(seen)}, seen),
            stop_reason = ${stopReason ?? null}, usage = ${json(usage)}, cost_usd = ${costUsd ?? null},
            num_turns = ${numTurns ?? null}, error = ${json(error)}
            WHERE turn_id = ${id} AND status IN ('running', 'cut') RETURNING session_id, started_at`
          if (turn === undefined) return false
          yield* sql`UPDATE ccflow_sessions SET
            updated_at = ${now},
            turn_count = turn_count + ${status === "completed" ? 1 : 0},
            input_tokens = input_tokens + ${usage?.inputTokens ?? 0},
            output_tokens = output_tokens + ${usage?.outputTokens ?? 0},
            cache_read_input_tokens = cache_read_input_tokens + ${usage?.cacheReadInputTokens ?? 0},
            cache_creation_input_tokens = cache_creation_input_tokens + ${usage?.cacheCreationInputTokens ?? 0},
            cost_usd = cost_usd + ${costUsd ?? 0},
            duration_ms = duration_ms + ${now - Number(turn.started_at)}
            WHERE session_id = ${turn.session_id}`
          return true
        })
      ),

    turns: (id, page = {}) =>
      Effect.gen(function*() {
        const { after, limit } = yield* resolvePage("turns", page)
        const rows = yield* run(
          "turns",
          sql<TurnRow>`SELECT * FROM ccflow_turns WHERE session_id = ${id} AND turn_index > ${after}
            ORDER BY turn_index LIMIT ${limit + 1}`
        )
        const [turns, more] = yield* readPage("turns", readTurn, rows, limit, ({ index }) => index)
        return { turns, ...more }
      }),

    appendMessages: (id, messages) =>
      Effect.flatMap(toJson("appendMessages", messages), (bodies) => {
        const chunks = Arr.chunksOf(bodies, longestInsert)
        const added = Effect.forEach(chunks, (chunk) => append(id, chunk), { discard: true })
        const known = Effect.map(sql`SELECT 1 FROM ccflow_turns WHERE turn_id = ${id}`, (rows) => rows.length > 0)
        return (chunks.length > 1 ? transaction : run)("appendMessages", Effect.zipRight(added, known))
      }),

    messages: (id, page = {}) =>
      Effect.gen(function*() {
        const { after, limit } = yield* resolvePage("messages", page)
        const rows = yield* run(
          "messages",
          sql<{ message_id: Whole; body: string }>`SELECT message_id, body FROM ccflow_messages
            WHERE turn_id = ${id} AND message_id > ${after} ORDER BY message_id LIMIT ${limit + 1}`
        )
        const read = ({ body }: { readonly body: string }): unknown => JSON.parse(body)
        const [messages, more] = yield* readPage("messages", read, rows, limit, (_, row) => Number(row.message_id))
        return { messages, ...more }
      }),

    recover: (holderIsAlive) =>
      Effect.gen(function*() {
        const holders = yield* run(
          "recover",
          sql<{ holder: string }>`SELECT DISTINCT holder FROM ccflow_turns WHERE status = 'running'`
        )
        // Asked outside of any transaction: it may take its time. The lease is looked at again where the turn is cut.
        const dead = yield* deadHolders(holders.map(({ holder }) => holder), holderIsAlive)
        const now = yield* Clock.currentTimeMillis
        const rows = yield* run(
          "recover",
          sql<TurnRow>`UPDATE ccflow_turns SET status = 'cut', ended_at = ${now}
            WHERE status = 'running' AND (${sql.in("holder", [...dead])} OR NOT EXISTS (
              SELECT 1 FROM ccflow_leases l WHERE l.session_id = ccflow_turns.session_id
                AND l.holder = ccflow_turns.holder AND l.expires_at > ${now}
            )) RETURNING *`
        )
        const turns = yield* readAll("recover", readTurn, rows)
        return Arr.sort(turns, byStart)
      })
  }
}

// ---------------------------------------------------------------------------

const byStart = Order.mapInput(Order.number, ({ startedAt }: TurnRecord) => startedAt)

const json = (value: unknown): string | null => value === undefined ? null : JSON.stringify(value)

interface TurnRow {
  readonly turn_id: string
  readonly session_id: string
  readonly turn_index: Whole
  readonly prompt: string
  readonly status: TurnRecord["status"]
  readonly started_at: Whole
  readonly ended_at: Whole | null
  readonly result: string | null
  readonly seen: string
  readonly stop_reason: string | null
  readonly usage: string | null
  readonly cost_usd: number | null
  readonly num_turns: number | null
  readonly error: string | null
  readonly holder: string
}

const readTurn = (row: TurnRow): TurnRecord => ({
  turnId: row.turn_id,
  sessionId: row.session_id,
  index: Number(row.turn_index),
  prompt: JSON.parse(row.prompt),
  status: row.status,
  startedAt: Number(row.started_at),
  ...(row.ended_at === null ? {} : { endedAt: Number(row.ended_at) }),
  ...(row.result === null ? {} : { result: JSON.parse(row.result) }),
  seen: JSON.parse(row.seen),
  ...(row.stop_reason === null ? {} : { stopReason: row.stop_reason }),
  ...(row.usage === null ? {} : { usage: JSON.parse(row.usage) }),
  ...(row.cost_usd === null ? {} : { costUsd: row.cost_usd }),
  ...(row.num_turns === null ? {} : { numTurns: row.num_turns }),
  ...(row.error === null ? {} : { error: JSON.parse(row.error) }),
  holder: row.holder
})
