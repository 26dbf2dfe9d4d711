import * as Claude from "@ccflow/core/Claude"
import { CurrentOptions } from "@ccflow/core/ClaudeConfig"
import { type ClaudeError, CliNotFoundError } from "@ccflow/core/ClaudeError"
import * as Message from "@ccflow/core/Message"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Deferred, Effect, Fiber, Option, Schema, Stream, TestClock } from "effect"

const tags = (messages: Iterable<Message.Message>) => Array.from(messages, (message) => message._tag)

/** What a query gave before it ended, and how it ended. */
const collect = (options?: Claude.ClaudeOptions, prompt: Claude.Prompt = "hi") =>
  Effect.gen(function*() {
    const seen: Array<Message.Message> = []
    const end = yield* Claude.query(prompt, options).pipe(
      Stream.runForEach((message) => Effect.sync(() => seen.push(message))),
      Effect.either
    )
    return { seen, error: end._tag === "Left" ? end.left : undefined }
  })

const failure = (options?: Claude.ClaudeOptions, prompt?: Claude.Prompt) =>
  Effect.map(collect(options, prompt), ({ error }): ClaudeError => error ?? assert.fail("the query ended well"))

const nothingRuns = Effect.gen(function*() {
  const fake = yield* FakeCli.FakeCli
  assert.isTrue((yield* fake.started).every((started) => !started.running), "a CLI still runs")
})

const background = (...ids: ReadonlyArray<string>) =>
  FakeCli.emit({ type: "system", subtype: "background_tasks_changed", tasks: ids.map((id) => ({ task_id: id })) })

describe("Claude.query", () => {
  it.effect("yields the messages of the turn in order and ends with the CLI", () =>
    Effect.gen(function*() {
      const messages = yield* Stream.runCollect(Claude.query("What is 2+2?"))
      assert.deepStrictEqual(tags(messages), ["Init", "Text", "Assistant", "Stop", "Result"])
      assert.strictEqual(Chunk.toReadonlyArray(messages).reduce(Message.appendText, ""), "4")
      const fake = yield* FakeCli.FakeCli
      assert.deepStrictEqual(yield* fake.prompts, ["What is 2+2?"])
      yield* nothingRuns
    }).pipe(Effect.provide(FakeClaude.layer([FakeCli.answer("4")]))))

  it.effect("sends blocks as they are", () =>
    Effect.gen(function*() {
      const blocks = [{ type: "text", text: "look" }, { type: "image", source: { type: "base64", data: "" } }]
      yield* Claude.text(blocks)
      const fake = yield* FakeCli.FakeCli
      assert.deepStrictEqual(yield* fake.prompts, [blocks])
    }).pipe(Effect.provide(FakeClaude.layer([FakeCli.answer("seen")]))))

  it.effect("is a value: running it twice starts two processes", () =>
    Effect.gen(function*() {
      const query = Claude.query("again")
      yield* Stream.runDrain(query)
      yield* Stream.runDrain(query)
      const fake = yield* FakeCli.FakeCli
      assert.strictEqual((yield* fake.started).length, 2)
    }).pipe(Effect.provide(FakeClaude.layer([FakeCli.answer("4")]))))

  it.effect("ends the process when the consumer leaves early, or is interrupted", () =>
    Effect.gen(function*() {
      yield* Claude.query("x").pipe(Stream.take(1), Stream.runDrain)
      yield* nothingRuns
      const fiber = yield* Effect.fork(Stream.runDrain(Claude.query("y")))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      yield* nothingRuns
    }).pipe(Effect.provide(FakeClaude.layer([[FakeCli.init(), FakeCli.hang]]))))

  it.effect("refuses an empty prompt and bad options before anything starts", () =>
    Effect.gen(function*() {
      for (const prompt of ["", " \n", []]) {
        const error = yield* failure({}, prompt)
        assert.strictEqual(error._tag === "InvalidOptionsError" && error.field, "prompt")
      }
      const error = yield* failure({ maxTurns: -1 })
      assert.strictEqual(error._tag === "InvalidOptionsError" && error.field, "maxTurns")
      const fake = yield* FakeCli.FakeCli
      assert.deepStrictEqual(yield* fake.started, [])
    }).pipe(Effect.provide(FakeClaude.layer([]))))

  it.effect("fails with the error of a CLI that does not start", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* failure())._tag, "CliNotFoundError")
    }).pipe(Effect.provide(FakeClaude.layer(() => ({
      turns: [],
      refuse: new CliNotFoundError({ command: "claude", hint: "Install it." })
    })))))

  it.effect("takes options from the call before those of the fiber", () =>
    Effect.gen(function*() {
      yield* Claude.text("x", { model: "call" }).pipe(
        Effect.provideService(CurrentOptions, { model: "fiber", maxTurns: 3 })
      )
      const fake = yield* FakeCli.FakeCli
      const [started] = yield* fake.started
      assert.includeMembers([...started!.invocation.args], ["--model=call", "--max-turns=3"])
    }).pipe(Effect.provide(FakeClaude.layer([FakeCli.answer("4")]))))
})

describe("the answer", () => {
  it.effect("text is the result's, not what the deltas joined to", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Claude.text("x", { includePartialMessages: true }), "4")
    }).pipe(Effect.provide(FakeClaude.layer([[
      FakeCli.init(),
      FakeCli.text("let me see", { deltas: 4 }),
      FakeCli.result({ result: "4" })
    ]]))))

  it.effect("is that of the user's turn, not of one that the CLI started itself", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Claude.text("x"), "mine")
    }).pipe(
      Effect.provide(FakeClaude.layer([[
        FakeCli.init(),
        background("bg1"),
        FakeCli.result({ result: "mine" }),
        FakeCli.delay("3 seconds"),
        background(),
        FakeCli.init(),
        FakeCli.result({ result: "notification", origin: { kind: "task-notification" }, is_error: true })
      ]])),
      Effect.fork,
      Effect.tap(TestClock.adjust("10 seconds")),
      Effect.flatMap(Fiber.join)
    ))

  it.effect("structured output comes back decoded", () =>
    Effect.gen(function*() {
      const answer = yield* Claude.structured("x", Schema.Struct({ at: Schema.Date }))
      assert.strictEqual(answer.at.getUTCFullYear(), 2026)
    }).pipe(Effect.provide(FakeClaude.layer([[
      FakeCli.init(),
      FakeCli.result({ structured_output: { at: "2026-01-01T00:00:00.000Z" } })
    ]]))))

  it.effect("structured output that an interrupt came before is a failure, and not nothing", () =>
    Effect.gen(function*() {
      const stop = yield* Deferred.make<void>()
      const interruptWhen = Deferred.await(stop)
      const fiber = yield* Effect.fork(
        Effect.flip(Claude.structured("x", Schema.Struct({ at: Schema.Date }), { interruptWhen }))
      )
      yield* TestClock.adjust("1 second")
      yield* Deferred.succeed(stop, undefined)
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "StructuredOutputError")
    }).pipe(Effect.provide(FakeClaude.layer([[FakeCli.init(), FakeCli.text("half"), FakeCli.hang]]))))

  it.effect("survives a CLI that has changed what it says beside it", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Claude.text("x"), "4")
    }).pipe(Effect.provide(FakeClaude.layer([[
      FakeCli.init({ tools: [{ name: "Bash" }] }),
      FakeCli.result({ result: "4", usage: "much", permission_denials: [{ tool: "Bash" }], modelUsage: [] })
    ]]))))

  it.effect("stays good when the process ends badly after it", () =>
    Effect.gen(function*() {
      const { error, seen } = yield* collect()
      assert.isUndefined(error)
      assert.strictEqual(seen.at(-1)?._tag, "Result")
    }).pipe(Effect.provide(FakeClaude.layer([[...FakeCli.answer("4"), FakeCli.exit(1)]]))))
})

describe("the end of a run", () => {
  it.effect("exit 0 without a result is a failure, after everything that was seen", () =>
    Effect.gen(function*() {
      const { error, seen } = yield* collect()
      assert.strictEqual(error?._tag, "MissingResultError")
      assert.deepStrictEqual(tags(seen), ["Init", "Text", "Assistant"])
    }).pipe(Effect.provide(FakeClaude.layer([[FakeCli.init(), FakeCli.text("half"), FakeCli.exit(0)]]))))

  it.effect("a CLI that stays after its answer is not waited for longer than 5 seconds", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(collect())
      yield* TestClock.adjust("4 seconds")
      assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
      yield* TestClock.adjust("1 second")
      const { error, seen } = yield* Fiber.join(fiber)
      assert.isUndefined(error)
      assert.strictEqual(seen.at(-1)?._tag, "Result")
      yield* nothingRuns
    }).pipe(Effect.provide(FakeClaude.layer([[...FakeCli.answer("4"), FakeCli.hang]]))))

  it.effect("background work is waited for, with its messages, but not for ever", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(collect({ backgroundTimeout: "1 minute" }))
      yield* TestClock.adjust("59 seconds")
      assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
      yield* TestClock.adjust("1 second")
      yield* TestClock.adjust("5 seconds")
      const { error, seen } = yield* Fiber.join(fiber)
      assert.isUndefined(error)
      assert.deepStrictEqual(tags(seen), ["Init", "Task", "Stop", "Result"])
    }).pipe(Effect.provide(FakeClaude.layer([[FakeCli.init(), background("bg1"), FakeCli.result(), FakeCli.hang]]))))

  it.effect("input stays open while background work lives, and is closed after", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(collect())
      yield* TestClock.adjust("30 seconds")
      const { error, seen } = yield* Fiber.join(fiber)
      assert.isUndefined(error)
      assert.deepStrictEqual(tags(seen), [
        "Init",
        "Task",
        "Stop",
        "Result",
        "Task",
        "Init",
        "Text",
        "Assistant",
        "Stop",
        "Result"
      ])
    }).pipe(Effect.provide(FakeClaude.layer([[
      FakeCli.init(),
      background("bg1"),
      FakeCli.result(),
      FakeCli.delay("20 seconds"),
      background(),
      FakeCli.init(),
      FakeCli.text("the command has ended"),
      FakeCli.result({ origin: { kind: "task-notification" } })
    ]]))))

  it.effect("an interrupt that was asked for ends it well, with what there was", () =>
    Effect.gen(function*() {
      const stop = yield* Deferred.make<void>()
      const fiber = yield* Effect.fork(collect({ interruptWhen: Deferred.await(stop) }))
      yield* TestClock.adjust("1 second")
      yield* Deferred.succeed(stop, undefined)
      const { error, seen } = yield* Fiber.join(fiber)
      assert.isUndefined(error)
      assert.deepStrictEqual(tags(seen), ["Init", "Text", "Assistant", "Stop", "Result"])
      const last = seen.at(-1)
      assert.strictEqual(last?._tag === "Result" && last.interrupted && last.result, "half", "and not a diagnostic")
    }).pipe(Effect.provide(FakeClaude.layer([[FakeCli.init(), FakeCli.text("half"), FakeCli.hang]]))))
})

describe("deadlines run on the clock, not on output", () => {
  const timeout = (error: ClaudeError | undefined) => error?._tag === "CliTimeoutError" ? error.phase : error?._tag

  it.effect("startup: a CLI that says nothing", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(collect({ startupTimeout: "10 seconds" }))
      yield* TestClock.adjust("9 seconds")
      assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(timeout((yield* Fiber.join(fiber)).error), "startup")
      yield* nothingRuns
    }).pipe(Effect.provide(FakeClaude.layer([[FakeCli.hang]]))))

  it.effect("stall: a CLI that falls silent, counted from its last line", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(collect({ stallTimeout: "1 minute" }))
      yield* TestClock.adjust("100 seconds")
      assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(timeout((yield* Fiber.join(fiber)).error), "stall")
    }).pipe(Effect.provide(FakeClaude.layer([[
      FakeCli.init(),
      FakeCli.delay("50 seconds"),
      FakeCli.text("still here"),
      FakeCli.hang
    ]]))))

  it.effect("stall: a tool that runs long is none", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(collect({ stallTimeout: "1 minute" }))
      yield* TestClock.adjust("2 hours")
      assert.isUndefined((yield* Fiber.join(fiber)).error)
    }).pipe(Effect.provide(FakeClaude.layer([[
      FakeCli.init(),
      FakeCli.toolUse("toolu_1", "Bash", { command: "make" }),
      FakeCli.delay("1 hour"),
      FakeCli.toolResult("toolu_1", "ok"),
      ...FakeCli.answer("built").slice(1)
    ]]))))

  it.effect("stall: a consumer that is slow is none", () =>
    Effect.gen(function*() {
      const query = Claude.query("x", { stallTimeout: "1 minute" }).pipe(
        Stream.tap((message) => message._tag === "Init" ? Effect.sleep("1 hour") : Effect.void),
        Stream.runCount
      )
      const fiber = yield* Effect.fork(query)
      yield* TestClock.adjust("2 hours")
      assert.strictEqual(yield* Fiber.join(fiber), 6003)
    }).pipe(Effect.provide(FakeClaude.layer([[
      FakeCli.init(),
      ...Array.from({ length: 3000 }, (_, index) => FakeCli.text(`${index}`)),
      FakeCli.result()
    ]]))))

  it.effect("total: a CLI that goes on for ever", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(collect({ timeout: "5 minutes" }))
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(timeout((yield* Fiber.join(fiber)).error), "total")
      yield* nothingRuns
    }).pipe(Effect.provide(FakeClaude.layer([[
      FakeCli.init(),
      ...Array.from({ length: 100 }, () => [FakeCli.delay("10 seconds"), FakeCli.text("more")]).flat()
    ]]))))

  it.effect("total: an answer that has come is not taken back", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(collect({ timeout: "2 seconds" }))
      yield* TestClock.adjust("10 seconds")
      assert.isUndefined((yield* Fiber.join(fiber)).error)
    }).pipe(Effect.provide(FakeClaude.layer([[...FakeCli.answer("4"), FakeCli.hang]]))))
})

describe("the control channel", () => {
  it.effect("initialize goes first, and the prompt waits until it was accepted", () =>
    Effect.gen(function*() {
      yield* Claude.text("x", { systemPrompt: "Be brief.", context: { tests: "`green`" } })
      const fake = yield* FakeCli.FakeCli
      const [started] = yield* fake.started
      assert.deepStrictEqual(started!.sent.map((frame) => frame.type), ["control_request", "user"])
      assert.deepInclude(started!.sent[0]!["request"], { subtype: "initialize", systemPrompt: ["Be brief."] })
    }).pipe(Effect.provide(FakeClaude.layer([FakeCli.answer("4")]))))

  it.effect("a request that we do not know is answered, so that the CLI does not wait", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Claude.text("x"), "went on")
      const fake = yield* FakeCli.FakeCli
      const reply = (yield* fake.started)[0]!.sent.find((frame) => frame.type === "control_response")
      assert.deepInclude(reply?.["response"], { subtype: "error", error_code: "unsupported_request" })
    }).pipe(Effect.provide(FakeClaude.layer([[
      FakeCli.init(),
      FakeCli.askPermission("Bash", { command: "ls" }),
      ...FakeCli.answer("went on").slice(1)
    ]]))))

  it.effect("a request is answered though the consumer never pulls", () =>
    Effect.gen(function*() {
      yield* Effect.scoped(Effect.gen(function*() {
        const pull = yield* Stream.toPull(Claude.query("x"))
        yield* pull
        yield* TestClock.adjust("1 second")
        const fake = yield* FakeCli.FakeCli
        const [started] = yield* fake.started
        assert.isDefined(started?.sent.find((frame) => frame.type === "control_response"))
      }))
      yield* nothingRuns
    }).pipe(Effect.provide(FakeClaude.layer([[FakeCli.init(), FakeCli.askPermission("Bash", {}), FakeCli.hang]]))))
})

describe("a slow consumer", () => {
  it.effect("gets every message in order", () =>
    Effect.gen(function*() {
      const query = Claude.query("x").pipe(
        Stream.filter(Message.is("Text")),
        Stream.map((message) => Number(message.content)),
        Stream.tap((index) => index % 50 === 0 ? Effect.sleep("1 second") : Effect.void),
        Stream.runCollect
      )
      const fiber = yield* Effect.fork(query)
      yield* TestClock.adjust("10 minutes")
      const numbers = Chunk.toReadonlyArray(yield* Fiber.join(fiber))
      assert.deepStrictEqual(numbers, Array.from({ length: 4000 }, (_, index) => index))
    }).pipe(Effect.provide(FakeClaude.layer([[
      FakeCli.init(),
      ...Array.from({ length: 4000 }, (_, index) => FakeCli.text(`${index}`)),
      FakeCli.result()
    ]]))))
})
