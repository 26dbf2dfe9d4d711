import type { Readable } from "node:stream"

/** Read ahead of the consumer at the most, before the pipe is left full and the child has to wait. */
const highWaterBytes = 512 * 1024
/** After the exit: how long the pipe may be silent before it is taken as ended, when a grandchild holds it open. */
const drainMs = 200

/**
 * A child's output as reads: each gives all that has come since the last one, an empty one is the end.
 *
 * @internal
 */
export class OutputReader {
  private held: Array<Uint8Array> = []
  private bytes = 0
  private ended = false
  private exited = false
  private waiting: ((chunks: ReadonlyArray<Uint8Array>) => void) | undefined
  private timer: ReturnType<typeof setTimeout> | undefined
  private readonly stream: Readable

  constructor(stream: Readable) {
    this.stream = stream
    stream.on("data", (chunk: Uint8Array) => this.onData(chunk))
    stream.once("close", () => this.end())
    stream.once("end", () => this.end())
  }

  /** The caller may be gone when it is answered: what it was given then stays for the next read. */
  read(waiting: (chunks: ReadonlyArray<Uint8Array>) => void): void {
    if (this.held.length > 0 || this.ended) return waiting(this.take())
    this.waiting = waiting
  }

  /** What the process wrote is in the pipe; only others can still write to it. */
  processExited(): void {
    this.exited = true
    this.awaitSilence()
  }

  destroy(): void {
    clearTimeout(this.timer)
    this.ended = true
    this.held = []
    this.stream.destroy()
  }

  private onData(chunk: Uint8Array): void {
    const { waiting } = this
    this.waiting = undefined
    if (waiting !== undefined) waiting([chunk])
    else {
      this.held.push(chunk)
      this.bytes += chunk.length
      if (this.bytes >= highWaterBytes) this.stream.pause()
    }
    if (this.exited) this.awaitSilence()
  }

  private take(): ReadonlyArray<Uint8Array> {
    const taken = this.held
    this.held = []
    if (this.bytes >= highWaterBytes) {
      this.stream.resume()
      if (this.exited) this.awaitSilence()
    }
    this.bytes = 0
    return taken
  }

  /** Counts only while we read: a paused pipe is silent for another reason. */
  private awaitSilence(): void {
    clearTimeout(this.timer)
    if (!this.ended && this.bytes < highWaterBytes) this.timer = setTimeout(() => this.end(), drainMs)
  }

  private end(): void {
    if (this.ended) return
    this.ended = true
    clearTimeout(this.timer)
    const { waiting } = this
    this.waiting = undefined
    waiting?.(this.take())
  }
}
