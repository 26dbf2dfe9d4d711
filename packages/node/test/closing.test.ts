import { CliProcess } from "@ccflow/core/CliProcess"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import type { ChildProcessWithoutNullStreams } from "node:child_process"
import { EventEmitter } from "node:events"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { PassThrough } from "node:stream"
import { Child } from "../src/internal/child.js"
import { ProcessGroup } from "../src/internal/processGroup.js"
import {
  folder,
  graces,
  graceSum,
  invocation,
  layer,
  linux,
  listeners,
  lives,
  nextTurn,
  open,
  opened,
  pidIn,
  processesWith,
  readAll,
  readUntil,
  shell,
  tolerance
} from "./support.js"

const loop = "while :; do sleep 0.02; done"
/** Larger than any that a system gives. */
const noGroup = 2 ** 30

describe("closing the scope of a process", () => {
  it.scopedLive("ends one that leaves at SIGINT without waiting for a grace", () =>
    Effect.gen(function*() {
      const { cli, close } = yield* opened(yield* shell(`trap 'exit 0' INT; echo ready; ${loop}`), {
        graces: { interrupt: 20_000, terminate: 20_000, kill: 20_000 }
      })
      yield* readUntil(cli, "ready")
      yield* close
      assert.isFalse(lives(cli.pid))
      assert.deepStrictEqual(yield* cli.exit, { code: 0, signal: null })
    }).pipe(Effect.provide(layer)))

  it.scopedLive("asks one that is deaf to SIGINT with SIGTERM, after the first grace", () =>
    Effect.gen(function*() {
      const { cli, close } = yield* opened(yield* shell(`trap '' INT; trap 'exit 143' TERM; echo ready; ${loop}`), {
        graces: { interrupt: 100, terminate: 20_000, kill: 20_000 }
      })
      yield* readUntil(cli, "ready")
      assert.isAtLeast(yield* close, 99)
      assert.deepStrictEqual(yield* cli.exit, { code: 143, signal: null })
    }).pipe(Effect.provide(layer)))

  it.scopedLive("ends one that is deaf to SIGTERM", () =>
    Effect.gen(function*() {
      const { cli, close } = yield* opened(yield* shell(`trap '' TERM; echo ready; ${loop}`))
      yield* readUntil(cli, "ready")
      assert.isBelow(yield* close, graceSum + tolerance)
      assert.isFalse(lives(cli.pid))
    }).pipe(Effect.provide(layer)))

  it.scopedLive("kills one that is deaf to SIGINT and SIGTERM, when both graces are over and not later", () =>
    Effect.gen(function*() {
      const { cli, close } = yield* opened(yield* shell(`trap '' INT TERM HUP; echo ready; ${loop}`))
      yield* readUntil(cli, "ready")
      const took = yield* close
      assert.isAtLeast(took, graces.interrupt + graces.terminate - 2)
      assert.isBelow(took, graceSum + tolerance)
      assert.isFalse(lives(cli.pid))
      assert.deepStrictEqual(yield* cli.exit, { code: null, signal: "SIGKILL" })
    }).pipe(Effect.provide(layer)))

  it.scopedLive("asks its whole group: a grandchild that cleans up when it is asked has done so", () =>
    Effect.gen(function*() {
      const file = join(yield* folder, "cleaned")
      const grandchild = `trap 'echo 0 > ${file}; exit 0' TERM; echo ready; ${loop}`
      const { cli, close } = yield* opened(
        yield* shell(`trap '' INT; trap : TERM; sh -c "${grandchild}" & while kill -0 $!; do wait $!; done; exit 0`),
        { graces: { interrupt: 1, terminate: 2000, kill: 2000 } }
      )
      yield* readUntil(cli, "ready")
      yield* close
      assert.isTrue(existsSync(file))
      assert.deepStrictEqual(yield* cli.exit, { code: 0, signal: null })
    }).pipe(Effect.provide(layer)))

  it.live("takes the sum of the graces and no longer where it cannot be ended", () =>
    Effect.gen(function*() {
      // As one that the system holds: each signal is sent, and its end is never told.
      const held = Object.assign(new EventEmitter(), {
        stdin: new PassThrough(),
        stdout: new PassThrough(),
        stderr: new PassThrough(),
        unref: () => {}
      }) as unknown as ChildProcessWithoutNullStreams
      const patience = { interrupt: 400, terminate: 400, kill: 400 }
      const child = new Child(held, noGroup, false)
      const started = performance.now()
      yield* Effect.async<void>((resume) => child.close(patience, () => resume(Effect.void)))
      const took = performance.now() - started
      assert.isAtLeast(took, 1200 - 5)
      assert.isBelow(took, 1200 + tolerance)
      assert.isTrue([held.stdin, held.stdout, held.stderr].every(({ destroyed }) => destroyed))
    }))

  it.scopedLive("kills a grandchild that ignores signals, though the child left at once", () =>
    Effect.gen(function*() {
      const file = join(yield* folder, "pid")
      const { cli, close } = yield* opened(
        yield* shell(
          `sh -c "trap '' INT TERM HUP; while :; do sleep 0.02; done" & echo $! > ${file}; trap 'exit 0' INT; wait`
        )
      )
      const grandchild = yield* pidIn(file)
      assert.isBelow(yield* close, graceSum + tolerance)
      assert.isFalse(lives(cli.pid))
      assert.isFalse(lives(grandchild))
    }).pipe(Effect.provide(layer)))

  it.scopedLive("kills a grandchild that its child has left behind before the close", () =>
    Effect.gen(function*() {
      const file = join(yield* folder, "pid")
      const { cli, close } = yield* opened(yield* shell(`sleep 60 & echo $! > ${file}; exit 0`))
      const grandchild = yield* pidIn(file)
      assert.deepStrictEqual(yield* cli.exit, { code: 0, signal: null })
      assert.isTrue(lives(grandchild))
      yield* close
      assert.isFalse(lives(grandchild))
    }).pipe(Effect.provide(layer)))

  it.scopedLive("touches nobody when the process and its group have long gone", () =>
    Effect.gen(function*() {
      const { cli, close } = yield* opened(yield* shell("exit 3"))
      assert.deepStrictEqual(yield* cli.exit, { code: 3, signal: null })
      assert.isBelow(yield* close, tolerance)
      assert.deepStrictEqual(yield* cli.exit, { code: 3, signal: null })
      yield* cli.interrupt
      yield* cli.closeInput
      assert.isFalse(yield* cli.send("late"))
      assert.strictEqual((yield* readAll(cli)).length, 0)
    }).pipe(Effect.provide(layer)))

  it.scopedLive("touches nobody who has got the number of a group that is gone", () =>
    Effect.gen(function*() {
      const { cli } = yield* opened(yield* shell(loop))
      const another = new ProcessGroup(cli.pid)
      assert.isTrue(another.signal(0))
      // As it is when the leader of a group has been reaped, and another process starts with its number.
      another.leaderExited()
      assert.isFalse(another.signal("SIGKILL"))
      assert.isFalse(another.signal(0))
      assert.isTrue(lives(cli.pid))
    }).pipe(Effect.provide(layer)))

  it.scopedLive("lets a process go whose full output nobody reads", () =>
    Effect.gen(function*() {
      // It leaves at SIGINT only after it could write everything.
      const { cli, close } = yield* opened(
        yield* shell(`trap 'exit 0' INT; (trap '' INT; exec head -c 4000000 /dev/zero); echo done >&2; ${loop}`),
        { graces: { interrupt: 20_000, terminate: 20_000, kill: 20_000 } }
      )
      yield* Effect.sleep(200)
      assert.strictEqual(yield* cli.stderrTail, "")
      yield* close
      assert.deepStrictEqual(yield* cli.exit, { code: 0, signal: null })
    }).pipe(Effect.provide(layer)))

  it.scopedLive("answers a reader that still waits: with the end", () =>
    Effect.gen(function*() {
      const { cli, close } = yield* opened(yield* shell(`echo ready; ${loop}`))
      yield* readUntil(cli, "ready")
      const reader = yield* Effect.fork(cli.stdout)
      yield* close
      assert.deepStrictEqual(yield* Fiber.join(reader), [])
    }).pipe(Effect.provide(layer)))

  it.scoped("is as fast under a test clock, whose time stands still", () =>
    Effect.gen(function*() {
      const { cli, close } = yield* opened(yield* shell(`trap '' INT TERM; echo ready; ${loop}`))
      yield* readUntil(cli, "ready")
      assert.isBelow(yield* close, graceSum + tolerance)
      assert.isFalse(lives(cli.pid))
      assert.strictEqual(yield* TestClock.currentTimeMillis, 0)
    }).pipe(Effect.provide(layer)))

  it.scopedLive("happens also when the fiber is interrupted right at the start", () =>
    Effect.gen(function*() {
      const command = yield* shell(`trap '' INT TERM; ${loop}`)
      const cliProcess = yield* CliProcess
      const pids: Array<number> = []
      for (let turns = 0; turns < 8; turns++) {
        const fiber = yield* Effect.forkDaemon(
          Effect.scoped(
            Effect.zipRight(
              Effect.tap(
                cliProcess.open(invocation(command, { graces: { interrupt: 5, terminate: 5, kill: 500 } })),
                (cli) => Effect.sync(() => pids.push(cli.pid))
              ),
              Effect.never
            )
          )
        )
        for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow()
        yield* Fiber.interrupt(fiber)
      }
      assert.isAbove(pids.length, 0)
      for (const pid of pids) assert.isFalse(lives(pid))
      if (linux) assert.deepStrictEqual(processesWith(command), [])
    }).pipe(Effect.provide(layer)))

  it.scopedLive("is over for all of many in the time of one", () =>
    Effect.gen(function*() {
      const command = yield* shell(`trap '' INT TERM; echo ready; ${loop}`)
      const many = yield* Effect.forEach([1, 2, 3, 4, 5], () => opened(command))
      yield* Effect.forEach(many, ({ cli }) => readUntil(cli, "ready"))
      const started = performance.now()
      yield* Effect.forEach(many, ({ close }) => close, { concurrency: "unbounded" })
      assert.isBelow(performance.now() - started, graceSum + tolerance)
    }).pipe(Effect.provide(layer)))

  it.scopedLive("leaves no listener of the host behind, and has one while processes live", () =>
    Effect.gen(function*() {
      yield* nextTurn
      const before = listeners()
      const command = yield* shell(`trap 'exit 0' INT; echo ready; ${loop}`)
      yield* Effect.scoped(Effect.gen(function*() {
        for (let count = 0; count < 12; count++) yield* open(command)
        assert.deepStrictEqual(listeners(), before.map((count) => count + 1))
      }))
      yield* nextTurn
      assert.deepStrictEqual(listeners(), before)
    }).pipe(Effect.provide(layer)))
})
