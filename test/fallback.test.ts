import * as AnthropicClaude from "@ccflow/anthropic/AnthropicClaude"
import * as Claude from "@ccflow/core/Claude"
import * as ClaudeConfig from "@ccflow/core/ClaudeConfig"
import { BudgetExceededError, UsageLimitError } from "@ccflow/core/ClaudeError"
import * as ContextEncoder from "@ccflow/core/ContextEncoder"
import * as Events from "@ccflow/core/Events"
import type { Event } from "@ccflow/core/Events"
import type { Message } from "@ccflow/core/Message"
import * as NodeClaude from "@ccflow/node/NodeClaude"
import { type ClientConfig, createClient, InvalidOptionsError } from "ccflow"
import { Effect, Layer, Redacted, Stream } from "effect"
import { mkdtemp, rm, symlink } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import { fake } from "./fixtures/lifecycle/processes.js"
import { type MessagesApi, startMessagesApi, status, text } from "./support/MessagesApi.js"
import { attributesOf, startOtlpCollector } from "./support/OtlpCollector.js"
import { planted } from "./support/planted.js"

const { apiKey } = planted
const when = ["cliMissing", "breakerOpen", "usageLimit"] as const

let api: MessagesApi
let folder: string
beforeEach(async () => {
  api = await startMessagesApi([text("from the API")])
  folder = await mkdtemp(join(tmpdir(), "ccflow-fallback-"))
})
afterEach(async () => {
  await api.close()
  await rm(folder, { recursive: true })
})

/** A client with the fallback, and what it was told of. */
const client = (config: ClientConfig, fallback: Partial<NonNullable<ClientConfig["fallback"]>> = {}) => {
  const told: Array<string> = []
  const made = createClient({
    ...config,
    fallback: {
      when,
      apiKey,
      baseUrl: api.url,
      onFallback: ({ cause, error }) => told.push(`${cause} ${error._tag}`),
      ...fallback
    }
  })
  return { ask: (prompt = "hi") => made.querySimple(prompt), made, told }
}

const isEcho = (said: string) => said === "echo: hi"

/** Asks until the CLI answers again. */
const untilEcho = async (ask: () => Promise<string>) => {
  for (let i = 0; i < 100; i++) {
    if (isEcho(await ask())) return
    await sleep(50)
  }
  assert.fail("the CLI was not asked again")
}

/** Turns that end because a window is used up. */
const limited = (resetsAt: number, before: ReadonlyArray<object> = []) => ({
  turns: [[
    { init: {} },
    {
      emit: {
        type: "rate_limit_event",
        session_id: "$SESSION",
        uuid: "$UUID",
        rate_limit_info: { status: "rejected", rateLimitType: "five_hour", resetsAt }
      }
    },
    ...before,
    { error: { status: 429, type: "rate_limit_error", message: "You've hit your limit", category: "rate_limit" } }
  ]]
})

describe("a client with a fallback", () => {
  it("asks the API while there is no CLI, and the CLI as soon as there is one", async () => {
    const cliPath = join(folder, "claude")
    const { ask, made, told } = client({ cliPath })
    assert.strictEqual(await ask(), "from the API")
    assert.deepStrictEqual(told, ["cliMissing CliNotFoundError"])
    assert.strictEqual(api.mainRequests().length, 1)
    assert.strictEqual(api.mainRequests()[0]?.lastUserText, "hi")
    const { cliPath: real } = fake({})
    await symlink(real ?? "", cliPath)
    await untilEcho(ask)
    assert.strictEqual(api.mainRequests().length, told.length)
    await made.close()
  })

  it("asks the API while the breaker is open, and the CLI when its time has come", async () => {
    const dies = { turns: [[{ init: {} }, { exit: 3 }]] }
    const { ask, made, told } = client({
      ...fake({ counter: join(folder, "n"), runs: [dies, dies, {}] }),
      circuitBreaker: { failureThreshold: 2, resetTimeout: "1 second", successThreshold: 1 },
      retry: false
    })
    for (let i = 0; i < 2; i++) assert.include(String(await ask().catch(String)), "Claude Code ended")
    assert.strictEqual(await ask(), "from the API")
    assert.strictEqual(await ask(), "from the API")
    assert.deepStrictEqual(told, ["breakerOpen CircuitBreakerError", "breakerOpen CircuitBreakerError"])
    await sleep(1000)
    await untilEcho(ask)
    assert.strictEqual(api.mainRequests().length, told.length)
    await made.close()
  })

  it("asks the API while a window of the subscription is used up, and the CLI when it has been reset", async () => {
    const resetsAt = Math.ceil(Date.now() / 1000) + 2
    const { ask, made, told } = client({
      ...fake({ counter: join(folder, "n"), runs: [limited(resetsAt), {}] }),
      usageLimit: { maxWait: 0 }
    })
    assert.strictEqual(await ask(), "from the API")
    assert.deepStrictEqual(told, ["usageLimit UsageLimitError"])
    await sleep(resetsAt * 1000 - Date.now())
    await untilEcho(ask)
    assert.strictEqual(api.mainRequests().length, told.length)
    await made.close()
  })

  it("never asks the API about a run that has said something", async () => {
    const resetsAt = Math.ceil(Date.now() / 1000) + 3600
    const { made, told } = client({ ...fake(limited(resetsAt, [{ text: "half" }])), usageLimit: { maxWait: 0 } })
    const seen: Array<Message> = []
    const error = await (async () => {
      for await (const message of made.query("hi")) seen.push(message)
    })().then(() => undefined, (error: unknown) => error)
    assert.isTrue(error instanceof UsageLimitError)
    assert.strictEqual(seen.flatMap((one) => one._tag === "Text" ? [one.content] : [])[0], "half")
    assert.deepStrictEqual(told, [])
    assert.strictEqual(api.requests.length, 0)
    await made.close()
  })

  it("keeps the CLI's error, with the reason, where the API cannot honour the options", async () => {
    const { made, told } = client({ cliPath: join(folder, "claude") })
    const error = await made.querySimple("hi", { allowedTools: ["Read"], cwd: folder }).catch((error: unknown) => error)
    assert.include(String(error), "CliNotFoundError")
    assert.include(String(error), "No fallback: The API cannot honour allowedTools, cwd")
    assert.deepStrictEqual(told, [])
    assert.strictEqual(api.requests.length, 0)
    await made.close()
  })

  it("does not fall back without being asked to, nor for what is not named", async () => {
    const { ask, made } = client({ cliPath: join(folder, "claude") }, { when: ["usageLimit"] })
    const without = createClient({ cliPath: join(folder, "claude") })
    for (const failing of [ask(), without.querySimple("hi")]) {
      assert.include(String(await failing.catch(String)), "No Claude Code CLI")
    }
    assert.strictEqual(api.requests.length, 0)
    await Promise.all([made.close(), without.close()])
  })

  it("shows no key in what it tells, and needs one", async () => {
    await api.close()
    api = await startMessagesApi([status(401, { message: `${apiKey} is not a key, said in "my prompt"` })])
    const { made } = client({ cliPath: join(folder, "claude") })
    const error = await made.querySimple("my prompt").catch((error: unknown) => error)
    const printed = `${String(error)}${JSON.stringify(error)}${error instanceof Error ? error.stack : ""}`
    assert.include(printed, "ApiClientError")
    assert.notInclude(printed, apiKey)
    assert.notInclude(printed, "my prompt")
    const keyless = client({ cliPath: join(folder, "claude") }, { apiKey: "" })
    const refused = await keyless.ask().catch((error: unknown) => error)
    assert.isTrue(refused instanceof InvalidOptionsError)
    assert.include(String(refused), "fallback.apiKey")
    await Promise.all([made.close(), keyless.made.close()])
  })
})

describe("a call that falls back", () => {
  const cli = () => ({ cliPath: join(folder, "claude") })
  const callTypes = ["QueryStarted", "FellBack", "TokensUsed", "CostIncurred", "QueryEnded"]

  it("is told as one call, booked once, and counted as what came of it", async () => {
    const resetsAt = Math.ceil(Date.now() / 1000) + 3600
    const { made } = client({ ...fake(limited(resetsAt)), usageLimit: { maxWait: 0 } })
    const events: Array<Event> = []
    made.events.onAny((event) => events.push(event))
    const { costUsd, sessionId, usage } = await made.query("hi", { model: "sonnet", tags: ["mine"] }).result
    assert.deepStrictEqual(events.map(({ _tag }) => _tag).filter((tag) => callTypes.includes(tag)), callTypes)
    const ended = events.find(Events.is("QueryEnded"))
    assert.isString(ended?.callId)
    for (const { _tag, callId } of events) assert.strictEqual(callId, ended?.callId, _tag)
    assert.deepInclude(ended, { outcome: "success", model: "claude-sonnet-5-5", costUsd, sessionId, usage })
    assert.isAbove(costUsd, 0)
    const { byModel, entries, totalCostUsd } = await made.usage({ tag: "mine" })
    assert.deepStrictEqual([entries, totalCostUsd, Object.keys(byModel)], [1, costUsd, ["claude-sonnet-5-5"]])
    assert.notInclude(JSON.stringify(events), apiKey)
    await made.close()
  })

  it("is one trace, with the CLI's attempt and the API's, and the API is told of none", async () => {
    await using collector = await startOtlpCollector()
    const variables = {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      CCFLOW_LOG_LEVEL: "none"
    }
    Object.assign(process.env, variables)
    try {
      const resetsAt = Math.ceil(Date.now() / 1000) + 3600
      const { ask, made } = client({ ...fake(limited(resetsAt)), usageLimit: { maxWait: 0 }, telemetry: true })
      await ask("the prompt")
      await made.close()
    } finally {
      for (const name of Object.keys(variables)) delete process.env[name]
    }
    const spans = collector.spans().map((span) => ({ ...span, said: attributesOf(span) }))
    const query = spans.find(({ name }) => name === "claude.query") ?? assert.fail("no query")
    const attempts = spans.filter(({ name }) => name === "claude.attempt")
    assert.strictEqual(spans.length, 3)
    assert.deepStrictEqual(attempts.map(({ parentSpanId }) => parentSpanId), [query.spanId, query.spanId])
    assert.deepInclude(query.said, {
      "gen_ai.response.model": "claude-opus-5-5",
      "ccflow.outcome": "success",
      "ccflow.fallback.cause": "usageLimit"
    })
    assert.deepStrictEqual(attempts.map(({ said }) => said["server.address"]), [undefined, "127.0.0.1"])
    assert.strictEqual(attempts[1]?.said["gen_ai.response.model"], "claude-opus-5-5")
    assert.includeMembers([...collector.metrics()], ["ccflow_queries_total", "ccflow_fallbacks_total"])
    for (const { body } of collector.requests) {
      for (const hidden of [apiKey, "the prompt", "from the API"]) assert.notInclude(body, hidden)
    }
    const sent = Object.keys(api.mainRequests()[0]?.headers ?? {})
    for (const name of ["traceparent", "tracestate", "baggage"]) assert.notInclude(sent, name)
  }, 30_000)

  it("brings its data to the API, fenced as for the CLI, and measured", async () => {
    const { made } = client(cli())
    const context = { rows: Array.from({ length: 20 }, (_, id) => ({ id, name: `name ${id}` })) }
    const { context: measured } = await made.query("hi", { context }).result
    const { format, jsonTokens, savedTokens, text: encoded, toonTokens } = await Effect.runPromise(
      ContextEncoder.encode(context)
    )
    assert.strictEqual(format, "toon")
    assert.deepStrictEqual(measured, { format, jsonTokens, savedTokens, toonTokens })
    assert.include(
      JSON.stringify(api.mainRequests()[0]?.system),
      JSON.stringify(ContextEncoder.toBlock("Context", { format, text: encoded })).slice(1, -1)
    )
    await made.close()
  })

  it("gives its text as it comes, where that is asked for", async () => {
    await api.close()
    api = await startMessagesApi([text("from the API", { chunkSize: 4 })])
    const { made } = client(cli())
    const seen: Array<Message> = []
    for await (const message of made.query("hi", { includePartialMessages: true })) seen.push(message)
    const said = seen.flatMap((one) => one._tag === "Text" ? [one] : [])
    assert.isAbove(said.length, 1)
    assert.isTrue(said.every(({ delta }) => delta))
    assert.strictEqual(said.map(({ content }) => content).join(""), "from the API")
    await made.close()
  })

  it("does so in a batch as well, and is booked for it", async () => {
    const { made, told } = client({ ...cli(), storagePath: join(folder, "store.db") })
    const results = await made.batchQuery(["one", "two"], { id: "the-batch" })
    assert.deepStrictEqual(results.map(({ result }) => result?.result), ["from the API", "from the API"])
    assert.strictEqual(told.length, 2)
    assert.strictEqual((await made.usage({ batchId: "the-batch" })).entries, 2)
    await made.close()
  })

  it("is under the client's budget", async () => {
    const { ask, made } = client({ ...cli(), budget: { perDayUsd: 0.000_001 } })
    assert.strictEqual(await ask(), "from the API")
    const error = await ask().catch((error: unknown) => error)
    assert.isTrue(error instanceof BudgetExceededError, String(error))
    assert.strictEqual(api.mainRequests().length, 1)
    await made.close()
  })

  it("is never paid for with a key where the subscription is to pay", async () => {
    const { made, told } = client({ ...cli(), billing: "subscription" })
    const error = await made.querySimple("hi").catch((error: unknown) => error)
    assert.include(String(error), "CliNotFoundError")
    assert.include(String(error), "No fallback: An API key would pay (ANTHROPIC_API_KEY), where a subscription is to")
    assert.deepStrictEqual([told, api.requests], [[], []])
    await made.close()
  })

  it("is none of a session, whose turns fail as the CLI does", async () => {
    const { made, told } = client(cli())
    await using session = made.session()
    const error = await session.sendMessage("hi").result.catch((error: unknown) => error)
    assert.include(String(error), "CliNotFoundError")
    assert.deepStrictEqual([told, api.requests], [[], []])
    await made.close()
  })
})

describe("layers with a fallback", () => {
  it("answer as one Claude, and tell among the messages who does", async () => {
    const both = Claude.layerWithFallback(
      NodeClaude.layerWith({ cliPath: join(folder, "claude") }),
      Layer.provide(
        AnthropicClaude.layer({ apiKey: Redacted.make(apiKey), baseUrl: api.url }),
        ClaudeConfig.layer
      ),
      ["cliMissing"]
    )
    const seen = await Effect.runPromise(
      Stream.runCollect(Claude.query("hi", { model: "haiku" })).pipe(Effect.provide(both))
    )
    assert.deepStrictEqual(
      Array.from(seen, ({ _tag }) => _tag),
      ["Status", "Init", "Text", "Assistant", "Stop", "Result"]
    )
    assert.strictEqual(api.mainRequests()[0]?.model, "claude-haiku-5-5")
  })
})
