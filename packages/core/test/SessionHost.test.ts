import { Hooks, Permissions, Tools } from "@ccflow/core"
import * as Session from "@ccflow/core/Session"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Schema, TestClock } from "effect"
import { failureOf, layerOf, processes, sending } from "./sessions.js"

/** A turn that asks whether it may. */
const asks: FakeCli.Turn = [
  FakeCli.init(),
  FakeCli.toolUse("t1", "Bash", { command: "make" }),
  FakeCli.askPermission("Bash", { command: "make" }),
  FakeCli.toolResult("t1", "made"),
  FakeCli.text("done"),
  FakeCli.result({ result: "done" })
]
const toolResults = (
  messages: Parameters<typeof Array.from<{ readonly _tag: string; readonly content?: unknown }>>[0]
) => Array.from(messages).flatMap((message) => message._tag === "ToolResult" ? [String(message.content)] : [])

describe("what a program decides within a session", { timeout: 20_000 }, () => {
  it.scoped("can take its time: a question that is open is no silence", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({
        stallTimeout: "2 seconds",
        permissions: () => Effect.as(Effect.sleep("1 minute"), Permissions.allow())
      })
      const turn = yield* sending(session, "go")
      yield* TestClock.adjust("59 seconds")
      assert.isFalse(turn.ended())
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* turn.result).result, "done")
      assert.deepStrictEqual(toolResults(turn.messages), ["made"])
    }).pipe(Effect.provide(layerOf([asks]))))

  it.scoped("is no silence either where no tool runs yet, and the silence begins anew with the answer", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({
        stallTimeout: "2 seconds",
        permissions: () => Effect.as(Effect.sleep("1 minute"), Permissions.allow())
      })
      const turn = yield* sending(session, "go")
      yield* TestClock.adjust("61 seconds")
      assert.strictEqual((yield* turn.result).result, "done")
    }).pipe(Effect.provide(layerOf([[
      FakeCli.init(),
      FakeCli.emit({
        type: "control_request",
        request_id: "q1",
        request: { subtype: "can_use_tool", tool_name: "Bash", input: {}, tool_use_id: "t1" }
      }),
      FakeCli.delay("61 seconds"),
      ...FakeCli.answer("done").slice(1)
    ]]))))

  it.scoped("holds nothing up when it is never decided: the turn is interrupted, the question withdrawn", () =>
    Effect.gen(function*() {
      const gone = yield* Deferred.make<void>()
      const session = yield* Session.make({
        permissions: () => Effect.onInterrupt(Effect.never, () => Deferred.succeed(gone, undefined))
      })
      const turn = yield* sending(session, "go")
      yield* TestClock.adjust("1 hour")
      assert.isFalse(turn.ended())
      assert.deepStrictEqual(yield* session.mcpStatus, [])
      yield* session.interrupt
      assert.isTrue((yield* turn.result).interrupted)
      yield* Deferred.await(gone)
      assert.strictEqual(yield* Session.text(session, "then"), "fine")
      assert.deepStrictEqual(yield* processes, { started: 1, running: 1 })
    }).pipe(Effect.provide(layerOf([asks, FakeCli.answer("fine")]))))

  it.scoped("by a handler that dies or a hook that throws is a denial, and the session lives", () =>
    Effect.gen(function*() {
      const dying = yield* Session.make({ permissions: () => Effect.die(new Error("oh")) })
      const throwing = yield* Session.make({
        permissions: () => Effect.succeed(Permissions.allow()),
        hooks: [Hooks.on("PreToolUse", () => {
          throw new Error("oh")
        })]
      })
      for (const session of [dying, throwing]) {
        const turn = yield* sending(session, "go")
        yield* turn.result
        assert.notInclude(toolResults(turn.messages), "made")
        assert.strictEqual(yield* Session.text(session, "then"), "fine")
      }
    }).pipe(Effect.provide(layerOf({
      turns: [[
        FakeCli.init(),
        FakeCli.toolUse("t1", "Bash", { command: "make" }),
        FakeCli.askHook("PreToolUse", { tool_name: "Bash", tool_input: {}, tool_use_id: "t1" }),
        ...asks.slice(2)
      ]],
      respond: () => FakeCli.answer("fine")
    }))))

  it.scoped("is asked of the program also by the process that came back", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const session = yield* Session.make({
        permissions: ({ tool }) =>
          Effect.sync(() => {
            asked.push(tool)
            return Permissions.allow()
          })
      })
      const cut = yield* sending(session, "go")
      assert.strictEqual(failureOf(yield* cut.fiber.await)._tag, "CliExitError")
      assert.strictEqual(yield* Session.text(session, "again"), "done")
      assert.deepStrictEqual(asked, ["Bash", "Bash"])
    }).pipe(Effect.provide(layerOf((index) => ({
      turns: [index === 0 ? [...asks.slice(0, 3), FakeCli.kill("SIGKILL")] : asks]
    })))))
})

describe("a tool of the program", () => {
  const calling = (tool: string): FakeCli.Turn => [
    FakeCli.init(),
    FakeCli.callTool("kit", tool, {}),
    FakeCli.result({ result: "done" })
  ]
  const kit = Tools.toolSet("kit", [
    Tools.tool({
      name: "big",
      description: "Gives much",
      input: Schema.Struct({}),
      handler: () => Effect.sync(() => "x".repeat(50_000_000))
    }),
    Tools.tool({ name: "bad", description: "Dies", input: Schema.Struct({}), handler: () => Effect.die("oh") })
  ])

  it.scoped("that gives 50 MB, or dies, is an answer like another: the session lives", () =>
    Effect.gen(function*() {
      const sessions = yield* Effect.replicateEffect(Session.make({ toolSets: [kit] }), 2)
      const sizes = yield* Effect.forEach(sessions, (session) =>
        Effect.gen(function*() {
          const turn = yield* sending(session, "big")
          yield* turn.result
          assert.strictEqual((yield* Session.result(session, "bad")).result, "done")
          assert.strictEqual(yield* Session.text(session, "then"), "fine")
          return toolResults(turn.messages).join("").length
        }), { concurrency: "unbounded" })
      assert.deepStrictEqual(yield* processes, { started: 2, running: 2 })
      for (const size of sizes) assert.isAbove(size, 0)
    }).pipe(Effect.provide(layerOf({
      turns: [calling("big"), calling("bad")],
      respond: () => FakeCli.answer("fine")
    }))), 30_000)
})
