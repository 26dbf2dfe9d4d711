import * as Options from "@effect/cli/Options"
import * as Option from "effect/Option"

/** An option that can be left out: it is undefined then. */
export const optional = <A>(option: Options.Options<A>, description: string): Options.Options<A | undefined> =>
  option.pipe(Options.withDescription(description), Options.optional, Options.map(Option.getOrUndefined))

export const withDefault = <A>(option: Options.Options<A>, fallback: A, description: string): Options.Options<A> =>
  option.pipe(Options.withDescription(description), Options.withDefault(fallback))

export const text = (name: string, description: string) => optional(Options.text(name), description)

export const count = (name: string, description: string) => optional(Options.integer(name), description)

export const flag = (name: string, description: string) =>
  Options.boolean(name).pipe(Options.withDescription(description))
