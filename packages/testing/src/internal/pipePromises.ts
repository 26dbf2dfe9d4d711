import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import {
  endOf,
  holds,
  mebibyte,
  open,
  opened,
  type ProcessPromise,
  promises,
  prompt,
  readAll,
  readUntil
} from "./processPromise.js"
import { same } from "./promise.js"

const ready = { raw: "ready\n" }

export const pipes: ReadonlyArray<ProcessPromise> = promises({
  *"gives the output whole and in order, and its end"(tested) {
    const steps = { repeat: 20_000, step: { raw: "line $N \u2603\ud83d\ude00\n" } }
    const cli = yield* open(tested, { start: [steps, { exit: 0 }] })
    const expected = Array.from({ length: 20_000 }, (_, n) => `line ${n} \u2603\ud83d\ude00\n`).join("")
    yield* holds("every line", (yield* readAll(cli)).text === expected)
    yield* same("after the end", yield* cli.stdout, [])
  },
  *"gives all that came before a kill in the middle of a line"(tested) {
    const cli = yield* open(tested, { start: [{ raw: "a line\nhalf a" }, { kill: "SIGKILL" }] })
    yield* same("output", (yield* readAll(cli)).text, "a line\nhalf a")
    yield* same("signal", yield* endOf(cli), "SIGKILL")
  },
  *"lets it wait when its output is not read, and loses nothing"(tested) {
    const bytes = 8 * mebibyte
    const cli = yield* open(tested, { start: [{ floodStdout: bytes }, { stderr: "all out" }, { exit: 0 }] })
    const first = (yield* cli.stdout).reduce((sum, chunk) => sum + chunk.length, 0)
    yield* Effect.sleep("700 millis")
    yield* same("stderr, while nothing is read", yield* cli.stderrTail, "")
    yield* same("bytes", first + (yield* readAll(cli)).bytes, bytes)
    yield* same("exit", yield* cli.exit, { code: 0, signal: null })
    yield* same("stderr", yield* cli.stderrTail, "all out")
  },
  *"drains stderr while nobody asks for it, and keeps the last 64 KiB"(tested) {
    const cli = yield* open(tested, { start: [{ floodStderr: mebibyte }, { stderr: "the end" }, { exit: 3 }] })
    yield* same("exit", yield* cli.exit, { code: 3, signal: null })
    const tail = yield* cli.stderrTail
    yield* holds("64 KiB at the most", tail.length <= 64 * 1024, tail.length)
    yield* holds("the end of it", tail.length > 1024 && tail.endsWith("e\nthe end"), tail.slice(-100))
  },
  *"writes the input whole, and has it end"(tested) {
    const cli = yield* open(tested, {})
    const words = "\u2603\ud83d\ude00 ".repeat(300_000)
    yield* same("taken", yield* cli.send(prompt(words)), true)
    yield* cli.closeInput
    yield* cli.closeInput
    yield* same("taken after the end", yield* cli.send(prompt("late")), false)
    yield* holds("the prompt is answered", (yield* readAll(cli)).text.includes(`"result":"echo: ${words}"`))
    yield* same("exit", yield* cli.exit, { code: 0, signal: null })
  },
  *"waits with a write that nobody takes, and says that it was not taken"(tested) {
    const { cli, close } = yield* opened(tested, { start: [{ ignoreStdin: true }, ready] })
    yield* readUntil(cli, "ready")
    const sending = yield* Effect.fork(cli.send("x".repeat(8 * mebibyte)))
    yield* Effect.sleep("300 millis")
    yield* holds("it waits", sending.unsafePoll() === null)
    yield* close
    yield* same("taken", yield* Fiber.join(sending), false)
  },
  *"says that a write was not taken by one that has gone, and bears all else that is asked of it"(tested) {
    const { cli, close } = yield* opened(tested, { start: [{ exit: 5 }] })
    yield* same("exit", yield* cli.exit, { code: 5, signal: null })
    yield* same("exit, asked again", yield* cli.exit, { code: 5, signal: null })
    yield* same("taken", yield* cli.send(prompt("late")), false)
    yield* cli.closeInput
    yield* cli.interrupt
    yield* same("output", (yield* readAll(cli)).text, "")
    yield* close
    yield* same("taken after the close", yield* cli.send(prompt("later")), false)
  }
})
