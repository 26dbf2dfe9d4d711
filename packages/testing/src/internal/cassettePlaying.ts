import { CliSpawnError } from "@ccflow/core/ClaudeError"
import type { Invocation, RunningCli } from "@ccflow/core/CliProcess"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Deck } from "./cassetteDeck.js"
import type { Scrub } from "./cassetteScrub.js"
import { FakeOutput } from "./fakeOutput.js"

/** A process of the cassette, as one that runs. */
export const playing = (
  deck: Deck,
  { args, command, files }: Invocation,
  scrub: Scrub,
  timed: boolean
): Effect.Effect<RunningCli, CliSpawnError, Scope.Scope> =>
  Effect.gen(function*() {
    // As it is when the files are there.
    const player = deck.open([...args, ...files.map(({ flag }) => `${flag}=file`)], scrub)
    if (typeof player === "string") {
      return yield* new CliSpawnError({ command, reason: "Other", code: "CASSETTE", hint: player.trim() })
    }
    const output = new FakeOutput()
    const heard = Effect.unsafeMakeLatch()
    const tell = (action: () => void) =>
      Effect.sync(() => {
        action()
        heard.unsafeOpen()
        return output.exit === undefined
      })
    const play = Effect.gen(function*() {
      while (output.exit === undefined) {
        heard.unsafeClose()
        const step = player.next()
        if (step === undefined) {
          yield* heard.await
          continue
        }
        if (timed && step.wait > 0) yield* Effect.sleep(step.wait)
        if (step._tag === "Print") output.write(encoder.encode(step.text))
        else {
          output.complain(step.stderr)
          output.leave({ code: step.code, signal: step.signal })
        }
      }
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => output.leave({ code: null, signal: "SIGKILL" })))
    yield* Effect.forkScoped(play)
    return {
      pid: ++pids,
      stdout: output.read,
      send: (text) => tell(() => player.heard(text)),
      closeInput: Effect.asVoid(tell(() => player.eof())),
      interrupt: Effect.asVoid(tell(() => player.signal())),
      exit: output.end,
      stderrTail: output.stderrTail
    }
  })

// ---------------------------------------------------------------------------

const encoder = new TextEncoder()

/** Nobody's, where processes are real. */
let pids = 2 ** 22
