/** Days of a time zone, out of quarters of an hour: no zone is off by less than those. */
import { SessionStoreError } from "@ccflow/core/ClaudeError"
import type { UsageGroup, UsageSum } from "@ccflow/core/UsageLedger"
import * as Effect from "effect/Effect"
import { plus } from "./usageRows.js"

/** @internal */
export const quarterMs = 15 * 60_000

/** The day of a moment, such as `2026-11-22`. Fails for what is no time zone; left out, the host's. @internal */
export const dayIn = (timeZone: string | undefined): Effect.Effect<(at: number) => string, SessionStoreError> =>
  Effect.try({
    try: () => {
      const format = new Intl.DateTimeFormat("en-US", {
        timeZone,
        calendar: "gregory",
        numberingSystem: "latn",
        year: "numeric",
        month: "2-digit",
        day: "2-digit"
      })
      return (at) => {
        const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, value]))
        return `${(parts.get("year") ?? "").padStart(4, "0")}-${parts.get("month")}-${parts.get("day")}`
      }
    },
    catch: () =>
      new SessionStoreError({
        operation: "by",
        reason: "Other",
        detail: `"${timeZone}" is no time zone`,
        hint: "Give one such as Europe/Berlin; without one it is the host's."
      })
  })

/** Sums of quarters, in their order, as sums of days. @internal */
export const daysOf = (
  quarters: ReadonlyArray<readonly [quarter: number, sum: UsageSum]>,
  day: (at: number) => string
): ReadonlyArray<UsageGroup> => {
  const days = new Map<string, UsageSum>()
  for (const [quarter, sum] of quarters) {
    const key = day(quarter * quarterMs)
    const found = days.get(key)
    days.set(key, found === undefined ? sum : plus(found, sum))
  }
  return [...days].map(([key, sum]) => ({ key, ...sum }))
}
