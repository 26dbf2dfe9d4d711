import type { CliExit, RunningCli } from "@ccflow/core/CliProcess"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type { Frame } from "../FakeCli.js"

const encoder = new TextEncoder()

/** What a fake process has printed and nobody has read yet, and how it ended. */
export class FakeOutput {
  exit: CliExit | undefined
  /** Frames, also those that nobody has read. */
  frames = 0
  private readonly ended = Deferred.unsafeMake<CliExit>(FiberId.none)
  private printed: Array<Uint8Array> = []
  private errors = ""
  private unread = 0
  private readonly pipeBytes: number
  private crash: { readonly at: number; readonly exit: CliExit } | undefined
  private readonly space = Effect.unsafeMakeLatch(true)
  private reader: ((chunks: ReadonlyArray<Uint8Array>) => void) | undefined

  constructor(pipeBytes = Infinity) {
    this.pipeBytes = pipeBytes
  }

  readonly read: RunningCli["stdout"] = Effect.async((resume) => {
    if (this.printed.length > 0 || this.exit !== undefined) return resume(Effect.succeed(this.take()))
    this.reader = (chunks) => resume(Effect.succeed(chunks))
    return Effect.sync(() => {
      this.reader = undefined
    })
  })
  readonly end: RunningCli["exit"] = Deferred.await(this.ended)
  readonly stderrTail: RunningCli["stderrTail"] = Effect.sync(() => this.errors)

  /** There is room for more, or nobody is left to wait for it. */
  readonly room: Effect.Effect<void> = this.space.await

  line(frame: Frame): void {
    if (this.exit !== undefined) return
    this.write(encoder.encode(JSON.stringify(frame) + "\n"))
    this.frames++
    if (this.frames === this.crash?.at) this.leave(this.crash.exit)
  }

  write(bytes: Uint8Array): void {
    if (this.exit !== undefined) return
    this.printed.push(bytes)
    this.unread += bytes.length
    if (this.unread >= this.pipeBytes) this.space.unsafeClose()
    this.wake()
  }

  /** Leaves when so many more frames are out. */
  crashAfter(frames: number, exit: CliExit): void {
    this.crash = { at: this.frames + frames, exit }
    if (frames <= 0) this.leave(exit)
  }

  complain(text: string): void {
    this.errors = (this.errors + text).slice(-64 * 1024)
  }

  leave(exit: CliExit): void {
    if (this.exit !== undefined) return
    this.exit = exit
    Deferred.unsafeDone(this.ended, Effect.succeed(exit))
    this.wake()
    this.space.unsafeOpen()
  }

  private wake(): void {
    const { reader } = this
    this.reader = undefined
    reader?.(this.take())
  }

  private take(): ReadonlyArray<Uint8Array> {
    const taken = this.printed
    this.printed = []
    this.unread = 0
    this.space.unsafeOpen()
    return taken
  }
}
