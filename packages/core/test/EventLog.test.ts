import { ApiError } from "@ccflow/core/ClaudeError"
import * as EventLog from "@ccflow/core/EventLog"
import * as Events from "@ccflow/core/Events"
import { suite } from "@ccflow/testing/EventLogSuite"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Scope, TestClock } from "effect"

describe("the event log in memory", () => {
  for (const { name, run } of suite) it.effect(name, () => Effect.provide(run, EventLog.layerMemory))
})

/** Everything that a careless log could give away. */
const secret = "sk-ant-secret"

const error = new ApiError({
  status: 500,
  type: "api_error",
  detail: secret,
  facts: { exitCode: null, signal: null, argv: [secret], stderrTail: secret, sessionId: "s", frames: 0 },
  hint: secret
})

const common = { callId: "c", sessionId: "s", traceId: "t" }
const ended = {
  ...common,
  model: "opus",
  outcome: "failure",
  error,
  durationMs: 9,
  firstMessageMs: 4,
  costUsd: 1,
  result: secret
} as const
const tool = { ...common, tool: "Bash", toolUseId: "u" }

const told: ReadonlyArray<Events.Telling> = [
  { _tag: "QueryStarted", ...common, model: "opus", prompt: secret },
  { _tag: "TurnStarted", ...common, model: "opus", prompt: [{ type: "text", text: secret }], turnNumber: 2 },
  { _tag: "ThinkingReceived", ...common, content: secret },
  { _tag: "ToolCalled", ...tool, input: { command: secret } },
  { _tag: "PermissionAsked", ...tool },
  { _tag: "PermissionDecided", ...tool, decision: "allow", waitedMs: 3 },
  { _tag: "ToolFinished", ...tool, isError: true, content: secret, durationMs: 7 },
  { _tag: "Retrying", ...common, attempt: 1, delayMs: 500, error },
  { _tag: "RateLimited", ...common, waitedMs: 5 },
  { _tag: "Queued", ...common, waitedMs: 6 },
  { _tag: "Parked", ...common, limit: "five_hour", until: 99 },
  { _tag: "Unparked", ...common, limit: "five_hour", waitedMs: 60 },
  { _tag: "BreakerChanged", key: "k".repeat(500), state: "open", until: 77 },
  { _tag: "FellBack", ...common, cause: "UsageLimitError", error },
  { _tag: "TimedOut", ...common, phase: "stall", timeoutMs: 1_000 },
  { _tag: "QueryEnded", ...ended },
  { _tag: "TurnCompleted", ...ended, turnNumber: 2 }
]

const keeping = (options?: EventLog.KeepingOptions) =>
  EventLog.layerKeeping(options).pipe(Layer.provideMerge(Layer.merge(EventLog.layerMemory, Events.layer)))

/** Until those who have something to do have done it. */
const settled = Effect.forEach(Array.from({ length: 50 }), () => Effect.yieldNow(), { discard: true })

const read = Effect.flatMap(EventLog.EventLog, (log) => Effect.map(log.read({ limit: 1_000 }), ({ events }) => events))

const queued = (waitedMs: number): Events.Telling => ({ _tag: "Queued", waitedMs })

describe("keeping events", () => {
  it.effect("keeps what became of a call, and nothing that was said in it", () =>
    Effect.gen(function*() {
      const { tell } = yield* Events.Events
      for (const telling of told) tell(telling)
      yield* settled
      const events = yield* read
      const at = { at: 0 }
      const facts = { outcome: "failure", model: "opus", durationMs: 9, firstMessageMs: 4, error: "ApiError" } as const
      assert.deepStrictEqual(events, [
        { _tag: "QueryStarted", ...at, ...common, model: "opus" },
        { _tag: "TurnStarted", ...at, ...common, model: "opus", turnNumber: 2 },
        { _tag: "ToolCalled", ...at, ...tool },
        { _tag: "PermissionAsked", ...at, ...tool },
        { _tag: "PermissionDecided", ...at, ...tool, decision: "allow", waitedMs: 3 },
        { _tag: "ToolFinished", ...at, ...tool, isError: true, durationMs: 7 },
        { _tag: "Retrying", ...at, ...common, attempt: 1, delayMs: 500, error: "ApiError" },
        { _tag: "RateLimited", ...at, ...common, waitedMs: 5 },
        { _tag: "Queued", ...at, ...common, waitedMs: 6 },
        { _tag: "Parked", ...at, ...common, limit: "five_hour", until: 99 },
        { _tag: "Unparked", ...at, ...common, limit: "five_hour", waitedMs: 60 },
        { _tag: "BreakerChanged", ...at, key: "k".repeat(200), state: "open", until: 77 },
        { _tag: "FellBack", ...at, ...common, cause: "UsageLimitError", error: "ApiError" },
        { _tag: "TimedOut", ...at, ...common, phase: "stall", timeoutMs: 1_000 },
        { _tag: "QueryEnded", ...at, ...common, ...facts },
        { _tag: "TurnCompleted", ...at, ...common, ...facts, turnNumber: 2 }
      ])
      assert.notInclude(JSON.stringify(events), secret)
    }).pipe(Effect.provide(keeping())))

  it.effect("writes together what comes together, and the end of a call at once", () => {
    const batches: Array<number> = []
    const log = Layer.succeed(EventLog.EventLog, {
      append: (events) => Effect.sync(() => void batches.push(events.length)),
      read: () => Effect.succeed({ events: [] }),
      forget: () => Effect.void
    })
    return Effect.gen(function*() {
      const { tell } = yield* Events.Events
      tell(queued(1))
      yield* settled
      yield* TestClock.adjust("500 millis")
      tell(queued(2))
      yield* settled
      assert.deepStrictEqual(batches, [])
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(batches, [2])
      tell(queued(3))
      tell({ _tag: "QueryEnded", ...ended })
      yield* settled
      assert.deepStrictEqual(batches, [2, 2])
      for (let n = 0; n < 1_100; n++) tell(queued(n))
      yield* settled
      assert.deepStrictEqual(batches, [2, 2, 500, 500, 100])
    }).pipe(Effect.provide(EventLog.layerKeeping().pipe(Layer.provideMerge(Layer.merge(log, Events.layer)))))
  })

  it.effect("forgets what is too old and what is too much", () =>
    Effect.gen(function*() {
      const { tell } = yield* Events.Events
      tell(queued(1))
      yield* TestClock.adjust("1 second")
      yield* TestClock.adjust("100 days")
      for (let n = 2; n < 9; n++) tell(queued(n))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual((yield* read).map((event) => event._tag === "Queued" && event.waitedMs), [4, 5, 6, 7, 8])
    }).pipe(Effect.provide(keeping({ maxEvents: 5 }))))

  it.effect("writes what waits when its scope ends, and goes on when a log has failed", () => {
    const kept: Array<string> = []
    let fails = true
    const log: EventLog.EventLogService = {
      append: (events) =>
        Effect.suspend(() =>
          fails ? Effect.die("the disk is full") : Effect.sync(() => void kept.push(...events.map(({ _tag }) => _tag)))
        ),
      read: () => Effect.succeed({ events: [] }),
      forget: () => Effect.die("the disk is full")
    }
    return Effect.gen(function*() {
      const scope = yield* Scope.make()
      yield* Effect.provideService(
        Scope.extend(Layer.build(EventLog.layerKeeping()), scope),
        EventLog.EventLog,
        log
      )
      const { silent, tell } = yield* Events.Events
      tell(queued(1))
      yield* TestClock.adjust("1 second")
      fails = false
      tell({ _tag: "TimedOut", phase: "total", timeoutMs: 1 })
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(kept, ["TimedOut"])
      assert.isTrue(silent())
    }).pipe(Effect.provide(Events.layer))
  })

  it.effect.each([
    { log: "never answers", answer: Effect.never },
    { log: "cannot be interrupted either", answer: Effect.uninterruptible(Effect.never) }
  ])(
    "waits for a log that $log no longer than its grace, and holds up nobody before",
    ({ answer }) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const asked = yield* Deferred.make<void>()
        let batches = 0
        yield* Effect.provideService(
          Scope.extend(Layer.build(EventLog.layerKeeping({ grace: "3 seconds" })), scope),
          EventLog.EventLog,
          {
            append: () => {
              batches++
              return Effect.zipRight(Deferred.succeed(asked, undefined), answer)
            },
            read: () => Effect.succeed({ events: [] }),
            forget: () => Effect.void
          }
        )
        const { tell } = yield* Events.Events
        tell({ _tag: "QueryEnded", ...ended })
        yield* Deferred.await(asked)
        for (let n = 0; n < 20_000; n++) tell(queued(n))
        const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
        yield* TestClock.adjust("2999 millis")
        assert.isTrue(closing.unsafePoll() === null)
        yield* TestClock.adjust("1 millis")
        assert.isTrue(Exit.isSuccess(yield* Fiber.await(closing)))
        assert.strictEqual(batches, 1)
      }).pipe(Effect.provide(Events.layer))
  )
})
