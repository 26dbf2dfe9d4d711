/** A row of a CSV file, and the line on which it begins. */
export interface CsvRow {
  readonly line: number
  readonly fields: ReadonlyArray<string>
}

/** What is wrong with a CSV file, and on which line. */
export class CsvError extends Error {
  readonly line: number
  constructor(line: number, message: string) {
    super(message)
    this.line = line
  }
}

/**
 * Reads CSV as RFC 4180 has it, piece by piece: fields that hold commas, quotes or newlines are quoted, a quote within
 * them is doubled, and rows end with a newline of either kind, which the last one need not have. Empty lines are no rows.
 * Strict: what is quoted wrongly is refused, because a guess would ask something that nobody wrote.
 */
export async function* csvRows(text: AsyncIterable<string>): AsyncGenerator<CsvRow> {
  let line = 1
  let begun = 1
  let fields: Array<string> = []
  let field = ""
  let state: "start" | "plain" | "quoted" | "closed" = "start"
  // A carriage return that a newline may follow in the next piece.
  let held = false
  for await (const piece of text) {
    for (const token of piece.match(/[",\r\n]|[^",\r\n]+/g) ?? []) {
      if (held && token !== "\n") throw strayReturn(line)
      held = false
      if (state === "quoted") {
        if (token === "\n") line++
        if (token === "\"") state = "closed"
        else field += token
      } else if (token === "\r") held = true
      else if (token === "," || token === "\n") {
        const isBlank = state === "start" && fields.length === 0
        fields.push(field)
        field = ""
        state = "start"
        if (token === ",") continue
        if (!isBlank) yield { line: begun, fields }
        fields = []
        begun = ++line
      } else if (token === "\"") {
        // Closed and open again: a doubled one.
        if (state === "closed") field += token
        else if (state === "plain") throw new CsvError(line, "a quote stands in a field that is not quoted")
        state = "quoted"
      } else {
        if (state === "closed") throw new CsvError(line, "something follows the quote that closes a field")
        state = "plain"
        field += token
      }
    }
  }
  if (held) throw strayReturn(line)
  if (state === "quoted") throw new CsvError(begun, "a quoted field is not closed")
  if (state !== "start" || fields.length > 0) yield { line: begun, fields: [...fields, field] }
}

// ---------------------------------------------------------------------------

const strayReturn = (line: number) => new CsvError(line, "a carriage return stands without its newline")
