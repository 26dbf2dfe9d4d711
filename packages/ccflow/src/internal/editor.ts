import { printable } from "./safe.js"
import { clusters } from "./width.js"

/** The line that is being written: it can have line breaks. */
export interface Edited {
  readonly text: string
  /** In UTF-16 code units, always between two characters. */
  readonly cursor: number
  /** Which entry of the history is shown; its length for the new line. */
  readonly place: number
  /** The new line, while an older one is shown. */
  readonly draft: string
  /** What was cut last. */
  readonly cut: string
}

/** A key, as `node:readline` names it. */
export interface Key {
  readonly text: string
  readonly name: string
  readonly ctrl: boolean
  readonly meta: boolean
}

export const empty = (history: ReadonlyArray<string>): Edited => ({
  text: "",
  cursor: 0,
  place: history.length,
  draft: "",
  cut: ""
})

/** What stands before the line. */
export const prompt = "> "

/** What a key makes of the line. Keys that mean nothing here change nothing. */
export const press = (line: Edited, key: Key, history: ReadonlyArray<string>, columns: number): Edited => {
  const { cursor, text } = line
  switch (nameOf(key)) {
    case "left":
    case "ctrl-b":
      return { ...line, cursor: before(text, cursor) }
    case "right":
    case "ctrl-f":
      return { ...line, cursor: after(text, cursor) }
    case "meta-b":
    case "ctrl-left":
    case "meta-left":
      return { ...line, cursor: wordBefore(text, cursor) }
    case "meta-f":
    case "ctrl-right":
    case "meta-right":
      return { ...line, cursor: wordAfter(text, cursor) }
    case "home":
    case "ctrl-a":
      return { ...line, cursor: startOfLine(text, cursor) }
    case "end":
    case "ctrl-e":
      return { ...line, cursor: endOfLine(text, cursor) }
    case "backspace":
    case "ctrl-h":
      return without(line, before(text, cursor), cursor)
    case "delete":
    case "ctrl-d":
      return without(line, cursor, after(text, cursor))
    case "ctrl-w":
    case "meta-backspace":
      return cutOut(line, wordBefore(text, cursor), cursor)
    case "meta-d":
      return cutOut(line, cursor, wordAfter(text, cursor))
    case "ctrl-u":
      return cutOut(line, startOfLine(text, cursor), cursor)
    case "ctrl-k":
      return cutOut(line, cursor, text[cursor] === "\n" ? cursor + 1 : endOfLine(text, cursor))
    case "ctrl-y":
      return inserted(line, line.cut)
    case "meta-return":
    case "meta-enter":
    case "enter":
      return inserted(line, "\n")
    case "up":
    case "ctrl-p":
      return moved(line, -1, columns) ?? shown(line, line.place - 1, history)
    case "down":
    case "ctrl-n":
      return moved(line, 1, columns) ?? shown(line, line.place + 1, history)
    case "tab":
      return inserted(line, "\t")
    default:
      return key.ctrl || key.meta ? line : inserted(line, key.text)
  }
}

export const inserted = (line: Edited, text: string): Edited => {
  const clean = printable(text.replace(/\r\n?/g, "\n"))
  return {
    ...line,
    text: line.text.slice(0, line.cursor) + clean + line.text.slice(line.cursor),
    cursor: line.cursor + clean.length
  }
}

/**
 * The line as rows of a terminal, where the cursor is in them, and the place of every character and of the end. Broken
 * here and not by the terminal, whose own breaking differs from one to the next. Every row begins with a margin as wide
 * as the prompt.
 */
export const layout = ({ cursor, text }: Pick<Edited, "cursor" | "text">, columns: number) => {
  const room = Math.max(2, columns - prompt.length - 1)
  const margin = " ".repeat(prompt.length)
  const rows: Array<string> = [prompt]
  const places: Array<{ readonly offset: number; readonly row: number; readonly column: number }> = []
  let width = 0
  let offset = 0
  const place = () => places.push({ offset, row: rows.length - 1, column: prompt.length + width })
  const nextRow = () => {
    rows.push(margin)
    width = 0
  }
  for (const cluster of clusters(text)) {
    const [shows, wide] = cluster.text === "\t" ? ["    ", 4] : [cluster.text, cluster.width]
    if (cluster.text !== "\n" && width + wide > room) nextRow()
    place()
    offset += cluster.text.length
    if (cluster.text === "\n") nextRow()
    else {
      rows[rows.length - 1] += shows
      width += wide
    }
  }
  place()
  const { column, row } = places.find(({ offset }) => offset >= cursor) ?? { column: prompt.length, row: 0 }
  return { rows, row, column, places }
}

// ---------------------------------------------------------------------------

const nameOf = ({ ctrl, meta, name }: Key): string => `${ctrl ? "ctrl-" : ""}${meta ? "meta-" : ""}${name}`

const before = (text: string, cursor: number): number =>
  cursor - (clusters(text.slice(0, cursor)).at(-1)?.text.length ?? 0)

const after = (text: string, cursor: number): number => cursor + (clusters(text.slice(cursor))[0]?.text.length ?? 0)

const wordBefore = (text: string, cursor: number): number =>
  text.slice(0, cursor).replace(/[\p{L}\p{M}\p{N}_]*[^\p{L}\p{M}\p{N}_]*$/u, "").length

const wordAfter = (text: string, cursor: number): number =>
  cursor + (/^[^\p{L}\p{M}\p{N}_]*[\p{L}\p{M}\p{N}_]*/u.exec(text.slice(cursor))?.[0].length ?? 0)

const startOfLine = (text: string, cursor: number): number => text.lastIndexOf("\n", cursor - 1) + 1

const endOfLine = (text: string, cursor: number): number => {
  const end = text.indexOf("\n", cursor)
  return end < 0 ? text.length : end
}

const without = (line: Edited, from: number, to: number): Edited => ({
  ...line,
  text: line.text.slice(0, from) + line.text.slice(to),
  cursor: from
})

const cutOut = (line: Edited, from: number, to: number): Edited =>
  from === to ? line : { ...without(line, from, to), cut: line.text.slice(from, to) }

/** Up or down within a line that has several; nothing when it is at its first or last. */
const moved = (line: Edited, by: number, columns: number): Edited | undefined => {
  if (!line.text.includes("\n")) return undefined
  const { column, places, row } = layout(line, columns)
  const there = places.filter((place) => place.row === row + by)
  const to = there.findLast((place) => place.column <= column) ?? there[0]
  return to === undefined ? undefined : { ...line, cursor: to.offset }
}

const shown = (line: Edited, place: number, history: ReadonlyArray<string>): Edited => {
  if (place < 0 || place > history.length) return line
  const draft = line.place === history.length ? line.text : line.draft
  const text = place === history.length ? draft : history[place] ?? ""
  return { ...line, text, cursor: text.length, place, draft }
}
