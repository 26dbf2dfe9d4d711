import type { CliExit, RunningCli } from "@ccflow/core/CliProcess"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type { Frame } from "../FakeCli.js"

const encoder = new TextEncoder()

/**
 * What a fake process has printed and nobody has read yet, and how it ended.
 *
 * @internal
 */
export class FakeOutput {
  exit: CliExit | undefined
  private readonly ended = Deferred.unsafeMake<CliExit>(FiberId.none)
  private printed: Array<Uint8Array> = []
  private errors = ""
  private reader: ((chunks: ReadonlyArray<Uint8Array>) => void) | undefined

  readonly read: RunningCli["stdout"] = Effect.async((resume) => {
    if (this.printed.length > 0 || this.exit !== undefined) return resume(Effect.succeed(this.take()))
    this.reader = (chunks) => resume(Effect.succeed(chunks))
    return Effect.sync(() => {
      this.reader = undefined
    })
  })
  readonly end: RunningCli["exit"] = Deferred.await(this.ended)
  readonly stderrTail: RunningCli["stderrTail"] = Effect.sync(() => this.errors)

  line(frame: Frame): void {
    this.write(encoder.encode(JSON.stringify(frame) + "\n"))
  }

  write(bytes: Uint8Array): void {
    if (this.exit !== undefined) return
    this.printed.push(bytes)
    this.wake()
  }

  complain(text: string): void {
    this.errors = (this.errors + text).slice(-64 * 1024)
  }

  leave(exit: CliExit): void {
    if (this.exit !== undefined) return
    this.exit = exit
    Deferred.unsafeDone(this.ended, Effect.succeed(exit))
    this.wake()
  }

  private wake(): void {
    const { reader } = this
    this.reader = undefined
    reader?.(this.take())
  }

  private take(): ReadonlyArray<Uint8Array> {
    const taken = this.printed
    this.printed = []
    return taken
  }
}
