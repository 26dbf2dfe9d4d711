import * as Batch from "@ccflow/core/Batch"
import { Claude, type ClaudeOptions, type Prompt } from "@ccflow/core/Claude"
import { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import { type Claim, Concurrency, CurrentClaim } from "@ccflow/core/Concurrency"
import * as Policies from "@ccflow/core/Policies"
import { CurrentMaxWait, UsageLimit } from "@ccflow/core/UsageLimit"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Duration,
  Effect,
  Exit,
  FastCheck,
  Fiber,
  Layer,
  Option,
  Queue,
  Ref,
  Scope,
  Stream,
  TestClock
} from "effect"
import { atOnce, collect, promptsSent, said, settled, timed, worker, works } from "./batches.js"

const over = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.scoped(Effect.provide(effect, worker))

describe("the items of a batch", () => {
  it.effect("end as they come, or in the order of the input", () =>
    Effect.gen(function*() {
      const prompts = ["slow 300", "middle 200", "fast 100"]
      const asTheyCome = yield* collect(Batch.run(prompts))
      assert.deepStrictEqual(asTheyCome.map(said), ["fast", "middle", "slow"])
      assert.deepStrictEqual(asTheyCome.map(({ index }) => index), [2, 1, 0])
      assert.deepStrictEqual(asTheyCome.map(({ durationMs }) => durationMs), [100, 200, 300])
      const inOrder = yield* collect(Batch.run(prompts, { ordered: true }))
      assert.deepStrictEqual(inOrder.map(said), ["slow", "middle", "fast"])
    }).pipe(over))

  it.effect("run as many at once as asked for, and no more", () =>
    Effect.gen(function*() {
      const batch = yield* Batch.make(Array.from({ length: 10 }, (_, n) => `${n} 100`), { concurrency: 3 })
      const ends = yield* Effect.fork(Stream.runCollect(batch.ends))
      for (const left of [10, 7, 4, 1]) {
        yield* settled
        assert.strictEqual(yield* atOnce, Math.min(3, left))
        yield* TestClock.adjust(100)
      }
      assert.strictEqual((yield* Fiber.join(ends)).length, 10)
    }).pipe(over))

  it.effect("wait while the circuit breaker is open: an API that is down fails those that find out, and no others", () => {
    const dying = FakeClaude.layerWith(
      (index) => ({ turns: [index < 3 ? [FakeCli.exit(1)] : FakeCli.answer("well")] }),
      Policies.layerWith({ retry: false, circuitBreaker: { failureThreshold: 2, resetTimeout: "1 minute" } })
    )
    const ends = (options?: Batch.BatchOptions) =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(
          Stream.runCollect(Batch.run(["a", "b", "c", "d", "e", "f"], { concurrency: 1, ...options }))
        )
        yield* TestClock.adjust("59 seconds")
        assert.strictEqual((yield* (yield* FakeCli.FakeCli).started).length, 2)
        yield* TestClock.adjust("5 minutes")
        return [...yield* Fiber.join(fiber)].map(({ outcome }) =>
          outcome._tag === "Failed" ? outcome.error._tag : outcome._tag
        )
      }).pipe(Effect.provide(dying))
    return Effect.gen(function*() {
      const down = Array.from({ length: 3 }, () => "CliExitError")
      assert.deepStrictEqual(yield* ends(), [...down, "Completed", "Completed", "Completed"])
      const refused = Array.from({ length: 4 }, () => "CircuitBreakerError")
      assert.deepStrictEqual(yield* ends({ maxWait: "59 seconds" }), [...down.slice(1), ...refused])
    })
  })

  it.effect("fail alone: the others go on", () =>
    Effect.gen(function*() {
      const ends = yield* collect(
        Batch.run(["one", "two 0 fail", "", "three"], { concurrency: 1, ordered: true })
      )
      assert.deepStrictEqual(ends.map(said), ["one", "ApiError", "InvalidOptionsError", "three"])
      assert.deepStrictEqual(ends.map(({ costUsd }) => costUsd), [1, ends[1]!.costUsd, 0, 1])
    }).pipe(over))

  it.effect("begin by priority, among those that have been read", () =>
    Effect.gen(function*() {
      const items = [0, 0, 5, 1, 5].map((priority, n) => ({ prompt: `${n} 10`, priority }))
      yield* collect(Batch.run(items, { concurrency: 1 }))
      assert.deepStrictEqual((yield* promptsSent).map((prompt) => prompt[0]), ["2", "4", "3", "0", "1"])
      yield* collect(Batch.run(items, { concurrency: 1, readAhead: 1 }))
      assert.deepStrictEqual((yield* promptsSent).slice(5).map((prompt) => prompt[0]), ["0", "1", "2", "3", "4"])
    }).pipe(over))

  it.effect("have options over those of the batch, a timeout of their own among them", () =>
    Effect.gen(function*() {
      const ends = yield* collect(Batch.run(
        [{ prompt: "slow 1000", options: { timeout: "100 millis" } }, { prompt: "same 1000" }],
        { ordered: true, options: { timeout: "10 seconds" } }
      ))
      assert.deepStrictEqual(ends.map(said), ["CliTimeoutError", "same"])
    }).pipe(over))

  it.effect("with the key of one that has not ended are refused", () =>
    Effect.gen(function*() {
      const ends = yield* collect(
        Batch.run([{ key: "a", prompt: "one 10" }, { key: "a", prompt: "two 10" }], { ordered: true })
      )
      assert.deepStrictEqual(ends.map(said), ["one", "InvalidOptionsError"])
      assert.deepStrictEqual(yield* promptsSent, ["one 10"])
    }).pipe(over))

  it.effect("without a key have one that is the same for the same input", () =>
    Effect.gen(function*() {
      const keys = (prompts: ReadonlyArray<string>) =>
        Effect.map(collect(Batch.run(prompts, { ordered: true })), (ends) => ends.map(({ key }) => key))
      const [first, again, other] = [yield* keys(["a", "b"]), yield* keys(["a", "b"]), yield* keys(["a", "c"])]
      assert.deepStrictEqual(first, again)
      assert.strictEqual(first[0], other[0])
      assert.notStrictEqual(first[1], other[1])
    }).pipe(over))
})

describe("the input of a batch", () => {
  it.effect("can be endless, and is read no further ahead than it has to be", () =>
    Effect.gen(function*() {
      let read = 0
      let closed = false
      function* endless() {
        try {
          while (true) yield `${read++} 10`
        } finally {
          closed = true
        }
      }
      const ends = yield* collect(Stream.take(Batch.run(endless(), { concurrency: 2, readAhead: 3 }), 10))
      assert.strictEqual(ends.length, 10)
      assert.isAtMost(read, 10 + 2 + 2 + 3)
      assert.isTrue(closed)
      assert.strictEqual(yield* atOnce, 0)
    }).pipe(over))

  it.effect(
    "that fails ends the batch with its error, when everything that was read has ended",
    () =>
      Effect.gen(function*() {
        const seen = yield* Ref.make<ReadonlyArray<string>>([])
        const input = Stream.concat(Stream.make("one 100", "two 50"), Stream.fail("no more" as const))
        const exit = yield* timed(Effect.exit(
          Stream.runForEach(Batch.run(input), (end) => Ref.update(seen, (all) => [...all, said(end)]))
        ))
        assert.deepStrictEqual(exit, Exit.fail("no more"))
        assert.deepStrictEqual(yield* Ref.get(seen), ["two", "one"])
      }).pipe(over)
  )

  it.effect("can be a stream that goes on while its items run", () =>
    Effect.gen(function*() {
      const queue = yield* Queue.unbounded<string>()
      const batch = yield* Batch.make(Stream.fromQueue(queue))
      const ends = yield* Effect.fork(Stream.runCollect(Stream.take(batch.ends, 2)))
      yield* queue.offer("one")
      yield* settled
      yield* queue.offer("two")
      yield* settled
      assert.deepStrictEqual([...yield* Fiber.join(ends)].map(said), ["one", "two"])
    }).pipe(over))

  it.effect("is refused where it is a single text, or options make no sense", () =>
    Effect.gen(function*() {
      const refusals = [
        Batch.make("text"),
        Batch.make([], { concurrency: 0 }),
        Batch.make([], { readAhead: 1.5 }),
        Batch.make([], { maxAhead: -1 }),
        Batch.make([], { maxBudgetUsd: 0 }),
        Batch.make([], { id: " " }),
        Batch.make([], { id: "no repository" })
      ]
      const fields = yield* Effect.forEach(refusals, (refusal) =>
        Effect.map(Effect.flip(refusal), (error) => {
          assert.instanceOf(error, InvalidOptionsError)
          return error._tag === "InvalidOptionsError" ? error.field : ""
        }))
      assert.deepStrictEqual(fields, ["items", "concurrency", "readAhead", "maxAhead", "maxBudgetUsd", "id", "id"])
    }).pipe(over))
})

describe("a bug", () => {
  it.effect("in the program ends the batch as a defect, when what ran has ended", () =>
    Effect.gen(function*() {
      const claude = yield* Claude
      const buggy = {
        ...claude,
        query: (prompt: Prompt, options?: ClaudeOptions) =>
          prompt === "bug"
            ? Stream.unwrap(Effect.as(Effect.sleep(5), Stream.die("a bug")))
            : claude.query(prompt, options)
      }
      for (const ordered of [false, true]) {
        const seen: Array<string> = []
        const exit = yield* timed(Effect.exit(Stream.runForEach(
          Batch.run(["a 10", "bug", "b 10", "c 10"], { concurrency: 3, ordered }),
          (end) => Effect.sync(() => seen.push(said(end)))
        ))).pipe(Effect.provideService(Claude, buggy))
        assert.deepStrictEqual(exit, Exit.die("a bug"))
        assert.deepStrictEqual(seen.sort(), ["a", "b", "cancelled: all"])
      }
      function* broken() {
        yield "a 10"
        throw new Error("broken input")
      }
      const input = yield* Effect.exit(collect(Batch.run(broken())))
      assert.isTrue(Exit.isFailure(input) && Cause.isDie(input.cause))
      assert.strictEqual(yield* atOnce, 0)
    }).pipe(over))
})

describe("a reader of the ends that is slow", () => {
  it.effect("slows new work", () =>
    Effect.gen(function*() {
      yield* Batch.make(Array.from({ length: 100 }, (_, n) => `${n} 10`), { concurrency: 2 })
      yield* TestClock.adjust("1 hour")
      assert.isAtMost((yield* promptsSent).length, 4)
    }).pipe(over))

  it.effect("in order: the others get no further ahead of the slowest than they may", () =>
    Effect.gen(function*() {
      const items = ["slow 100000", ...Array.from({ length: 100 }, (_, n) => `${n} 10`)]
      const batch = yield* Batch.make(items, { concurrency: 3, ordered: true, maxAhead: 10 })
      const ends = yield* Effect.fork(Stream.runCollect(batch.ends))
      yield* TestClock.adjust("90 seconds")
      assert.strictEqual((yield* promptsSent).length, 10)
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual([...yield* Fiber.join(ends)].map(({ index }) => index), items.map((_, n) => n))
    }).pipe(over))
})

describe("the budget of a batch", () => {
  it.effect(
    "stops new work once it is spent: what runs is finished, the rest is cancelled",
    () =>
      Effect.gen(function*() {
        const items = ["a 10", "b 11", "c 20", "d 10", "e 10"]
        const ends = yield* collect(Batch.run(items, { concurrency: 2, ordered: true, maxBudgetUsd: 2 }))
        assert.deepStrictEqual(ends.map(said), ["a", "b", "c", "cancelled: budget", "cancelled: budget"])
        assert.strictEqual(yield* Effect.map(promptsSent, (sent) => sent.length), 3)
      }).pipe(over)
  )
})

describe("cancelling", () => {
  it.effect("one that waits or runs ends it, and stops its process", () =>
    Effect.gen(function*() {
      const items = ["a", "b", "c"].map((key) => ({ key, prompt: `${key} 100` }))
      const batch = yield* Batch.make(items, { concurrency: 2, ordered: true })
      const ends = yield* Effect.fork(Stream.runCollect(batch.ends))
      yield* TestClock.adjust(50)
      assert.strictEqual(yield* atOnce, 2)
      assert.isTrue(yield* batch.cancel("c"))
      assert.isTrue(yield* batch.cancel("a"))
      assert.strictEqual(yield* atOnce, 1)
      yield* TestClock.adjust(100)
      assert.deepStrictEqual([...yield* Fiber.join(ends)].map(said), ["cancelled: item", "b", "cancelled: item"])
      assert.isFalse(yield* batch.cancel("a"))
      assert.isFalse(yield* batch.cancel("b"))
      assert.isFalse(yield* batch.cancel("unknown"))
      assert.deepStrictEqual(yield* promptsSent, ["a 100", "b 100"])
    }).pipe(over))

  it.effect("all ends all that wait and run, and reads no more", () =>
    Effect.gen(function*() {
      const batch = yield* Batch.make(["a 10", "b 100", "c 100", "d 100"], { concurrency: 2, ordered: true })
      const ends = yield* Effect.fork(Stream.runCollect(batch.ends))
      yield* TestClock.adjust(50)
      yield* batch.cancelAll
      assert.strictEqual(yield* atOnce, 0)
      assert.deepStrictEqual(
        [...yield* Fiber.join(ends)].map(said),
        ["a", "cancelled: all", "cancelled: all", "cancelled: all"]
      )
      const endless = yield* Batch.make(Stream.repeatValue("x 10"), { concurrency: 2, readAhead: 3 })
      yield* endless.cancelAll
      assert.isAtMost((yield* Stream.runCollect(endless.ends)).length, 5)
    }).pipe(over))

  it.effect(
    "the scope's end is everybody's: nothing is left running, and each item has its end",
    () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const batch = yield* Scope.extend(Batch.make(["a 100", "b 100", "c 100"], { concurrency: 2 }), scope)
        yield* TestClock.adjust(50)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(yield* atOnce, 0)
        const ends = yield* Stream.runCollect(batch.ends)
        assert.deepStrictEqual([...ends].map(({ index }) => index).sort(), [0, 1, 2])
        assert.deepStrictEqual(new Set([...ends].map(said)), new Set(["cancelled: all"]))
      }).pipe(over)
  )

  it.effect("the reader of a batch leaves nothing running", () =>
    Effect.gen(function*() {
      const reader = yield* Effect.fork(Stream.runDrain(Batch.run(["a 100", "b 100", "c 100"], { concurrency: 2 })))
      yield* TestClock.adjust(50)
      assert.strictEqual(yield* atOnce, 2)
      yield* Fiber.interrupt(reader)
      assert.strictEqual(yield* atOnce, 0)
    }).pipe(over))
})

describe("the progress of a batch", () => {
  it.effect("is the newest state, for whoever looks and however slowly", () =>
    Effect.gen(function*() {
      const batch = yield* Batch.make(["a 10", "b 20", "c 30 fail", "d 40"], { concurrency: 2 })
      const every = yield* Effect.fork(Stream.runCollect(batch.progress))
      const slow = yield* Effect.fork(Stream.runCollect(Stream.tap(batch.progress, () => Effect.sleep("1 hour"))))
      const ends = yield* Effect.fork(Stream.runCollect(batch.ends))
      yield* TestClock.adjust(15)
      const now = yield* Stream.runHead(batch.progress)
      assert.deepInclude(Option.getOrThrow(now), { waiting: 1, running: 2, completed: 1, total: 4, done: false })
      yield* TestClock.adjust("1 day")
      assert.strictEqual((yield* Fiber.join(ends)).length, 4)
      const all = [...yield* Fiber.join(every)]
      const last = all.at(-1)
      assert.deepInclude(last, { total: 4, waiting: 0, running: 0, completed: 3, failed: 1, cancelled: 0, done: true })
      assert.isAtLeast(last?.costUsd ?? 0, 3)
      assert.deepStrictEqual(all.filter(({ done }) => done).length, 1)
      assert.deepStrictEqual([...yield* Fiber.join(slow)].at(-1), last)
      assert.isAtMost((yield* Fiber.join(slow)).length, 3)
      assert.deepStrictEqual([...yield* Stream.runCollect(batch.progress)], [last])
    }).pipe(over))

  it.effect("knows no total before the input is at its end", () =>
    Effect.gen(function*() {
      const batch = yield* Batch.make(Stream.make("a 10", "b 10", "c 10"), { concurrency: 1, readAhead: 1 })
      const all = yield* Effect.fork(Stream.runCollect(batch.progress))
      yield* collect(batch.ends)
      const totals = [...yield* Fiber.join(all)].map(({ total }) => total)
      assert.strictEqual(totals[0], undefined)
      assert.strictEqual(totals.at(-1), 3)
    }).pipe(over))

  it.effect("says until when the subscription's window is used up", () =>
    Effect.gen(function*() {
      const parked = yield* Queue.unbounded<number | undefined>()
      const usage = yield* Effect.provide(UsageLimit, Policies.layerNoop)
      const batch = yield* Batch.make(["a 1000"]).pipe(Effect.provideService(UsageLimit, {
        ...usage,
        parkedChanges: Stream.map(Stream.fromQueue(parked), (until) =>
          until === undefined ? [] : [{ account: "", limit: "five_hour", until, calls: 1 }])
      }))
      const until = Effect.map(Stream.runHead(batch.progress), (now) =>
        now._tag === "Some" ? now.value.parkedUntil : 0)
      yield* settled
      assert.strictEqual(yield* until, undefined)
      yield* parked.offer(500)
      yield* settled
      assert.strictEqual(yield* until, 500)
      yield* parked.offer(undefined)
      yield* settled
      assert.strictEqual(yield* until, undefined)
    }).pipe(over))
})

describe("what a batch asks of the policies", () => {
  const claims: Array<Claim> = []
  const waits: Array<Duration.DurationInput | undefined> = []
  const spied = Layer.effect(
    Concurrency,
    Effect.map(Concurrency, (concurrency) => ({
      ...concurrency,
      acquire: (wait) =>
        Effect.gen(function*() {
          claims.push(yield* CurrentClaim)
          waits.push(yield* CurrentMaxWait)
          return yield* concurrency.acquire(wait)
        })
    } satisfies Concurrency["Type"]))
  ).pipe(Layer.provide(Policies.layerNoop))

  it.effect(
    "is to wait as long as it takes, and a share of the processes under its own name",
    () =>
      Effect.gen(function*() {
        yield* collect(Batch.run([{ prompt: "a", priority: 3 }], { caller: "nightly" }))
        yield* collect(Batch.run(["b"], { maxWait: "1 minute" }))
        assert.deepStrictEqual(claims[0], { caller: "nightly", priority: 3 })
        assert.notStrictEqual(claims[1]?.caller, "")
        assert.deepStrictEqual(
          waits.map((wait) => Duration.toMillis(wait ?? 0)),
          [Infinity, 60_000]
        )
      }).pipe(Effect.provide(FakeClaude.layerWith({ respond: works }, Layer.merge(Policies.layerNoop, spied))))
  )
})

describe("any batch", () => {
  const item = FastCheck.record({
    ms: FastCheck.integer({ min: 0, max: 50 }),
    fails: FastCheck.boolean(),
    priority: FastCheck.integer({ min: 0, max: 2 }),
    cancelAt: FastCheck.option(FastCheck.integer({ min: 0, max: 100 }), { freq: 4, nil: undefined })
  })
  const plan = FastCheck.record({
    items: FastCheck.array(item, { maxLength: 12 }),
    concurrency: FastCheck.integer({ min: 1, max: 4 }),
    ordered: FastCheck.boolean(),
    maxAhead: FastCheck.integer({ min: 1, max: 5 }),
    readAhead: FastCheck.option(FastCheck.integer({ min: 1, max: 5 }), { nil: undefined }),
    maxBudgetUsd: FastCheck.option(FastCheck.integer({ min: 1, max: 5 }), { freq: 3, nil: undefined }),
    stopAt: FastCheck.option(FastCheck.integer({ min: 0, max: 100 }), { freq: 4, nil: undefined })
  })

  it.effect.prop(
    "ends each item once, runs no more at once than it may, and keeps the order where it has to",
    [plan],
    ([{ items, stopAt, ...options }]) => {
      const processes = { now: 0, most: 0 }
      return Effect.gen(function*() {
        const batch = yield* Batch.make(
          items.map(({ fails, ms, priority }, n) => ({
            key: `${n}`,
            prompt: `${n} ${ms} ${fails ? "fail" : "ok"}`,
            priority
          })),
          options
        )
        const reader = yield* Effect.fork(Stream.runCollect(batch.ends))
        const cancelled = new Set<string>()
        const cancel = (key: string, at: number) =>
          Effect.sleep(at).pipe(
            Effect.zipRight(batch.cancel(key)),
            Effect.map((yes) => yes ? cancelled.add(key) : undefined)
          )
        for (const [n, { cancelAt }] of items.entries()) {
          if (cancelAt !== undefined) yield* Effect.fork(cancel(`${n}`, cancelAt))
        }
        if (stopAt !== undefined) yield* Effect.fork(Effect.zipRight(Effect.sleep(stopAt), batch.cancelAll))
        yield* TestClock.adjust("1 hour")
        const ends = [...yield* Fiber.join(reader)]
        const indices = ends.map(({ index }) => index)
        const all = options.readAhead === undefined || stopAt === undefined
        assert.deepStrictEqual(
          options.ordered ? indices : [...indices].sort((one, other) => one - other),
          items.slice(0, all ? items.length : ends.length).map((_, n) => n)
        )
        for (const { key, outcome } of ends) {
          assert.strictEqual(cancelled.has(key), outcome._tag === "Cancelled" && outcome.reason === "item")
          if (outcome._tag !== "Cancelled") {
            assert.strictEqual(outcome._tag, items[Number(key)]?.fails ? "Failed" : "Completed")
          } else if (outcome.reason === "all") assert.isDefined(stopAt)
          else if (outcome.reason === "budget") assert.isDefined(options.maxBudgetUsd)
        }
        const progress = Option.getOrThrow(yield* Stream.runHead(batch.progress))
        assert.deepInclude(progress, { done: true, running: 0, waiting: 0, total: ends.length })
        assert.strictEqual(progress.completed + progress.failed + progress.cancelled, ends.length)
        assert.closeTo(progress.costUsd, ends.reduce((sum, { costUsd }) => sum + costUsd, 0), 1e-9)
        const sent = yield* promptsSent
        assert.strictEqual(sent.length, new Set(sent).size)
        assert.isAtMost(processes.most, options.concurrency)
        assert.strictEqual(processes.now, 0)
      }).pipe(
        Effect.scoped,
        Effect.provide(FakeClaude.layerWith({ respond: works }, Layer.merge(Policies.layerNoop, counting(processes))))
      )
    },
    { fastCheck: { numRuns: 40 }, timeout: 60_000 }
  )
})

const counting = (processes: { now: number; most: number }) =>
  Layer.effect(
    Concurrency,
    Effect.map(Concurrency, (concurrency) => ({
      ...concurrency,
      acquire: (wait) =>
        Effect.acquireRelease(
          Effect.tap(concurrency.acquire(wait), () => {
            processes.most = Math.max(processes.most, ++processes.now)
          }),
          () => Effect.sync(() => processes.now--)
        )
    } satisfies Concurrency["Type"]))
  ).pipe(Layer.provide(Policies.layerNoop))
