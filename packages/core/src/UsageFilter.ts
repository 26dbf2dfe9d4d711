/** Which usage is asked for, and by what it is summed up: what every ledger accepts, and what a day is. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { SessionStoreError } from "./ClaudeError.js"
import { checked } from "./SessionRecord.js"

/** By what sums are made. A day is one of the time zone that is given; an entry of many tags is in the sum of each. */
export const UsageKey = Schema.Literal("day", "model", "session", "tag", "batch")
export type UsageKey = typeof UsageKey.Type

/** All conditions that are given must hold. */
export const UsageFilter = Schema.Struct({
  /** UTC epoch milliseconds: from here on. */
  since: Schema.optional(Schema.Finite),
  /** UTC epoch milliseconds: before this. */
  until: Schema.optional(Schema.Finite),
  model: Schema.optional(Schema.String),
  sessionId: Schema.optional(Schema.String),
  tag: Schema.optional(Schema.String),
  batchId: Schema.optional(Schema.String)
})
export type UsageFilter = typeof UsageFilter.Type

/** Entries of one page. */
export const PageLimit = Schema.Int.pipe(Schema.between(1, 1000))

/** A filter that any store can be asked with, or the error that says what is wrong with it. */
export const checkFilter = (operation: string, filter: UsageFilter): Effect.Effect<UsageFilter, SessionStoreError> =>
  Effect.as(checked(operation, UsageFilter, filter), filter)

/** In milliseconds: no time zone is off by less than a quarter of an hour, so that days can be made of these. */
export const quarterMs = 15 * 60_000

/** The day of a moment, such as `2026-11-22`. Fails for what is no time zone; left out, it is the host's. */
export const dayIn = (timeZone: string | undefined): Effect.Effect<(at: number) => string, SessionStoreError> =>
  Option.match(timeZone === undefined ? Option.some(DateTime.zoneMakeLocal()) : DateTime.zoneMakeNamed(timeZone), {
    onSome: (zone) => Effect.succeed((at) => DateTime.formatIsoDate(DateTime.unsafeMakeZoned(at, { timeZone: zone }))),
    onNone: () =>
      new SessionStoreError({
        operation: "by",
        reason: "Other",
        detail: `"${timeZone}" is no time zone`,
        hint: "Give one such as Europe/Berlin; without one it is the host's."
      })
  })
