import type { ClaudeError } from "@ccflow/core/ClaudeError"
import * as Session from "@ccflow/core/Session"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import { asked, layerOf, processes, sending, settle, slowly } from "./sessions.js"

const echo = { respond: (prompt: string) => FakeCli.answer(`to ${prompt}`) }

type Question = (session: Session.Session) => Effect.Effect<unknown, ClaudeError>

/** Every question that goes to the CLI, what it is called there, and what it says. */
const questions: ReadonlyArray<readonly [name: string, ask: Question, request: Readonly<Record<string, unknown>>]> = [
  ["contextUsage", (session) => session.contextUsage, { subtype: "get_context_usage" }],
  ["mcpStatus", (session) => session.mcpStatus, { subtype: "mcp_status" }],
  ["reconnectMcpServer", (session) => session.reconnectMcpServer("db"), { subtype: "mcp_reconnect", serverName: "db" }],
  ["toggleMcpServer", (session) => session.toggleMcpServer("db", false), {
    subtype: "mcp_toggle",
    serverName: "db",
    enabled: false
  }],
  ["stopTask", (session) => session.stopTask("k"), { subtype: "stop_task", task_id: "k" }],
  ["rewindFiles", (session) => session.rewindFiles("m"), {
    subtype: "rewind_files",
    user_message_id: "m",
    dry_run: false
  }],
  ["setModel", (session) => session.setModel("haiku"), { subtype: "set_model", model: "haiku" }],
  ["setModel to the default", (session) => session.setModel(), { subtype: "set_model" }],
  ["setPermissionMode", (session) => session.setPermissionMode("manual"), {
    subtype: "set_permission_mode",
    mode: "default"
  }],
  ["setMaxThinkingTokens", (session) => session.setMaxThinkingTokens(1000), {
    subtype: "set_max_thinking_tokens",
    max_thinking_tokens: 1000
  }],
  ["setMaxThinkingTokens to the default", (session) => session.setMaxThinkingTokens(), {
    subtype: "set_max_thinking_tokens",
    max_thinking_tokens: null
  }]
]

/** The answers that a CLI with everything in it gives. */
const answering = {
  mcp_reconnect: () => undefined,
  mcp_toggle: () => undefined,
  rewind_files: () => ({ canRewind: true, filesChanged: ["/a"], insertions: 1, deletions: 0 }),
  mcp_status: () => ({ mcpServers: [{ name: "db", status: "failed", error: "no" }] })
}

const allControls = (answer: unknown) =>
  Object.fromEntries(questions.map(([, , { subtype }]) => [String(subtype), () => answer]))

describe("what can be asked of a session", () => {
  for (const [name, ask, request] of questions) {
    it.scoped(`${name}: says it to the process that runs`, () =>
      Effect.gen(function*() {
        const session = yield* Session.make()
        yield* session.prewarm
        yield* ask(session)
        assert.deepStrictEqual((yield* asked(0)).at(-1), request)
        assert.deepStrictEqual(yield* processes, { started: 1, running: 1 })
      }).pipe(Effect.provide(layerOf({ ...echo, controls: answering }))))
  }

  it.scoped("a refusal fails with the CLI's words and code", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* session.prewarm
      for (const [, ask, { subtype }] of questions) {
        const error = yield* Effect.flip(Effect.asVoid(ask(session)))
        assert.include(error, { _tag: "CliProtocolError", request: String(subtype), detail: "not so", code: "why" })
      }
      assert.strictEqual(yield* Session.text(session, "a"), "to a")
    }).pipe(Effect.provide(layerOf({ ...echo, controls: allControls(FakeCli.refused("not so", "why")) }))))

  it.scoped("no answer within 10 seconds fails, and the session goes on", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* session.prewarm
      const open = yield* Effect.forEach(questions, ([, ask]) => Effect.fork(Effect.flip(Effect.asVoid(ask(session)))))
      yield* TestClock.adjust("9999 millis")
      for (const fiber of open) assert.isNull(fiber.unsafePoll())
      yield* TestClock.adjust("1 millis")
      for (const [index, fiber] of open.entries()) {
        const error = yield* Fiber.join(fiber)
        assert.include(error, { _tag: "CliProtocolError", request: String(questions[index]![2]["subtype"]) })
      }
      assert.strictEqual(yield* Session.text(session, "a"), "to a")
    }).pipe(Effect.provide(layerOf({ ...echo, controls: allControls(FakeCli.unanswered) }))))

  it.scoped("an answer of another shape fails, and says what is wrong with it", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const wrong: ReadonlyArray<Question> = [
        (one) => one.contextUsage,
        (one) => one.mcpStatus,
        (one) => one.rewindFiles("m"),
        (one) => one.supportedModels
      ]
      for (const ask of wrong) {
        const error = yield* Effect.flip(Effect.asVoid(ask(session)))
        assert.strictEqual(error._tag, "CliProtocolError")
      }
    }).pipe(Effect.provide(layerOf({
      ...echo,
      controls: { ...allControls({ odd: true }), initialize: () => ({ models: "many" }) }
    }))))

  it.scoped("what the CLI said of itself at the start is not asked again", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      assert.deepStrictEqual((yield* session.supportedCommands).map(({ name }) => name), ["clear"])
      assert.deepStrictEqual((yield* session.supportedModels).map(({ value }) => value), ["default", "haiku"])
      assert.deepStrictEqual((yield* session.supportedAgents).map(({ name }) => name), ["general-purpose"])
      assert.strictEqual((yield* session.accountInfo).apiProvider, "firstParty")
      assert.deepStrictEqual((yield* asked(0)).map(({ subtype }) => subtype), ["initialize"])
    }).pipe(Effect.provide(layerOf(echo))))

  it.scoped("a question starts the process, which the first turn then has", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      assert.strictEqual((yield* session.contextUsage).maxTokens, 200_000)
      assert.strictEqual(yield* Session.text(session, "a"), "to a")
      assert.deepStrictEqual(yield* processes, { started: 1, running: 1 })
    }).pipe(Effect.provide(layerOf(echo))))

  it.scoped("a change before the first turn starts nothing, and the process starts with it", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* session.setModel("haiku")
      yield* session.setPermissionMode("plan")
      yield* session.setMaxThinkingTokens(0)
      assert.deepStrictEqual(yield* processes, { started: 0, running: 0 })
      const { messages, result } = yield* sending(session, "a")
      yield* result
      const init = messages.find((message) => message._tag === "Init")
      assert.deepInclude(init, { model: "haiku", permissionMode: "plan" })
      const { started } = yield* FakeCli.FakeCli
      assert.include((yield* started)[0]!.invocation.args, "--thinking=disabled")
      assert.deepStrictEqual((yield* asked(0)).map(({ subtype }) => subtype), ["initialize"])
    }).pipe(Effect.provide(layerOf(echo))))

  it.scoped("a change before the first turn reaches a process that was warmed up without it", () =>
    Effect.gen(function*() {
      yield* settle
      const session = yield* Session.make()
      yield* session.setModel("opus")
      yield* session.setModel("haiku")
      yield* session.setPermissionMode("plan")
      const { messages, result } = yield* sending(session, "a")
      yield* result
      const init = { model: "claude-fake-haiku", permissionMode: "plan" }
      assert.deepInclude(messages.find(({ _tag }) => _tag === "Init"), init)
      assert.deepStrictEqual(
        (yield* asked(0)).map(({ subtype }) => subtype),
        ["initialize", "set_model", "set_permission_mode"]
      )
    }).pipe(Effect.provide(layerOf(echo, { warm: 1 }))))

  it.scoped("a change while the process starts reaches it before the first turn", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* sending(session, "a")
      yield* session.setModel("haiku")
      yield* TestClock.adjust("1 second")
      yield* turn.result
      assert.deepInclude(turn.messages.find(({ _tag }) => _tag === "Init"), { model: "claude-fake-haiku" })
    }).pipe(Effect.provide(layerOf(echo, { startsIn: 1000 }))))

  it.scoped("a change that was refused is not remembered", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ permissionMode: "plan" })
      yield* session.prewarm
      const error = yield* Effect.flip(session.setPermissionMode("bypassPermissions"))
      assert.include(error, { _tag: "CliProtocolError", code: "bypass_not_launched" })
      yield* TestClock.adjust("10 minutes")
      yield* Session.text(session, "a")
      const { started } = yield* FakeCli.FakeCli
      assert.include((yield* started)[1]!.invocation.args, "--permission-mode=plan")
    }).pipe(Effect.provide(layerOf(echo))))

  it.scoped("questions are answered while a turn runs, and are no part of it", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* sending(session, "abc")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* session.mcpStatus, [])
      yield* session.setModel("haiku")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* turn.result).result, "abc")
      assert.deepStrictEqual(turn.tags(), ["Init", "Text", "Assistant", "Stop", "Result"])
    }).pipe(Effect.provide(layerOf({ respond: (prompt) => slowly(prompt, prompt.length) }))))

  it.scoped("files that cannot be rewound are an error, unless it was only asked whether they can", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* Session.text(session, "a")
      const looked = yield* session.rewindFiles("m", { dryRun: true })
      assert.deepInclude(looked, { canRewind: false, error: "File rewinding is not enabled." })
      yield* settle
    }).pipe(Effect.provide(layerOf(echo))))
})
