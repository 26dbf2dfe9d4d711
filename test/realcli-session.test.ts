import * as Session from "@ccflow/core/Session"
import { Effect } from "effect"
import { assert, it } from "vitest"
import { commandLine } from "./fixtures/lifecycle/processes.js"
import { describeRealCli } from "./support/realCliBench.js"
import { kept, play, processesOf } from "./support/sessionBench.js"

const ask = (session: Session.Session, prompt: string) => Session.text(session, prompt)
const aboutName = "What is my name?"

/** Conversations on the real CLI: what is remembered, changed and asked. */
await describeRealCli("a session", ({ path }) => {
  it.concurrent("remembers, on one process, and has its stats from the CLI's account", () =>
    play(path, {}, () =>
      Effect.gen(function*() {
        const session = yield* Session.make()
        assert.deepStrictEqual(yield* processesOf(session), [])
        yield* session.prewarm
        const started = yield* processesOf(session)
        assert.strictEqual(started.length, 1)
        const first = yield* Session.result(session, "My name is Ada.")
        const second = yield* Session.result(session, aboutName)
        assert.strictEqual(second.result, "Your name is Ada.")
        assert.deepStrictEqual(yield* processesOf(session), started)
        assert.deepStrictEqual([first.sessionId, second.sessionId], [yield* session.id, yield* session.id])
        const stats = yield* session.stats
        assert.strictEqual(stats.turns, 2)
        assert.isAbove(first.costUsd, 0)
        assert.closeTo(stats.costUsd, second.totalCostUsd, 1e-9)
        assert.strictEqual(stats.outputTokens, first.usage.outputTokens + second.usage.outputTokens)
        assert.deepStrictEqual(yield* session.close, stats)
        assert.deepStrictEqual(yield* processesOf(session), [])
      })))

  it.concurrent("keeps its history, model and permission mode over the death of its process", () =>
    play(path, {}, (scene) =>
      Effect.gen(function*() {
        const { api } = scene
        const session = yield* Session.make()
        yield* ask(session, "My name is Ada.")
        yield* session.setModel("haiku")
        yield* session.setPermissionMode("acceptEdits")
        yield* ask(session, "Go on.")
        assert.match(api.mainRequests().at(-1)?.model ?? "", /haiku/)
        yield* kept(scene, "Go on.")
        const [pid = 0] = yield* processesOf(session)
        process.kill(pid, "SIGKILL")
        assert.strictEqual(yield* ask(session, aboutName), "Your name is Ada.")
        assert.match(api.mainRequests().at(-1)?.model ?? "", /haiku/)
        const [other = 0] = yield* processesOf(session)
        assert.notStrictEqual(other, pid)
        assert.include(commandLine(other), `--resume=${yield* session.id}`)
        assert.include(commandLine(other), "--permission-mode=acceptEdits")
        assert.notInclude(commandLine(other), "--session-id")
      })))

  it.concurrent("answers what is asked about it", () =>
    play(path, {}, () =>
      Effect.gen(function*() {
        const session = yield* Session.make()
        assert.include((yield* session.supportedCommands).map(({ name }) => name), "clear")
        assert.isNotEmpty(yield* session.supportedModels)
        assert.include((yield* session.supportedAgents).map(({ name }) => name), "general-purpose")
        assert.strictEqual((yield* session.accountInfo).apiProvider, "firstParty")
        assert.deepStrictEqual(yield* session.mcpStatus, [])
        const { categories, maxTokens, totalTokens } = yield* session.contextUsage
        assert.isAbove(totalTokens, 0)
        assert.isAbove(maxTokens, totalTokens)
        assert.isNotEmpty(categories)
        yield* session.setMaxThinkingTokens(2000)
        const refused = yield* Effect.flip(session.setPermissionMode("bypassPermissions"))
        assert.include(refused, { _tag: "CliProtocolError", request: "set_permission_mode" })
        const unknown = yield* Effect.flip(session.reconnectMcpServer("nothing"))
        assert.include(unknown, { _tag: "CliProtocolError", request: "mcp_reconnect" })
      })))

  it.concurrent("branches at the time of the fork, and both go on apart", () =>
    play(path, {}, () =>
      Effect.gen(function*() {
        const parent = yield* Session.make()
        yield* ask(parent, "My name is Ada.")
        const child = yield* parent.fork()
        yield* ask(parent, "My name is Bob.")
        assert.strictEqual(yield* ask(child, aboutName), "Your name is Ada.")
        yield* ask(child, "My name is Eve.")
        assert.strictEqual(yield* ask(parent, aboutName), "Your name is Bob.")
        assert.notStrictEqual(yield* child.id, yield* parent.id)
      })))

  it.concurrent("that was cleared goes on under the new id, and has forgotten, also on a new process", () =>
    play(path, {}, (scene) =>
      Effect.gen(function*() {
        const session = yield* Session.make()
        yield* ask(session, "My name is Ada.")
        const before = yield* session.id
        const [pid = 0] = yield* processesOf(session)
        assert.strictEqual(yield* ask(session, "/clear"), "")
        const cleared = yield* session.id
        assert.notStrictEqual(cleared, before)
        process.kill(pid, "SIGKILL")
        assert.strictEqual(yield* ask(session, aboutName), "You have not told me your name yet.")
        yield* ask(session, "My name is Eve.")
        yield* kept(scene, "Nice to meet you, Eve")
        for (const one of yield* processesOf(session)) process.kill(one, "SIGKILL")
        assert.strictEqual(yield* ask(session, aboutName), "Your name is Eve.")
      })))

  it.concurrent("that is resumed by its id remembers; an id that nobody knows is refused", () =>
    play(path, {}, () =>
      Effect.gen(function*() {
        const session = yield* Session.make()
        yield* ask(session, "My name is Ada.")
        yield* session.close
        const again = yield* Session.make({ resume: yield* session.id })
        assert.strictEqual(yield* ask(again, aboutName), "Your name is Ada.")
        assert.strictEqual(yield* again.id, yield* session.id)
        const unknown = crypto.randomUUID()
        const error = yield* Effect.flip(ask(yield* Session.make({ resume: unknown }), "Hello"))
        assert.include(error, { _tag: "SessionNotFoundError", sessionId: unknown })
      })))
})
