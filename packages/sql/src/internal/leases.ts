/** Leases, by the repository's clock. */
import { busy, deadHolders, expiry, type Lease } from "@ccflow/core/SessionLease"
import type { SessionRepositoryService } from "@ccflow/core/SessionRepository"
import type { SqlError } from "@effect/sql/SqlError"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Whole } from "./rows.js"
import type { Store } from "./store.js"

export const make = (
  { changed, run, sql }: Store
): Pick<SessionRepositoryService, "acquireLease" | "renewLease" | "releaseLease" | "lease"> => {
  const columns = sql.literal(`session_id AS "sessionId", holder, expires_at AS "expiresAt"`)

  const one = (operation: string, statement: (now: number) => Effect.Effect<ReadonlyArray<LeaseRow>, SqlError>) =>
    Effect.map(
      run(operation, Effect.flatMap(Clock.currentTimeMillis, statement)),
      ([row]) => Option.map(Option.fromNullable(row), readLease)
    )

  const current = (operation: string, sessionId: string) =>
    one(
      operation,
      (now) => sql`SELECT ${columns} FROM ccflow_leases WHERE session_id = ${sessionId} AND expires_at > ${now}`
    )

  /** Takes what is free, has expired, or belongs to `from`: this holder itself, or one that is dead. */
  const take = (sessionId: string, holder: string, ttl: Duration.DurationInput, from: string) =>
    one("acquireLease", (now) =>
      sql`INSERT INTO ccflow_leases (session_id, holder, expires_at)
        VALUES (${sessionId}, ${holder}, ${expiry(now, ttl)})
        ON CONFLICT (session_id) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
        WHERE ccflow_leases.expires_at <= ${now} OR ccflow_leases.holder = ${from}
        RETURNING ${columns}`)

  return {
    acquireLease: (sessionId, holder, ttl, holderIsAlive = () => true) =>
      Effect.gen(function*() {
        let from = holder
        // Whoever has it may change while it is asked for: each round ends with the lease, or with a live holder.
        while (true) {
          const taken = yield* take(sessionId, holder, ttl, from)
          if (Option.isSome(taken)) return taken.value
          const other = yield* current("acquireLease", sessionId)
          if (Option.isNone(other)) continue
          const dead = yield* deadHolders([other.value.holder], holderIsAlive)
          if (dead.size === 0) return yield* Effect.fail(busy(other.value))
          from = other.value.holder
        }
      }),

    renewLease: (sessionId, holder, ttl) =>
      changed(
        "renewLease",
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          sql`UPDATE ccflow_leases SET expires_at = ${expiry(now, ttl)}
            WHERE session_id = ${sessionId} AND holder = ${holder} RETURNING session_id`)
      ),

    releaseLease: (sessionId, holder) =>
      changed(
        "releaseLease",
        sql`DELETE FROM ccflow_leases WHERE session_id = ${sessionId} AND holder = ${holder} RETURNING session_id`
      ),

    lease: (sessionId) => current("lease", sessionId)
  }
}

// ---------------------------------------------------------------------------

interface LeaseRow extends Omit<Lease, "expiresAt"> {
  readonly expiresAt: Whole
}

const readLease = (row: LeaseRow): Lease => ({ ...row, expiresAt: Number(row.expiresAt) })
