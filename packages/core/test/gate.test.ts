import type { Wait } from "@ccflow/core/Policy"
import * as RateLimiter from "@ccflow/core/RateLimiter"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Scheduler, TestClock } from "effect"
import { identity } from "effect/Function"
import { Gate } from "../src/internal/gate.js"
import type { Meter } from "../src/internal/meter.js"
import { givenUp } from "../src/internal/waiting.js"

describe("a call that another host was before", () => {
  const cost = { requests: 1, tokens: 10 }

  /** It tells that a call may go, and when it is taken that it may not yet. */
  const shared = () => {
    const taken = { requests: 0, tokens: 0 }
    const count = (by: number, { requests, tokens }: typeof cost) => {
      taken.requests += by * requests
      taken.tokens += by * tokens
    }
    const meter: Meter = {
      limit: "shared",
      most: 1,
      at: () => 0,
      take: (cost) => Effect.sync(() => (count(1, cost), 1000)),
      settle: (difference) => Effect.sync(() => count(1, difference)),
      atRest: () => true
    }
    return { taken, meter }
  }

  const nothing = { requests: 0, tokens: 0 }

  const enter = (gate: Gate, wait: Wait = identity) =>
    Effect.uninterruptibleMask((restore) =>
      gate.enter({ cost, maxWaitMs: Infinity, wait: (effect) => restore(wait(effect)) })
    )

  it.effect("has taken nothing when it gives up before its time, however it does", () =>
    Effect.gen(function*() {
      const { meter, taken } = shared()
      const gate = new Gate([meter], Infinity, yield* Effect.clock, () => {})
      const interrupted = yield* Effect.fork(enter(gate))
      yield* TestClock.adjust(500)
      assert.deepStrictEqual([taken, gate.waiting], [cost, 1])
      yield* Fiber.interrupt(interrupted)
      assert.deepStrictEqual([taken, gate.waiting], [nothing, 0])
      const refused = enter(
        gate,
        (effect) => Effect.raceFirst(effect, Effect.zipRight(Effect.sleep(100), givenUp("")))
      )
      const given = yield* Effect.fork(Effect.flip(refused))
      yield* TestClock.adjust(100)
      assert.strictEqual((yield* Fiber.join(given))._tag, "CliExitError")
      assert.deepStrictEqual([taken, gate.active], [nothing, 0])
    }))

  it.effect("goes at its time, and is taken then", () =>
    Effect.gen(function*() {
      const { meter, taken } = shared()
      const gate = new Gate([meter], Infinity, yield* Effect.clock, () => {})
      const waited = yield* Effect.fork(enter(gate))
      yield* TestClock.adjust(1000)
      assert.strictEqual(yield* Fiber.join(waited), 1000)
      assert.deepStrictEqual([taken, gate.active], [cost, 1])
    }))
})

describe("a call", () => {
  it("holds no place when it has ended, at whatever step it is interrupted", () =>
    Effect.runPromise(Effect.scoped(Effect.gen(function*() {
      const { acquire, state } = yield* RateLimiter.makeMemory({ maxConcurrent: 1000 })
      let finished = 0
      for (let step = 1; step < 200; step++) {
        let steps = 0
        const scheduler = Scheduler.make(
          (task) => Scheduler.defaultScheduler.scheduleTask(task, 0),
          () => ++steps === step ? 0 : false
        )
        const call = Effect.zipRight(Effect.orDie(acquire()), Effect.sync(() => finished++))
        yield* Fiber.interrupt(Effect.runFork(Effect.scoped(call), { scheduler }))
      }
      assert.isAbove(finished, 0)
      assert.deepStrictEqual(yield* state, { waiting: 0, active: 0 })
    }))))
})
