import { CliProcess, type Invocation } from "@ccflow/core/CliProcess"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { bundle } from "../../../test/support/bundle.js"
import {
  buffered,
  descriptors,
  eventually,
  executable,
  folder,
  invocation,
  layer,
  linux,
  listeners,
  lives,
  nextTurn,
  onlyLinux,
  open,
  opened,
  pidIn,
  processesWith,
  readAll,
  readUntil,
  shell
} from "./support.js"

const loop = "while :; do sleep 0.02; done"

// Of this file's own tests, not of others that run at the same time.
const hostTmpdir = process.env["TMPDIR"]
const ownTmpdir = mkdtempSync(join(tmpdir(), "ccflow-test-"))
const setTmpdir = (path: string | undefined) => {
  if (path === undefined) delete process.env["TMPDIR"]
  else process.env["TMPDIR"] = path
}
beforeAll(() => setTmpdir(ownTmpdir))
afterAll(() => {
  setTmpdir(hostTmpdir)
  rmSync(ownTmpdir, { recursive: true })
})

const secretFolders = () => readdirSync(ownTmpdir).filter((name) => !name.startsWith("ccflow-test-"))

const files: Invocation["files"] = [
  { flag: "--mcp-config", content: "{\"secret\":\"one\"}" },
  { flag: "--settings", content: "{\"secret\":\"two\"}" }
]

describe("200 processes, one after the other", () => {
  const cycle = (command: string, way: number) =>
    Effect.scoped(Effect.gen(function*() {
      const cli = yield* open(command, { args: [String(way)], ...(way === 1 ? { files } : {}) })
      if (way === 0) yield* readAll(cli)
      if (way === 1) yield* readUntil(cli, "ready")
      if (way === 2) yield* Effect.fork(cli.send("x".repeat(1 << 20)))
      if (way === 3) yield* cli.interrupt
    }))

  it.scopedLive(
    `leave no descriptor, process, listener, file or buffer behind${onlyLinux}`,
    (ctx) =>
      Effect.gen(function*() {
        if (!linux) return ctx.skip("needs /proc")
        const command = yield* shell(`trap 'exit 0' INT; echo ready; [ "$1" = 0 ] && exit 0; ${loop}`)
        for (let turn = 0; turn < 8; turn++) yield* cycle(command, turn % 4)
        const state = () => ({
          descriptors: descriptors(),
          listeners: listeners(),
          folders: secretFolders()
        })
        // Node lists a handle until it has told that it is closed.
        const handles = () =>
          process.getActiveResourcesInfo().filter((name) => /^(Pipe|Process)Wrap$/.test(name)).length
        yield* Effect.sleep(100)
        const [before, bytes, held] = [state(), buffered(), handles()]
        for (let turn = 0; turn < 200; turn++) yield* cycle(command, turn % 4)
        yield* nextTurn
        assert.deepStrictEqual(state(), before)
        yield* eventually("all handles are closed", () => handles() === held)
        // By their command: another process may have got the number of one by then.
        assert.deepStrictEqual(processesWith(command), [])
        assert.isBelow(buffered() - bytes, 2 * 1024 * 1024)
      }).pipe(Effect.provide(layer)),
    60_000
  )
})

describe("a process that has left the group of its CLI and holds its output", () => {
  it.scopedLive(
    `is not ours, and holds no descriptor of the host when the CLI is closed${onlyLinux}`,
    (ctx) =>
      Effect.gen(function*() {
        if (!linux) return ctx.skip("needs /proc")
        const file = join(yield* folder, "pid")
        const command = yield* shell(
          `setsid sh -c 'echo $$ > ${file}; exec sleep 60' & trap 'exit 0' INT; echo ready; ${loop}`
        )
        const before = descriptors()
        const { cli, close } = yield* opened(command)
        yield* readUntil(cli, "ready")
        const gone = yield* pidIn(file)
        assert.isAbove(descriptors(), before)
        yield* close
        yield* nextTurn
        yield* eventually("its descriptors are given back", () => descriptors() <= before)
        assert.isTrue(lives(gone))
        process.kill(gone)
      }).pipe(Effect.provide(layer)),
    20_000
  )
})

describe("opening that is interrupted", () => {
  it.scopedLive(`leaves neither a process nor a file, at whatever moment${onlyLinux}`, (ctx) =>
    Effect.gen(function*() {
      if (!linux) return ctx.skip("needs /proc")
      const command = yield* shell(`trap 'exit 0' INT; ${loop}`)
      const cliProcess = yield* CliProcess
      const before = [descriptors(), listeners(), secretFolders()]
      let reached = 0
      for (let moment = 0; moment < 40; moment++) {
        const fiber = yield* Effect.forkDaemon(
          Effect.scoped(
            Effect.zipRight(
              Effect.tap(cliProcess.open(invocation(command, { files })), () => Effect.sync(() => reached++)),
              Effect.never
            )
          )
        )
        for (let turn = 0; turn < Math.min(moment, 20); turn++) yield* nextTurn
        if (moment > 20) yield* Effect.sleep(2 ** ((moment - 20) / 2.5))
        yield* Fiber.interrupt(fiber)
        yield* nextTurn
        assert.deepStrictEqual([listeners(), secretFolders()], before.slice(1))
      }
      assert.isAbove(reached, 0)
      assert.isBelow(reached, 40)
      assert.deepStrictEqual(processesWith(command), [])
      assert.strictEqual(descriptors(), before[0])
    }).pipe(Effect.provide(layer)), 20_000)
})

describe("the files of an invocation", () => {
  it.scopedLive("are readable by their owner alone, are named in the arguments, and go with the process", () =>
    Effect.gen(function*() {
      const command = yield* executable(
        "#!/bin/sh\nprintf '%s\\n' \"$@\"\ntrap 'exit 0' INT\nwhile :; do sleep 0.02; done\n"
      )
      const { cli, close } = yield* opened(command, { args: ["--first"], files })
      const printed = yield* readUntil(cli, "1.json")
      const args = printed.trim().split("\n")
      assert.deepStrictEqual(args.map((arg) => arg.split("=")[0]), ["--first", "--mcp-config", "--settings"])
      const paths = args.slice(1).map((arg) => arg.slice(arg.indexOf("=") + 1))
      for (const [index, path] of paths.entries()) {
        assert.strictEqual(statSync(path).mode & 0o777, 0o600)
        assert.strictEqual(statSync(dirname(path)).mode & 0o777, 0o700)
        assert.strictEqual(readFileSync(path, "utf8"), files[index]!.content)
      }
      if (linux) assert.notInclude(readFileSync(`/proc/${cli.pid}/cmdline`, "utf8"), "secret")
      yield* close
      for (const path of paths) assert.isFalse(existsSync(dirname(path)))
    }).pipe(Effect.provide(layer)))

  it.scopedLive("are gone when the process could not be started", () =>
    Effect.gen(function*() {
      const before = secretFolders()
      yield* Effect.flip(Effect.scoped(open("ccflow-no-such-command", { files })))
      assert.deepStrictEqual(secretFolders(), before)
    }).pipe(Effect.provide(layer)))

  it.scopedLive("give a typed error when they cannot be written", () =>
    Effect.gen(function*() {
      const command = yield* shell("exit 0")
      setTmpdir(join(ownTmpdir, "missing"))
      const error = yield* Effect.flip(Effect.scoped(open(command, { files }))).pipe(
        Effect.ensuring(Effect.sync(() => setTmpdir(ownTmpdir)))
      )
      assert.deepInclude(error, { _tag: "CliSpawnError", command, reason: "Other", code: "ENOENT" })
    }).pipe(Effect.provide(layer)))
})

describe("a host that has closed its processes", () => {
  it.scopedLive("is kept alive by nothing of them, neither a timer nor a pipe", () =>
    Effect.gen(function*() {
      const command = yield* shell("echo out; echo err >&2; sleep 60 & exit 0")
      const program = yield* Effect.promise(() => bundle("idle", { host: "packages/node/test/fixtures/idle.ts" }))
      const host = spawnSync(process.execPath, [join(program, "host.mjs"), command], { encoding: "utf8" })
      assert.deepStrictEqual([host.stderr, host.stdout, host.status], ["", "[] at once", 0])
    }), 20_000)
})
