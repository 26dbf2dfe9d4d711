import type * as Claude from "@ccflow/core/Claude"
import * as Deadline from "@ccflow/core/Deadline"
import * as Permissions from "@ccflow/core/Permissions"
import * as Session from "@ccflow/core/Session"
import * as SessionRepository from "@ccflow/core/SessionRepository"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Fiber, Layer, Stream, TestClock } from "effect"
import {
  asking,
  asksPermission,
  deaf,
  endsAfter,
  errorOf,
  layerOf,
  nothingRuns,
  pausing,
  retry,
  slowly,
  status,
  unheard
} from "./deadlines.js"
import { processes, sending } from "./sessions.js"

describe("a silence", () => {
  const stalls = (script: FakeCli.Turn, after: number, options: Claude.ClaudeOptions = {}) =>
    Effect.gen(function*() {
      const query = yield* asking({ stallTimeout: "10 seconds", ...options })
      yield* endsAfter(query, after)
      assert.deepInclude(yield* errorOf(query), { phase: "stall", timeoutMs: 10_000 })
      const session = yield* Session.make({ stallTimeout: "10 seconds", ...options })
      const turn = yield* sending(session, "go")
      yield* endsAfter(turn, after)
      assert.deepInclude(yield* errorOf(turn), { phase: "stall", timeoutMs: 10_000 })
    }).pipe(Effect.provide(layerOf({ respond: () => [FakeCli.init(), ...script, FakeCli.hang] })))

  it.scoped("that the CLI has announced is no stall, and each announcement extends it", () =>
    stalls([retry(60_000), FakeCli.delay("60 seconds"), retry(30_000)], 100_000))

  it.scoped("that was announced may be broken before, and lasts as long", () =>
    stalls([retry(60_000), FakeCli.delay("1 second"), status("requesting")], 70_000))

  it.scoped("is none while the CLI compacts", () =>
    stalls([status("compacting"), FakeCli.delay("5 minutes"), status(null)], 310_000))

  it.scoped("is none while a hook of the settings runs", () =>
    stalls([
      FakeCli.emit({ type: "system", subtype: "hook_started", hook_id: "h", hook_name: "Stop", hook_event: "Stop" }),
      FakeCli.delay("5 minutes"),
      FakeCli.emit({
        type: "system",
        subtype: "hook_response",
        hook_id: "h",
        hook_name: "Stop",
        hook_event: "Stop",
        output: "",
        stdout: "",
        stderr: "",
        outcome: "success"
      })
    ], 310_000))

  it.scoped("is none while the program decides, and begins with the answer, also where no line follows", () =>
    stalls([asksPermission], 70_000, { permissions: () => Effect.as(Effect.sleep("1 minute"), Permissions.allow()) }))

  it.scoped("is none while a tool runs, for which nobody wakes", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ stallTimeout: "10 seconds" })
      const [query, turn] = [yield* asking({ stallTimeout: "10 seconds" }), yield* sending(session, "go")]
      yield* TestClock.adjust("1 minute")
      const waking = Chunk.filter(yield* TestClock.sleeps(), Number.isFinite)
      assert.strictEqual(Chunk.size(waking), 2, "those of the two fake CLIs")
      yield* TestClock.adjust("2 hours")
      for (const late of [query, turn]) assert.deepInclude(yield* errorOf(late), { phase: "stall" })
    }).pipe(Effect.provide(layerOf({
      respond: () => [
        FakeCli.init(),
        FakeCli.toolUse("t", "Bash", {}),
        FakeCli.delay("1 hour"),
        FakeCli.toolResult("t", "ok"),
        FakeCli.hang
      ]
    }))))

  it.scoped("counts from when a consumer takes again what had held up the CLI", () =>
    Effect.gen(function*() {
      const query = yield* pausing({ stallTimeout: "1 minute" }, Effect.sleep("1 hour"))
      yield* endsAfter(query, 3_660_000)
      assert.deepInclude(yield* errorOf(query), { phase: "stall" })
    }).pipe(Effect.provide(layerOf([[
      FakeCli.init(),
      ...Array.from({ length: 3000 }, (_, index) => FakeCli.text(`${index}`)),
      FakeCli.hang
    ]]))))

  it.scoped("that a slow store makes is none", () =>
    Effect.gen(function*() {
      const real = yield* SessionRepository.SessionRepository
      const slow = {
        ...real,
        progress: (...args: Parameters<typeof real.progress>) => Effect.delay(real.progress(...args), 6000)
      }
      const session = yield* Effect.provideService(
        Session.make({ stallTimeout: "2 seconds" }),
        SessionRepository.SessionRepository,
        slow
      )
      const turn = yield* sending(session, "go")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* turn.result).result, "b")
    }).pipe(Effect.provide(Layer.merge(
      SessionRepository.layerMemory,
      layerOf([[
        FakeCli.init(),
        FakeCli.text("a"),
        FakeCli.delay("100 millis"),
        ...FakeCli.answer("b").slice(1)
      ]])
    ))))
})

describe("while a process waits for its slot", () => {
  it.scoped("the whole time runs, and nothing is started when it is up", () =>
    Effect.gen(function*() {
      const query = yield* asking({ timeout: "5 seconds" })
      yield* endsAfter(query, 5000)
      const error = yield* errorOf(query)
      assert.deepInclude(error, { phase: "total", frames: 0, sessionId: "", partial: "", costUsd: null })
      assert.include(error.hint, "maxConcurrent")
      const session = yield* Session.make({ timeout: "5 seconds" })
      const turn = yield* sending(session, "x")
      yield* endsAfter(turn, 5000)
      assert.deepInclude(yield* errorOf(turn), { phase: "total", frames: 0 })
      assert.deepStrictEqual(yield* processes, { started: 0, running: 0 })
    }).pipe(Effect.provide(layerOf([FakeCli.answer("4")], { slot: Effect.never }))))

  it.scoped("neither the start-up clock runs nor silence counts", () =>
    Effect.gen(function*() {
      const query = yield* asking({ startupTimeout: "10 seconds" })
      yield* endsAfter(query, 310_000)
      assert.deepInclude(yield* errorOf(query), { phase: "startup", timeoutMs: 10_000 })
      const session = yield* Session.make({ startupTimeout: "10 seconds" })
      const turn = yield* sending(session, "x")
      yield* endsAfter(turn, 310_000)
      assert.deepInclude(yield* errorOf(turn), { phase: "startup", timeoutMs: 10_000 })
    }).pipe(Effect.provide(layerOf(
      { turns: [[FakeCli.hang]], controls: { initialize: () => FakeCli.unanswered } },
      { slot: Effect.sleep("5 minutes") }
    ))))
})

describe("a session's turn whose time is up", () => {
  it.scoped("has in its error what there was, is on record with it, and the session takes the next one", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ includePartialMessages: true })
      const { changes } = yield* Deadline.Deadline
      const told = yield* Effect.fork(Stream.runCollect(Stream.take(changes, 1)))
      const turn = yield* sending(session, "abcdef", { timeout: "3500 millis" })
      yield* endsAfter(turn, 3500)
      const error = yield* errorOf(turn)
      const result = turn.messages.findLast(({ _tag }) => _tag === "Result")
      assert.deepInclude(error, { phase: "total", partial: "abc", sessionId: yield* session.id })
      assert.strictEqual(error.costUsd, result?._tag === "Result" ? result.costUsd : undefined)
      assert.include(error.hint, "the session goes on")
      assert.deepStrictEqual([...yield* Fiber.join(told)], [error])
      const next = yield* sending(session, "g")
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* next.result).result, "g")
      const { turns } = yield* SessionRepository.SessionRepository
      const [first] = (yield* turns(yield* session.id)).turns
      assert.deepInclude(first, { status: "failed", seen: "abc", costUsd: error.costUsd ?? -1 })
      assert.deepStrictEqual(yield* processes, { started: 1, running: 1 })
    }).pipe(Effect.provide(Layer.merge(SessionRepository.layerMemory, layerOf({ respond: slowly })))))

  it.scoped("fails within 2 seconds though the CLI is deaf, which is then replaced", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ includePartialMessages: true })
      const turn = yield* sending(session, "abcdefghijklmnopqrstuvwxyz", { timeout: "1500 millis" })
      yield* endsAfter(turn, 3500)
      assert.deepInclude(yield* errorOf(turn), { phase: "total", partial: "abc", costUsd: null })
      const next = yield* sending(session, "z")
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual((yield* next.result).result, "z")
      assert.deepStrictEqual(yield* processes, { started: 2, running: 1 })
    }).pipe(Effect.provide(layerOf({ respond: slowly, controls: unheard }, { change: deaf }))))

  it.scoped("ends well all the same with the whole answer that was on its way", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* sending(session, "ab", { timeout: "1500 millis" })
      yield* TestClock.adjust("5 seconds")
      assert.include(yield* turn.result, { result: "ab", interrupted: false })
    }).pipe(Effect.provide(layerOf({ respond: slowly, controls: { interrupt: () => ({}) } }))))

  it.scoped("stalls also where the CLI does not take the prompt", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ stallTimeout: "10 seconds" })
      const turn = yield* sending(session, "x")
      yield* endsAfter(turn, 12_000)
      assert.deepInclude(yield* errorOf(turn), { phase: "stall" })
      assert.deepStrictEqual(yield* Effect.flatMap(FakeCli.FakeCli, (fake) => fake.prompts), [])
      yield* TestClock.adjust("10 seconds")
      yield* nothingRuns
    }).pipe(Effect.provide(layerOf([], {
      change: (cli) => ({
        ...cli,
        send: (text) => text.includes("\"user\"") ? Effect.as(cli.exit, false) : cli.send(text)
      })
    }))))

  it.scoped("takes the times of the layer where it has none of its own", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* sending(session, "x")
      yield* endsAfter(turn, 2000)
      assert.deepInclude(yield* errorOf(turn), { phase: "stall", timeoutMs: 2000 })
      const patient = yield* sending(session, "x", { stallTimeout: "5 seconds" })
      yield* endsAfter(patient, 5000)
      const query = yield* asking({})
      yield* endsAfter(query, 2000)
    }).pipe(Effect.provide(layerOf(
      { respond: () => [FakeCli.init(), FakeCli.hang] },
      { deadlines: { stallTimeout: "2 seconds" } }
    ))))
})
