import type { CliExit, CliProcess, Invocation, RunningCli } from "@ccflow/core/CliProcess"
import type { PlatformError } from "@effect/platform/Error"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { header, parse, print } from "./cassetteFormat.js"
import { Names } from "./cassetteNames.js"
import { Recorder } from "./cassetteRecorder.js"
import type { Scrub } from "./cassetteScrub.js"

/**
 * A cassette that is being recorded: every line goes to the file before the other side hears it, and when a process has
 * ended the file is put in order.
 */
export class Recording {
  private readonly file: string
  private readonly fileSystem: FileSystem.FileSystem
  private readonly clock: Clock.Clock
  private readonly ids = new Map<string, string>()
  private readonly writing = Effect.unsafeMakeSemaphore(1)
  private text: string
  private waiting = ""
  private count = 0

  constructor(file: string, fileSystem: FileSystem.FileSystem, clock: Clock.Clock) {
    this.file = file
    this.fileSystem = fileSystem
    this.clock = clock
    this.text = header(new Date(clock.unsafeCurrentTimeMillis()).toISOString().slice(0, 10), undefined, true)
  }

  get begin(): Effect.Effect<void, PlatformError> {
    const folder = /^(.*)[/\\][^/\\]*$/.exec(this.file)?.[1]
    return Effect.zipRight(
      folder === undefined || folder === "" ? Effect.void : this.fileSystem.makeDirectory(folder, { recursive: true }),
      this.replace
    )
  }

  readonly open = (
    cli: CliProcess["Type"],
    invocation: Invocation,
    scrub: Scrub
  ): ReturnType<CliProcess["Type"]["open"]> =>
    Effect.gen(this, function*() {
      let close: Effect.Effect<void> = Effect.void
      // Runs when the process is gone: what it did last is known then.
      yield* Effect.addFinalizer(() => close)
      const running = yield* cli.open(invocation)
      const { unsafeCurrentTimeMillis: now } = this.clock
      const number = ++this.count
      const recorder = new Recorder(number, scrub, new Names(number, this.ids), () => now.call(this.clock))
      const { args, env, files } = invocation
      yield* this.write(recorder.start({
        args: [...args, ...files.map(({ flag }) => `${flag}=file`)],
        env: Object.keys(env).filter((name) => env[name] !== undefined)
      }))
      let closed = true
      close = Effect.gen(this, function*() {
        const exit = Option.getOrElse(yield* known(running.exit), (): CliExit => ({ code: null, signal: "SIGKILL" }))
        const stderr = yield* running.stderrTail
        yield* this.write(recorder.end({ ...exit, stderr, closed }))
        yield* this.tidy
      })
      yield* Effect.addFinalizer(() =>
        Effect.map(known(running.exit), (exit) => {
          closed = Option.isNone(exit)
        })
      )
      return this.watched(running, recorder)
    })

  private watched(cli: RunningCli, recorder: Recorder): RunningCli {
    const first = (line: () => string) => Effect.suspend(() => this.write(line()))
    return {
      ...cli,
      stdout: Effect.tap(cli.stdout, (chunks) => this.write(chunks.map((chunk) => recorder.said(chunk)).join(""))),
      send: (text) => Effect.zipRight(first(() => recorder.heard(text)), cli.send(text)),
      closeInput: Effect.zipRight(first(() => recorder.eof()), cli.closeInput),
      interrupt: Effect.zipRight(first(() => recorder.signal("SIGINT")), cli.interrupt)
    }
  }

  /** In the order of the calls, whatever the file takes. A disk that is full is told: half a cassette is none. */
  private write(lines: string): Effect.Effect<void> {
    if (lines === "") return Effect.void
    this.text += lines
    this.waiting += lines
    return Effect.suspend(() => {
      const { waiting } = this
      this.waiting = ""
      return waiting === "" ? Effect.void : this.fileSystem.writeFileString(this.file, waiting, { flag: "a" })
    }).pipe(this.writing.withPermits(1), Effect.orDie, Effect.uninterruptible)
  }

  private get tidy(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.text = print(parse(this.text))
      this.waiting = ""
      return this.replace
    }).pipe(this.writing.withPermits(1), Effect.orDie)
  }

  /** Never half of it. */
  private get replace(): Effect.Effect<void, PlatformError> {
    const beside = `${this.file}.new`
    return Effect.zipRight(
      Effect.suspend(() => this.fileSystem.writeFileString(beside, this.text, { mode: 0o600 })),
      this.fileSystem.rename(beside, this.file)
    )
  }
}

// ---------------------------------------------------------------------------

/** How it ended, if it has. */
const known = (exit: RunningCli["exit"]): Effect.Effect<Option.Option<CliExit>> =>
  Effect.raceFirst(Effect.interruptible(Effect.asSome(exit)), Effect.as(Effect.yieldNow(), Option.none()))
