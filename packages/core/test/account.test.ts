import * as Claude from "@ccflow/core/Claude"
import { SessionStoreError } from "@ccflow/core/ClaudeError"
import * as Events from "@ccflow/core/Events"
import * as Pricing from "@ccflow/core/Pricing"
import * as Session from "@ccflow/core/Session"
import * as UsageLedger from "@ccflow/core/UsageLedger"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Stream, TestClock } from "effect"
import { MemoryLedger } from "../src/internal/ledgerMemory.js"

const opus = "claude-opus-5-5"

/** As the CLI counts a model. */
const used = (input: number, output: number, costUSD?: number, more: object = {}) => ({
  inputTokens: input,
  outputTokens: output,
  cacheReadInputTokens: 0,
  cacheCreationInputTokens: 0,
  webSearchRequests: 0,
  ...(costUSD === undefined ? {} : { costUSD }),
  ...more
})

const says = (id: string, input: number, output: number, more: object = {}) =>
  FakeCli.emit({
    type: "assistant",
    parent_tool_use_id: null,
    message: {
      id,
      role: "assistant",
      model: opus,
      content: [{ type: "text", text: id }],
      stop_reason: null,
      usage: { input_tokens: input, output_tokens: output },
      ...more
    }
  })

const run = <A, E>(
  script: Parameters<typeof FakeClaude.layer>[0],
  test: Effect.Effect<A, E, Claude.Claude | UsageLedger.UsageLedger | Events.Events | FakeCli.FakeCli>,
  ledger: Layer.Layer<UsageLedger.UsageLedger> = UsageLedger.layerMemory
) =>
  test.pipe(Effect.provide(
    FakeClaude.layer(script).pipe(Layer.provideMerge(Layer.merge(ledger, Events.layer)))
  ))

const booked = Effect.flatMap(UsageLedger.UsageLedger, ({ entries }) => Effect.map(entries(), ({ entries }) => entries))

/** Events of money while the effect runs. */
const told = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.gen(function*() {
    const { observe } = yield* Events.Events
    const seen: Array<Events.Event> = []
    yield* observe((event) => {
      if (event._tag === "TokensUsed" || event._tag === "CostIncurred") seen.push(event)
    })
    yield* effect
    return seen
  }))

const turn = (...results: ReadonlyArray<Readonly<Record<string, unknown>>>): ReadonlyArray<FakeCli.Turn> =>
  results.map((fields) => [FakeCli.init(), FakeCli.text("said"), FakeCli.result({ result: "said", ...fields })])

describe("what is booked", () => {
  it.effect("is each model's share of the turn, with who it was for", () =>
    run(
      turn(
        { uuid: "r1", total_cost_usd: 0.25, modelUsage: { [opus]: used(10, 5, 0.25) } },
        { uuid: "r2", total_cost_usd: 1, modelUsage: { [opus]: used(30, 6, 0.5), haiku: used(7, 8, 0.5) } }
      ),
      Effect.scoped(Effect.gen(function*() {
        const session = yield* Session.make({ tags: ["s"] })
        const events = yield* told(Effect.zipRight(
          Session.result(session, "one"),
          UsageLedger.withTags("t")(Session.result(session, "two"))
        ))
        const entries = yield* booked
        assert.deepStrictEqual(
          entries.map((
            { costUsd, entryId, model, tags, usage }
          ) => [entryId, model, usage?.inputTokens, costUsd, tags]),
          [
            [`r1/${opus}`, opus, 10, 0.25, ["s"]],
            [`r2/${opus}`, opus, 20, 0.25, ["s", "t"]],
            ["r2/haiku", "haiku", 7, 0.5, ["s", "t"]]
          ]
        )
        assert.strictEqual(new Set(entries.map(({ callId }) => callId)).size, 2)
        assert.isTrue(entries.every(({ basis, turnId }) => basis === "reported" && turnId !== undefined))
        assert.deepStrictEqual(entries.map(({ listUsd }) => listUsd?.toFixed(6)), ["0.000140", "0.000100", undefined])
        assert.deepStrictEqual(
          events.map((event) => [event._tag, Reflect.get(event, "totalTokens") ?? Reflect.get(event, "costUsd")]),
          [["TokensUsed", 15], ["CostIncurred", 0.25], ["TokensUsed", 21], ["CostIncurred", 0.25], ["TokensUsed", 15], [
            "CostIncurred",
            0.5
          ]]
        )
      }))
    ))

  it.effect("is there before the caller has the result", () =>
    run(
      turn({ total_cost_usd: 0.25 }),
      Effect.gen(function*() {
        let atResult = -1
        yield* Claude.query("hi").pipe(Stream.runForEach((message) =>
          message._tag !== "Result" ? Effect.void : Effect.map(booked, (entries) => {
            atResult = entries.length
          })
        ))
        assert.strictEqual(atResult, 1)
      })
    ))

  it.effect("is unknown where the CLI did not say, and not nothing", () =>
    run(
      turn({ usage: {}, total_cost_usd: undefined, modelUsage: undefined }),
      Effect.gen(function*() {
        const result = yield* Claude.result("hi")
        assert.deepStrictEqual([result.turnUsage, result.unpriced, result.costUsd], [undefined, [""], 0])
        const { total } = yield* UsageLedger.UsageLedger
        const { costUsd, entries, uncounted, unpriced } = yield* total()
        assert.deepStrictEqual([entries, unpriced, uncounted, costUsd], [1, 1, 1, 0])
      })
    ))

  it.effect("is nothing where nothing was used", () =>
    run(
      turn({ usage: { input_tokens: 0, output_tokens: 0 }, total_cost_usd: 0, modelUsage: {} }),
      Effect.gen(function*() {
        const result = yield* Claude.result("/help")
        assert.deepStrictEqual([result.turnUsage, result.unpriced], [{}, undefined])
        assert.deepStrictEqual(yield* booked, [])
      })
    ))

  it.effect("of a model without a price is what one's own table says, else unknown", () => {
    const script = turn({
      total_cost_usd: 9,
      modelUsage: { mine: used(1e6, 0, 4, { costBasis: "unknown" }), other: used(1, 1, 5, { costBasis: "unknown" }) }
    })
    return run(
      script,
      Effect.gen(function*() {
        const result = yield* Claude.result("hi")
        assert.deepStrictEqual([result.costUsd, result.totalCostUsd, result.unpriced], [0, 9, ["mine", "other"]])
        assert.deepStrictEqual((yield* booked).map(({ costUsd, model }) => [model, costUsd]), [
          ["mine", 2],
          ["other", undefined]
        ])
      })
    ).pipe(Effect.provide(Pricing.layer([{ model: "mine", input: 2, output: 2 }])))
  })

  it.effect("is listed with what was kept for an hour, and not where prompts of several lengths have several prices", () =>
    run(
      [[
        FakeCli.init(),
        says("short", 90_000, 1, { model: "claude-haiku-5-5" }),
        says("long", 110_000, 1, { model: "claude-haiku-5-5" }),
        FakeCli.result({
          modelUsage: {
            [opus]: used(0, 0, 1, { cacheCreationInputTokens: 3e6, cacheCreationEphemeral1hInputTokens: 1e6 }),
            "claude-haiku-5-5": used(200_000, 2, 1),
            "claude-haiku-5-5-20261001": used(10, 0, 1)
          }
        })
      ]],
      Effect.gen(function*() {
        yield* Claude.result("hi")
        const listed = new Map((yield* booked).map(({ listUsd, model }) => [model, listUsd]))
        assert.closeTo(listed.get(opus) ?? 0, 2 * 5 + 8, 1e-9)
        assert.isUndefined(listed.get("claude-haiku-5-5"))
        assert.closeTo(listed.get("claude-haiku-5-5-20261001") ?? 0, 1e-6, 1e-12)
      })
    ))

  it.effect("of a turn that the CLI began itself is the session's, and no call's", () =>
    run(
      [[
        FakeCli.init(),
        FakeCli.text("begun"),
        FakeCli.background([FakeCli.init(), FakeCli.text("it is done"), FakeCli.result({ result: "it is done" })]),
        FakeCli.result({ result: "begun" })
      ]],
      Effect.gen(function*() {
        yield* Claude.result("hi")
        const entries = yield* booked
        assert.deepStrictEqual(entries.map(({ callId }) => callId === "").sort(), [false, true])
        assert.strictEqual(new Set(entries.map(({ sessionId }) => sessionId)).size, 1)
      })
    ))
})

describe("a resumed process", () => {
  const session = { resume: "5e551011-0000-4000-8000-000000000001" }
  const first = { uuid: "r1", usage: { input_tokens: 100, output_tokens: 5 }, total_cost_usd: 1 }
  const scene = (second: Readonly<Record<string, unknown>>) => (index: number): FakeCli.Script => ({
    turns: [[
      FakeCli.init(),
      says(`msg_${index}`, index === 0 ? 100 : 30, 1),
      FakeCli.result(index === 0 ? { ...first, modelUsage: { [opus]: used(100, 5, 1) } } : { uuid: "r2", ...second })
    ]]
  })
  const costs = (second: Readonly<Record<string, unknown>>) =>
    run(
      scene(second),
      Effect.gen(function*() {
        yield* Claude.result("one", session)
        yield* Claude.result("two", session)
        return (yield* booked).map(({ costUsd, usage }) => [usage?.inputTokens, costUsd])
      })
    )

  const goesOn = { total_cost_usd: 1.25, modelUsage: { [opus]: used(130, 9, 1.25) } }
  const saying = (earlier: Effect.Effect<never>) =>
    Layer.sync(UsageLedger.UsageLedger, () => {
      const { book, entries, total } = new MemoryLedger()
      return { book, by: () => earlier, entries, total }
    })
  const costsBooked = Effect.map(booked, (entries) => entries.map(({ costUsd }) => costUsd))

  it.effect("is charged for all that it tells where the ledger breaks, or takes 5 seconds to say what it has", () =>
    Effect.gen(function*() {
      yield* run(
        scene(goesOn),
        Effect.gen(function*() {
          yield* Claude.result("one", session)
          const second = yield* Effect.fork(Claude.result("two", session))
          yield* TestClock.adjust("4999 millis")
          assert.isNull(second.unsafePoll())
          yield* TestClock.adjust("1 millis")
          yield* Fiber.join(second)
          assert.deepStrictEqual(yield* costsBooked, [1, 1.25])
        }),
        saying(Effect.never)
      )
      yield* run(
        scene(goesOn),
        Effect.gen(function*() {
          yield* Claude.result("one", session)
          yield* Claude.result("two", session)
          assert.deepStrictEqual(yield* costsBooked, [1, 1.25])
        }),
        saying(Effect.dieMessage("no"))
      )
    }))

  it.effect("is booked also where its consumer leaves while the ledger is asked what it has", () =>
    run(
      scene(goesOn),
      Effect.gen(function*() {
        yield* Claude.result("one", session)
        const second = yield* Effect.fork(Claude.result("two", session))
        yield* TestClock.adjust("1 second")
        yield* Fiber.interrupt(second)
        assert.deepStrictEqual(yield* costsBooked, [1, 1.25])
      }),
      saying(Effect.never)
    ))

  it.effect("is charged for what is its own, whether its figures go on or start again", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* costs(goesOn), [[100, 1], [30, 0.25]])
      const says = { ...goesOn, model_usage_since_last_result: { [opus]: used(30, 4, 0.25) } }
      assert.deepStrictEqual(yield* costs(says), [[100, 1], [30, 0.25]])
      const startsAgain = { total_cost_usd: 0.25, modelUsage: { [opus]: used(30, 4, 0.25) } }
      assert.deepStrictEqual(yield* costs(startsAgain), [[100, 1], [30, 0.25]])
      const compacts = { total_cost_usd: 1.5, modelUsage: { [opus]: used(190, 7, 1.5) } }
      assert.deepStrictEqual(yield* costs(compacts), [[100, 1], [190, 1.5]])
    }))
})

describe("a run that was cut", () => {
  it.effect("is booked as an estimate, each message once, and only what no result covers", () =>
    run(
      [
        [FakeCli.init(), says("msg_1", 10, 5), FakeCli.result({ modelUsage: { [opus]: used(10, 5, 0.5) } })],
        [
          FakeCli.init(),
          says("msg_2", 1000, 1),
          says("msg_2", 1000, 20),
          says("msg_3", 2000, 2),
          says("msg_4", 500, 2, { model: "nobody-knows" }),
          says("msg_5", 0, 0, { model: "<synthetic>" }),
          FakeCli.kill("SIGKILL")
        ]
      ],
      Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const session = yield* Session.make({})
          yield* Session.result(session, "one")
          yield* Effect.flip(Session.result(session, "two"))
        }))
        const entries = yield* booked
        assert.deepStrictEqual(
          entries.map((
            { basis, costUsd, model, usage }
          ) => [basis, model, usage?.inputTokens, usage?.outputTokens, costUsd])
            .sort(([, , one = 0], [, , other = 0]) => Number(one) - Number(other)),
          [
            ["reported", opus, 10, 5, 0.5],
            ["estimated", "nobody-knows", 500, 2, undefined],
            ["estimated", opus, 1000, 20, 1000 * 4e-6 + 20 * 20e-6],
            ["estimated", opus, 2000, 2, 2000 * 4e-6 + 2 * 20e-6]
          ]
        )
        const { by } = yield* UsageLedger.UsageLedger
        assert.isTrue((yield* by("session")).every(({ key }) => key !== ""))
      })
    ))

  it.effect("is booked when its consumer leaves it, also in the middle of its first message", () =>
    run(
      [[FakeCli.init(), FakeCli.text("a long answer", { deltas: 3 }), FakeCli.hang]],
      Effect.gen(function*() {
        for (const includePartialMessages of [true, false]) {
          yield* Claude.query("hi", { includePartialMessages }).pipe(
            Stream.takeUntil(({ _tag }) => _tag === "Text"),
            Stream.runDrain
          )
        }
        assert.deepStrictEqual((yield* booked).map(({ basis, usage }) => [basis, usage?.inputTokens]), [
          ["estimated", 10],
          ["estimated", 10]
        ])
      })
    ))

  it.effect("in a session is not doubled by the result that comes late", () =>
    run(
      [
        [FakeCli.init(), says("msg_1", 10, 5), FakeCli.hang],
        [FakeCli.init(), says("msg_2", 10, 5), FakeCli.result({ result: "said" })]
      ],
      Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const session = yield* Session.make({})
          yield* session.send("one").pipe(Stream.takeUntil(({ _tag }) => _tag === "Text"), Stream.runDrain)
          yield* Session.result(session, "two")
        }))
        assert.deepStrictEqual((yield* booked).map(({ basis }) => basis), ["reported", "reported"])
      })
    ))
})

describe("a store that fails", () => {
  const failing = (failures: number) => {
    const memory = new MemoryLedger()
    let left = failures
    const service: UsageLedger.UsageLedgerService = {
      book: (entries) =>
        Effect.suspend(() =>
          left-- > 0
            ? Effect.fail(
              new SessionStoreError({ operation: "book", reason: "DiskFull", detail: "of a secret", hint: "secret" })
            )
            : memory.book(entries)
        ),
      total: memory.total,
      by: memory.by,
      entries: memory.entries
    }
    return Layer.succeed(UsageLedger.UsageLedger, service)
  }
  const logged: Array<string> = []
  const listening = Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ message }) => void logged.push(String(message)))
  )

  it.effect("fails no query: what it owes is tried again, and one warning says so without what was to be stored", () =>
    Effect.gen(function*() {
      logged.length = 0
      yield* run(
        turn({ modelUsage: { [opus]: used(1, 1, 0.25) } }),
        Effect.gen(function*() {
          yield* Claude.result("one")
          assert.deepStrictEqual(yield* booked, [])
          yield* Claude.result("two")
          assert.strictEqual((yield* booked).length, 2)
        }),
        failing(3)
      )
      assert.strictEqual(logged.length, 1)
      assert.include(logged[0], "DiskFull")
      assert.notInclude(logged[0], "secret")
    }).pipe(Effect.provide(listening)))

  it.effect("is tried again when the process has ended", () =>
    run(
      turn({ modelUsage: { [opus]: used(1, 1, 0.25) } }),
      Effect.gen(function*() {
        yield* Claude.result("one")
        assert.strictEqual((yield* booked).length, 1)
      }),
      failing(1)
    ).pipe(Effect.provide(listening)))
})
