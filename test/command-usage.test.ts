import { SessionRepository } from "@ccflow/core/SessionRepository"
import { type UsageEntry, UsageLedger } from "@ccflow/core/UsageLedger"
import * as SqliteFile from "@ccflow/sql/SqliteFile"
import * as SqlSessionRepository from "@ccflow/sql/SqlSessionRepository"
import * as SqlUsageLedger from "@ccflow/sql/SqlUsageLedger"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { fake } from "./fixtures/lifecycle/processes.js"
import type { Line, Plan } from "./fixtures/usage/keeper.js"
import { fakeClaude } from "./support/bundle.js"
import { commandBundle } from "./support/commandBundle.js"
import { type Hosts, hosts } from "./support/hosts.js"
import { runScript } from "./support/programs.js"
import { noTerminal, Seat } from "./support/terminal.js"

const path = () => join(folder, "sessions.db")
const environment = (): Readonly<Record<string, string>> => ({
  PATH: process.env["PATH"] ?? "",
  HOME: folder,
  TZ: "Asia/Kolkata",
  CCFLOW_SESSION_STORAGE_PATH: path()
})

const ccflow = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  runScript(command, ["usage", ...args], { env: { ...environment(), ...env } })

interface Found {
  readonly storage: string
  readonly by: string
  readonly timeZone: string
  readonly since: number | null
  readonly until: number | null
  readonly total: { readonly costUsd: number; readonly entries: number }
  readonly groups: ReadonlyArray<{ readonly key: string; readonly costUsd: number; readonly entries: number }>
}
const found = async (...args: ReadonlyArray<string>): Promise<Found> => {
  const { code, stderr, stdout } = await ccflow(["--json", ...args])
  assert.deepStrictEqual([code, stderr], [0, ""])
  return JSON.parse(stdout) as Found
}
const groups = async (...args: ReadonlyArray<string>) =>
  (await found(...args)).groups.map(({ costUsd, key }) => [key, costUsd])

const entry = (entryId: string, at: number, fields: Partial<UsageEntry> = {}): UsageEntry => ({
  entryId,
  at,
  basis: "reported",
  model: "claude-sonnet-5-5",
  usage: {
    inputTokens: 1000,
    outputTokens: 20,
    cacheReadInputTokens: 5,
    cacheCreationInputTokens: 6,
    webSearchRequests: 0
  },
  costUsd: 0.5,
  listUsd: 0.25,
  sessionId: "11111111-1111-4111-8111-111111111111",
  callId: "c",
  turnId: undefined,
  batchId: undefined,
  tags: [],
  apiKeySource: "none",
  ...fields
})

/** 18:30 UTC is midnight in Kolkata. */
const day = Date.UTC(2026, 10, 20, 18, 30)
const minute = 60_000
const store = Effect.gen(function*() {
  const ledger = yield* UsageLedger
  const sessions = yield* SessionRepository
  yield* ledger.book([
    entry("a", day - 1),
    entry("b", day, { model: "claude-opus-4-9", costUsd: 2, tags: ["nightly\u001b[2J", "work"], batchId: "b-1" }),
    entry("c", day + minute, { basis: "estimated", costUsd: 0.0125, listUsd: undefined }),
    entry("d", day + 24 * 60 * minute, {
      costUsd: undefined,
      listUsd: undefined,
      usage: undefined,
      model: "",
      sessionId: ""
    })
  ])
  yield* sessions.save({
    sessionId: "11111111-1111-4111-8111-111111111111",
    status: "open",
    title: "",
    cwd: folder,
    tags: ["work"],
    createdAt: day,
    updatedAt: day,
    turnCount: 0,
    usage: { inputTokens: 0, outputTokens: 0, cacheReadInputTokens: 0, cacheCreationInputTokens: 0 },
    costUsd: 0,
    durationMs: 0,
    options: {}
  })
})
const layerOf = (path: string) =>
  Layer.provide(Layer.merge(SqlUsageLedger.layer, SqlSessionRepository.layer), SqliteFile.layer({ path }))

const command = await commandBundle()
let world: Hosts<Plan, Line>
let folder: string
beforeAll(async () => {
  world = await hosts<Plan, Line>("usage/keeper.ts")
  folder = await mkdtemp(join(tmpdir(), "ccflow-usage-"))
  await Effect.runPromise(Effect.provide(store, layerOf(path())))
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

describe("ccflow usage", () => {
  it("is a table of days with their total, what is estimated and what is unknown apart", async () => {
    const { code, stderr, stdout } = await ccflow([])
    assert.deepStrictEqual([code, stderr], [0, ""])
    assert.strictEqual(
      stdout,
      [
        "day           input   output  cache read  cache write     cost  estimated  unknown",
        "2026-11-20    1,000       20           5            6    $0.50",
        "2026-11-21    2,000       40          10           12    $2.01    $0.0125",
        "2026-11-22  unknown  unknown     unknown      unknown  unknown                 + 1",
        "total         3,000       60          15           18    $2.51    $0.0125      + 1",
        "",
        "$0.0125 of it is an estimate, of runs that were cut.",
        "The cost of 1 entry is unknown, and in no sum.",
        "The tokens of 1 entry are unknown, and in no sum.",
        "By the list of prices, what has one comes to $0.50.",
        ""
      ].join("\n")
    )
  })

  it("by model, session, tag and batch, with nothing that steers a terminal", async () => {
    const rows = async (by: string) => {
      const { stdout } = await ccflow(["--by", by])
      assert.notInclude(stdout, "\u001b")
      return stdout.split("\n").slice(1, 6).map((row) => row.split(/ {2,}/)[0])
    }
    assert.deepStrictEqual((await rows("model")).slice(0, 4), [
      "claude-opus-4-9",
      "claude-sonnet-5-5",
      "(model unknown)",
      "total"
    ])
    assert.deepStrictEqual((await rows("session")).slice(0, 3), [
      "11111111-1111-4111-8111-111111111111",
      "(no session)",
      "total"
    ])
    assert.deepStrictEqual((await rows("tag")).slice(0, 4), ["work", "nightly[2J", "(no tag)", "total"])
    assert.deepStrictEqual((await rows("batch")).slice(0, 3), ["(no batch)", "b-1", "total"])
    assert.include((await ccflow(["--by=tag"])).stdout, "What has several tags is in the line of each.\n")
  })

  it("gives it as one JSON object with --json", async () => {
    const { groups, total, ...rest } = await found("--by", "model", "--until", "2026-11-20")
    assert.deepStrictEqual(rest, {
      storage: path(),
      by: "model",
      timeZone: new Intl.DateTimeFormat("en", { timeZone: "Asia/Kolkata" }).resolvedOptions().timeZone,
      since: null,
      until: day
    })
    const sum = {
      inputTokens: 1000,
      outputTokens: 20,
      cacheReadInputTokens: 5,
      cacheCreationInputTokens: 6,
      webSearchRequests: 0,
      costUsd: 0.5,
      estimatedUsd: 0,
      listUsd: 0.25,
      unpriced: 0,
      uncounted: 0,
      entries: 1
    }
    assert.deepStrictEqual([groups, total] as unknown, [[{ key: "claude-sonnet-5-5", ...sum }], sum])
  })

  it("takes days of this machine's time zone, whole ones, and times ago", async () => {
    const days = async (...args: ReadonlyArray<string>) => (await groups(...args)).map(([key]) => key)
    assert.deepStrictEqual(await days("--since", "2026-11-21"), ["2026-11-21", "2026-11-22"])
    assert.deepStrictEqual(await days("--since=2026-11-21", "--until=2026-11-21"), ["2026-11-21"])
    assert.deepStrictEqual(await days("--until", "2026-11-21T00:00"), ["2026-11-20"])
    assert.deepStrictEqual(await days("--since", "2026-11-20T18:30:00Z", "--until", "2026-11-20T18:31:00Z"), [
      "2026-11-21"
    ])
    assert.deepStrictEqual(await days("--since", "9999w"), ["2026-11-20", "2026-11-21", "2026-11-22"])
    const recent = await found("--since", "24h")
    assert.closeTo(recent.since ?? 0, Date.now() - 24 * 60 * minute, minute)
  })

  it.each([
    [["--by", "colour"], "--by"],
    [["--since", "yesterday"], "--since"],
    [["--since", "2026-02-29"], "--since"],
    [["--until", "2026-13-01"], "--until"],
    [["--since", "2026-11-21", "--until", "2026-11-20"], "--until"],
    [["--storage", ""], "--storage"],
    [["--no-such"], "--no-such"],
    [["today"], "today"]
  ])("%j: says what is wrong, code 2", async (args, named) => {
    const { code, stderr, stdout } = await ccflow(args)
    assert.deepStrictEqual([code, stdout], [2, ""])
    assert.include(stderr, named)
  })

  it("without a store says what to set, code 1, and makes none", async () => {
    const empty = join(folder, "empty")
    await mkdir(empty)
    const nowhere = [
      await ccflow([], { CCFLOW_SESSION_STORAGE_PATH: "", HOME: empty, XDG_DATA_HOME: empty }),
      await ccflow([], { CCFLOW_SESSION_STORAGE_PATH: join(empty, "none.db") }),
      await ccflow(["--storage", join(empty, "none.db")])
    ]
    for (const { code, stderr, stdout } of nowhere) {
      assert.deepStrictEqual([code, stdout], [1, ""])
      assert.match(stderr, /^ccflow: SessionStoreError: .*--storage.*CCFLOW_SESSION_STORAGE_PATH.*\n$/)
    }
    assert.deepStrictEqual(await readdir(empty), [])
    await writeFile(join(folder, "text"), "This is no database.".repeat(100))
    const broken = await ccflow(["--storage", join(folder, "text")])
    assert.strictEqual(broken.code, 1)
    assert.match(broken.stderr, /^ccflow: SessionStoreError: .*Corrupt.*\n$/)
  })

  it.skipIf(noTerminal !== undefined)(
    `fits the terminal${noTerminal === undefined ? "" : ` (skipped: ${noTerminal})`}`,
    async () => {
      await using seat = new Seat([process.execPath, command, "usage", "--by", "session"], {
        env: environment(),
        columns: 84
      })
      assert.strictEqual(await seat.ended, 0)
      const rows = seat.screen.filter((row) => row !== "")
      assert.match(rows[0] ?? "", /^session .*unknown$/)
      assert.match(rows[1] ?? "", /^1111.*… .*\$2\.51/)
    }
  )
})

describe("what programs keep", () => {
  const client = (storagePath: string) => ({
    ...fake({ turns: [[{ init: {} }, { text: "hello" }, { result: {} }]] }),
    storagePath
  })

  it("is all there when several ask at once", { timeout: 120_000 }, async () => {
    const storage = join(folder, "shared.db")
    const all = [1, 2].map(() => world.start({ client: client(storage), times: 15 }))
    await Promise.all(all.map((host) => host.said("the sum", ({ totalCostUsd }) => totalCostUsd !== undefined)))
    const results = all.flatMap(({ lines }) => lines).filter(({ costUsd }) => costUsd !== undefined)
    assert.lengthOf(results, 30)
    const { total } = await found("--storage", storage)
    assert.strictEqual(total.entries, 30)
    assert.closeTo(total.costUsd, results.reduce((sum, { costUsd = 0 }) => sum + costUsd, 0), 1e-9)
    assert.isAbove(total.costUsd, 0)
  })

  it("has every result that was handed out, whenever the program is killed", { timeout: 120_000 }, async () => {
    for (const results of [1, 2, 5]) {
      const storage = join(folder, `killed-${results}.db`)
      const host = world.start({ client: client(storage), times: 1_000 })
      await host.said(`${results} results`, () => host.lines.length >= results)
      await host.kill()
      const told = new Set(host.lines.map(({ sessionId }) => sessionId))
      const kept = new Set((await groups("--storage", storage, "--by", "session")).map(([key]) => key))
      assert.isAtLeast(told.size, 1)
      assert.deepStrictEqual([...told].filter((id) => !kept.has(id ?? "")), [])
    }
  })
})

describe("what the commands themselves use", () => {
  const run = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>>, stdin = "") =>
    runScript(command, args, {
      stdin,
      env: {
        ...environment(),
        CCFLOW_CLI_PATH: fakeClaude,
        FAKE_CLAUDE_SCRIPT: JSON.stringify({ turns: [[{ init: {} }, { text: "hello" }, { result: {} }]] }),
        ...env
      }
    }).then(({ code, stderr }) => ({ code, stderr }))

  it("is booked in the file that the environment names", async () => {
    const storage = join(folder, "named.db")
    const env = { CCFLOW_SESSION_STORAGE_PATH: storage }
    assert.deepStrictEqual(await run(["hi"], env), { code: 0, stderr: "" })
    assert.deepStrictEqual(await run(["chat"], env, "one\n"), { code: 0, stderr: "" })
    assert.strictEqual((await run(["batch", "-"], env, "a\nb\n")).code, 0)
    assert.strictEqual((await found("--storage", storage)).total.entries, 4)
  })

  it("without one: of conversations and batches in this user's data folder, and a single prompt makes no file", async () => {
    const home = join(folder, "home")
    await mkdir(home)
    const env = { CCFLOW_SESSION_STORAGE_PATH: "", HOME: home, XDG_DATA_HOME: home }
    assert.deepStrictEqual(await run(["hi"], env), { code: 0, stderr: "" })
    assert.deepStrictEqual(await readdir(home), [])
    assert.deepStrictEqual(await run(["chat"], env, "one\n"), { code: 0, stderr: "" })
    assert.strictEqual((await run(["batch", "-"], env, "a\nb\n")).code, 0)
    assert.strictEqual((await found("--storage", join(home, "ccflow", "sessions.db"))).total.entries, 3)
  })
})
