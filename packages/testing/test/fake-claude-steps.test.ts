import { readFileSync, writeFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import {
  at,
  cleanUp,
  control,
  type Frame,
  kinds,
  newPath,
  only,
  parse,
  PARTIAL,
  reply,
  run,
  sleep,
  start,
  STREAM,
  turn,
  until,
  user
} from "./fakeClaude.js"

cleanUp()

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
