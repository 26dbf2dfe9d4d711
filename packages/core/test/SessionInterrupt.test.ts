import { appendText } from "@ccflow/core/Message"
import * as Session from "@ccflow/core/Session"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Stream, TestClock } from "effect"
import { failureOf, follow, layerOf, processes, sending, settle, slowly, subtypes } from "./sessions.js"

const talks = { respond: (prompt: string) => slowly(prompt, prompt.length) }
const worksOn: FakeCli.Turn = [
  FakeCli.init(),
  FakeCli.text("I run it. "),
  FakeCli.toolUse("t1", "Bash", { command: "make" }),
  FakeCli.delay("1 minute"),
  FakeCli.toolResult("t1", "ok"),
  FakeCli.text("Made."),
  FakeCli.result({ result: "Made." })
]
const prompts = Effect.flatMap(FakeCli.FakeCli, ({ prompts }) => prompts)

describe("an interrupt", { timeout: 20_000 }, () => {
  it.scoped("ends the turn well, with what there was of the text; the next turn runs on the same process", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ includePartialMessages: true })
      const turn = yield* sending(session, "abcdef")
      yield* TestClock.adjust("3 seconds")
      yield* session.interrupt
      assert.isTrue(turn.ended())
      const result = yield* turn.result
      assert.deepInclude(result, { interrupted: true, result: "abc" })
      assert.strictEqual(turn.messages.reduce(appendText, ""), "abc")
      const next = yield* sending(session, "xy")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* next.result).result, "xy")
      assert.deepStrictEqual(next.tags(), ["Init", "Text", "Text", "Assistant", "Stop", "Result"])
      assert.deepStrictEqual(yield* processes, { started: 1, running: 1 })
    }).pipe(Effect.provide(layerOf(talks))))

  for (const version of ["2.1.330", "2.1.197"] as const) {
    it.scoped(`ends a turn whose tool runs (${version})`, () =>
      Effect.gen(function*() {
        const session = yield* Session.make()
        const turn = yield* sending(session, "go")
        yield* TestClock.adjust("1 second")
        yield* session.interrupt
        const result = yield* turn.result
        assert.deepInclude(result, { interrupted: true, terminalReason: "aborted_tools" })
        assert.strictEqual(turn.messages.reduce(appendText, ""), "I run it. ")
        assert.strictEqual(yield* Session.text(session, "then"), "fine")
      }).pipe(Effect.provide(layerOf({ turns: [worksOn, FakeCli.answer("fine")], version }))))
  }

  it.scoped("while the process starts ends the turn as soon as it can be", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* sending(session, "abc")
      const done = yield* Effect.fork(session.interrupt)
      yield* TestClock.adjust("4 seconds")
      assert.isFalse(turn.ended())
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* turn.result, { interrupted: true, result: "" })
      yield* Fiber.join(done)
      yield* TestClock.adjust("1 minute")
      const next = yield* sending(session, "xy")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* next.result).result, "xy")
    }).pipe(Effect.provide(layerOf(talks, {
      change: (cli) => ({ ...cli, stdout: Effect.zipLeft(cli.stdout, startsSlowly()) })
    }))))

  it.scoped("twice at once is one", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* sending(session, "abcdef")
      yield* TestClock.adjust("2 seconds")
      yield* Effect.all([session.interrupt, session.interrupt, session.interrupt], { concurrency: "unbounded" })
      assert.isTrue((yield* turn.result).interrupted)
      assert.deepStrictEqual((yield* subtypes(0)).filter((one) => one === "interrupt"), ["interrupt"])
    }).pipe(Effect.provide(layerOf(talks))))

  it.scoped("without a turn does nothing, and starts nothing", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* session.interrupt
      assert.deepStrictEqual(yield* processes, { started: 0, running: 0 })
      const turn = yield* sending(session, "a")
      yield* TestClock.adjust("1 second")
      yield* turn.result
      yield* session.interrupt
      assert.notInclude(yield* subtypes(0), "interrupt")
    }).pipe(Effect.provide(layerOf(talks))))

  it.scoped("ends the turn that runs, and not those that wait", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const first = yield* sending(session, "abcdef")
      const second = yield* sending(session, "xy")
      yield* TestClock.adjust("1 second")
      yield* session.interrupt
      assert.isTrue((yield* first.result).interrupted)
      yield* TestClock.adjust("2 seconds")
      assert.deepInclude(yield* second.result, { interrupted: false, result: "xy" })
    }).pipe(Effect.provide(layerOf(talks))))

  it.scoped("that the CLI does not hear costs it its process, and the session goes on", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* sending(session, "go")
      yield* TestClock.adjust("1 second")
      const done = yield* Effect.fork(session.interrupt)
      yield* TestClock.adjust("11 seconds")
      yield* Fiber.join(done)
      assert.isTrue(turn.ended())
      assert.include(failureOf(yield* turn.fiber.await), { _tag: "CliExitError" })
      assert.strictEqual(yield* Session.text(session, "then"), "fine")
      assert.deepStrictEqual(yield* processes, { started: 2, running: 1 })
    }).pipe(Effect.provide(layerOf((index) =>
      index === 0
        ? { turns: [[FakeCli.init(), FakeCli.hang]], controls: { interrupt: () => FakeCli.unanswered } }
        : { turns: [FakeCli.answer("fine")] }
    ))))

  it.scoped("while a turn is about to be asked once more ends it, and it is not asked", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* sending(session, "a")
      assert.deepStrictEqual(yield* processes, { started: 2, running: 1 })
      const done = yield* Effect.fork(session.interrupt)
      yield* TestClock.adjust("30 seconds")
      yield* Fiber.join(done)
      assert.include(failureOf(yield* turn.fiber.await), { _tag: "CliExitError", reason: "Interrupted" })
      assert.deepStrictEqual(yield* prompts, ["a"])
      assert.strictEqual(yield* Session.text(session, "then"), "fine")
    }).pipe(Effect.provide(layerOf(
      (index) => ({ turns: [index === 0 ? [FakeCli.init(), FakeCli.kill("SIGKILL")] : FakeCli.answer("fine")] }),
      { change: (cli, index) => index === 0 ? cli : { ...cli, stdout: Effect.zipLeft(cli.stdout, startsSlowly()) } }
    ))))

  it.scoped("can come from the turn's own options", () =>
    Effect.gen(function*() {
      const stop = yield* Deferred.make<void>()
      const session = yield* Session.make()
      const turn = yield* sending(session, "abcdef", { interruptWhen: Deferred.await(stop) })
      yield* TestClock.adjust("2 seconds")
      yield* Deferred.succeed(stop, undefined)
      yield* settle
      assert.deepInclude(yield* turn.result, { interrupted: true, result: "ab" })
    }).pipe(Effect.provide(layerOf(talks))))
})

describe("a stream that is left", () => {
  it.scoped("early interrupts its turn, and the next one is clean", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const left = yield* follow(session.send("abcdef").pipe(Stream.take(1)))
      yield* TestClock.adjust("1 second")
      assert.isTrue(left.ended())
      const next = yield* sending(session, "xy")
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(next.tags(), ["Init", "Text", "Assistant", "Stop", "Result"])
      assert.include(yield* subtypes(0), "interrupt")
    }).pipe(Effect.provide(layerOf(talks))))

  it.scoped("while it waits is never sent", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const first = yield* sending(session, "ab")
      const second = yield* sending(session, "second")
      const third = yield* sending(session, "c")
      yield* Fiber.interrupt(second.fiber)
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual([(yield* first.result).result, (yield* third.result).result], ["ab", "c"])
      assert.deepStrictEqual(yield* prompts, ["ab", "c"])
      assert.notInclude(yield* subtypes(0), "interrupt")
    }).pipe(Effect.provide(layerOf(talks))))

  it.scoped("while the process starts is never sent, and the next one starts another", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const first = yield* sending(session, "ab")
      yield* Fiber.interrupt(first.fiber)
      yield* settle
      assert.deepStrictEqual(yield* prompts, [])
      assert.strictEqual((yield* processes).running, 0)
      const next = yield* sending(session, "xy")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* next.result).result, "xy")
      assert.deepStrictEqual(yield* prompts, ["xy"])
    }).pipe(Effect.provide(layerOf(talks, {
      change: (cli) => ({ ...cli, stdout: Effect.zipLeft(cli.stdout, startsSlowly()) })
    }))))

  it.scoped("by interruption while it runs interrupts its turn, and leaves the process", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const first = yield* sending(session, "abcdef")
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.interrupt(first.fiber)
      const next = yield* sending(session, "xy")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* next.result).result, "xy")
      assert.deepStrictEqual(yield* processes, { started: 1, running: 1 })
    }).pipe(Effect.provide(layerOf(talks))))
})

describe("steering", { timeout: 20_000 }, () => {
  for (const version of ["2.1.330", "2.1.197"] as const) {
    it.scoped(`while a tool runs is taken up into the turn, which has one result (${version})`, () =>
      Effect.gen(function*() {
        const session = yield* Session.make()
        const turn = yield* sending(session, "go")
        assert.isTrue(yield* session.steer("and that"))
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* turn.result).result, "Made.")
        assert.deepStrictEqual(turn.tags().filter((tag) => tag === "Result" || tag === "User"), ["Result"])
        assert.deepStrictEqual(yield* prompts, ["go", "and that"])
        assert.strictEqual(yield* Session.text(session, "next"), "fine")
      }).pipe(Effect.provide(layerOf({ turns: [worksOn, FakeCli.answer("fine")], version }))))

    it.scoped(`while text streams is answered after it, in the same stream (${version})`, () =>
      Effect.gen(function*() {
        const session = yield* Session.make()
        const turn = yield* sending(session, "abc")
        yield* TestClock.adjust("1 second")
        assert.isTrue(yield* session.steer("de"))
        assert.isTrue(yield* session.steer("f"))
        const next = yield* sending(session, "xy")
        yield* TestClock.adjust("20 seconds")
        yield* turn.result
        const results = turn.messages.flatMap((message) => message._tag === "Result" ? [message.result] : [])
        assert.deepStrictEqual(results, ["abc", "de\n\nf"])
        assert.strictEqual((yield* next.result).result, "xy")
      }).pipe(Effect.provide(layerOf({ ...talks, version }))))
  }

  it.scoped("is no longer possible when the turn has ended, and never without one", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      assert.isFalse(yield* session.steer("a"))
      assert.deepStrictEqual(yield* processes, { started: 0, running: 0 })
      const turn = yield* sending(session, "a")
      yield* TestClock.adjust("1 second")
      yield* turn.result
      assert.isFalse(yield* session.steer("b"))
      assert.deepStrictEqual(yield* prompts, ["a"])
      assert.include(yield* Effect.flip(session.steer("")), { _tag: "InvalidOptionsError", field: "prompt" })
    }).pipe(Effect.provide(layerOf(talks))))

  it.scoped("while the process starts waits for it", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* sending(session, "abc")
      const steered = yield* Effect.fork(session.steer("de"))
      yield* TestClock.adjust("20 seconds")
      assert.isTrue(yield* Fiber.join(steered))
      yield* turn.result
      assert.deepStrictEqual(yield* prompts, ["abc", "de"])
    }).pipe(Effect.provide(layerOf(talks, {
      change: (cli) => ({ ...cli, stdout: Effect.zipLeft(cli.stdout, startsSlowly()) })
    }))))

  it.scoped("before there is a process waits for it, too", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* sending(session, "abc")
      const steered = yield* Effect.fork(session.steer("de"))
      yield* TestClock.adjust("20 seconds")
      assert.isTrue(yield* Fiber.join(steered))
      yield* turn.result
      assert.deepStrictEqual(yield* prompts, ["abc", "de"])
    }).pipe(Effect.provide(layerOf(talks, { startsIn: 1000 }))))

  it.scoped("what was queued is taken back when the turn is interrupted", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* sending(session, "abcdef")
      yield* TestClock.adjust("1 second")
      yield* session.steer("never")
      yield* session.interrupt
      assert.isTrue((yield* turn.result).interrupted)
      yield* TestClock.adjust("20 seconds")
      const next = yield* sending(session, "xy")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* next.result).result, "xy")
      assert.isTrue((yield* subtypes(0)).includes("cancel_async_message"))
    }).pipe(Effect.provide(layerOf(talks))))
})

/** Holds back the first thing that is said, which is the answer to `initialize`, for 5 seconds. */
const startsSlowly = () => {
  let first = true
  return Effect.suspend(() => {
    const wait = first ? Effect.sleep("5 seconds") : Effect.void
    first = false
    return wait
  })
}
