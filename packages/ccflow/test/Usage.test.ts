import * as FakeCli from "@ccflow/testing/FakeCli"
import {
  batchQuery,
  calculateCost,
  CCFlowError,
  type Client,
  getUsageTracker,
  query,
  type Result,
  SessionStoreError,
  UnknownModelError,
  type UsageTotals
} from "ccflow"
import { fakeClient } from "ccflow/testing"
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import { UsageTracker } from "../src/Usage.js"

let folder: string
let storagePath: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ccflow-usage-"))
  storagePath = join(folder, "kept", "sessions.db")
})
afterEach(() => rm(folder, { recursive: true }))

const echo = () => ({ respond: (prompt: string) => FakeCli.answer(`you said ${prompt}`) })
const clientOf = (config = {}) => fakeClient(echo, config)

/** Queries, a session and a batch; what all of them together cost. */
const used = async (client: Client): Promise<ReadonlyArray<Result>> => {
  const session = client.session({ tags: ["work"] })
  const results = [
    await client.query("one").result,
    await client.query("two", { model: "opus" }).result,
    await session.sendMessage("first").result,
    await session.sendMessage("second").result
  ]
  const batch = await client.batchQuery(["a", "b", "c"])
  await session.close()
  return [...results, ...batch.flatMap(({ result }) => result ?? [])]
}

const sum = (results: ReadonlyArray<Result>) => ({
  cost: results.reduce((all, { costUsd }) => all + costUsd, 0),
  input: results.reduce((all, { usage }) => all + usage.inputTokens, 0),
  output: results.reduce((all, { usage }) => all + usage.outputTokens, 0)
})

const isSumOf = (totals: UsageTotals, results: ReadonlyArray<Result>) => {
  const { cost, input, output } = sum(results)
  assert.closeTo(totals.totalCostUsd, cost, 1e-9)
  assert.deepStrictEqual([totals.inputTokens, totals.outputTokens], [input, output])
  assert.deepStrictEqual([totals.estimatedUsd, totals.unpriced, totals.uncounted], [0, 0, 0])
  const models = Object.values(totals.byModel)
  assert.closeTo(models.reduce((all, { costUsd }) => all + costUsd, 0), cost, 1e-9)
}

describe("client.usage", () => {
  it("is what the results say together, in memory", async () => {
    await using client = clientOf()
    isSumOf(await client.usage(), [])
    const results = await used(client)
    assert.lengthOf(results, 7)
    assert.isAbove(sum(results).cost, 0)
    isSumOf(await client.usage(), results)
    await using other = clientOf()
    isSumOf(await other.usage(), [])
  })

  it("with a storagePath is that of all clients of the file, at once and afterwards", async () => {
    const results: Array<Result> = []
    {
      await using one = clientOf({ storagePath })
      await using two = clientOf({ storagePath })
      isSumOf(await two.usage(), [])
      results.push(...await used(one))
      isSumOf(await one.usage(), results)
      isSumOf(await two.usage(), results)
    }
    await using later = clientOf({ storagePath })
    isSumOf(await later.usage(), results)
    assert.lengthOf(results, 7)
  })

  it("can be asked by time, as a Date or in milliseconds, and by session", async () => {
    await using client = clientOf()
    const before = Date.now()
    const session = client.session()
    const { costUsd } = await session.sendMessage("one").result
    await client.querySimple("two")
    const later = Date.now() + 60_000
    assert.strictEqual((await client.usage({ since: new Date(later) })).entries, 0)
    assert.strictEqual((await client.usage({ until: before })).entries, 0)
    const all = await client.usage({ since: before, until: new Date(later) })
    assert.isAbove(all.entries, 1)
    const { totalCostUsd } = await client.usage({ sessionId: session.id })
    assert.closeTo(totalCostUsd, costUsd, 1e-9)
    assert.isAbove(all.totalCostUsd, totalCostUsd)
  })

  it("comes in groups that add up to it", async () => {
    await using client = clientOf({ storagePath })
    const results = await used(client)
    const { cost } = sum(results)
    for (const key of ["day", "model", "session", "tag", "batch"] as const) {
      const groups = await client.usageBy(key)
      assert.closeTo(groups.reduce((all, { costUsd }) => all + costUsd, 0), cost, 1e-9, key)
    }
    assert.lengthOf(await client.usageBy("session"), 6)
    assert.deepStrictEqual((await client.usageBy("tag")).map(({ key }) => key).sort(), ["", "work"])
    const days = await client.usageBy("day", { timeZone: "Pacific/Kiritimati" })
    assert.match(days[0]?.key ?? "", /^\d{4}-\d\d-\d\d$/)
    const error = await client.usageBy("day", { timeZone: "Mars/Olympus" }).catch((error: unknown) => error)
    assert.instanceOf(error, SessionStoreError)
    assert.include(String(error), "Mars/Olympus")
  })

  it("rejects when the file cannot be had; queries are answered all the same, and booked when it can", async () => {
    await mkdir(storagePath, { recursive: true })
    await using client = clientOf({ storagePath })
    const first = await client.query("one").result
    assert.strictEqual(first.result, "you said one")
    const error = await client.usage().catch((error: unknown) => error)
    assert.instanceOf(error, SessionStoreError)
    assert.strictEqual(error.reason, "NotAFile")
    await rm(storagePath, { recursive: true })
    const second = await client.query("two").result
    isSumOf(await client.usage(), [first, second])
  })
})

describe("what a client keeps", () => {
  const connections = async () => {
    const open = await readdir("/proc/self/fd")
    const { readlink } = await import("node:fs/promises")
    const targets = await Promise.all(open.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => "")))
    return targets.filter((target) => target === storagePath).length
  }

  it.skipIf(process.platform !== "linux")(
    `is kept through one connection, which is closed with it${
      process.platform === "linux" ? "" : " (skipped: no /proc)"
    }`,
    async () => {
      {
        await using client = clientOf({ storagePath })
        await Promise.all([
          client.usage(),
          client.sessions.list(),
          client.querySimple("one"),
          client.session().sendMessage("two").result,
          client.batchQuery(["three"], { id: "batch" })
        ])
        assert.strictEqual(await connections(), 1)
      }
      assert.strictEqual(await connections(), 0)
    }
  )
})

describe("calculateCost", () => {
  it("is 0.0105 for sonnet, 1000 tokens in and 500 out", () => {
    assert.closeTo(calculateCost("sonnet", { inputTokens: 1000, outputTokens: 500 }), 0.0105, 1e-12)
    assert.closeTo(calculateCost("sonnet", 1000, 500), 0.0105, 1e-12)
  })

  it("throws for a model that it has no price for, and guesses none", () => {
    assert.throws(() => calculateCost("gpt-x", { inputTokens: 1 }), UnknownModelError, "gpt-x")
    assert.throws(() => calculateCost("", { inputTokens: 1 }), UnknownModelError)
    const error = (() => {
      try {
        return calculateCost("o", 1, 1)
      } catch (error) {
        return error
      }
    })()
    assert.isTrue(error instanceof CCFlowError)
  })
})

describe("a usage tracker", () => {
  it("is one for the top-level functions, and has what they have used", async () => {
    const { env } = process
    env["CCFLOW_CLI_PATH"] = fileURLToPath(new URL("../../testing/bin/fake-claude.mjs", import.meta.url))
    env["FAKE_CLAUDE_SCRIPT"] = JSON.stringify({ turns: [[{ init: {} }, { text: "hello" }, { result: {} }]] })
    delete env["CCFLOW_SESSION_STORAGE_PATH"]
    const tracker = getUsageTracker()
    assert.strictEqual(getUsageTracker(), tracker)
    const first = await query("one").result
    isSumOf(await tracker.totals(), [first])
    const batch = await batchQuery(["two", "three"])
    isSumOf(await tracker.totals(), [first, ...batch.flatMap(({ result }) => result ?? [])])
  })

  it("has what its owner has used, and begins anew when it is reset", async () => {
    const { of } = await import("../src/Client.js")
    const Owner = await import("../src/Owner.js")
    const FakeClaude = await import("@ccflow/testing/FakeClaude")
    const owner = Owner.make(FakeClaude.layer(echo))
    await using client = of(owner)
    const tracker = new UsageTracker(owner)
    const first = await client.query("one").result
    isSumOf(await tracker.totals(), [first])
    assert.lengthOf(await tracker.by("day"), 1)
    tracker.reset()
    isSumOf(await tracker.totals(), [])
    assert.deepStrictEqual(await tracker.by("model"), [])
    await sleep(3)
    const second = await client.query("two").result
    isSumOf(await tracker.totals(), [second])
    isSumOf(await client.usage(), [first, second])
  })
})
