import type { Client } from "ccflow"
import { spawn } from "node:child_process"
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, assert, beforeAll, it } from "vitest"
import { commandBundle } from "./support/commandBundle.js"
import { logIn } from "./support/logIn.js"
import * as Api from "./support/MessagesApi.js"
import { realCli, sandboxEnvironment, type SandboxHome, sandboxHome, supportedVersions } from "./support/RealCli.js"
import type { SandboxOptions } from "./support/Sandbox.js"
import { throughLibrary } from "./support/throughLibrary.js"

let bundle: Awaited<ReturnType<typeof commandBundle>>
beforeAll(async () => {
  bundle = await commandBundle()
})
afterAll(() => bundle[Symbol.asyncDispose]())

interface Setting {
  readonly credentials?: NonNullable<SandboxOptions["credentials"]>
  readonly stored?: boolean
  readonly extra?: Readonly<Record<string, string>>
}

/** Which key or token a request came with. */
const wire = ({ headers }: Api.MessagesRequest): string =>
  [headers["x-api-key"], headers["authorization"]].filter((value) => value !== undefined).join(" ")

for (const version of supportedVersions) {
  let api: Api.MessagesApi
  let path = ""
  let missing = ""
  beforeAll(async () => {
    const cli = await realCli(version)
    if (cli._tag === "missing") missing = cli.reason
    else path = cli.path
    api = await Api.startMessagesApi([Api.text("fine")])
  })
  afterAll(() => api?.close())

  const within = (
    name: string,
    { credentials = "none", extra = {}, stored = false }: Setting,
    test: (client: Client, home: SandboxHome, env: Readonly<Record<string, string>>) => Promise<void>
  ) =>
    it(`${name} (${version})`, async (ctx) => {
      if (missing !== "") return ctx.skip(missing)
      await using home = await sandboxHome()
      if (stored) await logIn(home.path)
      const sandbox = { url: api.url, home: home.path, credentials, extra }
      await using client = throughLibrary({ path, ...sandbox, config: { cwd: home.project } })
      await test(client, home, sandboxEnvironment(sandbox))
    })

  /** The command, with this CLI as the `claude` on its PATH. */
  const doctor = async (home: SandboxHome, env: Readonly<Record<string, string>>) => {
    await mkdir(join(home.path, "bin"))
    await symlink(path, join(home.path, "bin", "claude"))
    const child = spawn(process.execPath, [bundle.command, "doctor", "--json"], {
      cwd: home.project,
      env: { ...env, PATH: `${join(home.path, "bin")}:${env["PATH"]}` },
      stdio: ["ignore", "pipe", "inherit"]
    })
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve))
    let stdout = ""
    for await (const part of child.stdout) stdout += String(part)
    const { checks } = JSON.parse(stdout) as {
      readonly checks: ReadonlyArray<
        { readonly name: string; readonly status: string; readonly detail: string; readonly fix?: string }
      >
    }
    return { code: await ended, of: (name: string) => checks.find((check) => check.name === name)! }
  }

  within("a CLI that nobody has logged in is told, and no model is called", {}, async (client, home, env) => {
    const before = api.mainRequests().length
    const status = await client.health()
    assert.deepInclude(status, { healthy: false, cliFound: true, cliVersion: version, authenticated: false })
    const { code, of } = await doctor(home, env)
    assert.strictEqual(code, 1)
    assert.deepInclude(of("version"), { status: "ok", detail: version })
    assert.deepInclude(of("login"), { status: "failed", detail: "nobody is logged in" })
    assert.strictEqual(api.mainRequests().length, before)
  })

  const payers: ReadonlyArray<readonly [string, Setting, object, string]> = [
    [
      "a key in the environment",
      { credentials: "apiKey" },
      { payer: "apiKey", source: "ANTHROPIC_API_KEY" },
      "sk-ant-fake"
    ],
    ["a token in the environment", { credentials: "oauth" }, { payer: "token" }, "Bearer sk-ant-oat01-fake"],
    [
      "a stored login",
      { stored: true },
      { payer: "subscription", plan: "max", email: "a@b.example" },
      "Bearer sk-ant-oat01-stored"
    ],
    ["a key beside a stored login", { credentials: "apiKey", stored: true }, { payer: "apiKey" }, "sk-ant-fake"],
    [
      "a key beside a token",
      { credentials: "apiKey", extra: { CLAUDE_CODE_OAUTH_TOKEN: "sk-ant-oat01-fake" } },
      { payer: "apiKey" },
      "sk-ant-fake"
    ]
  ]
  for (const [name, setting, account, credential] of payers) {
    within(`${name}: who is said to pay is who pays`, setting, async (client) => {
      const status = await client.health()
      assert.deepInclude(status, { healthy: true, cliVersion: version, authenticated: true, problems: [] })
      assert.deepInclude({ ...status.account }, account)
      assert.notInclude(JSON.stringify(status), "sk-ant")
      const before = api.mainRequests().length
      assert.strictEqual(await client.querySimple("hi"), "fine")
      assert.deepStrictEqual([...new Set(api.mainRequests().slice(before).map(wire))], [credential])
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
    async (_, home, env) => {
      const { code, of } = await doctor(home, env)
      assert.strictEqual(code, 0)
      assert.include(of("cli").detail, `${version} is used`)
      assert.strictEqual(of("account").status, "warning")
      assert.include(
        of("account").detail,
        "ANTHROPIC_API_KEY (from the environment) is used instead of the login of a@b"
      )
      assert.include(of("account").detail, `requests go to ${api.url}`)
    }
  )

  within(
    "a configuration that is broken is told and left as it is",
    { credentials: "apiKey" },
    async (_, home, env) => {
      const file = join(home.path, ".claude.json")
      await writeFile(file, "{\n  \"a\": nope\n}")
      const { code, of } = await doctor(home, env)
      assert.strictEqual(code, 1)
      assert.include(of("config files").detail, `${file}:2:8`)
      assert.strictEqual(of("login").status, "skipped")
      assert.strictEqual(await readFile(file, "utf8"), "{\n  \"a\": nope\n}")
    }
  )

  within("a version that does not know the question refuses it, and asks no model", {}, async (client, home, env) => {
    const before = api.mainRequests().length
    // As a version without `auth` would: two words that are a prompt, and an option that it does not know.
    const child = spawn(path, ["authx", "status", "--jsonx"], { cwd: home.project, env: { ...env }, stdio: "ignore" })
    assert.strictEqual(await new Promise((resolve) => child.on("close", resolve)), 1)
    await client.health()
    assert.strictEqual(api.mainRequests().length, before)
  })
}
