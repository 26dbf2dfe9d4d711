import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ClaudeError } from "../ClaudeError.js"
import type { CallOutcome } from "../Events.js"
import type { Message, Result } from "../Message.js"
import type { End, Open } from "./streamed.js"

/** Who looks on at a run. */
export interface Onlooker {
  readonly begin?: () => void
  readonly see?: ((batch: ReadonlyArray<Message>) => void) | undefined
  /** Once. The result is that of the user's prompt, where there is one; a failure that is of no type is `defect`. */
  readonly end: (outcome: CallOutcome, result: Result | undefined, failure: ClaudeError | "defect" | undefined) => void
  /** Nothing is left of the run. It comes last. */
  readonly gone?: () => void
}

/**
 * A run that somebody looks on at. It ends with its end or failure, or when whoever reads it has left: who has the answer,
 * and does not wait for what comes after it, leaves nothing unfinished.
 */
export const lookedOnAt = (open: Open, onlooker: Onlooker): Open =>
  Effect.suspend(() => {
    let result: Result | undefined
    let over = false
    const end = (outcome: CallOutcome, failure?: ClaudeError | "defect") => {
      if (over) return
      over = true
      onlooker.end(outcome, result, failure)
    }
    const well = () => end(result?.interrupted === true ? "interrupted" : "success")
    const failed = (cause: Cause.Cause<ClaudeError | End>) =>
      Effect.sync(() => {
        // Whoever interrupts it closes it as well.
        if (Cause.isInterruptedOnly(cause)) return
        const failure = Option.getOrUndefined(Cause.failureOption(cause))
        if (failure === undefined) return end("failure", "defect")
        const error = Option.isOption(failure) ? Option.getOrUndefined(failure) : failure
        if (error === undefined) return well()
        if (error._tag === "CliExitError" && error.reason === "Interrupted") return end("interrupted")
        end("failure", error)
      })
    const looked = Effect.acquireRelease(
      Effect.sync(() => onlooker.begin?.()),
      () =>
        Effect.sync(() => {
          if (result === undefined || result.isError) end("interrupted")
          else well()
          onlooker.gone?.()
        })
    )
    return Effect.zipRight(looked, Effect.tapErrorCause(open, failed)).pipe(Effect.map((pull) => {
      const told = Effect.tapErrorCause(pull, failed)
      return onlooker.see === undefined ? told : Effect.map(told, (batch) => {
        for (const message of batch) if (message._tag === "Result" && message.origin === undefined) result = message
        onlooker.see?.(batch)
        return batch
      })
    }))
  })
