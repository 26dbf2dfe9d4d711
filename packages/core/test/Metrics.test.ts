import * as Claude from "@ccflow/core/Claude"
import { CliNotFoundError } from "@ccflow/core/ClaudeError"
import * as Events from "@ccflow/core/Events"
import * as Metrics from "@ccflow/core/Metrics"
import * as Session from "@ccflow/core/Session"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Metric, MetricState, Scope, Stream, TestClock } from "effect"
import { overloaded } from "./attempts.js"
import { claude } from "./listening.js"

/** All figures of ours, by name and labels: of a histogram how many were measured, and what they come to. */
const figures = Effect.map(Metric.snapshot, (pairs) =>
  new Map(
    pairs.filter(({ metricKey }) => metricKey.name.startsWith("ccflow_")).flatMap(({ metricKey, metricState }) => {
      const labels = metricKey.tags.map(({ key, value }) => `${key}=${value}`).sort().join(",")
      const name = labels === "" ? metricKey.name : `${metricKey.name}{${labels}}`
      if (MetricState.isCounterState(metricState)) return [[name, Number(metricState.count)] as const]
      if (MetricState.isGaugeState(metricState)) return [[name, Number(metricState.value)] as const]
      return MetricState.isHistogramState(metricState)
        ? [[`${name}#`, metricState.count] as const, [name, metricState.sum] as const]
        : []
    })
  ))

/** What of the figures something has changed. */
const changed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const before = yield* figures
    yield* effect
    const after = yield* figures
    const differences = [...after].map(([name, value]) => [name, value - (before.get(name) ?? 0)] as const)
    return Object.fromEntries(
      differences.filter(([, by]) => by !== 0).map(([name, by]) => [name, Math.round(by * 1e6) / 1e6])
    )
  })

const tell = (...events: ReadonlyArray<Events.Telling>) =>
  Effect.map(Events.Events, (bus) => {
    for (const event of events) bus.tell(event)
  })

const metered = Effect.provide(Layer.provideMerge(Metrics.layer, Events.layer))

const usage = { inputTokens: 1, outputTokens: 2, cacheReadInputTokens: 3, cacheCreationInputTokens: 4 }

/** One of each kind that is counted, and what it changes. */
const each: ReadonlyArray<readonly [Events.Telling, Readonly<Record<string, number>>]> = [
  [
    { _tag: "QueryEnded", callId: "c", outcome: "failure", error: overloaded, model: "m", durationMs: 1500 },
    {
      "ccflow_queries_total{model=m,outcome=failure}": 1,
      "ccflow_errors_total{error=OverloadedError,kind=query}": 1,
      "ccflow_duration_seconds{kind=query,outcome=failure}#": 1,
      "ccflow_duration_seconds{kind=query,outcome=failure}": 1.5
    }
  ],
  [
    {
      _tag: "TurnCompleted",
      callId: "c",
      turnNumber: 1,
      outcome: "success",
      model: "",
      durationMs: 250,
      firstMessageMs: 125
    },
    {
      "ccflow_turns_total{model=default,outcome=success}": 1,
      "ccflow_duration_seconds{kind=turn,outcome=success}#": 1,
      "ccflow_duration_seconds{kind=turn,outcome=success}": 0.25,
      "ccflow_first_message_seconds{kind=turn}#": 1,
      "ccflow_first_message_seconds{kind=turn}": 0.125
    }
  ],
  [
    { _tag: "TokensUsed", model: "m", ...usage, totalTokens: 10, estimated: false },
    {
      "ccflow_tokens_total{kind=input,model=m}": 1,
      "ccflow_tokens_total{kind=output,model=m}": 2,
      "ccflow_tokens_total{kind=cache_read,model=m}": 3,
      "ccflow_tokens_total{kind=cache_creation,model=m}": 4
    }
  ],
  [{ _tag: "CostIncurred", model: "m", costUsd: 0.25, estimated: true }, { "ccflow_cost_usd_total{model=m}": 0.25 }],
  [
    { _tag: "BudgetWarning", scope: "day", spentUsd: 8, limitUsd: 10, exceeded: false },
    { "ccflow_budget_warnings_total{exceeded=false,scope=day}": 1 }
  ],
  [
    { _tag: "ProcessStarted", processId: "p", warm: true },
    { "ccflow_active_processes": 1, "ccflow_processes_total{warm=true}": 1 }
  ],
  [
    { _tag: "ProcessEnded", processId: "p", lines: 9, unknown: 1, noise: 2, malformed: 3 },
    {
      "ccflow_active_processes": -1,
      "ccflow_parser_lines_total": 9,
      "ccflow_parser_odd_lines_total{kind=unknown}": 1,
      "ccflow_parser_odd_lines_total{kind=noise}": 2,
      "ccflow_parser_odd_lines_total{kind=malformed}": 3
    }
  ],
  [
    { _tag: "SessionCreated", model: "m", tags: [] },
    { "ccflow_active_sessions": 1, "ccflow_sessions_total{kind=created}": 1 }
  ],
  [
    { _tag: "SessionResumed", model: "m", tags: [] },
    { "ccflow_active_sessions": 1, "ccflow_sessions_total{kind=resumed}": 1 }
  ],
  [
    { _tag: "SessionClosed", turns: 4, inputTokens: 1, outputTokens: 1, costUsd: 1, durationMs: 1 },
    { "ccflow_active_sessions": -1, "ccflow_session_turns#": 1, "ccflow_session_turns": 4 }
  ],
  [
    { _tag: "Retrying", callId: "c", attempt: 1, delayMs: 10, error: overloaded },
    { "ccflow_retries_total{error=OverloadedError}": 1 }
  ],
  [{ _tag: "TimedOut", phase: "stall", timeoutMs: 10 }, { "ccflow_timeouts_total{phase=stall}": 1 }],
  [
    { _tag: "BreakerChanged", key: "k", state: "open", until: 10 },
    { "ccflow_circuit_breakers{state=open}": 1, "ccflow_circuit_breaker_changes_total{state=open}": 1 }
  ],
  [
    { _tag: "BreakerChanged", key: "k", state: "halfOpen" },
    {
      "ccflow_circuit_breakers{state=open}": -1,
      "ccflow_circuit_breakers{state=half_open}": 1,
      "ccflow_circuit_breaker_changes_total{state=half_open}": 1
    }
  ],
  [
    { _tag: "BreakerChanged", key: "k", state: "closed" },
    { "ccflow_circuit_breakers{state=half_open}": -1, "ccflow_circuit_breaker_changes_total{state=closed}": 1 }
  ],
  [
    { _tag: "RateLimited", waitedMs: 2000 },
    { "ccflow_rate_limit_wait_seconds#": 1, "ccflow_rate_limit_wait_seconds": 2 }
  ],
  [{ _tag: "Queued", waitedMs: 3000 }, { "ccflow_queue_wait_seconds#": 1, "ccflow_queue_wait_seconds": 3 }],
  [{ _tag: "Parked", limit: "five_hour" }, { "ccflow_parked_calls{limit=five_hour}": 1 }],
  [
    { _tag: "Unparked", limit: "five_hour", waitedMs: 4000 },
    {
      "ccflow_parked_calls{limit=five_hour}": -1,
      "ccflow_parked_seconds{limit=five_hour}#": 1,
      "ccflow_parked_seconds{limit=five_hour}": 4
    }
  ],
  [
    { _tag: "PermissionDecided", tool: "Bash", toolUseId: "t", decision: "deny", waitedMs: 500 },
    { "ccflow_permission_wait_seconds{decision=deny}#": 1, "ccflow_permission_wait_seconds{decision=deny}": 0.5 }
  ],
  [
    { _tag: "ContextEncoded", format: "toon", jsonTokens: 100, toonTokens: 60, savedTokens: 40 },
    {
      "ccflow_contexts_total{format=toon}": 1,
      "ccflow_context_saved_tokens_total": 40,
      "ccflow_context_savings_ratio#": 1,
      "ccflow_context_savings_ratio": 0.4
    }
  ],
  [
    { _tag: "ContextEncoded", format: "json", jsonTokens: 100, toonTokens: 150, savedTokens: -50 },
    {
      "ccflow_contexts_total{format=json}": 1,
      "ccflow_context_savings_ratio#": 1,
      "ccflow_context_savings_ratio": -0.5
    }
  ]
]

describe("the metrics", () => {
  it.effect("count each event once, and nothing else", () =>
    Effect.gen(function*() {
      for (const [event, expected] of each) assert.deepStrictEqual(yield* changed(tell(event)), expected)
    }).pipe(metered))

  it.scoped("count it once however often they are built over one bus, until the last of them is gone", () =>
    Effect.gen(function*() {
      const scopes = [yield* Scope.make(), yield* Scope.make()] as const
      yield* Layer.buildWithScope(Metrics.layer, scopes[0])
      yield* Layer.buildWithScope(Layer.fresh(Metrics.layer), scopes[1])
      const session: Events.Telling = { _tag: "SessionCreated", model: "", tags: [] }
      const once = { "ccflow_active_sessions": 1, "ccflow_sessions_total{kind=created}": 1 }
      assert.deepStrictEqual(yield* changed(tell(session)), once)
      assert.deepStrictEqual(yield* changed(Scope.close(scopes[0], Exit.void)), {})
      assert.deepStrictEqual(yield* changed(tell(session)), once)
      assert.deepStrictEqual(yield* changed(Scope.close(scopes[1], Exit.void)), { "ccflow_active_sessions": -2 })
      assert.deepStrictEqual(yield* changed(tell(session)), {})
    }).pipe(Effect.provide(Events.layer)))

  it.effect("of several buses are the sum of them", () =>
    Effect.gen(function*() {
      const started: Events.Telling = { _tag: "ProcessStarted", processId: "p", warm: false }
      const one = metered(Effect.zipRight(tell(started), Effect.sleep("1 minute")))
      const inside = yield* changed(Effect.gen(function*() {
        yield* Effect.fork(one)
        yield* Effect.fork(one)
        yield* TestClock.adjust("1 second")
      }))
      assert.deepStrictEqual(inside, { "ccflow_active_processes": 2, "ccflow_processes_total{warm=false}": 2 })
      assert.deepStrictEqual(yield* changed(TestClock.adjust("1 minute")), { "ccflow_active_processes": -2 })
    }))

  it.effect("do not count the end of what they have not seen begin", () =>
    Effect.gen(function*() {
      const differences = yield* changed(tell(
        { _tag: "ProcessEnded", processId: "p", lines: 0, unknown: 0, noise: 0, malformed: 0 },
        { _tag: "Unparked", limit: "five_hour", waitedMs: 0 },
        { _tag: "BreakerChanged", key: "other", state: "closed" }
      ))
      assert.notProperty(differences, "ccflow_active_processes")
      assert.notProperty(differences, "ccflow_parked_calls{limit=five_hour}")
    }).pipe(metered))

  it.effect("forget a circuit that nobody asks for any more", () =>
    Effect.gen(function*() {
      yield* tell({ _tag: "BreakerChanged", key: "forgotten", state: "open", until: 30_000 })
      yield* TestClock.adjust("3 hours")
      const differences = yield* changed(tell({ _tag: "BreakerChanged", key: "new", state: "open", until: 0 }))
      assert.deepStrictEqual(differences, { "ccflow_circuit_breaker_changes_total{state=open}": 1 })
    }).pipe(metered))

  it.effect("leave out what is no number", () =>
    Effect.gen(function*() {
      const broken = { ...usage, inputTokens: NaN, outputTokens: Infinity }
      assert.deepStrictEqual(
        yield* changed(tell(
          { _tag: "TokensUsed", model: "m", ...broken, totalTokens: NaN, estimated: false },
          { _tag: "CostIncurred", model: "m", costUsd: -1, estimated: false },
          { _tag: "ContextEncoded", format: "json", jsonTokens: 0, toonTokens: 10, savedTokens: -10 }
        )),
        {
          "ccflow_tokens_total{kind=cache_read,model=m}": 3,
          "ccflow_tokens_total{kind=cache_creation,model=m}": 4,
          "ccflow_contexts_total{format=json}": 1
        }
      )
    }).pipe(metered))

  it.effect("never fail a query, also where one of them is broken", () =>
    Effect.gen(function*() {
      const broken = Metrics.queries.unsafeModify
      Object.assign(Metrics.queries, {
        unsafeModify: () => {
          throw new Error("a broken metric")
        }
      })
      const answer = yield* Effect.ensuring(
        Claude.text("hi"),
        Effect.sync(() => Object.assign(Metrics.queries, { unsafeModify: broken }))
      )
      assert.strictEqual(answer, "yes")
    }).pipe(Effect.provide(Layer.provideMerge(Metrics.layer, claude({ respond: () => FakeCli.answer("yes") })))))

  it.effect("say which version it is", () =>
    Effect.gen(function*() {
      const all = yield* figures
      assert.deepStrictEqual(
        [...all].filter(([name]) => name.startsWith("ccflow_build_info")).map(([, value]) => value),
        [1]
      )
    }).pipe(metered))
})

describe("a program's metrics", () => {
  it.effect("are those of what it does: a query that fails, one that answers, a session of two turns", () =>
    Effect.gen(function*() {
      const differences = yield* changed(Effect.gen(function*() {
        const fiber = yield* Effect.fork(Effect.gen(function*() {
          yield* Effect.exit(Stream.runDrain(Claude.query("hi", { model: "opus" })))
          yield* Claude.text("hi", { model: "opus" })
          yield* Effect.scoped(Effect.gen(function*() {
            const { session } = yield* Claude.Claude
            const open = yield* session({ model: "opus" })
            yield* Session.text(open, "one")
            yield* Session.text(open, "two")
          }))
        }))
        yield* TestClock.adjust("1 minute")
        yield* fiber
      }))
      assert.deepInclude(differences, {
        "ccflow_queries_total{model=opus,outcome=failure}": 1,
        "ccflow_errors_total{error=CliNotFoundError,kind=query}": 1,
        "ccflow_processes_total{warm=false}": 2,
        "ccflow_sessions_total{kind=created}": 1,
        "ccflow_session_turns": 2,
        "ccflow_session_turns#": 1
      })
      const sum = (prefix: string) =>
        Object.entries(differences).reduce((all, [name, by]) => name.startsWith(prefix) ? all + by : all, 0)
      assert.strictEqual(sum("ccflow_queries_total"), 2)
      assert.strictEqual(sum("ccflow_turns_total"), 2)
      assert.notProperty(differences, "ccflow_active_processes")
      assert.notProperty(differences, "ccflow_active_sessions")
    }).pipe(Effect.provide(Layer.provideMerge(
      Metrics.layer,
      claude((index) =>
        index === 0
          ? { refuse: new CliNotFoundError({ command: "claude", hint: "" }) }
          : { respond: () => FakeCli.answer("yes") }
      )
    ))))
})

// The last: what it names first is known from then on.
describe("the metrics' labels", () => {
  it.effect("are a bounded number, whatever models and limits are called", () =>
    Effect.gen(function*() {
      for (let n = 0; n < 200; n++) {
        yield* tell(
          { _tag: "CostIncurred", model: `model-${n}`, costUsd: 1, estimated: false },
          { _tag: "Unparked", limit: `limit-${n}`, waitedMs: 1 }
        )
      }
      const names = [...(yield* figures).keys()]
      assert.isAtMost(names.filter((name) => name.startsWith("ccflow_cost_usd_total")).length, 32)
      assert.isAtMost(names.filter((name) => name.startsWith("ccflow_parked_seconds")).length, 24)
      assert.include(names, "ccflow_cost_usd_total{model=other}")
      const long = yield* changed(tell({ _tag: "CostIncurred", model: "m".repeat(200), costUsd: 1, estimated: false }))
      assert.deepStrictEqual(long, { "ccflow_cost_usd_total{model=other}": 1 })
    }).pipe(metered))
})
