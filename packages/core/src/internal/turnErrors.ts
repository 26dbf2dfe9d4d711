import { type ClaudeError, CliExitError, InvalidOptionsError } from "../ClaudeError.js"

/** The CLI runs a message with the same id once, and says nothing when it comes again. */
export const sentBefore = (turnId: string) =>
  new InvalidOptionsError({
    field: "turnId",
    detail: `the session has had a turn ${turnId}`,
    hint: "Give each turn an id of its own, or none."
  })

export const givenUp = (sessionId: string) =>
  new CliExitError({
    reason: "Interrupted",
    detail: "the turn was given up before it had begun",
    facts: { exitCode: null, signal: null, argv: [], stderrTail: "", sessionId, frames: 0 },
    hint: "Send the prompt again."
  })

/** Crashed or killed, and not refused: asking again can help. */
export const diedByItself = (error: ClaudeError): boolean =>
  error._tag === "MissingResultError" ||
  (error._tag === "CliExitError" && (error.reason === "Killed" || error.reason === "Exited"))
