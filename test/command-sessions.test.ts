import type { SessionRecord, TurnRecord } from "@ccflow/core/SessionRecord"
import { SessionRepository } from "@ccflow/core/SessionRepository"
import * as SqliteSessionRepository from "@ccflow/sql/SqliteSessionRepository"
import * as Effect from "effect/Effect"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { fakeClaude } from "./support/bundle.js"
import { commandBundle } from "./support/commandBundle.js"
import { runScript } from "./support/programs.js"
import { noTerminal, Seat } from "./support/terminal.js"

const path = () => join(folder, "sessions.db")
const environment = (): Readonly<Record<string, string>> => ({
  PATH: process.env["PATH"] ?? "",
  HOME: folder,
  TZ: "UTC",
  CCFLOW_CLI_PATH: fakeClaude,
  CCFLOW_SESSION_STORAGE_PATH: path(),
  FAKE_CLAUDE_SCRIPT: JSON.stringify({ memory: join(folder, "memory") })
})

const ccflow = (args: ReadonlyArray<string>, { env = {}, stdin = "" } = {}) =>
  runScript(command, args, { env: { ...environment(), ...env }, stdin })

const at = Date.UTC(2026, 10, 20, 12, 30)
const nothing = { inputTokens: 0, outputTokens: 0, cacheReadInputTokens: 0, cacheCreationInputTokens: 0 }
const record = (sessionId: string, fields: Partial<SessionRecord> = {}): SessionRecord => ({
  sessionId,
  status: "open",
  title: `about ${sessionId}`,
  cwd: folder,
  tags: [],
  createdAt: at,
  updatedAt: at,
  turnCount: 0,
  usage: nothing,
  costUsd: 0,
  durationMs: 0,
  options: {},
  ...fields
})

const turnId = "00000000-0000-4000-8000-000000000001"
const store = Effect.gen(function*() {
  const repository = yield* SessionRepository
  yield* repository.save(
    record("aaaa1111", { title: "世界 and\u001b[2J the rest of it", model: "opus", tags: ["work"] })
  )
  yield* repository.save(record("aaaa2222", { status: "closed", updatedAt: at - 60_000, tags: ["home", "old"] }))
  yield* repository.save(record("bbbb3333", { updatedAt: at - 10 * 24 * 3_600_000, model: "sonnet" }))
  yield* repository.beginTurn({ turnId, sessionId: "aaaa2222", prompt: "Why?\nSay it.", holder: "nobody@nowhere#0" })
  yield* repository.endTurn(turnId, {
    status: "completed",
    result: "Because\u001b[2J.",
    usage: { ...nothing, inputTokens: 1234, outputTokens: 5 },
    costUsd: 0.0125,
    numTurns: 1
  })
  yield* repository.appendMessages(turnId, [{ _tag: "Text", content: "Because." }])
})

const command = await commandBundle()
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ccflow-sessions-"))
  await Effect.runPromise(Effect.provide(store, SqliteSessionRepository.layer({ path: path() })))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

interface Whole {
  readonly session: SessionRecord
  readonly turns: ReadonlyArray<TurnRecord & { readonly messages?: ReadonlyArray<unknown> }>
}
const whole = (stdout: string): Whole => JSON.parse(stdout) as Whole

const idsOf = (stdout: string) =>
  stdout.split("\n").filter((line) => line !== "").map((line) =>
    (JSON.parse(line) as { readonly sessionId: string }).sessionId
  )
const listed = async (...args: ReadonlyArray<string>) =>
  idsOf((await ccflow(["sessions", "list", "--json", ...args])).stdout)

describe("ccflow sessions list", () => {
  it("is a table of those that are kept, the last used first, with nothing that steers a terminal", async () => {
    const { code, stderr, stdout } = await ccflow(["sessions", "list"])
    const rows = stdout.trimEnd().split("\n")
    assert.deepStrictEqual([code, stderr, rows.length], [0, "", 4])
    assert.match(rows[0] ?? "", /^id +last used +status +turns +cost +model +title +tags$/)
    assert.match(
      rows[1] ?? "",
      /^aaaa2222  20\d\d-\d\d-\d\d \d\d:\d\d +closed +1 +\$0\.0125 +about aaaa2222 +home, old$/
    )
    assert.match(
      rows[2] ?? "",
      /^aaaa1111  2026-11-20 12:30 +open +0 +\$0\.00 +opus +世界 and\[2J the rest of it +work$/
    )
    assert.match(rows[3] ?? "", /^bbbb3333 /)
  })

  it("finds by state, model, tag, time and text, and at most so many", async () => {
    assert.deepStrictEqual(await listed("--status", "closed"), ["aaaa2222"])
    assert.deepStrictEqual(await listed("--model=opus"), ["aaaa1111"])
    assert.deepStrictEqual(await listed("--tag", "work", "--tag", "old"), ["aaaa2222", "aaaa1111"])
    assert.deepStrictEqual(await listed("--since", "2026-11-12"), ["aaaa2222", "aaaa1111"])
    assert.deepStrictEqual(await listed("--search", "SAY IT"), ["aaaa2222"])
    assert.deepStrictEqual(await listed("--limit", "1"), ["aaaa2222"])
    assert.deepStrictEqual(await listed("--search", "nothing like it"), [])
  })

  it.each([
    [["--since", "yesterday"], "--since"],
    [["--limit", "0"], "--limit"],
    [["--status", "lost"], "expired"],
    [["--no-such"], "--no-such"]
  ])("%j: says what is wrong, code 2", async (args, named) => {
    const { code, stderr, stdout } = await ccflow(["sessions", "list", ...args])
    assert.deepStrictEqual([code, stdout], [2, ""])
    assert.include(stderr, named)
  })

  it.skipIf(noTerminal !== undefined)(
    `fits the terminal, and wide characters take two cells${
      noTerminal === undefined ? "" : ` (skipped: ${noTerminal})`
    }`,
    async () => {
      await using seat = new Seat([process.execPath, command, "sessions", "list"], {
        env: environment(),
        columns: 74
      })
      assert.strictEqual(await seat.ended, 0)
      const rows = seat.screen.filter((row) => row !== "")
      assert.lengthOf(rows, 4)
      const tags = rows[0]?.indexOf("tags") ?? 0
      assert.isAbove(tags, 0)
      // Its two wide characters stand in two cells each.
      assert.strictEqual(rows[2]?.indexOf("work"), tags - 2)
      assert.include(rows[2], "…")
    }
  )
})

describe("ccflow sessions show", () => {
  it("tells of a session and its turns, by the beginning of its id", async () => {
    const { code, stdout } = await ccflow(["sessions", "show", "aaaa2"])
    assert.strictEqual(code, 0)
    assert.include(stdout, "id        aaaa2222\n")
    assert.include(stdout, "tokens    1,234 in, 5 out\n")
    assert.match(stdout, / 1 .* completed .*\$0\.0125  Why\? Say it\.  Because\[2J\.\n$/)
  })

  it("gives it all as one JSON object with --json", async () => {
    const { stdout } = await ccflow(["sessions", "show", "--json", "aaaa2222"])
    const { session, turns } = whole(stdout)
    assert.strictEqual(session.sessionId, "aaaa2222")
    assert.deepStrictEqual(turns.map(({ prompt, result }) => [prompt, result]), [[
      "Why?\nSay it.",
      "Because\u001b[2J."
    ]])
  })

  it("an id that is unknown: code 1; one that several begin with: code 2; each with what to do, on one line", async () => {
    const unknown = await ccflow(["sessions", "show", "cccc"])
    assert.deepStrictEqual([unknown.code, unknown.stdout], [1, ""])
    assert.match(unknown.stderr, /^ccflow: SessionNotFoundError: .*"cccc".* ccflow sessions list .*\n$/)
    const several = await ccflow(["sessions", "show", "aaaa"])
    assert.deepStrictEqual([several.code, several.stdout], [2, ""])
    assert.match(several.stderr, /^ccflow: InvalidOptionsError: .*several.*\n$/)
  })
})

describe("ccflow sessions export", () => {
  it("gives everything that is kept as JSON, messages included", async () => {
    const { stdout } = await ccflow(["sessions", "export", "aaaa2"])
    const { session, turns } = whole(stdout)
    assert.strictEqual(session.sessionId, "aaaa2222")
    assert.deepStrictEqual(turns[0]?.messages, [{ _tag: "Text", content: "Because." }])
  })

  it("gives a text to be read as Markdown", async () => {
    const { stdout } = await ccflow(["sessions", "export", "aaaa2", "--format", "md"])
    assert.match(stdout, /^# about aaaa2222\n\n- id: aaaa2222\n/)
    assert.match(stdout, /\n\n## 1\. 20\d\d.*\n\n> Why\?\n> Say it\.\n\nBecause\[2J\.\n$/)
  })
})

describe("ccflow sessions resume", () => {
  it("with a prompt is one more turn of the conversation, which remembers, and it is on record", async () => {
    await ccflow(["chat"], { stdin: "first\n" })
    const [id = ""] = await listed("--search", "first")
    const script = JSON.stringify({
      memory: join(folder, "memory"),
      match: [{ prompt: "how many", steps: [{ init: {} }, { text: "$MEMORY before" }, { result: {} }] }]
    })
    const ended = await ccflow(["sessions", "resume", id, "how", "many"], { env: { FAKE_CLAUDE_SCRIPT: script } })
    assert.deepStrictEqual(ended, { code: 0, stdout: "1 before\n", stderr: "" })
    const shown = whole((await ccflow(["sessions", "show", "--json", id])).stdout)
    assert.deepStrictEqual(shown.turns.map(({ result }) => result), ["echo: first", "1 before"])
  })

  it("without one each line of a pipe is a turn", async () => {
    await ccflow(["chat"], { stdin: "other\n" })
    const [id = ""] = await listed("--search", "other")
    assert.strictEqual((await ccflow(["sessions", "resume", id], { stdin: "a\nb\n" })).stdout, "echo: a\necho: b\n")
  })

  it("an unknown id: code 1, and no CLI is started", async () => {
    const ended = await ccflow(["sessions", "resume", "cccc", "hi"], { env: { CCFLOW_CLI_PATH: join(folder, "none") } })
    assert.strictEqual(ended.code, 1)
    assert.include(ended.stderr, "SessionNotFoundError")
  })
})

describe("ccflow sessions delete", () => {
  it("asks, and where nobody can be asked deletes nothing without --yes", async () => {
    const ended = await ccflow(["sessions", "delete", "bbbb"])
    assert.strictEqual(ended.code, 2)
    assert.include(ended.stderr, "--yes")
    assert.include(await listed(), "bbbb3333")
  })

  it.skipIf(noTerminal !== undefined)(
    `deletes what a person at the terminal says yes to${noTerminal === undefined ? "" : ` (skipped: ${noTerminal})`}`,
    async () => {
      for (const answer of ["n", "y"]) {
        await using seat = new Seat([process.execPath, command, "sessions", "delete", "bbbb"], {
          env: environment()
        })
        await seat.until("[y/N]")
        assert.include(await listed(), "bbbb3333")
        seat.type(`${answer}\r`)
        assert.strictEqual(await seat.ended, 0)
        assert.isTrue(seat.screen.some((row) => row.endsWith(`[y/N] ${answer}`)))
      }
      assert.notInclude(await listed(), "bbbb3333")
    }
  )

  it.skipIf(noTerminal !== undefined)(
    `is left by Ctrl-C, code 130, and nothing is deleted${noTerminal === undefined ? "" : ` (skipped: ${noTerminal})`}`,
    async () => {
      await using seat = new Seat([process.execPath, command, "sessions", "delete", "aaaa2"], {
        env: environment()
      })
      await seat.until("(1 turn)? [y/N]")
      seat.type("\u0003")
      assert.strictEqual(await seat.ended, 130)
      assert.include(await listed(), "aaaa2222")
    }
  )

  it("deletes at once with --yes", async () => {
    await ccflow(["chat"], { stdin: "to be forgotten\n" })
    const [id = ""] = await listed("--search", "to be forgotten")
    assert.deepStrictEqual(await ccflow(["sessions", "delete", id, "--yes"]), { code: 0, stdout: "", stderr: "" })
    assert.deepStrictEqual(await listed("--search", "to be forgotten"), [])
  })
})

describe("ccflow sessions", () => {
  it("without a store that can be opened says why and what to do, code 1", async () => {
    await writeFile(join(folder, "file"), "")
    const ended = await ccflow(["sessions", "list"], {
      env: { CCFLOW_SESSION_STORAGE_PATH: join(folder, "file", "sessions.db") }
    })
    assert.deepStrictEqual([ended.code, ended.stdout], [1, ""])
    assert.match(ended.stderr, /^ccflow: SessionStoreError: .*NotAFile.*\n$/)
  })

  it("alone says what there is", async () => {
    const { code, stdout } = await ccflow(["sessions"])
    assert.strictEqual(code, 0)
    for (const name of ["list", "show", "resume", "delete", "export"]) assert.include(stdout, `- ${name} `)
  })

  it("an unknown word: says so, code 2", async () => {
    const { code, stderr } = await ccflow(["sessions", "lost"])
    assert.strictEqual(code, 2)
    assert.include(stderr, "lost")
  })
})
