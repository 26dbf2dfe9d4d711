import * as Claude from "@ccflow/core/Claude"
import * as Events from "@ccflow/core/Events"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Stream, TestClock } from "effect"
import { whole } from "../src/internal/callEvents.js"
import { callOf } from "../src/internal/knownCalls.js"
import type { ObservedCall } from "../src/internal/observation.js"
import { running, text } from "./attempts.js"
import { claude, hear, names, of } from "./listening.js"

const ended = "QueryEnded"

const told: FakeCli.Turn = [
  FakeCli.init({ model: "claude-opus-4" }),
  FakeCli.delay("2 seconds"),
  FakeCli.thinking("hm"),
  FakeCli.toolUse("t1", "Bash", { command: "ls" }),
  FakeCli.delay("3 seconds"),
  FakeCli.toolResult("t1", "a b", { isError: true }),
  FakeCli.text("done"),
  FakeCli.result({ result: "done", total_cost_usd: 0.5, usage: { input_tokens: 7, output_tokens: 3 } })
]

/** Runs it to its end, on the test's clock. */
const run = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(effect)
    yield* TestClock.adjust("1 minute")
    return yield* Fiber.await(fiber)
  })

const query = (options?: Claude.ClaudeOptions) => Stream.runDrain(Claude.query("a secret plan", options))

describe("a query", () => {
  it.scoped("is told from its beginning to its end, with its thinking and its tools, under one id", () =>
    Effect.gen(function*() {
      const heard = yield* hear()
      assert.isTrue(Exit.isSuccess(yield* run(query({ model: "opus" }))))
      assert.deepStrictEqual(
        names(heard).filter((name) => name !== "MessageReceived" && name !== "TokensUsed" && name !== "CostIncurred"),
        ["QueryStarted", "ProcessStarted", "ThinkingReceived", "ToolCalled", "ToolFinished", ended, "ProcessEnded"]
      )
      assert.strictEqual(new Set(heard.map(({ callId }) => callId)).size, 1)
      assert.isString(heard[0]?.callId)
      assert.deepInclude(of(heard, "QueryStarted")[0], { prompt: "a secret plan", model: "opus" })
      assert.deepInclude(of(heard, "ThinkingReceived")[0], { content: "hm" })
      assert.deepInclude(of(heard, "ToolCalled")[0], { tool: "Bash", toolUseId: "t1", input: { command: "ls" } })
      assert.deepInclude(of(heard, "ToolFinished")[0], {
        tool: "Bash",
        toolUseId: "t1",
        isError: true,
        content: "a b",
        durationMs: 3000
      })
      assert.deepInclude(of(heard, ended)[0], {
        outcome: "success",
        model: "claude-opus-4",
        durationMs: 5000,
        firstMessageMs: 2000,
        costUsd: 0.5,
        result: "done"
      })
      assert.deepInclude(of(heard, ended)[0]?.usage, { inputTokens: 7, outputTokens: 3 })
      assert.isUndefined(of(heard, ended)[0]?.error)
    }).pipe(Effect.provide(claude([told]))))

  it.scoped("tells each message that its caller gets, once and in order, and its session as soon as it is known", () =>
    Effect.gen(function*() {
      const heard = yield* hear("QueryStarted", "MessageReceived", ended)
      const seen: Array<unknown> = []
      yield* run(Stream.runForEach(Claude.query("hi"), (message) => Effect.sync(() => seen.push(message))))
      assert.deepStrictEqual(of(heard, "MessageReceived").map(({ message }) => message), seen)
      const [first, ...rest] = heard
      assert.isUndefined(first?.sessionId)
      assert.strictEqual(new Set(rest.map(({ sessionId }) => sessionId)).size, 1)
      assert.isNotEmpty(rest[0]?.sessionId)
    }).pipe(Effect.provide(claude([told]))))

  it.scoped("tells a failure with its error", () =>
    Effect.gen(function*() {
      const heard = yield* hear(ended)
      yield* run(query())
      assert.deepStrictEqual(
        of(heard, ended).map(({ error, outcome }) => [outcome, error?._tag]),
        [["failure", "OverloadedError"]]
      )
    }).pipe(Effect.provide(claude([FakeCli.apiError({
      status: 529,
      code: "overloaded",
      type: "overloaded_error",
      message: "Overloaded"
    })]))))

  it.scoped("that is refused before it starts is told as a failure", () =>
    Effect.gen(function*() {
      yield* run(query())
      const heard = yield* hear("QueryStarted", ended, "ProcessStarted", "ProcessEnded")
      yield* run(query())
      assert.deepStrictEqual(names(heard), ["QueryStarted", ended])
      assert.strictEqual(of(heard, ended)[0]?.error?._tag, "RateLimitExceededError")
    }).pipe(
      Effect.provide(
        claude([told], { rateLimit: { requestsPerWindow: { requests: 1, window: "1 day" }, maxWait: 0 } })
      )
    ))

  it.scoped("that is left before its end is told as interrupted, once, when its process is gone", () =>
    Effect.gen(function*() {
      const heard = yield* hear(ended, "ProcessEnded")
      yield* run(Stream.runDrain(Stream.take(Claude.query("hi"), 1)))
      const fiber = yield* Effect.fork(query())
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(names(heard), ["ProcessEnded", ended, "ProcessEnded", ended])
      assert.deepStrictEqual(of(heard, ended).map(({ outcome }) => outcome), ["interrupted", "interrupted"])
    }).pipe(Effect.provide(claude([told]))))

  it.scoped("that is left with its answer in hand has succeeded", () =>
    Effect.gen(function*() {
      const heard = yield* hear(ended)
      yield* run(Stream.runDrain(Stream.takeUntil(Claude.query("hi"), ({ _tag }) => _tag === "Result")))
      assert.deepStrictEqual(of(heard, ended).map(({ outcome, result }) => [outcome, result]), [["success", "done"]])
    }).pipe(Effect.provide(claude([told]))))

  it.scoped("whose end its caller asks for is told as interrupted, with what there was", () =>
    Effect.gen(function*() {
      const heard = yield* hear(ended)
      const enough = yield* Deferred.make<void>()
      const fiber = yield* Effect.fork(query({ interruptWhen: Deferred.await(enough) }))
      yield* TestClock.adjust("1 second")
      yield* Deferred.succeed(enough, undefined)
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(of(heard, ended).map(({ outcome }) => outcome), ["interrupted"])
    }).pipe(Effect.provide(claude([[FakeCli.init(), FakeCli.text("so far", { deltas: 30, every: "1 second" })]]))))

  it.scoped("has the trace of the span that it is in", () =>
    Effect.gen(function*() {
      const heard = yield* hear()
      const trace = yield* Effect.withSpan(
        Effect.zipLeft(Effect.map(Effect.orDie(Effect.currentSpan), ({ traceId }) => traceId), run(query())),
        "mine"
      )
      assert.deepStrictEqual([...new Set(heard.map(({ traceId }) => traceId))], [trace])
    }).pipe(Effect.provide(claude([told]))))

  it.scoped("of which only the end is wanted makes nothing else", () =>
    Effect.gen(function*() {
      const heard = yield* hear(ended)
      const { silent } = yield* Events.Events
      yield* run(query())
      assert.deepStrictEqual(names(heard), [ended])
      assert.isTrue(silent("MessageReceived"))
    }).pipe(Effect.provide(claude([told]))))

  it.effect("that nobody listens to is not touched", () =>
    Effect.sync(() => {
      const open = Effect.succeed(Effect.succeed([text("hi")]))
      const events: Events.EventsService = { ...Events.noop, tell: () => assert.fail("told") }
      const wrapped = whole(events, call)(open)
      assert.strictEqual(Effect.runSync(Effect.scoped(wrapped)), Effect.runSync(open))
    }))

  it.scoped("that dies is a failure without an error, and is forgotten when it is closed", () =>
    Effect.gen(function*() {
      const events = yield* Events.make
      const heard: Array<Events.Event> = []
      yield* events.observe((event) => heard.push(event))
      const { open } = running([{ batches: [[text("hi")]], end: "defect" }])
      yield* Effect.scoped(Effect.gen(function*() {
        const pull = yield* whole(events, call)(open)
        yield* pull
        assert.isTrue(Exit.isFailure(yield* Effect.exit(pull)))
        assert.deepStrictEqual(callOf({ _tag: "Queued", callId: call.id, waitedMs: 1 }), { sessionId: "s" })
      }))
      assert.deepStrictEqual(of(heard, ended).map(({ error, outcome }) => [outcome, error]), [["failure", undefined]])
      assert.isUndefined(callOf({ _tag: "Queued", callId: call.id, waitedMs: 1 }))
    }))
})

const call: ObservedCall = {
  id: "call",
  kind: "query",
  turnNumber: 1,
  prompt: "hi",
  options: {},
  sessionId: () => ""
}
