import { type InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { invalidOption } from "./invalidOption.js"

/** A day, a moment, or how long ago. In UTC epoch milliseconds. */
export const sinceOf = (
  text: string,
  now: number,
  option = "--since"
): Effect.Effect<number, InvalidOptionsError> => {
  const [, count = "", unit = ""] = /^(\d+)\s*([mhdw])$/.exec(text.trim()) ?? []
  const at = unit === "" ? dayOf(text.trim()) : now - Number(count) * (units[unit] ?? NaN)
  return Number.isFinite(at)
    ? Effect.succeed(at)
    : invalidOption(
      option,
      `"${text}" is no time`,
      "Write a day such as 2026-11-22, or how long ago: 30m, 12h, 7d, 2w."
    )
}

/** The end of it: of a day that is all of it, its last moment included. */
const untilOf = (text: string, now: number): Effect.Effect<number, InvalidOptionsError> =>
  Effect.map(sinceOf(text, now, "--until"), (at) => /^\d{4}-\d\d-\d\d$/.test(text.trim()) ? dayAfter(at) : at)

/** From the one on, before the other, as `--since` and `--until` say. */
export const periodOf = (
  { since, until }: { readonly since: string | undefined; readonly until?: string | undefined }
): Effect.Effect<{ readonly since: number | undefined; readonly until: number | undefined }, InvalidOptionsError> =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const from = since === undefined ? undefined : yield* sinceOf(since, now)
    const to = until === undefined ? undefined : yield* untilOf(until, now)
    return from !== undefined && to !== undefined && from >= to ? yield* backwards : { since: from, until: to }
  })

/** As the clock on the wall has it. */
export const local = (epochMillis: number): string => {
  const date = new Date(epochMillis)
  const two = (value: number) => String(value).padStart(2, "0")
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ` +
    `${two(date.getHours())}:${two(date.getMinutes())}`
}

// ---------------------------------------------------------------------------

const minute = 60_000
const units: Readonly<Record<string, number>> = {
  m: minute,
  h: 60 * minute,
  d: 24 * 60 * minute,
  w: 7 * 24 * 60 * minute
}

/** A day alone begins where its reader is, and not in Greenwich. The 31st of a shorter month is none. */
const dayOf = (text: string): number => {
  const [day = ""] = /^\d{4}-\d\d-\d\d/.exec(text) ?? []
  const isDay = day !== "" && new Date(`${day}T00:00Z`).getUTCDate() === Number(day.slice(8))
  return isDay ? Date.parse(text === day ? `${day}T00:00` : text) : NaN
}

/** Some days are longer than others. */
const dayAfter = (at: number): number => {
  const date = new Date(at)
  return date.setDate(date.getDate() + 1)
}

const backwards = invalidOption(
  "--until",
  "it is not after --since",
  "Give a later time, or leave it out for all until now."
)
