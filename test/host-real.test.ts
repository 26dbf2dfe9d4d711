import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { assert, describe, it } from "vitest"
import type { Plan } from "./fixtures/lifecycle/host.js"
import { childrenOf, commandLine, eventually, linux, lives, processesWith } from "./fixtures/lifecycle/processes.js"
import { type Host, startHost } from "./fixtures/lifecycle/startHost.js"
import { type MessagesApi, type Script, startMessagesApi, text, toolUse } from "./support/MessagesApi.js"
import { realCli, sandboxHome, supportedVersions } from "./support/RealCli.js"
import { sandboxedOptions } from "./support/throughLibrary.js"

interface Setting {
  readonly plan?: Partial<Plan>
  /** What the model says; `go` is the file that a tool waits for. */
  readonly says?: (go: string) => Script
}

interface Scene {
  readonly host: Host
  readonly pid: number
  /** What the CLI's tool runs, and where it still runs. */
  readonly tools: () => ReadonlyArray<number>
  readonly toolStarts: () => Promise<void>
  /** Lets the tool end. */
  readonly go: () => Promise<void>
  readonly api: MessagesApi
}

/** A single long `sleep` is something that the CLI refuses. */
const waitFor = (file: string) => `while [ ! -e '${file}' ]; do sleep 0.1; done; echo gone on`

const scene = async (
  version: string,
  skip: (why: string) => void,
  { says = () => [text("hello")], plan }: Setting,
  play: (scene: Scene) => Promise<void>
): Promise<void> => {
  if (!linux) return skip("needs /proc")
  const cli = await realCli(version)
  if (cli._tag === "missing") return skip(cli.reason)
  await using home = await sandboxHome()
  const file = join(home.path, "go")
  await using api = await startMessagesApi(says(file))
  const config = { allowedTools: ["Bash"], cwd: home.project, includePartialMessages: true }
  const options = sandboxedOptions({ path: cli.path, url: api.url, home: home.path, config })
  await using host = startHost({ what: "queries", options, prompt: "Do it", ...plan })
  await host.said("ready")
  const [pid = 0] = childrenOf(host.pid).filter((child) => commandLine(child).includes("--output-format=stream-json"))
  assert.isTrue(lives(pid))
  const tools = () => processesWith(file)
  const toolStarts = () => eventually("the tool runs", () => tools().length > 0)
  try {
    await play({ api, host, pid, tools, toolStarts, go: () => writeFile(file, "") })
  } finally {
    for (const left of [pid, ...tools()]) if (lives(left)) process.kill(left, "SIGKILL")
  }
}

const kill = async ({ host }: Scene) => {
  host.process.kill("SIGKILL")
  await host.end
}

const bash = (command: string, more: object = {}) => toolUse("Bash", { command, description: "Wait", ...more })

/** Longer than it takes to leave, where nothing holds it: 30 ms were seen. */
const staysFor = async ({ pid }: Scene) => {
  await sleep(1000)
  assert.isTrue(lives(pid))
}

const goes = ({ pid }: Scene) => eventually("the CLI goes", () => !lives(pid))

const [newest] = supportedVersions

describe.concurrent(`a host that is killed, with claude ${newest}`, () => {
  const version = newest

  it("between its turns: it goes", (ctx) =>
    scene(version, ctx.skip, { plan: { what: "idle" } }, async (scene) => {
      await kill(scene)
      await goes(scene)
    }))

  it("in the middle of its text: it goes when it has said all, and not at once", (ctx) =>
    scene(version, ctx.skip, { says: () => [text("word ".repeat(75), { delayMs: 100 })] }, async (scene) => {
      await kill(scene)
      await staysFor(scene)
      await goes(scene)
      assert.strictEqual(scene.api.abandoned(), 0)
    }))

  it("in the middle of a tool: it goes when the tool has ended and the model has answered, and not at once", (ctx) =>
    scene(version, ctx.skip, { says: (go) => [bash(waitFor(go)), text("done")] }, async (scene) => {
      await scene.toolStarts()
      await kill(scene)
      await staysFor(scene)
      await scene.go()
      await goes(scene)
      assert.deepStrictEqual(scene.tools(), [])
      assert.strictEqual(scene.api.mainRequests().length, 2)
    }))

  it("with a background Bash: it goes when the Bash has ended, and not at once, though it had answered", (ctx) =>
    scene(version, ctx.skip, {
      says: (go) => [bash(waitFor(go), { run_in_background: true }), text("it runs"), text("it has run")]
    }, async (scene) => {
      await scene.toolStarts()
      await eventually("the model has answered", () => scene.api.mainRequests().length === 2)
      await kill(scene)
      await staysFor(scene)
      await scene.go()
      await goes(scene)
      assert.deepStrictEqual(scene.tools(), [])
    }))
})

describe.concurrent.each(supportedVersions)("a host that ends, with claude %s in the middle of a tool", (version) => {
  const says = (go: string) => [bash(waitFor(go)), text("done")]

  it("by SIGTERM: neither the CLI nor the tool survives it", (ctx) =>
    scene(version, ctx.skip, { says }, async (scene) => {
      await scene.toolStarts()
      scene.host.process.kill("SIGTERM")
      assert.strictEqual((await scene.host.end).signal, "SIGTERM")
      assert.isFalse(lives(scene.pid))
      assert.deepStrictEqual(scene.tools(), [])
    }))

  it("by process.exit: neither the CLI nor the tool survives it", (ctx) =>
    scene(version, ctx.skip, { says, plan: { listener: "exitOnInput" } }, async (scene) => {
      await scene.toolStarts()
      scene.host.process.stdin?.write("exit\n")
      assert.strictEqual((await scene.host.end).code, 7)
      assert.isFalse(lives(scene.pid))
      assert.deepStrictEqual(scene.tools(), [])
    }))
})
