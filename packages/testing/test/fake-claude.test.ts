import { type ChildProcess, spawn } from "node:child_process"
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, afterEach, describe, expect, it } from "vitest"

const fake = fileURLToPath(new URL("../bin/fake-claude.mjs", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "fake-claude-"))
const STREAM = ["-p", "--input-format=stream-json", "--output-format=stream-json", "--verbose"]
const PARTIAL = [...STREAM, "--include-partial-messages"]

type Frame = Readonly<Record<string, unknown>>
interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: Buffer
  readonly stderr: string
  readonly frames: ReadonlyArray<Frame>
}

const children = new Set<ChildProcess>()
const strays = new Set<number>()
afterEach(() => {
  for (const child of children) child.kill("SIGKILL")
  for (const pid of strays) if (isAlive(pid)) process.kill(pid, "SIGKILL")
  children.clear()
  strays.clear()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let names = 0
const newPath = () => join(folder, `file-${names++}`)
const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
const sleep = (ms: number) => new Promise((done) => setTimeout(done, ms))
const until = async (holds: () => boolean) => {
  while (!holds()) await sleep(2)
}
/** The lines of the text that are JSON; a test that cares about every byte looks at `stdout`. */
const parse = (text: string): ReadonlyArray<Frame> =>
  text.split("\n").flatMap((line) => {
    try {
      return [JSON.parse(line) as Frame]
    } catch {
      return []
    }
  })
/** The value at a dotted path. */
const at = (value: unknown, path: string): unknown =>
  path.split(".").reduce<unknown>((inner, key) => (inner as Frame | null | undefined)?.[key], value)
const kind = (frame: Frame) =>
  [frame["type"], frame["subtype"] ?? frame["state"] ?? at(frame, "event.type")].filter((part) => part !== undefined)
    .join("/")
const kinds = (frames: ReadonlyArray<Frame>) => frames.map(kind)
const only = (frames: ReadonlyArray<Frame>, type: string) => frames.filter((frame) => frame["type"] === type)
const user = (content: unknown, uuid?: string) => ({ type: "user", message: { role: "user", content }, uuid })
const control = (id: string, request: Frame) => ({ type: "control_request", request_id: id, request })
const reply = (frames: ReadonlyArray<Frame>, id: string) =>
  at(only(frames, "control_response").find((frame) => at(frame, "response.request_id") === id), "response")

interface Options {
  readonly script?: unknown
  readonly args?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  readonly readStdout?: boolean
}

/** Starts the process; `take` gives the next frame that fits, in order. */
const start = ({ args = STREAM, env = {}, readStdout = true, script }: Options = {}) => {
  const source = script === undefined || typeof script === "string" ? script : JSON.stringify(script)
  const child = spawn(fake, args, {
    stdio: "pipe",
    env: { PATH: process.env["PATH"], ...(source !== undefined && { FAKE_CLAUDE_SCRIPT: source }), ...env }
  })
  children.add(child)
  const chunks: Array<Buffer> = []
  let stderr = ""
  let taken = 0
  const writeErrors: Array<string> = []
  if (readStdout) child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk))
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => stderr += chunk)
  child.stdin.on("error", (error: NodeJS.ErrnoException) => writeErrors.push(String(error.code)))
  const text = () => Buffer.concat(chunks).toString()
  const complete = () => parse(text().slice(0, text().lastIndexOf("\n") + 1))
  const closed = new Promise<Ending>((done) =>
    child.on("close", (code, signal) => {
      children.delete(child)
      const stdout = Buffer.concat(chunks)
      done({ code, signal, stdout, stderr, frames: [] })
    })
  )
  return {
    child,
    writeErrors,
    text,
    stderr: () => stderr,
    exited: new Promise<number | null>((done) => child.on("exit", done)),
    send: (...frames: ReadonlyArray<unknown>) =>
      child.stdin.write(
        frames.map((frame) => `${typeof frame === "string" ? frame : JSON.stringify(frame)}\n`).join("")
      ),
    take: async (name: string): Promise<Frame> => {
      for (;;) {
        const frames = complete()
        const index = frames.findIndex((frame, position) => position >= taken && kind(frame) === name)
        if (index >= 0) {
          taken = index + 1
          return frames[index]!
        }
        await sleep(2)
      }
    },
    end: async (): Promise<Ending> => {
      child.stdin.end()
      const ending = await closed
      return { ...ending, frames: parse(text()) }
    },
    closed
  }
}

/** Runs it to its end with these lines on stdin. */
const run = (options: Options, ...lines: ReadonlyArray<unknown>): Promise<Ending> => {
  const process = start(options)
  if (lines.length > 0) process.send(...lines)
  return process.end()
}
const turn = (steps: ReadonlyArray<unknown>, more: Options = {}) => run({ script: [steps], ...more }, user("hi"))

describe("the well-behaved default", () => {
  it("is an executable file", () => {
    expect(() => accessSync(fake, constants.X_OK)).not.toThrow()
  })

  it("says nothing before its first line and exits 0 at EOF", async () => {
    expect(await run({})).toMatchObject({ code: 0, signal: null, stderr: "", frames: [] })
  })

  it("answers a prompt with init, assistant and result", async () => {
    const { code, frames } = await run({ args: [...STREAM, "--model=haiku"] }, user("hello"))
    expect(code).toBe(0)
    expect(kinds(frames)).toEqual(["system/init", "assistant", "result/success"])
    expect(frames[0]).toMatchObject({ model: "claude-haiku-5-5", permissionMode: "default", cwd: process.cwd() })
    expect(at(frames[1], "message.content")).toEqual([{ type: "text", text: "echo: hello" }])
    expect(frames[2]).toMatchObject({ result: "echo: hello", is_error: false, num_turns: 1, result_index: 0 })
    expect(new Set(frames.map((frame) => frame["session_id"])).size).toBe(1)
  })

  it("reads content blocks, CRLF, blank lines, split writes and a last line without newline", async () => {
    const process = start()
    process.send("", "\r", "17", { type: "keep_alive" }, `${JSON.stringify(user("one"))}\r`)
    const last = JSON.stringify(user([{ type: "text", text: "é😀" }]))
    const bytes = Buffer.from(last)
    process.child.stdin.write(bytes.subarray(0, bytes.indexOf(0xc3) + 1))
    await process.take("result/success")
    process.child.stdin.write(bytes.subarray(bytes.indexOf(0xc3) + 1))
    const { frames } = await process.end()
    expect(only(frames, "result").map((frame) => frame["result"])).toEqual(["echo: one", "echo: é😀"])
  })

  it("reads a prompt of 2 MB and escapes line separators", async () => {
    const prompt = `a\u2028b\u0085${"x".repeat(2e6)}`
    const { frames, stdout } = await run({}, user(prompt))
    expect(at(only(frames, "result")[0], "result")).toBe(`echo: ${prompt}`)
    expect(stdout.includes("\u2028")).toBe(false)
  })

  it("counts cost, tokens and models over the turns", async () => {
    const process = start()
    process.send(user("one"))
    await process.take("result/success")
    process.send(control("m", { subtype: "set_model", model: "haiku" }), user("two"))
    const { frames } = await process.end()
    expect(kinds(frames).slice(3)).toEqual(["user", "control_response", "system/init", "assistant", "result/success"])
    const [first, second] = only(frames, "result")
    expect(first).toMatchObject({ result_index: 0, usage: { input_tokens: 21, output_tokens: 3 } })
    expect(at(first, "modelUsage.claude-opus-5-5.costUSD")).toBeCloseTo(first!["total_cost_usd"] as number, 12)
    expect(second).toMatchObject({ result_index: 1 })
    expect(second!["total_cost_usd"]).toBeGreaterThan(first!["total_cost_usd"] as number)
    const since = at(second, "model_usage_since_last_result") as Record<string, { costUSD: number }>
    const delta = Object.values(since).reduce((sum, { costUSD }) => sum + costUSD, 0)
    expect((first!["total_cost_usd"] as number) + delta).toBeCloseTo(second!["total_cost_usd"] as number, 12)
  })

  it("tells the life of a line with a uuid, and runs a uuid once", async () => {
    const { frames } = await run({}, user("a", "u-1"), user("a", "u-1"))
    expect(kinds(frames)).toEqual([
      "command_lifecycle/queued",
      "command_lifecycle/started",
      "system/init",
      "assistant",
      "result/success",
      "command_lifecycle/completed"
    ])
    expect(only(frames, "result")[0]).toMatchObject({ user_message_uuids: ["u-1"], user_message_uuid: "u-1" })
    expect(frames[0]).toMatchObject({ command_uuid: "u-1" })
  })

  it("streams partial messages, the assistant line before its content_block_stop", async () => {
    const { frames } = await run({ args: PARTIAL }, user("hello"))
    expect(kinds(frames)).toEqual([
      "system/init",
      "system/status",
      "stream_event/message_start",
      "stream_event/content_block_start",
      ...Array.from({ length: 3 }, () => "stream_event/content_block_delta"),
      "assistant",
      "stream_event/content_block_stop",
      "stream_event/message_delta",
      "stream_event/message_stop",
      "result/success"
    ])
    expect(frames.map((frame) => at(frame, "event.delta.text") ?? "").join("")).toBe("echo: hello")
  })

  it("keeps, resumes and forks session ids", async () => {
    const [one, two] = ["11111111-2222-4333-8444-555555555555", "99999999-2222-4333-8444-555555555555"]
    const sessionOf = async (...args: ReadonlyArray<string>) =>
      at((await run({ args: [...STREAM, ...args] }, user("x"))).frames[0], "session_id")
    expect(await sessionOf(`--session-id=${one}`)).toBe(one)
    expect(await sessionOf("--resume", one)).toBe(one)
    expect([one, undefined]).not.toContain(await sessionOf(`--resume=${one}`, "--fork-session"))
    expect(await sessionOf(`--resume=${one}`, "--fork-session", "--session-id", two)).toBe(two)
  })

  it("answers control requests", async () => {
    const { code, frames } = await run(
      {},
      control("1", { subtype: "initialize" }),
      control("2", { subtype: "mcp_status" }),
      control("3", { subtype: "get_context_usage" }),
      control("4", { subtype: "set_permission_mode", mode: "plan" }),
      control("5", { subtype: "set_permission_mode", mode: "nonsense" }),
      control("6", { subtype: "set_permission_mode", mode: "bypassPermissions" }),
      control("7", { subtype: "set_model", model: "sonnet" }),
      control("8", { subtype: "set_model", model: 42 }),
      control("9", { subtype: "interrupt" }),
      control("10", { subtype: "banana" }),
      user("x")
    )
    expect(code).toBe(0)
    expect(reply(frames, "1")).toMatchObject({ subtype: "success", response: { account: {}, pid: expect.any(Number) } })
    for (const field of ["commands", "agents", "models"]) {
      expect(at(reply(frames, "1"), `response.${field}.0`)).toBeDefined()
    }
    expect(reply(frames, "2")).toMatchObject({ response: { mcpServers: [] } })
    expect(reply(frames, "3")).toMatchObject({ response: { maxTokens: 1_000_000 } })
    expect(reply(frames, "4")).toMatchObject({ response: { mode: "plan" } })
    expect(reply(frames, "5")).toMatchObject({ subtype: "error", error_code: "invalid_mode" })
    expect(reply(frames, "6")).toMatchObject({ subtype: "error", error_code: "bypass_not_launched" })
    expect(reply(frames, "7")).toMatchObject({ response: { model: "claude-sonnet-5-5" } })
    expect(reply(frames, "8")).toMatchObject({ subtype: "error", error_code: "invalid_request" })
    expect(reply(frames, "9")).toMatchObject({ subtype: "success", response: { still_queued: [] } })
    expect(reply(frames, "10")).toMatchObject({ subtype: "error", error_code: "unsupported_request" })
    expect(frames.find((frame) => frame["subtype"] === "status")).toMatchObject({
      status: null,
      permissionMode: "plan"
    })
    const init = frames.find((frame) => frame["subtype"] === "init")
    expect(init).toMatchObject({ permissionMode: "plan", model: "claude-sonnet-5-5" })
  })

  it("ends on end_session, with stdin still open", async () => {
    const process = start()
    process.send(control("e", { subtype: "end_session" }))
    expect(await process.closed).toMatchObject({ code: 0, signal: null })
    expect(reply(parse(process.text()), "e")).toMatchObject({ subtype: "success" })
  })

  it("finishes queued prompts after EOF, one turn each, or one for all that queue up when asked to", async () => {
    const lines = [user("m1"), user("m2", "u2"), user("m3", "u3")]
    const each = await run({}, ...lines)
    expect(only(each.frames, "result").map((frame) => frame["result"])).toEqual(["echo: m1", "echo: m2", "echo: m3"])
    const shared = await run({ script: { coalesce: true } }, ...lines)
    expect(only(shared.frames, "result").map((frame) => frame["result"])).toEqual(["echo: m1", "echo: m2\n\nm3"])
    expect(only(shared.frames, "result")[1]).toMatchObject({ user_message_uuids: ["u2", "u3"] })
  })

  it("interrupts a turn, keeps its partial text, and goes on", async () => {
    const process = start({ args: PARTIAL, script: [[{ init: {} }, { text: "abcdef", deltas: 2, deltaDelay: 40 }]] })
    process.send(user("one", "u1"), user("two", "u2"))
    await process.take("stream_event/content_block_delta")
    process.send(control("i", { subtype: "interrupt" }))
    const { code, frames } = await process.end()
    expect(code).toBe(0)
    expect(reply(frames, "i")).toMatchObject({ response: { still_queued: ["u2"] } })
    const from = frames.findIndex((frame) => frame["type"] === "control_response")
    expect(kinds(frames.slice(from))).toEqual([
      "control_response",
      "assistant",
      "user",
      "stream_event/content_block_stop",
      "stream_event/message_delta",
      "stream_event/message_stop",
      "result/error_during_execution",
      "command_lifecycle/cancelled",
      "command_lifecycle/started",
      ...kinds(frames.slice(from + 9))
    ])
    expect(frames[from + 1]).toMatchObject({ aborted: true, message: { content: [{ type: "text", text: "abc" }] } })
    expect(frames[from + 6]).toMatchObject({ is_error: true, terminal_reason: "aborted_streaming" })
    expect(only(frames, "result")[1]).toMatchObject({ result: "echo: two" })
  })

  it("exits 1 when the last result is an error, and only then", async () => {
    const bad = [{ result: { is_error: true } }]
    expect((await run({ script: [bad] }, user("x"))).code).toBe(1)
    expect((await run({ script: [bad] }, user("x"), user("y"))).code).toBe(0)
  })

  it.each([["SIGINT", 0], ["SIGTERM", 143], ["SIGHUP", 129]] as const)(
    "%s ends a turn and exits %i",
    async (name, code) => {
      const process = start({ script: [[{ init: {} }, { sleepForever: true }]] })
      process.send(user("x"))
      await process.take("system/init")
      process.child.kill(name)
      expect(await process.closed).toMatchObject({ code, signal: null })
      const expected = name === "SIGINT" ? ["system/init", "user", "result/error_during_execution"] : ["system/init"]
      expect(kinds(parse(process.text()))).toEqual(expected)
    }
  )

  it("dies of a malformed line or a wrong role as the CLI does", async () => {
    const malformed = await run({}, "this is not JSON")
    expect(malformed).toMatchObject({ code: 1, frames: [] })
    expect(malformed.stderr).toContain("Error parsing streaming input line (type=unknown, 16 chars)")
    const role = await run({}, { type: "user", message: { role: "assistant", content: "x" } })
    expect(role).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("Expected message role 'user', got 'assistant'")
    })
  })
})

describe("one-shot calls and flags", () => {
  it("says its version", async () => {
    expect((await run({ args: ["--version"] })).stdout.toString()).toBe("2.1.330 (fake-claude)\n")
    expect((await run({ args: ["-v"], script: { version: "1.0.9" } })).stdout.toString()).toBe("1.0.9 (fake-claude)\n")
  }, 2000)

  it("takes the prompt from the argument, from stdin, or both", async () => {
    const ask = async (input: string, ...args: ReadonlyArray<string>) => {
      const process = start({ args })
      process.child.stdin.end(input)
      const { code, stdout } = await process.closed
      return [code, stdout.toString()]
    }
    expect(await ask("", "-p", "hello")).toEqual([0, "echo: hello\n"])
    expect(await ask("from stdin", "-p")).toEqual([0, "echo: from stdin\n"])
    expect(await ask("b", "--model", "haiku", "-p", "a", "--tools", "Bash", "Read")).toEqual([0, "echo: a\nb\n"])
    expect((await ask("", "-p"))[0]).toBe(1)
  })

  it("prints json, a json list, and stream-json", async () => {
    const ask = (...args: ReadonlyArray<string>) => run({ args: ["-p", "q", ...args] })
    const object = JSON.parse((await ask("--output-format", "json")).stdout.toString()) as Frame
    expect(object).toMatchObject({ type: "result", result: "echo: q" })
    const all = JSON.parse((await ask("--output-format=json", "--verbose")).stdout.toString()) as ReadonlyArray<Frame>
    expect(kinds(all)).toEqual(["system/init", "assistant", "result/success"])
    expect(kinds((await ask("--output-format=stream-json", "--verbose")).frames)).toEqual(kinds(all))
  })

  it("refuses what the CLI refuses", async () => {
    const refusal = async (...args: ReadonlyArray<string>) => {
      const { code, stderr, stdout } = await run({ args })
      return [code, stdout.length, stderr.slice(0, 5)]
    }
    expect(await refusal("-p", "x", "--output-format=stream-json")).toEqual([1, 0, "Error"])
    expect(await refusal("-p", "--input-format=stream-json", "--verbose")).toEqual([1, 0, "Error"])
    expect(await refusal(...STREAM, "--session-id=nope")).toEqual([1, 0, "Error"])
  })

  it("ignores unknown flags unless the script rejects them", async () => {
    const args = [...STREAM, "--no-such-flag", "--effort=high"]
    expect((await run({ args }, user("x"))).code).toBe(0)
    const unknown = await run({ args, script: { rejectFlags: true } })
    expect(unknown).toMatchObject({ code: 1, stderr: "error: unknown option '--no-such-flag'\n" })
    const listed = await run({ args, script: { rejectFlags: ["--effort"] } })
    expect(listed).toMatchObject({ code: 1, stderr: "error: unknown option '--effort'\n" })
  })

  it("does not find a session that the script says is unknown", async () => {
    const process = start({ args: [...STREAM, "--resume=gone"], script: { unknownSessions: ["gone"] } })
    expect(await process.closed).toMatchObject({ code: 1, stderr: expect.stringContaining("gone") })
    const frames = parse(process.text())
    expect(kinds(frames)).toEqual(["result/error_during_execution"])
    expect(frames[0]).toMatchObject({ session_id: "gone", is_error: true, num_turns: 0 })
  })
})

describe("scripts", () => {
  it("come from a file, and are used up turn by turn", async () => {
    const path = newPath()
    writeFileSync(path, JSON.stringify([[{ emit: { n: 1 } }], [{ emit: { n: 2 } }]]))
    const { frames } = await run({ script: path }, user("a"), user("b"), user("c"))
    expect(frames.slice(0, 2)).toEqual([{ n: 1 }, { n: 2 }])
    expect(kinds(frames.slice(2))).toEqual(["system/init", "assistant", "result/success"])
    const silent = await run({ script: { echo: false } }, user("a"))
    expect(silent).toMatchObject({ code: 0, frames: [] })
  })

  it("run start, onInitialize, onControl and onEof at their time", async () => {
    const script = {
      start: [{ emit: { at: "start" } }],
      onInitialize: [{ emit: { at: "initialize", id: "$REQUEST" } }],
      onControl: { mcp_status: [{ reply: { extra: 1 } }, { emit: { at: "after" } }], interrupt: [{ reply: false }] },
      onEof: [{ emit: { at: "eof" } }, { exit: 7 }]
    }
    const requests = ["initialize", "mcp_status", "interrupt"].map((subtype) => control(subtype, { subtype }))
    const { code, frames } = await run({ script }, ...requests)
    expect(code).toBe(7)
    expect(frames.map((frame) => frame["at"] ?? at(frame, "response.request_id"))).toEqual(
      expect.arrayContaining(["start", "initialize", "mcp_status", "after", "eof"])
    )
    expect(frames).toHaveLength(6)
    expect(frames[1]).toEqual({ at: "initialize", id: "initialize" })
    expect(reply(frames, "mcp_status")).toMatchObject({ response: { mcpServers: [], extra: 1 } })
    expect(reply(frames, "interrupt")).toBeUndefined()
  })

  it("choose steps by the prompt, and scripts by the number of the process", async () => {
    const matched = await run(
      { script: { match: [{ prompt: "bad", steps: [{ exit: 4 }] }] } },
      user("good"),
      user("a bad one")
    )
    expect(matched.code).toBe(4)
    expect(only(matched.frames, "result")).toHaveLength(1)
    const script = { counter: newPath(), runs: [{ start: [{ exit: 5 }] }, [[{ exit: 6 }]]] }
    const codes = [await run({ script }), await run({ script }, user("x")), await run({ script }, user("x"))]
    expect(codes.map(({ code }) => code)).toEqual([5, 6, 6])
  })

  it("fill in placeholders", async () => {
    const session = "11111111-2222-4333-8444-555555555555"
    const fields = {
      a: "<$PROMPT>",
      b: ["$SESSION"],
      c: "$UUID",
      d: "$UUID",
      e: "$CWD",
      f: "$PID",
      g: "$$PROMPT $NAME"
    }
    const script = [[], [{ emit: { ...fields, h: "$TURN $USER_UUID $MODEL" } }]]
    const process = start({ script, args: [...STREAM, `--session-id=${session}`] })
    process.send(user("x"), user("$UUID & $&", "u"))
    const { frames } = await process.end()
    const frame = frames.find((candidate) => "a" in candidate)!
    expect(frame).toMatchObject({ a: "<$UUID & $&>", b: [session], e: globalThis.process.cwd() })
    expect(frame).toMatchObject({ f: String(process.child.pid), g: "$PROMPT $NAME", h: "1 u claude-opus-5-5" })
    expect(frame["c"]).not.toBe(frame["d"])
  })

  it.each(
    [
      ["{", "not readable as JSON"],
      ["/nowhere/script.json", "not readable as JSON"],
      [{ turn: [] }, "script.turn is not a known field"],
      [[[{ dely: 3 }]], "script[0][0] is not a known step: dely"],
      [{ turns: [[], [{ delay: "3" }]] }, "script.turns[1][0].delay must be a whole number"],
      [{ turns: [{ delay: 3 }] }, "script.turns[0] must be a list"],
      [{ start: [{ text: "x", delta: 3 }] }, "script.start[0].delta is not a known field"],
      [{ start: [{ emit: {}, delay: 1 }] }, "script.start[0].delay is not a known field"],
      [{ start: [{ grandchild: { second: 1 } }] }, "script.start[0].grandchild.second is not a known field"],
      [{ start: [{ writeFile: { path: "x" } }] }, "script.start[0].writeFile.content is missing"],
      [{ start: [{ readEnv: ["A"] }] }, "script.start[0].to is missing"],
      [{ start: [{ repeat: 2, step: { kill: "SIGNAL" } }] }, "script.start[0].step.kill must be a signal name"],
      [{ start: [{ repeat: 2 }] }, "script.start[0].steps is missing"],
      [{ signals: { SIGKILL: "ignore" } }, "script.signals.SIGKILL is not a known field"],
      [{ crashAfterBytes: -1 }, "script.crashAfterBytes must be a whole number"],
      [{ counter: "unused", runs: [] }, "script.runs must not be empty"],
      ["[1, 2]", "script[0] must be a list"]
    ] as const
  )("refuse %j, naming the field", async (script, message) => {
    const { code, stderr, stdout } = await run({ script })
    expect([code, stdout.length]).toEqual([2, 0])
    expect(stderr).toContain("FAKE_CLAUDE_SCRIPT")
    expect(stderr).toContain(message)
  })
})

describe("steps that write", () => {
  it("emit, raw, rawBase64, repeat and stderr", async () => {
    const { stderr, stdout } = await turn([
      { emit: { a: [1, "$PROMPT"] } },
      { raw: "no newline" },
      { rawBase64: Buffer.from([0xff, 0xfe, 0x0a]).toString("base64") },
      { repeat: 2, steps: [{ raw: "$N" }, { repeat: 2, step: { raw: "($N)" } }] },
      { stderr: "careful\n" }
    ])
    const expected = Buffer.concat([Buffer.from("{\"a\":[1,\"hi\"]}\nno newline"), Buffer.from([0xff, 0xfe, 0x0a])])
    expect(stdout.subarray(0, expected.length)).toEqual(expected)
    expect(stdout.subarray(expected.length).toString()).toBe("0(0)(1)1(0)(1)")
    expect(stderr).toBe("careful\n")
  })

  it("init, text, result and echo with overrides", async () => {
    const { code, frames } = await turn([
      { init: { tools: ["X"] } },
      { text: "one" },
      { text: "two" },
      { result: { subtype: "error_max_turns", errors: ["too many"] } },
      { echo: true }
    ])
    expect(code).toBe(0)
    expect(kinds(frames).slice(0, 4)).toEqual(["system/init", "assistant", "assistant", "result/error_max_turns"])
    expect(frames[0]).toMatchObject({ tools: ["X"] })
    expect(frames[3]).toMatchObject({ errors: ["too many"], is_error: true })
    expect(frames[3]).not.toHaveProperty("result")
    expect(frames.at(-1)).toMatchObject({ result: "echo: hi", result_index: 1 })
  })

  it("text in as many deltas as asked", async () => {
    const { frames } = await turn([{ text: "héllo 😀!", deltas: 4 }, { text: "none", deltas: 0 }], { args: PARTIAL })
    const deltas = frames.map((frame) => at(frame, "event.delta.text")).filter((text) => text !== undefined)
    expect(deltas).toEqual(["hé", "ll", "o ", "😀!"])
  })

  it.each(
    [
      [{ status: 529, type: "overloaded_error", message: "Overloaded" }, "API Error: 529 Overloaded", "server_error"],
      [{ status: 401, type: "authentication_error", message: "no" }, "API Error: 401 no", "authentication_failed"],
      [{ status: 429, message: "Limit reached", apiError: "usage_limit_reached" }, "Limit reached", "rate_limit"],
      [{ message: "refused", apiError: "connection_failed" }, "API Error: refused", "server_error"],
      [{ status: 400, message: "credit", category: "billing_error" }, "API Error: 400 credit", "billing_error"]
    ] as const
  )("error %j", async (error, text, category) => {
    const { code, frames } = await turn([{ error }])
    expect(code).toBe(1)
    expect(kinds(frames)).toEqual(["assistant", "result/success"])
    expect(frames[0]).toMatchObject({ error: category, is_api_error_message: true, message: { model: "<synthetic>" } })
    expect(frames[1]).toMatchObject({ is_error: true, result: text, terminal_reason: "api_error" })
    expect(frames[1]!["api_error_status"]).toBe("status" in error ? error.status : null)
  })

  it("floodStdout: valid lines of exactly so many bytes", async () => {
    const { frames, stdout } = await turn([{ floodStdout: 300_001 }])
    expect(stdout.length).toBe(300_001)
    expect(new Set(kinds(frames))).toEqual(new Set(["system/informational"]))
  })

  it("floodStderr: exactly so many bytes, and the turn goes on", async () => {
    const { frames, stderr } = await turn([{ floodStderr: 300_001 }, { echo: true }])
    expect(stderr.length).toBe(300_001)
    expect(kinds(frames).at(-1)).toBe("result/success")
  })

  it("waits for a slow reader and loses nothing; signals act meanwhile", async () => {
    const process = start({ script: [[{ floodStdout: 3_000_000 }, { result: {} }]], readStdout: false })
    process.send(user("x"))
    await sleep(150)
    let bytes = 0
    let tail = ""
    process.child.stdout.on("data", (chunk: Buffer) => {
      bytes += chunk.length
      tail = (tail + chunk.toString()).slice(-5000)
    })
    expect(await process.end()).toMatchObject({ code: 0 })
    expect(bytes).toBeGreaterThan(3_000_000)
    expect(kinds(parse(tail.slice(tail.indexOf("\n") + 1))).at(-1)).toBe("result/success")

    const deaf = start({ script: { start: [{ stderr: "up" }, { floodStdout: 3_000_000 }] }, readStdout: false })
    await until(() => deaf.stderr() !== "")
    deaf.child.kill("SIGTERM")
    expect(await deaf.exited).toBe(143)
  })

  it("writeFile and readEnv", async () => {
    const [pid, env] = [newPath(), newPath()]
    const steps = [{ writeFile: { path: pid, content: "$PID" } }, { readEnv: ["COLOUR", "NOTHING"], to: env }]
    const process = start({ script: { start: steps }, env: { COLOUR: "red" } })
    await process.end()
    expect(readFileSync(pid, "utf8")).toBe(String(process.child.pid))
    expect(JSON.parse(readFileSync(env, "utf8"))).toEqual({
      env: { COLOUR: "red", NOTHING: null },
      argv: STREAM,
      cwd: globalThis.process.cwd(),
      pid: process.child.pid
    })
  })
})

describe("steps that talk to the host", () => {
  const asking = { askPermission: { tool: "Bash", input: { command: "ls" } } }
  const answer = (frame: Frame, response: unknown) => ({
    type: "control_response",
    response: { subtype: "success", request_id: frame["request_id"], response }
  })

  it("askPermission: allowed, with a changed input", async () => {
    const process = start({ script: [[{ init: {} }, asking, { text: "done" }, { result: {} }]] })
    process.send(user("x"))
    const request = await process.take("control_request")
    expect(request["request"]).toMatchObject({ subtype: "can_use_tool", tool_name: "Bash", input: { command: "ls" } })
    process.send(answer(request, { behavior: "allow", updatedInput: { command: "pwd" } }))
    const { frames } = await process.end()
    expect(kinds(frames)).toEqual([
      "system/init",
      "assistant",
      "control_request",
      "user",
      "assistant",
      "result/success"
    ])
    expect(at(frames[1], "message.content.0")).toMatchObject({
      type: "tool_use",
      name: "Bash",
      input: { command: "ls" }
    })
    expect(at(frames[3], "message.content.0")).toMatchObject({
      type: "tool_result",
      tool_use_id: at(request, "request.tool_use_id"),
      content: "allowed: {\"command\":\"pwd\"}",
      is_error: false
    })
    expect(frames[5]).toMatchObject({ num_turns: 2, permission_denials: [] })
  })

  it("askPermission: denied, answered with an error, and closed by EOF", async () => {
    const denied = async (act: (process: ReturnType<typeof start>, request: Frame) => void) => {
      const process = start({ script: [[asking, { result: {} }]] })
      process.send(user("x"))
      act(process, await process.take("control_request"))
      const { frames } = await process.end()
      expect(only(frames, "result")[0]).toMatchObject({ permission_denials: [{ tool_name: "Bash" }] })
      return at(only(frames, "user")[0], "message.content.0")
    }
    const no = await denied((process, request) => process.send(answer(request, { behavior: "deny", message: "NO" })))
    expect(no).toMatchObject({ content: "NO", is_error: true })
    const failed = await denied((process, { request_id }) =>
      process.send({ type: "control_response", response: { subtype: "error", request_id, error: "broken" } })
    )
    expect(failed).toMatchObject({ content: "broken", is_error: true })
    const closed = await denied((process) => process.child.stdin.end())
    expect(closed).toMatchObject({ content: expect.stringContaining("stream closed"), is_error: true })
  })

  it("askPermission: several at once; a denial may end the turn", async () => {
    const one = asking.askPermission
    const process = start({
      script: [[{ askPermission: [one, { ...one, tool: "Read" }] }, { result: {} }], [asking, { result: {} }]]
    })
    process.send(user("x"))
    const [bash, read] = [await process.take("control_request"), await process.take("control_request")]
    process.send(answer(read, { behavior: "allow" }), answer(bash, { behavior: "allow" }))
    const results = [await process.take("user"), await process.take("user")]
    expect(results.map((frame) => at(frame, "message.content.0.tool_use_id"))).toEqual([
      at(read, "request.tool_use_id"),
      at(bash, "request.tool_use_id")
    ])
    process.send(user("y"))
    process.send(answer(await process.take("control_request"), { behavior: "deny", message: "stop", interrupt: true }))
    expect(await process.take("result/error_during_execution")).toMatchObject({ terminal_reason: "aborted_tools" })
    expect((await process.end()).code).toBe(1)
  })

  it("withdraws a pending request when interrupted, and ends without a result on SIGINT", async () => {
    const process = start({ script: [[asking], [asking]] })
    process.send(user("x"))
    const request = await process.take("control_request")
    process.send(control("i", { subtype: "interrupt" }))
    expect(await process.take("control_cancel_request")).toMatchObject({ request_id: request["request_id"] })
    await process.take("control_response")
    expect(await process.take("result/error_during_execution")).toMatchObject({ terminal_reason: "aborted_tools" })
    process.send(user("y"))
    await process.take("control_request")
    process.child.kill("SIGINT")
    expect(await process.closed).toMatchObject({ code: 0 })
    expect(kinds(parse(process.text())).slice(-3)).toEqual(["control_cancel_request", "user", "user"])
  })

  it("request: any control request, its answer kept", async () => {
    const path = newPath()
    const request = { subtype: "hook_callback", callback_id: "h1", input: { prompt: "$PROMPT" } }
    const process = start({ script: [[{ request, to: path }, { emit: { got: "$ANSWER" } }]] })
    process.send(user("x"))
    const sent = await process.take("control_request")
    expect(sent["request"]).toEqual({ ...request, input: { prompt: "x" } })
    process.send(answer(sent, { continue: true }))
    const { frames } = await process.end()
    const kept = JSON.parse(readFileSync(path, "utf8")) as Frame
    expect(kept).toMatchObject({ subtype: "success", response: { continue: true } })
    expect(JSON.parse(String(frames.at(-1)!["got"]))).toEqual(kept)
  })
})

describe("misbehaviour", () => {
  it("exit: with a code, in the middle of a turn and of a line", async () => {
    const { code, stdout } = await turn([{ raw: "{\"half\":" }, { exit: 42 }, { emit: { never: 1 } }])
    expect([code, stdout.toString()]).toEqual([42, "{\"half\":"])
  })

  it.each(["SIGKILL", "SIGTERM", "SIGSEGV"] as const)("kill: %s after half a line", async (name) => {
    const { signal, stdout } = await turn([{ raw: "{\"half\":" }, { kill: name }, { sleepForever: true }])
    expect([signal, stdout.toString()]).toEqual([name, "{\"half\":"])
  })

  it.each([0, 1, 17, 5000, 200_000])("crashAfterBytes: %i", async (crashAfterBytes) => {
    const script = { crashAfterBytes, turns: [[{ init: {} }, { text: "é".repeat(500) }, { floodStdout: 300_000 }]] }
    const { signal, stdout } = await run({ script }, user("x"))
    expect([signal, stdout.length]).toEqual(["SIGKILL", crashAfterBytes])
  })

  it("delay: waits; sleepForever: outlives EOF", async () => {
    const process = start({
      script: { turns: [[{ emit: { n: 1 } }, { delay: 60 }, { emit: { n: 2 } }, { sleepForever: true }]] }
    })
    process.send(user("x"))
    process.child.stdin.end()
    await until(() => process.text().includes("\"n\":1"))
    const began = performance.now()
    await until(() => process.text().includes("\"n\":2"))
    expect(performance.now() - began).toBeGreaterThan(30)
    await sleep(60)
    expect(process.child.exitCode).toBeNull()
  })

  it("signals: ignored, or answered by steps", async () => {
    const signals = { SIGINT: "ignore", SIGTERM: [{ emit: { got: "SIGTERM" } }], SIGHUP: [{ exit: 9 }] }
    const process = start({ script: { signals, start: [{ emit: { type: "up" } }] } })
    await process.take("up")
    process.child.kill("SIGINT")
    process.child.kill("SIGTERM")
    await until(() => process.text().includes("SIGTERM"))
    expect(process.child.exitCode).toBeNull()
    process.child.kill("SIGHUP")
    expect(await process.closed).toMatchObject({ code: 9 })
  })

  it("grandchild: keeps stdout open and stays in the group, also deaf to signals", async () => {
    const path = newPath()
    const process = start({
      script: { start: [{ grandchild: { holdStdout: true, seconds: 60, writePid: path, ignoreSignals: true } }] }
    })
    process.child.stdin.end()
    expect(await process.exited).toBe(0)
    const pid = Number(readFileSync(path, "utf8"))
    strays.add(pid)
    const group = (of: number) => readFileSync(`/proc/${of}/stat`, "utf8").split(") ")[1]!.split(" ")[2]
    expect(group(pid)).toBe(group(globalThis.process.pid))
    await until(() => readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("sleep"))
    globalThis.process.kill(pid, "SIGTERM")
    globalThis.process.kill(pid, "SIGINT")
    await sleep(50)
    expect(isAlive(pid)).toBe(true)
    let closed = false
    void process.closed.then(() => closed = true)
    await sleep(20)
    expect(closed).toBe(false)
    globalThis.process.kill(pid, "SIGKILL")
    expect(await process.closed).toMatchObject({ code: 0 })
  })

  it("closeStdout: the reader sees the end, the process lives on", async () => {
    const process = start({
      script: { start: [{ emit: { n: 1 } }, { closeStdout: true }, { emit: { n: 2 } }, { stderr: "alive" }] }
    })
    await new Promise((done) => process.child.stdout.on("end", done))
    await until(() => process.stderr() === "alive")
    expect(process.child.exitCode).toBeNull()
    expect(await process.end()).toMatchObject({ code: 0, frames: [{ n: 1 }] })
  })

  it.each(["start", "turns"])("closeStdin in %s: the writer gets EPIPE, the process lives on", async (where) => {
    const steps = [{ closeStdin: true }, { emit: { type: "closed" } }]
    const process = start({ script: where === "start" ? { start: steps } : { turns: [steps] } })
    if (where === "turns") process.send(user("x"))
    await process.take("closed")
    process.send(user("y"))
    await until(() => process.writeErrors.length > 0)
    expect(process.writeErrors[0]).toMatch(/EPIPE|ECONNRESET/)
    await sleep(30)
    expect([process.child.exitCode, kinds(parse(process.text()))]).toEqual([null, ["closed"]])
  })

  it.each(["start", "turns"])("ignoreStdin in %s: reads no more, so that the writer's pipe fills", async (where) => {
    const steps = [{ ignoreStdin: true }, { emit: { type: "deaf" } }]
    const process = start({ script: where === "start" ? { start: steps } : { turns: [steps] } })
    if (where === "turns") process.send(user("x"), user("y"))
    await process.take("deaf")
    process.child.stdin.write("not JSON, would end it\n".repeat(40_000))
    process.child.stdin.end()
    await sleep(60)
    expect(process.child.stdin.writableLength).toBeGreaterThan(0)
    expect([process.child.exitCode, kinds(parse(process.text()))]).toEqual([null, ["deaf"]])
  })

  it.each([[undefined, 3], [5, 5]] as const)(
    "a reader that goes away: exitOnEpipe %j exits %i",
    async (exitOnEpipe, code) => {
      const script = { onEof: [{ exit: 3 }], ...(exitOnEpipe !== undefined && { exitOnEpipe }) }
      const process = start({ script, readStdout: false })
      process.child.stdout.destroy()
      process.send(user("one"), user("two"))
      process.child.stdin.end()
      expect(await process.exited).toBe(code)
    }
  )
})
