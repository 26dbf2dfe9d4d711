import type { Control } from "@ccflow/core/CliFrame"
import * as ControlProtocol from "@ccflow/core/ControlProtocol"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck, Fiber, TestClock } from "effect"
import { HostChannel } from "../src/internal/hostChannel.js"

/** A channel to nobody, with what was written to it. */
const channel = (
  send: (text: string) => Effect.Effect<boolean> = () => Effect.succeed(true),
  handlers: ControlProtocol.Handlers = {}
) =>
  Effect.gen(function*() {
    const sent: Array<
      { readonly type: string; readonly request_id: string; readonly response: { readonly error_code: string } }
    > = []
    const control = yield* ControlProtocol.make({
      send: (text) =>
        Effect.suspend(() => {
          sent.push(JSON.parse(text))
          return send(text)
        })
    }, handlers)
    return { control, sent }
  })

const success = (id: string, response?: unknown): Control => ({
  type: "control_response",
  response: { subtype: "success", request_id: id, response }
})

const refusal = (id: string, error: string): Control => ({
  type: "control_response",
  response: { subtype: "error", request_id: id, error, error_code: "invalid_request" }
})

describe("a request of ours", () => {
  it.scoped("gets the answer with its id, in whatever order answers come", () =>
    Effect.gen(function*() {
      const { control, sent } = yield* channel()
      const fibers = yield* Effect.forEach([1, 2, 3], (n) => Effect.fork(control.request({ subtype: `r${n}` })))
      yield* TestClock.adjust("1 millis")
      for (const index of [2, 0, 1]) yield* control.accept(success(sent[index]!.request_id, index))
      assert.deepStrictEqual(yield* Effect.forEach(fibers, Fiber.join), [0, 1, 2])
    }))

  it.scoped("succeeds when it is only acknowledged", () =>
    Effect.gen(function*() {
      const { control, sent } = yield* channel()
      const fiber = yield* Effect.fork(control.request({ subtype: "interrupt" }))
      yield* TestClock.adjust("1 millis")
      yield* control.accept({
        type: "control_response",
        response: { subtype: "success", request_id: sent[0]!.request_id }
      })
      assert.isUndefined(yield* Fiber.join(fiber))
    }))

  it.scoped("fails with the CLI's words when it is refused", () =>
    Effect.gen(function*() {
      const { control, sent } = yield* channel()
      const fiber = yield* Effect.fork(Effect.flip(control.request({ subtype: "set_model" })))
      yield* TestClock.adjust("1 millis")
      yield* control.accept(refusal(sent[0]!.request_id, "no such model"))
      const error = yield* Fiber.join(fiber)
      assert.deepInclude({ ...error }, { _tag: "CliProtocolError", request: "set_model", detail: "no such model" })
    }))

  it.scoped("fails after its deadline, 10 seconds unless told otherwise", () =>
    Effect.gen(function*() {
      const { control } = yield* channel()
      const usual = yield* Effect.fork(Effect.flip(control.request({ subtype: "a" })))
      const quick = yield* Effect.fork(Effect.flip(control.request({ subtype: "b" }, "1 second")))
      yield* TestClock.adjust("1 second")
      assert.include((yield* Fiber.join(quick)).detail, "1s")
      assert.strictEqual((yield* Fiber.poll(usual))._tag, "None")
      yield* TestClock.adjust("9 seconds")
      assert.include((yield* Fiber.join(usual)).detail, "10s")
    }))

  it.scoped("fails when the CLI no longer reads, or is gone", () =>
    Effect.gen(function*() {
      const deaf = yield* channel(() => Effect.succeed(false))
      assert.strictEqual((yield* Effect.flip(deaf.control.request({ subtype: "a" })))._tag, "CliProtocolError")
      const { control } = yield* channel()
      const fiber = yield* Effect.fork(Effect.flip(control.request({ subtype: "a" })))
      yield* TestClock.adjust("1 millis")
      yield* control.close
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "CliProtocolError")
    }))

  it.scoped("is not disturbed by answers to nobody, late or twice", () =>
    Effect.gen(function*() {
      const { control, sent } = yield* channel()
      yield* control.accept(success("unknown"))
      yield* control.accept({ type: "control_response", response: { subtype: "success" } })
      const fiber = yield* Effect.fork(control.request({ subtype: "a" }))
      yield* TestClock.adjust("1 millis")
      yield* control.accept(success(sent[0]!.request_id, "first"))
      yield* control.accept(success(sent[0]!.request_id, "second"))
      assert.strictEqual(yield* Fiber.join(fiber), "first")
      yield* control.accept(success(sent[0]!.request_id, "third"))
    }))
})

describe("a request of the CLI", () => {
  it.scoped("is always answered, though the CLI does not read", () =>
    Effect.gen(function*() {
      const { control, sent } = yield* channel(() => Effect.never)
      yield* control.accept({ type: "control_request", request_id: "q1", request: { subtype: "banana" } })
      yield* control.accept({ type: "control_cancel_request", request_id: "q1" })
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(sent[0]?.type, "control_response")
      assert.strictEqual(sent[0]?.response.error_code, "unsupported_request")
    }))

  const ask = (id: string): Control => ({ type: "control_request", request_id: id, request: { subtype: "ask" } })
  const asked = (handler: ControlProtocol.Handler) =>
    Effect.gen(function*() {
      const { control, sent } = yield* channel(undefined, { ask: handler })
      yield* control.accept(ask("q1"))
      yield* TestClock.adjust("1 millis")
      return { control, sent }
    })

  it.scoped("is answered by its handler, refused by its failure, and not left open by its defect", () =>
    Effect.gen(function*() {
      const answers = yield* Effect.forEach([
        Effect.succeed({ yes: true }),
        Effect.fail({ error: "no", code: "because" }),
        Effect.die(new Error("broken"))
      ], (answer) => Effect.map(asked(() => answer), ({ sent }) => sent.map(({ response }): unknown => response)))
      assert.deepStrictEqual(answers, [
        [{ subtype: "success", request_id: "q1", response: { yes: true } }],
        [{ subtype: "error", request_id: "q1", error: "no", error_code: "because" }],
        [{ subtype: "error", request_id: "q1", error: "the handler died" }]
      ])
    }))

  it.scoped("stays open while its handler thinks, once, and stops it when it is withdrawn or the CLI is gone", () =>
    Effect.gen(function*() {
      let started = 0
      let stopped = 0
      const thinking = Effect.zipRight(Effect.sync(() => started++), Effect.never).pipe(
        Effect.onInterrupt(() => Effect.sync(() => stopped++))
      )
      const { control, sent } = yield* asked(() => thinking)
      yield* control.accept(ask("q1"))
      yield* control.accept(ask("q2"))
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual([started, stopped, control.asked()], [2, 0, true])
      yield* control.accept({ type: "control_cancel_request", request_id: "q1" })
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual([stopped, control.asked()], [1, true])
      yield* control.close
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual([stopped, control.asked(), sent.length], [2, false, 0])
    }))

  it.scoped("lets its handler tell the CLI more than the answer", () =>
    Effect.gen(function*() {
      const { control, sent } = yield* asked(() =>
        Effect.as(Effect.flatMap(HostChannel, ({ tell }) => tell({ subtype: "mcp_message" })), {})
      )
      assert.deepStrictEqual(sent.map(({ type }) => type), ["control_request"])
      yield* control.accept(success(sent[0]!.request_id))
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(sent.map(({ type }) => type), ["control_request", "control_response"])
    }))
})

it("a line is one line, whatever it holds", () => {
  FastCheck.assert(FastCheck.property(FastCheck.fullUnicodeString(), (text) => {
    const line = ControlProtocol.line({ type: "user", text })
    assert.strictEqual(line.indexOf("\n"), line.length - 1)
    assert.strictEqual(JSON.parse(line).text, text)
  }))
})
