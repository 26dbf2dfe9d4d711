import { ChildPipe } from "./childPipe.js"

/** Read ahead of the consumer at the most, before the pipe is left full and the child has to wait. */
const highWaterBytes = 512 * 1024

/** A child's output as reads: each gives all that has come since the last one, an empty one is the end. */
export class OutputReader extends ChildPipe {
  private held: Array<Uint8Array> = []
  private bytes = 0
  private unwanted = false
  private waiting: (() => void) | undefined

  /** There is something to take, if only the end. */
  get ready(): boolean {
    return this.held.length > 0 || this.ended
  }

  /** Calls once when there is something to take; the last who asked. */
  onReady(waiting: () => void): void {
    this.waiting = waiting
  }

  take(): ReadonlyArray<Uint8Array> {
    const taken = this.held
    const paused = this.bytes >= highWaterBytes
    this.held = []
    this.bytes = 0
    if (paused) this.resume()
    return taken
  }

  /** Reads on for nobody: a full pipe would keep the child from leaving. */
  discard(): void {
    this.unwanted = true
    this.take()
  }

  override destroy(): void {
    this.discard()
    super.destroy()
  }

  protected onData(chunk: Uint8Array): void {
    if (this.ended || this.unwanted) return
    this.held.push(chunk)
    this.bytes += chunk.length
    if (this.bytes >= highWaterBytes) this.pause()
    this.wake()
  }

  protected onEnd(): void {
    this.wake()
  }

  private wake(): void {
    const { waiting } = this
    this.waiting = undefined
    waiting?.()
  }
}
