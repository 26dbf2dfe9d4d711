import { readdirSync } from "node:fs"
import { describe, expect, it } from "vitest"
import {
  at,
  cleanUp,
  control,
  kinds,
  newPath,
  only,
  PARTIAL,
  reply,
  run,
  start,
  STREAM,
  until,
  user
} from "./fakeClaude.js"
import { story, uuid } from "./fakeCli.js"

cleanUp()

const REPLAY = [...STREAM, "--replay-user-messages"]
const line = (content: string, n: number) => user(content, uuid(n))
const tool = { tool: { name: "Bash", input: { command: "make" }, ms: 100, result: "made" } }
const turn = [{ init: {} }, tool, { text: "it is made" }, { result: {} }]

describe("prompts of a session", () => {
  it("are repeated when the model begins to answer, with the uuid they came with or a new one", async () => {
    const { frames } = await run({ args: REPLAY }, line("one", 1))
    expect(story(frames)).toEqual([
      "queued 1",
      "started 1",
      "init [1]",
      "replay 1",
      "assistant [1]",
      "result completed [1]",
      "completed 1"
    ])
    expect(at(frames[3], "message.content")).toBe("one")
    const unnamed = await run({ args: [...REPLAY, "--include-partial-messages"] }, user("two"))
    expect(kinds(unnamed.frames).slice(0, 4)).toEqual([
      "system/init",
      "system/status",
      "user",
      "stream_event/message_start"
    ])
    expect(unnamed.frames[2]).toMatchObject({ isReplay: true, uuid: expect.stringMatching(/^[\da-f-]{36}$/) })
  })

  it("that wait when a tool has ended join the turn; the first line of a turn names its prompts, and no other", async () => {
    const process = start({ args: REPLAY, script: [turn] })
    process.send(line("first", 1))
    await process.take("assistant")
    process.send(line("steer", 2))
    await process.take("result/success")
    const { frames } = await process.end()
    expect(story(frames)).toEqual([
      "queued 1",
      "started 1",
      "init [1]",
      "replay 1",
      "assistant [1]",
      "queued 2",
      "tool result",
      "replay 2",
      "started 2",
      "assistant",
      "completed 2",
      "result completed [1,2]",
      "completed 1"
    ])
    expect(only(frames, "result")[0]).toMatchObject({ user_message_uuid: uuid(1), num_turns: 2 })
  })

  it("that come while a question is open join the turn too, but not one that was interrupted", async () => {
    const asking = [{ init: {} }, { askPermission: { tool: "Bash", input: {} } }, { text: "done" }, { result: {} }]
    const process = start({ script: [asking] })
    process.send(line("first", 1))
    await process.take("control_request")
    process.send(line("later", 2), control("i", { subtype: "interrupt" }))
    const { frames } = await process.end()
    expect(reply(frames, "i")).toMatchObject({ response: { still_queued: [uuid(2)] } })
    expect(story(frames).slice(4)).toEqual([
      "can_use_tool",
      "queued 2",
      "control_cancel_request",
      "control_response",
      "tool error",
      "[Request interrupted by user for tool use]",
      "result aborted_tools [1]",
      "cancelled 1",
      "started 2",
      "init [2]",
      "assistant [2]",
      "result completed [2]",
      "completed 2"
    ])
  })

  it("are told to be complete with the result, whatever the turn still does", async () => {
    const process = start({ script: [[{ echo: true }, { sleepForever: true }]] })
    process.send(line("one", 1))
    await process.take("command_lifecycle/completed")
    process.child.kill("SIGTERM")
    await process.closed
  })

  it("can be taken back from the queue, one or all with an interrupt", async () => {
    const process = start({ script: [[{ init: {} }, { sleepForever: true }]] })
    process.send(line("one", 1), line("two", 2), line("three", 3))
    process.send(
      control("c", { subtype: "cancel_async_message", message_uuid: uuid(2) }),
      control("d", { subtype: "cancel_async_message", message_uuid: uuid(2) }),
      control("i", { subtype: "interrupt", cancel_queued: true })
    )
    const { frames } = await process.end()
    expect(reply(frames, "c")).toMatchObject({ response: { cancelled: true, message_uuid: uuid(2) } })
    expect(reply(frames, "d")).toMatchObject({ response: { cancelled: false } })
    expect(reply(frames, "i")).toMatchObject({ response: { still_queued: [], cancelled: [uuid(3)] } })
    expect(story(frames).filter((word) => word.startsWith("cancelled"))).toEqual([
      "cancelled 2",
      "cancelled 3",
      "cancelled 1"
    ])
    expect(only(frames, "result")).toHaveLength(1)
  })

  it("/clear goes on under another id and from no cost, and takes no turn of the script", async () => {
    const process = start({ script: [[{ echo: true }], [{ text: "second turn" }, { result: {} }]] })
    process.send(line("one", 1), line("/clear", 2), line("two", 3))
    const { frames } = await process.end()
    const words = story(frames)
    expect(words.slice(words.indexOf("started 2"), words.indexOf("started 3"))).toEqual([
      "started 2",
      "conversation_reset",
      "background_tasks_changed",
      "init [2]",
      "result clear [2]",
      "completed 2"
    ])
    const results = only(frames, "result")
    expect(results.map((frame) => frame["result"])).toEqual(["echo: one", "", "second turn"])
    expect(results[1]).toMatchObject({ total_cost_usd: 0, num_turns: 0, modelUsage: {} })
    expect(results[2]!["total_cost_usd"]).toBeLessThan(2 * (results[0]!["total_cost_usd"] as number))
    const ids = frames.filter((frame) => "session_id" in frame).map((frame) => frame["session_id"])
    expect(new Set(ids).size).toBe(2)
    expect(ids.indexOf(ids.at(-1))).toBe(words.indexOf("init [2]"))
  })
})

describe("background work", () => {
  const works = [
    { init: {} },
    {
      tool: {
        name: "Bash",
        input: {},
        steps: [{ background: [{ init: {} }, { text: "made" }, { result: {} }], ms: 80 }]
      }
    },
    { text: "started" },
    { result: {} }
  ]

  it("keeps the process until it ends, and is told in a turn that answers no prompt", async () => {
    const { code, frames } = await run({ script: [works] }, line("go", 1))
    expect(code).toBe(0)
    expect(story(frames).slice(2)).toEqual([
      "init [1]",
      "assistant [1]",
      "background_tasks_changed",
      "task_started",
      "tool result",
      "assistant",
      "result completed [1]",
      "completed 1",
      "task_updated",
      "task_notification",
      "background_tasks_changed",
      "init",
      "assistant",
      "result completed of its own"
    ])
    expect(only(frames, "result")[1]).toMatchObject({ origin: { kind: "task-notification" }, result: "made" })
    const started = frames.find((frame) => frame["subtype"] === "task_started")!
    expect(started["tool_use_id"]).toBe(at(frames[3], "message.content.0.id"))
  })

  it("ends early when it is stopped, and with the input after an interrupt of no turn", async () => {
    const long = [[{ ...works[0] }, { background: [{ echo: true }], ms: 60_000 }, { result: {} }]]
    const stopped = start({ script: long })
    stopped.send(line("go", 1))
    const { task_id } = await stopped.take("system/task_started")
    stopped.send(control("s", { subtype: "stop_task", task_id }))
    const { frames } = await stopped.end()
    expect(story(frames).slice(-4)).toEqual([
      "task_updated",
      "task_notification",
      "background_tasks_changed",
      "control_response"
    ])
    const doomed = start({ script: long })
    doomed.send(line("go", 1))
    await doomed.take("command_lifecycle/completed")
    doomed.send(control("i", { subtype: "interrupt" }))
    const last = await doomed.end()
    expect([last.code, only(last.frames, "result").length]).toEqual([0, 1])
    expect(last.frames.find((frame) => frame["subtype"] === "task_notification")).toMatchObject({ status: "stopped" })
  })
})

describe("a conversation that is kept", () => {
  const [first, second] = [uuid(1), uuid(2)]
  const script = (memory: string, more = {}) => ({
    memory,
    match: [{ prompt: "", steps: [{ init: {} }, { text: "remembers $MEMORY prompts" }, { result: {} }] }],
    ...more
  })
  const ask = async (options: unknown, args: ReadonlyArray<string>, ...lines: ReadonlyArray<unknown>) => {
    const { frames } = await run({ script: options, args: [...STREAM, ...args] }, ...lines)
    return only(frames, "result").map((frame) => [frame["result"], frame["session_id"], frame["total_cost_usd"]])
  }

  it("is remembered by a process that resumes it, and by a fork, which goes its own way", async () => {
    const options = script(newPath())
    const begun = await ask(options, [`--session-id=${first}`], line("a", 3), line("b", 4))
    expect(begun.map(([said]) => said)).toEqual(["remembers 0 prompts", "remembers 1 prompts"])
    const [[said, id, cost] = []] = await ask(options, [
      `--resume=${first}`,
      "--fork-session",
      `--session-id=${second}`
    ], line("c", 5))
    expect([said, id]).toEqual(["remembers 2 prompts", second])
    expect(cost).toBeGreaterThan(begun[1]![2] as number)
    expect((await ask(options, [`--resume=${first}`], line("d", 6)))[0]?.slice(0, 2)).toEqual([
      "remembers 2 prompts",
      first
    ])
    expect((await ask(options, [`--resume=${second}`], line("e", 7)))[0]?.[0]).toBe("remembers 3 prompts")
    expect(readdirSync(options.memory)).toHaveLength(2)
  })

  it("runs no prompt twice, and knows no session that never was", async () => {
    const options = script(newPath())
    await ask(options, [`--session-id=${first}`], line("a", 3))
    const { frames } = await run({ script: options, args: [...STREAM, `--resume=${first}`] }, line("a", 3))
    expect(story(frames)).toEqual(["completed 3"])
    const process = start({ script: options, args: [...STREAM, `--resume=${second}`] })
    expect(await process.closed).toMatchObject({ code: 1, stderr: expect.stringContaining("No conversation found") })
  })

  it("costs from 0 again in 2.1.197", async () => {
    const options = script(newPath(), { version: "2.1.197" })
    const [[, , before] = []] = await ask(options, [`--session-id=${first}`], line("a", 3))
    const [[, , after] = []] = await ask(options, [`--resume=${first}`], line("a", 4))
    expect(after).toBe(before)
  })
})

describe("version 2.1.197", () => {
  it("tells no lifecycle, no attribution, no capabilities; an interrupt is only acknowledged", async () => {
    const script = { version: "2.1.197", turns: [[{ init: {} }, { text: "abcdef", deltas: 2, deltaDelay: 1_500 }]] }
    const process = start({ args: [...PARTIAL, "--replay-user-messages"], script })
    process.send(control("n", { subtype: "initialize" }), line("one", 1))
    await process.take("stream_event/content_block_delta")
    process.send(control("i", { subtype: "interrupt" }))
    const { frames } = await process.end()
    expect(story(frames)).toEqual([
      "control_response",
      "init",
      "status",
      "message_start",
      "content_block_start",
      "content_block_delta",
      "control_response",
      "replay 1",
      "assistant",
      "[Request interrupted by user]",
      "result aborted_streaming"
    ])
    expect(reply(frames, "i")).toEqual({ subtype: "success", request_id: "i" })
    expect(at(reply(frames, "n"), "response")).toMatchObject({ output_style: "default" })
    for (const field of ["capabilities", "claude_code_version"]) {
      expect(at(reply(frames, "n"), "response")).not.toHaveProperty(field)
    }
    expect(frames[1]).not.toHaveProperty("capabilities")
    expect(only(frames, "result")[0]).not.toHaveProperty("result_index")
  })

  it("says of a refusal of the API only what it calls it", async () => {
    const error = { status: 529, type: "overloaded_error", message: "Overloaded" }
    const { frames } = await run({ script: { version: "2.1.197", turns: [[{ error }]] } }, user("x"))
    expect(frames[0]).toMatchObject({ type: "assistant", error: "server_error" })
    for (const field of ["is_api_error_message", "api_error_status", "api_error_type"]) {
      expect(frames[0]).not.toHaveProperty(field)
    }
    expect(frames[1]).toMatchObject({ is_error: true, api_error_status: 529, terminal_reason: "completed" })
  })
})

describe("control requests of a session", () => {
  it("are answered as the CLI answers them", async () => {
    const env = { CLAUDE_CODE_ENABLE_SDK_FILE_CHECKPOINTING: "1" }
    const { frames } = await run(
      { env },
      control("0", { subtype: "initialize", sdkMcpServers: ["calc"] }),
      control("1", { subtype: "set_max_thinking_tokens", max_thinking_tokens: 1024 }),
      control("2", { subtype: "mcp_status" }),
      control("3", { subtype: "mcp_reconnect", serverName: "calc" }),
      control("4", { subtype: "mcp_toggle", serverName: "nope", enabled: false }),
      control("5", { subtype: "stop_task", task_id: "nope" }),
      line("x", 1),
      control("6", { subtype: "rewind_files", user_message_id: uuid(1), dry_run: true }),
      control("7", { subtype: "rewind_files", user_message_id: uuid(2) })
    )
    expect(at(reply(frames, "0"), "response")).toMatchObject({
      claude_code_version: "2.1.330",
      capabilities: expect.arrayContaining(["interrupt_receipt_v1"])
    })
    expect(reply(frames, "1")).toEqual({ subtype: "success", request_id: "1" })
    expect(reply(frames, "2")).toMatchObject({ response: { mcpServers: [{ name: "calc", status: "connected" }] } })
    expect(reply(frames, "3")).toMatchObject({ subtype: "success", response: {} })
    expect(reply(frames, "4")).toMatchObject({ subtype: "error", error: "Server not found: nope" })
    expect(reply(frames, "5")).toMatchObject({ subtype: "success", response: {} })
    expect(reply(frames, "6")).toMatchObject({ response: { canRewind: true, filesChanged: [] } })
    expect(reply(frames, "7")).toMatchObject({ response: { canRewind: false, error: expect.any(String) } })
    const off = await run({}, control("8", { subtype: "rewind_files", user_message_id: uuid(1) }))
    expect(reply(off.frames, "8")).toMatchObject({ response: { canRewind: false } })
  })

  it("tell the state of the session to those who ask for it", async () => {
    const asking = [{ init: {} }, { askPermission: { tool: "Bash", input: {} } }, { text: "done" }, { result: {} }]
    const process = start({ script: [asking], env: { CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS: "1" } })
    process.send(user("one"))
    const { request_id } = await process.take("control_request")
    process.send({
      type: "control_response",
      response: { subtype: "success", request_id, response: { behavior: "allow" } }
    })
    await until(() => process.text().includes("\"idle\""))
    process.send(user("two"))
    const { frames } = await process.end()
    expect(story(frames).map((word) => word.replace("session_state_changed ", "-> "))).toEqual([
      "-> running",
      "init",
      "assistant",
      "-> requires_action",
      "can_use_tool",
      "-> running",
      "tool result",
      "assistant",
      "result completed",
      "-> idle",
      "-> running",
      "init",
      "assistant",
      "result completed",
      "-> idle"
    ])
  })
})
