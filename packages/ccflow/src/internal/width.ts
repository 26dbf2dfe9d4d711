/** One thing that a reader takes for a character, and how many cells of a terminal it fills. */
export interface Cluster {
  readonly text: string
  readonly width: number
}

export const clusters = (text: string): ReadonlyArray<Cluster> =>
  ascii.test(text)
    ? Array.from(text, (character) => ({ text: character, width: 1 }))
    : Array.from(segmenter.segment(text), ({ segment }) => ({ text: segment, width: clusterWidth(segment) }))

export const widthOf = (text: string): number =>
  ascii.test(text) ? text.length : clusters(text).reduce((sum, { width }) => sum + width, 0)

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

const clusterWidth = (cluster: string): number => {
  if (pictures.test(cluster)) return 2
  const code = cluster.codePointAt(0) ?? 0
  if (wide.some(([from, to]) => code >= from && code <= to)) return 2
  return invisible.test(cluster) ? 0 : 1
}

const pictures = /\p{Emoji_Presentation}|\p{Extended_Pictographic}\uFE0F|[#*0-9]\uFE0F\u20E3/u
const invisible = /^[\p{Mn}\p{Me}\p{Cf}\p{Cc}\p{Zl}\p{Zp}]/u

/** Blocks of East Asian characters that take two cells. */
const wide: ReadonlyArray<readonly [number, number]> = [
  [0x1100, 0x115F],
  [0x2E80, 0x303E],
  [0x3041, 0x4DBF],
  [0x4E00, 0xA4CF],
  [0xA960, 0xA97C],
  [0xAC00, 0xD7A3],
  [0xF900, 0xFAFF],
  [0xFE10, 0xFE19],
  [0xFE30, 0xFE6B],
  [0xFF01, 0xFF60],
  [0xFFE0, 0xFFE6],
  [0x16FE0, 0x18CFF],
  [0x1AFF0, 0x1B2FB],
  [0x1F200, 0x1F265],
  [0x20000, 0x3FFFD]
]
