import * as Claude from "@ccflow/core/Claude"
import { CliSpawnError } from "@ccflow/core/ClaudeError"
import * as Policies from "@ccflow/core/Policies"
import type { Call } from "@ccflow/core/Policy"
import { layerNoop, RateLimiter } from "@ccflow/core/RateLimiter"
import * as Session from "@ccflow/core/Session"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, TestClock } from "effect"
import { around } from "../src/internal/streamed.js"
import { follow, processes, sending, settle, slowly } from "./sessions.js"

const overloaded = FakeCli.apiError({
  status: 529,
  code: "overloaded",
  type: "overloaded_error",
  message: "Overloaded"
})
const noRoom = { refuse: new CliSpawnError({ command: "claude", reason: "NoResources", code: "EAGAIN", hint: "" }) }
const echo = { respond: (prompt: string) => FakeCli.answer(`to ${prompt}`) }
/** Overloaded for so many turns, and then as always. */
const busyFor = (turns: number) => ({ turns: Array.from({ length: turns }, () => overloaded), ...echo })

const layerWith = (script: Parameters<typeof FakeCli.layer>[0], options: Policies.PolicyOptions = {}) =>
  FakeClaude.layerWith(script, Policies.layerWith(options))
const prompts = Effect.flatMap(FakeCli.FakeCli, ({ prompts }) => prompts)
/** The ids of the prompts, as the CLI has them. */
const uuids = Effect.gen(function*() {
  const { started } = yield* FakeCli.FakeCli
  return (yield* started).flatMap(({ sent }) => sent.flatMap((line) => line.type === "user" ? [line["uuid"]] : []))
})
const turnId = "7e57ab1e-0000-4000-8000-000000000001"

describe("a session's turn that is made again", { timeout: 20_000 }, () => {
  it.scoped("answers in the end, and those sent after it come after it", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const first = yield* sending(session, "a")
      const second = yield* sending(session, "b")
      assert.deepStrictEqual(yield* prompts, ["a"])
      assert.isFalse(second.ended())
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* first.result).result, "to a")
      assert.strictEqual((yield* second.result).result, "to b")
      assert.deepStrictEqual(yield* prompts, ["a", "a", "a", "b"])
      assert.notInclude(first.tags(), "Error")
    }).pipe(Effect.provide(layerWith(busyFor(2)))))

  it.scoped("fails with its last failure, and the next one has its own chance", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const first = yield* sending(session, "a")
      const second = yield* sending(session, "b")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Effect.flip(first.result))._tag, "OverloadedError")
      assert.deepStrictEqual(first.tags().slice(-5), ["Text", "Error", "Assistant", "Stop", "Result"])
      assert.strictEqual((yield* second.result).result, "to b")
    }).pipe(Effect.provide(layerWith(busyFor(4)))))

  it.scoped("is given up when it is interrupted while it waits, and the next one runs at once", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const first = yield* sending(session, "a")
      const second = yield* sending(session, "b")
      yield* session.interrupt
      yield* settle
      assert.deepInclude({ ...yield* Effect.flip(first.result) }, { _tag: "CliExitError", reason: "Interrupted" })
      assert.strictEqual((yield* second.result).result, "to b")
      assert.deepStrictEqual(yield* prompts, ["a", "b"])
    }).pipe(Effect.provide(layerWith(busyFor(1)))))

  it.scoped("is given up when its own signal comes while it waits", () =>
    Effect.gen(function*() {
      const stop = yield* Deferred.make<void>()
      const session = yield* Session.make()
      const turn = yield* sending(session, "a", { interruptWhen: Deferred.await(stop) })
      assert.isFalse(turn.ended())
      yield* Deferred.succeed(stop, undefined)
      yield* settle
      assert.deepInclude({ ...yield* Effect.flip(turn.result) }, { _tag: "CliExitError", reason: "Interrupted" })
      assert.strictEqual(yield* Session.text(session, "b"), "to b")
    }).pipe(Effect.provide(layerWith(busyFor(1)))))

  it.scoped("is not made again when it was interrupted before it failed", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* sending(session, "a")
      const interrupt = yield* Effect.fork(session.interrupt)
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(interrupt)
      assert.strictEqual((yield* Effect.flip(turn.result))._tag, "CliExitError")
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* prompts, ["a"])
    }).pipe(Effect.provide(layerWith({
      turns: [[FakeCli.init(), FakeCli.delay("1 second"), ...overloaded.slice(1)]],
      controls: { interrupt: () => ({}) }
    }))))

  it.scoped("that is interrupted is not the one after it", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ includePartialMessages: true })
      const first = yield* sending(session, "abcdef")
      yield* TestClock.adjust("2 seconds")
      yield* session.interrupt
      assert.isTrue((yield* first.result).interrupted)
      const second = yield* sending(session, "b")
      yield* TestClock.adjust("500 millis")
      assert.isFalse(second.ended())
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* second.result).result, "to b")
    }).pipe(Effect.provide(layerWith({ turns: [slowly("abcdef", 6), overloaded], ...echo }))))

  it.scoped("fails when the session is closed while it waits", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const first = yield* sending(session, "a")
      const second = yield* sending(session, "b")
      yield* session.close
      yield* settle
      assert.strictEqual((yield* Effect.flip(first.result))._tag, "SessionClosedError")
      assert.strictEqual((yield* Effect.flip(second.result))._tag, "SessionClosedError")
      assert.deepStrictEqual(yield* processes, { started: 1, running: 0 })
    }).pipe(Effect.provide(layerWith(busyFor(9)))))

  it.scoped("leaves its place when its consumer leaves while it waits", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const first = yield* sending(session, "a")
      const second = yield* sending(session, "b")
      yield* Fiber.interrupt(first.fiber)
      yield* settle
      assert.strictEqual((yield* second.result).result, "to b")
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* prompts, ["a", "b"])
    }).pipe(Effect.provide(layerWith(busyFor(1)))))

  it.scoped("keeps the id that was chosen for it when the prompt had not been sent", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* sending(session, "a", { turnId })
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* turn.result).result, "to a")
      assert.deepStrictEqual(yield* uuids, [turnId])
    }).pipe(Effect.provide(layerWith((index) => index === 0 ? noRoom : echo))))

  it.scoped("has another id when the prompt had been sent under the one that was chosen, which is used up", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* sending(session, "a", { turnId })
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* turn.result).result, "to a")
      const [first, second] = yield* uuids
      assert.strictEqual(first, turnId)
      assert.notStrictEqual(second, turnId)
      const again = yield* sending(session, "b", { turnId })
      assert.deepInclude({ ...yield* Effect.flip(again.result) }, { _tag: "InvalidOptionsError", field: "turnId" })
    }).pipe(Effect.provide(layerWith(busyFor(1)))))

  it.scoped("does not wait for a consumer that never reads, and neither does the next", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const unread = yield* Claude.toPull(session.send("a"))
      const second = yield* sending(session, "b")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* second.result).result, "to b")
      assert.isAbove((yield* unread).length, 0)
    }).pipe(Effect.provide(layerWith(busyFor(1)))))
})

describe("a session's turn", { timeout: 20_000 }, () => {
  it.scoped("is refused when the breaker is open, and starts nothing", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      for (const tag of ["CliSpawnError", "CliSpawnError", "CircuitBreakerError"]) {
        assert.strictEqual((yield* Effect.flip(Session.text(session, "a")))._tag, tag)
      }
      assert.strictEqual((yield* processes).started, 2)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* Session.text(session, "b"), "to b")
    }).pipe(Effect.provide(layerWith((index) => index < 2 ? noRoom : echo, {
      retry: false,
      circuitBreaker: { failureThreshold: 2 }
    }))))

  it.scoped("that waits for a limiter keeps its place", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const all = yield* Effect.forEach(["a", "b", "c"], (prompt) => sending(session, prompt))
      assert.deepStrictEqual(yield* prompts, [])
      yield* TestClock.adjust("20 seconds")
      for (const turn of all) assert.isTrue(turn.ended())
      assert.deepStrictEqual(yield* prompts, ["a", "b", "c"])
    }).pipe(
      Effect.provide(FakeClaude.layerWith(echo, Layer.merge(Policies.layerWith({}), slower(["5 seconds", "1 second"]))))
    ))

  it.scoped("that is interrupted while it waits for a limiter is never sent", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const first = yield* sending(session, "a")
      yield* session.interrupt
      yield* settle
      assert.deepInclude({ ...yield* Effect.flip(first.result) }, { _tag: "CliExitError", reason: "Interrupted" })
      const second = yield* follow(session.send("b"))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* second.result).result, "to b")
      assert.deepStrictEqual(yield* prompts, ["b"])
    }).pipe(Effect.provide(FakeClaude.layerWith(echo, Layer.merge(Policies.layerWith({}), slower(["5 seconds"]))))))
})

// ---------------------------------------------------------------------------

/** Lets the first call wait for the first of these, and so on; those beyond for nothing. */
const slower = (waits: ReadonlyArray<"5 seconds" | "1 second">) =>
  Layer.effect(
    RateLimiter,
    Effect.map(RateLimiter, (limiter) => {
      let calls = 0
      return {
        ...limiter,
        around: (call: Call) => around((open) => Effect.zipRight(call.wait(Effect.sleep(waits[calls++] ?? 0)), open))
      }
    })
  ).pipe(Layer.provide(layerNoop))
