import * as Claude from "@ccflow/core/Claude"
import type { Message } from "@ccflow/core/Message"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream, TestClock } from "effect"

const tags = (messages: Iterable<Message>) => Array.from(messages, (message) => message._tag)
const run = (options?: Claude.ClaudeOptions) => Stream.runCollect(Claude.query("x", options))

describe("a script", () => {
  it.effect("plays the same turns in every process", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Effect.all([Claude.text("a"), Claude.text("b")]), ["4", "4"])
    }).pipe(Effect.provide(FakeClaude.layer([FakeCli.answer("4")]))))

  it.effect("can be another one for each process, by what it was asked to be", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* Effect.flip(Claude.text("a")))._tag, "CliExitError")
      assert.strictEqual(yield* Claude.text("a", { model: "opus" }), "as opus")
    }).pipe(Effect.provide(FakeClaude.layer((index, invocation) => ({
      turns: [
        index === 0 ? [FakeCli.exit(1)] : FakeCli.answer(
          invocation.args.includes("--model=opus") ? "as opus" : "?"
        )
      ]
    })))))

  it.effect("says so when a prompt has no turn", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Claude.text("a"))
      assert.include(error.message, "no turn is scripted")
    }).pipe(Effect.provide(FakeClaude.layer([]))))

  it.effect("takes no time for its delays on the test clock, and none is lost", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(Claude.text("a", { stallTimeout: "2 days" }))
      yield* TestClock.adjust("23 hours")
      assert.strictEqual((yield* Fiber.poll(fiber))._tag, "None")
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* Fiber.join(fiber), "4")
    }).pipe(
      Effect.provide(FakeClaude.layer([[FakeCli.init(), FakeCli.delay("1 day"), ...FakeCli.answer("4").slice(1)]]))
    ))
})

describe("what it says", () => {
  it.effect("text comes in deltas where partial messages are asked for, and whole where not", () =>
    Effect.gen(function*() {
      const partial = yield* run({ includePartialMessages: true })
      assert.deepStrictEqual(tags(partial), ["Init", "Text", "Text", "Text", "Assistant", "Stop", "Result"])
      assert.deepStrictEqual(tags(yield* run()), ["Init", "Text", "Assistant", "Stop", "Result"])
    }).pipe(Effect.provide(FakeClaude.layer([FakeCli.answer("one two three", { deltas: 3 })]))))

  it.effect("no delta ends within a character", () =>
    Effect.gen(function*() {
      const texts = Array.from(yield* run({ includePartialMessages: true })).flatMap((message) =>
        message._tag === "Text" ? [message.content] : []
      )
      assert.deepStrictEqual(texts, ["a", "😀", "😀", "b"])
    }).pipe(Effect.provide(FakeClaude.layer([[
      FakeCli.init(),
      FakeCli.text("a😀😀b", { deltas: 4 }),
      FakeCli.result()
    ]]))))

  it.effect("a result says what the model said last, where the script says nothing else", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Claude.text("x"), "second")
    }).pipe(Effect.provide(FakeClaude.layer([[
      FakeCli.init(),
      FakeCli.text("first"),
      FakeCli.text("second"),
      FakeCli.result()
    ]]))))

  it.effect("tools, thinking, noise and stderr arrive as they do from the CLI", () =>
    Effect.gen(function*() {
      const seen = yield* run()
      assert.deepStrictEqual(tags(seen), [
        "Init",
        "Thinking",
        "Assistant",
        "ToolUse",
        "ToolResult",
        "Assistant",
        "Text",
        "Assistant",
        "Stop",
        "Result"
      ])
    }).pipe(Effect.provide(FakeClaude.layer([[
      FakeCli.init(),
      FakeCli.raw("some noise\n"),
      FakeCli.thinking("hm"),
      FakeCli.toolUse("toolu_1", "Bash", { command: "ls" }),
      FakeCli.stderr("a warning"),
      FakeCli.toolResult("toolu_1", "a.ts"),
      FakeCli.text("done"),
      FakeCli.result({ result: "done" })
    ]]))))

  it.effect("an API error is told as the CLI tells it", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Claude.text("a"))
      assert.strictEqual(error._tag, "AuthenticationError")
    }).pipe(Effect.provide(FakeClaude.layer([
      FakeCli.apiError({ status: 401, code: "authentication_failed", type: "authentication_error", message: "No." })
    ]))))

  it.effect("a signal ends it like one", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Claude.text("a"))
      assert.strictEqual(error._tag === "CliExitError" && error.facts.signal, "SIGKILL")
    }).pipe(
      Effect.provide(FakeClaude.layer([[FakeCli.init(), FakeCli.raw("{\"type\":\"assi"), FakeCli.kill("SIGKILL")]]))
    ))
})

describe("what it saw", () => {
  it.effect("has the invocation and every frame that was sent, and says that nothing runs any more", () =>
    Effect.gen(function*() {
      yield* Claude.text("first", { systemPrompt: "Be brief." })
      yield* Claude.text("second")
      const fake = yield* FakeCli.FakeCli
      const started = yield* fake.started
      assert.deepStrictEqual(started.map(({ running }) => running), [false, false])
      assert.deepStrictEqual(started.map(({ sent }) => sent.map((frame) => frame.type)), [["control_request", "user"], [
        "user"
      ]])
      assert.deepStrictEqual(yield* fake.prompts, ["first", "second"])
    }).pipe(Effect.provide(FakeClaude.layer([FakeCli.answer("4")]))))
})
