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
  if (Number.isFinite(at)) return Effect.succeed(at)
  const hint = "Write a day such as 2026-11-22, or how long ago: 30m, 12h, 7d, 2w."
  return invalidOption(option, `"${text}" is no time`, hint)
}

/** From the one on, before the other, as `--since` and `--until` say. */
export const periodOf = (
  { since, until }: { readonly since: string | undefined; readonly until?: string | undefined }
): Effect.Effect<{ readonly since: number | undefined; readonly until: number | undefined }, InvalidOptionsError> =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const from = since === undefined ? undefined : yield* sinceOf(since, now)
    const to = until === undefined ? undefined : endOf(until, yield* sinceOf(until, now, "--until"))
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

/** In milliseconds. */
const units: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

/** A day alone begins where its reader is, and not in Greenwich. The 31st of a shorter month is none. */
const dayOf = (text: string): number => {
  const [day = ""] = /^\d{4}-\d\d-\d\d/.exec(text) ?? []
  const isDay = day !== "" && new Date(`${day}T00:00Z`).getUTCDate() === Number(day.slice(8))
  return isDay ? Date.parse(text === day ? `${day}T00:00` : text) : NaN
}

/** Of a day it is all of it, its last moment included. Some days are longer than others. */
const endOf = (text: string, at: number): number =>
  /^\d{4}-\d\d-\d\d$/.test(text.trim()) ? new Date(at).setDate(new Date(at).getDate() + 1) : at

const backwards = invalidOption(
  "--until",
  "it is not after --since",
  "Give a later time, or leave it out for all until now."
)
