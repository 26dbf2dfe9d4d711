/** Rows as records. Text that may hold any character is stored as JSON: PostgreSQL's text takes no NUL. */
import { SessionStoreError } from "@ccflow/core/ClaudeError"
import type { SessionRecord, TurnRecord } from "@ccflow/core/SessionRecord"
import * as Effect from "effect/Effect"

/** @internal */
export interface SessionRow {
  readonly session_id: string
  readonly parent_id: string | null
  readonly status: SessionRecord["status"]
  readonly title: string
  readonly model: string | null
  readonly cwd: string
  readonly created_at: Whole
  readonly updated_at: Whole
  readonly turn_count: Whole
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cache_read_input_tokens: number
  readonly cache_creation_input_tokens: number
  readonly cost_usd: number
  readonly duration_ms: number
  readonly options: string
  readonly cli_version: string | null
  /** A JSON array. */
  readonly tags: string
}

/** @internal */
export interface TurnRow {
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

/**
 * PostgreSQL's driver gives a BIGINT as text.
 *
 * @internal
 */
export type Whole = number | string

/** @internal */
export const readAll = <Row, A>(
  operation: string,
  read: (row: Row) => A,
  rows: ReadonlyArray<Row>
): Effect.Effect<ReadonlyArray<A>, SessionStoreError> =>
  Effect.try({
    try: () => rows.map(read),
    catch: () =>
      new SessionStoreError({
        operation,
        reason: "Corrupt",
        detail: "a row holds what is not JSON",
        hint: "Restore a copy of the database."
      })
  })

/** @internal */
export const readSession = (row: SessionRow): SessionRecord => ({
  sessionId: row.session_id,
  ...(row.parent_id === null ? {} : { parentId: row.parent_id }),
  status: row.status,
  title: row.title,
  ...(row.model === null ? {} : { model: row.model }),
  cwd: row.cwd,
  tags: strings(row.tags).sort(),
  createdAt: Number(row.created_at),
  updatedAt: Number(row.updated_at),
  turnCount: Number(row.turn_count),
  usage: {
    inputTokens: row.input_tokens,
    outputTokens: row.output_tokens,
    cacheReadInputTokens: row.cache_read_input_tokens,
    cacheCreationInputTokens: row.cache_creation_input_tokens
  },
  costUsd: row.cost_usd,
  durationMs: row.duration_ms,
  options: JSON.parse(row.options),
  ...(row.cli_version === null ? {} : { cliVersion: row.cli_version })
})

/** @internal */
export const readTurn = (row: TurnRow): TurnRecord => ({
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

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

const strings = (json: string): Array<string> => JSON.parse(json)
