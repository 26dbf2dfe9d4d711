import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterEach, assert, beforeEach, it } from "vitest"
import { commandBundle } from "./support/commandBundle.js"
import * as Api from "./support/MessagesApi.js"
import { runScript } from "./support/programs.js"
import { sandboxEnvironment, type SandboxHome, sandboxHome } from "./support/RealCli.js"
import { describeRealCli } from "./support/realCliBench.js"
import { noTerminal, Seat } from "./support/terminal.js"

const command = await commandBundle()

/** Knows what it was told, speaks slowly when it is asked to, and uses a tool when it is asked to. */
const answer = ({ lastUserText, toolResults, userTexts }: Api.MessagesRequest): Api.Reply => {
  if (toolResults.length > 0) return Api.text(`The tool said: ${toolResults[0]?.text}.`)
  if (lastUserText.includes("slowly")) return Api.text("one two three four five six", { chunkSize: 4, delayMs: 400 })
  if (lastUserText.includes("touch")) return Api.blocks([Api.toolBlock("Bash", { command: "touch made" })])
  return Api.text(`I was told ${userTexts.join(", then ")}.`)
}

await describeRealCli("ccflow chat", ({ path }) => {
  let api: Api.MessagesApi
  let home: SandboxHome
  let environment: Readonly<Record<string, string>>
  beforeEach(async () => {
    api = await Api.startMessagesApi(answer)
    home = await sandboxHome()
    environment = {
      ...sandboxEnvironment({ url: api.url, home: home.path }),
      TERM: "xterm",
      CCFLOW_CLI_PATH: path,
      CCFLOW_SESSION_STORAGE_PATH: join(home.path, "sessions.db")
    }
  })
  afterEach(async () => {
    await api.close()
    await home[Symbol.asyncDispose]()
  })

  const piped = (args: ReadonlyArray<string>, stdin = "") =>
    runScript(command, args, { env: environment, cwd: home.project, stdin })

  /** Processes that have this test's home in their environment. */
  const left = async (): Promise<ReadonlyArray<string>> => {
    const own = await Promise.all(
      (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(async (pid) => {
        const variables = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "")
        return variables.includes(`HOME=${home.path}\0`) ? [await readFile(`/proc/${pid}/cmdline`, "utf8")] : []
      })
    )
    return own.flat()
  }

  it("in a pipe: each line is a turn of one conversation, which can be gone on with", async () => {
    assert.deepStrictEqual(await piped(["chat"], "A\nB\n"), {
      code: 0,
      stdout: "I was told A.\nI was told A, then B.\n",
      stderr: ""
    })
    const { sessionId } = JSON.parse((await piped(["sessions", "list", "--json"])).stdout) as {
      readonly sessionId: string
    }
    assert.deepStrictEqual(await piped(["sessions", "resume", sessionId.slice(0, 8), "C"]), {
      code: 0,
      stdout: "I was told A, then B, then C.\n",
      stderr: ""
    })
    if (process.platform === "linux") assert.deepStrictEqual(await left(), [])
  })

  it.skipIf(noTerminal !== undefined)(
    `at a terminal: answers, is interrupted, asks, and leaves nothing behind${
      noTerminal === undefined ? "" : ` (skipped: ${noTerminal})`
    }`,
    async () => {
      await using seat = new Seat([process.execPath, command, "chat"], {
        env: environment,
        cwd: home.project,
        columns: 120
      })
      await seat.until("/help says")
      seat.type("A\r")
      await seat.answered("I was told A.")
      seat.type("speak slowly\r")
      await seat.until("one")
      seat.type("\u0003")
      await seat.answered("Interrupted.")
      seat.type("touch it\r")
      await seat.until("Allow?")
      await sleep(300)
      seat.type("y")
      await seat.until("The tool said: ")
      assert.include(await readdir(home.project), "made")
      seat.type("/context\r")
      await seat.until("tokens, ")
      seat.type("/model haiku\r")
      await seat.untilRow("From now on: haiku")
      seat.type("B\r")
      await seat.answered("B.")
      assert.match(api.mainRequests().at(-1)?.model ?? "", /haiku/)
      seat.type("\u0004")
      assert.strictEqual(await seat.ended, 0)
      if (process.platform === "linux") assert.deepStrictEqual(await left(), [])
    }
  )

  it.skipIf(noTerminal !== undefined || process.platform !== "linux")(
    `leaves no process behind when the window is closed in mid-turn${
      noTerminal === undefined ? "" : ` (skipped: ${noTerminal})`
    }`,
    async () => {
      await using seat = new Seat([process.execPath, command, "chat"], { env: environment, cwd: home.project })
      await seat.until("/help says")
      seat.type("speak slowly\r")
      await seat.until("one")
      seat.hangUp()
      await seat.ended
      assert.deepStrictEqual(await left(), [])
    }
  )
})
