import * as Cause from "effect/Cause"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"

/** What a handler of the program failed with, as a sentence for the model: its message, and no stack. */
export const causeText = (cause: Cause.Cause<unknown>): string =>
  Option.match(Option.orElse(Cause.failureOption(cause), () => Cause.dieOption(cause)), {
    onNone: () => "it was interrupted",
    onSome: (error) => brief(textOf(error))
  })

// ---------------------------------------------------------------------------

const textOf = (error: unknown): string => {
  if (typeof error === "string") return error
  if (Predicate.hasProperty(error, "message") && typeof error.message === "string" && error.message !== "") {
    return error.message
  }
  return Predicate.hasProperty(error, "_tag") && typeof error._tag === "string" ? error._tag : "it gave no reason"
}

const brief = (text: string): string => text.length <= longest ? text : `${text.slice(0, longest)}…`

const longest = 2000
