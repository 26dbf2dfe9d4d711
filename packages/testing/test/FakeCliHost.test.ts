import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { at, type Frame, start, uuid } from "./fakeCli.js"

const partial = ["--include-partial-messages"]
const slow = [
  FakeCli.init(),
  FakeCli.text("one two three ", { deltas: 2, every: "1 second" }),
  FakeCli.result({ result: "one two three" })
]
const next = FakeCli.answer("B")
const block = (frame: Frame | undefined) => at(frame, "message.content.0")
const resultsOfTools = (frames: ReadonlyArray<Frame>) =>
  frames.filter((frame) => at(frame, "message.content.0.type") === "tool_result").map((frame) => {
    const { content, is_error } = block(frame) as Frame
    return [content, is_error]
  })

describe("an interrupt", () => {
  it.scoped("ends the turn with what was said, keeps the process, and queued prompts run", () =>
    Effect.gen(function*() {
      const cli = yield* start(partial)
      yield* cli.send(cli.line("one", 1), cli.line("two", 2))
      yield* TestClock.adjust("1 second")
      const before = cli.frames.length
      assert.deepInclude(yield* cli.control("interrupt"), { response: { still_queued: [uuid(2)] } })
      assert.deepStrictEqual(cli.story().slice(before), [
        "control_response",
        "assistant aborted [1]",
        "[Request interrupted by user]",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "result aborted_streaming [1]",
        "cancelled 1",
        "started 2",
        "init [2]",
        "message_start [2]",
        "content_block_start",
        "content_block_delta",
        "assistant [2]",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "result completed [2]",
        "completed 2"
      ])
      assert.deepStrictEqual(block(cli.frames[before + 1]), { type: "text", text: "one two" })
      assert.deepInclude(cli.results()[0], { is_error: true, num_turns: 2, result_index: 0, total_cost_usd: 0 })
      assert.notProperty(cli.results()[0], "result")
    }).pipe(Effect.provide(FakeCli.layer([slow, next]))))

  it.scoped("ends a running tool with an error, and spares a turn that has its result", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.prompt("one", 1)
      const before = cli.frames.length
      yield* cli.control("interrupt")
      assert.deepStrictEqual(cli.story().slice(before), [
        "control_response",
        "tool error",
        "[Request interrupted by user for tool use]",
        "result aborted_tools [1]",
        "cancelled 1"
      ])
      yield* cli.prompt("two", 2)
      const after = cli.frames.length
      yield* cli.control("interrupt")
      yield* cli.control("interrupt")
      assert.deepStrictEqual(cli.story().slice(after), ["control_response", "control_response"])
    }).pipe(Effect.provide(FakeCli.layer([
      [FakeCli.init(), FakeCli.toolUse("toolu_1", "Bash", {}), FakeCli.hang],
      [...next, FakeCli.hang]
    ]))))

  it.scoped("withdraws what was asked, before it answers", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.prompt("one", 1)
      const before = cli.frames.length
      yield* cli.control("interrupt")
      assert.deepStrictEqual(cli.story().slice(before, before + 2), ["control_cancel_request", "control_response"])
      assert.strictEqual(cli.frames[before]!["request_id"], cli.frames[before - 1]!["request_id"])
      assert.include(cli.results()[0], { terminal_reason: "aborted_tools" })
    }).pipe(Effect.provide(FakeCli.layer([[FakeCli.init(), FakeCli.askPermission("Bash", {})]]))))

  it.scoped("takes prompts that queue with it when told to", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.send(cli.line("one", 1), cli.line("two", 2))
      assert.deepInclude(yield* cli.control("interrupt", { cancel_queued: true }), {
        response: { still_queued: [], cancelled: [uuid(2)] }
      })
      assert.deepStrictEqual(cli.story().slice(-3), [
        "[Request interrupted by user]",
        "result aborted_streaming [1]",
        "cancelled 1"
      ])
    }).pipe(Effect.provide(FakeCli.layer([slow, next]))))

  it.scoped("of one that has only just begun still ends it", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.send(cli.line("one", 1), {
        type: "control_request",
        request_id: "i",
        request: { subtype: "interrupt" }
      })
      assert.deepStrictEqual(cli.story().slice(-2), ["result aborted_streaming [1]", "cancelled 1"])
      yield* cli.prompt("two", 2)
      assert.strictEqual(cli.results().length, 2)
    }).pipe(Effect.provide(FakeCli.layer([slow, next]))))

  it.scoped("is acknowledged without a word by 2.1.197, which marks nothing as aborted", () =>
    Effect.gen(function*() {
      const cli = yield* start(partial)
      yield* cli.prompt("one", 1)
      yield* TestClock.adjust("1 second")
      const before = cli.frames.length
      assert.notProperty(yield* cli.control("interrupt"), "response")
      assert.deepStrictEqual(cli.story().slice(before), [
        "control_response",
        "assistant",
        "[Request interrupted by user]",
        "result aborted_streaming"
      ])
    }).pipe(Effect.provide(FakeCli.layer({ turns: [slow], version: "2.1.197" }))))

  it.scoped("by a signal ends the process too, and says nothing of a tool", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.prompt("one", 1)
      yield* cli.cli.interrupt
      yield* TestClock.adjust("0 millis")
      assert.deepStrictEqual(cli.story().slice(-3), [
        "tool error",
        "[Request interrupted by user for tool use]",
        "cancelled 1"
      ])
      assert.deepStrictEqual([yield* cli.cli.exit, cli.ended()], [{ code: 0, signal: null }, true])
    }).pipe(Effect.provide(FakeCli.layer([[
      FakeCli.init(),
      FakeCli.toolUse("toolu_1", "Bash", {}),
      FakeCli.hang
    ]]))))
})

describe("control requests", () => {
  const success = (response: unknown) => ({ subtype: "success", response })

  it.scoped("of a session are answered as the CLI answers them", () =>
    Effect.gen(function*() {
      const cli = yield* start(["--model=opus"], { CLAUDE_CODE_ENABLE_SDK_FILE_CHECKPOINTING: "1" })
      const initialized = yield* cli.control("initialize", { sdkMcpServers: ["calc"] })
      for (const field of ["commands", "agents", "models"]) {
        assert.isDefined(at(initialized, `response.${field}.0`), field)
      }
      assert.deepInclude(at(initialized, "response"), { claude_code_version: "2.1.330", output_style: "default" })
      for (const field of ["account", "capabilities", "pid"]) assert.property(at(initialized, "response"), field)
      assert.deepInclude(yield* cli.control("mcp_reconnect", { serverName: "calc" }), success({}))
      assert.deepInclude(yield* cli.control("mcp_toggle", { serverName: "nope", enabled: true }), {
        subtype: "error",
        error: "Server not found: nope"
      })
      assert.deepInclude(at(yield* cli.control("mcp_status"), "response.mcpServers.0"), {
        name: "calc",
        status: "connected"
      })
      assert.deepInclude(at(yield* cli.control("get_context_usage"), "response"), { maxTokens: 200_000 })
      assert.notProperty(yield* cli.control("set_max_thinking_tokens", { max_thinking_tokens: 1024 }), "response")
      assert.deepInclude(yield* cli.control("stop_task", { task_id: "nope" }), success({}))
      assert.deepInclude(
        yield* cli.control("cancel_async_message", { message_uuid: uuid(9) }),
        success({ cancelled: false })
      )
      yield* cli.prompt("one", 1)
      assert.deepInclude(yield* cli.control("rewind_files", { user_message_id: uuid(1), dry_run: true }), {
        response: { canRewind: true, filesChanged: [], insertions: 0, deletions: 0 }
      })
      assert.deepInclude(at(yield* cli.control("rewind_files", { user_message_id: uuid(7) }), "response"), {
        canRewind: false
      })
      assert.deepInclude(yield* cli.control("banana"), {
        subtype: "error",
        error: "Unsupported control request subtype: banana",
        error_code: "unsupported_request"
      })
      assert.deepInclude(yield* cli.control("constructor"), { error_code: "unsupported_request" })
      assert.deepInclude(yield* cli.control("end_session"), { subtype: "success" })
      assert.deepStrictEqual(yield* cli.cli.exit, { code: 0, signal: null })
    }).pipe(Effect.provide(FakeCli.layer([FakeCli.answer("A")]))))

  it.scoped("change the model and the mode from the next turn on", () =>
    Effect.gen(function*() {
      const cli = yield* start(["--model=opus", "--permission-mode=plan"])
      yield* cli.prompt("one")
      assert.deepInclude(yield* cli.control("set_model", { model: "haiku" }), success({ model: "claude-fake-haiku" }))
      assert.deepInclude(yield* cli.control("set_model", { model: 42 }), { error_code: "invalid_request" })
      assert.deepInclude(
        yield* cli.control("set_permission_mode", { mode: "acceptEdits" }),
        success({ mode: "acceptEdits" })
      )
      assert.deepInclude(yield* cli.control("set_permission_mode", { mode: "x" }), { error_code: "invalid_mode" })
      assert.deepInclude(yield* cli.control("set_permission_mode", { mode: "bypassPermissions" }), {
        error_code: "bypass_not_launched"
      })
      yield* cli.prompt("two")
      assert.deepStrictEqual(
        cli.frames.filter((frame) => frame["subtype"] === "init").map((
          frame
        ) => [frame["model"], frame["permissionMode"]]),
        [["opus", "plan"], ["claude-fake-haiku", "acceptEdits"]]
      )
      assert.deepInclude(cli.frames.find((frame) => frame["subtype"] === "status"), { permissionMode: "acceptEdits" })
      assert.include(String(at(cli.frames.find((frame) => frame["isReplay"]), "message.content")), "Set model to")
    }).pipe(Effect.provide(FakeCli.layer({ respond: (prompt) => FakeCli.answer(prompt) }))))

  it.scoped("take a queued prompt back", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.send(cli.line("one", 1), cli.line("two", 2))
      assert.deepInclude(
        yield* cli.control("cancel_async_message", { message_uuid: uuid(2) }),
        success({ cancelled: true, message_uuid: uuid(2) })
      )
      assert.deepStrictEqual(cli.story().slice(-2), ["cancelled 2", "control_response"])
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(cli.results().length, 1)
    }).pipe(Effect.provide(FakeCli.layer([slow, next]))))

  it.scoped("are answered as the script says, or not at all, and then do nothing", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.prompt("one", 1)
      assert.deepInclude(yield* cli.control("get_context_usage", { detail: "full" }), success({ of: "full" }))
      assert.deepInclude(yield* cli.control("set_model", { model: "x" }), {
        subtype: "error",
        error: "No.",
        error_code: "no"
      })
      assert.isUndefined(yield* cli.control("interrupt"))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(cli.results().map((frame) => frame["terminal_reason"]), ["completed"])
    }).pipe(Effect.provide(FakeCli.layer({
      turns: [slow],
      controls: {
        get_context_usage: ({ detail }) => ({ of: detail }),
        set_model: () => FakeCli.refused("No.", "no"),
        interrupt: () => FakeCli.unanswered
      }
    }))))

  it.scoped("are answered by 2.1.197 without its version and what it can do", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      const { response } = (yield* cli.control("initialize")) as { readonly response: Frame }
      assert.property(response, "commands")
      assert.notProperty(response, "capabilities")
      assert.notProperty(response, "claude_code_version")
    }).pipe(Effect.provide(FakeCli.layer({ version: "2.1.197" }))))
})

describe("permissions", () => {
  const asking = [
    FakeCli.init(),
    FakeCli.askPermission("Bash", { command: "ls" }),
    ...FakeCli.answer("done").slice(1)
  ]
  const scripted = [
    FakeCli.init(),
    FakeCli.toolUse("toolu_1", "Bash", { command: "ls" }),
    FakeCli.askPermission("Bash", { command: "ls" }),
    FakeCli.toolResult("toolu_1", "a.ts"),
    ...FakeCli.answer("done").slice(1)
  ]

  it.scoped("allowed: the tool runs, with the input that was allowed", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.prompt("go", 1)
      const [request] = cli.asked()
      assert.deepInclude(request, { subtype: "can_use_tool", tool_name: "Bash", input: { command: "ls" } })
      assert.strictEqual(at(request, "tool_use_id"), at(cli.frames[3], "message.content.0.id"))
      yield* cli.answer({ behavior: "allow", updatedInput: { command: "pwd" } })
      assert.deepStrictEqual(resultsOfTools(cli.frames), [["allowed: {\"command\":\"pwd\"}", false]])
      assert.deepStrictEqual(cli.results()[0]!["permission_denials"], [])
    }).pipe(Effect.provide(FakeCli.layer([asking]))))

  it.scoped("allowed behind a tool use: the script goes on with its own result", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.prompt("go")
      assert.strictEqual(at(cli.asked()[0], "tool_use_id"), "toolu_1")
      yield* cli.answer({ behavior: "allow" })
      assert.deepStrictEqual(resultsOfTools(cli.frames), [["a.ts", false]])
      assert.deepStrictEqual(cli.story(), [
        "init",
        "assistant",
        "can_use_tool",
        "tool result",
        "assistant",
        "result completed"
      ])
    }).pipe(Effect.provide(FakeCli.layer([scripted]))))

  it.scoped("denied: the reason is the tool's only result, and the result counts it", () =>
    Effect.gen(function*() {
      for (const script of [0, 1]) {
        const cli = yield* start()
        yield* cli.prompt("go")
        yield* cli.answer({ behavior: "deny", message: "NOT TODAY" })
        assert.deepStrictEqual(resultsOfTools(cli.frames), [["NOT TODAY", true]], String(script))
        assert.deepInclude(at(cli.results()[0], "permission_denials.0"), {
          tool_name: "Bash",
          tool_input: { command: "ls" }
        })
        assert.strictEqual(cli.results()[0]!["result"], "done")
      }
    }).pipe(Effect.provide(FakeCli.layer((index) => ({ turns: [index === 0 ? asking : scripted] })))))

  it.scoped("an error for an answer, and an input that ends, deny too", () =>
    Effect.gen(function*() {
      const failed = yield* start()
      yield* failed.prompt("go")
      yield* failed.answer({}, "broken")
      const closed = yield* start()
      yield* closed.prompt("go")
      yield* closed.cli.closeInput
      yield* TestClock.adjust("0 millis")
      assert.deepStrictEqual([failed, closed].flatMap(({ frames }) => resultsOfTools(frames)), [
        ["broken", true],
        ["Tool permission stream closed before response received", true]
      ])
      assert.isTrue(closed.ended())
    }).pipe(Effect.provide(FakeCli.layer([asking]))))

  it.scoped("a question that comes after the input has ended is denied unasked", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.prompt("go")
      yield* cli.cli.closeInput
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(cli.asked(), [])
      assert.strictEqual(resultsOfTools(cli.frames)[0]?.[1], true)
      assert.isTrue(cli.ended())
    }).pipe(Effect.provide(FakeCli.layer([[FakeCli.init(), FakeCli.delay("1 second"), ...asking.slice(1)]]))))

  it.scoped("an answer is repeated where prompts are", () =>
    Effect.gen(function*() {
      const cli = yield* start(["--replay-user-messages"])
      yield* cli.prompt("go", 1)
      yield* cli.answer({ behavior: "allow" })
      assert.deepInclude(cli.frames.find((frame) => frame["type"] === "control_response"), {
        response: { subtype: "success", request_id: cli.frames[5]!["request_id"], response: { behavior: "allow" } }
      })
    }).pipe(Effect.provide(FakeCli.layer([asking]))))

  it.scoped("a denial may end the turn, and the next one runs", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.prompt("go", 1)
      yield* cli.answer({ behavior: "deny", message: "STOP", interrupt: true })
      assert.deepStrictEqual(cli.story().slice(-4), [
        "tool error",
        "[Request interrupted by user for tool use]",
        "result aborted_tools [1]",
        "cancelled 1"
      ])
      yield* cli.prompt("next", 2)
      assert.include(cli.results()[1], { result: "B" })
    }).pipe(Effect.provide(FakeCli.layer([asking, next]))))

  it.scoped("a prompt that waits when a denial ends the turn has a turn of its own", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.prompt("go", 1)
      yield* cli.prompt("next", 2)
      yield* cli.answer({ behavior: "deny", message: "STOP", interrupt: true })
      assert.deepStrictEqual(cli.results().map((frame) => frame["user_message_uuids"]), [[uuid(1)], [uuid(2)]])
      assert.include(cli.results()[1], { result: "B" })
    }).pipe(Effect.provide(FakeCli.layer([asking, next]))))
})

describe("hooks", () => {
  const hooks = {
    PreToolUse: [{ matcher: "Bash|Write", hookCallbackIds: ["pre"] }, { matcher: "Read", hookCallbackIds: ["never"] }],
    PostToolUse: [{ matcher: null, hookCallbackIds: ["post1", "post2"] }],
    UserPromptSubmit: [{ hookCallbackIds: ["prompt"] }]
  }
  const tool = { tool_name: "Bash", tool_input: { command: "ls" } }
  const turn = [
    FakeCli.askHook("UserPromptSubmit", { prompt: "go" }),
    FakeCli.init(),
    FakeCli.toolUse("toolu_1", "Bash", { command: "ls" }),
    FakeCli.askHook("PreToolUse", tool),
    FakeCli.toolResult("toolu_1", "a.ts"),
    FakeCli.askHook("Stop"),
    ...FakeCli.answer("done").slice(1)
  ]
  const begun = Effect.gen(function*() {
    const cli = yield* start()
    yield* cli.control("initialize", { hooks })
    yield* cli.prompt("go")
    return cli
  })

  it.scoped("those that are registered for the event and the tool are called, with the facts", () =>
    Effect.gen(function*() {
      const cli = yield* begun
      assert.deepInclude(cli.asked()[0], { subtype: "hook_callback", callback_id: "prompt" })
      assert.deepInclude(at(cli.asked()[0], "input"), { hook_event_name: "UserPromptSubmit", prompt: "go" })
      yield* cli.answer({})
      assert.deepInclude(cli.asked()[1], { callback_id: "pre", tool_use_id: "toolu_1" })
      assert.deepInclude(at(cli.asked()[1], "input"), { ...tool, tool_use_id: "toolu_1", permission_mode: "default" })
      yield* cli.answer({ continue: true })
      assert.deepStrictEqual(resultsOfTools(cli.frames), [["a.ts", false]])
      assert.strictEqual(cli.asked().length, 2)
      assert.include(cli.results()[0], { result: "done" })
    }).pipe(Effect.provide(FakeCli.layer([turn]))))

  it.scoped("several for one event are asked at once", () =>
    Effect.gen(function*() {
      const cli = yield* begun
      assert.deepStrictEqual(cli.asked().map((request) => at(request, "callback_id")), ["post1", "post2"])
      yield* cli.answer({})
      assert.deepStrictEqual(cli.results(), [])
      yield* cli.answer({})
      assert.strictEqual(cli.results().length, 1)
    }).pipe(Effect.provide(FakeCli.layer([[FakeCli.askHook("PostToolUse", tool), ...FakeCli.answer("A")]]))))

  it.scoped("a denial is the result of the tool", () =>
    Effect.gen(function*() {
      const cli = yield* begun
      yield* cli.answer({})
      yield* cli.answer({
        hookSpecificOutput: {
          hookEventName: "PreToolUse",
          permissionDecision: "deny",
          permissionDecisionReason: "HOOK SAYS NO"
        }
      })
      assert.deepStrictEqual(resultsOfTools(cli.frames), [["PreToolUse:Bash hook error: HOOK SAYS NO", true]])
      assert.deepInclude(at(cli.results()[0], "permission_denials.0"), { tool_use_id: "toolu_1" })
    }).pipe(Effect.provide(FakeCli.layer([turn]))))

  it.scoped("a blocked prompt ends the turn before it begins, and continue: false wherever it is", () =>
    Effect.gen(function*() {
      const blocked = yield* begun
      yield* blocked.answer({ decision: "block", reason: "no such prompts" })
      assert.deepStrictEqual(blocked.story().slice(-3), ["init", "informational", "result undefined"])
      assert.include(blocked.results()[0], { result: "", num_turns: 0 })
      const stopped = yield* begun
      yield* stopped.answer({})
      yield* stopped.answer({ continue: false, stopReason: "enough" })
      assert.include(stopped.results()[0], { terminal_reason: "hook_stopped", result: "" })
      assert.strictEqual(stopped.results().length, 1)
    }).pipe(Effect.provide(FakeCli.layer([turn]))))

  it.scoped("one that fails is told, and the turn goes on", () =>
    Effect.gen(function*() {
      const cli = yield* begun
      yield* cli.answer({}, "it broke")
      assert.deepInclude(cli.frames.find((frame) => frame["subtype"] === "informational"), {
        tag: "hook_callback_failed"
      })
      yield* cli.answer({})
      assert.include(cli.results()[0], { result: "done" })
    }).pipe(Effect.provide(FakeCli.layer([turn]))))
})

describe("tools of the program", () => {
  const call = [FakeCli.init(), FakeCli.callTool("calc", "add", { a: 2, b: 3 }), ...FakeCli.answer("done").slice(1)]
  const rpc = (result: unknown) => ({ mcp_response: { jsonrpc: "2.0", id: 0, result } })
  const tools = rpc({ tools: [{ name: "add", inputSchema: { type: "object" } }] })

  it.scoped("are called after a handshake, once, and their answer is the tool's result", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.control("initialize", { sdkMcpServers: ["calc"] })
      yield* cli.prompt("add", 1)
      for (const answer of [rpc({}), rpc({}), tools, rpc({ content: [{ type: "text", text: "5" }] })]) {
        yield* cli.answer(answer)
      }
      yield* cli.prompt("again", 2)
      yield* cli.answer({ mcp_response: { jsonrpc: "2.0", id: 3, error: { code: -32000, message: "RPC FAIL" } } })
      yield* cli.prompt("and again", 3)
      yield* cli.answer(rpc({ isError: true, content: [{ type: "text", text: "BOOM" }] }))
      yield* cli.prompt("last", 4)
      yield* cli.answer({}, "refused")
      assert.deepStrictEqual(cli.asked().map((request) => at(request, "message.method")), [
        "initialize",
        "notifications/initialized",
        "tools/list",
        ...Array.from({ length: 4 }, () => "tools/call")
      ])
      const use = cli.frames.find((frame) => frame["type"] === "assistant")
      assert.deepInclude(block(use), { type: "tool_use", name: "mcp__calc__add", input: { a: 2, b: 3 } })
      assert.deepInclude(at(cli.asked()[3], "message.params"), { name: "add", arguments: { a: 2, b: 3 } })
      assert.strictEqual(
        at(cli.asked()[3], "message.params._meta.claudecode/toolUseId"),
        at(use, "message.content.0.id")
      )
      assert.deepStrictEqual(new Set(cli.asked().slice(2).map((request) => at(request, "message.id"))).size, 5)
      assert.deepStrictEqual(resultsOfTools(cli.frames), [
        [[{ type: "text", text: "5" }], false],
        ["RPC FAIL", true],
        [[{ type: "text", text: "BOOM" }], true],
        ["refused", true]
      ])
      assert.strictEqual(cli.results().length, 4)
    }).pipe(Effect.provide(FakeCli.layer({ respond: () => call }))))

  it.scoped("that nobody serves are not there", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.prompt("add")
      assert.deepStrictEqual(cli.asked(), [])
      yield* cli.control("initialize", { sdkMcpServers: ["calc"] })
      yield* cli.prompt("add")
      for (const answer of [rpc({}), rpc({}), rpc({ tools: [] })]) yield* cli.answer(answer)
      for (const [content, isError] of resultsOfTools(cli.frames)) {
        assert.include(String(content), "No such tool available: mcp__calc__add")
        assert.isTrue(isError)
      }
      assert.strictEqual(cli.results().length, 2)
    }).pipe(Effect.provide(FakeCli.layer({ respond: () => call }))))

  it.scoped("are withdrawn by an interrupt, and prompts that come meanwhile steer", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.control("initialize", { sdkMcpServers: ["calc"] })
      yield* cli.prompt("add", 1)
      yield* cli.prompt("steer", 2)
      for (const answer of [rpc({}), rpc({}), tools, rpc({ content: [] })]) yield* cli.answer(answer)
      assert.deepStrictEqual(cli.results()[0]!["user_message_uuids"], [uuid(1), uuid(2)])
      yield* cli.prompt("again", 3)
      yield* cli.control("interrupt")
      assert.include(cli.story(), "control_cancel_request")
      assert.include(cli.results()[1], { terminal_reason: "aborted_tools" })
    }).pipe(Effect.provide(FakeCli.layer({ respond: () => call }))))
})
