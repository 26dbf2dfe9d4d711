import { type ClientConfig, createClient } from "ccflow"
import { type ChildProcess, spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import { bundle, fakeClaude } from "../../../test/support/bundle.js"
import { follow } from "../../../test/support/programs.js"

const script = join(await bundle("ccflow-host", { host: "packages/ccflow/test/fixtures/host.ts" }), "host.mjs")

/** Each CLI leaves a file here that is named after its process. */
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ccflow-host-"))
})
afterEach(async () => {
  for (const pid of await clis()) if (lives(pid)) process.kill(pid, "SIGKILL")
  await rm(folder, { recursive: true })
})

const sign = () => ({ writeFile: { path: join(folder, "$PID"), content: "" } })
const clis = async () => (await readdir(folder)).map(Number)

/** An ended process that nobody has reaped does not live. */
const lives = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return process.platform !== "linux" || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "latin1"))
  } catch {
    return false
  }
}

const start = (what: string, cli: object = {}, config: ClientConfig = {}): ChildProcess => {
  const env = { FAKE_CLAUDE_SCRIPT: JSON.stringify({ start: [sign()], ...cli }) }
  return spawn(process.execPath, [script, what, JSON.stringify({ cliPath: fakeClaude, env, ...config })], {
    stdio: "pipe",
    env: { PATH: process.env["PATH"] }
  })
}

const endOf = async (host: ChildProcess) => {
  const timer = setTimeout(() => host.kill("SIGKILL"), 25_000)
  const { code, signal, stderr, stdout } = await follow(host).ended
  clearTimeout(timer)
  return { code: code ?? signal, stdout, stderr, left: (await clis()).filter(lives) }
}

const gone = async (pids: ReadonlyArray<number>) => {
  for (let tries = 0; pids.some(lives) && tries < 500; tries++) await sleep(10)
  return !pids.some(lives)
}

describe("a program that has nothing more to do", { timeout: 30_000 }, () => {
  const ended = (stdout: string) => ({ code: 0, stdout, stderr: "", left: [] })

  it("ends by itself with an idle session, and takes the CLI with it", async () => {
    assert.deepStrictEqual(await endOf(start("idle")), ended("echo: one\n"))
    assert.strictEqual((await clis()).length, 1)
  })

  it("ends by itself with a prewarmed session that was never used", async () => {
    assert.deepStrictEqual(await endOf(start("prewarmed")), ended("prewarmed\n"))
  })

  it("ends by itself with CLIs that are kept warm", async () => {
    assert.deepStrictEqual(await endOf(start("pool", {}, { warm: 2 })), ended("echo: one\n"))
  })

  it("ends by itself when it has closed everything", async () => {
    assert.deepStrictEqual(await endOf(start("closed")), ended("echo: one\n1 turn\n"))
  })
})

describe("a program that waits for its session", { timeout: 30_000 }, () => {
  it("is kept alive by its turns, also those that wait for others, and gets them in order", async () => {
    const turn = [{ init: {} }, { delay: 300 }, { text: "$PROMPT" }, { result: {} }]
    const end = await endOf(start("order", { turns: [turn, turn, turn] }))
    assert.deepStrictEqual([end.code, end.stdout, end.left], [0, "one\ntwo\nthree\n", []])
  })

  it("is kept alive by listening to the background", async () => {
    const work = { background: [{ init: {} }, { text: "it is done" }, { result: {} }], ms: 300 }
    const end = await endOf(start("background", { turns: [[{ init: {} }, work, { text: "it runs" }, { result: {} }]] }))
    assert.deepStrictEqual([end.code, end.stdout, end.left], [0, "it is done\n", []])
  })
})

describe("a program with an idle session", { timeout: 30_000 }, () => {
  it("that calls process.exit takes the CLI with it", async () => {
    const end = await endOf(start("exit"))
    assert.deepStrictEqual([end.code, end.stdout, end.left], [7, "echo: one\n", []])
  })

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    it(`that is ended by ${signal} takes the CLI with it`, async () => {
      const host = start("serve")
      host.stdout?.on("data", (chunk) => String(chunk).includes("ready") ? host.kill(signal) : undefined)
      const end = await endOf(host)
      assert.deepStrictEqual([end.code, end.left], [signal, []])
    })
  }

  it("that is killed lets go of the CLI, which leaves", async () => {
    const host = start("serve")
    host.stdout?.on("data", (chunk) => String(chunk).includes("ready") ? host.kill("SIGKILL") : undefined)
    assert.strictEqual((await endOf(host)).code, "SIGKILL")
    assert.isTrue(await gone(await clis()))
  })
})

it("a program that is killed in a turn has the next one told which it was, once", { timeout: 30_000 }, async () => {
  const kept = await mkdtemp(join(tmpdir(), "ccflow-kept-"))
  const storagePath = join(kept, "sessions.db")
  const cut = [{ init: {} }, { text: "some" }, { sleepForever: true }]
  const host = start("cut", { turns: [[{ init: {} }, { text: "all" }, { result: {} }], cut] }, { storagePath })
  host.stdout?.on("data", (chunk) => String(chunk).includes("some") ? host.kill("SIGKILL") : undefined)
  assert.strictEqual((await endOf(host)).code, "SIGKILL")
  const recovered = async () => {
    await using client = createClient({ storagePath, cliPath: fakeClaude })
    return (await client.sessions.recovered()).map(({ index, prompt, status }) => ({ index, prompt, status }))
  }
  assert.deepStrictEqual(await recovered(), [{ index: 1, prompt: "two", status: "cut" }])
  assert.deepStrictEqual(await recovered(), [])
  await rm(kept, { recursive: true })
})

it("what a client has to say goes to stderr", { timeout: 30_000 }, async () => {
  const turn = [{ init: {} }, { askPermission: { tool: "Bash", input: {} } }, { text: "done" }, { result: {} }]
  const end = await endOf(start("warns", { turns: [turn] }))
  assert.deepStrictEqual([end.code, end.stdout], [0, "done\n"])
  assert.include(end.stderr, "A permission handler failed")
})
