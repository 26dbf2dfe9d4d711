import type { Readable } from "node:stream"
import { PipeEnd } from "./pipeEnd.js"

/**
 * The end of a stream that is always read, so that its writer never has to wait, and never held whole.
 *
 * @internal
 */
export class TailBuffer {
  private held: Array<Buffer> = []
  private bytes = 0
  private ended = false
  private exited = false
  private readonly readers = new Set<() => void>()
  private readonly stream: Readable
  private readonly limit: number
  private readonly pipeEnd: PipeEnd

  constructor(stream: Readable, limit: number) {
    this.stream = stream
    this.limit = limit
    this.pipeEnd = new PipeEnd(stream, () => this.end())
    stream.on("data", (chunk: Buffer) => this.onData(chunk))
  }

  /** At once while the child lives, else when all that it wrote is here. Gives the way to call it off. */
  read(reader: (text: string) => void): () => void {
    const answer = () => reader(Buffer.concat(this.held).subarray(-this.limit).toString("utf8"))
    if (this.ended || !this.exited) answer()
    else this.readers.add(answer)
    return () => this.readers.delete(answer)
  }

  childExited(): void {
    this.exited = true
    this.pipeEnd.childExited()
  }

  destroy(): void {
    this.pipeEnd.end()
    this.stream.destroy()
  }

  private onData(chunk: Buffer): void {
    this.pipeEnd.received(chunk.length)
    this.held.push(chunk)
    this.bytes += chunk.length
    while (this.bytes - this.held[0]!.length >= this.limit) this.bytes -= this.held.shift()!.length
  }

  private end(): void {
    this.ended = true
    for (const answer of this.readers) answer()
    this.readers.clear()
  }
}
