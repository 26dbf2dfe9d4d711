import type { Readable } from "node:stream"

/** After the exit: how long others that hold the pipe, such as a filter that the command is piped into, may write. */
const lingerMs = 200
/** More than a pipe can hold: what comes after it was not written by the process that has exited. */
const pipeBytes = 16 * 1024 * 1024

/**
 * Tells once when a child's pipe is at its end: because it is, or because the child has exited, everything that it wrote
 * has been read, and only a process it left behind holds the pipe open.
 *
 * @internal
 */
export class PipeEnd {
  private timer: ReturnType<typeof setTimeout> | undefined
  private told = false
  private exited = false
  private settling = false
  private stopped = false
  private bytes = 0
  private readonly tell: () => void

  constructor(stream: Readable, tell: () => void) {
    this.tell = tell
    stream.once("end", () => this.end())
    stream.once("close", () => this.end())
  }

  received(bytes: number): void {
    if (this.exited) this.bytes += bytes
  }

  childExited(): void {
    this.exited = true
    if (!this.told) this.timer = setTimeout(() => this.settle(), lingerMs)
  }

  /** Nothing is read for now, so that silence says nothing. */
  pause(): void {
    this.stopped = true
  }

  resume(): void {
    this.stopped = false
    if (this.settling) this.settle()
  }

  end(): void {
    if (this.told) return
    this.told = true
    clearTimeout(this.timer)
    this.tell()
  }

  /**
   * A timer alone would not do: after a long computation of the host it fires before the pipe is read again. Two turns of
   * the event loop without a byte, while we read, are proof.
   */
  private settle(): void {
    this.settling = true
    const before = this.bytes
    const decide = () => {
      if (this.told || this.stopped) return
      if (this.bytes === before || this.bytes > pipeBytes) this.end()
      else this.settle()
    }
    setImmediate(() => setImmediate(decide))
  }
}
