import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import {
  beside,
  graces,
  holds,
  mebibyte,
  opened,
  type ProcessPromise,
  promises,
  readUntil,
  type Tested,
  toleranceMs
} from "./processPromise.js"
import { same } from "./promise.js"

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

export const closing: ReadonlyArray<ProcessPromise> = promises({
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
    yield* goes(tested, {
      start: [{ grandchild: { ignoreSignals: true, holdStdout: true, holdStderr: true } }, pids]
    })
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
})
