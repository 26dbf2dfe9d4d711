import type { Message } from "@ccflow/core/Message"
import * as MessageParser from "@ccflow/core/MessageParser"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as f from "./frames.js"

const only = <Tag extends Message["_tag"]>(messages: ReadonlyArray<Message>, tag: Tag) =>
  messages.filter((message): message is Extract<Message, { _tag: Tag }> => message._tag === tag)

describe("a frame of each kind that the CLI is known to print", () => {
  const notice = (subtype: string) => [f.system(subtype), "Status", { kind: subtype }] as const
  const own = (type: string, fields: f.Frame = {}) =>
    [{ type, session_id: f.session, ...fields }, "Status", { kind: type }] as const
  const task = { task_id: "t1", tool_use_id: "tu1", description: "Count" }

  const known: ReadonlyArray<readonly [frame: f.Frame, tag: Message["_tag"], fields: f.Frame]> = [
    [f.init, "Init", { model: "claude-opus-5-5", tools: ["Task", "Bash"] }],
    [f.result("4"), "Result", { result: "4", isError: false, numTurns: 1 }],
    [f.user("again", { isReplay: true }), "User", { content: "again", replay: true, synthetic: false }],
    [f.user([f.says("go on")], { isSynthetic: true }), "User", { content: "go on", synthetic: true }],
    [
      f.system("api_retry", { attempt: 1, max_retries: 10, retry_delay_ms: 515, error_status: null, error: "unknown" }),
      "ApiRetry",
      { attempt: 1, maxRetries: 10, delayMs: 515, status: null, error: "unknown" }
    ],
    [
      f.system("permission_denied", { tool_name: "Write", tool_use_id: "tu1", message: "no" }),
      "PermissionDenied",
      { tool: "Write", toolUseId: "tu1", content: "no" }
    ],
    [
      {
        type: "rate_limit_event",
        rate_limit_info: { status: "rejected", resetsAt: 1795352053, rateLimitType: "five_hour" }
      },
      "RateLimit",
      { status: "rejected", limit: "five_hour", resetsAt: 1795352053000 }
    ],
    [
      f.system("task_started", { ...task, is_backgrounded: true }),
      "Task",
      { phase: "started", taskId: "t1", toolUseId: "tu1", background: true, description: "Count" }
    ],
    // 2.1.197 does not say whether a task is in the background.
    [f.system("task_started", { task_id: "t1" }), "Task", { phase: "started", background: true }],
    [f.system("task_progress", { ...task, summary: "at 3" }), "Task", { phase: "progress", description: "at 3" }],
    [f.system("task_updated", { task_id: "t1", patch: { status: "completed" } }), "Task", { status: "completed" }],
    [f.system("task_notification", { ...task, status: "failed" }), "Task", { phase: "notification", status: "failed" }],
    [
      f.system("background_tasks_changed", { tasks: [{ task_id: "t1" }, { task_id: "t2" }] }),
      "Task",
      { phase: "background", live: ["t1", "t2"] }
    ],
    [
      f.system("compact_boundary", { compact_metadata: { trigger: "manual", pre_tokens: 900 } }),
      "Compact",
      { trigger: "manual", preTokens: 900 }
    ],
    [
      f.system("hook_response", {
        hook_id: "h",
        hook_name: "Stop:x",
        hook_event: "Stop",
        exit_code: 2,
        outcome: "error"
      }),
      "Hook",
      { phase: "response", hookId: "h", name: "Stop:x", event: "Stop", exitCode: 2, outcome: "error" }
    ],
    [f.system("hook_started", { hook_name: "x" }), "Hook", { phase: "started", name: "x" }],
    [f.system("status", { status: "requesting" }), "Status", { kind: "status", content: "requesting" }],
    [f.system("informational", { content: "Hm", level: "info" }), "Status", { content: "Hm" }],
    [f.system("session_state_changed", { state: "idle" }), "Status", { content: "idle" }],
    ...[
      "thinking_tokens",
      "notification",
      "model_fallback",
      "model_refusal_fallback",
      "model_refusal_no_fallback",
      "session_title_changed",
      "control_request_progress",
      "ui_invalidate",
      "commands_changed",
      "local_command_output",
      "files_persisted",
      "elicitation_complete",
      "mirror_error"
    ].map(notice),
    own("tool_progress", { tool_use_id: "tu1-heartbeat-0", tool_name: "Bash", elapsed_time_seconds: 30 }),
    own("command_lifecycle", { command_uuid: "c", state: "queued" }),
    own("conversation_reset", { new_conversation_id: "n" }),
    own("prompt_suggestion", { suggestion: "And now?" }),
    own("tool_use_summary", { summary: "Read two files" }),
    own("auth_status", { isAuthenticating: true })
  ]

  const named = known.map(([frame, tag, fields]) => {
    const { subtype, type } = frame
    return { name: type === "system" ? `system/${String(subtype)}` : type, frame, tag, fields }
  })

  it.each(named)("$name arrives as $tag", ({ fields, frame, tag }) => {
    const messages = f.parse(frame).filter(({ _tag }) => _tag !== "Stop")
    assert.deepStrictEqual(f.tags(messages), [tag])
    const [message] = messages
    assert.deepStrictEqual<unknown>(message, { ...message, ...fields })
  })

  it("of the control protocol is put aside for an answer, in order, and not shown", () => {
    const ask = { type: "control_request", request_id: "r1", request: { subtype: "can_use_tool", tool_name: "Bash" } }
    const acknowledged = { type: "control_response", response: { subtype: "success", request_id: "r2" } }
    const withdrawn = { type: "control_cancel_request", request_id: "r1" }
    const { control, messages } = f.parseBytes([f.bytes([ask, acknowledged, withdrawn])])
    assert.deepStrictEqual<unknown>(control, [ask, acknowledged, withdrawn])
    assert.deepStrictEqual(messages, [])
  })

  it("of the control protocol is given once", () => {
    const withdrawn = (id: string) => ({ type: "control_cancel_request", request_id: id })
    const parser = f.parser()
    for (const id of ["r1", "r2"]) {
      parser.push([f.bytes([withdrawn(id)])])
      assert.deepStrictEqual<unknown>(parser.takeControl(), [withdrawn(id)])
      assert.deepStrictEqual(parser.takeControl(), [])
    }
  })

  it("keep_alive is nothing", () => assert.deepStrictEqual(f.parse({ type: "keep_alive" }), []))
})

describe("what the CLI may print tomorrow", () => {
  it("an unknown type arrives whole as Unknown", () => {
    const frame = { type: "active_goal", goal: { deep: [1, null] }, session_id: f.session, uuid: "u" }
    assert.deepStrictEqual(f.parse(frame), [{
      _tag: "Unknown",
      sessionId: f.session,
      uuid: "u",
      parentToolUseId: undefined,
      reason: "kind",
      type: "active_goal",
      raw: frame,
      issues: undefined,
      bytes: undefined
    }])
  })

  it.each(["worker_shutting_down", "plugin_install", "session_metadata", "turn_duration", "memory_saved"])(
    "the system subtype %s arrives whole as UnknownSystem",
    (subtype) => {
      const frame = f.system(subtype, { deep: { er: [1] } })
      const [message, ...more] = f.parse(frame)
      assert.deepStrictEqual(more, [])
      assert.strictEqual(message?._tag, "UnknownSystem")
      assert.deepStrictEqual<unknown>(message, { ...message, subtype, raw: frame, sessionId: f.session })
    }
  )

  it.each([[{ type: "system" }, "system"], [{ type: "system", subtype: 7 }, "system"], [{ type: 7 }, ""], [{}, ""]])(
    "a kind that is not told as text is none that is known: %o",
    (frame, type) => {
      const [message, ...more] = f.parse(frame)
      assert.deepStrictEqual(more, [])
      assert.deepInclude({ ...message }, { _tag: "Unknown", reason: "kind", type, raw: frame })
    }
  )

  it("fields that are new change nothing, and content blocks that are new arrive as they are", () => {
    const block = { type: "hologram", beam: { from: 1 } }
    const messages = f.parse(f.assistant("m1", [block], { new_field: { a: 1 } }), f.result("", { new_field: [] }))
    assert.deepStrictEqual(f.tags(messages), ["Assistant", "Stop", "Result"])
    assert.deepStrictEqual(only(messages, "Assistant")[0]?.content, [block])
  })

  it.each([
    [
      "assistant",
      f.assistant("m1", [f.says("a")], { message: { id: "m1", model: "x", content: "a" } }),
      "message.content"
    ],
    [
      "stream_event",
      f.delta("a", 0, { event: { type: "content_block_delta", delta: { text: 4 } } }),
      "event.delta.text"
    ],
    ["stream_event", f.delta("a", 0, { event: null }), "event"],
    ["system/init", { ...f.init, tools: [{ name: "Bash" }] }, "tools.0"],
    ["system/status", f.system("status", { uuid: 7 }), "uuid"],
    ["control_response", { type: "control_response", response: { subtype: "partly" } }, "response.subtype"]
  ])("a %s with a changed field arrives as Unknown that says where", (type, frame, field) => {
    const { control, messages } = f.parseBytes([f.bytes([frame])])
    const [message, ...more] = messages
    assert.deepStrictEqual([control, more], [[], []])
    assert.strictEqual(message?._tag, "Unknown")
    assert.deepStrictEqual<unknown>(message, { ...message, reason: "changed", type, raw: frame })
    assert.match(only(messages, "Unknown")[0]?.issues ?? "", new RegExp(`^${field}: `))
  })

  it("a result with changed figures arrives as Unknown, and what of it fits as the result that the run needs", () => {
    const frame = f.result("4", { total_cost_usd: "0.25", permission_denials: [{ tool: "Bash" }] })
    const messages = f.parse(frame)
    assert.deepStrictEqual(f.tags(messages), ["Unknown", "Stop", "Result"])
    assert.deepInclude({ ...only(messages, "Unknown")[0] }, { reason: "changed", type: "result", raw: frame })
    assert.deepInclude({ ...only(messages, "Result")[0] }, { result: "4", isError: false, permissionDenials: [] })
  })

  it("an init with changed plugins arrives as Unknown, and what of it fits as the start that it is", () => {
    const messages = f.parse({ ...f.init, plugins: ["demo"] })
    assert.deepStrictEqual(f.tags(messages), ["Unknown", "Init"])
    const init = only(messages, "Init")[0]
    assert.deepStrictEqual<unknown>([init?.tools, init?.plugins], [f.init.tools, undefined])
  })

  it("a result that does not say whether it is an error is none", () => {
    assert.deepStrictEqual(f.tags(f.parse(f.result("4", { is_error: "no" }))), ["Unknown"])
  })

  it("an issue names the place, not the megabytes or secrets in it", () => {
    const secret = "sk-ant-secret".repeat(100_000)
    const [message] = f.parse(f.result("4", { usage: { input_tokens: secret }, session_id: f.session }))
    assert.strictEqual(message?._tag, "Unknown")
    const { issues } = only([message], "Unknown")[0]!
    assert.isBelow(issues?.length ?? 0, 200)
    assert.notInclude(issues, "sk-ant")
  })

  it("a changed field with a hundred thousand entries is told at once", () => {
    const tools = Array.from({ length: 100_000 }, (_, id) => ({ id }))
    const [message] = f.parse({ ...f.init, tools })
    assert.strictEqual(message?._tag, "Unknown")
  })

  it("a message of more blocks than a call takes arguments arrives", () => {
    const content = Array.from({ length: 300_000 }, () => f.says("x"))
    const messages = f.parse(f.assistant("m1", content), f.result(""))
    assert.strictEqual(f.joined(messages).length, 300_000)
    assert.strictEqual(only(messages, "Assistant")[0]?.content.length, 300_000)
  })
})

describe("lines that are no frames", () => {
  it("are counted and change nothing, wherever they stand", () => {
    const { counts, messages } = f.parseBytes([
      f.bytes(["npm warn something", "[1,2]", "null", "", "  \r", "7", f.result("4"), "\u2028", "bye"])
    ])
    assert.deepStrictEqual(f.tags(messages), ["Stop", "Result"])
    assert.deepStrictEqual(counts, { bytes: counts.bytes, frames: 1, noise: 5, damaged: 0 })
  })

  it("do not hide a frame that stands behind white space or a mark of byte order", () => {
    for (const before of ["  ", "\t", "\ufeff", "\ufeff "]) {
      const { counts, messages } = f.parseBytes([f.bytes([`${before}${JSON.stringify(f.init)} \r`, "", f.result("4")])])
      assert.deepStrictEqual(f.tags(messages), ["Init", "Stop", "Result"])
      assert.strictEqual(counts.noise, 0)
    }
  })

  it("hide nothing where they are empty and begin a read, also after text beyond ASCII", () => {
    const reads = [f.bytes([f.init, "noise — 😀"]), f.bytes(["", f.init]), f.bytes(["", "", f.result("4")])]
    const { counts, messages } = f.parseBytes(reads)
    assert.deepStrictEqual(f.tags(messages), ["Init", "Init", "Stop", "Result"])
    assert.strictEqual(counts.bytes, reads.reduce((sum, { length }) => sum + length, 0))
  })

  it("a broken frame arrives as malformed with its text, and those after it are read", () => {
    const { counts, messages } = f.parseBytes([f.bytes([f.init, "{\"type\":\"result\",", f.result("4")])])
    assert.deepStrictEqual(f.tags(messages), ["Init", "Unknown", "Stop", "Result"])
    const [damaged] = only(messages, "Unknown")
    assert.deepStrictEqual([damaged?.reason, damaged?.raw], ["malformed", "{\"type\":\"result\","])
    assert.strictEqual(damaged?.sessionId, f.session)
    assert.deepStrictEqual([counts.frames, counts.damaged], [2, 1])
  })

  it("an oversized line arrives as its head, at the limit to the byte, and the stream goes on", () => {
    const big = JSON.stringify(f.result("x".repeat(5000)))
    for (const over of [0, 1]) {
      const { counts, messages } = f.parseBytes([f.bytes([big, f.result("4")])], { maxLineBytes: big.length - over })
      assert.deepStrictEqual(
        f.tags(messages),
        over === 0 ? ["Stop", "Result", "Stop", "Result"] : ["Unknown", "Stop", "Result"]
      )
      assert.strictEqual(counts.damaged, over)
      const [damaged] = only(messages, "Unknown")
      if (over === 1) {
        assert.deepStrictEqual([damaged?.reason, damaged?.bytes], ["oversized", big.length])
        assert.strictEqual(damaged?.raw, big.slice(0, 1024))
      }
    }
  })

  it("an oversized line has one head, however it is cut into reads and whatever stands before it", () => {
    const big = JSON.stringify(f.result("x".repeat(5000)))
    const all = f.bytes(["", big, f.result("4")])
    for (const size of [700, 1500, 3000, all.length]) {
      const reads = Array.from({ length: Math.ceil(all.length / size) }, (_, n) => all.slice(n * size, (n + 1) * size))
      const { messages } = f.parseBytes(reads, { maxLineBytes: 2000 })
      assert.deepStrictEqual(f.tags(messages), ["Unknown", "Stop", "Result"], `${size}`)
      assert.deepInclude({ ...only(messages, "Unknown")[0] }, { raw: big.slice(0, 1024), bytes: big.length })
    }
  })

  it("the last line may lack its newline when it is whole, and is truncated when it is not", () => {
    const line = JSON.stringify(f.result("4"))
    const whole = f.parseBytes([f.bytes([f.init]), new TextEncoder().encode(line)])
    assert.deepStrictEqual(f.tags(whole.messages), ["Init", "Stop", "Result"])
    const cut = f.parseBytes([f.bytes([f.init]), new TextEncoder().encode(line.slice(0, -9))])
    assert.deepStrictEqual(f.tags(cut.messages), ["Init", "Unknown"])
    const [damaged] = only(cut.messages, "Unknown")
    assert.deepStrictEqual([damaged?.reason, damaged?.raw], ["truncated", line.slice(0, -9)])
  })

  it.effect("the limit of a line is 64 MiB, and another where one is given", () =>
    Effect.gen(function*() {
      const { make } = yield* MessageParser.MessageParser
      const parser = yield* make
      assert.deepStrictEqual(f.tags(parser.push([f.bytes([f.result("x".repeat(2000))])])), ["Unknown"])
    }).pipe(Effect.provide(MessageParser.layerWith({ maxLineBytes: 2000 }))))
})
