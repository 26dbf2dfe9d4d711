import {
  CircuitBreakerError,
  type Client,
  type ClientConfig,
  CliExitError,
  createClient,
  OverloadedError,
  type Query
} from "ccflow"
import { mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import { eventually, fake, linux, lives, sign, signed } from "./fixtures/lifecycle/processes.js"

let folder: string
let counters: string
beforeEach(async (ctx) => {
  if (!linux) ctx.skip("needs /proc")
  folder = await mkdtemp(join(tmpdir(), "ccflow-policies-"))
  counters = await mkdtemp(join(tmpdir(), "ccflow-policies-"))
})
afterEach(async () => {
  await rm(folder, { recursive: true })
  await rm(counters, { recursive: true })
})

/** Processes that do these things, one after the other, and the last of them from then on. */
const each = (...turns: ReadonlyArray<ReadonlyArray<unknown>>) =>
  fake({
    counter: join(counters, "n"),
    runs: turns.map((steps) => ({ turns: [[sign(folder), { init: {} }, ...steps]] }))
  })
const overloaded = [{ error: { status: 529, type: "overloaded_error", message: "Overloaded", category: "overloaded" } }]
const crashes = [{ kill: "SIGKILL" }]
const answers = [{ text: "fine" }, { result: {} }]

const gone = async (count: number) => assert.deepStrictEqual((await signed(folder, count)).filter(lives), [])

const using = async (config: ClientConfig, use: (client: Client) => Promise<void>) => {
  const client = createClient(config)
  try {
    await use(client)
  } finally {
    await client.close()
  }
}

const outcome = async (query: Query) => {
  const tags: Array<string> = []
  let error: unknown
  try {
    for await (const { _tag } of query) if (_tag !== "Status") tags.push(_tag)
  } catch (caught) {
    error = caught
  }
  return { tags, error }
}

describe("retries of real processes", () => {
  const soon = { retry: { baseDelay: 20 } }

  it("an overloaded API that gets well with the third process answers, and no process is left", () =>
    using({ ...each(overloaded, overloaded, answers), ...soon }, async (client) => {
      const { error, tags } = await outcome(client.query("go"))
      assert.strictEqual(error, undefined)
      assert.deepStrictEqual(tags, ["Init", "Init", "Init", "Text", "Assistant", "Stop", "Result"])
      await gone(3)
    }))

  it("the process of a failed attempt is gone before the next one starts", () =>
    using({ ...each(overloaded, answers), retry: { baseDelay: 1 } }, async (client) => {
      const answered = client.querySimple("go")
      const [first = 0] = await signed(folder, 1)
      await signed(folder, 2)
      assert.isFalse(lives(first))
      assert.strictEqual(await answered, "fine")
    }))

  it("what was said is not asked again", () =>
    using({ ...each([{ text: "half" }, ...overloaded], answers), ...soon }, async (client) => {
      const { error, tags } = await outcome(client.query("go"))
      assert.instanceOf(error, OverloadedError)
      assert.deepStrictEqual(tags.slice(0, 2), ["Init", "Text"])
      await gone(1)
    }))

  it("leaving the loop while it waits starts nothing more", () =>
    using({ ...each(overloaded, answers), retry: { baseDelay: 300 } }, async (client) => {
      const query = client.query("go")
      await query.next()
      const next = query.next()
      const [first = 0] = await signed(folder, 1)
      await eventually("the first process is gone", () => !lives(first))
      await query.return()
      assert.deepStrictEqual(await next, { done: true, value: undefined })
      await sleep(600)
      assert.strictEqual((await readdir(folder)).length, 1)
    }))

  it("a session's turn is made again in the session's process", () =>
    using({ ...fake({ turns: [[sign(folder), ...overloaded], answers] }), ...soon }, async (client) => {
      const session = client.session()
      assert.strictEqual((await session.sendMessage("go").result).result, "fine")
      await session.close()
      await gone(1)
    }))
})

describe("the breaker before real processes", () => {
  it("is open after five crashes: the sixth call starts none, and when its time has come one probe does", () =>
    using({
      ...each(crashes, crashes, crashes, crashes, crashes, answers),
      circuitBreaker: { resetTimeout: 1000 }
    }, async (client) => {
      for (let n = 0; n < 5; n++) assert.instanceOf((await outcome(client.query("go"))).error, CliExitError)
      const { error } = await outcome(client.query("go"))
      assert.instanceOf(error, CircuitBreakerError)
      await gone(5)
      await sleep(error.retryAfter + 5)
      const probes = await Promise.all(Array.from({ length: 10 }, () => outcome(client.query("go"))))
      assert.strictEqual(probes.filter(({ error }) => error === undefined).length, 1)
      await gone(6)
      assert.strictEqual(await client.querySimple("go"), "fine")
      assert.deepStrictEqual(
        await Promise.all(Array.from({ length: 3 }, () => client.querySimple("go"))),
        ["fine", "fine", "fine"]
      )
      await gone(10)
    }), 20_000)
})
