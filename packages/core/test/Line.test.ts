import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc, Fiber, identity, Scheduler } from "effect"
import { Line } from "../src/internal/line.js"

describe("a line", () => {
  it.effect("lets one in at a time, in the order of coming", () =>
    Effect.gen(function*() {
      const line = new Line()
      const order: Array<string> = []
      const person = (name: string) =>
        Effect.gen(function*() {
          yield* line.enter(identity)
          order.push(`${name} in`)
          yield* Effect.yieldNow()
          order.push(`${name} out`)
          line.leave()
        })
      const names = ["a", "b", "c", "d"]
      yield* Effect.forEach(names, person, { concurrency: "unbounded" })
      assert.deepStrictEqual(order, names.flatMap((name) => [`${name} in`, `${name} out`]))
      assert.isTrue(line.free)
    }))

  it.effect("forgets who is interrupted while waiting, also when it was just their turn", () =>
    Effect.gen(function*() {
      for (const leavesFirst of [true, false]) {
        const line = new Line()
        yield* line.enter(identity)
        const second = yield* Effect.fork(line.enter(identity))
        const third = yield* Effect.fork(line.enter(identity))
        yield* Effect.yieldNow()
        if (leavesFirst) {
          line.leave()
          yield* Fiber.interrupt(second)
        } else {
          yield* Fiber.interrupt(second)
          line.leave()
        }
        yield* Fiber.join(third)
        assert.isFalse(line.free)
        line.leave()
        assert.isTrue(line.free)
      }
    }))

  it("is free again, and nobody was in at once with another, whoever is interrupted and when", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ waits: fc.nat(4), stays: fc.nat(4), leaves: fc.option(fc.nat(6)) }), { maxLength: 8 }),
        (people) =>
          Effect.runPromise(Effect.gen(function*() {
            const line = new Line()
            let inside = 0
            let most = 0
            const steps = (n: number) => Effect.repeatN(Effect.yieldNow(), n)
            const fibers = yield* Effect.forEach(people, ({ leaves, stays, waits }) =>
              Effect.gen(function*() {
                const fiber = yield* Effect.fork(Effect.uninterruptibleMask((restore) =>
                  Effect.gen(function*() {
                    yield* restore(steps(waits))
                    yield* line.enter(restore)
                    most = Math.max(most, ++inside)
                    yield* Effect.exit(restore(steps(stays)))
                    inside--
                    line.leave()
                  })
                ))
                if (leaves !== null) yield* Effect.fork(Effect.zipRight(steps(leaves), Fiber.interrupt(fiber)))
                return fiber
              }))
            yield* Effect.forEach(fibers, Fiber.await)
            assert.isAtMost(most, 1)
            assert.isTrue(line.free)
          }))
      ),
      { numRuns: 200 }
    ))

  it("is free again after one who was interrupted at whatever step, first or behind another", () =>
    Effect.runPromise(Effect.gen(function*() {
      for (const behind of [false, true]) {
        for (let step = 1; step < 100; step++) {
          const line = new Line()
          if (behind) yield* line.enter(identity)
          let steps = 0
          const scheduler = Scheduler.make(
            (task) => Scheduler.defaultScheduler.scheduleTask(task, 0),
            () => ++steps === step ? 0 : false
          )
          const fiber = Effect.runFork(line.alone(Effect.void), { scheduler })
          if (behind) line.leave()
          yield* Fiber.interrupt(fiber)
          assert.isTrue(line.free, `${behind ? "behind" : "first"}, ${step}`)
        }
      }
    })))
})
