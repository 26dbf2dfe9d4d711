/** Days of a time zone, out of quarters of an hour. */
import { quarterMs } from "@ccflow/core/UsageFilter"
import type { UsageGroup, UsageSum } from "@ccflow/core/UsageLedger"
import { plus } from "./usageRows.js"

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
