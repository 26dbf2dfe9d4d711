import type { BatchProgress } from "@ccflow/core/Batch"
import { dollars } from "./amounts.js"
import { clipped } from "./width.js"

/** How far a batch is, and how much of it there is. */
export interface Progress
  extends Pick<BatchProgress, "running" | "completed" | "failed" | "cancelled" | "costUsd" | "startedAt">
{
  /** Unknown while the input has not ended. */
  readonly total: number | undefined
  /** Ended by earlier runs: they say nothing of how fast this one is. */
  readonly earlier: number
  readonly parkedUntil: number | undefined
}

/** One line that says it, in so many cells. */
export const line = (progress: Progress, now: number, room: number): string => {
  const { cancelled, completed, costUsd, earlier, failed, parkedUntil, running, startedAt, total } = progress
  const ended = completed + failed + cancelled
  // Of this run alone, once there is something to measure.
  const perMs = ended > earlier && now > startedAt ? (ended - earlier) / (now - startedAt) : 0
  const left = total === undefined || perMs === 0 ? "" : `${span((total - ended) / perMs)} left`
  const parts = [
    total === undefined ? `${ended} done` : `${ended}/${total} done`,
    failed > 0 ? `${failed} failed` : "",
    cancelled > 0 ? `${cancelled} cancelled` : "",
    `${running} running`,
    perMs === 0 ? "" : rate(perMs * 1000),
    dollars(costUsd),
    parkedUntil === undefined || parkedUntil <= now ? left : `parked until ${clock(parkedUntil, now)}`
  ].filter((part) => part !== "").join(" · ")
  const bar = total === undefined || room < parts.length + barCells + 3 ? "" : `${drawn(ended, total)} `
  return clipped(`${bar}${parts}`, room)
}

/** A span of time in words as short as they can be. */
export const span = (ms: number): string => {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.round(hours / 24)} days`
}

// ---------------------------------------------------------------------------

const barCells = 20

const drawn = (ended: number, total: number): string => {
  const full = total === 0 ? barCells : Math.min(barCells, Math.floor((ended / total) * barCells))
  return `[${"#".repeat(full)}${"-".repeat(barCells - full)}]`
}

const rate = (perSecond: number): string =>
  perSecond >= 1 ? `${perSecond.toFixed(1)}/s` : `${(perSecond * 60).toFixed(1)}/min`

/** As the clock on the wall has it. */
const clock = (epochMillis: number, now: number): string => {
  const date = new Date(epochMillis)
  const time = date.toTimeString().slice(0, 5)
  return date.toDateString() === new Date(now).toDateString() ? time : `${date.toDateString().slice(4, 10)} ${time}`
}
