import type { Invocation } from "@ccflow/core/CliProcess"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { bundle } from "../../../test/support/bundle.js"
import {
  descriptors,
  executable,
  folder,
  layer,
  linux,
  listeners,
  nextTurn,
  onlyLinux,
  open,
  readAll,
  shell
} from "./support.js"

const refusal = (command: string, more?: Partial<Invocation>) =>
  Effect.map(Effect.flip(Effect.scoped(open(command, more))), (error) => ({
    tag: error._tag,
    reason: error._tag === "CliSpawnError" ? error.reason : undefined,
    code: error._tag === "CliSpawnError" ? error.code : undefined,
    hint: error.hint,
    command: error.command
  }))

const refusedWith = (
  reason: string,
  code: string,
  command: string,
  more?: Partial<Invocation>
) =>
  Effect.map(refusal(command, more), (refused) => {
    assert.deepStrictEqual([refused.tag, refused.reason, refused.code, refused.command], [
      "CliSpawnError",
      reason,
      code,
      command
    ])
    assert.notStrictEqual(refused.hint, "")
  })

const notFound = (command: string, more?: Partial<Invocation>) =>
  Effect.map(refusal(command, more), (refused) => assert.strictEqual(refused.tag, "CliNotFoundError"))

describe("a command that cannot be started", () => {
  it.scopedLive("is not found: a path, a name, nothing, a path through a file, a name with NUL, a name too long", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const file = yield* shell("exit 0")
      yield* notFound(join(path, "missing"))
      yield* notFound("ccflow-no-such-command")
      yield* notFound("")
      yield* notFound(join(file, "claude"))
      yield* notFound("cla\0ude")
      yield* notFound(join(path, "x".repeat(5000)))
      yield* notFound("sh", { env: { PATH: path } })
      yield* notFound("sh", { env: { PATH: "" } })
    }).pipe(Effect.provide(layer)))

  it.scopedLive("is a file that is not executable", () =>
    Effect.gen(function*() {
      const file = yield* shell("exit 0")
      chmodSync(file, 0o644)
      yield* refusedWith("NotExecutable", "EACCES", file)
      yield* refusedWith("NotExecutable", "EACCES", "claude", { env: { PATH: dirname(file) } })
    }).pipe(Effect.provide(layer)))

  it.scopedLive("is a directory", () =>
    Effect.gen(function*() {
      yield* refusedWith("IsDirectory", "EACCES", yield* folder)
    }).pipe(Effect.provide(layer)))

  it.scopedLive("is a script whose interpreter is missing, and the error names it", () =>
    Effect.gen(function*() {
      const file = yield* executable("#! /no/such/interpreter -x\necho\n")
      yield* refusedWith("BadFormat", "ENOENT", file)
      assert.include((yield* refusal(file)).hint, "/no/such/interpreter")
      // As from an editor that ends lines in another way: the name then ends in a character that nobody sees.
      const windows = yield* executable("#!/bin/sh\r\necho\r\n")
      assert.include((yield* refusal(windows)).hint, String.raw`/bin/sh\r`)
    }).pipe(Effect.provide(layer)))

  it.scopedLive("is a file that only a shell would take: it is refused, and nothing in it runs", () =>
    Effect.gen(function*() {
      const ran = join(yield* folder, "ran")
      const line = `echo ran > ${ran}`
      const text = yield* executable(`${line}\n`)
      const elf = Buffer.from(readFileSync(process.execPath).subarray(0, 64))
      const foreign = Buffer.from(elf)
      foreign.writeUInt16LE(243 - elf.readUInt16LE(18) % 2, 18)
      const files = [
        text,
        yield* executable(`#!\n${line}\n`),
        yield* executable(`#! \t \n${line}\n`),
        yield* executable(`\n#!/bin/sh\n${line}\n`),
        yield* executable(""),
        yield* executable(`#!${text}\n${line}\n`),
        yield* executable(`\x7fELF\n${line}\n`),
        yield* executable(`${foreign.toString("latin1")}\n${line}\n`)
      ]
      for (const file of files) yield* refusedWith("BadFormat", "ENOEXEC", file)
      yield* refusedWith("BadFormat", "ENOEXEC", "claude", { env: { PATH: dirname(text) } })
      assert.isFalse(existsSync(ran))
    }).pipe(Effect.provide(layer)))

  it.scopedLive("is a script that interprets itself", () =>
    Effect.gen(function*() {
      const file = join(yield* folder, "claude")
      writeFileSync(file, `#!${file}\n`, { mode: 0o755 })
      yield* refusedWith("BadFormat", "ELOOP", file)
    }).pipe(Effect.provide(layer)))

  it.scopedLive("has a cwd that is missing, or a file, or no name at all", () =>
    Effect.gen(function*() {
      const file = yield* shell("exit 0")
      for (const cwd of [join(file, "..", "missing"), file, "a\0b"]) {
        const refused = yield* refusal(file, { cwd })
        assert.strictEqual(refused.reason, "CwdMissing")
        assert.include(refused.hint, JSON.stringify(cwd))
      }
    }).pipe(Effect.provide(layer)))

  it.scopedLive("has an argument that is too long for the operating system", () =>
    Effect.gen(function*() {
      yield* refusedWith("TooLarge", "E2BIG", yield* shell("exit 0"), { args: ["x".repeat(200 * 1024)] })
      yield* refusedWith("TooLarge", "E2BIG", yield* shell("exit 0"), { env: { LONG: "x".repeat(200 * 1024) } })
    }).pipe(Effect.provide(layer)))

  it.scopedLive("has an argument or a variable with NUL", () =>
    Effect.gen(function*() {
      const file = yield* shell("exit 0")
      yield* refusedWith("Other", "ERR_INVALID_ARG_VALUE", file, { args: ["a\0b"] })
      yield* refusedWith("Other", "ERR_INVALID_ARG_VALUE", file, { env: { NAME: "a\0b" } })
      yield* refusedWith("Other", "ERR_INVALID_ARG_VALUE", file, { env: { "a\0b": "" } })
    }).pipe(Effect.provide(layer)))

  it(`has no descriptors left to be started with${onlyLinux}`, async (ctx) => {
    if (!linux) return ctx.skip("needs /proc")
    const program = await bundle("no-descriptors", { host: "packages/node/test/fixtures/noDescriptors.ts" })
    const host = spawnSync("/bin/sh", [
      "-c",
      "ulimit -n 128 && exec \"$0\" \"$1\"",
      process.execPath,
      join(program, "host.mjs")
    ], { encoding: "utf8" })
    assert.strictEqual(host.stderr, "")
    assert.strictEqual(host.stdout, "CliSpawnError NoResources EMFILE\n0\n")
    assert.strictEqual(host.status, 0)
  }, 30_000)

  it.scopedLive(`leaves nothing behind, however often it is tried${onlyLinux}`, (ctx) =>
    Effect.gen(function*() {
      if (!linux) return ctx.skip("needs /proc")
      const file = yield* shell("exit 0")
      const ways: ReadonlyArray<readonly [string, Partial<Invocation>]> = [
        ["ccflow-no-such-command", {}],
        [yield* executable("echo"), {}],
        [file, { args: ["x".repeat(200 * 1024)] }],
        [file, { args: ["a\0b"] }],
        [file, { cwd: "/no/such/folder" }],
        [file, { args: ["a\0b"], files: [{ flag: "--settings", content: "{}" }] }]
      ]
      const all = Effect.forEach(ways, ([command, more]) => refusal(command, more))
      yield* all
      yield* nextTurn
      const before = [descriptors(), listeners()]
      for (let turn = 0; turn < 20; turn++) yield* all
      yield* Effect.sleep(10)
      assert.deepStrictEqual([descriptors(), listeners()], before)
    }).pipe(Effect.provide(layer)), 20_000)
})

describe("a command that can be started", () => {
  const output = (command: string, more?: Partial<Invocation>) =>
    Effect.scoped(Effect.flatMap(open(command, more), readAll)).pipe(Effect.map((bytes) => bytes.toString().trim()))

  it.scopedLive("is looked up on the child's PATH, not on the host's", () =>
    Effect.gen(function*() {
      const file = yield* shell("echo mine")
      assert.strictEqual(yield* output("claude", { env: { PATH: dirname(file) } }), "mine")
    }).pipe(Effect.provide(layer)))

  it.scopedLive("is the first on the PATH that can run", () =>
    Effect.gen(function*() {
      const second = yield* shell("echo second")
      const plain = yield* shell("echo plain")
      chmodSync(plain, 0o644)
      const taken = yield* folder
      mkdirSync(join(taken, "claude"))
      const PATH = ["/no/such/folder", dirname(plain), taken, dirname(second)].join(":")
      assert.strictEqual(yield* output("claude", { env: { PATH } }), "second")
    }).pipe(Effect.provide(layer)))

  it.scopedLive("is found from its cwd when its path is relative, and in it by an empty entry of the PATH", () =>
    Effect.gen(function*() {
      const file = yield* shell("echo here; pwd")
      const cwd = dirname(file)
      assert.include(yield* output("./claude", { cwd }), "here")
      assert.include(yield* output("claude", { cwd, env: { PATH: ":/no/such/folder" } }), "here")
    }).pipe(Effect.provide(layer)))

  it.scopedLive("is found without any PATH where the operating system looks", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* output("echo", { args: ["found"], env: { PATH: undefined } }), "found")
    }).pipe(Effect.provide(layer)))

  it.scopedLive("is looked at anew when it is no longer what it was", () =>
    Effect.gen(function*() {
      const program = join(yield* folder, "claude")
      copyFileSync("/bin/echo", program)
      assert.strictEqual(yield* output(program, { args: ["one"] }), "one")
      assert.strictEqual(yield* output(program, { args: ["two"] }), "two")
      chmodSync(program, 0o644)
      yield* refusedWith("NotExecutable", "EACCES", program)
      chmodSync(program, 0o755)
      assert.strictEqual(yield* output(program, { args: ["three"] }), "three")
      writeFileSync(program, "echo four")
      yield* refusedWith("BadFormat", "ENOEXEC", program)
    }).pipe(Effect.provide(layer)))

  it.scopedLive("may be a link, a program, a script of a script, or have blanks in its name", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const script = yield* shell(`echo "ran $2"`)
      const link = join(path, "a link")
      symlinkSync(script, link)
      assert.strictEqual(yield* output(link, { args: ["", "link"] }), "ran link")
      const nested = yield* executable(`#! ${script} first\n`)
      assert.strictEqual(yield* output(nested), `ran ${nested}`)
      assert.strictEqual(yield* output(process.execPath, { args: ["-p", "1 + 1"] }), "2")
    }).pipe(Effect.provide(layer)))
})
