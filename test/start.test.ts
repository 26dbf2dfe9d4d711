import { execFile } from "node:child_process"
import { mkdtemp } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, beforeAll, describe, it } from "vitest"
import { fakeClaude } from "./support/bundle.js"
import { realCli } from "./support/RealCli.js"

const root = fileURLToPath(new URL("..", import.meta.url))

/** Where the real CLI has been fetched to already, when it is not where it usually is. */
const { CCFLOW_TEST_CACHE } = process.env
const cache = CCFLOW_TEST_CACHE === undefined ? {} : { CCFLOW_TEST_CACHE }

/** What `npm start -- …` runs, with nothing of the host's environment but what is needed to run Node. */
const start = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>>) =>
  new Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>((resolve) => {
    execFile(
      process.execPath,
      ["--conditions=@ccflow/source", "--import", "tsx", "scripts/start.ts", ...args],
      { cwd: root, env: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: empty, ...cache, ...env } },
      (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), stdout, stderr })
    )
  })

let empty: string
beforeAll(async () => {
  empty = await mkdtemp(join(tmpdir(), "ccflow-start-"))
})

describe("npm start", () => {
  it("streams the answer of the user's own claude, and says nothing else", async () => {
    const ended = await start(["What", "is", "2+2?"], { CCFLOW_CLI_PATH: fakeClaude })
    assert.deepStrictEqual(ended, { code: 0, stdout: "echo: What is 2+2?\n", stderr: "" })
  })

  it("without a login and without the real CLI it says so and goes on with fake-claude", async () => {
    const ended = await start(["hi"], {
      CCFLOW_CLI_PATH: join(empty, "none"),
      CCFLOW_TEST_CACHE: empty,
      CCFLOW_TEST_OFFLINE: "1"
    })
    assert.strictEqual(ended.code, 0)
    assert.strictEqual(ended.stdout, "[fake-claude] echo: hi\n")
    assert.deepStrictEqual(ended.stderr.trim().split("\n").map((line) => line.slice(0, 24)), [
      "No logged-in claude foun",
      "The real CLI cannot be f"
    ])
  })

  it("without a login answers through the real CLI and the stand-in, labelled, and shows a tour", async (ctx) => {
    const cli = await realCli("2.1.330")
    if (cli._tag === "missing") return ctx.skip(cli.reason)
    const one = await start(["What is 2+2?"], { CCFLOW_CLI_PATH: join(empty, "none") })
    assert.deepStrictEqual([one.code, one.stdout], [0, "[stand-in] 2+2 is 4.\n"])
    assert.strictEqual(one.stderr.trim().split("\n").length, 1)
    const tour = await start([], { CCFLOW_CLI_PATH: join(empty, "none") })
    assert.strictEqual(tour.code, 0)
    assert.include(tour.stdout, "[stand-in] Your name is Ada.")
    assert.include(tour.stdout, "[stand-in] What is 9/3? 9/3 is 3.")
  })
})
