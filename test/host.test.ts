import { mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import type { Plan } from "./fixtures/lifecycle/host.js"
import { eventually, fake, linux, lives, sign, signed } from "./fixtures/lifecycle/processes.js"
import { startHost } from "./fixtures/lifecycle/startHost.js"

const deafness = { SIGINT: "ignore", SIGTERM: "ignore", SIGHUP: "ignore" }

/** Each process of a test leaves a file here that is named after it. */
let folder: string
let counters: string
beforeEach(async (ctx) => {
  if (!linux) ctx.skip("needs /proc")
  folder = await mkdtemp(join(tmpdir(), "ccflow-host-"))
  counters = await mkdtemp(join(tmpdir(), "ccflow-host-"))
})
afterEach(async () => {
  for (const name of await readdir(folder)) if (lives(Number(name))) process.kill(Number(name), "SIGKILL")
  for (const path of [folder, counters]) await rm(path, { recursive: true })
})

const workOn = () => [{ init: {} }, sign(folder), { text: "working" }, { sleepForever: true }]
const endless = (): Plan["options"] => fake({ turns: [workOn()] })
/** The first process is gentle, the others hear no signal. */
const mixed = (): Plan["options"] =>
  fake({ counter: join(counters, "n"), runs: [{ turns: [workOn()] }, { turns: [workOn()], signals: deafness }] })

const survivors = async () => (await readdir(folder)).map(Number).filter(lives)

describe("a host with 3 running queries", () => {
  const kinds = [["gentle", () => endless()], ["partly deaf to all signals", mixed]] as const
  for (const [kind, options] of kinds) {
    for (const signal of kind === "gentle" ? ["SIGINT"] as const : ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      it(`ends with ${signal} as without the library, and no process, ${kind}, survives it`, async () => {
        await using host = startHost({ what: "queries", count: 3, options: options() })
        await host.said("ready")
        await signed(folder, 3)
        host.process.kill(signal)
        const end = await host.end
        assert.deepStrictEqual(await survivors(), [])
        assert.deepStrictEqual(end, { code: null, signal, stdout: "ready\n", stderr: "" })
      })
    }

    it(`calls process.exit: the code is its own, and no process, ${kind}, survives it`, async () => {
      await using host = startHost({ what: "queries", count: 3, options: options(), then: "exit" })
      const end = await host.end
      assert.deepStrictEqual(await survivors(), [])
      assert.strictEqual((await readdir(folder)).length, 3)
      assert.deepStrictEqual(end, { code: 7, signal: null, stdout: "ready\n", stderr: "" })
    })
  }

  for (const then of ["throw", "reject"] as const) {
    it(`dies of what nobody catches (${then}), and no process, partly deaf to all signals, survives it`, async () => {
      await using host = startHost({ what: "queries", count: 3, options: mixed(), then })
      const end = await host.end
      assert.deepStrictEqual(await survivors(), [])
      assert.strictEqual((await readdir(folder)).length, 3)
      assert.deepStrictEqual([end.code, end.stdout], [1, "ready\n"])
      assert.include(end.stderr, "nobody catches this")
    })
  }

  it("that handles SIGINT itself goes on, and so do its processes", async () => {
    await using host = startHost({ what: "queries", count: 3, options: endless(), listener: "own" })
    await host.said("ready")
    const pids = await signed(folder, 3)
    host.process.kill("SIGINT")
    await host.said("handled")
    await sleep(300)
    assert.deepStrictEqual(pids.filter(lives), pids)
    host.process.stdin?.write("close\n")
    const end = await host.end
    assert.deepStrictEqual(await survivors(), [])
    assert.deepStrictEqual([end.code, end.signal, end.stderr], [0, null, ""])
    assert.include(end.stdout, "closed")
  })

  it("whose other listener only stands by, as that of the package signal-exit, ends all the same", async () => {
    await using host = startHost({ what: "queries", count: 3, options: endless(), listener: "standBy" })
    await host.said("ready")
    await signed(folder, 3)
    host.process.kill("SIGINT")
    const end = await host.end
    assert.deepStrictEqual(await survivors(), [])
    assert.deepStrictEqual(end, { code: null, signal: "SIGINT", stdout: "ready\nstood by\n", stderr: "" })
  })

  it("leaves no file with secrets behind when a signal ends it", async () => {
    const secrets = await mkdtemp(join(tmpdir(), "ccflow-host-"))
    try {
      const mcpServers = { one: { command: "true", env: { TOKEN: "planted" } } }
      const plan: Plan = { what: "queries", count: 3, options: { ...endless(), mcpServers } }
      await using host = startHost(plan, { TMPDIR: secrets })
      await host.said("ready")
      assert.strictEqual((await readdir(secrets)).filter((name) => name.startsWith("ccflow-")).length, 3)
      host.process.kill("SIGTERM")
      assert.strictEqual((await host.end).signal, "SIGTERM")
      assert.deepStrictEqual((await readdir(secrets)).filter((name) => name.startsWith("ccflow-")), [])
    } finally {
      await rm(secrets, { recursive: true })
    }
  })
})

describe("a host that is killed", () => {
  it("closes the input of its processes: one between its turns goes", async () => {
    await using host = startHost({ what: "idle", options: fake({ start: [sign(folder)] }) })
    const [pid = 0] = await signed(folder, 1)
    await host.said("ready")
    host.process.kill("SIGKILL")
    await host.end
    await eventually("the process goes", () => !lives(pid))
  })

  it("does not end the turn that a process is in: it goes on to its end, and then goes", async () => {
    const turn = [{ init: {} }, sign(folder), { text: "working" }, { delay: 2500 }, { text: "done" }, { result: {} }]
    const options = fake({ turns: [turn], onEof: [{ writeFile: { path: join(folder, "0"), content: "" } }] })
    await using host = startHost({ what: "queries", options })
    const [pid = 0] = await signed(folder, 1)
    await host.said("ready")
    host.process.kill("SIGKILL")
    await host.end
    assert.isTrue(lives(pid))
    await eventually("the process goes", () => !lives(pid))
    assert.include(await readdir(folder), "0")
  })
})

describe("a host that has nothing more to do", () => {
  const answering = () => fake({ turns: [[{ init: {} }, { text: "answer" }, { result: {} }]] })
  const plans: ReadonlyArray<readonly [string, Plan["what"], () => Plan["options"], string]> = [
    ["was answered", "finish", answering, "ended well"],
    ["was left early", "leave", () => endless(), "ended well"],
    ["was interrupted", "interrupt", () => endless(), "ended well"],
    ["was aborted", "abort", () => endless(), "AbortError"],
    ["failed in the CLI", "fail", () => fake({ start: [{ exit: 3 }] }), "CliExitError"],
    ["found no CLI", "fail", () => ({ cliPath: join(folder, "missing") }), "CliNotFoundError"]
  ]
  for (const [title, what, options, told] of plans) {
    it(`ends by itself, held by nothing, after its query ${title}`, async () => {
      await using host = startHost({ what, options: options() })
      const end = await host.end
      assert.deepStrictEqual(end, { code: 0, signal: null, stdout: `${told}\nkept alive by []\n`, stderr: "" })
      assert.deepStrictEqual(await survivors(), [])
    })
  }
})
