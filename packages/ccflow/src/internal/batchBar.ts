import type { BatchProgress } from "@ccflow/core/Batch"
import { dollars } from "./slash.js"
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
  const { cancelled, completed, costUsd, failed, parkedUntil, running, total } = progress
  const ended = completed + failed + cancelled
  const parts = [
    total === undefined ? `${ended} done` : `${ended}/${total} done`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(cancelled > 0 ? [`${cancelled} cancelled`] : []),
    `${running} running`,
    ...rate(progress, now),
    dollars(costUsd),
    ...(parkedUntil === undefined || parkedUntil <= now
      ? left(progress, now)
      : [`parked until ${clock(parkedUntil, now)}`])
  ].join(" · ")
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

/** Of this run alone, once there is something to measure. */
const perMs = ({ cancelled, completed, earlier, failed, startedAt }: Progress, now: number): number => {
  const ended = completed + failed + cancelled - earlier
  return ended > 0 && now > startedAt ? ended / (now - startedAt) : 0
}

const rate = (progress: Progress, now: number): ReadonlyArray<string> => {
  const speed = perMs(progress, now)
  if (speed === 0) return []
  const second = speed * 1000
  return second >= 1 ? [`${second.toFixed(1)}/s`] : [`${(second * 60).toFixed(1)}/min`]
}

const left = (progress: Progress, now: number): ReadonlyArray<string> => {
  const { cancelled, completed, failed, total } = progress
  const speed = perMs(progress, now)
  if (total === undefined || speed === 0) return []
  return [`${span((total - completed - failed - cancelled) / speed)} left`]
}

/** As the clock on the wall has it. */
const clock = (epochMillis: number, now: number): string => {
  const date = new Date(epochMillis)
  const time = `${String(date.getHours()).padStart(2, "0")}:${String(date.getMinutes()).padStart(2, "0")}`
  return date.toDateString() === new Date(now).toDateString() ? time : `${date.toDateString().slice(4, 10)} ${time}`
}
