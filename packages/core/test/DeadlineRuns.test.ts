import { Claude } from "@ccflow/core/Claude"
import * as Deadline from "@ccflow/core/Deadline"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, type Clock, Deferred, type Duration, Effect, Fiber, Stream, TestClock } from "effect"
import { asking, deaf, endsAfter, errorOf, layerOf, nothingRuns, pausing, slowly, unheard } from "./deadlines.js"
import { settle } from "./sessions.js"

describe("a query whose time is up", () => {
  it.scoped("has in its error the text so far, the cost and the session, and hands out the last messages before", () =>
    Effect.gen(function*() {
      const query = yield* asking({ timeout: "3500 millis" })
      yield* endsAfter(query, 3500)
      const error = yield* errorOf(query)
      const result = query.messages.findLast(({ _tag }) => _tag === "Result")
      assert.deepInclude(error, { phase: "total", timeoutMs: 3500, partial: "abc" })
      assert.isTrue(result?._tag === "Result" && result.interrupted && result.result === "abc")
      assert.strictEqual(error.costUsd, result?._tag === "Result" ? result.costUsd : undefined)
      assert.notStrictEqual(error.sessionId, "")
      assert.include(error.hint, `resume: "${error.sessionId}"`)
      assert.isAbove(error.frames, 3)
      yield* nothingRuns
    }).pipe(Effect.provide(layerOf([slowly("abcdef")], { change: deaf }))))

  it.scoped("sends the signal to a CLI that does not answer", () =>
    Effect.gen(function*() {
      const query = yield* asking({ timeout: "3500 millis" })
      yield* endsAfter(query, 4500)
      assert.deepInclude(yield* errorOf(query), { partial: "abcd" })
      assert.strictEqual(query.tags().at(-1), "Result")
      yield* nothingRuns
    }).pipe(Effect.provide(layerOf({ turns: [slowly("abcdef")], controls: unheard }))))

  it.scoped("waits no longer than 2 seconds for a CLI that is deaf, and has what was seen", () =>
    Effect.gen(function*() {
      const query = yield* asking({ timeout: "2500 millis" })
      yield* endsAfter(query, 4500)
      assert.deepInclude(yield* errorOf(query), { phase: "total", partial: "abcd", costUsd: null })
      yield* nothingRuns
    }).pipe(Effect.provide(layerOf({ turns: [slowly("abcdef")], controls: unheard }, { change: deaf }))))

  it.scoped("ends well all the same with the whole answer that was on its way", () =>
    Effect.gen(function*() {
      const told = yield* Effect.fork(Stream.runCollect(Deadline.Deadline.pipe(
        Effect.map(({ changes }) => changes),
        Stream.unwrap
      )))
      const query = yield* asking({ timeout: "5500 millis" })
      yield* TestClock.adjust("10 seconds")
      assert.include(yield* query.result, { result: "abcdef", interrupted: false })
      assert.isNull(told.unsafePoll())
    }).pipe(Effect.provide(layerOf({ turns: [slowly("abcdef")], controls: unheard }, { change: deaf }))))

  it.scoped("has only the message that was being said last, as the result would", () =>
    Effect.gen(function*() {
      const query = yield* asking({ stallTimeout: "10 seconds", includePartialMessages: false })
      yield* endsAfter(query, 12_000)
      assert.deepInclude(yield* errorOf(query), { phase: "stall", partial: "second" })
    }).pipe(Effect.provide(layerOf({
      turns: [[FakeCli.init(), FakeCli.text("first"), FakeCli.text("second"), FakeCli.hang]],
      controls: unheard
    }, { change: deaf }))))

  it.scoped("is told to those who watch, also where an answer stands and only its background work was cut", () =>
    Effect.gen(function*() {
      const { changes } = yield* Deadline.Deadline
      const told = yield* Effect.fork(Stream.runCollect(Stream.take(changes, 2)))
      const cut = yield* asking({ backgroundTimeout: "1 minute" })
      yield* TestClock.adjust("1 minute")
      assert.isTrue(cut.ended())
      assert.strictEqual((yield* cut.result).result, "done")
      const late = yield* asking({ timeout: "1 second" })
      yield* TestClock.adjust("1 second")
      const errors = Chunk.toReadonlyArray(yield* Fiber.join(told))
      assert.deepStrictEqual(errors.map(({ phase, timeoutMs }) => [phase, timeoutMs]), [["background", 60_000], [
        "total",
        1000
      ]])
      assert.strictEqual(errors[1], yield* errorOf(late))
    }).pipe(Effect.provide(layerOf((index) => ({
      turns: [
        index === 0
          ? [
            FakeCli.init(),
            FakeCli.emit({ type: "system", subtype: "background_tasks_changed", tasks: [{ task_id: "b" }] }),
            FakeCli.result({ result: "done" }),
            FakeCli.hang
          ]
          : [FakeCli.init(), FakeCli.hang]
      ]
    })))))

  it.scoped("is not held up by a consumer that takes nothing, who gets all messages and then the error", () =>
    Effect.gen(function*() {
      const go = yield* Deferred.make<void>()
      const query = yield* pausing({ timeout: "10 seconds", stallTimeout: "1 second" }, Deferred.await(go))
      yield* TestClock.adjust("1 minute")
      assert.isFalse(query.ended())
      yield* nothingRuns
      yield* Deferred.succeed(go, undefined)
      yield* settle
      assert.deepInclude(yield* errorOf(query), { phase: "total", partial: "2999" })
      assert.deepStrictEqual(query.tags().slice(-2), ["Stop", "Result"])
      assert.strictEqual(query.messages.length, 6003)
    }).pipe(Effect.provide(layerOf([[
      FakeCli.init(),
      ...Array.from({ length: 3000 }, (_, index) => FakeCli.text(`${index}`)),
      FakeCli.hang
    ]]))))
})

describe("a query that is over", () => {
  const turn = [FakeCli.init(), FakeCli.text("a"), FakeCli.result({ result: "a" })]

  it.scoped("waits for nothing more, whether it was read to its end or left", () =>
    Effect.gen(function*() {
      const { query } = yield* Claude
      const clock = yield* Effect.clock
      let waits = 0
      const counting: Clock.Clock = Object.assign(Object.create(clock), {
        sleep: (duration: Duration.Duration) =>
          Effect.acquireUseRelease(
            Effect.sync(() => waits++),
            () => clock.sleep(duration),
            () => Effect.sync(() => waits--)
          )
      })
      const most: Array<number> = []
      const see = Effect.map(settle, () => most.push(waits))
      yield* Effect.zipRight(Stream.runDrain(query("x")), see).pipe(Effect.withClock(counting))
      yield* Stream.runForEach(Stream.take(query("x"), 1), () => see).pipe(
        Effect.zipRight(see),
        Effect.withClock(counting)
      )
      assert.deepStrictEqual(most, [0, 1, 0])
    }).pipe(Effect.provide(layerOf([turn, [...turn, FakeCli.hang]]))))
})
