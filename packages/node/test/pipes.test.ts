import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import {
  buffered,
  eventually,
  executable,
  folder,
  graceSum,
  layer,
  linux,
  lives,
  onlyLinux,
  open,
  opened,
  pidIn,
  readAll,
  readUntil,
  shell,
  tolerance
} from "./support.js"

const node = (text: string) => executable(`#!/usr/bin/env node\n${text}\n`)
const mebibyte = 1024 * 1024
/** The host's event loop gets no turn for as long. */
const busy = (ms: number) =>
  Effect.sync(() => {
    for (const end = performance.now() + ms; performance.now() < end;);
  })
const loop = "while :; do sleep 0.02; done"

describe("stdout of a process", () => {
  it.scopedLive("is whole when it is killed while the consumer is slow", () =>
    Effect.gen(function*() {
      const length = join(yield* folder, "length")
      // As much as the pipe takes, and then death, by a process that knows how much that was.
      const cli = yield* open(
        yield* node(`
          const fs = require("node:fs")
          let total = 0
          for (;;) {
            try { total += fs.writeSync(1, "x".repeat(1000)) } catch (error) {
              if (error.code !== "EAGAIN") throw error
              Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
            }
            if (total >= 3e6) break
          }
          fs.writeFileSync(${JSON.stringify(length)}, String(total) + "\\n")
          process.kill(process.pid, "SIGKILL")
        `)
      )
      let got = 0
      for (;;) {
        const chunks = yield* cli.stdout
        if (chunks.length === 0) break
        for (const chunk of chunks) got += chunk.length
        yield* Effect.sleep(40)
      }
      assert.strictEqual(got, Number(readFileSync(length, "utf8")))
      assert.deepStrictEqual(yield* cli.exit, { code: null, signal: "SIGKILL" })
    }).pipe(Effect.provide(layer)), 20_000)

  it.scopedLive("ends although a grandchild holds it after exit code 0", () =>
    Effect.gen(function*() {
      const file = join(yield* folder, "pid")
      const cli = yield* open(yield* shell(`sleep 60 & echo $! > ${file}; echo all; exit 0`))
      assert.strictEqual((yield* readAll(cli)).toString(), "all\n")
      assert.deepStrictEqual(yield* cli.exit, { code: 0, signal: null })
      assert.isTrue(lives(yield* pidIn(file)))
    }).pipe(Effect.provide(layer)))

  it.scopedLive("ends although a grandchild holds it and the consumer had paused it", () =>
    Effect.gen(function*() {
      // Once with nothing more to come when it is read on, once with more.
      for (const bytes of [512 * 1024, 600_000]) {
        const cli = yield* open(yield* shell(`sleep 60 & head -c ${bytes} /dev/zero; exit 0`))
        yield* cli.exit
        yield* Effect.sleep(300)
        assert.strictEqual((yield* readAll(cli)).length, bytes)
      }
    }).pipe(Effect.provide(layer)))

  it.scopedLive("ends although a grandchild never stops writing to it", () =>
    Effect.gen(function*() {
      const cli = yield* open(yield* shell(`(while :; do echo noise; sleep 0.02; done) & echo all; exit 0`))
      assert.include((yield* readAll(cli)).toString(), "all\n")
    }).pipe(Effect.provide(layer)))

  it.scopedLive("holds what a filter behind the process still writes shortly after its exit", () =>
    Effect.gen(function*() {
      const cli = yield* open(yield* shell(`(read line; sleep 0.05; echo "late $line") <<X &\nword\nX\nexit 0`))
      assert.strictEqual((yield* readAll(cli)).toString(), "late word\n")
    }).pipe(Effect.provide(layer)))

  it.scopedLive("holds it also when the host computed for long meanwhile", () =>
    Effect.gen(function*() {
      const cli = yield* open(yield* shell(`(sleep 0.05; echo late; sleep 60) & exit 0`))
      yield* cli.exit
      yield* busy(300)
      assert.strictEqual((yield* readAll(cli)).toString(), "late\n")
    }).pipe(Effect.provide(layer)))

  it.scopedLive("ends when it is closed, though the process goes on", () =>
    Effect.gen(function*() {
      const cli = yield* open(yield* shell(`echo all; exec >&-; ${loop}`))
      assert.strictEqual((yield* readAll(cli)).toString(), "all\n")
      assert.isTrue(lives(cli.pid))
    }).pipe(Effect.provide(layer)))

  it.scopedLive("loses nothing to a reader that was interrupted while it waited", () =>
    Effect.gen(function*() {
      const cli = yield* open(yield* shell("read line; echo all"))
      const first = yield* Effect.fork(cli.stdout)
      yield* Effect.sleep(20)
      yield* Fiber.interrupt(first)
      yield* cli.send("go\n")
      yield* cli.exit
      assert.strictEqual((yield* readAll(cli)).toString(), "all\n")
    }).pipe(Effect.provide(layer)))

  it.scopedLive("that nobody reads makes the process wait and does not fill the host's memory", () =>
    Effect.gen(function*() {
      const { cli, close } = yield* opened(yield* shell("head -c 300000000 /dev/zero; echo done >&2"))
      const before = buffered()
      yield* Effect.sleep(700)
      assert.isBelow(buffered() - before, 4 * mebibyte)
      assert.strictEqual(yield* cli.stderrTail, "")
      assert.isBelow(yield* close, graceSum + tolerance)
      assert.isFalse(lives(cli.pid))
    }).pipe(Effect.provide(layer)))
})

describe("stderr of a process", () => {
  it.scopedLive(
    "is drained while nobody asks for it: 64 MiB pass, the last 64 KiB are kept",
    () =>
      Effect.gen(function*() {
        const before = buffered()
        const cli = yield* open(
          yield* shell(`head -c ${64 * mebibyte} /dev/zero | tr '\\0' e >&2; printf last >&2; echo done`)
        )
        yield* readUntil(cli, "done")
        yield* cli.exit
        const tail = yield* cli.stderrTail
        assert.strictEqual(tail.length, 64 * 1024)
        assert.isTrue(tail.endsWith("eelast"))
        // What is collected is given back by a thread of the engine's, a little later.
        yield* eventually("less than 1 MiB is held", () => buffered() - before < mebibyte)
      }).pipe(Effect.provide(layer)),
    30_000
  )

  it.scopedLive("is told as far as it has come while the process lives", () =>
    Effect.gen(function*() {
      const cli = yield* open(yield* shell(`echo oh >&2; echo ready; ${loop}`))
      yield* readUntil(cli, "ready")
      let tail = ""
      for (let tries = 0; tail === "" && tries < 100; tries++) {
        yield* Effect.sleep(10)
        tail = yield* cli.stderrTail
      }
      assert.strictEqual(tail, "oh\n")
    }).pipe(Effect.provide(layer)))

  it.scopedLive("is told whole after the exit, also when a grandchild holds it and the host was busy", () =>
    Effect.gen(function*() {
      const cli = yield* open(yield* shell("(sleep 0.05; echo why >&2; sleep 60) & exit 1"))
      yield* cli.exit
      const tail = yield* Effect.fork(cli.stderrTail)
      yield* Effect.yieldNow()
      yield* busy(300)
      assert.strictEqual(yield* Fiber.join(tail), "why\n")
    }).pipe(Effect.provide(layer)))
})

describe("stdin of a process", () => {
  it.scopedLive("of which nothing is read takes no longer to close when 8 MiB are pending", () =>
    Effect.gen(function*() {
      const { cli, close } = yield* opened(yield* shell(`trap '' INT TERM; echo ready; ${loop}`))
      yield* readUntil(cli, "ready")
      const sending = yield* Effect.fork(cli.send("x".repeat(8 * mebibyte)))
      assert.isBelow(yield* close, graceSum + tolerance)
      assert.isFalse(yield* Fiber.join(sending))
      assert.isFalse(lives(cli.pid))
    }).pipe(Effect.provide(layer)))

  it.scopedLive("of which nothing has been read yet holds up no close right after the start", () =>
    Effect.gen(function*() {
      const { cli, close } = yield* opened(yield* shell(`sleep 60`))
      const sending = yield* Effect.fork(cli.send("x".repeat(8 * mebibyte)))
      assert.isBelow(yield* close, graceSum + tolerance)
      assert.isFalse(yield* Fiber.join(sending))
    }).pipe(Effect.provide(layer)))

  it.scopedLive("gives false when the process has closed it and goes on", () =>
    Effect.gen(function*() {
      const cli = yield* open(yield* shell(`exec <&-; echo ready; ${loop}`))
      yield* readUntil(cli, "ready")
      assert.isFalse(yield* cli.send("a line\n"))
      assert.isFalse(yield* cli.send("another\n"))
      yield* cli.closeInput
      assert.isTrue(lives(cli.pid))
    }).pipe(Effect.provide(layer)))

  it.scopedLive("gives false when the process dies while it is written", () =>
    Effect.gen(function*() {
      const cli = yield* open(yield* shell("read line; kill -KILL $$"))
      assert.isFalse(yield* cli.send(`go\n${"x".repeat(8 * mebibyte)}`))
      assert.isFalse(yield* cli.send("more"))
    }).pipe(Effect.provide(layer)))
})

describe("the group of a process", () => {
  it.scopedLive(`is one of its own, in a session without a terminal${onlyLinux}`, (ctx) =>
    Effect.gen(function*() {
      if (!linux) return ctx.skip("needs /proc")
      const cli = yield* open(yield* shell(`echo ready; ${loop}`))
      yield* readUntil(cli, "ready")
      const stat = readFileSync(`/proc/${cli.pid}/stat`, "latin1")
      const [, , group, session, terminal] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
      assert.deepStrictEqual([group, session, terminal], [String(cli.pid), String(cli.pid), "0"])
    }).pipe(Effect.provide(layer)))
})
