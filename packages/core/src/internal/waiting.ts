import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import { CliExitError } from "../ClaudeError.js"
import type { Wait } from "../Policy.js"

/** Nobody interrupts: it waits as it is. */
export const patiently: Wait = identity

/** Waits until this completes. The call is given up then: it has not begun, and nothing of it was sent. */
export const waitUnless = (interrupted: Effect.Effect<unknown> | undefined): Wait =>
  interrupted === undefined
    ? patiently
    : (effect) => Effect.raceFirst(effect, Effect.zipRight(interrupted, Effect.suspend(() => givenUp(""))))

export const givenUp = (sessionId: string) =>
  new CliExitError({
    reason: "Interrupted",
    detail: "the turn was given up before it had begun",
    facts: { exitCode: null, signal: null, argv: [], stderrTail: "", sessionId, frames: 0 },
    hint: "Send the prompt again."
  })
