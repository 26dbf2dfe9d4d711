import { UsageLimitStore } from "@ccflow/core/UsageLimit"
import * as SqliteFile from "@ccflow/sql/SqliteFile"
import * as SqlUsageLimitStore from "@ccflow/sql/SqlUsageLimitStore"
import { type ClientConfig, createClient, UsageLimitError } from "ccflow"
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { assert, describe, it, vi } from "vitest"
import { eventually } from "./fixtures/lifecycle/processes.js"
import { fakeClaude } from "./support/bundle.js"
import { fixtureBundle } from "./support/hosts.js"
import * as Api from "./support/MessagesApi.js"
import { follow } from "./support/programs.js"
import { sandboxHome } from "./support/RealCli.js"
import { describeRealCli } from "./support/realCliBench.js"
import { sandboxedOptions } from "./support/throughLibrary.js"

interface Line {
  readonly text?: string
  readonly error?: { readonly _tag: string; readonly limit: string; readonly frames: number; readonly message: string }
}

const script = await fixtureBundle("usage/host.ts")

/** A folder for what is kept, and the programs that share it. */
const newPlace = async () => {
  const folder = await mkdtemp(join(tmpdir(), "ccflow-usage-"))
  const storagePath = join(folder, "kept", "sessions.db")
  const hosts: Array<ChildProcess> = []
  return {
    folder,
    storagePath,
    start: (config: ClientConfig) => {
      const host = spawn(process.execPath, [script, JSON.stringify(config)], {
        stdio: ["ignore", "pipe", "pipe"],
        env: { PATH: process.env["PATH"] }
      })
      follow(host)
      hosts.push(host)
      const lines: Array<Line> = []
      createInterface({ input: host.stdout }).on("line", (line) => lines.push(JSON.parse(line)))
      return {
        end: async () => {
          await eventually("the host has its answer", () => lines.length > 1, 60_000)
          return lines[1] ?? {}
        },
        kill: () => killed(host)
      }
    },
    /** Whether the file has a window that is used up. */
    remembered: () =>
      Effect.runPromise(
        Effect.flatMap(UsageLimitStore, ({ load }) => load).pipe(
          Effect.map((windows) => windows.some(({ status }) => status === "rejected")),
          Effect.provide(SqlUsageLimitStore.layer),
          Effect.provide(SqliteFile.layer({ path: storagePath }))
        )
      ),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(hosts.map(killed))
      await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
    }
  }
}

const killed = async (host: ChildProcess) => {
  if (host.exitCode !== null || host.signalCode !== null) return
  const gone = new Promise((resolve) => host.once("close", resolve))
  host.kill("SIGKILL")
  await gone
}

const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds

await describeRealCli("a subscription whose window is used up", ({ path }) => {
  const within = (storagePath: string, { url }: Api.MessagesApi, home: string) =>
    sandboxedOptions({ path, url, home, credentials: "oauth", config: { storagePath } })

  it("stops the next program too, which starts no CLI, when the one that was told is killed", async () => {
    await using place = await newPlace()
    await using home = await sandboxHome()
    await using api = await Api.startMessagesApi(() => Api.usageLimited({ resetsAt: inSeconds(3600) }))
    const config = within(place.storagePath, api, home.path)
    const first = place.start(config)
    assert.deepInclude((await first.end()).error, { _tag: "UsageLimitError", limit: "five_hour" })
    await first.kill()
    const asked = api.requests.length
    const second = place.start(config)
    const { error } = await second.end()
    assert.deepInclude(error, { _tag: "UsageLimitError", limit: "five_hour", frames: 0 })
    assert.include(error?.message, "so nothing was asked")
    assert.strictEqual(api.requests.length, asked)
  }, 120_000)

  /** Used up until a while after the first question; what is asked later is answered. */
  const closedFor = async (seconds: number) => {
    const asked = { at: [] as Array<number>, resetsAt: Number.POSITIVE_INFINITY }
    const api = await Api.startMessagesApi((request) => {
      if (request.kind !== "main") return Api.text("title")
      if (asked.at.push(Date.now()) > 1) return Api.text("at last")
      asked.resetsAt = inSeconds(seconds)
      return Api.usageLimited({ resetsAt: asked.resetsAt })
    })
    return { ...api, asked }
  }

  it("is waited for, and the call is made again after the reset", async () => {
    await using place = await newPlace()
    await using home = await sandboxHome()
    await using api = await closedFor(4)
    const config = within(place.storagePath, api, home.path)
    const first = place.start(config)
    assert.strictEqual((await first.end()).text, "at last")
    assert.strictEqual(api.asked.at.length, 2)
    assert.isAtLeast(api.asked.at[1] ?? 0, api.asked.resetsAt * 1000)
  }, 120_000)

  it("lets a killed program's successor wait, and both ask once", async () => {
    await using place = await newPlace()
    await using home = await sandboxHome()
    await using api = await closedFor(8)
    const config = within(place.storagePath, api, home.path)
    const parked = place.start(config)
    await eventually("it is rejected", () => api.asked.at.length > 0, 60_000)
    await vi.waitUntil(place.remembered, { timeout: 30_000 })
    await parked.kill()
    const second = place.start(config)
    assert.strictEqual((await second.end()).text, "at last")
    assert.strictEqual(api.asked.at.length, 2)
    assert.isAtLeast(api.asked.at[1] ?? 0, api.asked.resetsAt * 1000)
  }, 120_000)
}, { concurrent: true })

describe.concurrent("a window that closes for a moment", () => {
  /** As the CLI was recorded, but for the time. */
  const rejects = (resetsAt: number) => [
    { init: {} },
    {
      emit: {
        type: "rate_limit_event",
        rate_limit_info: {
          status: "rejected",
          resetsAt: resetsAt / 1000,
          rateLimitType: "five_hour",
          overageStatus: "rejected",
          overageDisabledReason: "org_level_disabled",
          isUsingOverage: false
        }
      }
    },
    {
      error: {
        status: 429,
        type: "rate_limit_error",
        category: "rate_limit",
        apiError: "usage_limit_reached",
        message: "You've hit your 5-hour limit"
      }
    }
  ]

  it("starts no process before, for whoever knows, and all of them after", async () => {
    await using place = await newPlace()
    const { folder } = place
    const resetsAt = Date.now() + 10_000
    const counter = join(folder, "started")
    const config: ClientConfig = {
      cliPath: fakeClaude,
      storagePath: join(folder, "sessions.db"),
      usageLimit: { maxWait: 0 },
      env: { FAKE_CLAUDE_SCRIPT: JSON.stringify({ counter, runs: [[rejects(resetsAt)], {}] }) }
    }
    const started = async () => (await readdir(folder)).filter((name) => name.startsWith("started")).length
    const rejected = (error: unknown) => error instanceof UsageLimitError ? error.facts.frames : String(error)

    const first = createClient(config)
    assert.isAbove(Number(await first.querySimple("hi").catch(rejected)), 0)
    assert.strictEqual(await first.querySimple("hi").catch(rejected), 0)
    await first.close()
    assert.strictEqual(await started(), 1)

    const second = createClient(config)
    const patient = createClient({ ...config, usageLimit: { maxWait: "1 minute" } })
    try {
      assert.strictEqual(await second.querySimple("hi").catch(rejected), 0)
      const waiting = Promise.all(["1", "2", "3"].map((prompt) => patient.querySimple(prompt)))
      assert.strictEqual(await started(), 1)
      assert.isBelow(Date.now(), resetsAt, "the machine was too slow for this test")
      assert.deepStrictEqual(await waiting, ["echo: 1", "echo: 2", "echo: 3"])
      assert.isAtLeast(Date.now(), resetsAt)
      assert.strictEqual(await second.querySimple("4"), "echo: 4")
      assert.strictEqual(await started(), 5)
    } finally {
      await Promise.all([second.close(), patient.close()])
    }
  }, 60_000)
})

describe("what is known of windows", () => {
  it("does without the file where that cannot be opened, and says so on stderr alone", async () => {
    await using place = await newPlace()
    const client = createClient({ cliPath: fakeClaude, storagePath: place.folder })
    const stderr = vi.spyOn(console, "error").mockImplementation(() => {})
    try {
      assert.strictEqual(await client.querySimple("hi"), "echo: hi")
    } finally {
      await client.close()
    }
    const said = stderr.mock.calls.join("\n")
    stderr.mockRestore()
    assert.match(said, /level=WARN .*Usage limits of earlier are not known.*NotAFile/)
  }, 60_000)
})
