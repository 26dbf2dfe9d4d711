import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import { InvalidOptionsError } from "../ClaudeError.js"

/** What a variable says, without the space around it. An empty one says nothing. */
export const variable = (name: string): Effect.Effect<string | undefined> =>
  Effect.orElseSucceed(Config.map(Config.nonEmptyString(name), (value) => value.trim()), () => undefined)

/** One of these, in either case. */
export const oneOf = <Name extends string>(
  name: string,
  known: ReadonlyArray<Name>
): Effect.Effect<Name | undefined, InvalidOptionsError> =>
  Effect.flatMap(variable(name), (value) => {
    if (value === undefined) return Effect.succeed(undefined)
    const found = known.find((each) => each === value.toLowerCase())
    return found === undefined ? badVariable(name, `it must be one of ${known.join(", ")}`) : Effect.succeed(found)
  })

/** A number of a kind; what is `wanted` is said of one that is not. */
export const numberIn = (
  name: string,
  wanted: string,
  accepts: (value: number) => boolean
): Effect.Effect<number | undefined, InvalidOptionsError> =>
  Effect.flatMap(variable(name), (text) => {
    const value = text === undefined ? undefined : Number(text)
    return value === undefined || accepts(value) ? Effect.succeed(value) : badVariable(name, `it must be ${wanted}`)
  })

export const isAboveZero = (value: number): boolean => value > 0 && value < Infinity

export const badVariable = (name: string, detail: string): InvalidOptionsError =>
  new InvalidOptionsError({ field: name, detail, hint: "Correct the variable or remove it from the environment." })
