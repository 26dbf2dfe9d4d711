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
 * them is doubled, and rows end with a newline of either kind. Empty lines are no rows. Strict: what is quoted wrongly is
 * refused, because a guess would ask something that nobody wrote.
 */
export class CsvReader {
  private line = 1
  private begun = 1
  private fields: Array<string> = []
  private field = ""
  private state: "start" | "plain" | "quoted" | "closed" = "start"
  /** A carriage return that a newline may follow in the next piece. */
  private held = false

  push(text: string): ReadonlyArray<CsvRow> {
    const rows: Array<CsvRow> = []
    for (const character of text) this.take(character, rows)
    return rows
  }

  /** The last row need not end with a newline. */
  end(): ReadonlyArray<CsvRow> {
    const rows: Array<CsvRow> = []
    if (this.held) this.strayReturn()
    if (this.state === "quoted") throw new CsvError(this.begun, "a quoted field is not closed")
    if (this.state !== "start" || this.fields.length > 0) this.endRow(rows)
    return rows
  }

  private take(character: string, rows: Array<CsvRow>): void {
    if (this.held && character !== "\n") this.strayReturn()
    this.held = false
    if (this.state === "quoted") {
      if (character === "\n") this.line++
      if (character === "\"") this.state = "closed"
      else this.field += character
      return
    }
    switch (character) {
      case ",":
        return this.endField()
      case "\r":
        this.held = true
        return
      case "\n": {
        if (this.state !== "start" || this.fields.length > 0) this.endRow(rows)
        this.begun = ++this.line
        return
      }
      case "\"": {
        // Closed and open again: a doubled one.
        if (this.state === "closed") this.field += "\""
        else if (this.state === "plain") throw new CsvError(this.line, "a quote stands in a field that is not quoted")
        this.state = "quoted"
        return
      }
      default: {
        if (this.state === "closed") throw new CsvError(this.line, "something follows the quote that closes a field")
        this.state = "plain"
        this.field += character
      }
    }
  }

  private endField(): void {
    this.fields.push(this.field)
    this.field = ""
    this.state = "start"
  }

  private endRow(rows: Array<CsvRow>): void {
    this.endField()
    rows.push({ line: this.begun, fields: this.fields })
    this.fields = []
  }

  private strayReturn(): never {
    throw new CsvError(this.line, "a carriage return stands without its newline")
  }
}
