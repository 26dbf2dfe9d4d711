import { execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { buffer } from "node:stream/consumers"
import { setTimeout as sleep } from "node:timers/promises"
import { promisify } from "node:util"
import { chromium } from "playwright-core"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { fakeClaude } from "./support/bundle.js"
import { commandBundle } from "./support/commandBundle.js"
import { planted } from "./support/planted.js"
import { eventually, isAlive, serve } from "./support/serve.js"

const run = promisify(execFile)

const command = await commandBundle()
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ccflow-serve-"))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

const token = planted.serveToken
const environment = (more: Readonly<Record<string, string>> = {}, script: unknown = undefined) => ({
  PATH: process.env["PATH"] ?? "",
  HOME: folder,
  CCFLOW_CLI_PATH: fakeClaude,
  CCFLOW_SESSION_STORAGE_PATH: join(folder, "sessions.db"),
  CCFLOW_LOG_LEVEL: "info",
  ...(script === undefined ? {} : { FAKE_CLAUDE_SCRIPT: JSON.stringify(script) }),
  ...more
})
const json = { "content-type": "application/json" }
const post = (url: string, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
  fetch(url, { method: "POST", headers: { ...json, ...headers }, body: JSON.stringify(body) })
const sse = { accept: "text/event-stream" }

/** Sends a request by hand and reads nothing of the answer. */
const silently = async (url: string, path: string, body: unknown, headers: Readonly<Record<string, string>> = {}) => {
  const { host, port } = new URL(url)
  const socket = connect(Number(port), "127.0.0.1").pause()
  const text = JSON.stringify(body)
  const lines = Object.entries({ host, ...json, "content-length": String(text.length), ...headers })
  socket.write(`POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n${text}`)
  socket.on("error", () => {})
  return socket
}

const pidIn = async (path: string): Promise<number> => {
  await eventually(() => existsSync(path))
  await sleep(20)
  return Number(await readFile(path, "utf8"))
}
const linux = process.platform === "linux"
const memoryOf = async (pid: number | undefined): Promise<number> =>
  Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024

describe("a client that goes away", () => {
  it("stops its CLI, whether it wanted events or one answer", async () => {
    const pidFile = join(folder, "left.pid")
    const script = {
      turns: [[{ init: {} }, { writeFile: { path: pidFile, content: "$PID" } }, { sleepForever: true }]]
    }
    await using service = await serve(command, [], environment({}, script))
    for (const headers of [sse, {}]) {
      await rm(pidFile, { force: true })
      const socket = await silently(service.url, "/v1/query", { prompt: "hi" }, headers)
      const pid = await pidIn(pidFile)
      assert.isTrue(isAlive(pid))
      socket.destroy()
      await eventually(() => !isAlive(pid))
    }
    await eventually(() => service.stderr().split("status=499").length === 3)
  })

  it("ends its turn, and the session goes on", async () => {
    const pidFile = join(folder, "turn.pid")
    const script = {
      turns: [[{ init: {} }, { writeFile: { path: pidFile, content: "$PID" } }, { sleepForever: true }]]
    }
    await using service = await serve(command, [], environment({}, script))
    const created = await (await post(`${service.url}/v1/sessions`, {})).json() as { readonly sessionId: string }
    const path = `/v1/sessions/${created.sessionId}/messages`
    const socket = await silently(service.url, path, { prompt: "one" }, sse)
    const pid = await pidIn(pidFile)
    socket.destroy()
    const next = await (await post(`${service.url}${path}`, { prompt: "two" })).json() as { readonly result: string }
    assert.strictEqual(next.result, "echo: two")
    assert.isTrue(isAlive(pid))
    await fetch(`${service.url}/v1/sessions/${created.sessionId}`, { method: "DELETE" })
    await eventually(() => !isAlive(pid))
  })
})

describe("a client that reads slowly", () => {
  it("makes the CLI wait, and costs the service no memory", async (ctx) => {
    if (!linux) return ctx.skip("memory is read from /proc")
    // Its writes wait until they are read.
    const cli = join(folder, "talker.mjs")
    const messages = 20_000
    await writeFile(
      cli,
      `#!/usr/bin/env node
       import { writeFileSync, writeSync } from "node:fs"
       import { createInterface } from "node:readline"
       const nap = new Int32Array(new SharedArrayBuffer(4))
       const say = (frame) => {
         for (let rest = Buffer.from(JSON.stringify(frame) + "\\n"); rest.length > 0;) {
           try { rest = rest.subarray(writeSync(1, rest)) } catch { Atomics.wait(nap, 0, 0, 2) }
         }
       }
       if (process.argv.includes("--version")) { console.log("2.1.330 (Claude Code)"); process.exit(0) }
       for await (const line of createInterface({ input: process.stdin })) {
         const { request_id, type } = JSON.parse(line)
         if (type === "control_request") say({ type: "control_response", response: { subtype: "success", request_id, response: {} } })
         if (type !== "user") continue
         for (let said = 1; said <= ${messages}; said++) {
           say({ type: "filler", text: "x".repeat(1 << 14) })
           if (said % 100 === 0) writeFileSync(${JSON.stringify(join(folder, "said"))}, String(said))
         }
       }`,
      { mode: 0o755 }
    )
    const said = async () => Number(await readFile(join(folder, "said"), "utf8").catch(() => "0"))
    await using service = await serve(command, [], environment({ CCFLOW_CLI_PATH: cli }))
    await (await fetch(`${service.url}/ready`)).text()
    const before = await memoryOf(service.child.pid)
    const socket = await silently(service.url, "/v1/query", { prompt: "hi" }, sse)
    await eventually(async () => await said() > 0)
    let last = -1
    await eventually(async () => {
      const before = last
      last = await said()
      await sleep(1000)
      return before === last
    }, 20_000)
    assert.isBelow(last, messages / 4)
    assert.isBelow(await memoryOf(service.child.pid) - before, 150)
    let bytes = 0
    socket.on("data", (part) => bytes += part.length).resume()
    await eventually(() => bytes > messages * (1 << 14), 30_000)
    socket.destroy()
  })
})

describe("SIGTERM", () => {
  it("lets what runs end, takes nothing new, and exits with 0", async () => {
    const script = { turns: [[{ init: {} }, { delay: 1500 }, { text: "late" }, { result: { result: "late" } }]] }
    await using service = await serve(command, [], environment({}, script))
    const asked = post(`${service.url}/v1/query`, { prompt: "hi" })
    await sleep(700)
    const stopped = service.stop()
    await sleep(200)
    assert.strictEqual(await fetch(`${service.url}/health`).then(() => "answered", () => "refused"), "refused")
    const answer = await asked
    assert.strictEqual(answer.headers.get("connection"), "close")
    assert.deepInclude(await answer.json(), { result: "late" })
    assert.strictEqual(await stopped, 0)
  })

  it("answers all who had come by then, also those whom it had not got to", async () => {
    await using service = await serve(command, [], environment())
    const { port } = new URL(service.url)
    // It is too busy to see that it is called, as far as its clients can tell.
    service.child.kill("SIGSTOP")
    const clients = await Promise.all(Array.from({ length: 50 }, async () => {
      const socket = connect(Number(port), "127.0.0.1")
      await once(socket, "connect")
      socket.write("GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
      return socket
    }))
    const answers = clients.map((socket) => buffer(socket).then(String, (error: NodeJS.ErrnoException) => error.code))
    const stopped = service.stop()
    service.child.kill("SIGCONT")
    for (const answer of await Promise.all(answers)) assert.match(String(answer), /^HTTP\/1\.1 200 OK/)
    assert.strictEqual(await stopped, 0)
  })

  it("ends what is not done by then, and leaves no process", async () => {
    const pidFile = join(folder, "stopped.pid")
    const script = {
      signals: { SIGINT: "ignore", SIGTERM: "ignore" },
      turns: [[{ init: {} }, { writeFile: { path: pidFile, content: "$PID" } }, { sleepForever: true }]]
    }
    await using service = await serve(command, ["--grace=1"], environment({}, script))
    const asked = post(`${service.url}/v1/query`, { prompt: "hi" }, sse).then((response) => response.text())
    const pid = await pidIn(pidFile)
    const begin = Date.now()
    assert.strictEqual(await service.stop(), 0)
    assert.isBelow(Date.now() - begin, 12_000)
    assert.isFalse(isAlive(pid))
    assert.match(await asked, /event: error\nid: \d+\ndata: \{"error":\{"type":"Stopping"/)
  })
})

describe("the token", () => {
  it("is required off the loopback interface, and wanted in no argument", async () => {
    const refused = await serve(command, ["--host=0.0.0.0"], environment()).catch((error: Error) => error.message)
    assert.match(String(refused), /InvalidOptionsError: Invalid option token/)
    const argument = await serve(command, [`--token=${token}`], environment()).catch((error: Error) => error.message)
    assert.match(String(argument), /there is no such option/)
    assert.notInclude(String(argument), token)
  })

  it("comes by a file or the environment, and is handed on to nobody", async () => {
    const path = join(folder, "token")
    const seen = join(folder, "seen.json")
    await writeFile(path, `${token}\n`, { mode: 0o600 })
    const script = { turns: [[{ readEnv: ["CCFLOW_SERVE_TOKEN"], to: seen }, { echo: true }]] }
    for (const [args, env] of [[[`--token-file=${path}`], {}], [[], { CCFLOW_SERVE_TOKEN: token }]] as const) {
      await rm(seen, { force: true })
      await using service = await serve(command, ["--host=0.0.0.0", ...args], environment(env, script))
      const url = service.url.replace("0.0.0.0", "127.0.0.1")
      assert.strictEqual((await post(`${url}/v1/query`, { prompt: "a question" })).status, 401)
      const answer = await post(`${url}/v1/query`, { prompt: "a question" }, { authorization: `Bearer ${token}` })
      assert.deepInclude(await answer.json(), { result: "echo: a question" })
      const cli = await readFile(seen, "utf8")
      for (const secret of [token, "a question"]) {
        assert.notInclude(cli, secret)
        assert.notInclude(service.stderr(), secret)
        if (linux) assert.notInclude(await readFile(`/proc/${service.child.pid}/cmdline`, "utf8"), secret)
      }
    }
  })
})

describe("ccflow serve", () => {
  it("says so when something else listens there", async () => {
    await using service = await serve(command, [], environment())
    const { port } = new URL(service.url)
    const result = await run(process.execPath, [command, "serve", `--port=${port}`], { env: environment() })
      .catch((error: { readonly code: number; readonly stderr: string }) => error)
    assert.deepInclude(result, { code: 2 })
    assert.match(result.stderr, /--port.*EADDRINUSE/)
  })

  it("keeps its sessions from one start to the next", async () => {
    const script = { memory: join(folder, "memory") }
    const begun = await serve(command, [], environment({}, script))
    const { sessionId } = await (await post(`${begun.url}/v1/sessions`, { tags: ["kept"] })).json() as {
      readonly sessionId: string
    }
    await (await post(`${begun.url}/v1/sessions/${sessionId}/messages`, { prompt: "one" })).text()
    assert.strictEqual(await begun.stop(), 0)
    await using again = await serve(command, [], environment({}, script))
    const told = await (await fetch(`${again.url}/v1/sessions?tag=kept`)).json() as {
      readonly sessions: ReadonlyArray<object>
    }
    assert.deepInclude(told.sessions[0], { sessionId, live: false, turnCount: 1 })
    const next = await post(`${again.url}/v1/sessions/${sessionId}/messages`, { prompt: "two" })
    assert.deepInclude(await next.json(), { sessionId, result: "echo: two" })
  })

  it("answers what the README asks by curl", async (ctx) => {
    if (await run("curl", ["--version"]).then(() => false, () => true)) return ctx.skip("there is no curl")
    await using service = await serve(command, [], environment({ CCFLOW_SERVE_TOKEN: token }))
    const curl = async (...args: ReadonlyArray<string>) =>
      (await run("curl", ["-sS", "-H", `Authorization: Bearer ${token}`, ...args])).stdout
    const body = ["-H", "Content-Type: application/json", "-d"]
    const answer = await curl(`${service.url}/v1/query`, ...body, `{ "prompt": "hi" }`)
    assert.deepInclude(JSON.parse(answer), { result: "echo: hi" })
    const stream = await curl(
      "-N",
      `${service.url}/v1/query`,
      "-H",
      "Accept: text/event-stream",
      ...body,
      `{ "prompt": "hi" }`
    )
    assert.match(stream, /event: Text\nid: \d+\ndata: \{"_tag":"Text"/)
    assert.match(stream, /event: result\n/)
    const id = String(
      (JSON.parse(await curl("-X", "POST", `${service.url}/v1/sessions`, ...body, "{}")) as {
        readonly sessionId: string
      }).sessionId
    )
    assert.include(await curl(`${service.url}/v1/sessions/${id}/messages`, ...body, `{ "prompt": "you" }`), "echo: you")
    assert.include(await curl("-X", "POST", `${service.url}/v1/sessions/${id}/interrupt`), "\"live\":true")
    assert.strictEqual(await curl("-X", "DELETE", `${service.url}/v1/sessions/${id}`), "")
    assert.include(await curl(`${service.url}/v1/batch`, ...body, `{ "prompts": ["a", "b"] }`), "echo: b")
    const metrics = await curl(`${service.url}/metrics`)
    for (const name of ["ccflow_http_requests_total", "ccflow_queries_total"]) assert.include(metrics, name)
    // Ctrl-C at a stream.
    const left = spawn("curl", [
      "-sN",
      `${service.url}/v1/query`,
      "-H",
      `Authorization: Bearer ${token}`,
      ...body,
      `{"prompt":"x"}`
    ])
    left.kill("SIGINT")
    assert.strictEqual(await service.stop(), 0)
  })

  it("shows its page in a browser, which asks nobody else for anything", async (ctx) => {
    const executablePath = process.env["CHROMIUM_PATH"] ?? "/usr/bin/chromium"
    if (!existsSync(executablePath)) return ctx.skip(`there is no ${executablePath}`)
    await using service = await serve(command, [], environment())
    const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] })
    try {
      const page = await browser.newPage()
      const asked: Array<string> = []
      const complaints: Array<string> = []
      page.on("request", (request) => asked.push(request.url()))
      page.on("console", (message) => message.type() === "error" ? complaints.push(message.text()) : undefined)
      page.on("pageerror", (error) => complaints.push(error.message))
      await page.goto(`${service.url}/docs`)
      await page.getByText("/v1/query").first().waitFor()
      await page.locator("#operations-system-system\\.health, [id*='health']").first().click()
      await page.getByRole("button", { name: "Try it out" }).first().click()
      await page.getByRole("button", { name: "Execute" }).first().click()
      await page.getByText("\"status\": \"ok\"").first().waitFor()
      assert.deepStrictEqual(asked.filter((url) => !url.startsWith(service.url) && !url.startsWith("data:")), [])
      assert.deepStrictEqual(complaints.filter((text) => !text.includes("favicon")), [])
    } finally {
      await browser.close()
    }
  })

  it("is loaded by no other command", async () => {
    const chunks = new Map<string, string>()
    const directory = join(command, "..")
    for (const name of await readdir(directory)) {
      if (name.endsWith("js")) chunks.set(name, await readFile(join(directory, name), "utf8"))
    }
    const reached = new Set<string>()
    const reach = (name: string) => {
      if (reached.has(name)) return
      reached.add(name)
      for (const [, next = ""] of (chunks.get(name) ?? "").matchAll(/(?:from|import)\s*"\.\/([^"]+)"/g)) reach(next)
    }
    const entries = [...chunks.keys()].filter((name) =>
      name === "main.mjs" || (/Command-/.test(name) && !name.startsWith("Serve"))
    )
    assert.isAbove(entries.length, 4)
    entries.forEach(reach)
    for (const name of reached) assert.notInclude(chunks.get(name) ?? "", "SwaggerUIBundle", name)
  })
})
