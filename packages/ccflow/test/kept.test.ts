import { Deferred, Effect, Fiber, Ref, type Scope } from "effect"
import { assert, describe, it } from "vitest"
import { once } from "../src/internal/kept.js"

const scoped = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Effect.runPromise(Effect.scoped(effect))

describe("what is opened once", () => {
  it("is opened by the first who asks, and had by all", () =>
    scoped(Effect.gen(function*() {
      const opened = yield* Ref.make(0)
      const closed = yield* Ref.make(0)
      yield* Effect.scoped(Effect.gen(function*() {
        const open = Effect.acquireRelease(
          Effect.zipRight(Effect.sleep(1), Ref.updateAndGet(opened, (n) => n + 1)),
          () => Ref.update(closed, (n) => n + 1)
        )
        const value = yield* once(open)
        assert.strictEqual(yield* Ref.get(opened), 0)
        const all = yield* Effect.all([value, value, value], { concurrency: "unbounded" })
        assert.deepStrictEqual([...all, yield* value], [1, 1, 1, 1])
        assert.strictEqual(yield* Ref.get(closed), 0)
      }))
      assert.deepStrictEqual([yield* Ref.get(opened), yield* Ref.get(closed)], [1, 1])
    })))

  it("goes on opening when the one who asked first has left", () =>
    scoped(Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const value = yield* once(
        Effect.as(Effect.zipRight(Deferred.succeed(begun, undefined), Deferred.await(go)), "open")
      )
      const first = yield* Effect.fork(value)
      yield* Deferred.await(begun)
      const second = yield* Effect.fork(value)
      yield* Fiber.interrupt(first)
      yield* Deferred.succeed(go, undefined)
      assert.strictEqual(yield* Fiber.join(second), "open")
      assert.strictEqual(yield* value, "open")
    })))

  it("is tried again when it has failed, and half of it is not left open", () =>
    scoped(Effect.gen(function*() {
      const tries = yield* Ref.make(0)
      const closed = yield* Ref.make(0)
      const value = yield* once(Effect.gen(function*() {
        yield* Effect.addFinalizer(() => Ref.update(closed, (n) => n + 1))
        const n = yield* Ref.updateAndGet(tries, (n) => n + 1)
        return n < 3 ? yield* Effect.fail(n) : n
      }))
      assert.deepStrictEqual([yield* Effect.flip(value), yield* Effect.flip(value)], [1, 2])
      assert.strictEqual(yield* Ref.get(closed), 2)
      assert.deepStrictEqual([yield* value, yield* value], [3, 3])
      assert.strictEqual(yield* Ref.get(closed), 2)
    })))
})
