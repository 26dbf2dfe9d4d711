import type { QueryOptions } from "ccflow"
import { BillingMismatchError } from "ccflow"
import { assert, it } from "vitest"
import { logIn } from "./support/logIn.js"
import * as Api from "./support/MessagesApi.js"
import { planted } from "./support/planted.js"
import { sandboxHome, type SandboxOptions } from "./support/RealCli.js"
import { describeRealCli } from "./support/realCliBench.js"
import { throughLibrary } from "./support/throughLibrary.js"

interface Setting {
  readonly credentials?: NonNullable<SandboxOptions["credentials"]>
  readonly stored?: boolean
  readonly extra?: Readonly<Record<string, string>>
  readonly options?: QueryOptions
}

const helper: Setting = { options: { settings: { apiKeyHelper: `echo ${planted.helperKey}` } } }

/** Who is found, from where, and what the request is then paid with. */
const payers: ReadonlyArray<readonly [string, Setting, BillingMismatchError["found"], string, string]> = [
  ["a stored login", { stored: true }, "subscription", "none", `Bearer ${planted.storedToken}`],
  ["a subscription's token", { credentials: "oauth" }, "subscription", "none", `Bearer ${planted.oauthToken}`],
  ["a key", { credentials: "apiKey" }, "apiKey", "ANTHROPIC_API_KEY", planted.apiKey],
  ["a key before a login", { credentials: "apiKey", stored: true }, "apiKey", "ANTHROPIC_API_KEY", planted.apiKey],
  [
    "a key before a token",
    { credentials: "apiKey", extra: { CLAUDE_CODE_OAUTH_TOKEN: planted.oauthToken } },
    "apiKey",
    "ANTHROPIC_API_KEY",
    planted.apiKey
  ],
  ["a helper before a login", { ...helper, stored: true }, "apiKey", "apiKeyHelper", ""],
  [
    "a bearer token before a login",
    { stored: true, extra: { ANTHROPIC_AUTH_TOKEN: planted.gatewayToken } },
    "token",
    "none",
    `Bearer ${planted.gatewayToken}`
  ],
  ["a cloud before a login", { stored: true, extra: { CLAUDE_CODE_USE_BEDROCK: "1" } }, "cloud", "none", ""],
  ["nobody", {}, "nobody", "none", ""]
]

const wire = ({ headers }: Api.MessagesRequest): string =>
  [headers["x-api-key"], headers["authorization"]].filter((value) => value !== undefined).join(" ")

await describeRealCli("who pays", ({ path }) => {
  for (const [name, { credentials = "none", extra = {}, options, stored = false }, found, source, paidWith] of payers) {
    for (const billing of ["subscription", "apiKey"] as const) {
      const good = found === billing
      it(`${name}: asked for ${billing}, ${good ? "it is asked" : "it is refused, and the API hears nothing"}`, async () => {
        await using home = await sandboxHome()
        await using api = await Api.startMessagesApi([Api.text("fine")])
        if (stored) await logIn(home.path)
        await using client = throughLibrary({
          path,
          url: api.url,
          home: home.path,
          credentials,
          extra,
          config: { cwd: home.project, billing, ...options }
        })
        // 2.1.197 looks whether there is a network, which costs nothing.
        const asked = () => api.requests.filter(({ method }) => method !== "HEAD")
        await using session = client.session()
        const all = [() => client.query("hi").result, () => session.sendMessage("hi").result]
        const asks = stored ? all : all.slice(0, 1)
        if (good) {
          for (const ask of asks) assert.strictEqual((await ask()).result, "fine")
          const credentials = new Set(api.mainRequests().map(wire))
          if (paidWith !== "") assert.deepStrictEqual([...credentials], [paidWith])
          return
        }
        for (const ask of asks) {
          const error = await ask().then(() => assert.fail("it was asked"), (error: unknown) => error)
          assert.instanceOf(error, BillingMismatchError)
          assert.deepInclude({ ...error }, { expected: billing, found, apiKeySource: source })
          assert.notInclude(`${error.message} ${JSON.stringify(error)}`, "sk-ant")
        }
        assert.deepStrictEqual(asked().map(({ method, path }) => `${method} ${path}`), [])
      })
    }
  }
}, { concurrent: true })
