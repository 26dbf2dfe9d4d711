import { afterAll, assert, beforeAll, it } from "vitest"
import { commandBundle } from "./support/commandBundle.js"
import * as Api from "./support/MessagesApi.js"
import { sandboxEnvironment, type SandboxHome, sandboxHome } from "./support/RealCli.js"
import { describeRealCli } from "./support/realCliBench.js"
import { eventually, serve, type Serving } from "./support/serve.js"

const command = await commandBundle()

await describeRealCli("ccflow serve", ({ path: cli }) => {
  const state: { reply: Api.Reply } = { reply: Api.text("Four.") }
  let api: Api.MessagesApi
  let home: SandboxHome
  let service: Serving

  beforeAll(async () => {
    api = await Api.startMessagesApi(() => state.reply)
    home = await sandboxHome()
    const environment = sandboxEnvironment({
      url: api.url,
      home: home.path,
      extra: {
        CCFLOW_CLI_PATH: cli,
        CCFLOW_SESSION_STORAGE_PATH: `${home.path}/sessions.db`,
        CLAUDE_CODE_MAX_RETRIES: "1"
      }
    })
    service = await serve(command, [`--cwd=${home.project}`, "--model=sonnet"], environment)
  })
  afterAll(async () => {
    await service?.stop()
    await api.close()
    await home[Symbol.asyncDispose]()
  })

  const post = (path: string, body: unknown, more: RequestInit = {}) =>
    fetch(`${service.url}${path}`, {
      ...more,
      method: "POST",
      headers: { "content-type": "application/json", ...more.headers },
      body: JSON.stringify(body)
    })

  it("a query is answered, at once or as it comes", async () => {
    state.reply = Api.text("Four.")
    const answer = await (await post("/v1/query", { prompt: "2+2?" })).json() as object
    assert.deepInclude(answer, { _tag: "Result", result: "Four.", isError: false })
    const stream = await (await post("/v1/query", { prompt: "2+2?", includePartialMessages: true }, {
      headers: { accept: "text/event-stream" }
    })).text()
    assert.match(stream, /event: Text\nid: \d+\ndata: \{"_tag":"Text".*"delta":true/)
    assert.match(stream, /event: result\nid: \d+\ndata: \{.*"result":"Four\."/)
  })

  it("a session remembers, and its process stays", async () => {
    const { sessionId } = await (await post("/v1/sessions", {})).json() as { readonly sessionId: string }
    state.reply = Api.text("One.")
    await (await post(`/v1/sessions/${sessionId}/messages`, { prompt: "first" })).text()
    state.reply = Api.text("Two.")
    const second = await (await post(`/v1/sessions/${sessionId}/messages`, { prompt: "second" })).json()
    assert.deepInclude(second, { result: "Two.", sessionId })
    const last = JSON.stringify(api.mainRequests().at(-1))
    assert.include(last, "first")
  })

  it("a client that goes away ends the model's request", async () => {
    state.reply = Api.text("word ".repeat(2000), { chunkSize: 5, delayMs: 20 })
    const before = api.abandoned()
    const leaving = new AbortController()
    const asked = api.mainRequests().length
    const left = post("/v1/query", { prompt: "long" }, { signal: leaving.signal }).then(() => "answered", () => "left")
    await eventually(() => api.mainRequests().length > asked, 20_000)
    leaving.abort()
    assert.strictEqual(await left, "left")
    await eventually(() => api.abandoned() > before, 15_000)
    state.reply = Api.text("Four.")
    assert.strictEqual((await post("/v1/query", { prompt: "2+2?" })).status, 200)
  })

  it("what the API refuses has the status that it means here", async () => {
    state.reply = Api.status(401, { message: "invalid x-api-key" })
    const refused = await post("/v1/query", { prompt: "2+2?" })
    const { error } = await refused.json() as { readonly error: { readonly type: string } }
    assert.deepStrictEqual([refused.status, error.type], [502, "AuthenticationError"])
  })
})
