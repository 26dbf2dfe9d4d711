import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { InvalidOptionsError } from "../ClaudeError.js"

/** What a variable says, without the space around it. An empty one says nothing. @internal */
export const variable = (name: string): Effect.Effect<string | undefined> =>
  Config.option(Config.nonEmptyString(name)).pipe(
    Effect.orElseSucceed(Option.none<string>),
    Effect.map((found) => Option.getOrUndefined(Option.map(found, (value) => value.trim())))
  )

/** One of these, in either case. @internal */
export const oneOf = <Name extends string>(
  name: string,
  known: ReadonlyArray<Name>
): Effect.Effect<Name | undefined, InvalidOptionsError> =>
  Effect.flatMap(variable(name), (value) => {
    if (value === undefined) return Effect.succeed(undefined)
    const found = known.find((each) => each === value.toLowerCase())
    return found === undefined ? badVariable(name, `it must be one of ${known.join(", ")}`) : Effect.succeed(found)
  })

/** @internal */
export const badVariable = (name: string, detail: string): InvalidOptionsError =>
  new InvalidOptionsError({
    field: name,
    detail,
    hint: "Correct the variable or remove it from the environment."
  })
