/**
 * The right to write to a session, which keeps two processes from working on one at a time. It runs out unless its holder
 * renews it, and can be taken from a holder that is known to be dead.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { SessionBusyError } from "./ClaudeError.js"

/** Who may write to a session, and until when. */
export interface Lease {
  readonly sessionId: string
  /** Such as `pid@host#start`. */
  readonly holder: string
  /** UTC epoch milliseconds. */
  readonly expiresAt: number
}

/** Whether the process behind a holder still runs. Say true when you cannot know, as for one on another machine. */
export type HolderIsAlive = (holder: string) => boolean | Effect.Effect<boolean>

/** Those of the holders that are dead. Each is asked for once. */
export const deadHolders = (
  holders: Iterable<string>,
  holderIsAlive: HolderIsAlive
): Effect.Effect<ReadonlySet<string>> =>
  Effect.map(
    Effect.filter(new Set(holders), (holder) =>
      Effect.suspend(() => {
        const alive = holderIsAlive(holder)
        return Effect.negate(Effect.isEffect(alive) ? alive : Effect.succeed(alive))
      })),
    (dead) => new Set(dead)
  )

/** When a lease that is taken now runs out. One without end is for as long as a number can say. */
export const expiry = (now: number, ttl: Duration.DurationInput): number =>
  Math.min(Math.ceil(now + Duration.toMillis(ttl)), Number.MAX_SAFE_INTEGER)

/** What everybody else gets while the lease lasts. */
export const busy = ({ expiresAt, holder, sessionId }: Lease): SessionBusyError =>
  new SessionBusyError({
    sessionId,
    holder,
    until: expiresAt,
    hint: "Wait for the other process to finish with it, or fork the session."
  })
