import type { Readable } from "node:stream"

/** After the exit: how long others that hold the pipe, such as a filter that the command is piped into, may write. */
const lingerMs = 200
/** More than a pipe can hold: what comes after it was not written by the process that has exited. */
const pipeBytes = 16 * 1024 * 1024

/**
 * A pipe that a child writes into. It tells once when that is at its end: because it is, or because the child has exited,
 * everything that it wrote has been read, and only a process it left behind holds the pipe open.
 */
export abstract class ChildPipe {
  protected ended = false
  protected exited = false
  private timer: ReturnType<typeof setTimeout> | undefined
  private settling = false
  private paused = false
  private late = 0
  private readonly stream: Readable

  constructor(stream: Readable) {
    this.stream = stream
    stream.on("data", (chunk: Buffer) => {
      if (this.exited) this.late += chunk.length
      this.onData(chunk)
    })
    stream.once("end", () => this.end())
    stream.once("close", () => this.end())
  }

  childExited(): void {
    this.exited = true
    if (!this.ended) this.timer = setTimeout(() => this.settle(), lingerMs)
  }

  destroy(): void {
    this.end()
    this.stream.destroy()
  }

  protected abstract onData(chunk: Buffer): void

  protected abstract onEnd(): void

  /** While nothing is read, silence says nothing. */
  protected pause(): void {
    this.paused = true
    this.stream.pause()
  }

  protected resume(): void {
    this.paused = false
    this.stream.resume()
    if (this.settling) this.settle()
  }

  private end(): void {
    if (this.ended) return
    this.ended = true
    clearTimeout(this.timer)
    this.onEnd()
  }

  /**
   * A timer alone would not do: after a long computation of the host it fires before the pipe is read again. Two turns of
   * the event loop without a byte, while we read, are proof.
   */
  private settle(): void {
    this.settling = true
    const before = this.late
    const decide = () => {
      if (this.ended || this.paused) return
      if (this.late === before || this.late > pipeBytes) this.end()
      else this.settle()
    }
    setImmediate(() => setImmediate(decide))
  }
}
