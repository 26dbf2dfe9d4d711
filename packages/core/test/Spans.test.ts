import * as Claude from "@ccflow/core/Claude"
import { CliSpawnError } from "@ccflow/core/ClaudeError"
import * as Events from "@ccflow/core/Events"
import * as Message from "@ccflow/core/Message"
import * as Policies from "@ccflow/core/Policies"
import * as Telemetry from "@ccflow/core/Telemetry"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Option, Stream, TestClock, Tracer } from "effect"
import * as Spans from "../src/internal/spans.js"
import { drain, overloaded } from "./attempts.js"
import { assertWhole, endOf, everything, recorder, said } from "./spans.js"

const secret = "plan of the secret garden"
const variables = (index = 0) =>
  Effect.gen(function*() {
    const { started } = yield* FakeCli.FakeCli
    return (yield* started)[index]!.invocation.env
  })
const noRoom = new CliSpawnError({ command: "claude", reason: "NoResources", code: "EAGAIN", hint: "" })
const call = (id = "c1") => ({
  id,
  kind: "query" as const,
  turnNumber: 1,
  prompt: "hi",
  options: {},
  sessionId: () => ""
})

describe("a query's spans", () => {
  it.effect("are a query, its attempt and its tools, under whoever runs it", () => {
    const seen = recorder()
    return Effect.gen(function*() {
      // Made here, run there.
      const query = Claude.query("hi", { model: "opus" })
      const fiber = yield* Effect.fork(Effect.withSpan(Stream.runDrain(query), "caller"))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(seen.tree(), ["caller", "  claude.query", "    claude.attempt", "      claude.tool"])
      assertWhole(seen)
      assert.deepStrictEqual(seen.spans.map(endOf), ["ok", "ok", "ok", "ok"])
      const tool = seen.only("claude.tool").status
      assert.strictEqual(tool._tag === "Ended" && Number(tool.endTime - tool.startTime) / 1e6, 300)
    }).pipe(
      Effect.provide(FakeClaude.layer([[
        FakeCli.init(),
        FakeCli.toolUse("t1", "Bash", { command: secret }),
        FakeCli.delay("300 millis"),
        FakeCli.toolResult("t1", secret),
        FakeCli.text("done"),
        FakeCli.result()
      ]])),
      Effect.provide(seen.layer)
    )
  })

  it.effect("have the tools' own times, however slowly messages are taken", () => {
    const seen = recorder()
    return Effect.gen(function*() {
      const slowly = Stream.runForEach(Claude.query("hi"), () => Effect.sleep("10 seconds"))
      const fiber = yield* Effect.fork(slowly)
      yield* TestClock.adjust("2 minutes")
      yield* Fiber.join(fiber)
      const { status } = seen.only("claude.tool")
      assert.strictEqual(status._tag === "Ended" && Number(status.endTime - status.startTime) / 1e6, 300)
    }).pipe(
      Effect.provide(FakeClaude.layer([[
        FakeCli.init(),
        FakeCli.toolUse("t1", "Bash", {}),
        FakeCli.delay("300 millis"),
        FakeCli.toolResult("t1", ""),
        FakeCli.result()
      ]])),
      Effect.provide(seen.layer)
    )
  })

  it.effect("say what was asked, used and paid in OpenTelemetry's words, once, and nothing of what was said", () => {
    const seen = recorder()
    return Effect.gen(function*() {
      const result = yield* Claude.result(secret, { model: "opus" })
      const { [Telemetry.Attribute.callId]: id, [Telemetry.Attribute.firstMessageMs]: _, ...whole } = said(
        seen.only("claude.query")
      )
      assert.match(String(id), /^[0-9a-f-]{36}$/)
      assert.deepStrictEqual(whole, {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.system": "anthropic",
        "gen_ai.agent.name": "claude-code",
        "gen_ai.request.model": "opus",
        "gen_ai.response.model": "opus",
        "gen_ai.conversation.id": result.sessionId,
        "gen_ai.usage.input_tokens": 1007,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 900,
        "gen_ai.usage.cache_creation.input_tokens": 100,
        "gen_ai.response.finish_reasons": ["end_turn"],
        "ccflow.cost.usd": 0.5,
        "ccflow.model_turns": 1,
        "ccflow.outcome": "success"
      })
      const attempt = said(seen.only("claude.attempt"))
      assert.strictEqual(attempt["ccflow.attempt.number"], 1)
      assert.notInclude(Object.keys(attempt).join(), "usage")
      for (const { attributes } of seen.spans) {
        for (const name of attributes.keys()) assert.include(Object.values(Telemetry.Attribute), name)
      }
      assert.notInclude(everything(seen), secret)
    }).pipe(
      Effect.provide(FakeClaude.layer([[
        FakeCli.init({ model: "opus" }),
        FakeCli.text(secret),
        FakeCli.result({
          result: secret,
          stop_reason: "end_turn",
          total_cost_usd: 0.5,
          usage: {
            input_tokens: 7,
            output_tokens: 5,
            cache_read_input_tokens: 900,
            cache_creation_input_tokens: 100
          }
        })
      ]])),
      Effect.provide(seen.layer)
    )
  })

  it.effect("say what was said where that is asked for", () => {
    const seen = recorder()
    return Effect.gen(function*() {
      yield* Claude.text("prompt")
      const { [Telemetry.Attribute.answer]: answer, [Telemetry.Attribute.prompt]: prompt } = said(
        seen.only("claude.query")
      )
      assert.deepStrictEqual(JSON.parse(String(prompt)), [
        { role: "user", parts: [{ type: "text", content: "prompt" }] }
      ])
      assert.include(String(answer), "the answer")
      const tool = said(seen.only("claude.tool"))
      assert.deepStrictEqual(
        [tool[Telemetry.Attribute.toolInput], tool[Telemetry.Attribute.toolOutput]],
        [`{"command":"ls"}`, "files"]
      )
    }).pipe(
      Effect.provide(FakeClaude.layer([[
        FakeCli.init(),
        FakeCli.toolUse("t1", "Bash", { command: "ls" }),
        FakeCli.toolResult("t1", "files"),
        FakeCli.result({ result: "the answer" })
      ]])),
      Effect.provide(Layer.merge(seen.layer, Telemetry.layerContent))
    )
  })

  it.effect("have a subagent's tools under the tool that started it, and failed tools as failures", () => {
    const seen = recorder()
    const sub = (frame: { readonly type: string; readonly [field: string]: unknown }) =>
      FakeCli.emit({ ...frame, parent_tool_use_id: "task" })
    return Effect.gen(function*() {
      yield* Claude.text("hi")
      const [task, inner] = seen.named("claude.tool")
      assert.strictEqual(Option.getOrUndefined(inner!.parent), task)
      assert.deepStrictEqual(seen.tree().map((line) => line.length - line.trimStart().length), [0, 2, 4, 6])
      assert.deepStrictEqual(endOf(inner!), "tool_error: the tool has failed")
      assert.strictEqual(said(inner!)["error.type"], "tool_error")
      assert.strictEqual(said(inner!)["gen_ai.tool.name"], "Read")
      assert.strictEqual(said(inner!)["gen_ai.tool.call.id"], "inner")
      assert.notInclude(everything(seen), secret)
      assertWhole(seen)
    }).pipe(
      Effect.provide(FakeClaude.layer([[
        FakeCli.init(),
        FakeCli.toolUse("task", "Task", { prompt: secret }),
        sub({
          type: "assistant",
          message: {
            id: "m9",
            role: "assistant",
            model: "opus",
            content: [{ type: "tool_use", id: "inner", name: "Read", input: { path: secret } }],
            usage: { input_tokens: 1, output_tokens: 1 }
          }
        }),
        sub({
          type: "user",
          message: {
            role: "user",
            content: [{ type: "tool_result", tool_use_id: "inner", content: secret, is_error: true }]
          }
        }),
        FakeCli.toolResult("task", "done"),
        FakeCli.result({ result: "ok" })
      ]])),
      Effect.provide(seen.layer)
    )
  })

  it.effect("end when their reader leaves, with the tools that ran", () => {
    const seen = recorder()
    return Effect.gen(function*() {
      yield* Claude.query("hi").pipe(Stream.takeUntil(Message.is("ToolUse")), Stream.runDrain)
      assertWhole(seen)
      assert.deepStrictEqual(seen.spans.map(endOf), ["left", "left", "left"])
      assert.strictEqual(said(seen.only("claude.query"))["ccflow.outcome"], "interrupted")
      const fiber = yield* Effect.fork(Stream.runDrain(Claude.query("hi")))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      assertWhole(seen)
      assert.strictEqual(seen.spans.length, 6)
    }).pipe(
      Effect.provide(FakeClaude.layer([[FakeCli.init(), FakeCli.toolUse("t1", "Bash", {}), FakeCli.hang]])),
      Effect.provide(seen.layer)
    )
  })

  it.effect("say that it was interrupted, and no failure, where the caller asks for the end of a call that waits", () => {
    const seen = recorder()
    return Effect.gen(function*() {
      const enough = yield* Deferred.make<void>()
      const query = Claude.query("hi", { interruptWhen: Deferred.await(enough) })
      const fiber = yield* Effect.fork(Effect.exit(Stream.runDrain(query)))
      yield* TestClock.adjust("1 second")
      yield* Deferred.succeed(enough, undefined)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      assert.strictEqual(said(seen.only("claude.query"))["ccflow.outcome"], "interrupted")
      assert.strictEqual(endOf(seen.only("claude.query")), "left")
    }).pipe(
      Effect.provide(FakeClaude.layerWith({ refuse: noRoom }, Policies.layerWith({ retry: { baseDelay: "1 hour" } }))),
      Effect.provide(seen.layer)
    )
  })

  it.effect("count it as a success when the reader leaves with the answer", () => {
    const seen = recorder()
    return Effect.gen(function*() {
      yield* Claude.query("hi").pipe(Stream.takeUntil(Message.is("Result")), Stream.runDrain)
      assert.deepStrictEqual(seen.spans.map(endOf), ["ok", "ok"])
      assert.strictEqual(said(seen.only("claude.query"))["ccflow.outcome"], "success")
    }).pipe(Effect.provide(FakeClaude.layer([FakeCli.answer("4")])), Effect.provide(seen.layer))
  })

  it.effect("end with a failure's tag and facts, and none of its text", () => {
    const seen = recorder()
    return Effect.gen(function*() {
      yield* Effect.flip(Claude.text("hi"))
      assertWhole(seen)
      const whole = seen.only("claude.query")
      assert.strictEqual(said(whole)["error.type"], "CliExitError")
      assert.strictEqual(said(whole)["ccflow.outcome"], "failure")
      assert.include(endOf(whole), "CliExitError: CliExitError (")
      assert.include(endOf(whole), "exitCode 3")
      assert.notInclude(everything(seen), secret)
    }).pipe(
      Effect.provide(FakeClaude.layer([[FakeCli.init(), FakeCli.stderr(`${secret}\n`), FakeCli.exit(3)]])),
      Effect.provide(seen.layer)
    )
  })

  it.effect("are of no query that is refused before it begins", () => {
    const seen = recorder()
    return Effect.gen(function*() {
      yield* Effect.flip(Claude.text(""))
      assert.deepStrictEqual(seen.spans, [])
    }).pipe(Effect.provide(FakeClaude.layer([FakeCli.answer("4")])), Effect.provide(seen.layer))
  })

  it.effect("are not made where tracing is off, and not filled where they are not sampled", () => {
    const off = recorder()
    const unsampled = recorder({ sampled: false })
    const ask = (seen: { readonly layer: Layer.Layer<never> }) => Effect.provide(Claude.text("hi"), seen.layer)
    return Effect.gen(function*() {
      yield* Effect.withTracerEnabled(ask(off), false)
      assert.deepStrictEqual(off.spans, [])
      assert.notProperty(yield* variables(0), "TRACEPARENT")
      yield* ask(unsampled)
      assert.deepStrictEqual(unsampled.tree(), ["claude.query", "  claude.attempt"])
      assert.notProperty(said(unsampled.only("claude.query")), "gen_ai.usage.input_tokens")
      assertWhole(unsampled)
      assert.match(String((yield* variables(1))["TRACEPARENT"]), /-00$/)
    }).pipe(
      Effect.provide(FakeClaude.layer([[
        FakeCli.init(),
        FakeCli.toolUse("t1", "Bash", {}),
        FakeCli.toolResult("t1", ""),
        FakeCli.result()
      ]]))
    )
  })
})

describe("a call's spans", () => {
  it.effect("have one attempt for each try, however long it waits for the next", () => {
    const seen = recorder()
    const busy = FakeCli.apiError({ status: 529, code: "overloaded", type: "overloaded_error", message: secret })
    return Effect.gen(function*() {
      const fiber = yield* Effect.fork(Effect.withSpan(Claude.text("hi"), "caller"))
      yield* TestClock.adjust("10 minutes")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(seen.tree(), ["caller", "  claude.query", "    claude.attempt", "    claude.attempt"])
      assert.deepStrictEqual(
        seen.named("claude.attempt").map((span) => [said(span)["ccflow.attempt.number"], endOf(span)]),
        [[1, "OverloadedError: OverloadedError (exitCode 1)"], [2, "ok"]]
      )
      assert.notInclude(everything(seen), secret)
      assertWhole(seen)
    }).pipe(
      Effect.provide(
        FakeClaude.layerWith((index) => ({ turns: [index === 0 ? busy : FakeCli.answer("4")] }), Policies.layer)
      ),
      Effect.provide(seen.layer)
    )
  })

  it.effect("end with a defect as a failure, of which the text is not told", () => {
    const seen = recorder()
    return Effect.gen(function*() {
      yield* Effect.exit(drain(Spans.whole(call())(Effect.succeed(Effect.die(new Error(secret))))))
      yield* Effect.exit(drain(Spans.whole(call())(Effect.die(new Error(secret)))))
      assert.deepStrictEqual(seen.spans.map(endOf), ["defect: a defect", "defect: a defect"])
      assert.notInclude(everything(seen), secret)
      assertWhole(seen)
    }).pipe(Effect.provide(seen.layer))
  })

  it.effect("tell the waits that the bus tells of, each in its own call", () => {
    const seen = recorder()
    return Effect.gen(function*() {
      const events = yield* Events.make
      const waiting = (id: string, tellings: ReadonlyArray<Events.Telling>) =>
        drain(
          Spans.whole(call(id), events)(Effect.sync(() => {
            for (const telling of tellings) events.tell(telling)
            return Effect.fail(Option.none())
          }))
        )
      yield* waiting("c1", [
        { _tag: "Queued", callId: "c1", waitedMs: 5 },
        { _tag: "Retrying", callId: "c1", attempt: 2, delayMs: 7, error: overloaded },
        { _tag: "Parked", callId: "c1", limit: "five_hour", until: 0 },
        { _tag: "Parked", callId: "c1", limit: "no date", until: Infinity },
        { _tag: "Queued", callId: "c2", waitedMs: 6 },
        { _tag: "Queued", waitedMs: 6 }
      ])
      assert.isTrue(events.silent())
      assert.deepStrictEqual(seen.only("claude.query").events, [
        { name: "ccflow.queued", attributes: { "ccflow.waited_ms": 5 } },
        {
          name: "ccflow.retrying",
          attributes: { "ccflow.attempt.number": 2, "ccflow.delay_ms": 7, "error.type": "OverloadedError" }
        },
        {
          name: "ccflow.parked",
          attributes: { "ccflow.limit": "five_hour", "ccflow.until": "1970-01-01T00:00:00.000Z" }
        },
        { name: "ccflow.parked", attributes: { "ccflow.limit": "no date" } }
      ])
    }).pipe(Effect.scoped, Effect.provide(seen.layer))
  })
})

describe("a session's spans", () => {
  it.effect("are one for each turn, and the process belongs to the turn that started it", () => {
    const seen = recorder()
    return Effect.gen(function*() {
      const session = yield* Claude.Claude.pipe(Effect.flatMap((claude) => claude.session()))
      yield* Stream.runDrain(session.send("one"))
      yield* Effect.withSpan(Stream.runDrain(session.send("two")), "caller")
      assert.deepStrictEqual(seen.tree(), [
        "claude.turn",
        "  claude.attempt",
        "caller",
        "  claude.turn",
        "    claude.attempt"
      ])
      assert.deepStrictEqual(seen.named("claude.turn").map((span) => said(span)["ccflow.turn.number"]), [1, 2])
      assertWhole(seen)
      const [first] = seen.named("claude.attempt")
      assert.strictEqual((yield* variables())["TRACEPARENT"], `00-${first!.traceId}-${first!.spanId}-01`)
    }).pipe(
      Effect.scoped,
      Effect.provide(FakeClaude.layer({ respond: (prompt) => FakeCli.answer(prompt) })),
      Effect.provide(seen.layer)
    )
  })
})

describe("the CLI's environment", () => {
  const asked = (options?: Claude.ClaudeOptions) => Effect.zipRight(Claude.text("hi", options), variables())
  const fake = FakeClaude.layer([FakeCli.answer("4")])

  it.effect("has the attempt's W3C context", () => {
    const seen = recorder()
    return Effect.gen(function*() {
      const { TRACEPARENT } = yield* asked()
      const { spanId, traceId } = seen.only("claude.attempt")
      assert.strictEqual(TRACEPARENT, `00-${traceId}-${spanId}-01`)
      assert.strictEqual(seen.only("claude.attempt").events[0]?.name, "ccflow.process_started")
    }).pipe(Effect.provide(fake), Effect.provide(seen.layer))
  })

  it.effect("has the trace's state, and never that of another trace", () => {
    const seen = recorder()
    const State = Context.GenericTag<{ readonly serialize: () => string }>(
      "@effect/opentelemetry/Tracer/OtelTraceState"
    )
    const from = Tracer.externalSpan({
      traceId: "0af7651916cd43dd8448eb211c80319c",
      spanId: "b7ad6b7169203331",
      context: Context.unsafeMake(new Map([[State.key, { serialize: () => "vendor=1" }]]))
    })
    return Effect.gen(function*() {
      const joined = yield* Effect.withParentSpan(asked(), from)
      assert.match(String(joined["TRACEPARENT"]), /^00-0af7651916cd43dd8448eb211c80319c-/)
      assert.strictEqual(joined["TRACESTATE"], "vendor=1")
      const own = yield* Effect.zipRight(Claude.text("hi"), variables(1))
      assert.isTrue("TRACESTATE" in own && own["TRACESTATE"] === undefined)
    }).pipe(Effect.provide(fake), Effect.provide(seen.layer))
  })

  it.effect("passes on what the program was given, where it makes no spans of its own", () => {
    const from = Tracer.externalSpan({ traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" })
    return Effect.gen(function*() {
      const { TRACEPARENT } = yield* asked().pipe(Effect.withSpan("unheard"), Effect.withParentSpan(from))
      assert.strictEqual(TRACEPARENT, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    }).pipe(Effect.provide(fake))
  })

  it.effect("has no ids that nobody exports, or that are none", () => {
    const from = Tracer.externalSpan({ traceId: "12345", spanId: "678" })
    return Effect.gen(function*() {
      assert.notProperty(yield* Effect.withSpan(asked(), "unheard"), "TRACEPARENT")
      yield* Effect.withParentSpan(Claude.text("hi"), from)
      assert.notProperty(yield* variables(1), "TRACEPARENT")
    }).pipe(Effect.provide(fake))
  })

  it.effect("is the caller's where the caller says what it is", () => {
    const seen = recorder()
    return Effect.gen(function*() {
      const env = yield* asked({ env: { TRACEPARENT: "mine" } })
      assert.strictEqual(env["TRACEPARENT"], "mine")
      assert.notProperty(env, "TRACESTATE")
      yield* Claude.text("hi", { env: { TRACEPARENT: undefined } })
      assert.strictEqual((yield* variables(1))["TRACEPARENT"], undefined)
    }).pipe(Effect.provide(fake), Effect.provide(seen.layer))
  })
})
