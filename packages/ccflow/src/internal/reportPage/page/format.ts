import { count } from "../../amounts.js"

export const percent = (part: number, whole: number): string =>
  whole === 0 ? "–" : `${(100 * part / whole).toFixed(1)} %`

export const duration = (ms: number | undefined): string => {
  if (ms === undefined) return "–"
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`
  const seconds = Math.round(ms / 1_000)
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60]
  return hours > 0 ? `${count(hours)} h ${minutes} min` : `${minutes} min ${seconds % 60} s`
}

export const moment = (at: number): string =>
  new Date(at).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" })

/** As Swedes write it: `2026-11-22`, where the reader is. */
export const dayOf = (at: number): string => new Date(at).toLocaleDateString("sv-SE")

/** Every day from the first to the last, also those on which nothing happened; too many of those are left out. */
export const everyDay = (days: ReadonlyArray<string>): ReadonlyArray<string> => {
  const [first, last] = [days[0], days.at(-1)]
  if (first === undefined || last === undefined) return []
  const all: Array<string> = []
  for (let at = Date.parse(`${first}T12:00Z`); all.length <= 800; at += 86_400_000) {
    const day = new Date(at).toISOString().slice(0, 10)
    if (day > last) return all
    all.push(day)
  }
  return days
}
