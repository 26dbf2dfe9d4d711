import type { Readable } from "node:stream"

/** After the exit: how long a reader of the tail waits for what is still in the pipe. */
const drainMs = 200

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

  constructor(stream: Readable, limit: number) {
    this.stream = stream
    this.limit = limit
    stream.on("data", (chunk: Buffer) => this.onData(chunk))
    stream.once("close", () => this.end())
    stream.once("end", () => this.end())
  }

  read(reader: (text: string) => void): void {
    const answer = () => reader(Buffer.concat(this.held).subarray(-this.limit).toString("utf8"))
    if (this.ended || !this.exited) return answer()
    this.readers.add(answer)
  }

  processExited(): void {
    this.exited = true
    if (!this.ended) setTimeout(() => this.end(), drainMs)
  }

  destroy(): void {
    this.end()
    this.stream.destroy()
  }

  private onData(chunk: Buffer): void {
    this.held.push(chunk)
    this.bytes += chunk.length
    while (this.bytes - this.held[0]!.length >= this.limit) this.bytes -= this.held.shift()!.length
  }

  private end(): void {
    if (this.ended) return
    this.ended = true
    for (const reader of this.readers) reader()
    this.readers.clear()
  }
}
