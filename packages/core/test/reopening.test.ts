import type { ClaudeError } from "@ccflow/core/ClaudeError"
import type { Message } from "@ccflow/core/Message"
import * as MessageParser from "@ccflow/core/MessageParser"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, FastCheck as fc, Fiber, Scope, TestClock } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { type Again, commits, reopening } from "../src/internal/reopening.js"
import {
  type Attempt,
  crashed,
  drain,
  overloaded,
  problem,
  refused,
  result,
  running,
  status,
  stop,
  text
} from "./attempts.js"

const whole = (model: string): Message => ({
  _tag: "Assistant",
  sessionId: "s",
  messageId: "m",
  model,
  content: [],
  stopReason: null,
  usage: { inputTokens: 0, outputTokens: 0, cacheReadInputTokens: 0, cacheCreationInputTokens: 0 },
  aborted: false
})
const fromUser = (how: { readonly synthetic?: boolean; readonly replay?: boolean }): Message => ({
  _tag: "User",
  sessionId: "s",
  content: "hi",
  synthetic: false,
  replay: false,
  ...how
})

/** So many times more, without a wait. */
const times = (retries: number, log: Array<string> = []): Again => {
  let left = retries
  return (error) => Effect.sync(() => left-- > 0 ? Effect.sync(() => void log.push(`wait (${error._tag})`)) : undefined)
}

const recordings = new URL("../../../test/recordings/", import.meta.url)

const failing: Attempt = { batches: [[status("a")], [problem("busy")], [stop, result("busy", true)]], end: overloaded }
const good: Attempt = { batches: [[status("b")], [text("hi")], [stop, result("hi")]] }

describe("a run that is made again", () => {
  it.effect("shows nothing of a failure when another attempt follows, but the notices", () =>
    Effect.gen(function*() {
      const run = running([failing, failing, good])
      const { error, messages } = yield* drain(reopening(run.open, times(3)))
      assert.strictEqual(error, undefined)
      assert.deepStrictEqual(messages, [status("a"), status("a"), status("b"), text("hi"), stop, result("hi")])
    }))

  it.effect("shows what the last attempt has said of its failure, once and in order, and then fails with it", () =>
    Effect.gen(function*() {
      const run = running([failing, failing])
      const { error, messages } = yield* drain(reopening(run.open, times(1)))
      assert.strictEqual(error, overloaded)
      assert.deepStrictEqual(messages, [status("a"), status("a"), problem("busy"), stop, result("busy", true)])
    }))

  it.effect("keeps a notice in its place when it comes after what is held back", () =>
    Effect.gen(function*() {
      const run = running([{ batches: [[status("a"), problem("busy")], [status("late")], [stop]], end: overloaded }])
      const { batches } = yield* drain(reopening(run.open, times(0)))
      assert.deepStrictEqual(batches, [[status("a")], [problem("busy"), status("late"), stop]])
    }))

  it.effect("closes each attempt before it waits, and waits before it opens the next", () =>
    Effect.gen(function*() {
      const run = running([failing, { refuses: crashed }, good])
      yield* drain(reopening(run.open, times(5, run.log)))
      assert.deepStrictEqual(run.log, [
        "open 0",
        "close 0",
        "wait (OverloadedError)",
        "open 1",
        "close 1",
        "wait (CliExitError)",
        "open 2",
        "close 2"
      ])
    }))

  it.effect("tells the last failure before its attempt is closed", () =>
    Effect.gen(function*() {
      const run = running([failing])
      const scope = yield* Scope.make()
      const pull = yield* Scope.extend(reopening(run.open, times(0)), scope)
      yield* pull
      yield* pull
      assert.deepStrictEqual(run.log, ["open 0"])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(run.log, ["open 0", "close 0"])
    }))

  for (
    const [what, said] of [
      ["an answer", text("hi")],
      ["a result", result("hi")],
      ["an answer's end", whole("opus")],
      ["what the user has said", fromUser({})],
      ["a tool", { _tag: "ToolUse", sessionId: "s", messageId: "m", id: "t", tool: "Bash", input: {} }],
      ["what is not known", { _tag: "Unknown", sessionId: "s", reason: "kind", type: "new", raw: {} }]
    ] as ReadonlyArray<readonly [string, Message]>
  ) {
    it.effect(`is committed by ${what}: a failure after it is the last`, () =>
      Effect.gen(function*() {
        const run = running([{ batches: [[status("a"), said]], end: overloaded }, good])
        const { error, messages } = yield* drain(reopening(run.open, times(3)))
        assert.strictEqual(error, overloaded)
        assert.deepStrictEqual(messages, [status("a"), said])
        assert.strictEqual(run.opened(), 1)
      }))
  }

  it.effect("shows what it had held back when the run goes on after all", () =>
    Effect.gen(function*() {
      const run = running([{ batches: [[problem("busy")], [status("x"), text("hi")], [result("hi")]] }])
      const { messages } = yield* drain(reopening(run.open, times(3)))
      assert.deepStrictEqual(messages, [problem("busy"), status("x"), text("hi"), result("hi")])
    }))

  it.effect("shows what it had held back of a run that ends well without an answer", () =>
    Effect.gen(function*() {
      const run = running([{ batches: [[stop, result("", true)]] }])
      const { error, messages } = yield* drain(reopening(run.open, times(3)))
      assert.deepStrictEqual(messages, [stop, result("", true)])
      assert.strictEqual(error, undefined)
    }))

  it.effect("is not made again after a defect, and leaves nothing open", () =>
    Effect.gen(function*() {
      for (const attempt of [{ end: "defect" }, { batches: [[problem("busy")]], end: "defect" }] as Array<Attempt>) {
        const run = running([attempt, good])
        const exit = yield* Effect.exit(drain(reopening(run.open, times(3))))
        assert.isTrue(Exit.isFailure(exit))
        assert.deepStrictEqual(run.log, ["open 0", "close 0"])
      }
    }))

  it.effect("fails with why it did not open, when that was the last time", () =>
    Effect.gen(function*() {
      const run = running([{ refuses: crashed }])
      assert.strictEqual((yield* drain(reopening(run.open, times(1)))).error, crashed)
      assert.strictEqual(run.opened(), 2)
    }))

  it.effect("is over when it is interrupted while it waits, and nothing is left of it", () =>
    Effect.gen(function*() {
      const run = running([failing, good])
      const fiber = yield* Effect.fork(drain(reopening(run.open, () => Effect.succeed(Effect.sleep("1 minute")))))
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(run.log, ["open 0", "close 0"])
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(run.log, ["open 0", "close 0"])
    }))

  it.effect("is over when it is interrupted while it opens again, and nothing is left of it", () =>
    Effect.gen(function*() {
      const run = running([failing, { end: "never" }])
      const fiber = yield* Effect.fork(drain(reopening(run.open, times(1))))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(run.log, ["open 0", "close 0", "open 1"])
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(run.log, ["open 0", "close 0", "open 1", "close 1"])
    }))

  it.effect("shows the failure and fails with why the wait was given up, when it was", () =>
    Effect.gen(function*() {
      const run = running([failing, good])
      const { error, messages } = yield* drain(reopening(run.open, () => Effect.succeed(Effect.fail(refused))))
      assert.strictEqual(error, refused)
      assert.deepStrictEqual(messages, [status("a"), problem("busy"), stop, result("busy", true)])
      assert.strictEqual(run.opened(), 1)
    }))

  it.effect("keeps no attempt's finalizers when the attempt is gone", () =>
    Effect.gen(function*() {
      const run = running([...Array.from({ length: 500 }, () => failing), { end: "never" as const }])
      const scope = yield* Scope.make()
      const pull = yield* Scope.extend(reopening(run.open, times(500)), scope)
      yield* Effect.fork(Effect.ignore(Effect.forever(pull)))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(run.log.filter((line) => line.startsWith("close")).length, 500)
      const before = run.log.length
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(run.log.slice(before), ["close 500"])
    }))

  it.effect("hands out the batches of a committed run as they are", () =>
    Effect.gen(function*() {
      const batches = [[text("a")], [problem("x")], [stop], [text("b"), stop]]
      const run = running([{ batches }])
      const drained = yield* drain(reopening(run.open, times(3)))
      assert.isTrue(drained.batches.every((batch, index) => batch === batches[index]))
      assert.strictEqual(drained.batches.length, batches.length)
    }))

  it.effect("is not committed by what the CLI says of an API error in place of an answer", () =>
    Effect.gen(function*() {
      const said: Message = { ...text("API Error: 529"), uuid: "u" }
      const batch: ReadonlyArray<Message> = [status("a"), said, { ...problem("API Error: 529"), uuid: "u" }]
      const run = running([{ batches: [batch, [whole("<synthetic>"), stop, result("", true)]], end: overloaded }, good])
      const { messages } = yield* drain(reopening(run.open, times(1)))
      assert.deepStrictEqual(messages, [status("a"), status("b"), text("hi"), stop, result("hi")])
    }))

  it.effect("is not committed by an API error that is said in several blocks", () =>
    Effect.gen(function*() {
      const block = (content: string): Message => ({ ...text(content), uuid: "u" })
      const error: Message = { ...problem("API Error: 529"), uuid: "u" }
      const run = running([{ batches: [[block("API Error: "), block("529"), error]], end: overloaded }, good])
      const { messages } = yield* drain(reopening(run.open, times(1)))
      assert.deepStrictEqual(messages, [status("b"), text("hi"), stop, result("hi")])
    }))

  for (const how of [{ replay: true }, { synthetic: true }]) {
    it.effect(`is not committed by a prompt that the CLI repeats or makes itself: ${Object.keys(how)}`, () =>
      Effect.gen(function*() {
        const run = running([{ batches: [[fromUser(how)]], end: overloaded }, good])
        const { messages } = yield* drain(reopening(run.open, times(1)))
        assert.deepStrictEqual(messages, [fromUser(how), status("b"), text("hi"), stop, result("hi")])
      }))
  }

  it.effect("asks once about each failure, also where its words are told before it", () =>
    Effect.gen(function*() {
      const asked: Array<ClaudeError> = []
      const again: Again = (error) =>
        Effect.sync(() => {
          asked.push(error)
          return asked.length === 1 ? Effect.fail(refused) : Effect.void
        })
      const run = running([failing, good])
      assert.strictEqual((yield* drain(reopening(run.open, again))).error, refused)
      assert.deepStrictEqual(asked, [overloaded])
    }))

  it.effect("is committed by an answer that an API error cuts off", () =>
    Effect.gen(function*() {
      const error: Message = { ...problem("API Error: 529"), uuid: "u" }
      const answers: ReadonlyArray<ReadonlyArray<Message>> = [
        [text("hi"), error],
        [text("529"), error],
        [text("hi"), { ...text("API Error: 529"), uuid: "u" }, error]
      ]
      for (const answer of answers) {
        const run = running([{ batches: [answer], end: overloaded }, good])
        const { messages } = yield* drain(reopening(run.open, times(1)))
        assert.deepStrictEqual(messages, answer)
      }
    }))

  for (
    const name of readdirSync(recordings).filter((name) => /^(api-(429|500|529)|connection-refused)/.test(name))
  ) {
    it(`is not committed by what was recorded of an API that failed (${name})`, () => {
      const parser = MessageParser.make()
      const lines = readFileSync(new URL(`${name}/stdout.ndjson`, recordings), "utf8").split("\n")
      const encoder = new TextEncoder()
      const batches = [...lines.map((line) => parser.push([encoder.encode(`${line}\n`)])), parser.end()]
      assert.include(batches.flat().map(({ _tag }) => _tag), "Text")
      assert.deepStrictEqual(batches.filter(commits), [])
      assert.isFalse(commits(batches.flat()))
    })
  }

  it.effect("for any attempts: the failures' words are of the last attempt alone, all else is there, in order", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(fc.array(anyAttempt, { minLength: 1, maxLength: 5 }), fc.nat(4), (attempts, retries) =>
          Effect.runPromise(Effect.gen(function*() {
            const run = running(attempts)
            const seen = yield* drain(reopening(run.open, times(retries)))
            assert.deepStrictEqual({ ...seen, batches: [] }, { ...expected(attempts, retries), batches: [] })
          })))
      )
    ))
})

const anyMessage: fc.Arbitrary<Message> = fc.oneof(
  { weight: 4, arbitrary: fc.nat(99).map((n) => status(String(n))) },
  { weight: 4, arbitrary: fc.nat(99).map((n) => problem(String(n))) },
  { weight: 1, arbitrary: fc.nat(99).map((n) => text(`said ${n}`)) }
)
const anyAttempt: fc.Arbitrary<Attempt> = fc.oneof(
  { weight: 1, arbitrary: fc.constant({ refuses: overloaded }) },
  {
    weight: 4,
    arbitrary: fc.record({
      batches: fc.array(fc.array(anyMessage, { minLength: 1, maxLength: 3 }), { maxLength: 4 }),
      end: fc.constantFrom<ClaudeError | "well">(overloaded, overloaded, "well")
    })
  }
)

/** What should be seen, said without a stream. */
const expected = (attempts: ReadonlyArray<Attempt>, retries: number) => {
  const messages: Array<Message> = []
  for (let index = 0;; index++) {
    const { batches = [], end, refuses } = attempts[Math.min(index, attempts.length - 1)]!
    const said = batches.flat()
    const committed = said.some(({ _tag }) => _tag === "Text")
    const error = refuses ?? (end === "well" ? undefined : end as ClaudeError)
    if (error === undefined || committed || index >= retries) {
      return { messages: [...messages, ...said], error }
    }
    const at = said.findIndex(({ _tag }) => _tag === "Error")
    messages.push(...said.slice(0, at < 0 ? said.length : at))
  }
}
