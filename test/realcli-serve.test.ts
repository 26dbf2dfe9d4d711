import { afterAll, assert, beforeAll, it } from "vitest"
import { commandBundle } from "./support/commandBundle.js"
import * as Api from "./support/MessagesApi.js"
import { realCli, sandboxEnvironment, type SandboxHome, sandboxHome, supportedVersions } from "./support/RealCli.js"
import { eventually, serve, type Serving } from "./support/serve.js"

let bundle: Awaited<ReturnType<typeof commandBundle>>
beforeAll(async () => {
  bundle = await commandBundle()
})
afterAll(() => bundle[Symbol.asyncDispose]())

/** `ccflow serve` with each of the real CLIs behind it. */
for (const version of supportedVersions) {
  const state: { reply: Api.Reply } = { reply: Api.text("Four.") }
  let api: Api.MessagesApi
  let home: SandboxHome
  let service: Serving | undefined
  let missing = ""

  beforeAll(async () => {
    const cli = await realCli(version)
    if (cli._tag === "missing") {
      missing = cli.reason
      return
    }
    api = await Api.startMessagesApi(() => state.reply)
    home = await sandboxHome()
    const environment = sandboxEnvironment({
      url: api.url,
      home: home.path,
      extra: {
        CCFLOW_CLI_PATH: cli.path,
        CCFLOW_SESSION_STORAGE_PATH: `${home.path}/sessions.db`,
        CLAUDE_CODE_MAX_RETRIES: "1"
      }
    })
    service = await serve(bundle.command, [`--cwd=${home.project}`, "--model=sonnet"], environment)
  })
  afterAll(async () => {
    await service?.stop()
    await api?.close()
    await home?.[Symbol.asyncDispose]()
  })

  const through = (name: string, test: (post: Post, service: Serving) => Promise<void>) =>
    it(`${name} (${version})`, async (ctx) => {
      if (service === undefined) return ctx.skip(missing)
      const { url } = service
      await test((path, body, headers = {}) =>
        fetch(`${url}${path}`, {
          method: "POST",
          headers: { "content-type": "application/json", ...headers },
          body: JSON.stringify(body)
        }), service)
    })

  through("a query is answered, at once or as it comes", async (post) => {
    state.reply = Api.text("Four.")
    const answer = await (await post("/v1/query", { prompt: "2+2?" })).json() as object
    assert.deepInclude(answer, { _tag: "Result", result: "Four.", isError: false })
    const stream = await (await post("/v1/query", { prompt: "2+2?", includePartialMessages: true }, {
      accept: "text/event-stream"
    })).text()
    assert.match(stream, /event: Text\nid: \d+\ndata: \{"_tag":"Text".*"delta":true/)
    assert.match(stream, /event: result\nid: \d+\ndata: \{.*"result":"Four\."/)
  })

  through("a session remembers, and its process stays", async (post) => {
    const { sessionId } = await (await post("/v1/sessions", {})).json() as { readonly sessionId: string }
    state.reply = Api.text("One.")
    await (await post(`/v1/sessions/${sessionId}/messages`, { prompt: "first" })).text()
    state.reply = Api.text("Two.")
    const second = await (await post(`/v1/sessions/${sessionId}/messages`, { prompt: "second" })).json()
    assert.deepInclude(second, { result: "Two.", sessionId })
    const last = JSON.stringify(api.mainRequests().at(-1))
    assert.include(last, "first")
  })

  through("a client that goes away ends the model's request", async (post) => {
    state.reply = Api.text("word ".repeat(2000), { chunkSize: 5, delayMs: 20 })
    const before = api.abandoned()
    const leaving = new AbortController()
    const asked = api.mainRequests().length
    const left = fetch(`${service?.url}/v1/query`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ prompt: "long" }),
      signal: leaving.signal
    }).then(() => "answered", () => "left")
    await eventually(() => api.mainRequests().length > asked, 20_000)
    leaving.abort()
    assert.strictEqual(await left, "left")
    await eventually(() => api.abandoned() > before, 15_000)
    state.reply = Api.text("Four.")
    assert.strictEqual((await post("/v1/query", { prompt: "2+2?" })).status, 200)
  })

  through("what the API refuses has the status that it means here", async (post) => {
    state.reply = Api.status(401, { message: "invalid x-api-key" })
    const refused = await post("/v1/query", { prompt: "2+2?" })
    const { error } = await refused.json() as { readonly error: { readonly type: string } }
    assert.deepStrictEqual([refused.status, error.type], [502, "AuthenticationError"])
  })
}

type Post = (path: string, body: unknown, headers?: Readonly<Record<string, string>>) => Promise<Response>
