import { SessionRepository } from "@ccflow/core/SessionRepository"
import { UsageLimitStore } from "@ccflow/core/UsageLimit"
import * as SqliteFile from "@ccflow/sql/SqliteFile"
import * as SqliteSessionRepository from "@ccflow/sql/SqliteSessionRepository"
import * as SqlUsageLimitStore from "@ccflow/sql/SqlUsageLimitStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { mkdtemp, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { commandBundle } from "./support/commandBundle.js"
import { runScript } from "./support/programs.js"
import { noTerminal, Seat } from "./support/terminal.js"

const command = await commandBundle()
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ccflow-doctor-"))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

interface Result {
  readonly name: string
  readonly status: "ok" | "warning" | "failed" | "skipped"
  readonly detail: string
  readonly fix?: string
}

/** A home, a project and a PATH of its own, with a `claude` that says what it is told to. */
class Machine {
  readonly root = mkdtempSync(join(folder, "machine-"))
  readonly project = join(this.root, "project")
  readonly store = join(this.root, "data", "sessions.db")
  env: Readonly<Record<string, string>>

  constructor() {
    mkdirSync(this.project)
    mkdirSync(join(this.root, "bin"))
    this.env = {
      PATH: `${join(this.root, "bin")}:/usr/bin:/bin`,
      HOME: this.root,
      IS_SANDBOX: "1",
      CCFLOW_SESSION_STORAGE_PATH: this.store
    }
  }

  write(path: string, text: string, mode = 0o644): string {
    const file = join(this.root, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text, { mode })
    return file
  }

  claude(
    status = "{\"loggedIn\":true,\"authMethod\":\"claude.ai\",\"subscriptionType\":\"max\"}",
    version = "2.1.330"
  ): string {
    const log = join(this.root, "log")
    return this.write(
      "bin/claude",
      `#!/bin/sh\necho "$*" >> ${log}\nif [ "$1" = --version ]; then echo "${version} (Claude Code)"; else cat <<'END'\n${status}\nEND\nfi\n`,
      0o755
    )
  }

  get asked(): ReadonlyArray<string> {
    return existsSync(join(this.root, "log")) ? readFileSync(join(this.root, "log"), "utf8").trim().split("\n") : []
  }

  async run(script = command, ...args: ReadonlyArray<string>) {
    const began = performance.now()
    const ended = await runScript(script, ["doctor", ...args], { env: this.env, cwd: this.project })
    return { ...ended, ms: performance.now() - began }
  }

  async json(...args: ReadonlyArray<string>) {
    const ended = await this.run(command, "--json", ...args)
    const whole = JSON.parse(ended.stdout) as {
      readonly ok: boolean
      readonly failed: number
      readonly warnings: number
      readonly checks: ReadonlyArray<Result>
    }
    return {
      ...ended,
      ...whole,
      of: (name: string) => whole.checks.find((check) => check.name === name) ?? assert.fail(`no check ${name}`)
    }
  }
}

const has = (result: Result, status: Result["status"], ...words: ReadonlyArray<string>) => {
  assert.strictEqual(result.status, status, JSON.stringify(result))
  for (const word of words) assert.include(`${result.detail}\n${result.fix ?? ""}`, word)
}

const escapes = /\u001b/

describe("ccflow doctor", () => {
  it("prints each check with its mark, plain on a pipe, and ends with 0 where nothing failed", async () => {
    const machine = new Machine()
    const cli = machine.claude()
    const { code, stderr, stdout } = await machine.run()
    assert.deepStrictEqual([code, stderr], [0, ""])
    assert.notMatch(stdout, escapes)
    assert.include(stdout, `✓ cli             ${cli} 2.1.330 is used\n`)
    assert.match(stdout, /^✓ account +the subscription \(max\) pays$/m)
    assert.match(stdout, /^- mcp servers +none is configured$/m)
    assert.match(stdout, /^✓ session store +\S+ is not there yet, and will be made$/m)
    assert.match(stdout, /\n\n(Nothing is wrong|0 failed, \d+ warnings?)\.\n$/)
    assert.isFalse(existsSync(machine.store), "it made the store")
  })

  it("asks the CLI only what is free, and each only once", async () => {
    const machine = new Machine()
    machine.claude()
    await machine.run()
    assert.deepStrictEqual([...new Set(machine.asked)].sort(), ["--version", "auth status --json"])
    assert.lengthOf(machine.asked.filter((args) => args.startsWith("auth")), 1)
  })

  it("prints what to do about each problem, and ends with 1", async () => {
    const machine = new Machine()
    machine.claude("{\"loggedIn\":false}")
    const settings = machine.write("project/.claude/settings.json", "{\n  \"permissions\": {,}\n}")
    const { code, stdout } = await machine.run()
    assert.strictEqual(code, 1)
    assert.match(stdout, /^✗ login +nobody is logged in\n +fix: Log in: /m)
    assert.include(stdout, `✗ config files    ${settings}:2:19: a name in double quotes is missing`)
    assert.match(stdout, /\n2 failed, \d+ warnings?\.\n$/)
  })

  it("warnings alone end with 0", async () => {
    const machine = new Machine()
    machine.claude(undefined, "2.1.100")
    const { code, failed, ok, warnings } = await machine.json()
    assert.deepStrictEqual([code, ok, failed], [0, true, 0])
    assert.isAbove(warnings, 0)
  })

  it("a program that is not Claude Code fails, a wrapper that says no version of it does not", async () => {
    const machine = new Machine()
    const claude = machine.claude()
    machine.env = { ...machine.env, CCFLOW_CLI_PATH: "/bin/ls" }
    const other = await machine.json()
    assert.deepStrictEqual([other.code, other.ok], [1, false])
    has(
      other.of("version"),
      "failed",
      "it says no version, but \"ls ",
      "not Claude Code",
      "ends it with code",
      "CCFLOW_CLI_PATH"
    )
    for (const words of ["our-claude 7", "", "Using node 22\\n2.1.330 (Claude Code)"]) {
      const wrapper = `#!/bin/sh\nif [ "$1" = --version ]; then printf "${words}"; else exec ${claude} "$@"; fi\n`
      machine.env = { ...machine.env, CCFLOW_CLI_PATH: machine.write(`wrapper-${words.length}`, wrapper, 0o755) }
      const { code, of } = await machine.json()
      assert.strictEqual(code, 0)
      has(of("version"), "warning", "it says no version")
      assert.strictEqual(
        machine.asked.at(-1),
        "-p --input-format=stream-json --output-format=stream-json --verbose --version"
      )
    }
  })

  it("prints one object with --json", async () => {
    const machine = new Machine()
    machine.claude()
    const { checks, code, ok, of } = await machine.json()
    assert.deepStrictEqual([code, ok], [0, true])
    assert.deepStrictEqual(checks.map(({ name }) => name), [
      "cli",
      "version",
      "login",
      "account",
      "variables",
      "root",
      "nested session",
      "node options",
      "config files",
      "mcp servers",
      "disk space",
      "limits",
      "node",
      "usage limits",
      "session store",
      "logs"
    ])
    assert.deepStrictEqual(of("version"), { name: "version", status: "ok", detail: "2.1.330" })
  })

  it("works on a machine with nothing", async () => {
    const machine = new Machine()
    machine.env = { PATH: "/no/such/folder", HOME: join(machine.root, "nobody") }
    const { code, of } = await machine.json()
    assert.strictEqual(code, 1)
    has(of("cli"), "failed", "there is no claude", "npm install -g @anthropic-ai/claude-code")
    has(of("version"), "skipped")
    has(of("login"), "skipped")
    has(of("disk space"), "ok", join(machine.root, "nobody"))
    assert.isFalse(existsSync(join(machine.root, "nobody")))
  })

  it("ends a CLI that says nothing, after a few seconds", async () => {
    const machine = new Machine()
    const pid = join(machine.root, "pid")
    machine.write("bin/claude", `#!/bin/sh\ntrap '' INT TERM\necho $$ > ${pid}\nsleep 600\n`, 0o755)
    const { code, ms, of } = await machine.json()
    assert.strictEqual(code, 1)
    has(of("cli"), "failed", "within 5 s")
    assert.isBelow(ms, 15_000)
    assert.throws(() => process.kill(Number(readFileSync(pid, "utf8")), 0))
  })

  it("says which of ccflow's own variables is wrong", async () => {
    const machine = new Machine()
    machine.claude()
    machine.env = { ...machine.env, CCFLOW_DEFAULT_TIMEOUT: "soon", CCFLOW_MAX_CONCURRENT: "many" }
    const { code, of } = await machine.json()
    assert.strictEqual(code, 1)
    has(of("variables"), "failed", "CCFLOW_DEFAULT_TIMEOUT", "CCFLOW_MAX_CONCURRENT")
  })

  it("is not stopped by a level of the log that there is not, and tells of it", async () => {
    const machine = new Machine()
    machine.claude()
    machine.env = { ...machine.env, CCFLOW_LOG_LEVEL: "loud" }
    const { code, of, stderr } = await machine.json()
    assert.deepStrictEqual([code, stderr], [1, ""])
    has(of("logs"), "failed", "CCFLOW_LOG_LEVEL", "none, error, warning, info, debug, trace")
  })

  it("starts MCP servers only with --live", async () => {
    const machine = new Machine()
    machine.claude("one: x - ✔ Connected")
    await machine.json()
    assert.notInclude(machine.asked, "mcp list")
    const { of } = await machine.json("--live")
    assert.include(machine.asked, "mcp list")
    has(of("mcp servers"), "ok", "one: Connected")
  })

  it("refuses what it does not know, code 2", async () => {
    const { code, stderr } = await new Machine().run(command, "--fix")
    assert.strictEqual(code, 2)
    assert.include(stderr, "--fix")
  })
})

describe("the session store", () => {
  const made = async (machine: Machine) =>
    Effect.runPromise(Effect.provide(
      Effect.flatMap(SessionRepository, (repository) => repository.list({})),
      SqliteSessionRepository.layer({ path: machine.store })
    ))

  it("that is whole is opened and left as it was", async () => {
    const machine = new Machine()
    machine.claude()
    await made(machine)
    const before = await stat(machine.store)
    const { of } = await machine.json()
    has(of("session store"), "ok", "and is whole")
    const after = await stat(machine.store)
    assert.deepStrictEqual([after.mtimeMs, after.size], [before.mtimeMs, before.size])
  })

  it("says which windows of the subscription are used up", async () => {
    const machine = new Machine()
    machine.claude()
    const window = { account: "", limit: "five_hour", status: "rejected", utilization: 1, overage: false, seenAt: 1 }
    await Effect.runPromise(Effect.provide(
      Effect.flatMap(UsageLimitStore, (store) => store.save({ ...window, resetsAt: Date.UTC(2099, 0, 1) })),
      Layer.provide(SqlUsageLimitStore.layer, SqliteFile.layer({ path: machine.store }))
    ))
    has((await machine.json()).of("usage limits"), "warning", "five_hour is used up until 2099-01-01T00:00:00.000Z")
  })

  it("that others can read is a warning", async () => {
    const machine = new Machine()
    machine.claude()
    await made(machine)
    chmodSync(machine.store, 0o644)
    const { code, of } = await machine.json()
    has(of("session store"), "warning", "mode 644", "chmod 600")
    assert.strictEqual(code, 0)
  })

  it("that is no database, is damaged or is a folder fails", async () => {
    const machine = new Machine()
    machine.claude()
    machine.write("data/sessions.db", "something else, and long enough to be looked at".repeat(100), 0o600)
    has((await machine.json()).of("session store"), "failed", "not a database")
    rmSync(machine.store)
    await made(machine)
    const bytes = readFileSync(machine.store)
    bytes.fill(0xAA, 4096, Math.min(bytes.length, 40_000))
    writeFileSync(machine.store, bytes)
    has((await machine.json()).of("session store"), "failed", machine.store)
    rmSync(machine.store)
    mkdirSync(machine.store)
    const folder = (await machine.json()).of("session store")
    has(folder, "failed", "not a file")
    // That would lock its owner out of it.
    assert.notInclude(folder.fix, "chmod")
  })

  it("that cannot be made fails, and is told by its whole path", async () => {
    const machine = new Machine()
    machine.claude()
    const file = machine.write("file", "")
    machine.env = { ...machine.env, CCFLOW_SESSION_STORAGE_PATH: join(file, "new", "sessions.db") }
    has((await machine.json()).of("session store"), "failed", `${file} is not a folder`)
    machine.env = { ...machine.env, CCFLOW_SESSION_STORAGE_PATH: "here.db" }
    has((await machine.json()).of("session store"), "ok", `${join(machine.project, "here.db")} is not there yet`)
  })

  const root = process.getuid?.() === 0 ? " (skipped: root may write anywhere)" : ""
  it.skipIf(root !== "")(`in a folder that may not be written to fails${root}`, async () => {
    const machine = new Machine()
    machine.claude()
    mkdirSync(dirname(machine.store), { mode: 0o555 })
    has((await machine.json()).of("session store"), "failed", `${dirname(machine.store)} cannot be written to (EACCES)`)
  })

  it("whose driver is missing says what to install; a warning where nobody asked for it", async () => {
    const machine = new Machine()
    machine.claude()
    // The same bundle, where nothing is installed beside it.
    const lonely = mkdtempSync(join(folder, "lonely-"))
    for (const name of (await import("node:fs")).readdirSync(dirname(command))) {
      if (name !== "node_modules") symlinkSync(join(dirname(command), name), join(lonely, name))
    }
    const preserve: Readonly<Record<string, string>> = {
      ...machine.env,
      NODE_PRESERVE_SYMLINKS: "1",
      NODE_PRESERVE_SYMLINKS_MAIN: "1"
    }
    machine.env = preserve
    const named = JSON.parse((await machine.run(join(lonely, "main.mjs"), "--json")).stdout) as {
      readonly checks: ReadonlyArray<Result>
    }
    const store = named.checks.find(({ name }) => name === "session store")!
    has(store, "failed", "Cannot find package 'better-sqlite3'", "npm install better-sqlite3")
    const { ["CCFLOW_SESSION_STORAGE_PATH"]: _, ...unnamed } = preserve
    machine.env = unnamed
    const usual = JSON.parse((await machine.run(join(lonely, "main.mjs"), "--json")).stdout) as {
      readonly checks: ReadonlyArray<Result>
    }
    has(usual.checks.find(({ name }) => name === "session store")!, "warning", "npm install better-sqlite3")
  })
})

describe("what was read somewhere", () => {
  it.skipIf(noTerminal !== undefined)(
    `steers no terminal, and marks have colours there${noTerminal === undefined ? "" : ` (skipped: ${noTerminal})`}`,
    async () => {
      const machine = new Machine()
      machine.claude("{\"loggedIn\":true,\"authMethod\":\"claude.ai\",\"email\":\"\\u001b[2Jme\\u202e@b.example\"}")
      machine.write(
        "project/.mcp.json",
        JSON.stringify({ mcpServers: { "bad\u001b]0;title\u0007": { command: "no\u001b[31m such" } } })
      )
      await using seat = new Seat([process.execPath, command, "doctor"], {
        env: machine.env,
        cwd: machine.project,
        columns: 200
      })
      assert.strictEqual(await seat.ended, 1)
      assert.include(seat.written, "\u001b[32m✓\u001b[0m cli")
      assert.include(seat.written, "\u001b[31m✗\u001b[0m mcp servers")
      for (const [sequence] of seat.written.matchAll(/\u001b[^a-z]*[a-z]?/giu)) {
        assert.match(sequence, /^\u001b\[(0|2|3[1-36])m$/)
      }
      assert.notMatch(seat.written, /[\u0007\u202e]/)
      await using plain = new Seat([process.execPath, command, "doctor"], {
        env: { ...machine.env, NO_COLOR: "1" },
        cwd: machine.project
      })
      await plain.ended
      assert.notMatch(plain.written, escapes)
    }
  )
})

describe("ccflow --help", () => {
  it("tells of it", async () => {
    assert.include((await runScript(command, ["--help"], { env: process.env })).stdout, "ccflow doctor")
  })
})
