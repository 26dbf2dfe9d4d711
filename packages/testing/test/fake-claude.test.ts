import { accessSync, constants } from "node:fs"
import { describe, expect, it } from "vitest"
import {
  at,
  cleanUp,
  control,
  fake,
  type Frame,
  kinds,
  only,
  parse,
  PARTIAL,
  reply,
  run,
  start,
  STREAM,
  user
} from "./fakeClaude.js"

cleanUp()

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
    const process = start({ args: PARTIAL, script: [[{ init: {} }, { text: "abcdef", deltas: 2, deltaDelay: 1_500 }]] })
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
