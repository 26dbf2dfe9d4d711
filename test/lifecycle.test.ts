import { CCFlowError, CliExitError, getCliCircuitBreaker, MissingResultError, query, type QueryOptions } from "ccflow"
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import {
  childrenOf,
  commandLine,
  fake,
  heldBytes,
  linux,
  lives,
  ownCli,
  processesWith,
  report,
  sign,
  signed
} from "./fixtures/lifecycle/processes.js"

let folder: string
beforeEach(async (ctx) => {
  if (!linux) ctx.skip("needs /proc")
  folder = await mkdtemp(join(tmpdir(), "ccflow-lifecycle-"))
  getCliCircuitBreaker().reset()
})
afterEach(() => rm(folder, { recursive: true }))

const gone = async (count = 1) => assert.deepStrictEqual((await signed(folder, count)).filter(lives), [])

const textsOf = async (options: QueryOptions, onText: (content: string) => unknown) => {
  let error: unknown
  try {
    for await (const message of query("go", options)) if (message._tag === "Text") await onText(message.content)
  } catch (caught) {
    error = caught
  }
  return error
}

describe("a query whose CLI does not leave after its result", () => {
  const turn = () => [{ init: {} }, sign(folder), { text: "answer" }, { result: {} }, { sleepForever: true }]

  it("succeeds when the grace is over, and the process is gone, also one that hears no signal", async () => {
    const started = performance.now()
    const scripts = [{ turns: [turn()] }, { turns: [turn()], signals: { SIGINT: "ignore", SIGTERM: "ignore" } }]
    const took = await Promise.all(scripts.map(async (script) => {
      assert.strictEqual((await query("go", fake(script)).result).result, "answer")
      return performance.now() - started
    }))
    await gone(2)
    const [leavingMs, startMs, graceMs, tolerance] = [5000, 2000, 5000, 500]
    assert.isBelow(took[0] ?? 0, startMs + leavingMs + tolerance)
    assert.isBelow(took[1] ?? 0, startMs + leavingMs + graceMs + tolerance)
  }, 20_000)

  it("succeeds at once when all that is left is a grandchild that holds its output", async () => {
    const turn = [
      { init: {} },
      { grandchild: { holdStdout: true, holdStderr: true, writePid: join(folder, "$PID"), ignoreSignals: true } },
      { text: "answer" },
      { result: {} }
    ]
    assert.strictEqual((await query("go", fake({ turns: [turn] })).result).result, "answer")
    const [name = ""] = await readdir(folder)
    assert.isFalse(lives(Number(name)))
    assert.isFalse(lives(Number(await readFile(join(folder, name), "utf8"))))
  })
})

describe("a query whose CLI dies", () => {
  it("hands out everything that was written first, however slow the consumer is, and then tells how it died", async () => {
    const count = 4000
    const turn = [{ init: {} }, { repeat: count, step: { text: `$N ${"x".repeat(300)}` } }, { kill: "SIGKILL" }]
    const seen: Array<number> = []
    const error = await textsOf(fake({ turns: [turn] }), (content) => {
      seen.push(Number(content.split(" ")[0]))
      return seen.length % 500 === 0 ? sleep(50) : undefined
    })
    assert.deepStrictEqual(seen, Array.from({ length: count }, (_, index) => index))
    assert.instanceOf(error, CliExitError)
    assert.isTrue(error instanceof CCFlowError)
    assert.deepInclude((error as CliExitError).facts, { exitCode: null, signal: "SIGKILL" })
  })

  it("in the middle of a line keeps the lines before it", async () => {
    const seen: Array<string> = []
    const script = {
      turns: [[{ init: {} }, { text: "whole" }, { text: "y".repeat(100_000) }]],
      crashAfterBytes: 50_000
    }
    const error = await textsOf(fake(script), (content) => seen.push(content))
    assert.deepStrictEqual(seen, ["whole"])
    assert.deepInclude(error, { _tag: "CliExitError", reason: "Killed" })
  })

  it("with code 0 and a grandchild that holds its output is no success", async () => {
    const turn = [{ init: {} }, { grandchild: { holdStdout: true } }, { text: "half" }, { exit: 0 }]
    const seen: Array<string> = []
    const error = await textsOf(fake({ turns: [turn] }), (content) => seen.push(content))
    assert.deepStrictEqual(seen, ["half"])
    assert.instanceOf(error, MissingResultError)
  })

  it("after 8 MiB on stderr tells the end of them", async () => {
    const turn = [{ init: {} }, { floodStderr: 8 << 20 }, { stderr: "the reason" }, { exit: 9 }]
    const error = await textsOf(fake({ turns: [turn] }), () => {})
    assert.instanceOf(error, CliExitError)
    const { exitCode, stderrTail } = (error as CliExitError).facts
    assert.deepStrictEqual([exitCode, stderrTail.length], [9, 64 * 1024])
    assert.isTrue(stderrTail.endsWith("ee\nthe reason"))
  })

  it("before it has read an 8 MiB prompt fails with what is known, and with nothing uncaught", async () => {
    const error = await query("x".repeat(8 << 20), fake({ start: [{ stderr: "no" }, { exit: 4 }] })).result.then(
      () => undefined,
      (error: unknown) => error
    )
    assert.instanceOf(error, CliExitError)
    assert.deepInclude((error as CliExitError).facts, { exitCode: 4, stderrTail: "no" })
  })
})

describe("leaving a query early", () => {
  it("returns when the CLI has left after its SIGINT, and not 100 ms later", async () => {
    // As the CLI: it ends the turn, which takes a moment, and leaves.
    const options = ownCli(
      folder,
      `
        const { writeFileSync } = require("node:fs")
        const line = (frame) => process.stdout.write(JSON.stringify({ session_id: "s", uuid: "u", ...frame }) + "\\n")
        process.on("SIGINT", () => setTimeout(() => {
          process.on("exit", () => writeFileSync(${JSON.stringify(join(folder, "left"))}, String(Date.now())))
          process.exit(0)
        }, 400))
        process.stdin.on("data", () => {
          line({ type: "assistant", parent_tool_use_id: null, message: { id: "m", type: "message", role: "assistant",
            model: "m", content: [{ type: "text", text: "hello" }], stop_reason: null, stop_sequence: null,
            usage: { input_tokens: 1, output_tokens: 1 } } })
        }).on("end", () => {})
        setInterval(() => {}, 1000)
      `
    )
    let left = 0
    for await (const message of query("go", options)) {
      if (message._tag !== "Text") continue
      left = Date.now()
      break
    }
    const returned = Date.now()
    const exited = Number(await readFile(join(folder, "left"), "utf8"))
    assert.isAtLeast(exited - left, 390)
    assert.isAtLeast(returned, exited)
    assert.isBelow(returned - exited, 100)
    assert.deepStrictEqual(processesWith(folder), [])
  })

  it("before the first message, at any moment, leaves no process", async () => {
    const options = fake({ turns: [[sign(folder), { sleepForever: true }]] })
    for (const moment of [undefined, 0, 1, 2, 5, 10, 20, 40, 80, 160]) {
      const aborting = new AbortController()
      const ended = query("go", { ...options, signal: aborting.signal }).result.then(
        () => "answered",
        (error) => error.name
      )
      if (moment === undefined) await Promise.resolve()
      else await sleep(moment)
      aborting.abort()
      assert.strictEqual(await ended, "AbortError")
      assert.deepStrictEqual(childrenOf(process.pid).filter((pid) => commandLine(pid).includes("fake-claude")), [])
    }
    assert.deepStrictEqual((await readdir(folder)).map(Number).filter(lives), [])
  })

  it("lets the CLI wait that nobody reads, holds little of what it wrote, and closes it all the same", async () => {
    const flood = [
      { init: {} },
      sign(folder),
      { repeat: 200, step: { floodStdout: 1_000_000 } },
      { writeFile: { path: join(folder, "0"), content: "" } }
    ]
    const before = heldBytes()
    const held = query("go", fake({ turns: [flood] }))
    await held.next()
    const [pid = 0] = await signed(folder, 1)
    await sleep(1000)
    assert.isBelow(heldBytes() - before, 20_000_000)
    assert.isTrue(lives(pid))
    await held.close()
    await gone()
  })
})

describe("the process list, while a query runs", () => {
  const secret = (what: string) => `planted-${what}-secret`

  it("shows no prompt, system prompt, header, token or environment value", async () => {
    const file = join(folder, "report")
    const options: QueryOptions = {
      ...fake({ turns: [[{ init: {} }, { readEnv: ["TOKEN"], to: file }, { sleepForever: true }]] }),
      model: "haiku",
      systemPrompt: secret("system"),
      appendSystemPrompt: secret("append"),
      context: { note: secret("context") },
      agents: { helper: { description: secret("description"), prompt: secret("agent") } },
      outputSchema: { type: "object", properties: { [secret("schema")]: { type: "string" } } },
      mcpServers: {
        local: { command: "true", args: [secret("argument")], env: { TOKEN: secret("mcp-env") } },
        remote: { type: "http", url: "http://127.0.0.1:9/", headers: { Authorization: secret("header") } }
      },
      settings: { env: { TOKEN: secret("settings-env") }, apiKeyHelper: secret("helper") }
    }
    const env = { ...options.env, TOKEN: secret("env"), ANTHROPIC_API_KEY: secret("key") }
    const running = query(secret("prompt"), { ...options, env })
    const first = running.next()
    await report(file)
    const [pid = 0, ...others] = childrenOf(process.pid).filter((pid) => commandLine(pid).includes("fake-claude"))
    assert.deepStrictEqual(others, [])
    const line = commandLine(pid)
    assert.include(line, "--model=haiku")
    assert.notInclude(line, "planted")
    // They did reach it.
    const { argv, env: received } = await report(file)
    assert.strictEqual(received["TOKEN"], secret("env"))
    const files = argv.filter((arg) => /^--(mcp-config|settings)=/.test(arg))
    const contents = await Promise.all(files.map((arg) => readFile(arg.slice(arg.indexOf("=") + 1), "utf8")))
    for (const what of ["mcp-env", "argument", "header", "settings-env", "helper"]) {
      assert.include(contents.join(""), secret(what))
    }
    await first
    await running.close()
    for (const arg of files) {
      assert.isFalse(await readFile(arg.slice(arg.indexOf("=") + 1)).then(() => true, () => false))
    }
  })

  it("is no less closed in the error of a query that failed", async () => {
    const error = await query("go", {
      ...fake({ start: [{ exit: 1 }] }),
      mcpServers: { one: { command: "true", env: { TOKEN: secret("mcp-env") } } },
      settings: { env: { TOKEN: secret("settings-env") } },
      extraArgs: { unknown: secret("extra") }
    }).result.then(() => undefined, (error: unknown) => error)
    assert.instanceOf(error, CliExitError)
    assert.notInclude(JSON.stringify(error) + String(error), "planted")
  })
})
