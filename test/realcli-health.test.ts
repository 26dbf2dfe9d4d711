import type { Client } from "ccflow"
import { spawn } from "node:child_process"
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { assert, it } from "vitest"
import { commandBundle } from "./support/commandBundle.js"
import { logIn } from "./support/logIn.js"
import * as Api from "./support/MessagesApi.js"
import { planted } from "./support/planted.js"
import { runScript } from "./support/programs.js"
import { sandboxEnvironment, type SandboxHome, sandboxHome } from "./support/RealCli.js"
import { describeRealCli } from "./support/realCliBench.js"
import type { SandboxOptions } from "./support/Sandbox.js"
import { throughLibrary } from "./support/throughLibrary.js"

const command = await commandBundle()

interface Setting {
  readonly credentials?: NonNullable<SandboxOptions["credentials"]>
  readonly stored?: boolean
  readonly extra?: Readonly<Record<string, string>>
}

/** What a test has beside the client. */
interface Scene {
  readonly api: Api.MessagesApi
  readonly home: SandboxHome
  readonly env: Readonly<Record<string, string>>
}

/** Which key or token a request came with. */
const wire = ({ headers }: Api.MessagesRequest): string =>
  [headers["x-api-key"], headers["authorization"]].filter((value) => value !== undefined).join(" ")

await describeRealCli("the state of the CLI", ({ path, version }) => {
  const within = (
    name: string,
    { credentials = "none", extra = {}, stored = false }: Setting,
    test: (client: Client, scene: Scene) => Promise<void>
  ) =>
    it(name, async () => {
      await using home = await sandboxHome()
      await using api = await Api.startMessagesApi([Api.text("fine")])
      if (stored) await logIn(home.path)
      const sandbox = { url: api.url, home: home.path, credentials, extra }
      await using client = throughLibrary({ path, ...sandbox, config: { cwd: home.project } })
      await test(client, { api, home, env: sandboxEnvironment(sandbox) })
    })

  /** The command, with this CLI as the `claude` on its PATH. */
  const doctor = async ({ env, home }: Scene) => {
    await mkdir(join(home.path, "bin"))
    await symlink(path, join(home.path, "bin", "claude"))
    const { code, stdout } = await runScript(command, ["doctor", "--json"], {
      cwd: home.project,
      env: { ...env, PATH: `${join(home.path, "bin")}:${env["PATH"]}` }
    })
    const { checks } = JSON.parse(stdout) as {
      readonly checks: ReadonlyArray<
        { readonly name: string; readonly status: string; readonly detail: string; readonly fix?: string }
      >
    }
    return { code, of: (name: string) => checks.find((check) => check.name === name)! }
  }

  within("a CLI that nobody has logged in is told, and no model is called", {}, async (client, scene) => {
    const status = await client.health()
    assert.deepInclude(status, { healthy: false, cliFound: true, cliVersion: version, authenticated: false })
    const { code, of } = await doctor(scene)
    assert.strictEqual(code, 1)
    assert.deepInclude(of("version"), { status: "ok", detail: version })
    assert.deepInclude(of("login"), { status: "failed", detail: "nobody is logged in" })
    assert.lengthOf(scene.api.mainRequests(), 0)
  })

  const payers: ReadonlyArray<readonly [string, Setting, object, string]> = [
    [
      "a key in the environment",
      { credentials: "apiKey" },
      { payer: "apiKey", source: "ANTHROPIC_API_KEY" },
      planted.apiKey
    ],
    ["a token in the environment", { credentials: "oauth" }, { payer: "token" }, `Bearer ${planted.oauthToken}`],
    [
      "a stored login",
      { stored: true },
      { payer: "subscription", plan: "max", email: "a@b.example" },
      `Bearer ${planted.storedToken}`
    ],
    ["a key beside a stored login", { credentials: "apiKey", stored: true }, { payer: "apiKey" }, planted.apiKey],
    [
      "a key beside a token",
      { credentials: "apiKey", extra: { CLAUDE_CODE_OAUTH_TOKEN: planted.oauthToken } },
      { payer: "apiKey" },
      planted.apiKey
    ]
  ]
  for (const [name, setting, account, credential] of payers) {
    within(`${name}: who is said to pay is who pays`, setting, async (client, { api }) => {
      const status = await client.health()
      assert.deepInclude(status, { healthy: true, cliVersion: version, authenticated: true, problems: [] })
      assert.deepInclude({ ...status.account }, account)
      assert.notInclude(JSON.stringify(status), "sk-ant")
      assert.lengthOf(api.mainRequests(), 0)
      assert.strictEqual(await client.querySimple("hi"), "fine")
      assert.deepStrictEqual([...new Set(api.mainRequests().map(wire))], [credential])
    })
  }

  within(
    "a cloud is said to pay where one is switched on",
    { extra: { CLAUDE_CODE_USE_BEDROCK: "1" } },
    async (client) => {
      const { account, healthy } = await client.health()
      assert.isTrue(healthy)
      assert.deepInclude(account, { payer: "cloud", provider: "bedrock" })
    }
  )

  within(
    "a key that beats a login is a warning of the doctor's",
    { credentials: "apiKey", stored: true },
    async (_, scene) => {
      const { code, of } = await doctor(scene)
      assert.strictEqual(code, 0)
      assert.include(of("cli").detail, `${version} is used`)
      assert.strictEqual(of("account").status, "warning")
      assert.include(
        of("account").detail,
        "ANTHROPIC_API_KEY (from the environment) is used instead of the login of a@b"
      )
      assert.include(of("account").detail, `requests go to ${scene.api.url}`)
    }
  )

  within(
    "a configuration that is broken is told and left as it is",
    { credentials: "apiKey" },
    async (_, scene) => {
      const file = join(scene.home.path, ".claude.json")
      await writeFile(file, "{\n  \"a\": nope\n}")
      const { code, of } = await doctor(scene)
      assert.strictEqual(code, 1)
      assert.include(of("config files").detail, `${file}:2:8`)
      assert.strictEqual(of("login").status, "skipped")
      assert.strictEqual(await readFile(file, "utf8"), "{\n  \"a\": nope\n}")
    }
  )

  within(
    "a version that does not know the question refuses it, and asks no model",
    {},
    async (client, { api, env, home }) => {
      // As a version without `auth` would: two words that are a prompt, and an option that it does not know.
      const child = spawn(path, ["authx", "status", "--jsonx"], { cwd: home.project, env: { ...env }, stdio: "ignore" })
      assert.strictEqual(await new Promise((resolve) => child.on("close", resolve)), 1)
      await client.health()
      assert.lengthOf(api.mainRequests(), 0)
    }
  )
}, { concurrent: true })
