import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { InvalidOptionsError } from "../ClaudeError.js"
import { complaintOf } from "./schemaIssue.js"

const time = (description: string, least: number, most: number) =>
  Schema.declare(
    (value: unknown): value is Duration.DurationInput =>
      Option.exists(Duration.decodeUnknown(value), (duration) => {
        const ms = typeof value === "number" ? value : Duration.toMillis(duration)
        return ms >= least && ms <= most
      }),
    { description: `${description}: milliseconds, or text such as "5 minutes"` }
  )

/** A time that ends. */
export const Time = time("a duration", 0, Number.MAX_VALUE)

export const TimeAboveZero = time("a duration above 0", Number.MIN_VALUE, Number.MAX_VALUE)

/** It may have no end. */
export const Patience = time("a duration, or Infinity", 0, Infinity)

export const PatienceAboveZero = time("a duration above 0", Number.MIN_VALUE, Infinity)

export const Count = Schema.Int.pipe(Schema.positive()).annotations({ description: "a whole number above 0" })

export const CountFromZero = Schema.Int.pipe(Schema.nonNegative()).annotations({ description: "a whole number" })

export const Amount = Schema.Number.pipe(Schema.positive(), Schema.finite()).annotations({
  description: "a number above 0"
})

export const Callback = Schema.declare(Predicate.isFunction, { description: "a function" })

/** Options of a policy that are known to be good; `policy` is their name where a client has them, else empty. */
export const checked = <A>(schema: Schema.Schema<A>, policy: string) => {
  const validate = Schema.validateEither(schema, { onExcessProperty: "error" })
  return <Given>(options: Given): Either.Either<Given, InvalidOptionsError> =>
    Either.mapBoth(validate(options), {
      onLeft: (error) => {
        const { detail, field } = complaintOf(error)
        return new InvalidOptionsError({
          field: [policy, field].filter((name) => name !== "").join("."),
          detail,
          hint: "Left out it has its default."
        })
      },
      onRight: () => options
    })
}

/** A layer of which the options are read from the program's configuration. */
export const configured =
  <Options, Out, E, R>(layer: (options?: Options) => Layer.Layer<Out, E, R>) =>
  (config: Config.Config.Wrap<Options>): Layer.Layer<Out, E | ConfigError, R> =>
    Layer.unwrapEffect(Effect.map(Config.unwrap(config), layer))
