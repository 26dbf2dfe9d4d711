import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import { lives } from "./fixtures/lifecycle/processes.js"
import { fakeClaude } from "./support/bundle.js"
import { commandBundle } from "./support/commandBundle.js"
import { runScript } from "./support/programs.js"
import { noTerminal, Seat, type TerminalOptions } from "./support/terminal.js"

const command = await commandBundle()

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ccflow-chat-"))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const environment = (script: unknown): Readonly<Record<string, string>> => ({
  PATH: process.env["PATH"] ?? "",
  HOME: folder,
  CCFLOW_CLI_PATH: fakeClaude,
  CCFLOW_SESSION_STORAGE_PATH: join(folder, "sessions.db"),
  ...(script === undefined ? {} : { FAKE_CLAUDE_SCRIPT: JSON.stringify(script) })
})

/** `ccflow …` at a terminal. */
const sit = (args: ReadonlyArray<string>, script?: unknown, options: TerminalOptions = {}) =>
  new Seat([process.execPath, command, ...args], {
    ...options,
    env: { ...environment(script), ...options.env }
  })

/** `ccflow …` in a pipe. */
const pipe = (args: ReadonlyArray<string>, stdin: string, script?: unknown, env = {}) =>
  runScript(command, args, { env: { ...environment(script), ...env }, stdin })

const ctrl = { c: "\u0003", d: "\u0004" }
const when = (prompt: string, ...steps: ReadonlyArray<unknown>) => ({
  prompt,
  steps: [{ init: {} }, ...steps]
})
const pid = () => ({ writeFile: { path: join(folder, "pid-$PID"), content: "$PID" } })

/** The CLI processes that have signed are gone. */
const nobodyLeft = async (atLeast = 1) => {
  const pids = (await readdir(folder)).flatMap((name) => /^pid-(\d+)$/.exec(name)?.[1] ?? []).map(Number)
  assert.isAtLeast(pids.length, atLeast)
  assert.deepStrictEqual(pids.filter(lives), [])
}

describe("ccflow chat in a pipe", () => {
  it("each line is a turn of one conversation; the answers alone are on stdout; code 0", async () => {
    const script = {
      start: [pid()],
      memory: join(folder, "memory"),
      match: [when("how many", { text: "$MEMORY" }, { result: {} })]
    }
    const ended = await pipe(["chat"], "one\n\ntwo\nhow many", script)
    assert.deepStrictEqual(ended, { code: 0, stdout: "echo: one\necho: two\n2\n", stderr: "" })
    await nobodyLeft()
  })

  it("a turn that fails ends it: the error on stderr, code 1, and nothing more is asked", async () => {
    const error = { error: { status: 400, type: "invalid_request_error", message: "no such thing" } }
    const ended = await pipe(["chat"], "one\nbad\nthree\n", { match: [when("bad", error)] })
    assert.strictEqual(ended.code, 1)
    assert.notInclude(ended.stdout, "three")
    assert.include(ended.stderr, "ccflow: ApiError: ")
  })

  it("prints every message as one line of JSON with --json", async () => {
    const { stdout } = await pipe(["chat", "--json"], "one\ntwo\n")
    const results = stdout.trimEnd().split("\n").map((line): { readonly _tag: string; readonly result?: string } =>
      JSON.parse(line)
    ).filter(({ _tag }) => _tag === "Result")
    assert.deepStrictEqual(results.map(({ result }) => result), ["echo: one", "echo: two"])
  })

  it("says once that a conversation is not kept, and goes on", async () => {
    await writeFile(join(folder, "file"), "")
    const ended = await pipe(["chat"], "one\ntwo\n", undefined, {
      CCFLOW_SESSION_STORAGE_PATH: join(folder, "file", "sessions.db")
    })
    assert.strictEqual(ended.stdout, "echo: one\necho: two\n")
    assert.strictEqual(ended.code, 0)
    assert.match(ended.stderr, /^This conversation is not kept: .*\n$/)
  })

  it("goes on with a kept conversation by the beginning of its id, with its model", async () => {
    const memory = join(folder, "memory")
    await pipe(["chat", "-m", "opus"], "one\n", { memory })
    const [record = ""] = (await pipe(["sessions", "list", "--json"], "")).stdout.split("\n")
    const { sessionId } = JSON.parse(record) as { readonly sessionId: string }
    const seen = join(folder, "argv.json")
    const script = {
      memory,
      start: [{ readEnv: [], to: seen }],
      match: [when("how many", { text: "$MEMORY" }, { result: {} })]
    }
    const ended = await pipe(["chat", "--resume", sessionId.slice(0, 6)], "how many", script)
    assert.deepStrictEqual(ended, { code: 0, stdout: "1\n", stderr: "" })
    const { argv } = JSON.parse(await readFile(seen, "utf8")) as { readonly argv: ReadonlyArray<string> }
    assert.includeMembers([...argv], [`--resume=${sessionId}`, "--model=opus"])
  })

  it("an unknown conversation: says so, code 1", async () => {
    const ended = await pipe(["chat", "--resume", "nobody"], "one\n", { unknownSessions: true })
    assert.strictEqual(ended.code, 1)
    assert.include(ended.stderr, "SessionNotFoundError")
  })

  it("an unknown option: says so, code 2", async () => {
    const ended = await pipe(["chat", "--no-such"], "one\n")
    assert.strictEqual(ended.code, 2)
    assert.include(ended.stderr, "--no-such")
  })
})

describe.skipIf(noTerminal !== undefined)(
  `ccflow chat at a terminal${noTerminal === undefined ? "" : ` (skipped: ${noTerminal})`}`,
  () => {
    it("answers as the words come, takes the next turn, and leaves by Ctrl-D with no process behind", async () => {
      await using seat = sit(["chat"], { start: [pid()] })
      await seat.until("/help says")
      seat.type("hello\r")
      await seat.answered("echo: hello")
      seat.type("世界 👩‍👩‍👧 ok\r")
      await seat.untilRow("echo: 世界 👩‍👩‍👧 ok")
      seat.type(ctrl.d)
      assert.strictEqual(await seat.ended, 0)
      assert.isTrue(seat.screen.some((row) => row.startsWith("To go on with it: ccflow chat --resume ")))
      // The shell has its terminal back.
      assert.isTrue(seat.written.endsWith("\u001b[?2004l"))
      await nobodyLeft()
    })

    it("Ctrl-C interrupts a turn; what was said stays, and the next turn is answered", async () => {
      const slow = when("slow", { text: "one two three four five six", deltas: 6, deltaDelay: 400 }, { result: {} })
      await using seat = sit(["chat"], { match: [slow] })
      await seat.until("/help says")
      seat.type("slow\r")
      await seat.until("one")
      seat.type(ctrl.c)
      await seat.answered("Interrupted.")
      assert.isFalse(seat.screen.some((row) => row.includes("six")))
      seat.type("next\r")
      await seat.untilRow("echo: next")
    })

    it("a line that the running turn no longer takes is asked after it", async () => {
      const slow = when("slow", { text: "one two three", deltas: 3, deltaDelay: 2000 }, { result: {} })
      await using seat = sit(["chat"], { match: [slow], onControl: { interrupt: [{ delay: 1000 }] } })
      await seat.until("/help says")
      seat.type("slow\r")
      await seat.until("one")
      seat.type(`${ctrl.c}second\r`)
      await seat.until("later")
      await seat.until("Interrupted.")
      await seat.untilRow("echo: second")
    })

    it("Ctrl-C at an empty line says how to leave, and leaves when it is pressed again", async () => {
      await using seat = sit(["chat"])
      await seat.until("/help says")
      seat.type("not sent")
      await seat.untilRow("> not sent")
      seat.type(ctrl.c)
      await seat.untilRow(">")
      seat.type(ctrl.c)
      await seat.until("again to leave")
      seat.type(ctrl.c)
      assert.strictEqual(await seat.ended, 0)
      assert.notInclude(seat.screen.join("\n"), "not sent")
    })

    it("a line that is sent while a tool runs goes into the running turn", async () => {
      const tool = { tool: { name: "Bash", input: { command: "make" }, ms: 1500, result: "made" } }
      await using seat = sit(["chat"], { match: [when("build", tool, { text: "built" }, { result: {} })] })
      await seat.until("/help says")
      seat.type("build\r")
      await seat.untilRow("> Bash make")
      seat.type("and test it\r")
      await seat.untilRow("  told")
      await seat.answered("built")
      seat.type("/cost\r")
      await seat.until("1 turn,")
    })

    it("what comes while a line is written waits for it, and is not lost", async () => {
      const slow = when("slow", { text: "one two three four five six", deltas: 6, deltaDelay: 600 }, { result: {} })
      await using seat = sit(["chat"], { match: [slow] })
      await seat.until("/help says")
      seat.type("slow\r")
      await seat.until("one")
      seat.type("wri")
      await seat.untilRow("> wri")
      await sleep(1500)
      assert.strictEqual(seat.screen.at(-1), "> wri")
      assert.notInclude(seat.written, "three")
      seat.type("\u007F\u007F\u007F")
      await seat.until("three")
      await seat.until("six")
      await seat.untilRow(">")
      const text = seat.screen.join("")
      for (const word of ["one", "two", "three", "four", "five", "six"]) assert.include(text, word)
    })

    it("asks before a tool is used, shows nothing of it that could steer the terminal, and tells the answer", async () => {
      const asks = (prompt: string) =>
        when(prompt, { askPermission: { tool: "Bash", input: { command: "rm x\u001b[2J\u202Ey" } } }, {
          text: `after ${prompt}`
        }, { result: {} })
      await using seat = sit(["chat"], { match: [asks("first"), asks("second")] })
      await seat.until("/help says")
      seat.type("first\r")
      await seat.until("Allow?")
      assert.include(seat.written, "rm x\\u{1b}[2J\\u{202e}y")
      await sleep(300)
      seat.type("y")
      await seat.answered("after first")
      seat.type("second\r")
      await seat.until("Allow?")
      await sleep(300)
      seat.type("n")
      await seat.untilRow("after second")
      assert.include(seat.screen.join("\n"), "The user said no.")
      assert.notInclude(seat.written, "\u001b[2J")
      assert.notInclude(seat.written, "\u202E")
    })

    it("a letter of a line that is being written never answers a question", async () => {
      const asks = when("go", { delay: 700 }, { askPermission: { tool: "Bash", input: { command: "rm x" } } }, {
        text: "done"
      }, { result: {} })
      await using seat = sit(["chat"], { match: [asks] })
      await seat.until("/help says")
      seat.type("go\r")
      await seat.until("> go")
      seat.type("m")
      await sleep(1200)
      assert.notInclude(seat.written, "Allow?")
      seat.type("y")
      await sleep(300)
      assert.notInclude(seat.written, "done")
      seat.type("\u007F\u007F")
      await seat.until("Allow?")
      await sleep(300)
      seat.type("y")
      await seat.untilRow("done")
    })

    it("a branch goes on apart; the other one is named", async () => {
      await using seat = sit(["chat"], { memory: join(folder, "memory") })
      await seat.until("/help says")
      seat.type("one\r")
      await seat.answered("echo: one")
      seat.type("/fork\r")
      await seat.until("The other one: ccflow chat --resume ")
      seat.type("two\r")
      await seat.untilRow("echo: two")
      seat.type(ctrl.d)
      assert.strictEqual(await seat.ended, 0)
      const { stdout } = await pipe(["sessions", "list", "--json"], "")
      const records = stdout.trimEnd().split("\n").map((line): Record<string, unknown> => JSON.parse(line))
      assert.lengthOf(records, 2)
      const branch = records.find((record) => record["parentId"] !== undefined)
      assert.strictEqual(branch?.["parentId"], records.find((record) => record !== branch)?.["sessionId"])
    })

    it("another model, what fills the context, what it cost, and what there is", async () => {
      await using seat = sit(["chat"])
      await seat.until("/help says")
      seat.type("/model sonnet\r")
      await seat.answered("From now on: sonnet")
      seat.type("/context\r")
      await seat.until("tokens, ")
      seat.type("/help\r")
      await seat.until("Other commands that begin with a slash go to Claude Code.")
      seat.type("/unknown-here\r")
      await seat.untilRow("echo: /unknown-here")
      seat.type("/exit\r")
      assert.strictEqual(await seat.ended, 0)
    })

    it("pasted lines are one message, and earlier ones come back by the arrow keys, also in the next conversation", async () => {
      {
        await using seat = sit(["chat"])
        await seat.until("/help says")
        seat.type("\u001b[200~first line\rsecond\u001b[2J line\u001b[201~")
        await seat.untilRow("  second[2J line")
        seat.type("\r")
        await seat.untilRow("echo: first line")
        await seat.untilRow("second[2J line")
        assert.notInclude(seat.written, "\u001b[2J")
        seat.type(ctrl.d)
        assert.strictEqual(await seat.ended, 0)
      }
      const history = join(folder, "sessions.history")
      assert.strictEqual((await stat(history)).mode & 0o777, 0o600)
      await using seat = sit(["chat"])
      await seat.until("/help says")
      seat.type("\u001b[A")
      await seat.untilRow("> first line")
      seat.type("\u001b[H\u001b[A\u001b[Bx\u001b[F!\r")
      await seat.until("echo: ")
    })

    it("an answer that is taken back is said to be void, and the right one comes after it", async () => {
      const event = (event: unknown) => ({
        emit: { type: "stream_event", session_id: "$SESSION", uuid: "$UUID", parent_tool_use_id: null, event }
      })
      const begins = (id: string) =>
        event({ type: "message_start", message: { id, model: "claude-fake", content: [], usage: {} } })
      const says = (text: string) =>
        event({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } })
      const steps = [begins("m1"), says("Wrong answ"), begins("m2"), says("Right."), { text: "Right." }, { result: {} }]
      await using seat = sit(["chat"], { match: [when("go", ...steps)] })
      await seat.until("/help says")
      seat.type("go\r")
      await seat.untilRow("Right.")
      const rows = seat.screen
      const told = rows.findIndex((row) => row.startsWith("The connection was cut"))
      assert.isTrue(rows.indexOf("Wrong answ") < told && told < rows.indexOf("Right."))
    })

    it("honours NO_COLOR", async () => {
      await using seat = sit(["chat"], undefined, { env: { NO_COLOR: "1" } })
      await seat.until("/help says")
      seat.type("hi\r")
      await seat.untilRow("echo: hi")

      assert.notMatch(seat.written, /\u001b\[[\d;]*m/)
    })

    it("without a CLI it says so at once, code 1", async () => {
      await using seat = sit(["chat"], undefined, { env: { CCFLOW_CLI_PATH: join(folder, "none") } })
      await seat.until("CliNotFoundError")
      assert.strictEqual(await seat.ended, 1)
    })

    it("a turn that fails is told, and the conversation goes on", async () => {
      const error = { error: { status: 400, type: "invalid_request_error", message: "no such thing" } }
      await using seat = sit(["chat"], { match: [when("bad", error)] })
      await seat.until("/help says")
      seat.type("bad\r")
      await seat.until("ApiError:")
      await seat.untilRow(">")
      seat.type("good\r")
      await seat.untilRow("echo: good")
    })

    for (
      const [how, end, code] of [["the window is closed", "hangUp", 129], [
        "it is terminated",
        "terminate",
        130
      ]] as const
    ) {
      it(`leaves no process when ${how} in mid-turn, and the record says that the turn was interrupted`, async () => {
        const slow = when("slow", pid(), { text: "begun" }, { sleepForever: true })
        await using seat = sit(["chat"], { match: [slow] })
        await seat.until("/help says")
        seat.type("slow\r")
        await seat.untilRow("begun")
        seat[end]()
        assert.strictEqual(await seat.ended, code)
        await nobodyLeft()
        const { stdout } = await pipe(["sessions", "list", "--json"], "")
        const { sessionId } = JSON.parse(stdout) as { readonly sessionId: string }
        const shown = JSON.parse((await pipe(["sessions", "show", sessionId, "--json"], "")).stdout) as {
          readonly turns: ReadonlyArray<{ readonly status: string; readonly seen: string }>
        }
        assert.deepStrictEqual(shown.turns.map(({ status }) => status), ["interrupted"])
      })
    }
  }
)
