/**
 * What everything that starts CLIs promises, as programs: each fails when its promise is broken. For a `CliProcess` of
 * your own that runs the CLI in a container, on another machine or behind a wrapper.
 *
 * They run `fake-claude` of this package, which has to be there where the CLIs run, and look at it only through the
 * service itself: whether a process lives, and what is in a file, is asked of another `fake-claude` beside it.
 */
import { CliProcess } from "@ccflow/core/CliProcess"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import {
  beside,
  broken,
  endOf,
  graces,
  holds,
  mebibyte,
  open,
  opened,
  prompt,
  readAll,
  readUntil,
  type Tested,
  told,
  toleranceMs
} from "./internal/processPromise.js"
import { BrokenPromise, type Holding, type PromiseOf, same } from "./internal/promise.js"

/** What is run. */
export interface Subject {
  /** `fake-claude`, as the CLI is named to the service: a path, or a name on the `PATH` of where it runs. */
  readonly command: string
  /** Before all other arguments. Default: none. */
  readonly args?: ReadonlyArray<string> | undefined
  /** What it needs there to run, beside the script. Default: nothing. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /**
   * How much the host holds for the CLIs that it runs, such as its open descriptors: must be after some as it was before.
   * Default: not looked at.
   */
  readonly held?: Effect.Effect<number> | undefined
}

/** One promise, and the program that holds a service to it. It takes seconds of real time, also under a test clock. */
export type Promised = PromiseOf<CliProcess>

export const suite = (subject: Subject): ReadonlyArray<Promised> =>
  Object.entries(promises).map(([name, held]) => ({
    name,
    run: Effect.flatMap(CliProcess, (service) => Effect.scoped(Effect.gen(() => held({ ...subject, service })))).pipe(
      Effect.timeoutFail({
        duration: patience,
        onTimeout: () => new BrokenPromise({ what: "it comes to an end", expected: patience, actual: "it hangs" })
      }),
      Effect.withClock(Clock.make())
    )
  }))

// ---------------------------------------------------------------------------

const patience = "40 seconds"

const promises: Readonly<Record<string, (tested: Tested) => Holding<Scope.Scope>>> = {
  *"starts it with the arguments as they are, each a value of its own that no shell has seen"(tested) {
    const args = [`--one=${odd}`, "--two=", "--three"]
    const cli = yield* open(tested, { start: [{ tell: {} }] }, { args })
    yield* same("arguments", (yield* told(cli)).argv.slice(-args.length), args)
  },
  *"starts it with the variables as they are given, and without those that are dropped"(tested) {
    const env = { CCFLOW_ADDED: odd, CCFLOW_EMPTY: "", HOME: undefined }
    const start = [{ tell: { env: [...Object.keys(env), "CCFLOW_OTHER"] } }]
    yield* same("environment", (yield* told(yield* open(tested, { start }, { env }))).env, {
      CCFLOW_ADDED: odd,
      CCFLOW_EMPTY: "",
      HOME: null,
      CCFLOW_OTHER: null
    })
  },
  *"starts it in the folder that it is told"(tested) {
    yield* same("cwd", (yield* told(yield* open(tested, { start: [{ tell: {} }] }, { cwd: "/" }))).cwd, "/")
  },
  *"shows neither prompts nor what is in files among the arguments, and the files go with the process"(tested) {
    const files = [{ flag: "--settings", content: `{"one":"${secret}"}` }, { flag: "--mcp-config", content: secret }]
    const { cli, close } = yield* opened(tested, { turns: [[{ tell: {} }]] }, { files })
    yield* cli.send(prompt(`${secret} either`))
    const { argv } = yield* told(cli)
    yield* holds("no secret is an argument", !argv.some((arg) => arg.includes(secret)), argv)
    const paths = files.map(({ flag }) => argv.find((arg) => arg.startsWith(`${flag}=`))?.slice(flag.length + 1) ?? "")
    const look = beside(tested, { files: paths })
    yield* same("what the files hold", Object.values((yield* look).files), files.map(({ content }) => content))
    yield* close
    yield* same("what is left of them", Object.values((yield* look).files), files.map(() => null))
  },
  *"says why it cannot start what is missing, or in a folder that is missing"(tested) {
    yield* refused(tested, "a name that is none", { command: "ccflow-no-such-command" })
    yield* refused(tested, "a path that is none", { command: "/no/such/folder/claude" })
    yield* refused(tested, "a folder", { command: "/" })
    yield* refused(tested, "a cwd that is none", { cwd: "/no/such/folder" })
  },
  *"keeps those apart that run at once"(tested) {
    const names = ["one", "two", "three"]
    const answers = yield* Effect.forEach(names, (name) =>
      Effect.scoped(Effect.gen(function*() {
        const cli = yield* open(tested, {})
        if (!(yield* cli.send(prompt(name)))) return yield* broken("takes a prompt", true, false)
        yield* cli.closeInput
        return /"result":"(echo: \w+)"/.exec((yield* readAll(cli)).text)?.[1]
      })), { concurrency: "unbounded" })
    yield* same("answers", answers, names.map((name) => `echo: ${name}`))
  },
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
  },
  *"an interrupt reaches it, and the exit code is its own"(tested) {
    const script = { signals: { SIGINT: [{ raw: "ouch\n" }, { exit: 7 }] }, start: [{ raw: "ready\n" }] }
    const { cli } = yield* opened(tested, script)
    yield* readUntil(cli, "ready")
    yield* cli.interrupt
    yield* readUntil(cli, "ouch")
    yield* same("exit", yield* cli.exit, { code: 7, signal: null })
  },
  *"closing the scope ends one that leaves when it is asked, without waiting for the graces"(tested) {
    const cli = yield* goes(tested, { start: [pids] }, toleranceMs)
    yield* same("exit", yield* cli.exit, { code: 0, signal: null })
  },
  *"closing the scope ends one that is deaf to signals and to the end of its input, within the graces"(tested) {
    yield* goes(tested, { ...deaf, start: [{ ignoreStdin: true }, pids, hang] })
  },
  *"closing the scope ends one that prints without end and is not read"(tested) {
    yield* goes(tested, { ...deaf, start: [pids, { floodStdout: 64 * mebibyte }, hang] })
  },
  *"closing the scope ends one that is stopped"(tested) {
    yield* goes(tested, { start: [pids, { kill: "SIGSTOP" }] })
  },
  *"closing the scope ends what it has started, also when that is deaf and holds its output open"(tested) {
    yield* goes(tested, { start: [{ grandchild: { ignoreSignals: true, holdStdout: true, holdStderr: true } }, pids] })
  },
  *"holds nothing of those that are closed"(tested) {
    const { held } = tested
    if (held === undefined) return
    const cycle = Effect.flatMap(
      opened(tested, { start: [pids] }),
      ({ cli, close }) => Effect.zipRight(readUntil(cli, "pids"), close)
    )
    yield* cycle
    const before = yield* held
    yield* Effect.repeatN(cycle, 4)
    yield* same("held", yield* held, before)
  }
}

const odd = "a=b 'c' \"d\" $HOME `id` \\ \u2603\n--e"
const secret = "a value that nobody may see"

/** A start that must not come about, by a typed error or as a wrapper tells it that has started already. */
const refused = (tested: Tested, what: string, start: { readonly command?: string; readonly cwd?: string }) =>
  Effect.scoped(Effect.gen(function*() {
    const cli = yield* Effect.either(open({ ...tested, command: start.command ?? tested.command }, {}, start))
    if (Either.isLeft(cli)) {
      const { _tag, hint } = cli.left
      yield* holds(`${what}: a typed error`, _tag === "CliNotFoundError" || _tag === "CliSpawnError", _tag)
      return yield* holds(`${what}: what to do about it`, hint !== "")
    }
    yield* cli.right.closeInput
    yield* same(`${what}: prints nothing`, (yield* readAll(cli.right)).text, "")
    const { code } = yield* cli.right.exit
    yield* holds(`${what}: exit code 126 or 127`, code === 126 || code === 127, code)
  }))

const ready = { raw: "ready\n" }

const deaf = { signals: { SIGINT: "ignore", SIGTERM: "ignore", SIGHUP: "ignore" } }
const hang = { sleepForever: true }
/** The pids of the process and of its last grandchild. */
const pids = { raw: "pids $PID,$CHILD,\n" }

/** Closes it, and looks whether it and what it has started are gone. */
const goes = (
  tested: Tested,
  script: object,
  within = graces.interrupt + graces.terminate + graces.kill + toleranceMs
) =>
  Effect.gen(function*() {
    const { cli, close } = yield* opened(tested, script)
    const [, own, child] = /pids (\d+),(\d*)/.exec(yield* readUntil(cli, ",\n")) ?? []
    const reader = yield* Effect.fork(cli.stdout)
    const took = yield* close
    yield* holds(`the close is over within ${within} ms`, took <= within, took)
    const all = [own, child].filter((pid) => pid !== undefined && pid !== "").map(Number)
    yield* same(
      "who still lives",
      (yield* beside(tested, { alive: all })).alive,
      Object.fromEntries(all.map((pid) => [pid, false]))
    )
    yield* same(
      "a reader that waits gets the end",
      yield* Effect.map(Fiber.await(reader), ({ _tag }) => _tag),
      "Success"
    )
    return cli
  })
