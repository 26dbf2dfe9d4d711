import * as Batch from "@ccflow/core/Batch"
import * as Budget from "@ccflow/core/Budget"
import * as CircuitBreaker from "@ccflow/core/CircuitBreaker"
import * as Claude from "@ccflow/core/Claude"
import { SessionStoreError } from "@ccflow/core/ClaudeError"
import * as Policies from "@ccflow/core/Policies"
import * as Retry from "@ccflow/core/Retry"
import * as Session from "@ccflow/core/Session"
import * as UsageLedger from "@ccflow/core/UsageLedger"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, ConfigProvider, Effect, FastCheck as fc, Fiber, Layer, Stream, TestClock, TestContext } from "effect"
import { MemoryLedger } from "../src/internal/ledgerMemory.js"
import { costing, each, layerOf, refusalOf, spentIn, step, steps, warnings } from "./budgets.js"
import { flag, follow, processes, sending, settle, subtypes } from "./sessions.js"
import { recorder } from "./spans.js"

const hour = 3_600_000
const started = Effect.flatMap(FakeCli.FakeCli, (cli) => cli.started)
const budgetFlags = Effect.map(started, (all) => all.map(({ invocation }) => flag(invocation, "max-budget-usd")))
const refusal = <A, R>(effect: Effect.Effect<A, Parameters<typeof refusalOf>[0], R>) =>
  Effect.map(Effect.flip(effect), refusalOf)

describe("a budget of a day", () => {
  it.scoped("refuses what comes when it is spent, before a process is started, and says when it renews", () =>
    Effect.gen(function*() {
      yield* TestClock.adjust("20 hours")
      yield* Claude.text("a")
      yield* Claude.text("b")
      assert.deepStrictEqual(yield* refusal(Claude.text("c")), {
        scope: "day",
        spentUsd: 2,
        limitUsd: 2,
        renewsAt: 24 * hour
      })
      assert.strictEqual((yield* processes).started, 2)
    }).pipe(Effect.provide(layerOf(each(1), { perDayUsd: 2, timeZone: "UTC" }))))

  it.scoped("is spent by ten tenths of it", () =>
    Effect.gen(function*() {
      for (let i = 0; i < 10; i++) yield* Claude.text("a")
      assert.isBelow(yield* spentIn(), 1)
      assert.propertyVal(yield* refusal(Claude.text("b")), "scope", "day")
    }).pipe(Effect.provide(layerOf(each(0.1), { perDayUsd: 1, timeZone: "UTC" }))))

  it.scoped("renews at midnight in its time zone", () =>
    Effect.gen(function*() {
      // 1970-01-01T12:00Z is 22:00 in Brisbane.
      yield* TestClock.adjust("12 hours")
      yield* Claude.text("a")
      assert.propertyVal(yield* refusal(Claude.text("b")), "renewsAt", 14 * hour)
      yield* TestClock.adjust("119 minutes")
      assert.propertyVal(yield* refusal(Claude.text("b")), "renewsAt", 14 * hour)
      yield* TestClock.adjust("1 minute")
      yield* Claude.text("b")
      assert.propertyVal(yield* refusal(Claude.text("c")), "renewsAt", 38 * hour)
    }).pipe(Effect.provide(layerOf(each(1), { perDayUsd: 1, timeZone: "Australia/Brisbane" }))))

  it.scoped("is as long as the day is where clocks are changed", () =>
    Effect.gen(function*() {
      // The 25th of October 2026 has 25 hours in Vienna.
      yield* TestClock.setTime(Date.UTC(2026, 9, 25, 0, 30))
      yield* Claude.text("a")
      assert.propertyVal(yield* refusal(Claude.text("b")), "renewsAt", Date.UTC(2026, 9, 25, 23))
      yield* TestClock.setTime(Date.UTC(2026, 2, 29, 0, 30))
      yield* Claude.text("c")
      assert.propertyVal(yield* refusal(Claude.text("d")), "renewsAt", Date.UTC(2026, 2, 29, 22))
    }).pipe(Effect.provide(layerOf(each(1), { perDayUsd: 1, timeZone: "Europe/Vienna" }))))

  it.scoped("counts what others have booked in the same ledger", () =>
    Effect.gen(function*() {
      const ledger = yield* UsageLedger.UsageLedger
      yield* ledger.book([{ ...entry, entryId: "elsewhere", at: 0, costUsd: 5 }])
      assert.propertyVal(yield* refusal(Claude.text("a")), "spentUsd", 5)
      assert.strictEqual((yield* processes).started, 0)
    }).pipe(Effect.provide(layerOf(each(1), { perDayUsd: 2, timeZone: "UTC" }))))

  it.scoped("limits each query to what is left of it, or to what was asked for", () =>
    Effect.gen(function*() {
      yield* Claude.text("a")
      yield* Claude.text("b", { maxBudgetUsd: 0.5 })
      yield* Claude.text("c", { maxBudgetUsd: 50 })
      assert.deepStrictEqual(yield* budgetFlags, ["3", "0.5", "1"])
    }).pipe(Effect.provide(layerOf(each(1), { perDayUsd: 3, timeZone: "UTC" }))))

  it.scoped("says that it was the budget where the CLI has stopped by it", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* refusal(Claude.text("a")), {
        scope: "day",
        spentUsd: 2.5,
        limitUsd: 2,
        renewsAt: 24 * hour
      })
      assert.propertyVal(yield* Effect.flip(Claude.text("a", { maxBudgetUsd: 1 })), "limitUsd", 2)
    }).pipe(Effect.provide(layerOf(stoppedByCli(2.5), { perDayUsd: 2, timeZone: "UTC" }))))

  it.scoped("leaves alone what the CLI says of a limit that the caller had set", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Claude.text("a", { maxBudgetUsd: 0.5 }))
      assert.deepInclude({ ...error }, { _tag: "BudgetExceededError", scope: "query", spentUsd: 1 })
      assert.notProperty({ ...error }, "limitUsd")
    }).pipe(Effect.provide(layerOf(stoppedByCli(1), { perDayUsd: 20, timeZone: "UTC" }))))
})

describe("while it runs", () => {
  const stopped = Effect.gen(function*() {
    const query = yield* follow(Claude.query("a"))
    yield* TestClock.adjust("999 millis")
    assert.isFalse(query.ended())
    yield* TestClock.adjust("1 millis")
    yield* settle
    assert.isTrue(query.ended())
    assert.propertyVal(yield* refusal(query.result), "spentUsd", 3)
    assert.deepStrictEqual(yield* processes, { started: 1, running: 0 })
  }).pipe(Effect.provide(layerOf({ turns: [steps(1, 2, 4, 8)] }, { perDayUsd: 3, timeZone: "UTC" })))

  it.scoped("a query is ended with the step that spends the rest, and its CLI is gone when that is told", () => stopped)

  it.scoped("a query that is traced is ended with the same step", () => Effect.provide(stopped, recorder().layer))

  it.scoped("a query that nobody reads is ended all the same", () =>
    Effect.gen(function*() {
      const pull = yield* Claude.toPull(Claude.query("a"))
      yield* settle
      yield* TestClock.adjust("1 second")
      yield* settle
      assert.deepStrictEqual(yield* processes, { started: 1, running: 0 })
      assert.isNotEmpty(yield* pull)
    }).pipe(Effect.provide(layerOf({ turns: [steps(1, 2, 4, 8)] }, { perDayUsd: 3, timeZone: "UTC" }))))

  it.scoped("a turn of a session is ended by an interrupt, and the session stays", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* sending(session, "a")
      assert.isFalse(turn.ended())
      yield* TestClock.adjust("1 second")
      yield* settle
      assert.deepInclude(yield* refusal(turn.result), { scope: "query", spentUsd: 3, limitUsd: 3 })
      assert.include(yield* subtypes(0), "interrupt")
      assert.strictEqual(yield* Session.text(session, "b"), "done")
      assert.strictEqual((yield* processes).started, 1)
    }).pipe(Effect.provide(layerOf({ turns: [steps(1, 2, 4, 8), costing(16)] }, { perQueryUsd: 3 }))))

  it.scoped("an answer that is complete is handed on, whatever it has cost", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Claude.text("a"), "done")
      const session = yield* Session.make()
      assert.strictEqual(yield* Session.text(session, "a"), "done")
    }).pipe(Effect.provide(layerOf({ turns: [costing(100)] }, { perQueryUsd: 1 }))))

  it.scoped("nothing is counted twice, however early it is booked", () =>
    Effect.gen(function*() {
      const heard = yield* warnings
      for (const prompt of ["a", "b"]) assert.strictEqual(yield* Claude.text(prompt), "done")
      const session = yield* Session.make()
      assert.strictEqual(yield* Session.text(session, "c"), "done")
      assert.strictEqual(yield* spentIn(), 18)
      assert.deepStrictEqual(heard, [])
    }).pipe(Effect.provide(layerOf({
      turns: [[FakeCli.init(), step(3), step(3), ...costing(6).slice(1)]]
    }, { perDayUsd: 19, perQueryUsd: 7, perSessionUsd: 7, warnAt: 1, timeZone: "UTC" }))))

  it.scoped("an answer that is read while the ledger is asked is not lost", () =>
    Effect.gen(function*() {
      const query = yield* follow(Claude.query("a"))
      for (let half = 0; half < 12; half++) yield* TestClock.adjust("500 millis")
      assert.strictEqual((yield* query.result).result, "done")
    }).pipe(Effect.provide(layerOf(
      {
        turns: [[
          FakeCli.init(),
          FakeCli.delay("2 seconds"),
          step(6),
          FakeCli.delay("500 millis"),
          ...costing(6).slice(1)
        ]]
      },
      { perDayUsd: 5, timeZone: "UTC" },
      { ledger: slow }
    ))))

  it.scoped("an answer whose result is on its way is waited for", () =>
    Effect.gen(function*() {
      const query = yield* follow(Claude.query("a", { model: "priced", includePartialMessages: true }))
      assert.include(query.tags(), "Assistant")
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* query.result).result, "done")
    }).pipe(Effect.provide(layerOf({
      turns: [[...costing(10).slice(0, 2), FakeCli.delay("1 second"), FakeCli.result({ result: "done" })]]
    }, { perQueryUsd: 5 }))))

  it.scoped("data that is the answer is waited for as any other answer", () =>
    Effect.gen(function*() {
      const query = yield* follow(Claude.query("a"))
      assert.include(query.tags(), "ToolUse")
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* query.result).result, "done")
    }).pipe(Effect.provide(layerOf({
      turns: [[
        FakeCli.init(),
        step(9, { tool: "StructuredOutput" }),
        FakeCli.delay("1 second"),
        FakeCli.result({ result: "done", total_cost_usd: 9 })
      ]]
    }, { perQueryUsd: 5 }))))

  it.scoped("what another session spends is not that of this one", () =>
    Effect.gen(function*() {
      const one = yield* follow(Claude.query("a"))
      const other = yield* follow(Claude.query("b"))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* one.result).result, "done")
      assert.strictEqual((yield* other.result).result, "done")
    }).pipe(Effect.provide(layerOf({ turns: [steps(1, 1)] }, { perSessionUsd: 3 }))))

  it.scoped("what has been booked is no longer in flight", () =>
    Effect.gen(function*() {
      const heard = yield* warnings
      const session = yield* Session.make()
      for (let i = 0; i < 2; i++) {
        const turn = yield* sending(session, "a")
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual((yield* turn.result).result, "done")
      }
      assert.deepStrictEqual(heard, [])
    }).pipe(Effect.provide(layerOf({ turns: [steps(1, 1), steps(2, 2)] }, {
      perDayUsd: 6.5,
      warnAt: 1,
      timeZone: "UTC"
    }))))

  it.scoped("a step without a known price is counted with its result", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Claude.text("a"), "done")
      assert.propertyVal(yield* refusal(Claude.text("b")), "spentUsd", 7)
    }).pipe(Effect.provide(layerOf({
      turns: [[FakeCli.init(), step(9, { model: "unheard-of" }), ...costing(7).slice(1)]]
    }, { perDayUsd: 3, timeZone: "UTC" }))))

  it.scoped("calls at the same time overshoot by one step each at the most", () =>
    Effect.gen(function*() {
      const all = yield* Effect.forEach([1, 2, 3, 4], () => follow(Claude.query("a")))
      for (let second = 0; second < 30; second++) yield* TestClock.adjust("1 second")
      const refusals = yield* Effect.forEach(all, ({ result }) => refusal(result))
      for (const each of refusals) assert.deepInclude(each, { scope: "day", limitUsd: 10 })
      assert.isAtLeast(yield* spentIn(), 10)
      assert.isAtMost(yield* spentIn(), 10 + 4)
    }).pipe(Effect.provide(layerOf({ turns: [steps(...Array.from({ length: 20 }, () => 1))] }, {
      perDayUsd: 10,
      timeZone: "UTC"
    }))))

  it.effect(
    "whatever the steps cost, what was spent over a budget is at most one step of each call",
    () =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(
            fc.array(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 6 }), {
              minLength: 1,
              maxLength: 4
            }),
            fc.integer({ min: 1, max: 20 }),
            (calls, perDayUsd) =>
              Effect.runPromise(
                Effect.scoped(Effect.gen(function*() {
                  const all = yield* Effect.forEach(calls, () => follow(Claude.query("a")))
                  for (let second = 0; second < 8; second++) yield* TestClock.adjust("1 second")
                  assert.isTrue(all.every(({ ended }) => ended()))
                  const most = calls.reduce((sum, costs) => sum + Math.max(...costs), 0)
                  assert.isBelow(yield* spentIn(), perDayUsd + most)
                  const whole = calls.flat().reduce((sum, cost) => sum + cost, 0)
                  if (whole < perDayUsd) assert.strictEqual(yield* spentIn(), whole)
                })).pipe(
                  Effect.provide(layerOf((index) => ({ turns: [steps(...calls[index] ?? [])] }), {
                    perDayUsd,
                    timeZone: "UTC"
                  })),
                  Effect.provide(TestContext.TestContext)
                )
              )
          ),
          { numRuns: 25 }
        )
      ),
    60_000
  )
})

describe("a budget of a session", () => {
  it.scoped("is that of its id, also for whoever goes on with it", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* Session.text(session, "a")
      yield* Session.text(session, "b")
      const expected = { scope: "session" as const, spentUsd: 2, limitUsd: 2, renewsAt: undefined }
      assert.deepStrictEqual(yield* spentIn({ sessionId: yield* session.id }), 2)
      assert.deepStrictEqual(yield* refusal(Session.text(session, "c")), expected)
      assert.deepStrictEqual(yield* refusal(Claude.text("d", { resume: yield* session.id })), expected)
      assert.strictEqual(yield* Claude.text("e"), "done")
      const branch = yield* session.fork()
      assert.strictEqual(yield* Session.text(branch, "f"), "done")
      assert.deepStrictEqual((yield* Effect.flatMap(FakeCli.FakeCli, ({ prompts }) => prompts)).length, 4)
    }).pipe(Effect.provide(layerOf(() => {
      let turns = 0
      return { respond: () => costing(++turns) }
    }, { perSessionUsd: 2 }))))
})

describe("a budget of a batch", () => {
  const run = (options: Batch.BatchOptions) =>
    Effect.gen(function*() {
      const batch = yield* Batch.make(["a", "b", "c", "d", "e"], { concurrency: 1, ordered: true, ...options })
      const ends = yield* Stream.runCollect(batch.ends)
      return Chunk.toReadonlyArray(ends).map(({ outcome }) =>
        outcome._tag === "Cancelled" ? outcome.reason : outcome._tag
      )
    })

  it.scoped("begins no more items when it is spent", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* run({}), ["Completed", "Completed", "budget", "budget", "budget"])
      assert.deepStrictEqual(yield* run({ maxBudgetUsd: 1 }), ["Completed", "budget", "budget", "budget", "budget"])
      assert.deepStrictEqual(yield* run({ maxBudgetUsd: 9 }), ["Completed", "Completed", "budget", "budget", "budget"])
    }).pipe(Effect.provide(layerOf(each(1), { perBatchUsd: 2 }))))

  it.scoped("is that of all calls that are made for it", () =>
    Effect.gen(function*() {
      const ask = UsageLedger.withBatch("nightly")(Claude.text("a"))
      yield* ask
      yield* ask
      assert.deepInclude(yield* refusal(ask), { scope: "batch", spentUsd: 2, limitUsd: 2 })
      yield* Claude.text("a")
    }).pipe(Effect.provide(layerOf(each(1), { perBatchUsd: 2 }))))

  it.scoped("of a day stops a batch, and does not fail all that is left of it", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* run({}), ["Completed", "Completed", "Failed", "budget", "budget"])
      assert.strictEqual((yield* processes).started, 2)
    }).pipe(Effect.provide(layerOf(each(1), { perDayUsd: 2, timeZone: "UTC" }))))
})

describe("who watches a budget", () => {
  it.scoped("is warned once when it is nearly spent, and once when it is", () =>
    Effect.gen(function*() {
      const heard = yield* warnings
      for (let i = 0; i < 10; i++) yield* Claude.text("a")
      for (let i = 0; i < 3; i++) yield* refusal(Claude.text("b"))
      assert.deepStrictEqual(heard, ["day 8/10 false", "day 10/10 true"])
    }).pipe(Effect.provide(layerOf(each(1), { perDayUsd: 10, timeZone: "UTC" }))))

  it.scoped("is warned of each scope, where it asked to be, and again on the next day", () =>
    Effect.gen(function*() {
      const heard = yield* warnings
      yield* Claude.text("a")
      assert.deepStrictEqual(heard, ["query 1/2 false", "day 1/2 false"])
      yield* TestClock.adjust("1 day")
      yield* Claude.text("b")
      assert.deepStrictEqual(heard.slice(2), ["query 1/2 false", "day 1/2 false"])
    }).pipe(Effect.provide(layerOf(each(1), { perQueryUsd: 2, perDayUsd: 2, warnAt: 0.5, timeZone: "UTC" }))))

  it.scoped("sees how much is spent", () =>
    Effect.gen(function*() {
      const budget = yield* Budget.Budget
      const day = { scope: "day" as const, key: "0", limitUsd: 10, renewsAt: 24 * hour }
      assert.deepStrictEqual(yield* budget.state, [{ ...day, spentUsd: 0 }])
      const query = yield* follow(Claude.query("a"))
      assert.deepStrictEqual(yield* budget.state, [{ ...day, spentUsd: 1 }])
      yield* TestClock.adjust("1 minute")
      yield* query.result
      assert.deepStrictEqual(yield* budget.state, [{ ...day, spentUsd: 3 }])
    }).pipe(Effect.provide(layerOf({ turns: [steps(1, 2)] }, { perDayUsd: 10, timeZone: "UTC" }))))

  it.scoped("finds it closed where the ledger cannot be read, and nothing begun", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* Effect.flip(Claude.text("a")))._tag, "SessionStoreError")
      assert.strictEqual((yield* processes).started, 0)
    }).pipe(Effect.provide(layerOf(each(1), { perDayUsd: 1 }, { ledger: unreadable }))))

  it.scoped("waits 5 seconds for a ledger that does not answer: nothing begins then, and what runs goes on", () => {
    const { book, by, entries, total } = new MemoryLedger()
    let answers = 1
    const silent = Layer.succeed(UsageLedger.UsageLedger, {
      book,
      by,
      entries,
      total: () => answers-- > 0 ? total() : Effect.never
    })
    return Effect.gen(function*() {
      const query = yield* follow(Claude.query("a"))
      yield* TestClock.adjust("5 seconds")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* query.result).result, "done")
      const refused = yield* Effect.fork(Effect.flip(Claude.text("b")))
      yield* TestClock.adjust("4999 millis")
      assert.isNull(refused.unsafePoll())
      yield* TestClock.adjust("1 millis")
      assert.deepInclude({ ...yield* Fiber.join(refused) }, { _tag: "SessionStoreError", reason: "Unavailable" })
      assert.strictEqual((yield* processes).started, 1)
    }).pipe(Effect.provide(layerOf(each(1), { perDayUsd: 10 }, { ledger: silent })))
  })
})

describe("what a budget refuses", () => {
  it.scoped("is not tried again, and is no failure of the CLI", () =>
    Effect.gen(function*() {
      yield* Claude.text("a")
      const breaker = yield* CircuitBreaker.CircuitBreaker
      for (let i = 0; i < 10; i++) {
        const error = yield* Effect.flip(Claude.text("b"))
        assert.isFalse(Retry.isTransient(error))
        assert.isFalse(CircuitBreaker.isCounted(error))
      }
      assert.deepStrictEqual(yield* breaker.state("claude"), { _tag: "Closed", failures: 0 })
      assert.strictEqual((yield* processes).started, 1)
    }).pipe(Effect.provide(layerOf(each(1), { perDayUsd: 1, timeZone: "UTC" }))))
})

describe("the options of budgets", () => {
  const build = (options: Policies.PolicyOptions, environment: ReadonlyArray<readonly [string, string]> = []) =>
    Effect.scoped(Layer.build(Policies.layerWith(options))).pipe(
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map(environment)))
    )

  it.effect.each(
    [
      [{ perDayUsd: 0 }, "budget.perDayUsd"],
      [{ perQueryUsd: -1 }, "budget.perQueryUsd"],
      [{ perBatchUsd: NaN }, "budget.perBatchUsd"],
      [{ perSessionUsd: Infinity }, "budget.perSessionUsd"],
      [{ warnAt: 2 }, "budget.warnAt"],
      [{ timeZone: "Mars/Olympus" }, "budget.timeZone"]
    ] as const
  )("are refused by their name: %j", ([budget, field]) =>
    Effect.gen(function*() {
      assert.deepInclude({ ...yield* Effect.flip(build({ budget })) }, { _tag: "InvalidOptionsError", field })
    }))

  it.effect("need a ledger, but for a query alone", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(build({ budget: { perDayUsd: 1 } }))
      assert.deepInclude({ ...error }, { _tag: "InvalidOptionsError", field: "budget" })
      assert.include(error.hint, "UsageLedger.layerMemory")
      yield* build({ budget: { perQueryUsd: 1 } })
      yield* Effect.provide(build({ budget: { perDayUsd: 1 } }), UsageLedger.layerMemory)
    }))

  it.effect("of a day may come from the environment, which an option goes before", () =>
    Effect.gen(function*() {
      const limits = (options: Policies.PolicyOptions, text: string) =>
        Effect.scoped(Effect.gen(function*() {
          const context = yield* Layer.build(Layer.provide(Policies.layerWith(options), UsageLedger.layerMemory))
          return (yield* Effect.provide(Budget.Budget, context)).limits
        })).pipe(Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["CCFLOW_DAILY_BUDGET_USD", text]]))))
      assert.deepStrictEqual(yield* limits({}, "2.5"), { perDayUsd: 2.5 })
      assert.deepStrictEqual(yield* limits({ budget: { perQueryUsd: 1 } }, "2.5"), { perQueryUsd: 1, perDayUsd: 2.5 })
      assert.deepStrictEqual(yield* limits({ budget: { perDayUsd: 1 } }, "2.5"), { perDayUsd: 1 })
      assert.deepStrictEqual(yield* limits({ budget: false }, "2.5"), {})
      assert.deepStrictEqual(yield* limits({}, ""), {})
      for (const text of ["much", "0", "-1", "Infinity"]) {
        const error = yield* Effect.flip(build({}, [["CCFLOW_DAILY_BUDGET_USD", text]]))
        assert.strictEqual(error.field, "CCFLOW_DAILY_BUDGET_USD")
      }
    }))
})

// ---------------------------------------------------------------------------

const entry: UsageLedger.UsageEntry = {
  entryId: "",
  at: 0,
  basis: "reported",
  model: "priced",
  usage: undefined,
  costUsd: 0,
  listUsd: undefined,
  sessionId: "",
  callId: "",
  turnId: undefined,
  batchId: undefined,
  tags: [],
  apiKeySource: ""
}

const stoppedByCli = (usd: number): FakeCli.Script => ({
  turns: [[
    FakeCli.init(),
    FakeCli.result({ subtype: "error_max_budget_usd", is_error: true, total_cost_usd: usd }),
    FakeCli.exit(1)
  ]]
})

const broken = new SessionStoreError({ operation: "total", reason: "Unavailable", detail: "gone", hint: "" })

const slow = Layer.effect(
  UsageLedger.UsageLedger,
  Effect.map(UsageLedger.UsageLedger, (ledger) => ({
    ...ledger,
    total: (filter: UsageLedger.UsageFilter | undefined) => Effect.delay(ledger.total(filter), "1 second")
  }))
).pipe(Layer.provide(UsageLedger.layerMemory))

const unreadable = Layer.succeed(UsageLedger.UsageLedger, {
  book: () => Effect.void,
  total: () => Effect.fail(broken),
  by: () => Effect.fail(broken),
  entries: () => Effect.fail(broken)
})
