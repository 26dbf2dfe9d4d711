import { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as Concurrency from "@ccflow/core/Concurrency"
import type { Wait } from "@ccflow/core/Policy"
import { assert, describe, it } from "@effect/vitest"
import {
  Config,
  ConfigProvider,
  Deferred,
  Effect,
  Exit,
  FastCheck as fc,
  Fiber,
  Layer,
  Ref,
  Scope,
  Stream,
  TestClock
} from "effect"
import { Permits, type Waiter } from "../src/internal/permits.js"
import { settle } from "./sessions.js"

const patiently: Wait = (effect) => effect

const claimed = (caller: string, priority = 0) => Effect.provideService(Concurrency.CurrentClaim, { caller, priority })

/** Somebody with a permit, or who waits for one. */
const start = (name: string, order: Array<string>, claim: Partial<Concurrency.Claim> = {}) =>
  Effect.gen(function*() {
    const { acquire } = yield* Concurrency.Concurrency
    const scope = yield* Scope.make()
    const fiber = yield* acquire(patiently).pipe(
      Effect.tap(() => Effect.sync(() => order.push(name))),
      Scope.extend(scope),
      Effect.provideService(Concurrency.CurrentClaim, { caller: "", priority: 0, ...claim }),
      Effect.fork
    )
    yield* settle
    return {
      fiber,
      permit: Fiber.join(fiber),
      end: Effect.zipRight(Scope.close(scope, Exit.void), settle)
    }
  })

const counts = Effect.flatMap(
  Concurrency.Concurrency,
  ({ state }) => Effect.map(state, ({ active, waiting }) => ({ active, waiting }))
)

const limited = (maxConcurrent: number) => Effect.provide(Layer.orDie(Concurrency.layer({ maxConcurrent })))

describe("so many processes", () => {
  it.effect("are let through, and those beyond wait until one is gone", () =>
    Effect.gen(function*() {
      const order: Array<string> = []
      const a = yield* start("a", order)
      const b = yield* start("b", order)
      yield* start("c", order)
      assert.deepStrictEqual(order, ["a", "b"])
      assert.deepStrictEqual(yield* counts, { active: 2, waiting: 1 })
      yield* b.end
      assert.deepStrictEqual(order, ["a", "b", "c"])
      yield* a.end
      assert.deepStrictEqual(yield* counts, { active: 1, waiting: 0 })
    }).pipe(limited(2)))

  it.effect("do without the caller's wait while one is free", () =>
    Effect.gen(function*() {
      const { acquire } = yield* Concurrency.Concurrency
      yield* acquire(() => Effect.dieMessage("it waited"))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(acquire(() => Effect.dieMessage("it waited")))))
      assert.deepStrictEqual(yield* counts, { active: 1, waiting: 0 })
    }).pipe(Effect.scoped, limited(1)))

  it.effect("end with the process, and not with whoever still holds its scope", () =>
    Effect.gen(function*() {
      const exit = yield* Deferred.make<void>()
      const order: Array<string> = []
      const a = yield* start("a", order)
      yield* (yield* a.permit).until(Deferred.await(exit))
      yield* start("b", order)
      assert.deepStrictEqual(order, ["a"])
      yield* Deferred.succeed(exit, undefined)
      yield* settle
      assert.deepStrictEqual(order, ["a", "b"])
      yield* a.end
      assert.deepStrictEqual(yield* counts, { active: 1, waiting: 0 })
    }).pipe(limited(1)))
})

describe("those who wait", () => {
  it.effect("are served by priority, then in turn by caller, then as they came", () =>
    Effect.gen(function*() {
      const order: Array<string> = []
      const first = yield* start("first", [])
      const claims: ReadonlyArray<readonly [string, string, number]> = [
        ["a1", "a", 0],
        ["a2", "a", 0],
        ["a3", "a", 0],
        ["b1", "b", 0],
        ["low", "c", -1],
        ["b2", "b", 0],
        ["urgent", "a", 5]
      ]
      const all = new Map<string, Effect.Effect<void>>()
      for (const [name, caller, priority] of claims) {
        all.set(name, (yield* start(name, order, { caller, priority })).end)
      }
      yield* first.end
      while (order.length < claims.length) yield* all.get(order.at(-1)!)!
      assert.deepStrictEqual(order, ["urgent", "a1", "b1", "a2", "b2", "a3", "low"])
    }).pipe(limited(1)))

  it.effect("are not starved by a caller of a thousand", () =>
    Effect.gen(function*() {
      const order: Array<string> = []
      const first = yield* start("first", [])
      const batch = yield* Effect.forEach(
        Array.from({ length: 1000 }, (_, index) => index),
        (index) =>
          Effect.forkScoped(Effect.scoped(
            Effect.gen(function*() {
              const { acquire } = yield* Concurrency.Concurrency
              yield* acquire(patiently)
              order.push(`batch${index}`)
              yield* Effect.yieldNow()
            }).pipe(claimed("batch"))
          ))
      )
      yield* settle
      yield* start("one", order, { caller: "other" })
      yield* first.end
      assert.strictEqual(order[1], "one")
      yield* Effect.forEach(batch, Fiber.interrupt)
    }).pipe(Effect.scoped, limited(1)))

  it.effect("and are cancelled leave no trace, also when it was just their turn", () =>
    Effect.gen(function*() {
      const order: Array<string> = []
      const a = yield* start("a", order)
      const b = yield* start("b", order)
      const c = yield* start("c", order)
      yield* start("d", order)
      yield* Fiber.interrupt(b.fiber)
      assert.deepStrictEqual(yield* counts, { active: 1, waiting: 2 })
      // The permit comes to `c` in the same moment in which it gives up.
      yield* Effect.all([a.end, Fiber.interrupt(c.fiber)], { concurrency: "unbounded" })
      yield* settle
      assert.includeMembers(order, ["d"])
      assert.notInclude(order, "b")
      assert.strictEqual((yield* counts).waiting, 0)
      yield* c.end
      assert.deepStrictEqual(yield* counts, { active: 1, waiting: 0 })
    }).pipe(limited(1)))

  it.effect("give up as their caller says, and one that never joins the line takes no place in it", () =>
    Effect.gen(function*() {
      const { acquire } = yield* Concurrency.Concurrency
      yield* start("a", [])
      const refused = new InvalidOptionsError({ field: "x", detail: "y", hint: "z" })
      assert.strictEqual(yield* Effect.flip(acquire(() => Effect.fail(refused))), refused)
      const unless = Effect.zipRight(Effect.sleep(1), Effect.fail(refused))
      const waiting = yield* Effect.fork(Effect.flip(acquire((effect) => Effect.raceFirst(effect, unless))))
      yield* settle
      assert.deepStrictEqual(yield* counts, { active: 1, waiting: 1 })
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* Fiber.join(waiting), refused)
      assert.deepStrictEqual(yield* counts, { active: 1, waiting: 0 })
    }).pipe(Effect.scoped, limited(1)))
})

describe("those that do nothing", () => {
  const holder = (name: string, log: Array<string>, goes = true) =>
    Effect.gen(function*() {
      const one = yield* start(name, [])
      const permit = yield* one.permit
      const giveUp = Effect.suspend(() => {
        log.push(name)
        return goes ? one.end : Effect.void
      })
      return { ...one, idle: Effect.zipRight(permit.idle(giveUp), settle), busy: permit.busy }
    })

  it.effect("are asked to go when somebody waits, longest idle first, one for each", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const order: Array<string> = []
      const [a, b, c] = [yield* holder("a", log), yield* holder("b", log), yield* holder("c", log)]
      yield* b.idle
      yield* a.idle
      yield* c.idle
      // Idle since long, whatever it is told again.
      yield* b.idle
      assert.deepStrictEqual(log, [])
      yield* start("d", order)
      assert.deepStrictEqual([log, order], [["b"], ["d"]])
      yield* start("e", order)
      yield* start("f", order)
      yield* start("g", order)
      assert.deepStrictEqual([log, order], [["b", "a", "c"], ["d", "e", "f"]])
      assert.deepStrictEqual(yield* counts, { active: 3, waiting: 1 })
    }).pipe(limited(3)))

  it.effect("are not asked while they work, and are at once when they become idle and somebody waits", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const order: Array<string> = []
      const a = yield* holder("a", log)
      yield* a.idle
      yield* a.busy
      yield* start("b", order)
      assert.deepStrictEqual([log, order], [[], []])
      yield* a.idle
      assert.deepStrictEqual([log, order], [["a"], ["b"]])
    }).pipe(limited(1)))

  it.effect("and do not go are left alone until they are idle again, and the next one is asked", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const order: Array<string> = []
      const a = yield* holder("a", log, false)
      const b = yield* holder("b", log)
      yield* a.idle
      yield* b.idle
      yield* start("c", order)
      assert.deepStrictEqual([log, order], [["a", "b"], ["c"]])
      yield* start("d", order)
      assert.deepStrictEqual(log, ["a", "b"])
      yield* a.idle
      assert.deepStrictEqual(log, ["a", "b", "a"])
    }).pipe(limited(2)))

  it.effect("are asked once at a time, and nobody is forgotten where one is idle again before it has answered", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const order: Array<string> = []
      const slow = yield* (yield* start("slow", [])).permit
      const b = yield* holder("b", log)
      const answers = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      let asked = 0
      const giveUp = Effect.suspend(() => Deferred.await(answers[asked++]!))
      const waiting = [yield* start("c", order), yield* start("d", order)]
      yield* Effect.zipRight(slow.idle(giveUp), settle)
      yield* slow.busy
      yield* Effect.zipRight(slow.idle(giveUp), settle)
      const askedAtOnce = asked
      for (const answer of answers) yield* Effect.zipRight(Deferred.succeed(answer, undefined), settle)
      assert.deepStrictEqual([askedAtOnce, asked], [1, 2])
      for (const { fiber } of waiting) yield* Fiber.interrupt(fiber)
      yield* start("e", order)
      yield* b.idle
      assert.deepStrictEqual([log, order], [["b"], ["e"]])
    }).pipe(limited(2)))

  it.effect("are not asked for those who only take what is to spare, and these come last and do not count", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const order: Array<string> = []
      const a = yield* holder("a", log)
      yield* a.idle
      yield* start("spare", order, { spare: true, priority: 9 })
      assert.deepStrictEqual([log, order], [[], []])
      assert.deepStrictEqual(yield* counts, { active: 1, waiting: 0 })
      const b = yield* start("b", order, { priority: -9 })
      assert.deepStrictEqual([log, order], [["a"], ["b"]])
      yield* b.end
      assert.deepStrictEqual(order, ["b", "spare"])
    }).pipe(limited(1)))
})

describe("the limit", () => {
  it.effect("tells how it is and each change, and holds nobody up who does not listen", () =>
    Effect.gen(function*() {
      const { changes } = yield* Concurrency.Concurrency
      const seen = yield* Ref.make<ReadonlyArray<string>>([])
      const slow = yield* Effect.fork(Stream.runForEach(changes, () => Effect.never))
      yield* Effect.fork(Stream.runForEach(changes, ({ active, maxConcurrent, waiting }) =>
        Ref.update(seen, (all) => [...all, `${active}/${maxConcurrent} ${waiting}`])))
      yield* settle
      const a = yield* start("a", [])
      const b = yield* start("b", [])
      yield* a.end
      yield* b.end
      assert.deepStrictEqual(yield* seen, ["0/1 0", "1/1 0", "1/1 1", "1/1 0", "0/1 0"])
      for (let index = 0; index < 80; index++) {
        yield* (yield* start("x", [])).end
      }
      assert.strictEqual((yield* seen).length, 165)
      yield* Fiber.interrupt(slow)
    }).pipe(limited(1)))

  it.effect("refuses what is no number of processes", () =>
    Effect.gen(function*() {
      for (const maxConcurrent of [0, -1, 1.5, Number.NaN, Infinity]) {
        const error = yield* Effect.flip(Effect.scoped(Layer.build(Concurrency.layer({ maxConcurrent }))))
        assert.strictEqual(error.field, "maxConcurrent")
      }
    }))

  it.effect("can come from a configuration", () =>
    Effect.gen(function*() {
      const layer = Concurrency.layerConfig({ maxConcurrent: Config.integer("N") })
      const state = Effect.flatMap(Concurrency.Concurrency, (concurrency) => concurrency.state)
      const given = (n: string) =>
        Effect.withConfigProvider(Effect.provide(state, layer), ConfigProvider.fromMap(new Map([["N", n]])))
      assert.strictEqual((yield* given("3")).maxConcurrent, 3)
      assert.instanceOf(yield* Effect.flip(given("0")), InvalidOptionsError)
    }))

  it.effect("can be left out", () =>
    Effect.gen(function*() {
      const { acquire, state } = yield* Concurrency.Concurrency
      yield* Effect.scoped(Effect.forEach(Array.from({ length: 100 }), () => acquire(patiently)))
      assert.deepStrictEqual(yield* state, { maxConcurrent: Infinity, active: 0, waiting: 0 })
    }).pipe(Effect.provide(Concurrency.layerNoop)))
})

describe("permits, whatever happens to them", () => {
  type Action =
    | { readonly kind: "join"; readonly caller: string; readonly priority: number; readonly spare: boolean }
    | { readonly kind: "leave" | "release"; readonly at: number }

  const actions = fc.array(
    fc.oneof(
      fc.record({
        kind: fc.constant("join" as const),
        caller: fc.constantFrom("a", "b", "c"),
        priority: fc.constantFrom(-1, 0, 0, 0, 2),
        spare: fc.boolean()
      }),
      fc.record({ kind: fc.constantFrom("leave" as const, "release" as const), at: fc.nat(20) })
    ),
    { maxLength: 60 }
  )

  /** Everyone is kept in one list, and whoever is next is looked for in it. */
  class Model {
    active = new Set<number>()
    waiting: Array<{ readonly id: number; readonly caller: string; readonly priority: number }> = []
    /** When a caller of a priority had its last turn, or came. */
    turns = new Map<string, number>()
    time = 0
    readonly max: number
    constructor(max: number) {
      this.max = max
    }
    key = (one: { readonly caller: string; readonly priority: number }) => `${one.priority} ${one.caller}`
    join(id: number, caller: string, priority: number) {
      const one = { id, caller, priority }
      if (!this.waiting.some((other) => this.key(other) === this.key(one))) this.turns.set(this.key(one), ++this.time)
      this.waiting.push(one)
      this.serve()
    }
    leave(id: number) {
      this.active.delete(id)
      this.waiting = this.waiting.filter((one) => one.id !== id)
      this.serve()
    }
    serve() {
      while (this.active.size < this.max && this.waiting.length > 0) {
        const [next] = this.waiting.toSorted((one, other) =>
          other.priority - one.priority || this.turns.get(this.key(one))! - this.turns.get(this.key(other))! ||
          one.id - other.id
        )
        this.waiting = this.waiting.filter((one) => one !== next)
        this.turns.set(this.key(next!), ++this.time)
        this.active.add(next!.id)
      }
    }
  }

  it("are never more than there are, go to whom a simple list says, and are all there in the end", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), actions, (max, script: ReadonlyArray<Action>) => {
        const permits = new Permits(max, () => {})
        const model = new Model(max)
        const all: Array<Waiter | undefined> = []
        const gone = (id: number) => {
          const waiter = all[id]
          if (waiter === undefined) return
          all[id] = undefined
          permits.leave(waiter)
          model.leave(id)
        }
        for (const action of script) {
          if (action.kind === "join") {
            const { caller, priority, spare } = action
            all.push(permits.join({ caller, priority, spare }))
            model.join(all.length - 1, caller, spare ? -Infinity : priority)
          } else {
            const wanted = action.kind === "release"
            const ids = all.flatMap((waiter, id) => waiter?.value.granted === wanted ? [id] : [])
            if (ids.length > 0) gone(ids[action.at % ids.length]!)
          }
          const granted = all.flatMap((waiter, id) => waiter?.value.granted === true ? [id] : [])
          assert.deepStrictEqual(granted, [...model.active].toSorted((one, other) => one - other))
          assert.strictEqual(permits.active, granted.length)
          assert.isAtMost(permits.active, max)
          assert.strictEqual(permits.waiting, model.waiting.filter(({ priority }) => priority > -Infinity).length)
        }
        for (const id of all.keys()) gone(id)
        assert.deepStrictEqual([permits.active, permits.waiting], [0, 0])
        for (let index = 0; index < max; index++) assert.isTrue(permits.take())
        assert.isFalse(permits.take())
      }),
      { numRuns: 500 }
    )
  })
})
