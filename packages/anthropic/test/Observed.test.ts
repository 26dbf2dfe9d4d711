import * as Claude from "@ccflow/core/Claude"
import { BillingMismatchError } from "@ccflow/core/ClaudeError"
import * as ContextEncoder from "@ccflow/core/ContextEncoder"
import * as Events from "@ccflow/core/Events"
import * as Policies from "@ccflow/core/Policies"
import * as UsageLedger from "@ccflow/core/UsageLedger"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Layer, Redacted, TestClock } from "effect"
import { text } from "../../../test/support/MessagesApi.js"
import { hear, names, of } from "../../core/test/listening.js"
import { assertWhole, everything, recorder, said } from "../../core/test/spans.js"
import * as AnthropicClaude from "../src/AnthropicClaude.js"
import { apiKey, config, printed, scripted, sse, streamOf, withApi, withFetch } from "./api.js"

const base = Layer.merge(Events.layer, UsageLedger.layerMemory)
const rows = Array.from({ length: 20 }, (_, id) => ({ id, name: `name ${id}` }))

/** As the request has it. */
const systemOf = ({ requests }: ReturnType<typeof scripted>) => String(requests[0]?.body["system"])

describe("a call of the API", () => {
  it.scoped("is told as one of the CLI is, from its question to what it has cost", () => {
    const { fetch } = scripted(() => streamOf(sse(text("4"), "claude-sonnet-5-5")))
    return Effect.gen(function*() {
      const heard = yield* hear()
      const result = yield* Claude.result("hi", { model: "sonnet" })
      assert.deepStrictEqual(
        names(heard, "QueryStarted", "TokensUsed", "CostIncurred", "QueryEnded"),
        ["QueryStarted", "TokensUsed", "CostIncurred", "QueryEnded"]
      )
      const [ended] = of(heard, "QueryEnded")
      assert.deepInclude(ended, {
        outcome: "success",
        model: "claude-sonnet-5-5",
        costUsd: result.costUsd,
        usage: result.usage,
        sessionId: result.sessionId
      })
      assert.deepStrictEqual(new Set(heard.map(({ callId }) => callId)), new Set([ended?.callId]))
      assert.notInclude(JSON.stringify(heard), apiKey)
    }).pipe(Effect.provide(Layer.provideMerge(withFetch(fetch), base)))
  })

  it.scoped("is a span that says which model answered, and of the API its host alone", () => {
    const { fetch, requests } = scripted(() => streamOf(sse(text("the answer"), "claude-sonnet-5-5")))
    const tracer = recorder()
    const api = AnthropicClaude.layerWith({
      apiKey: Redacted.make(apiKey),
      baseUrl: "https://user:password@proxy.example:8443/path?token=hidden",
      fetch
    })
    return Effect.gen(function*() {
      yield* Claude.text("the prompt", { model: "sonnet" })
      assertWhole(tracer)
      assert.deepStrictEqual(tracer.tree(), ["claude.query", "  claude.attempt"])
      assert.deepInclude(said(tracer.only("claude.attempt")), {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "sonnet",
        "gen_ai.response.model": "claude-sonnet-5-5",
        "server.address": "proxy.example"
      })
      assert.strictEqual(said(tracer.only("claude.query"))["gen_ai.response.model"], "claude-sonnet-5-5")
      for (const hidden of [apiKey, "password", "hidden", "8443", "/path", "the prompt", "the answer"]) {
        assert.notInclude(everything(tracer), hidden)
      }
      const headers = [...requests[0]?.headers.keys() ?? []]
      assert.isNotEmpty(headers)
      for (const name of ["traceparent", "tracestate", "baggage", "b3"]) assert.notInclude(headers, name)
    }).pipe(
      Effect.provide(Layer.provide(api, [config(), Policies.layerNoop])),
      Effect.provide(tracer.layer)
    )
  })

  it.live("tells the API of no trace", () => {
    const tracer = recorder()
    return withApi([text("4")], (api) =>
      Effect.gen(function*() {
        yield* Claude.text("hi")
        assert.strictEqual(tracer.named("claude.attempt").length, 1)
        const sent = Object.keys(api.requests[0]?.headers ?? {})
        assert.include(sent, "anthropic-version")
        for (const name of ["traceparent", "tracestate", "baggage"]) assert.notInclude(sent, name)
      })).pipe(Effect.provide(tracer.layer))
  })

  it.scoped("names its circuit without what a proxy is logged in to with", () => {
    const { fetch } = scripted(() => Response.json({ error: { type: "api_error", message: "no" } }, { status: 500 }))
    const api = AnthropicClaude.layerWith({
      apiKey: Redacted.make(apiKey),
      baseUrl: "https://user:password@proxy.example/path",
      fetch
    })
    const policies = Layer.orDie(Policies.layerWith({ retry: false, circuitBreaker: { failureThreshold: 1 } }))
    return Effect.gen(function*() {
      const heard = yield* hear("BreakerChanged")
      yield* Effect.flip(Claude.text("hi"))
      const error = yield* Effect.flip(Claude.text("hi"))
      assert.strictEqual(error._tag, "CircuitBreakerError")
      assert.include(of(heard, "BreakerChanged")[0]?.key, "https://proxy.example/path")
      for (const shown of [JSON.stringify(heard), printed(error)]) {
        assert.notInclude(shown, "password")
        assert.notInclude(shown, apiKey)
      }
    }).pipe(Effect.provide(Layer.provideMerge(Layer.provide(api, [config(), policies]), base)))
  })

  it.scoped("tells that its time was up with its call", () => {
    const { fetch } = scripted(() => new Promise<Response>(() => {}))
    return Effect.gen(function*() {
      const heard = yield* hear("QueryStarted", "TimedOut", "QueryEnded")
      const waiting = yield* Effect.fork(Effect.flip(Claude.text("hi", { stallTimeout: "1 minute" })))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* waiting)._tag, "CliTimeoutError")
      assert.deepStrictEqual(names(heard), ["QueryStarted", "TimedOut", "QueryEnded"])
      const [started] = of(heard, "QueryStarted")
      assert.deepInclude(of(heard, "TimedOut")[0], { callId: started?.callId, phase: "stall" })
    }).pipe(Effect.provide(Layer.provideMerge(
      withFetch(fetch, {}, Layer.orDie(Policies.layerWith({ retry: false }))),
      base
    )))
  })

  it.scoped("has its context measured, and encoded and fenced as the CLI's is", () => {
    const api = scripted(() => streamOf(sse(text("4"))))
    const encode = ContextEncoder.make({ delimiter: "|" }).encode
    return Effect.gen(function*() {
      const heard = yield* hear("ContextEncoded")
      const context = { rows, fence: "```" }
      const encoded = yield* encode(context)
      const result = yield* Claude.result("hi", { context, appendSystemPrompt: "Be kind." })
      assert.strictEqual(encoded.format, "toon")
      assert.strictEqual(systemOf(api), `Be kind.\n\n${ContextEncoder.toBlock("Context", encoded)}`)
      const { format, jsonTokens, savedTokens, toonTokens } = encoded
      assert.deepStrictEqual(result.context, { format, jsonTokens, savedTokens, toonTokens })
      assert.deepInclude(heard[0], { format, jsonTokens, savedTokens, toonTokens })
    }).pipe(
      Effect.provide(Layer.provideMerge(withFetch(api.fetch), base)),
      Effect.provide(ContextEncoder.layer({ delimiter: "|" }))
    )
  })

  it.effect("is not made where the plan of a login is to pay", () => {
    const { fetch, requests } = scripted(() => streamOf(sse(text("4"))))
    return Effect.gen(function*() {
      const error = yield* Effect.flip(Claude.text("hi", { billing: "subscription", cwd: "/srv" }))
      assert.isTrue(error instanceof BillingMismatchError)
      assert.deepInclude(error, { expected: "subscription", found: "apiKey" })
      assert.deepStrictEqual(requests, [])
      yield* Claude.text("hi", { billing: "apiKey" })
      assert.strictEqual(requests.length, 1)
    }).pipe(Effect.provide(withFetch(fetch)))
  })

  it.scoped("that has failed shows neither key nor prompt in its events and spans, nor the data", () => {
    const repeated = `${apiKey} was sent with my prompt and 17,name 17`
    const { fetch } = scripted(() =>
      Response.json({ error: { type: "invalid_request_error", message: repeated } }, { status: 400 })
    )
    const tracer = recorder()
    return Effect.gen(function*() {
      const heard = yield* hear("QueryEnded")
      const cause = yield* Effect.flip(Effect.sandbox(Claude.text("my prompt", { context: { rows } })))
      for (const shown of [JSON.stringify(heard), everything(tracer), Cause.pretty(cause)]) {
        assert.notInclude(shown, apiKey)
        assert.notInclude(shown, "my prompt")
      }
      assert.notInclude(everything(tracer), "name 17")
    }).pipe(
      Effect.provide(Layer.provideMerge(withFetch(fetch), base)),
      Effect.provide(tracer.layer)
    )
  })
})
