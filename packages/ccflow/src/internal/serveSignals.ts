import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"

/**
 * Runs a service until SIGTERM or SIGINT. Being told to stop is a service's good end: the exit code is 0 once everything
 * is closed.
 *
 * @internal
 */
export const untilStopped = <E, R>(
  start: Effect.Effect<void, E, R | Scope.Scope>
): Effect.Effect<void, E, Exclude<R, Scope.Scope>> =>
  Effect.scoped(Effect.zipRight(start, Effect.never)).pipe(
    Effect.onExit((exit) => Exit.isInterrupted(exit) ? Effect.sync(endWell) : Effect.void)
  )

// ---------------------------------------------------------------------------

/** The program's end takes an interruption for Ctrl-C. */
const endWell = () => {
  process.once("exit", () => {
    process.exitCode = 0
  })
}
