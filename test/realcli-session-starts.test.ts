import * as Claude from "@ccflow/core/Claude"
import * as Session from "@ccflow/core/Session"
import { Effect } from "effect"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "vitest"
import { childrenOf, commandLine } from "./fixtures/lifecycle/processes.js"
import * as Api from "./support/MessagesApi.js"
import { describeRealCli } from "./support/realCliBench.js"
import { follow, play, processesOf, soon, wordsOf } from "./support/sessionBench.js"

/** Nobody is told when a warm process is ready: until then a session would start one of its own. */
const untilWarm = <E, R>(
  make: Effect.Effect<Session.Session, E, R>,
  warm: number
): Effect.Effect<Session.Session, E, R> =>
  Effect.flatMap(make, (session) =>
    Effect.flatMap(processesOf(session), (pids) =>
      pids.includes(warm)
        ? Effect.succeed(session)
        : Effect.zipRight(Effect.sleep("100 millis"), untilWarm(make, warm))))

/** Where a session's process comes from, and what it is a part of, on the real CLI. */
await describeRealCli("a session", ({ path }) => {
  const ours = () => childrenOf(process.pid).filter((pid) => commandLine(pid).includes(path))

  it("takes a process that is kept warm: its first turn starts none; so does a query", () =>
    play(path, { warm: 1 }, () =>
      Effect.gen(function*() {
        yield* soon("one is there", () => ours().length === 1)
        const [warm = 0] = ours()
        const session = yield* untilWarm(Session.make(), warm)
        assert.strictEqual((yield* Session.result(session, "My name is Ada.")).sessionId, yield* session.id)
        assert.deepStrictEqual(yield* processesOf(session), [warm])
        yield* soon("another has taken its place", () => ours().length === 2)
        assert.strictEqual(yield* Session.text(session, "What is my name?"), "Your name is Ada.")
        assert.strictEqual(yield* Claude.text("What is my name?"), "You have not told me your name yet.")
        yield* session.close
        assert.isFalse(ours().includes(warm))
      })))

  it("of another directory is found from here", () =>
    play(path, {}, ({ home }) =>
      Effect.gen(function*() {
        const other = join(home.path, "elsewhere")
        mkdirSync(other)
        const session = yield* Session.make({ cwd: other })
        yield* Session.text(session, "My name is Ada.")
        yield* session.close
        const again = yield* Session.make({ resume: yield* session.id })
        const answer = yield* Effect.either(Session.text(again, "What is my name?"))
        if (answer._tag === "Right") assert.strictEqual(answer.right, "Your name is Ada.")
        else {
          assert.include(answer.left, { _tag: "SessionNotFoundError" })
          assert.match(answer.left.hint, /director|cwd/)
        }
      })))

  it("has an agent in the background: what it says after the turn is no part of the next one", () => {
    const helper = { description: "helps", prompt: "You are HELPER-AGENT", tools: [] }
    const main = [
      Api.toolUse("Agent", {
        description: "Do it",
        prompt: "Please help",
        subagent_type: "helper",
        run_in_background: true
      }),
      Api.text("It is at it."),
      Api.text("Clean.", { firstByteDelayMs: 1500 }),
      Api.text("The helper is done.")
    ]
    const replies = (request: Api.MessagesRequest) =>
      request.system.includes("HELPER-AGENT")
        ? Api.text("Report of the helper.", { firstByteDelayMs: 800 })
        : main.shift() ?? Api.text("No more.")
    return play(path, { replies }, () =>
      Effect.gen(function*() {
        const session = yield* Session.make({ agents: { helper } })
        const background = yield* follow(session.background)
        assert.strictEqual(yield* Session.text(session, "Start"), "It is at it.")
        const next = yield* follow(session.send("Something else"))
        assert.strictEqual((yield* next.end).result, "Clean.")
        assert.strictEqual(wordsOf(next.messages), "Clean.")
        assert.isFalse(next.messages.some(({ parentToolUseId }) => parentToolUseId !== undefined))
        yield* background.says("that the helper is done", ({ _tag }) => _tag === "Result")
        assert.strictEqual(wordsOf(background.messages), "The helper is done.")
      }))
  })
})
