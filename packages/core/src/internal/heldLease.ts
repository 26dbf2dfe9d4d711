import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { SessionBusyError, type SessionStoreError } from "../ClaudeError.js"
import { busy } from "../SessionLease.js"
import type { SessionRepositoryService } from "../SessionRepository.js"
import type { Actor } from "./sessionActor.js"

/** The lease of a session, kept for as long as its session is open here. */
export interface HeldLease {
  /** Takes it, in place of the one before. */
  readonly take: (sessionId: string) => Effect.Effect<void, SessionBusyError | SessionStoreError>
  /** Fails when it was lost meanwhile: what another has done to the session is not known here. */
  readonly assure: Effect.Effect<void, SessionBusyError | SessionStoreError>
  /** The session that it is of. */
  readonly held: () => string | undefined
  readonly release: Effect.Effect<void, SessionStoreError>
}

/** Of what is held while this program lives, and how often it is renewed. */
export const ttl = Duration.seconds(30)
export const heartbeat = Duration.seconds(10)

export const make = (
  repository: SessionRepositoryService,
  actor: Actor
): Effect.Effect<HeldLease, never, Scope.Scope> =>
  Effect.gen(function*() {
    const one = Effect.unsafeMakeSemaphore(1).withPermits(1)
    /** When it was asked for last. */
    let lease: { readonly sessionId: string; readonly at: number } | undefined
    let lost = false

    const renew = (sessionId: string): Effect.Effect<void, SessionStoreError> =>
      Effect.gen(function*() {
        const at = yield* Clock.currentTimeMillis
        if (yield* repository.renewLease(sessionId, actor.name, ttl)) lease = { sessionId, at }
        else lost = true
      })

    const release: Effect.Effect<void, SessionStoreError> = Effect.suspend(() => {
      const before = lease
      lease = undefined
      return before === undefined || lost
        ? Effect.void
        : Effect.asVoid(repository.releaseLease(before.sessionId, actor.name))
    })

    yield* Effect.addFinalizer(() => Effect.ignore(one(release)))
    yield* Effect.forkScoped(
      Effect.forever(Effect.zipRight(
        Effect.sleep(heartbeat),
        // A store that does not answer now may do so the next time: until then the lease runs on.
        Effect.ignore(one(Effect.suspend(() => lease === undefined || lost ? Effect.void : renew(lease.sessionId))))
      ))
    )

    return {
      held: () => lost ? undefined : lease?.sessionId,
      take: (sessionId) =>
        one(Effect.gen(function*() {
          if (lease?.sessionId === sessionId && !lost) return
          const at = yield* Clock.currentTimeMillis
          yield* repository.acquireLease(sessionId, actor.name, ttl, actor.isAlive)
          const before = lost ? undefined : lease
          lost = false
          lease = { sessionId, at }
          if (before !== undefined) yield* Effect.ignore(repository.releaseLease(before.sessionId, actor.name))
        })),
      assure: one(Effect.gen(function*() {
        if (lease === undefined) return
        const { at, sessionId } = lease
        // After a sleep of the machine no heartbeat has told yet.
        const missed = (yield* Clock.currentTimeMillis) - at > 2 * Duration.toMillis(heartbeat)
        if (!lost && missed) yield* renew(sessionId)
        if (!lost) return
        return yield* Effect.fail(
          Option.match(yield* repository.lease(sessionId), {
            onNone: () => new SessionBusyError({ sessionId, hint: "It was: send the prompt again." }),
            onSome: busy
          })
        )
      })),
      release: one(release)
    }
  })
