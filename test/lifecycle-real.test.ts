import { query } from "ccflow"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "vitest"
import { childrenOf, commandLine, linux, lives } from "./fixtures/lifecycle/processes.js"
import { startMessagesApi, text } from "./support/MessagesApi.js"
import { realCli, sandboxHome, supportedVersions } from "./support/RealCli.js"
import { sandboxedOptions } from "./support/throughLibrary.js"

const watcher = fileURLToPath(new URL("fixtures/lifecycle/watchExit.mjs", import.meta.url))

/** When the process ends, in milliseconds of the epoch, as another process sees it: we reap it in the same moment. */
const watchExit = async (pid: number): Promise<() => Promise<number>> => {
  const child = spawn(process.execPath, [watcher, String(pid)], { stdio: ["ignore", "pipe", "inherit"] })
  let told = ""
  child.stdout.on("data", (chunk) => told += String(chunk))
  await once(child.stdout, "data")
  const ended = once(child, "close")
  return async () => {
    await ended
    return Number(told.split("\n")[1])
  }
}

describe.each(supportedVersions)("leaving the loop with claude %s in the middle of its text", (version) => {
  it("returns when it has left after its SIGINT, and not 100 ms later", async (ctx) => {
    if (!linux) return ctx.skip("needs /proc")
    const cli = await realCli(version)
    if (cli._tag === "missing") return ctx.skip(cli.reason)
    await using api = await startMessagesApi([text("word ".repeat(500), { delayMs: 100 })])
    await using home = await sandboxHome()
    const options = sandboxedOptions({ path: cli.path, url: api.url, home: home.path })
    let exit: (() => Promise<number>) | undefined
    let [left, pid] = [0, 0]
    for await (
      const message of query("Tell me a story", { ...options, cwd: home.project, includePartialMessages: true })
    ) {
      if (message._tag !== "Text") continue
      pid = childrenOf(process.pid).find((child) => commandLine(child).includes("--output-format=stream-json")) ?? 0
      exit = await watchExit(pid)
      left = Date.now()
      break
    }
    const returned = Date.now()
    const exited = await exit?.() ?? 0
    assert.isAtLeast(exited, left)
    assert.isBelow(returned - exited, 100)
    assert.isFalse(lives(pid))
    // It was the SIGINT that ended it, not a later and harder signal.
    assert.isBelow(exited - left, 2000)
    assert.strictEqual(api.abandoned(), 1)
  })
})
