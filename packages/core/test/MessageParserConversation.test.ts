import type { Message } from "@ccflow/core/Message"
import { assert, describe, it } from "@effect/vitest"
import * as f from "./frames.js"

const only = <Tag extends Message["_tag"]>(messages: ReadonlyArray<Message>, tag: Tag) =>
  messages.filter((message): message is Extract<Message, { _tag: Tag }> => message._tag === tag)

/** What a screen of the main thread showed after each message. */
const screens = (messages: ReadonlyArray<Message>): ReadonlyArray<string> =>
  messages.map((_, index) => f.joined(messages.slice(0, index + 1)))

const sub = { parent_tool_use_id: "toolu_agent" }

describe("the joined text", () => {
  it("is what the lines say with partial messages off", () => {
    const messages = f.parse(
      f.init,
      f.assistant("m1", [f.says("One. ")]),
      f.assistant("m1", [f.uses("tu1", "Bash")]),
      f.gives("tu1", "ok"),
      f.assistant("m2", [f.says("Two.")]),
      f.result("Two.")
    )
    assert.strictEqual(f.joined(messages), "One. Two.")
    assert.isTrue(only(messages, "Text").every(({ delta, retract }) => !delta && retract === undefined))
  })

  it("is the same with partial messages on, told piece by piece and not again by the line", () => {
    const messages = f.parse(
      f.starts("m1"),
      f.delta("On"),
      f.delta("e. "),
      f.assistant("m1", [f.says("One. ")]),
      f.ends("end_turn", 9),
      f.stops(),
      f.result("One. ")
    )
    assert.deepStrictEqual(only(messages, "Text").map(({ content, delta }) => [content, delta]), [
      ["On", true],
      ["e. ", true]
    ])
  })

  it("keeps the thread of a surrogate pair that the API has cut in two", () => {
    const messages = f.parse(
      f.starts("m1"),
      f.delta("lone\ud83d"),
      f.delta("\ude00!"),
      f.assistant("m1", [f.says("lone😀!")])
    )
    assert.strictEqual(f.joined(messages), "lone😀!")
    assert.isTrue(only(messages, "Text").every(({ retract }) => retract === undefined))
  })

  it("takes back what a cut stream has said, and has the second attempt once", () => {
    const messages = f.parse(
      f.starts("m1"),
      f.delta("The quick "),
      f.delta("brown"),
      f.abandons("m1"),
      f.system("api_retry", { attempt: 1, max_retries: 1, retry_delay_ms: 600, error_status: null }),
      f.starts("m2"),
      f.delta("The slow "),
      f.delta("fox."),
      f.assistant("m2", [f.says("The slow fox.")]),
      f.stops(),
      f.result("The slow fox.")
    )
    assert.deepStrictEqual(only(messages, "Text").map(({ content, retract }) => [content, retract]), [
      ["The quick ", undefined],
      ["brown", undefined],
      ["", 15],
      ["The slow ", undefined],
      ["fox.", undefined]
    ])
    assert.strictEqual(f.joined(messages), "The slow fox.")
    assert.deepStrictEqual(only(messages, "Assistant").map(({ messageId }) => messageId), ["m2"])
  })

  it.each([
    ["a new message", [f.starts("m2"), f.delta("Right."), f.assistant("m2", [f.says("Right.")]), f.stops()]],
    ["a line without a stream", [f.assistant("m2", [f.says("Right.")])]],
    ["the same message anew", [f.starts("m1"), f.delta("Right."), f.assistant("m1", [f.says("Right.")]), f.stops()]]
  ])("takes back what was begun when %s comes without a word about it", (_, frames) => {
    const messages = f.parse(f.starts("m1"), f.delta("Wrong"), ...frames, f.result("Right."))
    assert.strictEqual(f.joined(messages), "Right.")
    assert.deepStrictEqual(only(messages, "Text").flatMap(({ retract }) => retract ?? []), [5])
  })

  it("keeps the blocks that lines had confirmed before the cut", () => {
    const messages = f.parse(
      f.starts("m1"),
      f.delta("Kept.", 0),
      f.assistant("m1", [f.says("Kept.")]),
      f.delta("Lost", 1),
      f.abandons("m1", 1),
      f.assistant("m2", [f.says(" New.")]),
      f.result("")
    )
    assert.strictEqual(f.joined(messages), "Kept. New.")
    assert.deepStrictEqual(screens(messages).filter((text) => !text.startsWith("K")), [])
  })

  it("of a run that is killed in mid-sentence holds whole messages only", () => {
    const messages = f.parse(f.init, f.starts("m1"), f.delta("one two thr"))
    assert.strictEqual(f.joined(messages), "")
    assert.strictEqual(only(messages, "Text").at(-1)?.retract, 11)
  })

  it("of an interrupted message is what the aborted line says", () => {
    const messages = f.parse(
      f.starts("m1"),
      f.delta("one two"),
      f.assistant("m1", [f.says("one two thr")], { aborted: true }),
      f.user([f.says("[Request interrupted by user]")]),
      f.ends(null, 3),
      f.abandons("m1", 1),
      f.result("", { subtype: "error_during_execution", is_error: true })
    )
    assert.strictEqual(f.joined(messages), "one two thr")
    assert.deepStrictEqual(only(messages, "Assistant").map(({ aborted }) => aborted), [true])
  })

  it("is corrected where a line says otherwise than its deltas", () => {
    const messages = f.parse(f.starts("m1"), f.delta("Colour"), f.assistant("m1", [f.says("Color")]), f.stops())
    assert.strictEqual(f.joined(messages), "Color")
  })

  it("loses what was told after a withdrawn block, until a line says it: only an end can be taken off", () => {
    const messages = f.parse(
      f.starts("m1"),
      f.delta("later", 1),
      f.delta("first", 0),
      f.abandons("m1", 1),
      f.assistant("m1", [f.says("first")]),
      f.result("")
    )
    assert.strictEqual(f.joined(messages), "first")
    assert.deepStrictEqual(screens(messages).slice(0, 4), ["later", "laterfirst", "", "first"])
  })

  it("of each thread is its own, while the threads speak at the same time", () => {
    const messages = f.parse(
      f.starts("m1"),
      f.delta("main "),
      f.starts("s1", sub),
      f.delta("sub ", 0, sub),
      f.delta("goes"),
      f.delta("lost", 0, sub),
      f.assistant("m1", [f.says("main goes")]),
      f.assistant("s2", [f.says("sub anew")], sub),
      f.stops(),
      f.result("main goes")
    )
    assert.strictEqual(f.joined(messages), "main goes")
    assert.strictEqual(f.joined(messages, "toolu_agent"), "sub anew")
  })

  it("holds no thinking, which is joined in the same way", () => {
    const messages = f.parse(
      f.starts("m1"),
      f.thinkingDelta("Hm"),
      f.thinkingDelta("m."),
      f.assistant("m1", [f.thinks("Hmm.")]),
      f.delta("42", 1),
      f.assistant("m1", [f.says("42")]),
      f.stops()
    )
    assert.deepStrictEqual([f.joined(messages), f.joined(messages, undefined, "Thinking")], ["42", "Hmm."])
  })
})

describe("Assistant", () => {
  it("comes once for a message, with all its blocks, though each comes on a line of its own", () => {
    const content = [f.thinks("Hm"), f.says("Two files."), f.uses("tu1", "Read"), f.uses("tu2", "Read")]
    const messages = f.parse(
      ...content.map((block) => f.assistant("m1", [block])),
      f.gives("tu2", "b"),
      f.gives("tu1", "a"),
      f.assistant("m2", [f.says("Done.")]),
      f.result("Done.")
    )
    assert.deepStrictEqual(only(messages, "Assistant").map(({ content, messageId }) => [messageId, content.length]), [
      ["m1", 4],
      ["m2", 1]
    ])
    assert.deepStrictEqual<unknown>(only(messages, "Assistant")[0]?.content, content)
  })

  it("comes once though the CLI gives a tool's result while the message is still being written", () => {
    const messages = f.parse(
      f.assistant("m1", [f.uses("tu1", "Bash")]),
      f.gives("tu1", "A"),
      f.assistant("m1", [f.says("and more")]),
      f.assistant("m1", [f.uses("tu2", "Bash")]),
      f.gives("tu2", "B"),
      f.assistant("m2", [f.says("done")]),
      f.result("done")
    )
    assert.deepStrictEqual(only(messages, "Assistant").map(({ content, messageId }) => [messageId, content.length]), [
      ["m1", 3],
      ["m2", 1]
    ])
  })

  it("comes once though a prompt is echoed, or the message starts anew, while it is being written", () => {
    const echoed = f.parse(
      f.assistant("m1", [f.uses("tu1", "Bash")]),
      f.user("and another thing", { isReplay: true }),
      f.assistant("m1", [f.says("more")]),
      f.result("")
    )
    const anew = f.parse(
      f.starts("m1"),
      f.assistant("m1", [f.says("kept")]),
      f.starts("m1"),
      f.assistant("m1", [f.says("more")]),
      f.stops(),
      f.result("")
    )
    for (const messages of [echoed, anew]) {
      assert.deepStrictEqual(only(messages, "Assistant").map(({ content }) => content.length), [2])
    }
  })

  it("counts usage once, and the last count with partial messages on", () => {
    const plain = f.parse(f.assistant("m1", [f.says("a")]), f.assistant("m1", [f.says("b")]), f.result("ab"))
    assert.deepStrictEqual(only(plain, "Assistant").map(({ usage }) => usage), [
      { inputTokens: 25, outputTokens: 1, cacheReadInputTokens: 3, cacheCreationInputTokens: 0 }
    ])
    const partial = f.parse(
      f.starts("m1"),
      f.assistant("m1", [f.says("a")]),
      f.ends("end_turn", 40),
      f.stops(),
      f.result("a")
    )
    const [message] = only(partial, "Assistant")
    assert.deepStrictEqual([message?.usage.outputTokens, message?.stopReason], [40, "end_turn"])
  })

  it("is not given the end of a message before it", () => {
    const messages = f.parse(
      f.starts("m1"),
      f.assistant("m1", [f.uses("tu1", "Bash")]),
      f.assistant("e1", [f.says("Connection lost.")], { error: "server_error" }),
      f.ends("tool_use", 99),
      f.stops(),
      f.assistant("e1", [f.says("Go on?")]),
      f.result("")
    )
    const told = only(messages, "Assistant").map(({ content, messageId, stopReason, usage }) => ({
      messageId,
      blocks: content.length,
      stopReason,
      outputTokens: usage.outputTokens
    }))
    assert.deepStrictEqual(told, [
      { messageId: "m1", blocks: 1, stopReason: null, outputTokens: 1 },
      { messageId: "e1", blocks: 2, stopReason: null, outputTokens: 1 }
    ])
  })

  it("of a message without content never comes", () => {
    assert.deepStrictEqual(f.tags(f.parse(f.starts("m1"), f.ends("end_turn", 1), f.stops(), f.result(""))), [
      "Stop",
      "Result"
    ])
  })

  it("of a subagent comes before the result of the tool that started it", () => {
    const messages = f.parse(
      f.assistant("m1", [f.uses("toolu_agent", "Agent")]),
      f.user([f.says("please")], sub),
      f.assistant("s1", [f.says("found")], sub),
      f.gives("toolu_agent", [f.says("found")]),
      f.result("")
    )
    assert.deepStrictEqual(f.tags(messages), [
      "ToolUse",
      "User",
      "Text",
      "Assistant",
      "ToolResult",
      "Assistant",
      "Stop",
      "Result"
    ])
    assert.strictEqual(messages[3]?.parentToolUseId, "toolu_agent")
  })
})

describe("ToolResult", () => {
  it("has the name of its tool, also of parallel ones, and none where the use was never seen", () => {
    const messages = f.parse(
      f.assistant("m1", [f.uses("tu1", "Read"), f.uses("tu2", "Bash")]),
      f.gives("tu2", "b", { tool_use_result: { stdout: "b" } }),
      f.gives("tu1", [f.says("a"), f.says("A")]),
      f.gives("tu9", "?")
    )
    assert.deepStrictEqual(
      only(messages, "ToolResult").map(({ content, tool, toolUseId }) => [toolUseId, tool, content]),
      [
        ["tu2", "Bash", "b"],
        ["tu1", "Read", "aA"],
        ["tu9", "", "?"]
      ]
    )
    assert.deepStrictEqual(only(messages, "ToolResult")[0]?.details, { stdout: "b" })
  })

  it("of a subagent's tool has its name while the main thread's turns go by", () => {
    const messages = f.parse(
      f.assistant("s1", [f.uses("tu1", "Grep")], sub),
      f.result("first"),
      f.result("second"),
      f.gives("tu1", "3 files", sub)
    )
    assert.deepStrictEqual(only(messages, "ToolResult").map(({ parentToolUseId, tool }) => [tool, parentToolUseId]), [
      ["Grep", "toolu_agent"]
    ])
  })

  it("of a tool that the API itself runs is read off the assistant's line", () => {
    const messages = f.parse(f.assistant("m1", [
      { type: "server_tool_use", id: "st1", name: "web_search", input: { query: "x" } },
      { type: "web_search_tool_result", tool_use_id: "st1", content: [{ type: "web_search_result", url: "u" }] }
    ]))
    const [given] = only(messages, "ToolResult")
    assert.deepStrictEqual([given?.tool, given?.blocks?.length], ["web_search", 1])
  })
})

describe("the end of a turn", () => {
  it("is Stop, then Result, with the turn's own usage and stop reason", () => {
    const messages = f.parse(f.assistant("m1", [f.says("4")]), f.result("4", { stop_reason: "pause_turn" }))
    assert.deepStrictEqual(f.tags(messages), ["Text", "Assistant", "Stop", "Result"])
    const [stop] = only(messages, "Stop")
    assert.deepStrictEqual([stop?.stopReason, stop?.usage.outputTokens], ["pause_turn", 7])
  })

  const costs = (...frames: ReadonlyArray<f.Frame>) =>
    only(f.parse(...frames), "Result").map(({ costUsd, totalCostUsd }) => [costUsd, totalCostUsd])

  it("costs what the CLI's total has grown by", () => {
    const total = (total_cost_usd: number) => f.result("", { total_cost_usd })
    assert.deepStrictEqual(costs(total(0.25), total(0.25), total(1)), [[0.25, 0.25], [0, 0.25], [0.75, 1]])
  })

  it("costs the new total when the conversation was cleared and counting began anew", () => {
    const total = (total_cost_usd: number) => f.result("", { total_cost_usd })
    assert.deepStrictEqual(costs(total(1), total(0.25)), [[1, 1], [0.25, 0.25]])
  })

  it("costs what the CLI says where it says so: a resumed total has the earlier turns in it", () => {
    const since = { a: { costUSD: 0.25 }, b: { costUSD: 0.5 } }
    assert.deepStrictEqual(costs(f.result("", { total_cost_usd: 9, model_usage_since_last_result: since })), [[
      0.75,
      9
    ]])
  })

  it("of a failed turn says the CLI's errors, and its denials and origin", () => {
    const [failed] = only(
      f.parse(f.result("", {
        result: undefined,
        subtype: "error_max_turns",
        is_error: true,
        errors: ["Reached maximum number of turns (2)"],
        permission_denials: [{ tool_name: "Write", tool_use_id: "tu1", tool_input: { path: "x" } }],
        origin: { kind: "task-notification" }
      })),
      "Result"
    )
    assert.strictEqual(failed?.result, "Reached maximum number of turns (2)")
    assert.deepStrictEqual(failed?.permissionDenials, [{ tool: "Write", toolUseId: "tu1", input: { path: "x" } }])
    assert.strictEqual(failed?.origin, "task-notification")
  })
})

describe("an API error in place of an answer", () => {
  it("is text, as on the CLI's line, and an Error with the facts", () => {
    const messages = f.parse(
      f.assistant("e1", [f.says("API Error: 403 nope")], {
        error: "authentication_failed",
        api_error_status: 403,
        api_error_type: "permission_error"
      })
    )
    assert.deepStrictEqual(f.tags(messages), ["Text", "Error", "Assistant"])
    const [error] = only(messages, "Error")
    assert.deepStrictEqual(
      [error?.code, error?.content, error?.status, error?.type],
      ["authentication_failed", "API Error: 403 nope", 403, "permission_error"]
    )
  })
})

describe("every message", () => {
  it("has the session that its line belongs to, also when /clear has begun another", () => {
    const other = { session_id: "other" }
    const messages = f.parse(
      "noise",
      "{broken",
      f.init,
      f.assistant("m1", [f.says("a")]),
      { type: "conversation_reset", session_id: "other" },
      { ...f.init, ...other },
      f.assistant("m2", [f.says("b")], other),
      f.result("b", other)
    )
    assert.deepStrictEqual(messages.map(({ _tag, sessionId }) => [_tag, sessionId]), [
      ["Unknown", ""],
      ["Init", f.session],
      ["Text", f.session],
      ["Status", "other"],
      ["Assistant", f.session],
      ["Init", "other"],
      ["Text", "other"],
      ["Assistant", "other"],
      ["Stop", "other"],
      ["Result", "other"]
    ])
  })
})

describe("a block", () => {
  it("of a kind that is not known is told as nothing that it may look like", () => {
    const odd = ["text", "thinking", "id", "name"].map((field) => ({ type: "hologram", [field]: "x" }))
    const empty = [{ type: "text", text: null }, { type: "thinking", thinking: null }]
    const messages = f.parse(f.assistant("m1", [...odd, ...empty]), f.stops())
    assert.deepStrictEqual(f.tags(messages), ["Assistant"])
    const [given] = only(f.parse(f.gives("t", [f.says("a"), { type: "hologram", text: "b" }])), "ToolResult")
    assert.strictEqual(given?.content, "a")
  })

  it("of thinking is taken back by its number, and the one before it stays", () => {
    const messages = f.parse(
      f.starts("m1"),
      f.thinkingDelta("kept"),
      f.thinkingDelta("lost", 1),
      f.abandons("m1", 1),
      f.assistant("m1", [f.thinks("kept")])
    )
    assert.deepStrictEqual(only(messages, "Thinking").map(({ content, retract }) => [content, retract]), [
      ["kept", undefined],
      ["lost", undefined],
      ["", 4]
    ])
    assert.deepStrictEqual(only(messages, "Text"), [])
  })
})

describe("what the user says", () => {
  it("ends the message before it, unless it is an echo", () => {
    const told = (fields: f.Frame) =>
      f.parse(f.assistant("m1", [f.says("a")]), f.user("go on", fields), f.system("status"), f.result(""))
    const said = told({})
    assert.deepStrictEqual(f.tags(said), ["Text", "Assistant", "User", "Status", "Stop", "Result"])
    assert.deepInclude({ ...only(said, "User")[0] }, { blocks: undefined, synthetic: false, replay: false })
    const echoed = told({ isReplay: true })
    assert.deepStrictEqual(f.tags(echoed), ["Text", "User", "Status", "Assistant", "Stop", "Result"])
  })
})

describe("a subagent", () => {
  const line = f.assistant("s1", [f.says("found")], sub)
  const told = (subtype: string, fields: f.Frame) =>
    f.tags(f.parse(line, f.system(subtype, { task_id: "t", ...fields }), f.system("status")))

  it("is done when its task is told to have ended, and not before", () => {
    const its = { tool_use_id: "toolu_agent" }
    assert.deepStrictEqual(told("task_notification", its), ["Text", "Assistant", "Task", "Status"])
    for (const [subtype, fields] of [["task_progress", its], ["task_notification", {}]] as const) {
      assert.deepStrictEqual(told(subtype, fields), ["Text", "Task", "Status", "Assistant"])
    }
  })

  it("whose end is never told is held to have ended when a thousand others have begun after it", () => {
    const parser = f.parser()
    const line = (n: number) => f.assistant(`m${n}`, [f.says("x")], { parent_tool_use_id: `p${n}` })
    const ended = (from: number, to: number) =>
      only(parser.push([f.bytes(Array.from({ length: to - from }, (_, n) => line(from + n)))]), "Assistant")
        .map(({ parentToolUseId }) => parentToolUseId)
    assert.deepStrictEqual(ended(0, 1000), [])
    assert.deepStrictEqual(ended(1000, 1002), ["p0", "p1"])
  })
})

describe("the end of a message's stream", () => {
  it("may say how much was used, and not why it has ended", () => {
    const ends = { type: "stream_event", event: { type: "message_delta", delta: null, usage: { output_tokens: 40 } } }
    const [message] = only(f.parse(f.starts("m1"), f.assistant("m1", [f.says("a")]), ends, f.stops()), "Assistant")
    assert.deepStrictEqual([message?.usage.outputTokens, message?.stopReason], [40, null])
  })
})

describe("a line that confirms what deltas have said", () => {
  /** Kind, text, whether it is a part, and what it takes back. */
  const told = (...frames: ReadonlyArray<f.Frame>) =>
    f.parse(f.starts("m1"), ...frames).flatMap((message) =>
      message._tag === "Text" || message._tag === "Thinking"
        ? [[message._tag, message.content, message.delta, message.retract ?? 0]]
        : []
    )

  it("tells only what they have not", () => {
    assert.deepStrictEqual(told(f.delta("one two"), f.assistant("m1", [f.says("one two thr")])), [
      ["Text", "one two", true, 0],
      ["Text", " thr", true, 0]
    ])
  })

  it("tells a block of which they have said nothing, whole, and leaves those of the other kind", () => {
    for (const nothing of [[], [f.delta("", 1)]]) {
      assert.deepStrictEqual(
        told(f.thinkingDelta("Hm"), ...nothing, f.assistant("m1", [f.says("42")]), f.assistant("m1", [f.thinks("Hm")])),
        [["Thinking", "Hm", true, 0], ["Text", "42", false, 0]]
      )
    }
    assert.deepStrictEqual(
      told(
        f.thinkingDelta("Hm"),
        f.delta("42", 1),
        f.assistant("m1", [f.says("42")]),
        f.assistant("m1", [f.thinks("Hm")])
      ),
      [["Thinking", "Hm", true, 0], ["Text", "42", true, 0]]
    )
  })

  it("corrects its own kind alone", () => {
    const [, , , corrected] = f.parse(
      f.starts("m1"),
      f.thinkingDelta("Hm"),
      f.delta("Colour", 1),
      f.assistant("m1", [f.says("Color")], { uuid: "u" }),
      f.assistant("m1", [f.thinks("Hm")])
    )
    assert.deepInclude({ ...corrected }, { _tag: "Text", content: "Color", delta: false, uuid: "u" })
    assert.deepStrictEqual(
      told(
        f.thinkingDelta("Hm"),
        f.delta("Colour", 1),
        f.assistant("m1", [f.says("Color")]),
        f.assistant("m1", [f.thinks("Hm")])
      ),
      [["Thinking", "Hm", true, 0], ["Text", "Colour", true, 0], ["Text", "", true, 6], ["Text", "Color", false, 0]]
    )
  })

  it("takes back the blocks behind it where it says more of its own: they are told again by their lines", () => {
    assert.deepStrictEqual(
      told(f.delta("On"), f.delta("Tw", 1), f.assistant("m1", [f.says("One")]), f.assistant("m1", [f.says("Two")])),
      [["Text", "On", true, 0], ["Text", "Tw", true, 0], ["Text", "", true, 4], ["Text", "One", false, 0], [
        "Text",
        "Two",
        false,
        0
      ]]
    )
  })

  it("of another message takes back what was begun before it tells anything, also where it begins alike", () => {
    assert.deepStrictEqual(told(f.delta("Ri"), f.assistant("m2", [f.says("Right.")])), [
      ["Text", "Ri", true, 0],
      ["Text", "", true, 2],
      ["Text", "Right.", false, 0]
    ])
    const tags = f.tags(f.parse(f.starts("m1"), f.delta("Ri"), f.assistant("m2", [f.uses("t", "Bash")])))
    assert.deepStrictEqual(tags, ["Text", "Text", "ToolUse", "Assistant"])
  })
})

describe("a message that is streamed", () => {
  const streamed = [f.starts("m1"), f.delta("a"), f.assistant("m1", [f.says("a")])]

  it("is complete when its stream stops, and not when the user speaks in between", () => {
    const stopped = f.parse(...streamed, f.stops(), f.system("status"))
    assert.deepStrictEqual(f.tags(stopped), ["Text", "Assistant", "Status"])
    const spoken = f.parse(...streamed, f.user("x"), f.stops(), f.system("status"))
    assert.deepStrictEqual(f.tags(spoken), ["Text", "User", "Assistant", "Status"])
  })

  it("keeps the reason of its stop when it is told again without one", () => {
    const messages = f.parse(...streamed, f.ends("end_turn", 1), f.ends(null, 2), f.stops())
    assert.strictEqual(only(messages, "Assistant")[0]?.stopReason, "end_turn")
  })
})
