import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { SessionStoreError } from "../ClaudeError.js"
import type { SessionRepositoryService } from "../SessionRepository.js"

/**
 * What takes longer has failed, also where its caller cannot be interrupted. It is told to end, and nobody waits until it
 * has.
 */
export const inTime = <A, E, E2>(
  effect: Effect.Effect<A, E>,
  limit: { readonly duration: Duration.DurationInput; readonly onTimeout: () => E2 }
): Effect.Effect<A, E | E2> => Effect.timeoutFail(Effect.interruptible(Effect.disconnect(effect)), limit)

/**
 * A store that must answer in time, also where its caller cannot be interrupted: a session is never held by one that does
 * not.
 */
export const patient = (repository: SessionRepositoryService): SessionRepositoryService => {
  const within = <A, E>(operation: string, effect: Effect.Effect<A, E>): Effect.Effect<A, E | SessionStoreError> =>
    inTime(effect, {
      duration: longest,
      onTimeout: () =>
        new SessionStoreError({
          operation,
          reason: "Unavailable",
          detail: "it did not answer in time",
          hint: "Is the database up, and its disk well?"
        })
    })
  return {
    ...repository,
    save: (record) => within("save", repository.save(record)),
    get: (id) => within("get", repository.get(id)),
    beginTurn: (turn) => within("beginTurn", repository.beginTurn(turn)),
    progress: (id, seen) => within("progress", repository.progress(id, seen)),
    endTurn: (id, end) => within("endTurn", repository.endTurn(id, end)),
    turns: (id, page) => within("turns", repository.turns(id, page)),
    appendMessages: (id, messages) => within("appendMessages", repository.appendMessages(id, messages)),
    acquireLease: (id, holder, ttl, isAlive) =>
      within("acquireLease", repository.acquireLease(id, holder, ttl, isAlive)),
    renewLease: (id, holder, ttl) => within("renewLease", repository.renewLease(id, holder, ttl)),
    releaseLease: (id, holder) => within("releaseLease", repository.releaseLease(id, holder)),
    lease: (id) => within("lease", repository.lease(id))
  }
}

// ---------------------------------------------------------------------------

/** A database that others have locked is tried for 30 seconds. */
const longest = "40 seconds"
