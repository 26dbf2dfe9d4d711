import { appendText } from "@ccflow/core/Message"
import * as Session from "@ccflow/core/Session"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream, TestClock } from "effect"
import {
  asked,
  failureOf,
  follow,
  identities,
  layerOf,
  processes,
  sending,
  settle,
  slowly,
  subtypes
} from "./sessions.js"

const echo = { respond: (prompt: string) => FakeCli.answer(`to ${prompt}`) }
const uuid = (n: number) => `aaaaaaaa-0000-4000-8000-00000000000${n}`

describe("a session's turns", { timeout: 20_000 }, () => {
  it.scoped("start one process at the first, and none after that", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      assert.deepStrictEqual(yield* processes, { started: 0, running: 0 })
      for (const prompt of ["a", "b", "c"]) assert.strictEqual(yield* Session.text(session, prompt), `to ${prompt}`)
      assert.deepStrictEqual(yield* processes, { started: 1, running: 1 })
      assert.deepStrictEqual(yield* identities, [`--session-id=${yield* session.id}`])
      assert.deepStrictEqual(yield* subtypes(0), ["initialize"])
    }).pipe(Effect.provide(layerOf(echo))))

  it.scoped("each have their own messages, from the start to the result", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ includePartialMessages: true })
      for (const prompt of ["a", "b"]) {
        const turn = yield* sending(session, prompt)
        const { result } = yield* turn.result
        assert.deepStrictEqual(turn.tags(), ["Init", "Text", "Assistant", "Stop", "Result"])
        assert.deepStrictEqual([turn.messages.reduce(appendText, ""), result], [`to ${prompt}`, `to ${prompt}`])
      }
    }).pipe(Effect.provide(layerOf(echo))))

  it.scoped("run one after the other, in the order in which their streams were started", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const streams = [3, 1, 2].map((n) => session.send(`p${n}`))
      const turns = yield* Effect.forEach([1, 2, 0], (n) => follow(streams[n]!))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Effect.flatMap(FakeCli.FakeCli, ({ prompts }) => prompts), ["p1"])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* Effect.flatMap(FakeCli.FakeCli, ({ prompts }) => prompts), ["p1", "p2", "p3"])
      const results = yield* Effect.forEach(turns, ({ result }) => result)
      assert.deepStrictEqual(results.map(({ result }) => result), ["to p1", "to p2", "to p3"])
    }).pipe(Effect.provide(layerOf({ respond: (prompt) => slowly(`to ${prompt}`, 2) }))))

  it.scoped("have the ids that were given, each once", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* Session.text(session, "a", { turnId: uuid(1) })
      const { started } = yield* FakeCli.FakeCli
      const users = (yield* started)[0]!.sent.filter(({ type }) => type === "user")
      assert.deepStrictEqual(users.map((line) => line["uuid"]), [uuid(1)])
      const again = yield* Effect.flip(Session.text(session, "a", { turnId: uuid(1) }))
      assert.include(again, { _tag: "InvalidOptionsError", field: "turnId" })
      assert.strictEqual(yield* Session.text(session, "b"), "to b")
    }).pipe(Effect.provide(layerOf(echo))))

  it.scoped("that cannot be are refused before anything is sent, and the next one runs", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const field = (prompt: Parameters<typeof session.send>[0], options?: object) =>
        Effect.map(Effect.flip(Session.text(session, prompt, options)), (error) =>
          error._tag === "InvalidOptionsError" ? error.field : error._tag)
      assert.strictEqual(yield* field(" \n"), "prompt")
      assert.strictEqual(yield* field([]), "prompt")
      assert.strictEqual(yield* field("a", { turnId: "no uuid" }), "turnId")
      assert.strictEqual(yield* field("a", { timeout: "soon" }), "timeout")
      assert.strictEqual(yield* field("a", { model: "x" }), "model")
      assert.deepStrictEqual(yield* processes, { started: 0, running: 0 })
      assert.strictEqual(yield* Session.text(session, "a"), "to a")
    }).pipe(Effect.provide(layerOf(echo))))

  it.scoped("have the data that is given with them", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      assert.include(yield* Session.text(session, "a", { context: { rows: 3 } }), "{\"rows\":3}")
    }).pipe(Effect.provide(layerOf(echo))))

  it.scoped("add up to what the CLI says that they have cost, interrupted, failed and late ones included", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const first = yield* Session.result(session, "quick")
      assert.deepStrictEqual(yield* session.stats, {
        turns: 1,
        inputTokens: first.usage.inputTokens,
        outputTokens: first.usage.outputTokens,
        costUsd: 0.001,
        durationMs: 0
      })
      const cut = yield* sending(session, "slow")
      yield* TestClock.adjust("1 second")
      yield* session.interrupt
      yield* cut.result
      const last = yield* Session.result(session, "quick")
      const { costUsd, turns } = yield* session.stats
      assert.strictEqual(turns, 3)
      assert.closeTo(costUsd, last.totalCostUsd, 1e-9)
    }).pipe(Effect.provide(layerOf({
      respond: (prompt) => prompt === "quick" ? FakeCli.answer("a") : slowly("some", 4)
    }))))

  it.scoped("cost also where they end after their time", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const late = yield* sending(session, "late", { timeout: "1 second" })
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(failureOf(yield* late.fiber.await)._tag, "CliTimeoutError")
      yield* TestClock.adjust("3 seconds")
      const { costUsd, outputTokens, turns } = yield* session.stats
      assert.deepStrictEqual([turns, costUsd, outputTokens > 0], [0, 0.001, true])
      assert.strictEqual(yield* Session.text(session, "quick"), "a")
    }).pipe(Effect.provide(layerOf({
      turns: [slowly("abcd", 4), FakeCli.answer("a")],
      controls: { interrupt: () => ({}) }
    }))))
})

describe("a session's options", () => {
  it.scoped("that cannot be are refused when it is made, and say which", () =>
    Effect.gen(function*() {
      const options: ReadonlyArray<readonly [field: string, options: object]> = [
        ["maxTurns", { maxTurns: -1 }],
        ["idleTimeout", { idleTimeout: "soon" }],
        ["recycleAfter.turns", { recycleAfter: { turns: 0 } }],
        ["recycleAfter.often", { recycleAfter: { often: true } }],
        ["permissionMode", { permissionMode: "yes" }],
        ["sessionId", { sessionId: "no uuid" }]
      ]
      for (const [field, given] of options) {
        const error = yield* Effect.flip(Effect.asVoid(Session.make(given)))
        assert.include(error, { _tag: "InvalidOptionsError", field })
      }
    }).pipe(Effect.provide(layerOf(echo))))
})

describe("what belongs to no turn", () => {
  it.scoped("goes to the background, and the turns stay clean", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const background = yield* follow(session.background)
      const turn = yield* sending(session, "go")
      assert.strictEqual((yield* turn.result).result, "started")
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* Session.text(session, "other"), "clean")
      yield* TestClock.adjust("1 minute")
      const texts = background.messages.flatMap((message) => message._tag === "Text" ? [message.content] : [])
      assert.deepStrictEqual(texts, ["it is made"])
      assert.isFalse(background.messages.some(({ _tag }) => _tag === "Status"))
      assert.isFalse(background.ended())
      const stats = yield* session.close
      yield* settle
      assert.closeTo(stats.costUsd, 0.003, 1e-9)
      assert.strictEqual(stats.turns, 2)
    }).pipe(Effect.provide(layerOf([
      [
        FakeCli.init(),
        FakeCli.toolUse("t1", "Bash", {}),
        FakeCli.background(FakeCli.answer("it is made"), { after: "1 minute" }),
        FakeCli.toolResult("t1", "runs"),
        FakeCli.text("started"),
        FakeCli.result({ result: "started" })
      ],
      FakeCli.answer("clean")
    ]))))

  it.scoped("is lost where nobody takes it, and holds nothing up", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* Session.text(session, "go")
      const background = yield* Stream.toPull(session.background)
      assert.isDefined(background)
      assert.strictEqual(yield* Session.text(session, "other"), "clean")
    }).pipe(Effect.provide(layerOf([
      [...FakeCli.answer("a"), FakeCli.background(Array.from({ length: 3 }, () => FakeCli.answer("b")).flat())],
      FakeCli.answer("clean")
    ]))))
})

describe("a cleared session", () => {
  it.scoped("is followed to its new id, from which its next process goes on", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* Session.text(session, "a")
      const before = yield* session.id
      assert.strictEqual(yield* Session.text(session, "/clear"), "")
      const after = yield* session.id
      assert.notStrictEqual(after, before)
      assert.strictEqual(
        yield* Session.text(session, "crash").pipe(Effect.flip, Effect.map(({ _tag }) => _tag)),
        "CliExitError"
      )
      assert.strictEqual(yield* Session.text(session, "b"), "to b")
      assert.deepStrictEqual(yield* identities, [`--session-id=${before}`, `--resume=${after}`])
      assert.strictEqual(yield* session.id, after)
    }).pipe(Effect.provide(layerOf({
      respond: (prompt) =>
        prompt === "crash"
          ? [FakeCli.init(), FakeCli.text("x"), FakeCli.kill("SIGKILL")]
          : FakeCli.answer(`to ${prompt}`)
    }))))

  it.scoped("whose new conversation the CLI did not keep begins another one", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* Session.text(session, "a")
      yield* Session.text(session, "/clear")
      const cleared = yield* session.id
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* Session.text(session, "b"), "to b")
      const [first, second, third] = yield* identities
      assert.strictEqual(second, `--resume=${cleared}`)
      assert.strictEqual(third, `--session-id=${yield* session.id}`)
      assert.notInclude([first, `--session-id=${cleared}`], third)
    }).pipe(Effect.provide(layerOf((index, { args }) =>
      index === 1
        ? { start: FakeCli.sessionNotFound(args.find((arg) => arg.startsWith("--resume="))!.slice(9)) }
        : echo
    ))))
})

describe("a fork", () => {
  it.scoped("branches off with a process of its own, the parent's options and what was changed", () =>
    Effect.gen(function*() {
      const parent = yield* Session.make({ maxTurns: 7 })
      yield* Session.text(parent, "a")
      yield* parent.setModel("haiku")
      const child = yield* parent.fork({ maxTurns: 9 })
      const [, args = ""] = yield* identities
      assert.match(args, new RegExp(`--resume=${yield* parent.id} --fork-session --session-id=${yield* child.id}`))
      const { started } = yield* FakeCli.FakeCli
      const given = (yield* started)[1]!.invocation.args
      assert.include(given, "--model=haiku")
      assert.include(given, "--max-turns=9")
      assert.notStrictEqual(yield* child.id, yield* parent.id)
      assert.strictEqual(yield* Session.text(child, "b"), "to b")
      yield* child.close
      assert.strictEqual(yield* Session.text(parent, "c"), "to c")
      assert.deepStrictEqual(yield* processes, { started: 2, running: 1 })
      assert.strictEqual((yield* child.stats).turns, 1)
    }).pipe(Effect.provide(layerOf(echo))))

  it.scoped("of a session without a turn is a new session with its options", () =>
    Effect.gen(function*() {
      const parent = yield* Session.make({ model: "opus" })
      yield* parent.setModel("haiku")
      const child = yield* parent.fork()
      assert.deepStrictEqual(yield* processes, { started: 0, running: 0 })
      yield* Session.text(child, "a")
      assert.deepStrictEqual(yield* identities, [`--session-id=${yield* child.id}`])
      assert.deepStrictEqual((yield* asked(0)).map(({ subtype }) => subtype), ["initialize"])
      const { started } = yield* FakeCli.FakeCli
      assert.include((yield* started)[0]!.invocation.args, "--model=haiku")
    }).pipe(Effect.provide(layerOf(echo))))

  it.scoped("waits for the turn that runs, and has its answer", () =>
    Effect.gen(function*() {
      const parent = yield* Session.make()
      const turn = yield* sending(parent, "a")
      const forked = yield* Effect.fork(parent.fork())
      yield* TestClock.adjust("1 second")
      assert.isNull(forked.unsafePoll())
      yield* TestClock.adjust("1 second")
      assert.isTrue(turn.ended())
      assert.isNotNull(forked.unsafePoll())
    }).pipe(Effect.provide(layerOf({ respond: () => slowly("ab", 2) }))))
})
