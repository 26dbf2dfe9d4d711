import { appendText, is, match, Message, type Result, type Text } from "@ccflow/core/Message"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as f from "./frames.js"
import { recordedRuns } from "./recorded.js"

const answered = f.parse(f.starts("m1"), f.delta("4"), f.assistant("m1", [f.says("4")]), f.stops(), f.result("4"))

describe("Message.is", () => {
  it("finds one kind, and the compiler knows which", () => {
    // Each line is a test of the types: the annotation fails to compile when the narrowing is lost.
    const texts: ReadonlyArray<Text> = answered.filter(is("Text"))
    const results: ReadonlyArray<Result> = answered.filter(is("Result"))
    const contents: ReadonlyArray<string> = texts.map(({ content }) => content)
    assert.deepStrictEqual([contents, results.map(({ result }) => result)], [["4"], ["4"]])
    // @ts-expect-error a kind that there is none of
    assert.deepStrictEqual(answered.filter(is("Nothing")), [])
  })
})

describe("Message.match", () => {
  it("has one typed case for each kind, and the compiler misses none", () => {
    const name = match({
      Init: ({ model }): string => `Init ${model}`,
      Text: ({ content }) => `Text ${content}`,
      Thinking: ({ content }) => content,
      ToolUse: ({ tool }) => tool,
      ToolResult: ({ tool }) => tool,
      Assistant: ({ messageId }) => `Assistant ${messageId}`,
      User: ({ content }) => content,
      Stop: ({ stopReason }) => `Stop ${stopReason}`,
      Result: ({ costUsd }) => `Result ${costUsd}`,
      Error: ({ code }) => code,
      Hook: ({ event }) => event,
      Status: ({ kind }) => kind,
      ApiRetry: ({ attempt }) => `${attempt}`,
      RateLimit: ({ limit }) => limit,
      PermissionDenied: ({ tool }) => tool,
      Task: ({ phase }) => phase,
      Compact: ({ preTokens }) => `${preTokens}`,
      Unknown: ({ reason }) => reason,
      UnknownSystem: ({ subtype }) => `UnknownSystem ${subtype}`
    })
    const told: ReadonlyArray<string> = [...f.parse(f.init, f.system("new")), ...answered].map(name)
    assert.deepStrictEqual(told, [
      "Init claude-opus-5-5",
      "UnknownSystem new",
      "Text 4",
      "Assistant m1",
      "Stop end_turn",
      "Result 0.25"
    ])
    // @ts-expect-error a case for each kind
    assert.isFunction(match({ Init: () => "" }))
  })
})

describe("a result's figures", () => {
  it("say what the model has thought with: so far, and in this turn", () => {
    const used = (outputTokens: number, thinkingTokens: number) => ({
      modelUsage: { opus: { inputTokens: 1, outputTokens, thinkingTokens, costUSD: 0.1 } }
    })
    const results = f.parse(
      f.init,
      f.result("1", used(9, 0)),
      f.init,
      f.result("2", used(20, 7)),
      f.result("3", used(40, 12))
    )
      .filter(is("Result"))
    const thought = results.map(({ modelUsage, turnUsage }) => [
      modelUsage["opus"]?.thinkingTokens,
      turnUsage?.["opus"]?.thinkingTokens
    ])
    assert.deepStrictEqual(thought, [[undefined, undefined], [7, 7], [12, 5]])
  })
})

describe("Message.appendText", () => {
  it("joins the main thread's text, takes back what was retracted and leaves out the subagents'", () => {
    const sub = { parent_tool_use_id: "toolu_agent" }
    const messages = f.parse(
      f.starts("m1"),
      f.delta("Wrong"),
      f.assistant("s1", [f.says("of a subagent")], sub),
      f.abandons("m1"),
      f.assistant("m2", [f.says("Right")])
    )
    assert.deepStrictEqual(messages.map((_, at) => messages.slice(0, at + 1).reduce(appendText, "")), [
      "Wrong",
      "Wrong",
      "",
      "Right",
      "Right",
      "Right"
    ])
  })
})

describe("the union as a Schema", () => {
  it("fits every message of the recorded runs, and brings it back from JSON", () => {
    const read = Schema.decodeUnknownSync(Schema.parseJson(Message))
    const write = Schema.encodeSync(Schema.parseJson(Message))
    for (const message of recordedRuns.flatMap((run) => f.parse(...run))) {
      const back = read(write(message))
      assert.deepStrictEqual(back, JSON.parse(JSON.stringify(message)))
    }
  })
})
