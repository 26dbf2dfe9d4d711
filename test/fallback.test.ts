import * as AnthropicClaude from "@ccflow/anthropic/AnthropicClaude"
import * as Claude from "@ccflow/core/Claude"
import * as ClaudeConfig from "@ccflow/core/ClaudeConfig"
import { UsageLimitError } from "@ccflow/core/ClaudeError"
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

const apiKey = "sk-ant-api03-only-for-tests-0123456789"
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
