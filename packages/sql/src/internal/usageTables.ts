import type { SqlClient } from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"

/** What is NULL nobody has told. @internal */
export const usageTables = (sql: SqlClient): Effect.Effect<unknown, SqlError> => {
  const key = sql.literal(sql.onDialectOrElse({ pg: () => `TEXT COLLATE "C"`, orElse: () => "TEXT" }))
  return Effect.all([
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
  ], { discard: true })
}
