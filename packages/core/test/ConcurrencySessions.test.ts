import * as Claude from "@ccflow/core/Claude"
import { ClaudeConfig } from "@ccflow/core/ClaudeConfig"
import * as Concurrency from "@ccflow/core/Concurrency"
import * as MessageParser from "@ccflow/core/MessageParser"
import * as Policies from "@ccflow/core/Policies"
import * as Session from "@ccflow/core/Session"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Stream, TestClock } from "effect"
import { failureOf, follow, identities, processes, sending, settle } from "./sessions.js"

/** A turn that takes a minute where the prompt says so. */
const script: FakeCli.Script = {
  respond: (
    prompt
  ) => [...prompt.startsWith("slow") ? [FakeCli.delay("50 seconds")] : [], ...FakeCli.answer(`to ${prompt}`)]
}

const limited = (
  maxConcurrent: number,
  { fake = script, warm = 0 }: { readonly warm?: number; readonly fake?: Parameters<typeof FakeCli.layer>[0] } = {}
) =>
  Claude.layerWith({ warm }).pipe(
    Layer.provide([MessageParser.layer, Layer.succeed(ClaudeConfig, { defaults: {} })]),
    Layer.provideMerge(Layer.mergeAll(FakeCli.layer(fake), Policies.layerNoop, Concurrency.layer({ maxConcurrent }))),
    Layer.orDie
  )

const counts = Effect.flatMap(
  Concurrency.Concurrency,
  ({ state }) => Effect.map(state, ({ active, waiting }) => ({ active, waiting }))
)

/** What is asked, with the time that it may take. */
const within = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(effect)
    yield* TestClock.adjust("10 seconds")
    const exit = yield* Fiber.poll(fiber)
    return exit._tag === "Some" ? yield* exit.value : assert.fail("it still waits")
  })

describe("sessions at rest", () => {
  it.scoped("make room for a query, and the one that went answers its next turn as before", () =>
    Effect.gen(function*() {
      const first = yield* Session.make()
      const second = yield* Session.make()
      yield* within(Session.text(first, "a"))
      yield* within(Session.text(second, "b"))
      assert.deepStrictEqual(yield* processes, { started: 2, running: 2 })
      assert.strictEqual(yield* within(Claude.text("query")), "to query")
      assert.deepStrictEqual(yield* processes, { started: 3, running: 1 })
      assert.strictEqual(yield* within(Session.text(second, "c")), "to c")
      assert.strictEqual(yield* within(Session.text(first, "d")), "to d")
      assert.strictEqual((yield* identities)[3], `--resume=${yield* first.id}`)
      assert.deepStrictEqual(yield* counts, { active: 2, waiting: 0 })
    }).pipe(Effect.provide(limited(2))))

  it.scoped("go one for each that waits, and no more", () =>
    Effect.gen(function*() {
      for (const prompt of ["a", "b", "c"]) yield* within(Session.text(yield* Session.make(), prompt))
      const query = yield* follow(Claude.query("slow"))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* processes, { started: 4, running: 3 })
      yield* Fiber.interrupt(query.fiber)
    }).pipe(Effect.provide(limited(3))))

  it.scoped("take turns on one process without end", () =>
    Effect.gen(function*() {
      const all = [yield* Session.make(), yield* Session.make(), yield* Session.make()]
      for (let round = 0; round < 3; round++) {
        const turns = yield* Effect.forEach(all, (session, index) => sending(session, `${round} ${index}`))
        yield* TestClock.adjust("30 seconds")
        for (const [index, turn] of turns.entries()) {
          assert.isTrue(turn.ended())
          assert.strictEqual((yield* turn.result).result, `to ${round} ${index}`)
        }
        assert.strictEqual((yield* processes).running, 1)
      }
    }).pipe(Effect.provide(limited(1))))

  it.scoped("are not asked to go in a turn, and go when it has ended", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* sending(session, "slow")
      const query = yield* follow(Claude.query("query"))
      yield* TestClock.adjust("30 seconds")
      assert.isFalse(query.ended())
      yield* TestClock.adjust("40 seconds")
      assert.strictEqual((yield* turn.result).result, "to slow")
      assert.strictEqual((yield* query.result).result, "to query")
    }).pipe(Effect.provide(limited(1))))

  it.scoped("whose next turn comes when they are asked to go answer it", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* within(Session.text(session, "a"))
      const query = yield* follow(Claude.query("query"))
      const turn = yield* sending(session, "b")
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual((yield* query.result).result, "to query")
      assert.strictEqual((yield* turn.result).result, "to b")
      assert.deepStrictEqual(yield* counts, { active: 1, waiting: 0 })
    }).pipe(Effect.provide(limited(1))))

  it.scoped("branch off on the place that they give up for it", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* within(Session.text(session, "a"))
      const branch = yield* within(session.fork())
      assert.strictEqual(yield* within(Session.text(branch, "b")), "to b")
      assert.strictEqual(yield* within(Session.text(session, "c")), "to c")
    }).pipe(Effect.provide(limited(1))))

  it.scoped("make room once what they do in the background is over", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* within(Session.text(session, "work"))
      const query = yield* follow(Claude.query("query"))
      yield* TestClock.adjust("30 seconds")
      assert.isFalse(query.ended())
      yield* TestClock.adjust("40 seconds")
      assert.strictEqual((yield* query.result).result, "to query")
    }).pipe(Effect.provide(limited(1, {
      fake: {
        respond: (prompt) =>
          prompt === "work"
            ? [
              FakeCli.init(),
              FakeCli.background(FakeCli.answer("done"), { after: "1 minute" }),
              FakeCli.result({ result: "to work" })
            ]
            : FakeCli.answer(`to ${prompt}`)
      }
    }))))

  it.scoped("finish what they are asked besides turns before they go", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* within(Session.text(session, "a"))
      const asked = yield* Effect.fork(session.setModel("haiku"))
      yield* settle
      assert.strictEqual(yield* within(Claude.text("query")), "to query")
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(asked)))
    }).pipe(Effect.provide(limited(1))))
})

describe("a turn that waits for a process", () => {
  const waiting = Effect.gen(function*() {
    const query = yield* follow(Claude.query("slow query"))
    const session = yield* Session.make()
    const interrupt = yield* Deferred.make<void>()
    const turn = yield* sending(session, "a", { interruptWhen: Deferred.await(interrupt) })
    assert.deepStrictEqual(yield* counts, { active: 1, waiting: 1 })
    return { query, session, turn, interrupt: Deferred.succeed(interrupt, undefined) }
  })

  const ends: ReadonlyArray<
    readonly [string, (given: Effect.Effect.Success<typeof waiting>) => Effect.Effect<unknown>]
  > = [
    ["interrupt", ({ session }) => session.interrupt],
    ["its own interruptWhen", ({ interrupt }) => interrupt],
    ["its consumer that leaves", ({ turn }) => Fiber.interrupt(turn.fiber)],
    ["the session that is closed", ({ session }) => session.close]
  ]
  for (const [how, end] of ends) {
    it.scoped(`is ended at once by ${how}, and nothing is sent`, () =>
      Effect.gen(function*() {
        const all = yield* waiting
        yield* end(all)
        yield* settle
        assert.isTrue(all.turn.ended())
        if (how.includes("nterrupt")) {
          const error = failureOf(yield* Fiber.await(all.turn.fiber))
          assert.propertyVal(error, "reason", "Interrupted")
        }
        assert.deepStrictEqual(yield* counts, { active: 1, waiting: 0 })
        yield* Fiber.interrupt(all.query.fiber)
        assert.deepStrictEqual(yield* counts, { active: 0, waiting: 0 })
        const { prompts } = yield* FakeCli.FakeCli
        assert.deepStrictEqual(yield* prompts, ["slow query"])
        if (how.includes("closed")) return
        assert.strictEqual(yield* within(Session.text(all.session, "b")), "to b")
      }).pipe(Effect.provide(limited(1))))
  }

  it.scoped("behind a prewarming that waits is ended at once, too", () =>
    Effect.gen(function*() {
      yield* follow(Claude.query("slow query"))
      const session = yield* Session.make()
      const prewarming = yield* Effect.fork(session.prewarm)
      yield* settle
      const turn = yield* sending(session, "a")
      yield* session.interrupt
      yield* settle
      assert.isTrue(turn.ended())
      yield* TestClock.adjust("2 minutes")
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(prewarming)))
      assert.strictEqual(yield* within(Session.text(session, "b")), "to b")
    }).pipe(Effect.provide(limited(1))))
})

describe("a query that waits for a process", () => {
  it.scoped("is ended at once by what interrupts it, and starts nothing", () =>
    Effect.gen(function*() {
      yield* follow(Claude.query("slow"))
      const interrupt = yield* Deferred.make<void>()
      const query = yield* follow(Claude.query("a", { interruptWhen: Deferred.await(interrupt) }))
      yield* Deferred.succeed(interrupt, undefined)
      yield* settle
      assert.isTrue(query.ended())
      assert.deepStrictEqual(yield* counts, { active: 1, waiting: 0 })
      assert.strictEqual((yield* processes).started, 1)
    }).pipe(Effect.provide(limited(1))))

  it.scoped("comes before others when it is more urgent", () =>
    Effect.gen(function*() {
      const first = yield* follow(Claude.query("slow"))
      const low = yield* follow(Claude.query("low"))
      const high = yield* follow(Claude.query("high", { priority: 1 }))
      yield* Fiber.interrupt(first.fiber)
      yield* TestClock.adjust("10 seconds")
      yield* high.result
      yield* low.result
      const { prompts } = yield* FakeCli.FakeCli
      assert.deepStrictEqual(yield* prompts, ["slow", "high", "low"])
    }).pipe(Effect.provide(limited(1))))

  it.scoped("gets its process when that of another is gone, whoever still reads that one's messages", () =>
    Effect.gen(function*() {
      const pull = yield* Claude.toPull(Claude.query("a"))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* within(Claude.text("b")), "to b")
      yield* pull
    }).pipe(Effect.provide(limited(1))))
})

describe("processes that are kept warm", () => {
  it.scoped("take no place from queries, and come back when there is room", () =>
    Effect.gen(function*() {
      yield* settle
      assert.deepStrictEqual(yield* processes, { started: 2, running: 2 })
      const one = yield* follow(Claude.query("slow", { model: "haiku" }))
      const two = yield* follow(Claude.query("slow", { model: "opus" }))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* processes, { started: 4, running: 2 })
      assert.strictEqual((yield* counts).waiting, 0)
      yield* TestClock.adjust("2 minutes")
      yield* one.result
      yield* two.result
      assert.strictEqual(yield* within(Claude.text("a")), "to a")
      assert.strictEqual((yield* processes).running, 2)
    }).pipe(Effect.provide(limited(2, { warm: 2 }))))

  it.scoped("do not replace each other without end where there is less room than they want", () =>
    Effect.gen(function*() {
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* processes, { started: 1, running: 1 })
      for (let index = 0; index < 5; index++) assert.strictEqual(yield* within(Claude.text("a")), "to a")
      yield* TestClock.adjust("1 hour")
      assert.isAtMost((yield* processes).started, 7)
    }).pipe(Effect.provide(limited(1, { warm: 3 }))))

  it.scoped("and belong to a session that has not begun make room like any other", () =>
    Effect.gen(function*() {
      yield* settle
      const session = yield* Session.make()
      assert.strictEqual(yield* within(Claude.text("query", { model: "haiku" })), "to query")
      assert.strictEqual(yield* within(Session.text(session, "a")), "to a")
    }).pipe(Effect.provide(limited(1, { warm: 1 }))))

  it.scoped("and belong to a session go when it stops them", () =>
    Effect.gen(function*() {
      yield* settle
      const session = yield* Session.make()
      const turn = yield* sending(session, "a")
      yield* session.interrupt.pipe(Effect.fork)
      yield* TestClock.adjust("30 seconds")
      assert.isTrue(turn.ended())
      const { started } = yield* FakeCli.FakeCli
      assert.isFalse((yield* started)[0]!.running)
      assert.strictEqual(yield* within(Session.text(session, "b")), "to b")
    }).pipe(Effect.provide(limited(2, {
      warm: 1,
      fake: (index) =>
        index === 0
          ? { turns: [[FakeCli.init(), FakeCli.hang]], controls: { interrupt: () => FakeCli.unanswered } }
          : script
    }))))
})

it.scoped("never more run than may, whatever is asked at once", () =>
  Effect.gen(function*() {
    let most = 0
    const { changes } = yield* Concurrency.Concurrency
    yield* Effect.fork(Stream.runForEach(changes, ({ active }) =>
      Effect.map(processes, ({ running }) => {
        most = Math.max(most, active, running)
      })))
    const sessions = yield* Effect.forEach([1, 2, 3, 4], () => Session.make())
    const asked = yield* Effect.fork(Effect.forEach(
      Array.from({ length: 40 }, (_, index) => index),
      (index) => index % 2 === 0 ? Claude.text(`${index}`) : Session.text(sessions[(index >> 1) % 4]!, `${index}`),
      { concurrency: "unbounded" }
    ))
    yield* TestClock.adjust("10 minutes")
    const answers = yield* Fiber.join(asked)
    assert.deepStrictEqual(answers, answers.map((_, index) => `to ${index}`))
    assert.strictEqual(most, 3)
  }).pipe(Effect.provide(limited(3))))
