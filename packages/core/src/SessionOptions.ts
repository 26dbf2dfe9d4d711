/** What a session and its turns can be asked to do, beside what a query can. */
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { ClaudeOptions } from "./Claude.js"
import { InvalidOptionsError } from "./ClaudeError.js"
import { Count } from "./internal/policyOptions.js"
import { complaintOf } from "./internal/schemaIssue.js"

const Time = Schema.declare(
  (value: unknown): value is Duration.DurationInput => Option.isSome(Duration.decodeUnknown(value)),
  { identifier: "Time", description: "a duration: milliseconds, or text such as \"5 minutes\"" }
)

/** How long a session's process lives, and what is kept of its turns. */
export const Lifetime = Schema.Struct({
  /**
   * Without a turn, until the process is closed. The session stays. Default: 10 minutes. A turn whose consumer takes
   * nothing for as long, while the CLI waits for it, is interrupted.
   */
  idleTimeout: Schema.optional(Time),
  /** What wears a process out: it is replaced between two turns. Defaults: 6 hours, 200 turns, 1 GiB. */
  recycleAfter: Schema.optional(Schema.Struct({
    age: Schema.optional(Time),
    turns: Schema.optional(Count),
    /** Observed on Linux alone. The CLI was seen to hold 160 MB at first and 240 after 50 turns. */
    memoryBytes: Schema.optional(Count)
  })),
  /** Where there is a `SessionRepository`: also every message, and not only each turn's prompt and answer. */
  recordMessages: Schema.optional(Schema.Boolean)
})
export interface Lifetime extends Schema.Schema.Type<typeof Lifetime> {}

/** The options of a session are those of a query, for all its turns; `timeout` is each turn's. */
export interface SessionOptions extends Omit<ClaudeOptions, "interruptWhen">, Lifetime {}

/** The options of one turn that are data. */
export const TurnSettings = Schema.Struct({
  /** The turn's id, a UUID, here, in the records and in the CLI's transcript. Left out, it gets a new one. */
  turnId: Schema.optional(Schema.UUID.annotations({ description: "a UUID" })),
  /** Data for the model to know, added to the prompt. */
  context: Schema.optional(Schema.Unknown),
  timeout: Schema.optional(Time),
  stallTimeout: Schema.optional(Time)
})
export interface TurnSettings extends Schema.Schema.Type<typeof TurnSettings> {}

/** The options of one turn. */
export interface TurnOptions extends TurnSettings, Pick<ClaudeOptions, "interruptWhen"> {}

const decoding = <A, I>(schema: Schema.Schema<A, I>) => {
  const validate = Schema.validateEither(schema, { onExcessProperty: "error" })
  return (options: unknown): Either.Either<A, InvalidOptionsError> =>
    Either.mapLeft(validate(options), (error) => {
      const { detail, field } = complaintOf(error)
      return new InvalidOptionsError({ field: field === "" ? "options" : field, detail, hint: "See SessionOptions." })
    })
}

/** Turn options that are known to be good. */
export const decodeTurn = decoding(TurnSettings)

/** Lifetimes that are known to be good. */
export const decodeLifetime = decoding(Lifetime)
