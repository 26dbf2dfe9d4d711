import * as Claude from "@ccflow/core/Claude"
import { CurrentOptions } from "@ccflow/core/ClaudeConfig"
import * as ContextEncoder from "@ccflow/core/ContextEncoder"
import * as Events from "@ccflow/core/Events"
import * as Policies from "@ccflow/core/Policies"
import * as Session from "@ccflow/core/Session"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, Fiber, Layer, TestClock } from "effect"

const table = Array.from(
  { length: 12 },
  (_, id) => ({ id, name: `user ${id}`, role: id % 2 === 0 ? "admin" : "guest" })
)

/** What each process was told to add to its system prompt. */
const appended = Effect.flatMap(
  FakeCli.FakeCli,
  (fake) =>
    Effect.map(
      fake.started,
      (started) =>
        started.map(({ sent }) => (sent[0]?.["request"] as { readonly appendSystemPrompt?: string }).appendSystemPrompt)
    )
)

const four = FakeClaude.layer([FakeCli.answer("4"), FakeCli.answer("4"), FakeCli.answer("4")])

const echo = FakeClaude.layer({ respond: () => FakeCli.answer("one") })

const overloaded = FakeCli.apiError({
  status: 529,
  code: "server_error",
  type: "overloaded_error",
  message: "API Error: Overloaded"
})

/** Counts what is encoded. */
const counting = () => {
  const seen: Array<unknown> = []
  const { encode } = ContextEncoder.make()
  const layer = Layer.succeed(ContextEncoder.ContextEncoder, {
    encode: (data) => {
      seen.push(data)
      return encode(data)
    }
  })
  return { seen, layer }
}

/** What is told of encodings while the effect runs. */
const encodings = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.gen(function*() {
    const told: Array<Events.EventOf<"ContextEncoded">> = []
    const events = yield* Events.Events
    yield* events.observe((event) => {
      if (Events.is("ContextEncoded")(event)) told.push(event)
    })
    const value = yield* effect
    return { value, told }
  }))

describe("the context of a query", () => {
  it.effect("is added to the system prompt as a table, and its result says what that saves", () =>
    Effect.gen(function*() {
      const { context } = yield* Claude.result("Who is admin?", {
        context: { users: table },
        appendSystemPrompt: "Be brief."
      })
      const expected = Either.getOrThrow(ContextEncoder.encode({ users: table }))
      assert.deepStrictEqual(yield* appended, [`Be brief.\n\n${ContextEncoder.toBlock("Context", expected)}`])
      const { text: _, ...figures } = expected
      assert.strictEqual(figures.format, "toon")
      assert.deepStrictEqual(context, figures)
    }).pipe(Effect.provide(four)))

  it.effect("that TOON makes longer is sent as JSON, and the result is honest about it", () =>
    Effect.gen(function*() {
      const { context } = yield* Claude.result("x", { context: { a: 1 } })
      assert.deepStrictEqual(yield* appended, ["[Context]\n```json\n{\"a\":1}\n```"])
      assert.strictEqual(context?.format, "json")
      assert.isBelow(context?.savedTokens ?? 0, 0)
    }).pipe(Effect.provide(four)))

  it.effect("is not there where none was given", () => {
    const { layer, seen } = counting()
    return Effect.gen(function*() {
      assert.notProperty(yield* Claude.result("x"), "context")
      assert.deepStrictEqual(seen, [])
    }).pipe(Effect.provide(four), Effect.provide(layer))
  })

  it.effect("is sent once by each of many queries with the same options, which stay as they are", () => {
    const context = Object.freeze({ users: Object.freeze(table.map((row) => Object.freeze({ ...row }))) })
    const options = Object.freeze({ context, appendSystemPrompt: "Be brief." })
    return Effect.gen(function*() {
      yield* Effect.forEach(["a", "b", "c"], (prompt) => Claude.text(prompt, options))
      const [first, ...others] = yield* appended
      assert.strictEqual(first?.split("[Context]").length, 2)
      assert.deepStrictEqual(others, [first, first])
      assert.deepStrictEqual(options, { context: { users: table }, appendSystemPrompt: "Be brief." })
    }).pipe(Effect.provide(four))
  })

  it.effect("is encoded once, however often the query is tried", () => {
    const { layer, seen } = counting()
    return Effect.gen(function*() {
      const fiber = yield* Effect.fork(Claude.result("x", { context: table }))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Fiber.join(fiber)).context?.format, "toon")
      assert.strictEqual((yield* appended).length, 2)
      assert.strictEqual(seen.length, 1)
    }).pipe(
      Effect.provide(
        FakeClaude.layerWith(
          (index) => ({ turns: [index === 0 ? overloaded : FakeCli.answer("4")] }),
          Policies.layer
        )
      ),
      Effect.provide(layer)
    )
  })

  it.effect("may come from the client or the fiber", () =>
    Effect.gen(function*() {
      const { context } = yield* Claude.result("x")
      assert.strictEqual(context?.format, "toon")
    }).pipe(Effect.provideService(CurrentOptions, { context: table }), Effect.provide(four)))

  it.effect("is encoded as its program says", () =>
    Effect.gen(function*() {
      const { context } = yield* Claude.result("x", { context: table })
      assert.strictEqual(context?.format, "json")
      assert.deepStrictEqual(yield* appended, [`[Context]\n\`\`\`json\n${JSON.stringify(table)}\n\`\`\``])
    }).pipe(Effect.provide(four), Effect.provide(ContextEncoder.layer({ format: "json" }))))

  it.effect("is told of, in figures alone", () =>
    Effect.gen(function*() {
      const { told, value } = yield* encodings(Claude.result("x", { context: { users: table } }))
      assert.strictEqual(told.length, 1)
      const { _tag, at, callId, sessionId: _, traceId: __, ...figures } = told[0]!
      assert.deepStrictEqual(figures, value.context)
      assert.isString(callId)
      assert.notInclude(JSON.stringify(told), "user 3")
    }).pipe(Effect.provide(Layer.provideMerge(four, Events.layer))))

  it.effect("that JSON cannot hold is refused before anything is started", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Claude.text("x", { context: { amount: 5n } }))
      assert.strictEqual(error._tag === "InvalidOptionsError" ? error.field : error._tag, "context")
      assert.deepStrictEqual(yield* appended, [])
    }).pipe(Effect.provide(four)))
})

describe("the context of a turn", () => {
  it.scoped("stands behind the prompt, in the turn's result, and in no other", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const { context } = yield* Session.result(session, "a", { context: table })
      const { text: _, ...figures } = Either.getOrThrow(ContextEncoder.encode(table))
      assert.deepStrictEqual(context, figures)
      assert.notProperty(yield* Session.result(session, "b"), "context")
      const fake = yield* FakeCli.FakeCli
      const [first, second] = yield* fake.prompts
      assert.match(String(first), /^a\n\n\[Turn Context\]\nTOON: .*\n```toon\n\[12\]\{id,name,role\}:\n/)
      assert.strictEqual(second, "b")
    }).pipe(Effect.provide(echo)))

  it.scoped("is told with the session's own in the first turn's result", () =>
    Effect.gen(function*() {
      const events = yield* encodings(Effect.gen(function*() {
        const session = yield* Session.make({ context: { users: table } })
        const first = yield* Session.result(session, "a", { context: { day: "Friday" } })
        return [first.context, (yield* Session.result(session, "b")).context]
      }))
      const [one, other] = [{ users: table }, { day: "Friday" }].map((data) =>
        Either.getOrThrow(ContextEncoder.encode(data))
      )
      assert.deepStrictEqual(events.value, [
        {
          format: "toon",
          jsonTokens: one!.jsonTokens + other!.jsonTokens,
          toonTokens: one!.toonTokens + other!.toonTokens,
          savedTokens: one!.savedTokens + other!.savedTokens
        },
        undefined
      ])
      assert.deepStrictEqual(events.told.map(({ format }) => format), ["toon", "json"])
    }).pipe(Effect.provide(Layer.provideMerge(echo, Events.layer))))

  it.scoped("that JSON cannot hold is refused, and the session goes on", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const error = yield* Effect.flip(Session.text(session, "a", { context: 5n }))
      assert.strictEqual(error._tag === "InvalidOptionsError" ? error.field : error._tag, "context")
      assert.strictEqual(yield* Session.text(session, "a"), "one")
    }).pipe(Effect.provide(echo)))
})
