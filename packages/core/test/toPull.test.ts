import * as Claude from "@ccflow/core/Claude"
import type { Message } from "@ccflow/core/Message"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Fiber, Option, Stream, TestClock } from "effect"

type Pull<R> = Effect.Effect<ReadonlyArray<Message>, Option.Option<unknown>, R>

/** Everything that a pull gives, and how it ends. */
const drain = <R>(pull: Pull<R>) =>
  Effect.gen(function*() {
    const seen: Array<Message> = []
    const end = yield* Effect.flip(
      Effect.forever(Effect.map(pull, (batch) => void seen.push(...batch)))
    )
    return { seen, end }
  })

const running = Effect.map(
  Effect.flatMap(FakeCli.FakeCli, (fake) => fake.started),
  (started) => started.filter((process) => process.running).length
)

const overloaded = FakeCli.apiError({
  status: 529,
  code: "overloaded",
  type: "overloaded_error",
  message: "Overloaded"
})

describe("a query pulled batch by batch", () => {
  it.effect("gives the messages of its stream, and ends with none", () =>
    Effect.gen(function*() {
      const { end, seen } = yield* Effect.scoped(Effect.flatMap(Claude.toPull(Claude.query("x")), drain))
      assert.isTrue(Option.isNone(end))
      const streamed = Chunk.toReadonlyArray(yield* Stream.runCollect(Claude.query("x")))
      assert.deepStrictEqual(seen.map((message) => message._tag), streamed.map((message) => message._tag))
    }).pipe(Effect.provide(FakeClaude.layer([FakeCli.answer("4", { deltas: 3 })]))))

  it.effect("fails with the run's error after everything that was seen", () =>
    Effect.gen(function*() {
      const { end, seen } = yield* Effect.scoped(Effect.flatMap(Claude.toPull(Claude.query("x")), drain))
      assert.deepInclude(Option.getOrUndefined(end), { _tag: "OverloadedError" })
      assert.strictEqual(seen.at(-1)?._tag, "Result")
    }).pipe(Effect.provide(FakeClaude.layer([overloaded]))))

  it.effect("is what was put around its stream, when something was", () =>
    Effect.gen(function*() {
      const results = Stream.filter(Claude.query("x"), (message) => message._tag === "Result")
      const { end, seen } = yield* Effect.scoped(Effect.flatMap(Claude.toPull(results), drain))
      assert.isTrue(Option.isNone(end))
      assert.deepStrictEqual(seen.map((message) => message._tag), ["Result"])
    }).pipe(Effect.provide(FakeClaude.layer([FakeCli.answer("4")]))))

  it.effect("ends its process when the scope closes", () =>
    Effect.gen(function*() {
      yield* Effect.scoped(Effect.gen(function*() {
        const pull = yield* Claude.toPull(Claude.query("x"))
        yield* pull
        assert.strictEqual(yield* running, 1)
      }))
      assert.strictEqual(yield* running, 0)
    }).pipe(Effect.provide(FakeClaude.layer([[FakeCli.init(), FakeCli.hang]]))))

  it.effect("loses nothing to a consumer that is interrupted while it waits", () =>
    Effect.scoped(Effect.gen(function*() {
      const pull = yield* Claude.toPull(Claude.query("x"))
      yield* pull
      const waiting = yield* Effect.fork(pull)
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(waiting)
      yield* TestClock.adjust("1 minute")
      const { seen } = yield* drain(pull)
      assert.deepStrictEqual(seen.map((message) => message._tag), ["Text", "Assistant", "Stop", "Result"])
    })).pipe(Effect.provide(FakeClaude.layer([[
      FakeCli.init(),
      FakeCli.delay("30 seconds"),
      FakeCli.text("4"),
      FakeCli.result()
    ]]))))
})

describe("deadlines", () => {
  it.effect("a stall is noticed in time also where silence at the start may last longer", () =>
    Effect.gen(function*() {
      const query = Claude.text("x", { startupTimeout: "10 minutes", stallTimeout: "20 seconds" })
      const fiber = yield* Effect.fork(Effect.flip(query))
      yield* TestClock.adjust("19 seconds")
      assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* Fiber.join(fiber), { _tag: "CliTimeoutError", phase: "stall" })
    }).pipe(Effect.provide(FakeClaude.layer([[FakeCli.init(), FakeCli.hang]]))))

  it.effect("a long run that has its answer is not waited for longer than a short one", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(Claude.text("x"))
      yield* TestClock.adjust("3 hours")
      assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
      yield* TestClock.adjust("5 seconds")
      assert.isTrue(Option.isSome(yield* Fiber.poll(fiber)))
    }).pipe(Effect.provide(FakeClaude.layer([[
      FakeCli.init(),
      FakeCli.toolUse("toolu_1", "Bash", { command: "make" }),
      FakeCli.delay("3 hours"),
      FakeCli.toolResult("toolu_1", "ok"),
      FakeCli.result({ result: "built" }),
      FakeCli.hang
    ]]))))
})
