import * as Events from "@ccflow/core/Events"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Exit, FastCheck as fc, Fiber, Scope, Stream, TestClock } from "effect"
import { forget, remember } from "../src/internal/knownCalls.js"
import { hear } from "./listening.js"

const queued = (waitedMs: number): Events.Telling => ({ _tag: "Queued", waitedMs })
const limited = (waitedMs: number): Events.Telling => ({ _tag: "RateLimited", waitedMs })

const figures = (heard: Iterable<Events.Event>) =>
  Array.from(heard, (event) => "waitedMs" in event ? event.waitedMs : -1)

const bus = Effect.provide(Events.layer)

describe("a bus", () => {
  it.scoped("tells each event once to each listener, in order, with the time", () =>
    Effect.gen(function*() {
      const { tell } = yield* Events.Events
      const one = yield* hear()
      const other = yield* hear()
      tell(queued(1))
      yield* TestClock.adjust("1 second")
      tell(limited(2))
      assert.deepStrictEqual(one, [{ _tag: "Queued", waitedMs: 1, at: 0 }, {
        _tag: "RateLimited",
        waitedMs: 2,
        at: 1000
      }])
      assert.deepStrictEqual(other, one)
    }).pipe(bus))

  it.scoped("is not held up by a listener that throws, and tells the others all the same", () =>
    Effect.gen(function*() {
      const { observe, tell } = yield* Events.Events
      const before = yield* hear()
      yield* observe(() => {
        throw new Error("bad listener")
      })
      const after = yield* hear()
      tell(queued(1))
      tell(queued(2))
      assert.deepStrictEqual(figures(before), [1, 2])
      assert.deepStrictEqual(figures(after), [1, 2])
    }).pipe(bus))

  it.scoped("tells one that listens twice once, until it has left twice", () =>
    Effect.gen(function*() {
      const { observe, tell } = yield* Events.Events
      const heard: Array<Events.Event> = []
      const listener = (event: Events.Event) => void heard.push(event)
      const scopes = [yield* Scope.make(), yield* Scope.make(), yield* Scope.make()] as const
      yield* Scope.extend(observe(listener), scopes[0])
      yield* Scope.extend(observe(listener, ["Queued"]), scopes[1])
      yield* Scope.extend(observe(listener, ["Queued"]), scopes[2])
      tell(queued(1))
      yield* Scope.close(scopes[0], Exit.void)
      tell(queued(2))
      tell(limited(-2))
      yield* Scope.close(scopes[1], Exit.void)
      tell(queued(3))
      yield* Scope.close(scopes[2], Exit.void)
      tell(queued(4))
      assert.deepStrictEqual(figures(heard), [1, 2, 3])
    }).pipe(bus))

  it.scoped("says of each kind whether anybody wants it", () =>
    Effect.gen(function*() {
      const { silent } = yield* Events.Events
      assert.isTrue(silent())
      yield* Effect.scoped(Effect.gen(function*() {
        yield* hear("Queued", "ToolCalled")
        assert.deepStrictEqual(
          [silent(), silent("Queued"), silent("ToolCalled"), silent("RateLimited")],
          [false, false, false, true]
        )
        yield* Effect.scoped(Effect.zipRight(hear(), Effect.sync(() => assert.isFalse(silent("RateLimited")))))
        assert.isTrue(silent("RateLimited"))
      }))
      assert.isTrue(silent() && silent("Queued"))
    }).pipe(bus))

  it.effect("has whoever listens told what it wants and nothing else, however listeners come and go", () =>
    Effect.promise(() =>
      fc.assert(fc.asyncProperty(
        fc.array(
          fc.oneof(
            fc.record({
              _tag: fc.constant("on" as const),
              who: fc.nat(2),
              types: fc.constantFrom("all", "Queued", "RateLimited")
            }),
            fc.record({ _tag: fc.constant("off" as const), which: fc.nat(20) }),
            fc.record({ _tag: fc.constant("tell" as const), type: fc.constantFrom("Queued", "RateLimited") })
          ),
          { maxLength: 40 }
        ),
        (steps) => Effect.runPromise(following(steps))
      ))
    ))

  it.scoped("keeps the latest for a slow reader, and says how many it has missed", () =>
    Effect.gen(function*() {
      const { subscribe, tell } = yield* Events.Events
      const { dropped, events } = yield* subscribe({ capacity: 10, types: ["Queued"] })
      for (let n = 1; n <= 25; n++) {
        tell(queued(n))
        tell(limited(n))
      }
      assert.strictEqual(yield* dropped, 15)
      const read = yield* Stream.runCollect(Stream.take(events, 10))
      assert.deepStrictEqual(figures(read), [16, 17, 18, 19, 20, 21, 22, 23, 24, 25])
      tell(queued(26))
      assert.deepStrictEqual(figures(yield* Stream.runCollect(Stream.take(events, 1))), [26])
      assert.strictEqual(yield* dropped, 15)
    }).pipe(bus))

  it.scoped("never waits for a reader, and holds 1024 events for it", () =>
    Effect.gen(function*() {
      const { stream, tell } = yield* Events.Events
      const read = yield* Effect.fork(Stream.runCollect(Stream.take(stream, 1024)))
      yield* TestClock.adjust(0)
      for (let n = 0; n < 5000; n++) tell(queued(n))
      const seen = figures(yield* Fiber.join(read))
      assert.deepStrictEqual([seen.length, seen[0], seen.at(-1)], [1024, 3976, 4999])
    }).pipe(bus))

  it.effect("ends its streams when it closes, after what was told before", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const events = yield* Scope.extend(Events.make, scope)
      const read = yield* Effect.fork(Stream.runCollect(events.stream))
      yield* TestClock.adjust(0)
      events.tell(queued(1))
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(figures(yield* Fiber.join(read)), [1])
      assert.isTrue(Chunk.isEmpty(yield* Stream.runCollect(events.stream)))
    }))

  it.scoped("adds what is known of a call, and lets an event say otherwise", () =>
    Effect.gen(function*() {
      const { tell } = yield* Events.Events
      const heard = yield* hear()
      let sessionId = ""
      remember("c1", { traceId: "t1", sessionId: () => sessionId })
      tell({ ...queued(1), callId: "c1" })
      sessionId = "s1"
      tell({ ...queued(2), callId: "c1" })
      tell({ ...queued(3), callId: "c1", sessionId: "s2", traceId: "t2" })
      forget("c1")
      tell({ ...queued(4), callId: "c1" })
      assert.deepStrictEqual(
        heard.map(({ sessionId, traceId }) => [sessionId, traceId]),
        [[undefined, "t1"], ["s1", "t1"], ["s2", "t2"], [undefined, undefined]]
      )
    }).pipe(bus))

  it.scoped("is silent where there is none", () =>
    Effect.gen(function*() {
      const events = yield* Events.current
      assert.isTrue(events.silent())
      yield* events.observe(() => assert.fail("told"))
      events.tell(queued(1))
      assert.isTrue(Chunk.isEmpty(yield* Stream.runCollect(events.stream)))
      const { dropped, events: none } = yield* events.subscribe()
      assert.isTrue(Chunk.isEmpty(yield* Stream.runCollect(none)))
      assert.strictEqual(yield* dropped, 0)
    }).pipe(Effect.provide(Events.layerNoop)))
})

type Step =
  | { readonly _tag: "on"; readonly who: number; readonly types: string }
  | { readonly _tag: "off"; readonly which: number }
  | { readonly _tag: "tell"; readonly type: string }

/** Against the plainest model of it: a list of who listens to what. */
const following = (steps: ReadonlyArray<Step>) =>
  Effect.gen(function*() {
    const { observe, silent, tell } = yield* Events.Events
    const heard = [0, 1, 2].map((): Array<number> => [])
    const wanted = [0, 1, 2].map((): Array<number> => [])
    const listeners = heard.map((list) => (event: Events.Event) => {
      list.push(...figures([event]))
      if (list.length % 3 === 0) throw new Error("now and then")
    })
    let open: Array<{ readonly who: number; readonly types: string; readonly scope: Scope.CloseableScope }> = []
    let n = 0
    for (const step of steps) {
      if (step._tag === "on") {
        const scope = yield* Scope.make()
        const types = step.types === "all"
          ? undefined
          : step.types === "Queued"
          ? ["Queued" as const]
          : ["RateLimited" as const]
        yield* Scope.extend(observe(listeners[step.who]!, types), scope)
        open.push({ ...step, scope })
      } else if (step._tag === "off") {
        const left = open[step.which]
        if (left !== undefined) yield* Scope.close(left.scope, Exit.void)
        open = open.filter((each) => each !== left)
      } else {
        n++
        const wants = [0, 1, 2].filter((who) =>
          open.some((each) => each.who === who && (each.types === "all" || each.types === step.type))
        )
        for (const who of wants) wanted[who]!.push(n)
        assert.strictEqual(silent(step.type === "Queued" ? "Queued" : "RateLimited"), wants.length === 0)
        tell(step.type === "Queued" ? queued(n) : limited(n))
      }
      assert.strictEqual(silent(), open.length === 0)
    }
    assert.deepStrictEqual(heard, wanted)
  }).pipe(bus)
