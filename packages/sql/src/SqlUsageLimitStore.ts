/**
 * The subscription's windows in a database: SQLite or PostgreSQL, through any client of `@effect/sql`, beside the
 * sessions. Whoever shares it knows what the others were told.
 */
import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import { UsageLimitStore, type UsageWindow } from "@ccflow/core/UsageLimit"
import type { SqlClient } from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { opened } from "./internal/migrations.js"
import type { Whole } from "./internal/rows.js"

/** The store over the client in the context. Its table is made, and brought up to date, here. */
export const make: Effect.Effect<UsageLimitStore["Type"], SessionStoreError, SqlClient> = Effect.map(
  opened,
  ({ run, sql }) => ({
    load: Effect.map(
      run(
        "loadUsage",
        sql<WindowRow>`SELECT account, limit_name AS "limit", status, resets_at AS "resetsAt", utilization, overage,
          seen_at AS "seenAt" FROM ccflow_usage_windows ORDER BY account, limit_name`
      ),
      (rows) =>
        rows.map((row): UsageWindow => ({ ...row, overage: Number(row.overage) === 1, seenAt: Number(row.seenAt) }))
    ),
    save: ({ account, limit, overage, resetsAt, seenAt, status, utilization }) =>
      Effect.asVoid(run(
        "saveUsage",
        sql`INSERT INTO ccflow_usage_windows
            (account, limit_name, status, resets_at, utilization, overage, seen_at)
          VALUES (${account}, ${limit}, ${status}, ${resetsAt}, ${utilization}, ${overage ? 1 : 0}, ${seenAt})
          ON CONFLICT (account, limit_name) DO UPDATE SET status = excluded.status, resets_at = excluded.resets_at,
            utilization = excluded.utilization, overage = excluded.overage, seen_at = excluded.seen_at
          WHERE ccflow_usage_windows.seen_at <= excluded.seen_at`
      ))
  })
)

export const layer: Layer.Layer<UsageLimitStore, SessionStoreError, SqlClient> = Layer.effect(UsageLimitStore, make)

// ---------------------------------------------------------------------------

interface WindowRow extends Omit<UsageWindow, "overage" | "seenAt"> {
  readonly overage: Whole
  readonly seenAt: Whole
}
