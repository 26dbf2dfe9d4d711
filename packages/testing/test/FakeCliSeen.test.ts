import * as Claude from "@ccflow/core/Claude"
import * as Hooks from "@ccflow/core/Hooks"
import * as Permissions from "@ccflow/core/Permissions"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import { start } from "./fakeCli.js"

const only = Effect.flatMap(FakeCli.FakeCli, (fake) => fake.only)

describe("what a program sent is there to be looked at", () => {
  it.effect("flags by name, with what their files hold; variables; prompts", () =>
    Effect.gen(function*() {
      yield* Claude.text("2+2?", {
        model: "opus",
        addDirs: ["/a", "/b=c"],
        includePartialMessages: true,
        env: { ADDED: "1", HOME: undefined },
        mcpServers: { shop: { type: "stdio", command: "shop" } }
      })
      const { env, flags, prompts } = yield* only
      assert.deepInclude(flags, {
        "p": true,
        "model": "opus",
        "add-dir": ["/a", "/b=c"],
        "include-partial-messages": true
      })
      assert.include(String(flags["mcp-config"]), "\"command\":\"shop\"")
      assert.deepInclude(env, { ADDED: "1", HOME: undefined })
      assert.deepStrictEqual(prompts, ["2+2?"])
    }).pipe(Effect.provide(FakeClaude.layer([FakeCli.answer("4")]))))

  it.effect("what it decided and what its hooks said, in order", () =>
    Effect.gen(function*() {
      yield* Claude.text("clean up").pipe(
        Effect.provide(Permissions.layer(({ tool }) =>
          Effect.succeed(tool === "Read" ? Permissions.allow() : Permissions.deny("Nothing is deleted."))
        )),
        Effect.provide(
          Hooks.layer([Hooks.on("UserPromptSubmit", () =>
            Effect.succeed(Hooks.addContext("It is Friday.")))])
        )
      )
      const { replies } = yield* only
      assert.deepStrictEqual(replies.map(({ name, to }) => `${to} ${name}`), [
        "hook UserPromptSubmit",
        "permission Read",
        "permission Bash"
      ])
      assert.include(JSON.stringify(replies[0]!.answer), "It is Friday.")
      assert.deepInclude(replies[2], {
        input: { command: "rm -rf /" },
        answer: { behavior: "deny", message: "Nothing is deleted." }
      })
    }).pipe(Effect.provide(FakeClaude.layer([[
      FakeCli.askHook("UserPromptSubmit", { prompt: "clean up" }),
      FakeCli.init(),
      FakeCli.askPermission("Read", { path: "a" }),
      FakeCli.askPermission("Bash", { command: "rm -rf /" }),
      FakeCli.result({ result: "no" })
    ]]))))

  it.scoped("results of its tools, without the handshake; refusals of a question; control requests and interrupts", () =>
    Effect.gen(function*() {
      const { answer, asked, cli, control, prompt } = yield* start()
      yield* control("initialize", { sdkMcpServers: ["shop"] })
      yield* prompt("price")
      yield* answer({ mcp_response: { result: {} } })
      yield* answer({ mcp_response: {} })
      yield* answer({ mcp_response: { result: { tools: [{ name: "price" }] } } })
      assert.deepInclude(asked().at(-1), { subtype: "mcp_message" })
      yield* answer({ mcp_response: { result: { content: [{ type: "text", text: "3.50" }] } } })
      yield* answer({}, "no such callback")
      yield* control("interrupt")
      yield* cli.interrupt
      const { interrupts, replies, requests } = yield* only
      assert.deepStrictEqual(replies, [
        {
          to: "tool",
          name: "mcp__shop__price",
          input: { item: "tea" },
          answer: { content: [{ type: "text", text: "3.50" }] }
        },
        { to: "permission", name: "Bash", input: {}, answer: { error: "no such callback" } }
      ])
      assert.deepStrictEqual(requests.map(({ subtype }) => subtype), ["initialize", "interrupt"])
      assert.strictEqual(interrupts, 2)
    }).pipe(Effect.provide(FakeCli.layer([[
      FakeCli.init(),
      FakeCli.callTool("shop", "price", { item: "tea" }),
      FakeCli.askPermission("Bash", {}),
      FakeCli.hang
    ]]))))

  it.effect("who asks for the only one and has none or several is told which there are", () =>
    Effect.gen(function*() {
      const complaint = Effect.map(Effect.exit(only), (exit) => Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "")
      assert.include(yield* complaint, "0 fake CLIs were started, and not one")
      yield* Claude.text("first", { model: "opus" })
      assert.deepStrictEqual((yield* only).prompts, ["first"])
      yield* Claude.text("second")
      const lines = (yield* complaint).split("\n")
      assert.include(lines[0], "2 fake CLIs were started, and not one")
      assert.match(lines[1]!, /^1: "first" \(.*--model=opus/)
      assert.match(lines[2]!, /^2: "second" \(/)
    }).pipe(Effect.provide(FakeClaude.layer([FakeCli.answer("4")]))))
})

it.scoped("no two fakes share an id, so that what is booked of both is told apart", () =>
  Effect.gen(function*() {
    const ids = yield* Effect.forEach([1, 2], () =>
      Effect.gen(function*() {
        const { frames, prompt } = yield* start()
        yield* prompt("x", 1)
        return frames.flatMap((frame) => [frame["uuid"], frame["session_id"]])
      }).pipe(Effect.provide(FakeCli.layer([FakeCli.answer("4")]))))
    assert.isAbove(ids[0]!.length, 4)
    assert.deepStrictEqual(ids[0]!.filter((id) => ids[1]!.includes(id)), [])
  }))
