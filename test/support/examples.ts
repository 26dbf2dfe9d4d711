import { readdir } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, beforeAll, describe, it } from "vitest"
import { bundle } from "./bundle.js"
import { type Script, startMessagesApi } from "./MessagesApi.js"
import { runScript } from "./programs.js"
import { realCli, sandboxEnvironment, sandboxHome, supportedVersions } from "./RealCli.js"

const [version] = supportedVersions

export interface Example {
  /** What the model says. */
  readonly says: Script
  /** Line by line. */
  readonly prints: ReadonlyArray<string | RegExp>
  /** What it logs, as a whole. Default: nothing. */
  readonly logs?: RegExp
}

/** Each program of the folder, run on the real CLI and a stand-in of the API. They are type-checked with the tests. */
export const describeExamples = (folder: string, played: Readonly<Record<string, Example>>): void => {
  const examples = fileURLToPath(new URL(`../../${folder}/`, import.meta.url))

  describe.concurrent(`each program in ${folder}`, () => {
    let programs: string
    beforeAll(async () => {
      const named = Object.keys(played).map((file) => [file.replace(".ts", ""), join(folder, file)])
      programs = await bundle(folder.replace("/", "-"), Object.fromEntries(named))
    })

    it("is tested here", async () => {
      const files = (await readdir(examples)).filter((file) => file.endsWith(".ts"))
      assert.deepStrictEqual(files.sort(), Object.keys(played).sort())
    })

    for (const [file, { logs = /^$/, prints, says }] of Object.entries(played)) {
      it(`runs on the real CLI and prints what it is there to show: ${file}`, async (ctx) => {
        const cli = await realCli(version)
        if (cli._tag === "missing") return ctx.skip(cli.reason)
        await using home = await sandboxHome()
        await using api = await startMessagesApi(says)
        const env = sandboxEnvironment({ url: api.url, home: home.path, extra: { CCFLOW_CLI_PATH: cli.path } })
        // As a user runs it, who has no variables but those of the sandbox.
        const program = join(programs, file.replace(".ts", ".mjs"))
        const { code, stderr, stdout } = await runScript(program, [], { env, cwd: home.project })
        const lines = stdout.trim().split("\n")
        assert.deepStrictEqual({ code, lines: lines.length }, { code: 0, lines: prints.length }, `${stderr}${stdout}`)
        assert.match(stderr, logs)
        for (const [index, expected] of prints.entries()) {
          if (typeof expected === "string") assert.strictEqual(lines[index], expected)
          else assert.match(lines[index] ?? "", expected)
        }
      })
    }
  })
}
