import type { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as Predicate from "effect/Predicate"
import { invalidOption } from "./invalidOption.js"

/** What of a call its caller can end. */
export interface Aborting {
  readonly signal?: AbortSignal | undefined
}

/**
 * What is wrong with options before any of them is looked at: programs without types may give anything. From what is no
 * signal, such as the controller, nobody would ever hear.
 */
export const wrongIn = (options: object, name = "options"): InvalidOptionsError | undefined => {
  if (!Predicate.isRecord(options)) {
    return invalidOption(name, "it must be an object", "Give an object, or nothing for the defaults.")
  }
  return options["signal"] === undefined || Predicate.hasProperty(options["signal"], "addEventListener")
    ? undefined
    : invalidOption(
      "signal",
      "it must be an AbortSignal",
      "Give the signal of an AbortController, or AbortSignal.timeout(ms)."
    )
}

/** The options, or what is wrong with them thrown. */
export const checked = <Options extends object>(options: Options, name?: string): Options => {
  const wrong = wrongIn(options, name)
  if (wrong !== undefined) throw wrong
  return options
}
