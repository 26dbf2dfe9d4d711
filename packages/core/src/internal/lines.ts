const newline = 0x0a
const headBytes = 1024

/** What became of one line. @internal */
export interface LineHandler {
  readonly line: (text: string) => void
  readonly oversized: (head: string, bytes: number) => void
  /** The last line, when the output ended without a newline behind it. */
  readonly unterminated: (text: string) => void
}

/**
 * Bytes to lines. Splits on `\n` only, which no UTF-8 sequence contains, so that decoding whole lines is right wherever
 * the chunks were cut. Lines that lie within one chunk are decoded together: one decode a read, not one a line.
 *
 * @internal
 */
export class LineSplitter {
  private readonly decoder = new TextDecoder("utf-8", { ignoreBOM: true })
  private carry: Array<Uint8Array> = []
  private carried = 0

  private readonly maxLineBytes: number
  private readonly handler: LineHandler

  constructor(maxLineBytes: number, handler: LineHandler) {
    this.maxLineBytes = maxLineBytes
    this.handler = handler
  }

  push(chunk: Uint8Array): void {
    let from = 0
    if (this.carried > 0) {
      const end = chunk.indexOf(newline)
      if (end < 0) return this.keep(chunk)
      this.keep(chunk.subarray(0, end))
      this.flush(this.handler.line)
      from = end + 1
    }
    if (chunk.length > this.maxLineBytes) from = this.pushEach(chunk, from)
    const last = chunk.lastIndexOf(newline)
    if (last >= from) {
      this.pushBlock(this.decoder.decode(chunk.subarray(from, last)))
      from = last + 1
    }
    if (from < chunk.length) this.keep(chunk.subarray(from))
  }

  end(): void {
    if (this.carried > 0) this.flush(this.handler.unterminated)
  }

  private pushBlock(text: string): void {
    const { line } = this.handler
    let from = 0
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", from)) {
      line(text.slice(from, end))
      from = end + 1
    }
    line(from === 0 ? text : text.slice(from))
  }

  /** A chunk longer than the limit may hold lines that are over it. */
  private pushEach(chunk: Uint8Array, start: number): number {
    let from = start
    for (let end = chunk.indexOf(newline, from); end >= 0; end = chunk.indexOf(newline, from)) {
      this.keep(chunk.subarray(from, end))
      this.flush(this.handler.line)
      from = end + 1
    }
    return from
  }

  private keep(part: Uint8Array): void {
    const before = this.carried
    this.carried += part.length
    if (this.carried <= this.maxLineBytes) this.carry.push(part)
    else if (before <= this.maxLineBytes) this.carry = [concat([...this.carry, part], headBytes)]
  }

  private flush(emit: (text: string) => void): void {
    const bytes = this.carried
    const whole = this.carry.length === 1 ? this.carry[0]! : concat(this.carry, bytes)
    this.carry = []
    this.carried = 0
    const text = this.decoder.decode(whole)
    if (bytes > this.maxLineBytes) this.handler.oversized(text, bytes)
    else emit(text)
  }
}

const concat = (parts: ReadonlyArray<Uint8Array>, limit: number): Uint8Array => {
  const total = parts.reduce((sum, part) => sum + part.length, 0)
  const whole = new Uint8Array(Math.min(total, limit))
  let at = 0
  for (const part of parts) {
    if (at >= whole.length) break
    const fitting = part.subarray(0, whole.length - at)
    whole.set(fitting, at)
    at += fitting.length
  }
  return whole
}
