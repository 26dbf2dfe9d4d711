import * as Claude from "@ccflow/core/Claude"
import * as ClaudeBackend from "@ccflow/core/ClaudeBackend"
import { ClaudeConfig } from "@ccflow/core/ClaudeConfig"
import {
  ApiClientError,
  BillingMismatchError,
  CircuitBreakerError,
  type ClaudeError,
  CliNotFoundError
} from "@ccflow/core/ClaudeError"
import * as ContextEncoder from "@ccflow/core/ContextEncoder"
import * as Events from "@ccflow/core/Events"
import type { Message, Result } from "@ccflow/core/Message"
import * as Metrics from "@ccflow/core/Metrics"
import * as Policies from "@ccflow/core/Policies"
import * as UsageLedger from "@ccflow/core/UsageLedger"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric, Option, TestClock } from "effect"
import { hear, names, of } from "./listening.js"
import { assertWhole, endOf, everything, recorder, said } from "./spans.js"
import { inTurn, rejected } from "./usage.js"

const missing = new CliNotFoundError({ command: "claude", hint: "Install it." })
const down = new ApiClientError({ status: 500, type: "api_error", detail: "down", hint: "h" })
const usage = { inputTokens: 1000, outputTokens: 100, cacheReadInputTokens: 0, cacheCreationInputTokens: 0 }
const model = "claude-of-the-backend"

const answered = (text: string): ReadonlyArray<Message> => {
  const sessionId = "of-the-backend"
  const told = {
    ...{ _tag: "Init", sessionId, model, cwd: "", tools: [], mcpServers: [], permissionMode: "default" } as const,
    ...{ apiKeySource: "a key", cliVersion: "", slashCommands: [], agents: [], skills: [], capabilities: [] },
    outputStyle: ""
  }
  const result: Result = {
    ...{ _tag: "Result", sessionId, result: text, subtype: "success", isError: false, stopReason: "end_turn" },
    ...{ interrupted: false, usage, costUsd: 0.5, totalCostUsd: 0.5, modelUsage: {}, numTurns: 1, durationMs: 1 },
    ...{ permissionDenials: [], errors: [] }
  }
  return [told, { _tag: "Text", sessionId, messageId: "m", content: text, delta: false }, result]
}

type Ending = ClaudeError | "answers"

/** A backend that ends its attempts in turn like this, books what it says, and what it was asked. */
const backend = (
  name: string,
  endings: ReadonlyArray<Ending> = [],
  within: Effect.Effect<unknown, ClaudeError> = Effect.void
) => {
  const asked: Array<ClaudeBackend.Question> = []
  let attempts = 0
  const layer = (policies: Layer.Layer<Policies.Policies, unknown> = Policies.layerNoop) =>
    Layer.effect(
      Claude.Claude,
      Effect.gen(function*() {
        const book = yield* UsageLedger.booking
        const query = yield* ClaudeBackend.queries((question) =>
          Effect.sync((): ClaudeBackend.Answer => {
            asked.push(question)
            return {
              target: { cli: name, account: "", model },
              server: `${name}.example`,
              open: Effect.map(within, () => {
                const ending = endings[attempts++] ?? "answers"
                let told = false
                return Effect.suspend(() => {
                  if (ending !== "answers") return Effect.fail(Option.some(ending))
                  if (told) return Effect.fail(Option.none())
                  told = true
                  const { id, purpose } = question
                  const entry: UsageLedger.UsageEntry = {
                    ...{ entryId: `${name} ${attempts}`, at: 0, basis: "reported", model, costUsd: 0.5, listUsd: 0.5 },
                    ...{ usage: { ...usage, webSearchRequests: 0 }, sessionId: "of-the-backend", callId: id },
                    ...{ turnId: undefined, ...purpose, apiKeySource: "a key" }
                  }
                  return Effect.as(book([entry]), answered(`from ${name}`))
                })
              })
            }
          })
        )
        return { query, session: () => Effect.die("no session was asked for") }
      })
    ).pipe(
      Layer.provide([Layer.succeed(ClaudeConfig, { defaults: { appendSystemPrompt: "of the client" } }), policies])
    )
  return { asked, layer }
}

type Script = Parameters<typeof FakeCli.layer>[0]

const refuses: Script = () => ({ refuse: missing })

const cli = (script: Script, policies: Policies.PolicyOptions = {}) =>
  FakeClaude.layerWith(
    script,
    Policies.layerWith({ retry: false, circuitBreaker: false, usageLimit: false, ...policies })
  )

const both = <E, E2>(
  primary: Layer.Layer<Claude.Claude | FakeCli.FakeCli | Policies.Policies, E>,
  fallback: Layer.Layer<Claude.Claude, E2>,
  when: Claude.FallbackWhen = ["cliMissing", "breakerOpen", "usageLimit"]
) => Layer.orDie(Layer.provideMerge(Claude.layerWithFallback(primary, fallback, when), base))

const base = Layer.merge(Events.layer, UsageLedger.layerMemory)

const callEvents = ["QueryStarted", "FellBack", "ContextEncoded", "TokensUsed", "CostIncurred", "QueryEnded"] as const

describe("a query that falls back", () => {
  it.scoped("is told as one call, with the answer's model, tokens and cost", () =>
    Effect.gen(function*() {
      const heard = yield* hear()
      yield* Claude.result("hi", { model: "sonnet", tags: ["mine"] })
      assert.deepStrictEqual(names(heard, ...callEvents), [
        "QueryStarted",
        "FellBack",
        "TokensUsed",
        "CostIncurred",
        "QueryEnded"
      ])
      const ids = heard.map(({ callId }) => callId ?? "")
      assert.strictEqual(new Set(ids).size, 1, "every event has the one id")
      assert.deepStrictEqual(of(heard, "FellBack").map(({ cause, error }) => [cause, error._tag]), [
        ["cliMissing", "CliNotFoundError"]
      ])
      const [ended] = of(heard, "QueryEnded")
      assert.deepInclude(ended, { outcome: "success", model, costUsd: 0.5, usage, result: "from api" })
      assert.isUndefined(ended?.error)
      assert.strictEqual(ended?.sessionId, "of-the-backend")
      const ledger = yield* UsageLedger.UsageLedger
      const { entries } = yield* ledger.entries()
      assert.deepStrictEqual(entries.map(({ callId, tags }) => [callId, tags]), [[ids[0], ["mine"]]])
    }).pipe(Effect.provide(both(cli(refuses), backend("api").layer()))))

  it.scoped("is counted once, as what came of it", () =>
    Effect.gen(function*() {
      const outcomes = (outcome: string) =>
        Metric.value(Metric.tagged(Metric.tagged(Metrics.queries, "outcome", outcome), "model", model))
      const before = [yield* outcomes("success"), yield* outcomes("failure")].map(({ count }) => count)
      yield* Claude.text("hi")
      const after = [yield* outcomes("success"), yield* outcomes("failure")].map(({ count }) => count)
      assert.deepStrictEqual(after.map((count, i) => count - (before[i] ?? 0)), [1, 0])
    }).pipe(Effect.provide(Layer.provideMerge(
      Metrics.layer,
      both(cli(refuses), backend("api").layer())
    ))))

  it.scoped("that the fallback cannot answer either has failed with the fallback's error, once", () =>
    Effect.gen(function*() {
      const heard = yield* hear()
      assert.strictEqual(yield* Effect.flip(Claude.text("hi")), down)
      assert.deepStrictEqual(
        of(heard, "QueryEnded").map(({ error, outcome }) => [outcome, error]),
        [["failure", down]]
      )
    }).pipe(Effect.provide(both(cli(refuses), backend("api", [down]).layer()))))

  it.scoped("that the fallback refuses is told as the CLI's failure, and as no fallback", () =>
    Effect.gen(function*() {
      const heard = yield* hear()
      const error = yield* Effect.flip(Claude.text("hi"))
      assert.include(String(error), "No fallback: An API key would pay")
      assert.deepStrictEqual(names(heard, ...callEvents), ["QueryStarted", "QueryEnded"])
      assert.strictEqual(of(heard, "QueryEnded")[0]?.error?._tag, "CliNotFoundError")
    }).pipe(Effect.provide(both(
      cli(refuses),
      Layer.succeed(Claude.Claude, {
        query: () =>
          Claude.fromPull(
            Effect.fail(
              new BillingMismatchError({ expected: "subscription", found: "apiKey", apiKeySource: "none", hint: "h" })
            )
          ),
        session: () => Effect.die("no session was asked for")
      })
    ))))

  it.scoped("is one span, with the attempts of both in it", () => {
    const tracer = recorder()
    return Effect.gen(function*() {
      yield* Claude.text("the prompt", { model: "sonnet" })
      assertWhole(tracer)
      assert.deepStrictEqual(tracer.tree(), ["claude.query", "  claude.attempt", "  claude.attempt"])
      const query = tracer.only("claude.query")
      const [first, second] = tracer.named("claude.attempt")
      assert.deepInclude(said(query), {
        "gen_ai.request.model": "sonnet",
        "gen_ai.response.model": model,
        "gen_ai.usage.input_tokens": 1000,
        "ccflow.cost.usd": 0.5,
        "ccflow.outcome": "success",
        "ccflow.fallback.cause": "usageLimit"
      })
      assert.deepStrictEqual(
        query.events.filter(({ name }) => name === "ccflow.fell_back").map((one) => one.attributes),
        [
          { "ccflow.fallback.cause": "usageLimit", "error.type": "UsageLimitError" }
        ]
      )
      assert.strictEqual(endOf(query), "ok")
      assert.deepInclude(said(first!), { "ccflow.attempt.number": 1, "error.type": "UsageLimitError" })
      assert.notProperty(said(first!), "server.address")
      assert.deepInclude(said(second!), {
        "ccflow.attempt.number": 2,
        "gen_ai.operation.name": "chat",
        "gen_ai.response.model": model,
        "server.address": "api.example",
        "ccflow.outcome": "success"
      })
      assert.notInclude(everything(tracer), "the prompt")
      assert.notInclude(everything(tracer), "from api")
    }).pipe(
      Effect.provide(
        both(cli(inTurn(rejected("five_hour", 100)), { usageLimit: { maxWait: 0 } }), backend("api").layer())
      ),
      Effect.provide(tracer.layer)
    )
  })

  it.scoped("has the context once, as it was encoded for both", () => {
    const { asked, layer } = backend("api")
    return Effect.gen(function*() {
      const heard = yield* hear("ContextEncoded")
      const context = { rows: Array.from({ length: 20 }, (_, id) => ({ id, name: `name ${id}` })) }
      const result = yield* Claude.result("hi", { context })
      assert.strictEqual(result.context?.format, "toon")
      assert.strictEqual(heard.length, 1)
      assert.deepStrictEqual(asked[0]?.context, yield* ContextEncoder.encode(context))
    }).pipe(Effect.provide(both(cli(refuses), layer())))
  })

  it.scoped("tells of the fallback's own policies with the same call", () =>
    Effect.gen(function*() {
      const heard = yield* hear()
      yield* Effect.fork(Claude.text("hi"))
      yield* TestClock.adjust("1 minute")
      const { callId } = of(heard, "QueryStarted")[0] ?? assert.fail("nothing was told")
      assert.deepStrictEqual(of(heard, "Retrying").map((one) => [one.callId, one.error]), [[callId, down]])
      assert.deepStrictEqual(of(heard, "BreakerChanged").map(({ state }) => state), ["open", "halfOpen"])
      assert.isTrue(heard.every((one) => one._tag === "BreakerChanged" || one.callId === callId))
    }).pipe(Effect.provide(both(
      cli(refuses),
      backend("api", [down]).layer(
        Policies.layerWith({
          retry: { maxRetries: 1, baseDelay: 1, jitter: 0 },
          circuitBreaker: { failureThreshold: 1, resetTimeout: 1 }
        })
      )
    ))))

  it.scoped("spends the budget of the call, which binds the fallback", () => {
    const { asked, layer } = backend("api")
    return Effect.gen(function*() {
      const heard = yield* hear("BudgetWarning", "QueryEnded")
      yield* Claude.text("hi")
      const error = yield* Effect.flip(Claude.text("hi"))
      assert.deepInclude(error, { _tag: "BudgetExceededError", scope: "day", spentUsd: 0.5, limitUsd: 0.4 })
      assert.strictEqual(asked.length, 1, "nothing was asked of it")
      assert.deepStrictEqual(
        of(heard, "BudgetWarning").map(({ exceeded }) => exceeded),
        [false, true],
        "told once each"
      )
    }).pipe(Effect.provide(both(
      cli(refuses, { budget: { perDayUsd: 0.4 } }),
      layer(Policies.layerWith({ budget: { perDayUsd: 0.4 } }))
    )))
  })

  it.scoped("is under the fallback's budget where it has none of its own", () => {
    const { layer } = backend("api")
    return Effect.gen(function*() {
      yield* Claude.text("hi")
      assert.strictEqual((yield* Effect.flip(Claude.text("hi")))._tag, "BudgetExceededError")
    }).pipe(Effect.provide(both(cli(refuses), layer(Policies.layerWith({ budget: { perDayUsd: 0.4 } })))))
  })

  it.scoped("may fall back again, and is still one call", () => {
    const open = new CircuitBreakerError({ key: "k", retryAfter: 1, hint: "h" })
    const one = backend("one", [open])
    const other = backend("other")
    const three = Claude.layerWithFallback(
      Claude.layerWithFallback(cli(refuses), one.layer(), ["cliMissing"]),
      other.layer(),
      ["breakerOpen"]
    )
    const nested = Claude.layerWithFallback(
      cli(refuses),
      Claude.layerWithFallback(backend("one", [open]).layer(), backend("other").layer(), ["breakerOpen"]),
      ["cliMissing"]
    )
    return Effect.gen(function*() {
      for (const layer of [three, nested]) {
        const tracer = recorder()
        yield* Effect.gen(function*() {
          const heard = yield* hear()
          assert.strictEqual(yield* Claude.text("hi"), "from other")
          assert.deepStrictEqual(of(heard, "FellBack").map(({ cause }) => cause), ["cliMissing", "breakerOpen"])
          assert.deepStrictEqual(names(heard, "QueryStarted", "QueryEnded"), ["QueryStarted", "QueryEnded"])
          assert.strictEqual(new Set(heard.map(({ callId }) => callId)).size, 1)
          assert.deepStrictEqual(tracer.tree(), ["claude.query", ...Array(3).fill("  claude.attempt")])
        }).pipe(Effect.provide(Layer.orDie(Layer.provideMerge(layer, base))), Effect.provide(tracer.layer))
      }
    })
  })

  it.scoped("asks the fallback once, whatever it fails with", () => {
    const open = new CircuitBreakerError({ key: "k", retryAfter: 1, hint: "h" })
    const { asked, layer } = backend("api", [open])
    return Effect.gen(function*() {
      assert.strictEqual(yield* Effect.flip(Claude.text("hi")), open)
      assert.strictEqual(asked.length, 1)
    }).pipe(Effect.provide(both(cli(refuses), layer())))
  })

  it.scoped("is a part of nothing that is asked in its run", () =>
    Effect.gen(function*() {
      const other = yield* Layer.build(both(cli({ respond: () => FakeCli.answer("yes") }), backend("api").layer()))
      const { layer } = backend("api", [], Effect.provide(Claude.text("within"), other))
      yield* Effect.gen(function*() {
        const heard = yield* hear("QueryStarted", "FellBack", "QueryEnded")
        const within = yield* Effect.provide(hear("QueryStarted", "QueryEnded"), other)
        yield* Claude.text("hi")
        assert.deepStrictEqual(names(heard), ["QueryStarted", "FellBack", "QueryEnded"])
        assert.deepStrictEqual(names(within), ["QueryStarted", "QueryEnded"])
        assert.notStrictEqual(within[0]?.callId, heard[0]?.callId)
      }).pipe(Effect.provide(both(cli(refuses), layer())))
    }))
})

describe("a backend by itself", () => {
  it.scoped("is told, traced and booked as the CLI is", () => {
    const tracer = recorder()
    const { asked, layer } = backend("api")
    return Effect.gen(function*() {
      const heard = yield* hear()
      const context = { user: 7 }
      const result = yield* Claude.result("hi", { model: "sonnet", context })
      assert.strictEqual(result.context?.format, "json")
      assert.deepStrictEqual(names(heard, ...callEvents), [
        "QueryStarted",
        "ContextEncoded",
        "TokensUsed",
        "CostIncurred",
        "QueryEnded"
      ])
      assert.deepStrictEqual(new Set(heard.map(({ callId }) => callId)), new Set([asked[0]?.id]))
      assert.deepInclude(asked[0]?.options, { appendSystemPrompt: "of the client", model: "sonnet" })
      assert.deepStrictEqual(tracer.tree(), ["claude.query", "  claude.attempt"])
      assert.strictEqual(said(tracer.only("claude.query"))["gen_ai.operation.name"], "chat")
      assert.notProperty(said(tracer.only("claude.query")), "gen_ai.agent.name")
    }).pipe(
      Effect.provide(Layer.provideMerge(Layer.orDie(layer()), base)),
      Effect.provide(tracer.layer)
    )
  })

  it.scoped("refuses what the CLI would be refused, before it is asked", () => {
    const { asked, layer } = backend("api")
    return Effect.gen(function*() {
      for (const [prompt, options] of [[" ", {}], ["hi", { maxTurns: 0 }], ["hi", { context: 1n }]] as const) {
        assert.strictEqual((yield* Effect.flip(Claude.text(prompt, options)))._tag, "InvalidOptionsError")
      }
      assert.deepStrictEqual(asked, [])
    }).pipe(Effect.provide(Layer.provideMerge(Layer.orDie(layer()), base)))
  })
})
