import type { Readable } from "node:stream"
import { ChildPipe } from "./childPipe.js"

/** The end of a stream that is always read, so that its writer never has to wait, and never held whole. */
export class TailBuffer extends ChildPipe {
  private held: Array<Buffer> = []
  private bytes = 0
  private readonly readers = new Set<() => void>()
  private readonly limit: number

  constructor(stream: Readable, limit: number) {
    super(stream)
    this.limit = limit
  }

  /** At once while the child lives, else when all that it wrote is here. Gives the way to call it off. */
  read(reader: (text: string) => void): () => void {
    const answer = () => reader(Buffer.concat(this.held).subarray(-this.limit).toString("utf8"))
    if (this.ended || !this.exited) answer()
    else this.readers.add(answer)
    return () => this.readers.delete(answer)
  }

  protected onData(chunk: Buffer): void {
    this.held.push(chunk)
    this.bytes += chunk.length
    while (this.bytes - this.held[0]!.length >= this.limit) this.bytes -= this.held.shift()!.length
  }

  protected onEnd(): void {
    for (const answer of this.readers) answer()
    this.readers.clear()
  }
}
