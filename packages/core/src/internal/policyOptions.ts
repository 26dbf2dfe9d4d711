import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { InvalidOptionsError } from "../ClaudeError.js"
import { complaintOf } from "./schemaIssue.js"

const lasts = (least: number) => (value: unknown): value is Duration.DurationInput =>
  Option.exists(Duration.decodeUnknown(value), (duration) => {
    const ms = typeof value === "number" ? value : Duration.toMillis(duration)
    return ms >= least && ms < Infinity
  })

/** A time that ends. @internal */
export const Time = Schema.declare(lasts(0), { description: "a duration: milliseconds, or text such as \"5 minutes\"" })

/** @internal */
export const TimeAboveZero = Schema.declare(lasts(Number.MIN_VALUE), {
  description: "a duration above 0: milliseconds, or text such as \"5 minutes\""
})

/** @internal */
export const Count = Schema.Int.pipe(Schema.positive()).annotations({ description: "a whole number above 0" })

/** @internal */
export const CountFromZero = Schema.Int.pipe(Schema.nonNegative()).annotations({ description: "a whole number" })

/** @internal */
export const Amount = Schema.Number.pipe(Schema.positive(), Schema.finite()).annotations({
  description: "a number above 0"
})

/** @internal */
export const Callback = Schema.declare(Predicate.isFunction, { description: "a function" })

/**
 * Options of a policy that are known to be good; `policy` is their name where a client has them.
 *
 * @internal
 */
export const checked = <A>(schema: Schema.Schema<A>, policy: string) => {
  const validate = Schema.validateEither(schema, { onExcessProperty: "error" })
  return <Given>(options: Given): Either.Either<Given, InvalidOptionsError> =>
    Either.mapBoth(validate(options), {
      onLeft: (error) => {
        const { detail, field } = complaintOf(error)
        return new InvalidOptionsError({
          field: field === "" ? policy : `${policy}.${field}`,
          detail,
          hint: "Left out it has its default."
        })
      },
      onRight: () => options
    })
}
