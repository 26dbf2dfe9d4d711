import type { Message } from "@ccflow/core/Message"
import { assert, describe, it } from "@effect/vitest"
import * as f from "./frames.js"

const told = (...frames: ReadonlyArray<f.Frame>): ReadonlyArray<unknown> => f.parse(...frames)

const main = { sessionId: "s", uuid: "u", parentToolUseId: undefined }
const inTool = { ...main, parentToolUseId: "p" }
const base = { session_id: "s", uuid: "u", parent_tool_use_id: "p" }
const system = (subtype: string, fields: f.Frame) => ({ type: "system", subtype, ...base, ...fields })
const bare = { sessionId: "", uuid: undefined, parentToolUseId: undefined }
const noUsage = { inputTokens: 0, outputTokens: 0, cacheReadInputTokens: 0, cacheCreationInputTokens: 0 }

const info = {
  status: "rejected",
  resetsAt: 1795352053,
  rateLimitType: "five_hour",
  utilization: 0.5,
  isUsingOverage: true,
  overageStatus: "allowed"
}
const task = {
  task_id: "t1",
  tool_use_id: "tu1",
  summary: "at 3",
  description: "Count",
  status: "running",
  patch: { status: "completed" },
  is_backgrounded: false,
  task_type: "local_bash",
  subagent_type: "Explore",
  last_tool_name: "Grep",
  usage: { total_tokens: 100, tool_uses: 2, duration_ms: 30 }
}
const compact = { trigger: "auto", pre_tokens: 900, post_tokens: 90, duration_ms: 9 }
const hook = { hook_id: "h", hook_name: "Stop:x", hook_event: "Stop", output: "said", exit_code: 2, outcome: "error" }

/** Each frame with every field that is read, and what must come of it. */
const whole: ReadonlyArray<readonly [frame: f.Frame, message: f.Frame]> = [
  [
    system("init", {
      model: "opus",
      cwd: "/w",
      tools: ["Bash"],
      mcp_servers: [{ name: "m", status: "connected", source: "project" }, { name: "n", status: "failed" }],
      permissionMode: "plan",
      apiKeySource: "none",
      claude_code_version: "2.1.330",
      slash_commands: ["/a"],
      agents: ["b"],
      skills: ["c"],
      plugins: [{ name: "k", path: "/k", source: "k@inline", version: "1.0.0" }, { name: "l", path: null }],
      capabilities: ["d"],
      output_style: "terse",
      user_message_uuids: ["e"]
    }),
    {
      _tag: "Init",
      ...main,
      model: "opus",
      cwd: "/w",
      tools: ["Bash"],
      mcpServers: [{ name: "m", status: "connected", source: "project" }, {
        name: "n",
        status: "failed",
        source: undefined
      }],
      permissionMode: "plan",
      apiKeySource: "none",
      cliVersion: "2.1.330",
      slashCommands: ["/a"],
      agents: ["b"],
      skills: ["c"],
      plugins: [
        { name: "k", path: "/k", source: "k@inline", version: "1.0.0" },
        { name: "l", path: undefined, source: undefined, version: undefined }
      ],
      capabilities: ["d"],
      outputStyle: "terse",
      userMessageUuids: ["e"]
    }
  ],
  [
    { type: "rate_limit_event", ...base, rate_limit_info: info },
    {
      _tag: "RateLimit",
      ...main,
      status: "rejected",
      limit: "five_hour",
      resetsAt: 1795352053000,
      utilization: 0.5,
      usingOverage: true,
      overageStatus: "allowed",
      raw: info
    }
  ],
  [
    system("api_retry", { attempt: 1, max_retries: 10, retry_delay_ms: 515, error_status: 529, error: "overloaded" }),
    { _tag: "ApiRetry", ...main, attempt: 1, maxRetries: 10, delayMs: 515, status: 529, error: "overloaded" }
  ],
  [
    system("permission_denied", { tool_name: "Write", tool_use_id: "tu1", message: "no", decision_reason: "rule" }),
    { _tag: "PermissionDenied", ...inTool, tool: "Write", toolUseId: "tu1", content: "no", reason: "rule" }
  ],
  [
    system("task_progress", task),
    {
      _tag: "Task",
      ...main,
      phase: "progress",
      taskId: "t1",
      toolUseId: "tu1",
      description: "at 3",
      status: "running",
      background: false,
      taskType: "local_bash",
      subagentType: "Explore",
      lastTool: "Grep",
      usage: { totalTokens: 100, toolUses: 2, durationMs: 30 },
      live: [],
      raw: system("task_progress", task)
    }
  ],
  [
    system("background_tasks_changed", { tasks: [{ task_id: "t1" }] }),
    {
      _tag: "Task",
      ...main,
      phase: "background",
      taskId: "",
      toolUseId: undefined,
      description: "",
      status: undefined,
      background: true,
      live: ["t1"],
      raw: system("background_tasks_changed", { tasks: [{ task_id: "t1" }] })
    }
  ],
  [
    system("compact_boundary", { compact_metadata: compact }),
    {
      _tag: "Compact",
      ...main,
      trigger: "auto",
      preTokens: 900,
      postTokens: 90,
      durationMs: 9,
      raw: system("compact_boundary", { compact_metadata: compact })
    }
  ],
  [
    system("hook_progress", hook),
    {
      _tag: "Hook",
      ...main,
      phase: "progress",
      hookId: "h",
      name: "Stop:x",
      event: "Stop",
      output: "said",
      exitCode: 2,
      outcome: "error"
    }
  ],
  [
    system("status", { status: "requesting" }),
    {
      _tag: "Status",
      ...inTool,
      kind: "status",
      content: "requesting",
      raw: system("status", { status: "requesting" })
    }
  ],
  [
    { type: "user", ...base, message: { content: [f.says("go"), f.says(" on")] }, isSynthetic: true, isReplay: true },
    { _tag: "User", ...inTool, content: "go on", blocks: [f.says("go"), f.says(" on")], synthetic: true, replay: true }
  ],
  [
    { type: "of_tomorrow", ...base },
    {
      _tag: "Unknown",
      ...inTool,
      reason: "kind",
      type: "of_tomorrow",
      raw: { type: "of_tomorrow", ...base },
      issues: undefined,
      bytes: undefined
    }
  ],
  [
    system("of_tomorrow", {}),
    { _tag: "UnknownSystem", ...inTool, subtype: "of_tomorrow", raw: system("of_tomorrow", {}) }
  ]
]

/** Each frame with what it must have and no more, once left out and once null, and what must come of it. */
const least: ReadonlyArray<readonly [frame: f.Frame, left: ReadonlyArray<string>, message: f.Frame]> = [
  [
    { type: "system", subtype: "init", model: "opus", tools: [] },
    [
      "cwd",
      "mcp_servers",
      "permissionMode",
      "apiKeySource",
      "claude_code_version",
      "slash_commands",
      "agents",
      "skills",
      "plugins",
      "capabilities",
      "output_style",
      "user_message_uuids"
    ],
    {
      _tag: "Init",
      ...bare,
      model: "opus",
      cwd: "",
      tools: [],
      mcpServers: [],
      permissionMode: "",
      apiKeySource: "",
      cliVersion: "",
      slashCommands: [],
      agents: [],
      skills: [],
      plugins: undefined,
      capabilities: [],
      outputStyle: "",
      userMessageUuids: undefined
    }
  ],
  [
    { type: "system", subtype: "api_retry", attempt: 1, max_retries: 2, retry_delay_ms: 3 },
    ["error_status", "error"],
    { _tag: "ApiRetry", ...bare, attempt: 1, maxRetries: 2, delayMs: 3, status: null, error: "" }
  ],
  [
    { type: "system", subtype: "permission_denied", tool_name: "Write", tool_use_id: "tu1" },
    ["message", "decision_reason"],
    { _tag: "PermissionDenied", ...bare, tool: "Write", toolUseId: "tu1", content: "", reason: undefined }
  ],
  [
    { type: "system", subtype: "hook_started" },
    ["hook_id", "hook_name", "hook_event", "output", "exit_code", "outcome"],
    {
      _tag: "Hook",
      ...bare,
      phase: "started",
      hookId: "",
      name: "",
      event: "",
      output: undefined,
      exitCode: undefined,
      outcome: undefined
    }
  ]
]

describe("a frame's message carries", () => {
  it.each(whole)("all that the frame says: %o", (frame, message) => {
    const [first] = told(frame)
    assert.deepStrictEqual(first, message)
  })

  it.each(least)("nothing that the frame does not say: %o", (frame, left, message) => {
    const nulls = Object.fromEntries([...left, "session_id", "uuid"].map((name) => [name, null]))
    for (const given of [frame, { ...frame, ...nulls }]) assert.deepStrictEqual(told(given), [message])
  })

  it("of a task what is newest and most exact of what it says", () => {
    const of = (fields: f.Frame) => told(system("task_updated", { task_id: "t1", ...fields }))[0]
    assert.deepInclude(of({ description: "Count", patch: { status: "completed" } }), {
      description: "Count",
      status: "completed",
      toolUseId: undefined,
      background: false,
      taskType: undefined,
      subagentType: undefined,
      lastTool: undefined,
      usage: undefined
    })
    assert.deepInclude(of({ patch: null }), { description: "", status: undefined })
    assert.deepInclude(of({ usage: {} }), { usage: { totalTokens: 0, toolUses: 0, durationMs: 0 } })
  })

  it("of a limit or a compaction that says little, no more than that", () => {
    const limit = { type: "rate_limit_event", rate_limit_info: { status: "allowed", resetsAt: null } }
    assert.deepInclude(told(limit)[0], {
      ...bare,
      limit: "",
      resetsAt: undefined,
      utilization: undefined,
      usingOverage: undefined,
      overageStatus: undefined
    })
    for (const compact_metadata of [undefined, null, {}]) {
      assert.deepInclude(told({ type: "system", subtype: "compact_boundary", compact_metadata })[0], {
        ...bare,
        trigger: undefined,
        preTokens: undefined,
        postTokens: undefined,
        durationMs: undefined
      })
    }
  })

  it("of a notice its text, wherever the CLI puts it", () => {
    for (const field of ["status", "state", "content", "text", "title", "suggestion"]) {
      assert.deepInclude(told({ type: "auth_status", [field]: "said" })[0], { kind: "auth_status", content: "said" })
    }
    assert.deepInclude(told({ type: "auth_status", status: 7 })[0], { content: "" })
    assert.deepInclude(told({ type: "auth_status" })[0], { ...bare, content: "" })
  })

  it("of a model's message its blocks, uses of tools, their results and its error, each with its thread", () => {
    const message = {
      id: "m1",
      model: "opus",
      content: [
        f.says("said"),
        f.thinks("thought"),
        f.uses("tu1", "Bash", { command: "ls" }),
        { type: "web_search_tool_result", tool_use_id: "tu1", content: "found", is_error: true }
      ],
      stop_reason: "end_turn",
      usage: { input_tokens: 1, output_tokens: 2, cache_read_input_tokens: 3, cache_creation_input_tokens: 4 }
    }
    const error = {
      error: "server_error",
      api_error_status: 500,
      api_error_type: "api_error",
      api_error: "connection_failed",
      request_id: "req"
    }
    const frame = { type: "assistant", ...base, message, ...error, aborted: true }
    const one = { ...inTool, messageId: "m1" }
    assert.deepStrictEqual(told(frame), [
      { _tag: "Text", ...one, content: "said", delta: false, retract: undefined },
      { _tag: "Thinking", ...one, content: "thought", delta: false, retract: undefined },
      { _tag: "ToolUse", ...one, id: "tu1", tool: "Bash", input: { command: "ls" } },
      {
        _tag: "ToolResult",
        ...inTool,
        toolUseId: "tu1",
        tool: "Bash",
        content: "found",
        isError: true,
        blocks: undefined,
        details: undefined
      },
      {
        _tag: "Error",
        ...inTool,
        code: "server_error",
        content: "said",
        status: 500,
        type: "api_error",
        apiError: "connection_failed",
        requestId: "req"
      },
      {
        _tag: "Assistant",
        ...one,
        model: "opus",
        content: message.content,
        stopReason: "end_turn",
        usage: { inputTokens: 1, outputTokens: 2, cacheReadInputTokens: 3, cacheCreationInputTokens: 4 },
        aborted: true
      }
    ])
    const empty = { type: "assistant", message: { id: "m1", model: "opus", content: [f.uses("t", "Bash")] } }
    const given = { type: "web_search_tool_result", tool_use_id: "x" }
    const odd = { ...empty, message: { ...empty.message, content: [{ type: "text" }, given] }, error: "unknown" }
    assert.deepStrictEqual(
      told(empty),
      [
        { _tag: "ToolUse", ...bare, messageId: "m1", id: "t", tool: "Bash", input: {} },
        {
          _tag: "Assistant",
          ...bare,
          messageId: "m1",
          model: "opus",
          content: [f.uses("t", "Bash")],
          stopReason: null,
          usage: noUsage,
          aborted: false
        }
      ].map((message) => message._tag === "ToolUse" ? { ...message, input: {} } : message)
    )
    assert.deepStrictEqual(told(odd).slice(0, 2), [
      {
        _tag: "ToolResult",
        ...bare,
        toolUseId: "x",
        tool: "",
        content: "",
        isError: false,
        blocks: undefined,
        details: undefined
      },
      {
        _tag: "Error",
        ...bare,
        code: "unknown",
        content: "",
        status: undefined,
        type: undefined,
        apiError: undefined,
        requestId: undefined
      }
    ])
  })

  it("of a tool's result its parts, and what else the CLI knows of it where there is one", () => {
    const results = (ids: ReadonlyArray<string>) => ({
      type: "user",
      ...base,
      message: { content: ids.map((id) => ({ type: "tool_result", tool_use_id: id, content: [f.says("a")] })) },
      tool_use_result: { stdout: "a" }
    })
    const one = (toolUseId: string, details: unknown) => ({
      _tag: "ToolResult",
      ...inTool,
      toolUseId,
      tool: "",
      content: "a",
      isError: false,
      blocks: [f.says("a")],
      details
    })
    assert.deepStrictEqual(told(results(["1"])), [one("1", { stdout: "a" })])
    assert.deepStrictEqual(told(results(["1", "2"])), [one("1", undefined), one("2", undefined)])
  })

  it("of a turn's end all that the CLI says of it", () => {
    const usage = { input_tokens: 1, output_tokens: 2, cache_read_input_tokens: 3, cache_creation_input_tokens: 4 }
    const frame = {
      type: "result",
      ...base,
      subtype: "error_during_execution",
      is_error: true,
      errors: ["[ede_diagnostic] x", "first", "second"],
      structured_output: { a: 1 },
      stop_reason: "refusal",
      terminal_reason: "aborted_tools",
      startup_failure_reason: "bypass_root",
      api_error_status: 500,
      api_error_type: "api_error",
      api_error: "connection_failed",
      usage,
      total_cost_usd: 0.5,
      num_turns: 3,
      duration_ms: 4,
      duration_api_ms: 5,
      ttft_ms: 6,
      permission_denials: [{ tool_name: "Write", tool_input: 7 }],
      origin: {},
      subagent_stats: { spawned: 3, started_in_background: 1, completed: 2 },
      user_message_uuids: ["e"]
    }
    const counted = { inputTokens: 1, outputTokens: 2, cacheReadInputTokens: 3, cacheCreationInputTokens: 4 }
    const [stop, result] = told(frame)
    assert.deepStrictEqual(stop, { _tag: "Stop", ...main, stopReason: "refusal", usage: counted })
    assert.deepInclude(result, {
      _tag: "Result",
      ...main,
      result: "first\nsecond",
      structuredOutput: { a: 1 },
      subtype: "error_during_execution",
      isError: true,
      stopReason: "refusal",
      terminalReason: "aborted_tools",
      interrupted: true,
      usage: counted,
      costUsd: 0.5,
      totalCostUsd: 0.5,
      modelUsage: {},
      numTurns: 3,
      durationMs: 4,
      durationApiMs: 5,
      timeToFirstTokenMs: 6,
      permissionDenials: [{ tool: "Write", toolUseId: "", input: 7 }],
      errors: ["[ede_diagnostic] x", "first", "second"],
      apiErrorStatus: 500,
      apiErrorType: "api_error",
      apiError: "connection_failed",
      startupFailure: "bypass_root",
      origin: "unknown",
      subagents: { spawned: 3, completed: 2, failed: 0 },
      userMessageUuids: ["e"]
    })
    const least = { type: "result", subtype: "success", is_error: false }
    const names = Object.keys(frame).filter((name) =>
      !["type", "subtype", "is_error", "structured_output"].includes(name)
    )
    for (const given of [least, { ...Object.fromEntries(names.map((name) => [name, null])), ...least }]) {
      const [stop, result] = told(given)
      assert.deepStrictEqual(stop, { _tag: "Stop", ...bare, stopReason: null, usage: noUsage })
      assert.deepInclude(result, {
        ...bare,
        result: "",
        structuredOutput: undefined,
        stopReason: null,
        terminalReason: undefined,
        interrupted: false,
        usage: noUsage,
        costUsd: 0,
        totalCostUsd: 0,
        numTurns: 0,
        durationMs: 0,
        durationApiMs: undefined,
        timeToFirstTokenMs: undefined,
        permissionDenials: [],
        errors: [],
        apiErrorStatus: undefined,
        apiErrorType: undefined,
        apiError: undefined,
        startupFailure: undefined,
        origin: undefined,
        subagents: undefined,
        userMessageUuids: undefined
      })
    }
  })
})

describe("a delta carries", () => {
  const event = (fields: f.Frame, beside: f.Frame = {}) => ({ type: "stream_event", ...base, event: fields, ...beside })
  const start = event({ type: "message_start", message: { id: "m1", usage: null } })
  const delta = (fields: f.Frame, index?: number | null) => event({ type: "content_block_delta", index, delta: fields })
  const piece = (content: string, more: Partial<Message> = {}) => ({
    _tag: "Text",
    ...inTool,
    messageId: "m1",
    content,
    delta: true,
    retract: undefined,
    ...more
  })

  it("its text or thinking, its message, its thread and its line, and nothing where there is none", () => {
    const messages = told(start, delta({ text: "a" }), delta({ thinking: "b" }, 0), delta({ text: "" }), delta({}))
    assert.deepStrictEqual(messages.slice(0, 2), [piece("a"), piece("b", { _tag: "Thinking" })])
    // What was never confirmed is withdrawn when the output ends.
    assert.deepStrictEqual(messages.slice(2), [
      { ...piece("", { uuid: undefined }), retract: 1 },
      { ...piece("", { uuid: undefined, _tag: "Thinking" }), retract: 1 }
    ])
  })

  it("block after block, also where blocks have no number", () => {
    const line = (text: string) => ({
      type: "assistant",
      ...base,
      message: { id: "m1", model: "opus", content: [f.says(text)] }
    })
    for (const index of [undefined, null, 0]) {
      const messages = told(start, delta({ text: "a" }, index), delta({ text: "b" }, 0), line("ab"))
      assert.deepStrictEqual(messages.slice(0, 2), [piece("a"), piece("b")])
      assert.strictEqual(messages.length, 3)
    }
  })
})
