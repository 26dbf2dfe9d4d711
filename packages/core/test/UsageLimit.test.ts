import * as Claude from "@ccflow/core/Claude"
import { SessionStoreError } from "@ccflow/core/ClaudeError"
import * as Policies from "@ccflow/core/Policies"
import * as UsageLimit from "@ccflow/core/UsageLimit"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, Layer, Stream, TestClock } from "effect"
import {
  allowed,
  answers,
  ask,
  at,
  claude,
  claudeWith,
  error,
  inTurn,
  parked,
  prompts,
  recorded,
  refused,
  rejected,
  says,
  starts,
  waits,
  windows
} from "./usage.js"

const yes = FakeCli.answer("yes")

describe("a rejected call", () => {
  it.effect("waits until the reset, not a moment less, and is made again soon after", () =>
    Effect.gen(function*() {
      const call = yield* ask()
      yield* TestClock.adjust("60 seconds")
      assert.strictEqual(yield* starts, 1)
      yield* TestClock.adjust(at(100) - at(60))
      yield* waits(call)
      assert.strictEqual(yield* starts, 1)
      yield* TestClock.adjust("500 millis")
      yield* answers(call)
      assert.strictEqual(yield* starts, 2)
    }).pipe(Effect.provide(claudeWith(inTurn(rejected("five_hour", 100), yes)))))

  it.effect("shows nothing of the rejection but its notices", () =>
    Effect.gen(function*() {
      const call = yield* Effect.fork(Stream.runCollect(Claude.query("hi")))
      yield* TestClock.adjust("101 seconds")
      assert.deepStrictEqual(
        Array.from(yield* Fiber.join(call), ({ _tag }) => _tag),
        ["Init", "RateLimit", "Init", "Text", "Assistant", "Stop", "Result"]
      )
    }).pipe(Effect.provide(claudeWith(inTurn(rejected("five_hour", 100), yes)))))

  it.effect("fails with what the CLI said where the reset is further than maxWait", () =>
    Effect.gen(function*() {
      const first = yield* refused()
      assert.deepInclude({ ...first }, { limit: "five_hour", resetsAt: at(301), detail: "You've hit your limit" })
      assert.isAbove(first.facts.frames, 0)
    }).pipe(Effect.provide(claudeWith(inTurn(rejected("five_hour", 301), yes)))))

  it.effect("fails when something of its answer was seen, and the next one waits", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* refused()).limit, "five_hour")
      const call = yield* ask()
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* starts, 1)
      yield* TestClock.adjust("91 seconds")
      yield* answers(call)
    }).pipe(
      Effect.provide(claudeWith(inTurn([FakeCli.init(), FakeCli.text("so f"), ...rejected("five_hour", 100)], yes)))
    ))

  it.effect("fails without a reset time, and the next one is made", () =>
    Effect.gen(function*() {
      const { changes } = yield* UsageLimit.UsageLimit
      const seen = yield* recorded(changes)
      assert.strictEqual((yield* refused()).resetsAt, null)
      assert.strictEqual(yield* Claude.text("hi"), "yes")
      assert.deepStrictEqual(seen.map(({ limit, status }) => [limit, status]), [["five_hour", "rejected"]])
      assert.deepStrictEqual(yield* windows, [])
    }).pipe(Effect.scoped, Effect.provide(claudeWith(inTurn(rejected("five_hour", undefined), yes)))))

  it.effect("asks again every 10 seconds when the reset has passed here and not there", () =>
    Effect.gen(function*() {
      yield* TestClock.adjust("100 seconds")
      const call = yield* ask()
      for (let n = 1; n <= 3; n++) {
        yield* TestClock.adjust("9 seconds")
        assert.strictEqual(yield* starts, n)
        yield* TestClock.adjust("1500 millis")
      }
      yield* answers(call)
      assert.strictEqual(yield* starts, 4)
    }).pipe(
      Effect.provide(
        claudeWith(inTurn(rejected("five_hour", 90), rejected("five_hour", 90), rejected("five_hour", 90), yes))
      )
    ))

  it.effect("waits no longer than maxWait in all", () =>
    Effect.gen(function*() {
      const call = yield* ask()
      yield* TestClock.adjust("250 seconds")
      yield* waits(call)
      yield* TestClock.adjust("1 seconds")
      assert.isTrue(Exit.isFailure(yield* Fiber.await(call)))
      assert.strictEqual(yield* starts, 2)
    }).pipe(Effect.provide(claudeWith(inTurn(rejected("five_hour", 250), rejected("five_hour", 400), yes)))))

  it.effect("spends no retry, and is no failure to the breaker", () =>
    Effect.gen(function*() {
      const call = yield* ask()
      yield* TestClock.adjust("40 seconds")
      yield* answers(call)
      assert.strictEqual(yield* starts, 4)
    }).pipe(Effect.provide(FakeClaude.layerWith(
      inTurn(rejected("five_hour", 10), rejected("five_hour", 20), rejected("five_hour", 30), yes),
      Policies.layerWith({ retry: { maxRetries: 1 }, circuitBreaker: { failureThreshold: 1 } })
    ))))

  it.effect("leaves nothing of it running while it waits", () =>
    Effect.gen(function*() {
      yield* ask()
      yield* TestClock.adjust("1 second")
      const fake = yield* FakeCli.FakeCli
      assert.deepStrictEqual((yield* fake.started).map(({ running }) => running), [false])
    }).pipe(Effect.provide(claudeWith([rejected("five_hour", 100)]))))
})

describe("calls that a closed window stops", () => {
  const shut = <A, E, R>(then: Effect.Effect<A, E, R>) =>
    Effect.zipRight(Effect.provideService(refused(), UsageLimit.CurrentMaxWait, 0), then)

  it.effect("start no process, and fail at once where they may not wait", () =>
    shut(Effect.gen(function*() {
      const error = yield* refused()
      assert.deepStrictEqual({ ...error }, {
        ...error,
        limit: "five_hour",
        resetsAt: at(400),
        facts: { exitCode: null, signal: null, argv: [], stderrTail: "", sessionId: "", frames: 0 }
      })
      assert.include(error.message, "1970-01-01T00:06:40.000Z")
      assert.strictEqual(yield* starts, 1)
    })).pipe(Effect.provide(claudeWith(inTurn(rejected("five_hour", 400), yes)))))

  it.effect("wait as long as a part of the program allows", () =>
    shut(Effect.gen(function*() {
      const never = yield* Effect.flip(Effect.provideService(Claude.text("x"), UsageLimit.CurrentMaxWait, "99 seconds"))
      assert.strictEqual(never._tag, "UsageLimitError")
      const soon = yield* Effect.provideService(ask(), UsageLimit.CurrentMaxWait, "100 seconds")
      const ever = yield* Effect.provideService(ask(), UsageLimit.CurrentMaxWait, Infinity)
      yield* TestClock.adjust("99 seconds")
      assert.deepStrictEqual(yield* parked, [{ account: "", limit: "five_hour", until: at(100), calls: 2 }])
      yield* TestClock.adjust("2 seconds")
      yield* answers(soon)
      yield* answers(ever)
    })).pipe(Effect.provide(claudeWith(inTurn(rejected("five_hour", 100), yes), { maxWait: 0 }))))

  it.effect("wait as long as it takes where they may, and look at the clock each minute meanwhile", () =>
    shut(Effect.gen(function*() {
      const call = yield* ask()
      yield* TestClock.adjust("90 seconds")
      // A timer stands still while a machine sleeps, and cannot be set for more than 24 days.
      assert.deepStrictEqual(Array.from(yield* TestClock.sleeps()), [at(120)])
      yield* TestClock.adjust("2 hours")
      yield* waits(call)
    })).pipe(Effect.provide(claudeWith(inTurn(rejected("five_hour", 40 * 86_400), yes), { maxWait: Infinity }))))

  it.effect("are let through in their order once the first is, and not in the same moment", () =>
    shut(Effect.gen(function*() {
      const { parkedChanges } = yield* UsageLimit.UsageLimit
      const calls = yield* Effect.forEach([1, 2, 3, 4, 5], (n) => Effect.zipLeft(ask(`${n}`), TestClock.adjust(1)))
      const seen = yield* recorded(
        Stream.mapEffect(
          parkedChanges,
          (all) => Effect.map(Clock.currentTimeMillis, (now) => [all[0]?.calls ?? 0, now] as const)
        )
      )
      yield* TestClock.adjust(at(101) - 5)
      // The first has found out nothing yet.
      assert.deepStrictEqual(yield* prompts, ["hi", "1"])
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(yield* prompts, ["hi", "1", "2", "3", "4", "5"])
      assert.deepStrictEqual(seen.map(([calls]) => calls), [5, 4, 3, 2, 1, 0])
      const times = seen.slice(1).map(([, now]) => now)
      assert.strictEqual(new Set(times).size, 5)
      assert.isAbove(times[0]!, at(100))
      yield* TestClock.adjust("1 second")
      yield* Effect.forEach(calls, (call) => answers(call))
      assert.deepStrictEqual(yield* parked, [])
    })).pipe(
      Effect.scoped,
      Effect.provide(claudeWith((index) => ({
        turns: [index === 0 ? rejected("five_hour", 100) : [FakeCli.init(), FakeCli.delay("1 second"), ...yes.slice(1)]]
      })))
    ))

  it.effect("are not let loose on a window that is still closed: one finds out, and all wait on", () =>
    shut(Effect.gen(function*() {
      const calls = yield* Effect.forEach([1, 2, 3], (n) => ask(`${n}`))
      yield* TestClock.adjust("150 seconds")
      assert.deepStrictEqual(yield* prompts, ["hi", "1"])
      assert.deepStrictEqual(yield* parked, [{ account: "", limit: "five_hour", until: at(200), calls: 3 }])
      yield* TestClock.adjust("51 seconds")
      yield* Effect.forEach(calls, (call) => answers(call))
      assert.deepStrictEqual(yield* prompts, ["hi", "1", "1", "2", "3"])
    })).pipe(Effect.provide(claudeWith(inTurn(rejected("five_hour", 100), rejected("five_hour", 200), yes)))))

  it.effect("have the next find out when the first ends without a word, or is given up", () =>
    shut(Effect.gen(function*() {
      const first = yield* ask("dies")
      const second = yield* ask("hangs")
      const third = yield* ask("asks")
      const fourth = yield* ask("follows")
      yield* TestClock.adjust("101 seconds")
      assert.isTrue(Exit.isFailure(yield* Fiber.await(first)))
      assert.deepStrictEqual(yield* prompts, ["hi", "dies", "hangs"])
      yield* Fiber.interrupt(second)
      yield* TestClock.adjust("1 second")
      yield* answers(third)
      yield* answers(fourth)
      assert.deepStrictEqual(yield* prompts, ["hi", "dies", "hangs", "asks", "follows"])
    })).pipe(Effect.provide(claudeWith(
      inTurn(rejected("five_hour", 100), [FakeCli.exit(1)], [FakeCli.init(), FakeCli.hang], yes)
    ))))

  it.effect("take the words of an API error for no answer: the next finds out", () =>
    shut(Effect.gen(function*() {
      yield* Effect.forEach(["is told of a failure", "finds out", "waits on"], (prompt) => ask(prompt))
      yield* TestClock.adjust("101 seconds")
      assert.deepStrictEqual(yield* prompts, ["hi", "is told of a failure", "finds out"])
    })).pipe(Effect.provide(claudeWith(inTurn(
      rejected("five_hour", 100),
      FakeCli.apiError({ status: 529, code: "overloaded", type: "overloaded_error", message: "Overloaded" }),
      [FakeCli.init(), FakeCli.hang]
    )))))

  it.effect("fail all when the first finds a reset that is further than they wait in all", () =>
    shut(Effect.gen(function*() {
      const calls = yield* Effect.forEach([1, 2], (n) => ask(`${n}`))
      yield* TestClock.adjust("101 seconds")
      for (const call of calls) assert.isTrue(Exit.isFailure(yield* Fiber.await(call)))
      assert.deepStrictEqual(yield* prompts, ["hi", "1"])
      assert.deepStrictEqual(yield* parked, [])
    })).pipe(
      Effect.provide(
        claudeWith(inTurn(rejected("five_hour", 100), rejected("five_hour", 200), yes), { maxWait: "150 seconds" })
      )
    ))

  it.effect("come after those who wait when they come while the first finds out", () =>
    shut(Effect.gen(function*() {
      yield* ask("1")
      yield* ask("2")
      yield* TestClock.adjust("101 seconds")
      yield* ask("late")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* prompts, ["hi", "1"])
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* prompts, ["hi", "1", "2", "late"])
    })).pipe(
      Effect.provide(claudeWith((index) => ({
        turns: [
          index === 0 ? rejected("five_hour", 100) : [FakeCli.init(), FakeCli.delay("3 seconds"), ...yes.slice(1)]
        ]
      })))
    ))

  it.effect("leave nothing behind when they are interrupted", () =>
    shut(Effect.gen(function*() {
      const seen = yield* recorded(Stream.unwrap(Effect.map(UsageLimit.UsageLimit, (usage) => usage.parkedChanges)))
      const calls = yield* Effect.forEach([1, 2], (n) => ask(`${n}`))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interruptAll(calls)
      assert.deepStrictEqual(yield* parked, [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(seen.map((all) => all.map(({ calls }) => calls)), [[], [1], [2], [1], []])
      yield* TestClock.adjust("200 seconds")
      assert.strictEqual(yield* starts, 1)
      assert.strictEqual(yield* Claude.text("hi"), "yes")
    })).pipe(Effect.scoped, Effect.provide(claudeWith(inTurn(rejected("five_hour", 100), yes)))))

  it.effect("are given up when the caller interrupts while they wait", () =>
    shut(Effect.gen(function*() {
      const stop = yield* Deferred.make<void>()
      const call = yield* ask("hi", { interruptWhen: Deferred.await(stop) })
      yield* TestClock.adjust("1 second")
      yield* Deferred.succeed(stop, undefined)
      const error = yield* Effect.flip(Fiber.join(call))
      assert.strictEqual(error._tag === "CliExitError" && error.reason, "Interrupted")
      assert.deepStrictEqual(yield* parked, [])
    })).pipe(Effect.provide(claudeWith(inTurn(rejected("five_hour", 100), yes)))))

  it.effect("are turns of sessions as well, which keep their order", () =>
    shut(Effect.gen(function*() {
      const session = yield* Effect.flatMap(Claude.Claude, (service) => service.session())
      yield* Effect.fork(Stream.runDrain(session.send("one")))
      yield* TestClock.adjust(1)
      const two = yield* Effect.fork(Stream.runDrain(session.send("two")))
      yield* TestClock.adjust("50 seconds")
      assert.strictEqual(yield* starts, 1)
      yield* TestClock.adjust("51 seconds")
      yield* Fiber.join(two)
      assert.deepStrictEqual(yield* prompts, ["hi", "one", "two"])
    })).pipe(
      Effect.scoped,
      Effect.provide(claudeWith((index) => ({ turns: index === 0 ? [rejected("five_hour", 100)] : [yes, yes] })))
    ))

  it.effect("find out anew after all was forgotten", () =>
    shut(Effect.gen(function*() {
      const calls = yield* Effect.forEach([1, 2], (n) => ask(`${n}`))
      yield* TestClock.adjust("1 second")
      const { forget } = yield* UsageLimit.UsageLimit
      yield* forget
      yield* TestClock.adjust("1 second")
      yield* Effect.forEach(calls, (call) => answers(call))
      assert.deepStrictEqual(yield* windows, [])
    })).pipe(Effect.provide(claudeWith(inTurn(rejected("five_hour", 100), yes)))))
})

describe("a window", () => {
  it.effect("tells each change of its status, and its reset by itself", () =>
    Effect.gen(function*() {
      const seen = yield* recorded(Stream.unwrap(Effect.map(UsageLimit.UsageLimit, (usage) => usage.changes)))
      for (let n = 0; n < 4; n++) yield* Claude.text("hi")
      yield* refused()
      assert.deepStrictEqual(yield* windows, [{
        account: "",
        limit: "five_hour",
        status: "rejected",
        resetsAt: at(1000),
        utilization: 1,
        overage: false,
        seenAt: 0
      }])
      yield* TestClock.adjust("999 seconds")
      assert.strictEqual((yield* windows).length, 1)
      assert.deepStrictEqual(seen.map(({ status }) => status), ["allowed", "allowed_warning", "rejected"])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(seen.map(({ status }) => status), ["allowed", "allowed_warning", "rejected", "reset"])
      assert.deepStrictEqual(yield* windows, [])
    }).pipe(
      Effect.scoped,
      Effect.provide(claudeWith(inTurn(
        allowed({ resetsAt: 1000, utilization: 0.5 }),
        allowed({ resetsAt: 1000, utilization: 0.6 }),
        allowed({ resetsAt: 1000, utilization: 0.93, status: "allowed_warning" }),
        allowed({ resetsAt: 1000, utilization: 0.95, status: "allowed_warning" }),
        rejected("five_hour", 1000, { utilization: 1 })
      )))
    ))

  it.effect("is forgotten when its reset has passed, also when nobody asked meanwhile", () =>
    Effect.gen(function*() {
      yield* refused()
      yield* TestClock.adjust("2 hours")
      assert.deepStrictEqual(yield* windows, [])
      assert.strictEqual(yield* Claude.text("hi"), "yes")
      assert.strictEqual(yield* starts, 2)
    }).pipe(Effect.provide(claudeWith(inTurn(rejected("five_hour", 3600), yes)))))

  it.effect("is one of several: the last to open counts", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* refused()).limit, "five_hour")
      assert.deepStrictEqual((yield* windows).map(({ limit, status }) => [limit, status]), [
        ["five_hour", "rejected"],
        ["seven_day", "rejected"],
        ["seven_day_opus", "allowed_warning"]
      ])
      const call = yield* Effect.provideService(ask(), UsageLimit.CurrentMaxWait, "1 hour")
      yield* TestClock.adjust("101 seconds")
      assert.deepStrictEqual(yield* parked, [{ account: "", limit: "seven_day", until: at(400), calls: 1 }])
      yield* TestClock.adjust("300 seconds")
      yield* answers(call)
    }).pipe(
      Effect.provide(claudeWith(inTurn(
        rejected("five_hour", 100, {
          unifiedWindows: {
            five_hour: { status: "rejected", resetsAt: 100, utilization: 1 },
            seven_day: { status: "rejected", resetsAt: 400, utilization: 1 },
            seven_day_opus: { status: "allowed_warning", resetsAt: 400, utilization: 0.9 }
          }
        }),
        yes
      )))
    ))

  it.effect("is one account's", () =>
    Effect.gen(function*() {
      const other = { env: { CLAUDE_CODE_OAUTH_TOKEN: "sk-other" } }
      yield* refused()
      assert.strictEqual(yield* Claude.text("hi", other), "yes")
      yield* refused()
      assert.strictEqual(yield* starts, 2)
    }).pipe(Effect.provide(claudeWith(inTurn(rejected("five_hour", 1000), yes)))))

  it.effect("that is named for a model stops that model alone, by any name that has it", () =>
    Effect.gen(function*() {
      yield* refused({ model: "opus" })
      assert.strictEqual(yield* Claude.text("hi", { model: "sonnet" }), "yes")
      assert.strictEqual(yield* Claude.text("hi"), "yes")
      assert.strictEqual((yield* refused({ model: "claude-opus-5-5" })).limit, "seven_day_opus")
      assert.strictEqual((yield* refused({ model: "opusplan" })).limit, "seven_day_opus")
      assert.strictEqual(yield* starts, 3)
    }).pipe(Effect.provide(claudeWith(inTurn(rejected("seven_day_opus", 1000), yes)))))

  it.effect("stops a model that it has rejected, whatever it is called", () =>
    Effect.gen(function*() {
      for (const model of [undefined, "best"]) {
        assert.isAbove((yield* refused({ model })).facts.frames, 0)
        assert.strictEqual((yield* refused({ model })).facts.frames, 0)
      }
      assert.strictEqual(yield* starts, 2)
      assert.strictEqual(yield* Claude.text("hi", { model: "haiku" }), "yes")
    }).pipe(
      Effect.provide(
        claudeWith(inTurn(rejected("seven_day_opus", 1000), rejected("seven_day_opus", 1000), yes))
      )
    ))

  it.effect("that is paid over stops nobody, until a call is rejected for all that", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Claude.text("hi"), "yes")
      assert.deepInclude((yield* windows)[0], { limit: "five_hour", status: "rejected", overage: true })
      yield* refused()
      assert.deepInclude((yield* windows)[0], { limit: "five_hour", status: "rejected", overage: false })
      yield* refused()
      assert.strictEqual(yield* starts, 2)
    }).pipe(
      Effect.provide(claudeWith(inTurn(
        allowed({ status: "rejected", resetsAt: 1000, overageStatus: "allowed", isUsingOverage: true }),
        rejected("five_hour", 1000, { overageStatus: "allowed" })
      )))
    ))

  it.effect("of what is paid over gives way to the windows of the subscription, which open sooner", () =>
    Effect.gen(function*() {
      const call = yield* ask()
      yield* TestClock.adjust("50 seconds")
      assert.strictEqual((yield* parked)[0]?.limit, "five_hour")
      yield* TestClock.adjust("51 seconds")
      yield* answers(call)
    }).pipe(
      Effect.provide(claudeWith(inTurn(
        rejected("overage", 9_000, { unifiedWindows: { five_hour: { status: "rejected", resetsAt: 100 } } }),
        yes
      )))
    ))

  it.effect("does not open by an answer that was begun before it closed", () =>
    Effect.gen(function*() {
      const long = yield* ask("long")
      yield* TestClock.adjust("1 second")
      yield* refused()
      yield* TestClock.adjust("30 seconds")
      yield* answers(long)
      assert.deepInclude((yield* windows)[0], { status: "rejected" })
      yield* refused()
      assert.strictEqual(yield* starts, 2)
    }).pipe(
      Effect.provide(claudeWith(inTurn(
        [
          FakeCli.init(),
          FakeCli.delay("20 seconds"),
          ...allowed({ resetsAt: 1000, status: "allowed_warning" }).slice(1)
        ],
        rejected("five_hour", 1000)
      )))
    ))

  it.effect("closes by a notice within a run that goes on to fail, and by nothing that names none", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* Effect.flip(Claude.text("hi")))._tag, "ApiError")
      assert.deepStrictEqual(yield* windows, [])
      assert.strictEqual(yield* Claude.text("hi"), "yes")
    }).pipe(
      Effect.provide(claudeWith(inTurn([FakeCli.init(), says({ status: "rejected" }), ...error], yes)))
    ))
})

describe("a store", () => {
  const store = (fields: Partial<UsageLimit.UsageLimitStore["Type"]>) =>
    Layer.succeed(UsageLimit.UsageLimitStore, { load: Effect.succeed([]), save: () => Effect.void, ...fields })
  const broken = Effect.fail(
    new SessionStoreError({ operation: "open", reason: "DiskFull", detail: "full", hint: "Free some space." })
  )

  it.effect("lets a program that was started again know, and it starts nothing before the reset", () => {
    const run = <A, E>(turn: FakeCli.Turn, use: Effect.Effect<A, E, Claude.Claude | FakeCli.FakeCli>) =>
      Effect.provide(use, claude([turn], UsageLimit.layerWith({})))
    return Effect.gen(function*() {
      yield* run(rejected("five_hour", 1000), refused())
      yield* run(
        yes,
        Effect.gen(function*() {
          assert.strictEqual((yield* refused()).limit, "five_hour")
          yield* TestClock.adjust("900 seconds")
          const call = yield* ask()
          yield* TestClock.adjust("100 seconds")
          assert.strictEqual(yield* starts, 0)
          yield* TestClock.adjust("1 seconds")
          yield* answers(call)
        })
      )
      yield* run(yes, Claude.text("hi"))
    }).pipe(Effect.provide(UsageLimit.layerStoreMemory))
  })

  it.effect("is the program's own where it has provided one, and `layer` finds it", () => {
    const window = { account: "", limit: "five_hour", status: "rejected", resetsAt: at(1000), seenAt: 0 }
    return Effect.gen(function*() {
      yield* refused()
      assert.strictEqual(yield* starts, 0)
    }).pipe(Effect.provide(Layer.provide(
      claudeWith([yes]),
      store({ load: Effect.succeed([{ ...window, utilization: null, overage: false }]) })
    )))
  })

  it.effect("is told each change, and not each message", () => {
    const saved: Array<string> = []
    return Effect.gen(function*() {
      for (let n = 0; n < 4; n++) yield* Claude.text("hi")
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(saved, ["allowed 0.5", "allowed 0.6", "allowed_warning 0.6"])
    }).pipe(
      Effect.provide(Layer.provide(
        claudeWith(inTurn(
          allowed({ resetsAt: 1000, utilization: 0.5 }),
          allowed({ resetsAt: 1000, utilization: 0.6 }),
          allowed({ resetsAt: 1000, utilization: 0.6 }),
          allowed({ resetsAt: 1000, utilization: 0.6, status: "allowed_warning" })
        )),
        store({
          save: ({ status, utilization }) => Effect.sync(() => saved.push(`${status} ${utilization}`))
        })
      ))
    )
  })

  it.effect("that fails, dies or hangs is done without", () =>
    Effect.forEach(
      [
        { load: broken, save: () => broken },
        { load: Effect.dieMessage("no"), save: () => Effect.dieMessage("no") },
        { load: Effect.never, save: () => Effect.never },
        { load: Effect.uninterruptible(Effect.never), save: () => Effect.uninterruptible(Effect.never) }
      ],
      (bad) =>
        Effect.gen(function*() {
          const work = yield* Effect.fork(
            Effect.provide(
              Effect.zipRight(refused(), Effect.zipRight(refused(), starts)),
              Layer.provide(claudeWith([rejected("five_hour", 1000)]), store(bad))
            )
          )
          yield* TestClock.adjust("5 seconds")
          yield* TestClock.adjust("1 second")
          assert.strictEqual(yield* Fiber.join(work), 1)
        })
    ))

  it.effect("has the last word of each window when the program ends", () => {
    const saved: Array<string> = []
    return Effect.gen(function*() {
      yield* Effect.provide(
        refused(),
        Layer.provide(
          claudeWith([rejected("five_hour", 1000)]),
          store({ save: ({ status }) => Effect.zipRight(Effect.yieldNow(), Effect.sync(() => saved.push(status))) })
        )
      )
      assert.deepStrictEqual(saved.at(-1), "rejected")
    })
  })

  it.effect("refuses a wait that is none, by its name", () =>
    Effect.gen(function*() {
      for (const maxWait of [-1, Number.NaN, "soon"]) {
        const error = yield* Effect.flip(Layer.build(UsageLimit.layer({ maxWait: maxWait as number })))
        assert.strictEqual(error.field, "usageLimit.maxWait")
      }
      const error = yield* Effect.flip(Effect.provideService(Claude.text("hi"), UsageLimit.CurrentMaxWait, -1))
      assert.strictEqual(error._tag, "InvalidOptionsError")
    }).pipe(Effect.scoped, Effect.provide(claudeWith([yes]))))
})
