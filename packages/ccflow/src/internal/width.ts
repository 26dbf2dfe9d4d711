import stringWidth from "string-width"

/** One thing that a reader takes for a character, and how many cells of a terminal it fills. */
export interface Cluster {
  readonly text: string
  readonly width: number
}

export const clusters = (text: string): ReadonlyArray<Cluster> =>
  ascii.test(text)
    ? Array.from(text, (character) => ({ text: character, width: 1 }))
    : Array.from(segmenter.segment(text), ({ segment }) => ({ text: segment, width: widthOf(segment) }))

/** What could steer a terminal is not expected, and counted as it is written. */
export const widthOf = (text: string): number => stringWidth(text, { countAnsiEscapeCodes: true })

/** What there is room for; the end is marked when something had to go. */
export const clipped = (text: string, room: number): string => {
  if (widthOf(text) <= room) return text
  let kept = ""
  let width = 0
  for (const cluster of clusters(text)) {
    if (width + cluster.width > room - 1) break
    kept += cluster.text
    width += cluster.width
  }
  return room < 1 ? "" : `${kept}…`
}

/** Filled up with spaces. */
export const padded = (text: string, width: number, side: "left" | "right" = "left"): string => {
  const space = " ".repeat(Math.max(0, width - widthOf(text)))
  return side === "left" ? text + space : space + text
}

// ---------------------------------------------------------------------------

const ascii = /^[\x20-\x7E]*$/
const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" })
