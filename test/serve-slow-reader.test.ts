import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { connect, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { commandBundle } from "./support/commandBundle.js"
import { eventually, isAlive, serve, type Serving } from "./support/serve.js"

const command = await commandBundle()
let folder: string
let cli: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ccflow-slow-reader-"))
  cli = join(folder, "talker.mjs")
  await writeFile(cli, talker, { mode: 0o755 })
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

const messages = 8_000
const bytesOfEach = 16 * 1024

/** Says 125 MiB to the prompt "flood". Its writes wait until they are read, and it tells in a file how far it is. */
const talker = `#!/usr/bin/env node
import { writeFileSync, writeSync } from "node:fs"
import { createInterface } from "node:readline"
import { dirname, join } from "node:path"
const nap = new Int32Array(new SharedArrayBuffer(4))
const session_id = process.argv.find((arg) => /^--(session-id|resume)=/.test(arg))?.split("=")[1]
const say = (frame) => {
  for (let rest = Buffer.from(JSON.stringify({ session_id, ...frame }) + "\\n"); rest.length > 0;) {
    try { rest = rest.subarray(writeSync(1, rest)) } catch { Atomics.wait(nap, 0, 0, 2) }
  }
}
if (process.argv.includes("--version")) { console.log("2.1.330 (Claude Code)"); process.exit(0) }
for await (const line of createInterface({ input: process.stdin })) {
  const { message, request_id, type, uuid } = JSON.parse(line)
  if (type === "control_request") say({ type: "control_response", response: { subtype: "success", request_id, response: {} } })
  if (type !== "user") continue
  const user_message_uuids = [uuid]
  say({ type: "system", subtype: "init", model: "m", tools: [], user_message_uuids })
  const many = message.content === "flood" ? ${messages} : 0
  for (let said = 1; said <= many; said++) {
    say({ type: "filler", text: "x".repeat(${bytesOfEach}) })
    if (said % 100 === 0) writeFileSync(join(dirname(process.argv[1]), "said"), said + " " + process.pid)
  }
  say({ type: "result", subtype: "success", is_error: false, result: "all said", num_turns: 1, user_message_uuids })
}
`
/** How many messages the CLI has said, and its process. */
const told = async () => {
  const [said = 0, pid = 0] = (await readFile(join(folder, "said"), "utf8").catch(() => "")).split(" ").map(Number)
  return { said, pid }
}

const json = { "content-type": "application/json" }
const begin = async ({ url }: Serving): Promise<string> => {
  const response = await fetch(`${url}/v1/sessions`, { method: "POST", headers: json, body: "{}" })
  const { sessionId } = await response.json() as { readonly sessionId: string }
  return `/v1/sessions/${sessionId}`
}

/** Asks for a turn as events, and reads nothing. */
const floodUnread = async ({ url }: Serving, session: string): Promise<Socket> => {
  const { host, port } = new URL(url)
  const socket = connect(Number(port), "127.0.0.1").pause()
  const body = JSON.stringify({ prompt: "flood" })
  const headers = { host, ...json, accept: "text/event-stream", "content-length": `${body.length}` }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`POST ${session}/messages HTTP/1.1\r\n${lines.join("")}\r\n${body}`)
  socket.on("error", () => {})
  await eventually(async () => (await told()).said > 0, 30_000)
  let last = -1
  await eventually(async () => {
    const before = last
    last = (await told()).said
    await sleep(1000)
    return before === last
  }, 60_000)
  return socket
}

const residentMiB = async ({ child }: Serving): Promise<number> =>
  Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${child.pid}/status`, "utf8"))?.[1]) / 1024

const serving = async () => {
  await rm(join(folder, "said"), { force: true })
  return serve(command, ["--grace=1"], {
    PATH: process.env["PATH"] ?? "",
    HOME: folder,
    CCFLOW_CLI_PATH: cli,
    CCFLOW_SESSION_STORAGE_PATH: join(folder, "sessions.db")
  })
}

describe.skipIf(process.platform !== "linux")(
  "a client that does not read its session's turn",
  { timeout: 180_000 },
  () => {
    it("makes the CLI wait and costs the service no memory; what it reads at last is all of it, and is on record", async () => {
      await using service = await serving()
      const session = await begin(service)
      const before = await residentMiB(service)
      const socket = await floodUnread(service, session)
      assert.isBelow((await told()).said, messages / 4)
      assert.isBelow(await residentMiB(service) - before, 120)
      let bytes = 0
      let end = ""
      socket.on("data", (part) => {
        bytes += part.length
        end = (end + part.toString("latin1")).slice(-4096)
      }).resume()
      await eventually(() => end.includes("event: result"), 90_000)
      socket.destroy()
      assert.isAbove(bytes, messages * bytesOfEach)
      const { turns } = await (await fetch(`${service.url}${session}`)).json() as {
        readonly turns: ReadonlyArray<unknown>
      }
      assert.deepInclude(turns[0], { status: "completed", result: "all said" })
    })

    it("ends its turn when it goes, and keeps neither the session from the next one nor the service from its end", async () => {
      await using service = await serving()
      const session = await begin(service)
      const gone = await floodUnread(service, session)
      gone.destroy()
      const next = await fetch(`${service.url}${session}/messages`, {
        method: "POST",
        headers: json,
        body: JSON.stringify({ prompt: "hi" })
      })
      assert.include(await next.json(), { result: "all said" })
      await rm(join(folder, "said"))
      const unread = await floodUnread(service, session)
      const { pid } = await told()
      assert.isTrue(isAlive(pid))
      assert.strictEqual(await service.stop(), 0)
      assert.isFalse(isAlive(pid))
      unread.destroy()
    })
  }
)
