import * as AnthropicClaude from "@ccflow/anthropic/AnthropicClaude"
import * as Claude from "@ccflow/core/Claude"
import * as Message from "@ccflow/core/Message"
import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  ConfigProvider,
  Deferred,
  Duration,
  Effect,
  Exit,
  FastCheck,
  Fiber,
  Layer,
  Option,
  Redacted,
  Schema,
  Stream,
  TestClock
} from "effect"
import { blocks, text, textBlock, thinkingBlock } from "../../../test/support/MessagesReply.js"
import { apiKey, collect, config, failure, scripted, sse, streamOf, tags, withFetch } from "./api.js"

const find = <Tag extends Message.Message["_tag"]>(messages: ReadonlyArray<Message.Message>, tag: Tag) =>
  messages.find(Message.is(tag)) ?? assert.fail(`no ${tag}`)

describe("an answer", () => {
  it.effect("is told in the order of the CLI, with the model that the API resolved", () => {
    const reply = blocks([thinkingBlock("hm"), "Four", "."], {
      usage: { cache_read_input_tokens: 1000, cache_creation_input_tokens: 200, output_tokens: 10 }
    })
    const { fetch, requests } = scripted(() => streamOf(sse(reply, "claude-sonnet-5-5")))
    return Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2026, 10, 22))
      const { error, seen } = yield* collect("What is 2+2?", { model: "sonnet" })
      assert.isUndefined(error)
      assert.deepStrictEqual(tags(seen), ["Init", "Thinking", "Text", "Text", "Assistant", "Stop", "Result"])
      assert.strictEqual(new Set(seen.map(({ sessionId }) => sessionId)).size, 1)
      const init = find(seen, "Init")
      assert.match(init.sessionId, /^[0-9a-f-]{36}$/)
      assert.strictEqual(init.model, "claude-sonnet-5-5")
      assert.strictEqual(init.apiKeySource, "ANTHROPIC_API_KEY")
      assert.deepStrictEqual(init.tools, [])
      const assistant = find(seen, "Assistant")
      assert.deepStrictEqual(assistant.content.map(({ type }) => type), ["thinking", "text", "text"])
      assert.strictEqual(assistant.content[0]?.["signature"], "c3RhbmQtaW4=")
      const usage = {
        inputTokens: 25,
        outputTokens: 10,
        cacheReadInputTokens: 1000,
        cacheCreationInputTokens: 200
      }
      assert.deepStrictEqual(assistant.usage, usage)
      const result = find(seen, "Result")
      assert.strictEqual(result.result, "Four.")
      assert.deepStrictEqual(result.usage, usage)
      assert.strictEqual(result.stopReason, "end_turn")
      assert.strictEqual(result.numTurns, 1)
      assert.isFalse(result.isError)
      assert.isUndefined(result.unpriced)
      // 25 at 2, 10 at 10, 1000 at 0.1, 200 at 2.5 for a million.
      assert.closeTo(result.costUsd, 0.00075, 1e-12)
      assert.strictEqual(result.totalCostUsd, result.costUsd)
      assert.deepStrictEqual(Object.keys(result.modelUsage), ["claude-sonnet-5-5"])
      assert.isTrue(Schema.is(Message.Message)(result), "it is a message as the schema has it")
      assert.isTrue(seen.every(Schema.is(Message.Message)))
      assert.deepStrictEqual(requests.map(({ body }) => body["model"]), ["claude-sonnet-5-5"])
      assert.strictEqual(requests[0]?.headers.get("authorization"), `Bearer ${apiKey}`)
    }).pipe(Effect.provide(withFetch(fetch)))
  })

  it.effect("has the text of its deltas, and of its whole blocks, however it was cut into pieces", () => {
    let reply = text("")
    const { fetch } = scripted(() => streamOf(sse(reply)))
    const answers = FastCheck.record({
      parts: FastCheck.array(FastCheck.array(FastCheck.string({ unit: "grapheme" })), { maxLength: 4 }),
      partial: FastCheck.boolean()
    })
    return Effect.gen(function*() {
      for (const { parts, partial } of FastCheck.sample(answers, 60)) {
        reply = blocks(parts.map((deltas) => textBlock(deltas.join(""), deltas)))
        const { seen } = yield* collect("hi", { includePartialMessages: partial })
        const said = seen.reduce(Message.appendText, "")
        assert.strictEqual(said, parts.flat().join(""), JSON.stringify(parts))
        const whole = find(seen, "Assistant").content.map((block) => block["text"]).join("")
        assert.strictEqual(whole, said)
        assert.strictEqual(find(seen, "Result").result, said)
        assert.isTrue(seen.every((message) => message._tag !== "Text" || message.delta === partial))
      }
    }).pipe(Effect.provide(withFetch(fetch)))
  }, 30_000)

  it.effect("of a model without a known price says so, and not that it was free", () => {
    const { fetch } = scripted(() => streamOf(sse(text("4"), "claude-next-9")))
    return Effect.gen(function*() {
      const result = yield* Claude.result("hi", { model: "claude-next-9" })
      assert.deepStrictEqual(result.unpriced, ["claude-next-9"])
      assert.strictEqual(result.costUsd, 0)
      assert.deepStrictEqual(JSON.parse(JSON.stringify(result)).unpriced, ["claude-next-9"])
    }).pipe(Effect.provide(withFetch(fetch)))
  })

  it.effect("in the shape of a schema is held to it by the API and decoded here", () => {
    const schema = Schema.Struct({ day: Schema.Date, count: Schema.Int.pipe(Schema.positive()) })
    const { fetch, requests } = scripted(() => streamOf(sse(text("{\"day\":\"2026-11-22\",\"count\":2}"))))
    return Effect.gen(function*() {
      const answer = yield* Claude.structured("hi", schema, { effort: "low" })
      assert.deepStrictEqual(answer, { day: new Date("2026-11-22"), count: 2 })
      const config = requests[0]?.body["output_config"] as Record<string, Record<string, unknown>>
      assert.deepStrictEqual(config["effort"], "low" as never)
      assert.strictEqual(config["format"]?.["type"], "json_schema")
      assert.strictEqual((config["format"]?.["schema"] as Record<string, unknown>)["additionalProperties"], false)
    }).pipe(Effect.provide(withFetch(fetch)))
  })

  it.effect("that does not fit the schema fails after it was told", () => {
    const schema = Schema.Struct({ count: Schema.Int.pipe(Schema.positive()) })
    const answers = ["{\"count\":-1}", "{\"cou"]
    const { fetch } = scripted((_, index) => streamOf(sse(text(answers[index]!))))
    return Effect.gen(function*() {
      for (const reason of ["DoesNotDecode", "NeverGiven"]) {
        const { error, seen } = yield* collect("hi", { outputSchema: schema })
        assert.strictEqual(seen.at(-1)?._tag, "Result")
        const { detail, reason: found } = error?._tag === "StructuredOutputError" ? error : assert.fail(String(error))
        assert.strictEqual(found, reason)
        if (reason === "DoesNotDecode") assert.match(detail, /^count: /)
      }
    }).pipe(Effect.provide(withFetch(fetch)))
  })

  it.effect("that the model refused is a refusal, after its messages", () => {
    const { fetch } = scripted(() => streamOf(sse(text("No.", { stopReason: "refusal" }))))
    return Effect.gen(function*() {
      const { error, seen } = yield* collect("hi")
      assert.strictEqual(error?._tag, "RefusalError")
      assert.isTrue(find(seen, "Result").isError)
    }).pipe(Effect.provide(withFetch(fetch)))
  })

  it.effect("with a stop reason, a field and an event that nobody knows yet is an answer", () => {
    const events = [
      "event: weather\ndata: {\"type\":\"weather\",\"sun\":true}\n\n",
      ...sse(text("4", { stopReason: "sunset" })).map((event) => event.replace("\"type\"", "\"new\":1,\"type\""))
    ]
    const { fetch } = scripted(() => streamOf(events))
    return Effect.gen(function*() {
      const { error, seen } = yield* collect("hi")
      assert.isUndefined(error)
      assert.deepStrictEqual(find(seen, "Unknown").raw, { type: "weather", sun: true })
      assert.strictEqual(find(seen, "Result").stopReason, "sunset")
      assert.strictEqual(find(seen, "Result").result, "4")
    }).pipe(Effect.provide(withFetch(fetch)))
  })
})

describe("a request", () => {
  it.effect("asks as the options say", () => {
    const { fetch, requests } = scripted(() => streamOf(sse(text("4"))))
    const image = { type: "image", source: { type: "base64", media_type: "image/png", data: "AA==" } }
    const document = { type: "document", source: { type: "text", media_type: "text/plain", data: "d" } }
    return Effect.gen(function*() {
      yield* Claude.text([{ type: "text", text: "look" }, image, document], {
        systemPrompt: "Be short.",
        appendSystemPrompt: "Be kind.",
        context: { user: 7 },
        maxTokens: 500,
        betas: ["a-1", "b-2"],
        thinking: "adaptive",
        thinkingDisplay: "omitted",
        sessionId: "6f7f7bd2-4d7c-4f4c-9d2f-0c3f6f1f3c11"
      })
      yield* Claude.text("hi", { thinking: { budgetTokens: 2000 } })
      yield* Claude.text("hi")
      const [first, second, third] = requests.map(({ body }) => body)
      assert.deepStrictEqual(first?.["messages"], [{
        role: "user",
        content: [{ type: "text", text: "look" }, image, document]
      }])
      assert.strictEqual(first?.["system"], "Be short.\n\nBe kind.\n\n[Context]\n```json\n{\"user\":7}\n```")
      assert.strictEqual(first?.["max_tokens"], 500)
      assert.deepStrictEqual(first?.["thinking"], { type: "adaptive", display: "omitted" })
      assert.strictEqual(requests[0]?.headers.get("anthropic-beta"), "a-1,b-2")
      assert.strictEqual(second?.["max_tokens"], 34_000)
      assert.deepStrictEqual(second?.["thinking"], { type: "enabled", budget_tokens: 2000 })
      assert.deepStrictEqual(third, {
        model: "claude-opus-5-5",
        max_tokens: 32_000,
        messages: [{ role: "user", content: "hi" }],
        stream: true
      })
    }).pipe(Effect.provide(withFetch(fetch)))
  })

  it.effect("names the model as the API knows it: no alias, and without the CLI's mark of a long window", () => {
    const { fetch, requests } = scripted(() => streamOf(sse(text("4"))))
    return Effect.gen(function*() {
      for (const model of ["Sonnet", "haiku[1m]", "claude-opus-4-8[1m]", "gpt"]) yield* Claude.text("hi", { model })
      const asked = ["claude-sonnet-5-5", "claude-haiku-5-5", "claude-opus-4-8", "gpt"]
      assert.deepStrictEqual(requests.map(({ body }) => body["model"]), asked)
    }).pipe(Effect.provide(withFetch(fetch)))
  })

  it.effect("starts from the client's options and the fiber's", () => {
    const { fetch, requests } = scripted(() => streamOf(sse(text("4"))))
    return Effect.gen(function*() {
      yield* Claude.text("hi")
      assert.strictEqual(requests[0]?.body["model"], "claude-haiku-5-5")
    }).pipe(Effect.provide(withFetch(fetch, { model: "haiku", cliPath: "/opt/claude" })))
  })

  it.effect("goes to the fallback model when the first is overloaded, and says so", () => {
    const overloaded = () =>
      Response.json({ type: "error", error: { type: "overloaded_error", message: "Overloaded" } }, { status: 529 })
    const { fetch, requests } = scripted((_, index) => index === 0 ? overloaded() : streamOf(sse(text("4"))))
    return Effect.gen(function*() {
      const { error, seen } = yield* collect("hi", { model: "opus", fallbackModel: ["sonnet", "haiku"] })
      assert.isUndefined(error)
      assert.deepStrictEqual(tags(seen).slice(0, 2), ["Status", "Init"])
      assert.deepStrictEqual(requests.map(({ body }) => body["model"]), ["claude-opus-5-5", "claude-sonnet-5-5"])
    }).pipe(Effect.provide(withFetch(fetch)))
  })

  it.effect("is not sent for what the API cannot honour: the refusal names each option", () => {
    const { fetch, requests } = scripted(() => streamOf(sse(text("4"))))
    return Effect.gen(function*() {
      const error = yield* failure("hi", {
        allowedTools: ["Bash"],
        mcpServers: { a: { command: "x" } },
        resume: "s",
        maxBudgetUsd: 1,
        cwd: "/srv",
        permissions: () => Effect.succeed({ _tag: "Deny", message: "no" } as never)
      })
      assert.strictEqual(error._tag, "ApiClientError")
      if (error._tag !== "ApiClientError") return
      assert.strictEqual(error.type, "unsupported_option")
      assert.isNull(error.status)
      for (const name of ["allowedTools", "mcpServers", "resume", "maxBudgetUsd", "cwd", "permissions"]) {
        assert.include(error.detail, name)
      }
      assert.include(String(yield* failure("/compact now")), "/compact")
      assert.strictEqual((yield* failure("  "))._tag, "InvalidOptionsError")
      const claude = yield* Claude.Claude
      const session = yield* Effect.scoped(Effect.flip(claude.session()))
      assert.strictEqual(session._tag === "ApiClientError" ? session.type : "", "unsupported_option")
      assert.deepStrictEqual(requests, [])
      yield* Claude.text("/etc/hosts: what is it?", { tools: [], allowedTools: [], maxTurns: 3, env: { PATH: "/bin" } })
      assert.strictEqual(requests.length, 1)
    }).pipe(Effect.provide(withFetch(fetch)))
  })
})

describe("time", () => {
  const silent = scripted(() => new Promise<Response>(() => {}))
  const dripping = scripted(() => {
    const all = sse(text("one two three four", { chunkSize: 4 }))
    return new Response(
      new ReadableStream({
        start: (controller) => {
          for (const event of all.slice(0, 5)) controller.enqueue(new TextEncoder().encode(event))
        }
      }),
      { headers: { "content-type": "text/event-stream" } }
    )
  })

  it.effect("that is up before the API says anything is a stall", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(failure("hi", { stallTimeout: "1 minute" }))
      yield* TestClock.adjust("59 seconds")
      assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
      yield* TestClock.adjust("1 second")
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error._tag === "CliTimeoutError" ? `${error.phase} ${error.timeoutMs}` : "", "stall 60000")
    }).pipe(Effect.provide(withFetch(silent.fetch))))

  it.live("that is up in the middle keeps what was said", () =>
    Effect.gen(function*() {
      const error = yield* failure("hi", { timeout: "200 millis", includePartialMessages: true })
      assert.strictEqual(error._tag === "CliTimeoutError" ? `${error.phase} ${error.partial}` : "", "total one two ")
    }).pipe(Effect.provide(withFetch(dripping.fetch))))

  it.live("an interrupt ends well, with what there was", () =>
    Effect.gen(function*() {
      const said = yield* Deferred.make<void>()
      const seen: Array<Message.Message> = []
      yield* Claude.query("hi", { includePartialMessages: true, interruptWhen: Deferred.await(said) }).pipe(
        Stream.runForEach((message) => {
          seen.push(message)
          return message._tag === "Text" ? Deferred.succeed(said, undefined) : Effect.void
        })
      )
      const result = find(seen, "Result")
      assert.isTrue(result.interrupted)
      assert.match(result.result, /^one /)
      assert.isTrue(find(seen, "Assistant").aborted)
    }).pipe(Effect.provide(withFetch(dripping.fetch))))

  it.live("an interrupt before the answer began ends well, too", () =>
    Effect.gen(function*() {
      const { error, seen } = yield* collect("hi", { interruptWhen: Effect.sleep(Duration.millis(20)) })
      assert.isUndefined(error)
      assert.deepStrictEqual(tags(seen), ["Init", "Stop", "Result"])
    }).pipe(Effect.provide(withFetch(silent.fetch))))
})

describe("the layers", () => {
  const build = (layer: Layer.Layer<Claude.Claude, unknown>, variables: ReadonlyArray<[string, string]> = []) =>
    Layer.build(layer).pipe(
      Effect.scoped,
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map(variables), { pathDelim: "_" })),
      Effect.exit
    )

  it.effect("take the key from ANTHROPIC_API_KEY, and say when it is missing", () =>
    Effect.gen(function*() {
      const layer = Layer.provide(AnthropicClaude.layerConfig(), config())
      assert.isTrue(Exit.isSuccess(yield* build(layer, [["ANTHROPIC_API_KEY", apiKey]])))
      const missing = yield* build(layer)
      assert.include(Exit.isFailure(missing) ? Cause.pretty(missing.cause) : "", "ANTHROPIC_API_KEY")
    }))

  it.effect("refuse bad options by name, and show no key", () =>
    Effect.gen(function*() {
      const bad: ReadonlyArray<[string, Partial<AnthropicClaude.AnthropicOptions>]> = [
        ["apiKey", { apiKey: Redacted.make("sk-ant two words") }],
        ["apiKey", { apiKey: Redacted.make("") }],
        ["baseUrl", { baseUrl: "api.anthropic.com" }],
        ["baseUrl", { baseUrl: "ftp://api.anthropic.com" }],
        ["maxTokens", { maxTokens: 1.5 }],
        ["model", { model: " " }]
      ]
      for (const [field, options] of bad) {
        const exit = yield* build(
          Layer.provide(AnthropicClaude.layer({ apiKey: Redacted.make(apiKey), ...options }), config())
        )
        const said = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
        assert.include(said, `Invalid option ${field}`)
        assert.notInclude(said, "sk-ant")
      }
    }))
})
