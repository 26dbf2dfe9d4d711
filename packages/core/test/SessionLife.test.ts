import * as Session from "@ccflow/core/Session"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope, Stream, TestClock } from "effect"
import { failureOf, follow, identities, layerOf, processes, sending, settle, slowly } from "./sessions.js"

const echo = { respond: (prompt: string) => FakeCli.answer(`to ${prompt}`) }
const talks = { respond: (prompt: string) => slowly(prompt, prompt.length) }
const prompts = Effect.flatMap(FakeCli.FakeCli, ({ prompts }) => prompts)
const running = Effect.map(processes, ({ running }) => running)

const leavesRunning: FakeCli.Turn = [
  ...FakeCli.answer("started").slice(0, 1),
  FakeCli.toolUse("t1", "Bash", {}),
  FakeCli.background(FakeCli.answer("made"), { after: "1 day" }),
  FakeCli.toolResult("t1", "runs"),
  FakeCli.result({ result: "started" })
]

describe("an idle session", { timeout: 20_000 }, () => {
  it.scoped("closes its process after 10 minutes without a turn, and the next turn resumes it", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* Session.text(session, "a")
      yield* TestClock.adjust("9 minutes")
      yield* Session.text(session, "b")
      yield* TestClock.adjust("9 minutes")
      assert.strictEqual(yield* running, 1)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* running, 0)
      assert.strictEqual(yield* Session.text(session, "c"), "to c")
      const id = yield* session.id
      assert.deepStrictEqual(yield* identities, [`--session-id=${id}`, `--resume=${id}`])
      assert.strictEqual((yield* session.stats).turns, 3)
    }).pipe(Effect.provide(layerOf(echo))))

  it.scoped("closes it also when it was only prewarmed, or asked something", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ idleTimeout: "1 minute" })
      for (const start of [session.prewarm, session.supportedModels]) {
        yield* start
        assert.strictEqual(yield* running, 1)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* running, 0)
      }
    }).pipe(Effect.provide(layerOf(echo))))

  it.scoped("keeps it for as long as a turn takes, and for ever where that is asked", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ idleTimeout: "5 seconds", stallTimeout: "1 hour" })
      const turn = yield* sending(session, "abcdefghijklmnopqrstuvwxyz")
      yield* TestClock.adjust("26 seconds")
      assert.isTrue(turn.ended())
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* running, 0)
      const eternal = yield* Session.make({ idleTimeout: Infinity })
      yield* eternal.prewarm
      yield* TestClock.adjust("300 days")
      assert.strictEqual(yield* running, 1)
    }).pipe(Effect.provide(layerOf(talks))))

  it.scoped("keeps it for as long again while background work lives", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ idleTimeout: "1 minute" })
      yield* Session.text(session, "a")
      yield* TestClock.adjust("119 seconds")
      assert.strictEqual(yield* running, 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* running, 0)
    }).pipe(Effect.provide(layerOf([leavesRunning]))))
})

describe("a worn-out process", () => {
  const worn = (name: string, options: Session.SessionOptions["recycleAfter"], turns: number, memory?: number) =>
    it.scoped(`is replaced between two turns: ${name}`, () =>
      Effect.gen(function*() {
        const session = yield* Session.make({ recycleAfter: options })
        for (let turn = 1; turn <= turns; turn++) {
          assert.strictEqual(yield* Session.text(session, `${turn}`), `to ${turn}`)
          yield* TestClock.adjust("1 minute")
          assert.deepStrictEqual(yield* processes, { started: 1, running: turn < turns ? 1 : 0 }, `turn ${turn}`)
        }
        assert.strictEqual(yield* Session.text(session, "again"), "to again")
        assert.include((yield* identities)[1], "--resume=")
      }).pipe(Effect.provide(layerOf(echo, {
        change: (cli) => memory === undefined ? cli : { ...cli, memory: Effect.succeed(memory) }
      }))))

  worn("by its turns", { turns: 3 }, 3)
  worn("by its age", { age: "90 seconds" }, 3)
  worn("by its memory", { memoryBytes: 1000 }, 10, 1000)

  it.scoped("is kept while it has background work, or is small enough", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ recycleAfter: { turns: 1, memoryBytes: 1000 } })
      yield* Session.text(session, "a")
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* processes, { started: 1, running: 1 })
    }).pipe(Effect.provide(layerOf([leavesRunning], {
      change: (cli) => ({ ...cli, memory: Effect.succeed(999) })
    }))))

  it.scoped("is replaced before the turn that waits, which runs on the new one", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ recycleAfter: { turns: 1 } })
      const turns = yield* Effect.forEach(["a", "b", "c"], (prompt) => sending(session, prompt))
      yield* TestClock.adjust("10 seconds")
      for (const turn of turns) assert.isTrue(turn.ended())
      assert.strictEqual((yield* processes).started, 3)
    }).pipe(Effect.provide(layerOf(echo))))
})

describe("close", () => {
  it.scoped("of a session that never ran starts nothing, and is safe to repeat", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const stats = yield* session.close
      assert.deepStrictEqual(yield* Effect.all([session.close, session.close], { concurrency: 2 }), [stats, stats])
      assert.deepStrictEqual(yield* processes, { started: 0, running: 0 })
    }).pipe(Effect.provide(layerOf(echo))))

  it.scoped("interrupts the turn that runs, whose consumer gets what there was; those that wait never run", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const first = yield* sending(session, "abcdef")
      const waiting = yield* Effect.forEach(["x", "y"], (prompt) => sending(session, prompt))
      yield* TestClock.adjust("2 seconds")
      const all = yield* Effect.all([session.close, session.close, session.close], { concurrency: "unbounded" })
      assert.deepInclude(yield* first.result, { interrupted: true, result: "ab" })
      for (const { fiber } of waiting) {
        assert.include(failureOf(yield* fiber.await), { _tag: "SessionClosedError", sessionId: yield* session.id })
      }
      assert.deepStrictEqual(yield* prompts, ["abcdef"])
      assert.strictEqual(yield* running, 0)
      assert.deepStrictEqual(all.map(({ turns }) => turns), [1, 1, 1])
    }).pipe(Effect.provide(layerOf(talks))))

  it.scoped("while the process starts ends the start", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* sending(session, "a")
      const warming = yield* Effect.fork(Effect.flip(session.prewarm))
      yield* settle
      yield* session.close
      assert.strictEqual(yield* running, 0)
      assert.deepStrictEqual(yield* prompts, [])
      assert.oneOf(failureOf(yield* turn.fiber.await)._tag, ["SessionClosedError", "CliExitError"])
      assert.strictEqual((yield* Fiber.join(warming))._tag, "SessionClosedError")
    }).pipe(Effect.provide(layerOf({ controls: { initialize: () => FakeCli.unanswered } }))))

  it.scoped("while it is only prewarmed ends that start, too", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const warming = yield* Effect.fork(Effect.flip(session.prewarm))
      yield* settle
      yield* session.close
      assert.strictEqual((yield* Fiber.join(warming))._tag, "SessionClosedError")
      assert.deepStrictEqual(yield* processes, { started: 1, running: 0 })
    }).pipe(Effect.provide(layerOf({ controls: { initialize: () => FakeCli.unanswered } }))))

  it.scoped("takes no more turns, questions or changes, each with the same error", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* Session.text(session, "a")
      yield* session.close
      const all = [Session.text(session, "b"), session.mcpStatus, session.setModel("haiku"), session.prewarm]
      for (const one of all) {
        assert.strictEqual((yield* Effect.flip(Effect.asVoid(one)))._tag, "SessionClosedError")
      }
      assert.isFalse(yield* session.steer("b"))
      yield* session.interrupt
      assert.deepStrictEqual(yield* processes, { started: 1, running: 0 })
    }).pipe(Effect.provide(layerOf(echo))))

  it.scoped("comes to its end with background work, and with a CLI that does not leave", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* Session.text(session, "a")
      yield* session.close
      assert.strictEqual(yield* running, 0)
      const stubborn = yield* Session.make()
      yield* Session.text(stubborn, "a")
      const closing = yield* Effect.fork(stubborn.close)
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(closing)
      assert.strictEqual(yield* running, 0)
    }).pipe(Effect.provide(layerOf([leavesRunning], {
      change: (cli, index) => index === 0 ? cli : { ...cli, closeInput: Effect.void }
    }))))

  it.scoped("comes with the scope, whatever runs", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const session = yield* Scope.extend(Session.make(), scope)
      const background = yield* follow(session.background)
      const turn = yield* sending(session, "abcdef")
      yield* TestClock.adjust("1 second")
      yield* Scope.close(scope, Exit.void)
      assert.isTrue((yield* turn.result).interrupted)
      assert.strictEqual(yield* running, 0)
      yield* settle
      assert.isTrue(background.ended())
      assert.strictEqual((yield* Effect.flip(Stream.runDrain(session.send("x"))))._tag, "SessionClosedError")
    }).pipe(Effect.provide(layerOf(talks))))

  it.scoped("that is interrupted is done all the same", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* Session.text(session, "a")
      const closing = yield* Effect.fork(session.close)
      yield* settle
      const interrupting = yield* Effect.fork(Fiber.interrupt(closing))
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(interrupting)
      assert.strictEqual(yield* running, 0)
    }).pipe(Effect.provide(layerOf(echo, { change: (cli) => ({ ...cli, closeInput: Effect.void }) }))))
})

describe("prewarm", () => {
  it.scoped("starts the process before the first turn, once, whoever asks at the same time", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* sending(session, "a")
      yield* Effect.all([session.prewarm, session.prewarm, session.mcpStatus], { concurrency: "unbounded" })
      yield* turn.result
      assert.deepStrictEqual(yield* processes, { started: 1, running: 1 })
    }).pipe(Effect.provide(layerOf(echo))))
})
