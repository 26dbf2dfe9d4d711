import type { CliExit, CliProcess, Invocation, RunningCli } from "@ccflow/core/CliProcess"
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { header, parse, print } from "./cassetteFormat.js"
import { namesOf } from "./cassetteNames.js"
import { recorderOf } from "./cassetteRecorder.js"
import type { Scrub } from "./cassetteScrub.js"

type Service = CliProcess["Type"]

/**
 * Begins a cassette that is recorded: every line goes to the file before the other side hears it, and when a process has
 * ended the file is put in order.
 */
export const recordingTo = (
  file: string
): Effect.Effect<
  (service: Service, invocation: Invocation, scrub: Scrub) => ReturnType<Service["open"]>,
  PlatformError,
  FileSystem.FileSystem
> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const clock = yield* Effect.clock
    const now = () => clock.unsafeCurrentTimeMillis()
    const alone = Effect.unsafeMakeSemaphore(1).withPermits(1)
    const ids = new Map<string, string>()
    let text = header(new Date(now()).toISOString().slice(0, 10), undefined, true)
    let waiting = ""
    let count = 0

    /** Never half of it. */
    const replace = Effect.suspend(() =>
      Effect.zipRight(
        fileSystem.writeFileString(`${file}.new`, text, { mode: 0o600 }),
        fileSystem.rename(`${file}.new`, file)
      )
    )

    const tidy = Effect.suspend(() => {
      text = print(parse(text))
      waiting = ""
      return replace
    }).pipe(alone, Effect.orDie)

    /** In the order of the calls, whatever the file takes. A disk that is full is told: half a cassette is none. */
    const write = (lines: string): Effect.Effect<void> => {
      if (lines === "") return Effect.void
      text += lines
      waiting += lines
      return Effect.suspend(() => {
        const now = waiting
        waiting = ""
        return now === "" ? Effect.void : fileSystem.writeFileString(file, now, { flag: "a" })
      }).pipe(alone, Effect.orDie, Effect.uninterruptible)
    }

    const folder = /^(.*)[/\\][^/\\]*$/.exec(file)?.[1] ?? ""
    if (folder !== "") yield* fileSystem.makeDirectory(folder, { recursive: true })
    yield* replace

    return (service, invocation, scrub) =>
      Effect.gen(function*() {
        let close: Effect.Effect<void> = Effect.void
        // Runs when the process is gone: what it did last is known then.
        yield* Effect.addFinalizer(() => close)
        const cli = yield* service.open(invocation)
        const number = ++count
        const recorder = recorderOf(number, scrub, namesOf(number, ids), now)
        const { args, env, files } = invocation
        yield* write(recorder.start({
          args: [...args, ...files.map(({ flag }) => `${flag}=file`)],
          env: Object.keys(env).filter((name) => env[name] !== undefined)
        }))
        let closed = true
        close = Effect.gen(function*() {
          const exit = Option.getOrElse(yield* known(cli.exit), (): CliExit => ({ code: null, signal: "SIGKILL" }))
          const stderr = yield* cli.stderrTail
          yield* write(recorder.end({ ...exit, stderr, closed }))
          yield* tidy
        })
        yield* Effect.addFinalizer(() =>
          Effect.map(known(cli.exit), (exit) => {
            closed = Option.isNone(exit)
          })
        )
        const first = (line: () => string) => Effect.suspend(() => write(line()))
        return {
          ...cli,
          stdout: Effect.tap(cli.stdout, (chunks) => write(chunks.map((chunk) => recorder.said(chunk)).join(""))),
          send: (text) => Effect.zipRight(first(() => recorder.heard(text)), cli.send(text)),
          closeInput: Effect.zipRight(first(() => recorder.eof()), cli.closeInput),
          interrupt: Effect.zipRight(first(() => recorder.signal("SIGINT")), cli.interrupt)
        }
      })
  })

// ---------------------------------------------------------------------------

/** How it ended, if it has. */
const known = (exit: RunningCli["exit"]): Effect.Effect<Option.Option<CliExit>> =>
  Effect.raceFirst(Effect.interruptible(Effect.asSome(exit)), Effect.as(Effect.yieldNow(), Option.none()))
