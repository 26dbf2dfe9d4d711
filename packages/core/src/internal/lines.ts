import { ByteBuffer } from "./byteBuffer.js"

const newline = 0x0a
const headBytes = 1024

/** What became of one line. */
export interface LineHandler {
  readonly line: (text: string) => void
  readonly oversized: (head: string, bytes: number) => void
  /** The last line, when the output ended without a newline behind it. */
  readonly unterminated: (text: string) => void
}

/**
 * Bytes to lines. Splits on `\n` only, which no UTF-8 sequence contains, so that decoding whole lines is right wherever
 * the chunks were cut.
 *
 * Lines that lie within one chunk are decoded together as long as they are ASCII. Beyond it the decoder is ten times
 * slower and makes strings of twice the size, so that then each line is decoded alone, until a chunk is ASCII again.
 */
export class LineSplitter {
  private readonly decoder = new TextDecoder("utf-8", { ignoreBOM: true })
  /** The beginning of a line whose end has not come; of an oversized one only its head. */
  private readonly begun: ByteBuffer
  private begunBytes = 0
  private ascii = true

  private readonly maxLineBytes: number
  private readonly handler: LineHandler

  constructor(maxLineBytes: number, handler: LineHandler) {
    this.maxLineBytes = Math.max(1, maxLineBytes)
    this.handler = handler
    this.begun = new ByteBuffer(this.maxLineBytes)
  }

  push(chunk: Uint8Array): void {
    const most = this.maxLineBytes
    let from = 0
    // A line that lies within a chunk is over the limit only where the chunk is.
    if (chunk.length > most) {
      for (; from < chunk.length; from += most) this.push(chunk.subarray(from, from + most))
      return
    }
    if (this.begunBytes > 0) {
      const end = chunk.indexOf(newline)
      if (end < 0) return this.keep(chunk)
      this.keep(chunk.subarray(0, end))
      this.flush(this.handler.line)
      from = end + 1
    }
    const last = chunk.lastIndexOf(newline)
    if (last >= from) {
      if (this.ascii) this.pushBlock(chunk.subarray(from, last))
      else this.pushLines(chunk.subarray(from, last + 1))
      from = last + 1
    }
    if (from < chunk.length) this.keep(chunk.subarray(from))
  }

  end(): void {
    if (this.begunBytes > 0) this.flush(this.handler.unterminated)
  }

  private pushBlock(bytes: Uint8Array): void {
    const text = this.decoder.decode(bytes)
    const { line } = this.handler
    this.ascii = text.length === bytes.length
    let from = 0
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", from)) {
      line(text.slice(from, end))
      from = end + 1
    }
    line(from === 0 ? text : text.slice(from))
  }

  private pushLines(bytes: Uint8Array): void {
    const { line } = this.handler
    this.ascii = true
    let from = 0
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, from)) {
      const text = this.decoder.decode(bytes.subarray(from, end))
      if (text.length < end - from) this.ascii = false
      line(text)
      from = end + 1
    }
  }

  private keep(part: Uint8Array): void {
    const before = this.begunBytes
    this.begunBytes += part.length
    if (this.begunBytes <= this.maxLineBytes) this.begun.append(part)
    else if (before <= this.maxLineBytes) {
      const head = Math.min(headBytes, this.maxLineBytes)
      this.begun.append(part.subarray(0, Math.max(0, head - before)))
      this.begun.truncate(head)
    }
  }

  private flush(emit: (text: string) => void): void {
    const bytes = this.begunBytes
    const text = this.decoder.decode(this.begun.bytes)
    this.begunBytes = 0
    this.begun.clear()
    if (bytes > this.maxLineBytes) this.handler.oversized(text, bytes)
    else emit(text)
  }
}
