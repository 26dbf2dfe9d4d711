import * as Claude from "@ccflow/core/Claude"
import { ClaudeConfig } from "@ccflow/core/ClaudeConfig"
import { CliSpawnError } from "@ccflow/core/ClaudeError"
import * as MessageParser from "@ccflow/core/MessageParser"
import * as Policies from "@ccflow/core/Policies"
import * as Session from "@ccflow/core/Session"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Scope, TestClock } from "effect"
import { follow, identities, layerOf, processes, sending, settle, subtypes } from "./sessions.js"

const echo = { respond: (prompt: string) => FakeCli.answer(`to ${prompt}`) }

describe("processes that are kept warm", () => {
  it.scoped("are started and asked what they are before anybody needs one", () =>
    Effect.gen(function*() {
      yield* settle
      assert.deepStrictEqual(yield* processes, { started: 2, running: 2 })
      assert.deepStrictEqual(yield* subtypes(0), ["initialize"])
    }).pipe(Effect.provide(layerOf(echo, { warm: 2 }))))

  it.scoped("are used once, by one session, whose id is the process's, and another one takes the place", () =>
    Effect.gen(function*() {
      yield* settle
      const first = yield* Session.make()
      const second = yield* Session.make()
      yield* settle
      const ids = [yield* first.id, yield* second.id]
      assert.deepStrictEqual((yield* identities).slice(0, 1), [`--session-id=${ids[0]}`])
      assert.strictEqual(yield* Session.text(first, "a"), "to a")
      assert.strictEqual(yield* Session.text(second, "b"), "to b")
      assert.strictEqual(yield* Session.text(first, "c"), "to c")
      assert.deepStrictEqual(yield* subtypes(0), ["initialize"])
      assert.strictEqual(new Set(yield* identities).size, (yield* identities).length)
      const { started } = yield* FakeCli.FakeCli
      const used = (yield* started).filter(({ sent }) => sent.some(({ type }) => type === "user"))
      assert.strictEqual(used.length, 2)
      yield* first.close
      yield* second.close
      assert.strictEqual((yield* processes).running, 1)
    }).pipe(Effect.provide(layerOf(echo, { warm: 1 }))))

  it.scoped("serve queries, too", () =>
    Effect.gen(function*() {
      yield* settle
      assert.strictEqual(yield* Claude.text("a"), "to a")
      yield* settle
      assert.deepStrictEqual(yield* processes, { started: 2, running: 1 })
      assert.deepStrictEqual(yield* subtypes(0), ["initialize"])
    }).pipe(Effect.provide(layerOf(echo, { warm: 1 }))))

  it.scoped("are gone with the query that they serve, also when it is left in the middle", () =>
    Effect.gen(function*() {
      yield* settle
      const query = yield* follow(Claude.query("a"))
      assert.deepStrictEqual(query.tags(), ["Init"])
      const leaving = yield* Effect.fork(Fiber.interrupt(query.fiber))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(leaving)
      const { started } = yield* FakeCli.FakeCli
      assert.deepStrictEqual((yield* started).map(({ running }) => running), [false, true])
    }).pipe(Effect.provide(layerOf({ turns: [[FakeCli.init(), FakeCli.hang]] }, { warm: 1 }))))

  it.scoped("are not for those who want other options", () =>
    Effect.gen(function*() {
      yield* settle
      const before = (yield* identities)[0]
      for (const options of [{ model: "haiku" }, { appendSystemPrompt: "x" }, { env: { A: "1" } }, { resume: "r" }]) {
        const session = yield* Session.make(options)
        yield* Session.text(session, "a")
        assert.notStrictEqual(`--session-id=${yield* session.id}`, before)
        yield* session.close
      }
      const { started } = yield* FakeCli.FakeCli
      assert.isTrue((yield* started)[0]!.running)
      assert.isFalse((yield* started)[0]!.sent.some(({ type }) => type === "user"))
    }).pipe(Effect.provide(layerOf(echo, { warm: 1 }))))

  it.scoped("that die while they wait are not given away", () =>
    Effect.gen(function*() {
      yield* settle
      yield* TestClock.adjust("1 minute")
      const session = yield* Session.make()
      assert.notInclude((yield* identities)[0], yield* session.id)
      assert.strictEqual(yield* Session.text(session, "a"), "to a")
      const { started } = yield* FakeCli.FakeCli
      assert.isFalse((yield* started)[0]!.sent.some(({ type }) => type === "user"))
    }).pipe(Effect.provide(layerOf((index) =>
      index === 0 ? { start: [FakeCli.delay("1 second"), FakeCli.kill("SIGKILL")] } : echo, { warm: 1 }))))

  it.scoped("that die between being given away and their first turn are replaced", () =>
    Effect.gen(function*() {
      yield* settle
      const session = yield* Session.make()
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Session.text(session, "a"), "to a")
    }).pipe(Effect.provide(layerOf((index) =>
      index === 0 ? { start: [FakeCli.delay("1 second"), FakeCli.kill("SIGKILL")] } : echo, { warm: 1 }))))

  it.scoped("that cannot be started are not tried again and again", () =>
    Effect.gen(function*() {
      yield* TestClock.adjust("1 hour")
      assert.isAtMost((yield* processes).started, 1)
      const session = yield* Session.make()
      assert.strictEqual((yield* Effect.flip(Session.text(session, "a")))._tag, "CliSpawnError")
      yield* TestClock.adjust("1 hour")
      assert.isAtMost((yield* processes).started, 4)
    }).pipe(Effect.provide(layerOf({
      refuse: new CliSpawnError({ command: "claude", reason: "NotExecutable", code: "EACCES", hint: "chmod" })
    }, { warm: 1 }))))

  it.scoped("that never answer are given up, and hold nobody up", () =>
    Effect.gen(function*() {
      yield* settle
      const session = yield* Session.make()
      const turn = yield* sending(session, "a")
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* turn.result).result, "to a")
      yield* TestClock.adjust("1 minute")
      const { started } = yield* FakeCli.FakeCli
      assert.isFalse((yield* started)[0]!.running)
    }).pipe(Effect.provide(layerOf((index) =>
      index === 0 ? { controls: { initialize: () => FakeCli.unanswered } } : echo, { warm: 1 }))))

  it.scoped("end with the layer; those in use end with their sessions", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(layerOf(echo, { warm: 2 }), scope)
      const { started } = Context.get(context, FakeCli.FakeCli)
      const running = Effect.map(started, (all) => all.filter((one) => one.running).length)
      yield* settle
      const session = yield* Effect.provide(Session.make(), context)
      yield* Session.text(session, "a")
      yield* settle
      assert.strictEqual(yield* running, 3)
      yield* session.close
      assert.strictEqual(yield* running, 2)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* running, 0)
    }))

  it.effect("can only be a whole number of them", () =>
    Effect.gen(function*() {
      for (const warm of [-1, 1.5, Number.NaN]) {
        const error = yield* Effect.flip(Effect.scoped(Layer.build(
          Claude.layerWith({ warm }).pipe(
            Layer.provide([
              FakeCli.layer(echo),
              MessageParser.layer,
              Policies.layerNoop,
              Layer.succeed(ClaudeConfig, { defaults: {} })
            ])
          )
        )))
        assert.include(error, { _tag: "InvalidOptionsError", field: "warm" })
      }
    }))
})
