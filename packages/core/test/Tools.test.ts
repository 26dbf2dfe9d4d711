import { Claude, Tools } from "@ccflow/core"
import { FakeClaude, FakeCli } from "@ccflow/testing"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, FastCheck, Fiber, Layer, Option, Schema, TestClock } from "effect"
import * as Host from "../src/internal/host.js"
import { HostChannel } from "../src/internal/hostChannel.js"

type Fields = Readonly<Record<string, unknown>>

const numbers = Schema.Struct({ a: Schema.Number.annotations({ description: "the first" }), b: Schema.Number })

const add = Tools.tool({
  name: "add",
  description: "Adds two numbers",
  input: numbers,
  annotations: { readOnlyHint: true },
  handler: ({ a, b }) => Effect.succeed({ sum: a + b })
})

/** A server, asked as the CLI does: the JSON-RPC answer to a message. */
const serve = (...toolSets: ReadonlyArray<Tools.ToolSet>) =>
  Effect.map(
    Host.resolve({ toolSets }, {}),
    ({ handlers }) => (message: Fields, server = toolSets[0]?.name) =>
      Effect.map(
        handlers["mcp_message"]!({
          subtype: "mcp_message",
          server_name: server,
          message: { jsonrpc: "2.0", ...message }
        }),
        (answer) => (answer as { readonly mcp_response: Fields }).mcp_response
      )
  )

interface Called {
  readonly content: ReadonlyArray<Tools.ContentBlock>
  readonly isError?: boolean
}

/** One call of a tool, to its result. */
const call = <R = never>(tool: Tools.Tool<R>, args: unknown, meta: Fields = {}) =>
  Effect.gen(function*() {
    const ask = yield* serve(yield* Tools.withContext(Tools.toolSet("set", [tool])))
    const { result } = yield* ask({
      id: 5,
      method: "tools/call",
      params: { name: tool.name, arguments: args, _meta: meta }
    })
    return result as Called
  })

const textOf = ({ content }: Called) => content.map(({ text }) => text).join()

const tool = <R = never>(
  handler: (input: { readonly n: number }, call: Tools.Call) => Effect.Effect<unknown, unknown, R>
) => Tools.tool({ name: "try", description: "Tries", input: Schema.Struct({ n: Schema.Number }), handler })

describe("a tool set", () => {
  it.effect("introduces itself and lists its tools with their JSON Schemas", () =>
    Effect.gen(function*() {
      const ask = yield* serve(Tools.toolSet("calc", [add], { version: "2.0.0", instructions: "Whole numbers." }))
      assert.deepStrictEqual(yield* ask({ id: 0, method: "initialize", params: { protocolVersion: "2025-11-25" } }), {
        jsonrpc: "2.0",
        id: 0,
        result: {
          protocolVersion: "2025-11-25",
          capabilities: { tools: {} },
          serverInfo: { name: "calc", version: "2.0.0" },
          instructions: "Whole numbers."
        }
      })
      const { result } = yield* ask({ id: 1, method: "tools/list" })
      assert.deepStrictEqual(JSON.parse(JSON.stringify(result)), {
        tools: [{
          name: "add",
          description: "Adds two numbers",
          inputSchema: {
            type: "object",
            properties: { a: { type: "number", description: "the first" }, b: { type: "number" } },
            required: ["a", "b"],
            additionalProperties: false
          },
          annotations: { readOnlyHint: true },
          _meta: {}
        }]
      })
      assert.deepStrictEqual(yield* ask({ id: "p", method: "ping" }), { jsonrpc: "2.0", id: "p", result: {} })
    }))

  it.effect("tells the CLI what it wants of long results, and of being known from the start", () =>
    Effect.gen(function*() {
      const wide = Tools.tool({
        name: "wide",
        description: "x",
        input: numbers,
        inlineChars: 200_000,
        alwaysLoad: true,
        handler: () => Effect.succeed("")
      })
      const { result } = yield* (yield* serve(Tools.toolSet("set", [wide])))({ id: 1, method: "tools/list" })
      const [listed] = (result as { readonly tools: ReadonlyArray<Fields> }).tools
      assert.deepStrictEqual(listed?.["_meta"], {
        "anthropic/maxResultSizeChars": 200_000,
        "anthropic/alwaysLoad": true
      })
    }))

  it.effect("answers every message: notifications by an acknowledgement, what it does not know by an error", () =>
    Effect.gen(function*() {
      const ask = yield* serve(Tools.toolSet("calc", [add]))
      assert.deepStrictEqual(yield* ask({ method: "notifications/initialized" }), { jsonrpc: "2.0", id: 0, result: {} })
      assert.deepStrictEqual(yield* ask({ id: 3, method: "resources/list" }), {
        jsonrpc: "2.0",
        id: 3,
        error: { code: -32601, message: "There is no method resources/list" }
      })
      assert.deepInclude((yield* ask({ id: 4, method: 7 }))["error"], { code: -32600 })
      const refused = yield* Effect.flip(ask({ id: 0, method: "initialize" }, "other"))
      assert.include(refused.error, "other")
    }))

  it.effect("has names for allowedTools, as the model calls its tools", () =>
    Effect.gen(function*() {
      const calc = Tools.toolSet("calc", [add])
      assert.deepStrictEqual(Tools.allowed(calc), ["mcp__calc__add"])
      assert.strictEqual(yield* Claude.text("x", { toolSets: [calc], allowedTools: Tools.allowed(calc) }), "done")
      const [started] = yield* (yield* FakeCli.FakeCli).started
      assert.deepInclude(started!.sent[0]!["request"], { subtype: "initialize", sdkMcpServers: ["calc"] })
      const results = started!.sent.flatMap(({ response }) => {
        const { mcp_response } = ((response as Fields | undefined)?.["response"] ?? {}) as { mcp_response?: Fields }
        return mcp_response?.["id"] === 2 ? [mcp_response["result"]] : []
      })
      assert.deepStrictEqual(results, [{ content: [{ type: "text", text: "{\"sum\":5}" }] }])
    }).pipe(Effect.provide(FakeClaude.layer([[
      FakeCli.init(),
      FakeCli.callTool("calc", "add", { a: 2, b: 3 }),
      ...FakeCli.answer("done").slice(1)
    ]]))))

  it.effect("can have tools without arguments", () =>
    Effect.gen(function*() {
      const bare = Tools.tool({
        name: "now",
        description: "",
        input: Schema.Struct({}),
        handler: () => Effect.succeed("1")
      })
      const ask = yield* serve(Tools.toolSet("set", [bare]))
      const { result } = yield* ask({ id: 1, method: "tools/list" })
      assert.deepInclude((result as { readonly tools: ReadonlyArray<Fields> }).tools[0], {
        inputSchema: { type: "object", properties: {}, additionalProperties: false }
      })
      assert.strictEqual(textOf(yield* call(bare, undefined)), "1")
    }))

  it.effect("is refused with a name that cannot be told apart, or a schema that is not one", () =>
    Effect.gen(function*() {
      const refused = (toolSets: ReadonlyArray<Tools.ToolSet>, options = {}) =>
        Effect.map(Effect.flip(Host.resolve({ toolSets }, options)), ({ detail, field }) => `${field}: ${detail}`)
      const named = (name: string) => Tools.tool({ name, description: "", input: numbers, handler: () => Effect.void })
      const calc = Tools.toolSet("calc", [add])
      assert.include(yield* refused([calc, calc]), "toolSets.calc: there are two")
      assert.include(yield* refused([calc], { mcpServers: { calc: { command: "x" } } }), "mcpServers")
      assert.include(yield* refused([Tools.toolSet("a__b", [add])]), "toolSets.a__b")
      assert.include(yield* refused([Tools.toolSet("a b", [add])]), "toolSets.a b")
      assert.include(yield* refused([Tools.toolSet("calc", [add, add])]), "toolSets.calc.add: there are two")
      assert.include(yield* refused([Tools.toolSet("calc", [named("add it")])]), "toolSets.calc.add it")
      const shapeless: ReadonlyArray<Schema.Schema.AnyNoContext> = [
        Schema.String,
        Schema.Struct({ at: Schema.DateFromSelf }),
        Schema.Struct({ big: Schema.BigIntFromSelf })
      ]
      for (const input of shapeless) {
        const set = Tools.toolSet("set", [
          Tools.tool({ name: "t", description: "", input, handler: () => Effect.void })
        ])
        assert.include(yield* refused([set]), "no JSON Schema")
      }
    }))
})

describe("a tool", () => {
  it.effect("gives text, JSON, blocks or nothing", () =>
    Effect.gen(function*() {
      assert.strictEqual(textOf(yield* call(tool(() => Effect.succeed("plain")), { n: 1 })), "plain")
      assert.strictEqual(
        textOf(yield* call(tool(() => Effect.succeed([1, { a: null }])), { n: 1 })),
        "[1,{\"a\":null}]"
      )
      assert.strictEqual(textOf(yield* call(tool(() => Effect.void), { n: 1 })), "")
      const picture = Tools.content(Tools.text("Look:"), Tools.image("aGk=", "image/png"))
      assert.deepStrictEqual(yield* call(tool(() => Effect.succeed(picture)), { n: 1 }), {
        content: [{ type: "text", text: "Look:" }, { type: "image", data: "aGk=", mimeType: "image/png" }]
      })
    }))

  it.effect("gets its arguments decoded, and its use's id", () =>
    Effect.gen(function*() {
      const dated = Tools.tool({
        name: "day",
        description: "",
        input: Schema.Struct({ on: Schema.Date, note: Schema.optionalWith(Schema.String, { default: () => "none" }) }),
        handler: ({ note, on }, { toolUseId }) => Effect.succeed(`${on.getUTCDate()} ${note} ${toolUseId}`)
      })
      const result = yield* call(dated, { on: "2026-11-22T10:00:00Z" }, { "claudecode/toolUseId": "toolu_7" })
      assert.deepStrictEqual(result, { content: [{ type: "text", text: "22 none toolu_7" }] })
    }))

  it.effect("is not called with arguments that do not fit: the model reads which and why", () =>
    Effect.gen(function*() {
      const never = tool(() => Effect.die("called"))
      const cases: ReadonlyArray<readonly [unknown, string]> = [
        [{ n: "four" }, "n: it must be a number"],
        [{}, "n: it is missing"],
        ["text", "it must be an object"],
        [undefined, "n: it is missing"]
      ]
      for (const [args, complaint] of cases) {
        const result = yield* call(never, args)
        assert.isTrue(result.isError)
        assert.include(textOf(result), `Invalid arguments: ${complaint}`)
        assert.notInclude(textOf(result), "four")
      }
    }))

  it.effect("that fails, dies, throws or gives what cannot be written is a tool error, and the next call works", () =>
    Effect.gen(function*() {
      const circle: Record<string, unknown> = {}
      circle["self"] = circle
      const bad: ReadonlyArray<readonly [() => Effect.Effect<unknown, unknown>, string]> = [
        [() => Effect.fail({ message: "no database" }), "no database"],
        [() => Effect.fail({ _tag: "NotFound" }), "NotFound"],
        [() => Effect.die(new Error("a bug")), "a bug"],
        [() => {
          throw new Error("thrown")
        }, "thrown"],
        [() => Effect.interrupt, "interrupted"],
        [() => Effect.succeed(circle), "circular"],
        [() => Effect.succeed(1n), "BigInt"]
      ]
      for (const [handler, message] of bad) {
        const result = yield* call(tool(handler), { n: 1 })
        assert.isTrue(result.isError)
        assert.include(textOf(result), message)
      }
      const ask = yield* serve(
        Tools.toolSet("set", [tool(({ n }) => n === 1 ? Effect.die("x") : Effect.succeed("ok"))])
      )
      const calling = (n: number) =>
        Effect.map(
          ask({ id: n, method: "tools/call", params: { name: "try", arguments: { n } } }),
          ({ result }) => result as Called
        )
      assert.isTrue((yield* calling(1)).isError)
      assert.strictEqual(textOf(yield* calling(2)), "ok")
    }))

  it.effect("whose result no line of the CLI can hold is a tool error that says so", () =>
    Effect.gen(function*() {
      const part = "x".repeat(16 * 1024 * 1024)
      const parts = (count: number) => Tools.content(...Array.from({ length: count }, () => Tools.text(part)))
      const huge = yield* call(tool(() => Effect.succeed(parts(13))), { n: 1 })
      assert.isTrue(huge.isError)
      assert.include(textOf(huge), "too much to hand on")
      const large = yield* call(tool(() => Effect.succeed(parts(3))), { n: 1 })
      assert.isUndefined(large.isError)
      // Each of these is six characters on the line.
      const escaped = yield* call(tool(() => Effect.succeed("\u0001".repeat(33 * 1024 * 1024))), { n: 1 })
      assert.isTrue(escaped.isError)
    }), 60_000)

  it.effect("that is not there is a tool error", () =>
    Effect.gen(function*() {
      const ask = yield* serve(Tools.toolSet("calc", [add]))
      const { result } = yield* ask({ id: 1, method: "tools/call", params: { name: "sub" } })
      assert.isTrue((result as Called).isError)
    }))

  it.effect("takes whatever arguments its schema takes, and gives the JSON of its value", () =>
    Effect.promise(() =>
      FastCheck.assert(FastCheck.asyncProperty(FastCheck.jsonValue(), async (value) => {
        const echo = Tools.tool({
          name: "echo",
          description: "",
          input: Schema.Struct({ value: Schema.Unknown }),
          handler: ({ value }) => Effect.succeed([value])
        })
        const result = await Effect.runPromise(call(echo, { value }))
        assert.strictEqual(textOf(result), JSON.stringify([value]))
      }))
    ))
})

describe("a call", () => {
  const told = () => {
    const requests: Array<Fields> = []
    return { requests, tell: (request: Fields) => Effect.sync(() => void requests.push(request)) }
  }

  it.effect("tells its progress where the CLI gave a token for it, and else nothing", () =>
    Effect.gen(function*() {
      const work = tool((_, { progress }) => Effect.zipRight(progress(1, 4, "a quarter"), progress(2)))
      const channel = told()
      yield* Effect.provideService(call(work, { n: 1 }, { progressToken: 9 }), HostChannel, channel)
      yield* Effect.provideService(call(work, { n: 1 }), HostChannel, channel)
      assert.deepStrictEqual(
        JSON.parse(JSON.stringify(channel.requests)),
        [
          { progressToken: 9, progress: 1, total: 4, message: "a quarter" },
          { progressToken: 9, progress: 2 }
        ].map((params) => ({
          subtype: "mcp_message",
          server_name: "set",
          message: { jsonrpc: "2.0", method: "notifications/progress", params }
        }))
      )
    }))

  it.effect("that is cancelled within the same read never goes on", () =>
    Effect.gen(function*() {
      const ask = yield* serve(Tools.toolSet("set", [tool(() => Effect.never)]))
      const [called] = yield* Effect.all([
        ask({ id: 4, method: "tools/call", params: { name: "try", arguments: { n: 1 } } }),
        ask({ method: "notifications/cancelled", params: { requestId: 4 } })
      ], { concurrency: "unbounded" })
      assert.include(JSON.stringify(called), "cancelled")
    }))

  it.effect("that is cancelled interrupts its handler, and no other session's of the same number", () =>
    Effect.gen(function*() {
      const gone: Array<string> = []
      const set = Tools.toolSet("set", [
        tool(({ n }) => Effect.onInterrupt(Effect.never, () => Effect.sync(() => gone.push(`${n}`))))
      ])
      const ask = yield* serve(set)
      const within = (channel: ReturnType<typeof told>, message: Fields) =>
        Effect.provideService(ask(message), HostChannel, channel)
      const [one, two] = [told(), told()]
      const calling = (n: number) => ({ id: 4, method: "tools/call", params: { name: "try", arguments: { n } } })
      const first = yield* Effect.fork(within(one, calling(1)))
      const second = yield* Effect.fork(within(two, calling(2)))
      yield* TestClock.adjust("1 second")
      yield* within(one, { method: "notifications/cancelled", params: { requestId: 3 } })
      yield* within(one, { method: "notifications/cancelled", params: { requestId: 4 } })
      assert.isTrue(((yield* Fiber.join(first))["result"] as Called).isError)
      assert.deepStrictEqual(gone, ["1"])
      assert.isTrue(Option.isNone(yield* Fiber.poll(second)))
      yield* Fiber.interrupt(second)
    }))

  it.effect("of the same set runs beside others, each with its own arguments", () =>
    Effect.gen(function*() {
      const slow = tool(({ n }) => Effect.delay(Effect.succeed(n * 2), `${100 - n} millis`))
      const ask = yield* serve(Tools.toolSet("set", [slow]))
      const fiber = yield* Effect.fork(Effect.forEach(
        Array.from({ length: 50 }, (_, n) => n),
        (n) =>
          Effect.map(
            ask({ id: n, method: "tools/call", params: { name: "try", arguments: { n } } }),
            ({ result }) => Number(textOf(result as Called))
          ),
        { concurrency: "unbounded" }
      ))
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(yield* Fiber.join(fiber), Array.from({ length: 50 }, (_, n) => n * 2))
    }))
})

describe("the Tools reference", () => {
  class Store extends Context.Tag("Store")<Store, { readonly get: (n: number) => string }>() {}
  class Clerk extends Context.Tag("Clerk")<Clerk, { readonly name: string }>() {}

  it.effect("adds its sets to those of the call, with the services of its layer", () =>
    Effect.gen(function*() {
      const shop = Tools.toolSet("shop", [
        tool(({ n }) => Effect.map(Store, ({ get }) => get(n))),
        Tools.tool({
          name: "who",
          description: "",
          input: Schema.Struct({}),
          handler: () => Effect.map(Clerk, ({ name }) => name)
        })
      ])
      const ambient = Tools.layer([shop]).pipe(
        Layer.provide(Layer.merge(
          Layer.succeed(Store, { get: (n) => `item ${n}` }),
          Layer.succeed(Clerk, { name: "Ada" })
        ))
      )
      const host = yield* Effect.provide(Host.resolve({ toolSets: [Tools.toolSet("calc", [add])] }, {}), ambient)
      assert.deepStrictEqual(host.initialize, { sdkMcpServers: ["shop", "calc"] })
      const answer = yield* host.handlers["mcp_message"]!({
        subtype: "mcp_message",
        server_name: "shop",
        message: { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "try", arguments: { n: 3 } } }
      })
      assert.include(JSON.stringify(answer), "item 3")
    }))

  it.effect("that is not provided leaves the types in want of the services", () =>
    Effect.gen(function*() {
      const shop = Tools.toolSet("shop", [tool(() => Effect.map(Clerk, ({ name }) => name))])
      // @ts-expect-error the set still needs a Clerk
      const options: Parameters<typeof Claude.text>[1] = { toolSets: [shop] }
      assert.isDefined(options)
      const fits = yield* Effect.provideService(Tools.withContext(shop), Clerk, { name: "Ada" })
      assert.strictEqual(fits.name, "shop")
    }))
})
