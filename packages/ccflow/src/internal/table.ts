import { oneLine } from "./safe.js"
import { clipped, padded, widthOf } from "./width.js"

export interface Column {
  readonly title: string
  readonly side?: "left" | "right"
  /** Gives way when there is not enough room. Of several, the widest first. */
  readonly grows?: boolean
}

/** Of figures. */
export const right = (title: string): Column => ({ title, side: "right" })

/** One that gives way. */
export const grows = (title: string): Column => ({ title, grows: true })

/**
 * Rows under a heading, each on one line that can steer no terminal. They are as wide as there is room: by default the
 * terminal, and where there is none, anything.
 */
export const render = (
  titles: ReadonlyArray<string | Column>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  room = process.stdout.isTTY === true ? process.stdout.columns || 80 : Infinity
): string => {
  const columns = titles.map((title): Column => typeof title === "string" ? { title } : title)
  const cells = rows.map((row) => row.map(oneLine))
  const all = columns.some(({ title }) => title !== "") ? [columns.map(({ title }) => title), ...cells] : cells
  const widths = columns.map((_, index) => Math.max(0, ...all.map((row) => widthOf(row[index] ?? ""))))
  let excess = widths.reduce((sum, width) => sum + width, 0) + gap.length * (columns.length - 1) - room
  for (const widest of columns.flatMap(({ grows = false }, index) => grows ? [index] : [])) {
    const given = Math.max(0, Math.min(excess, (widths[widest] ?? 0) - least))
    widths[widest] = (widths[widest] ?? 0) - given
    excess -= given
  }
  const shown = (row: ReadonlyArray<string>) =>
    row.map((cell, index) => padded(clipped(cell, widths[index] ?? 0), widths[index] ?? 0, columns[index]?.side))
      .join(gap).trimEnd()
  return all.map((row) => `${clipped(shown(row), room)}\n`).join("")
}

// ---------------------------------------------------------------------------

const gap = "  "
const least = 8
