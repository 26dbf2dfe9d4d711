import * as Claude from "@ccflow/core/Claude"
import type { ClaudeError } from "@ccflow/core/ClaudeError"
import { appendText, type Message } from "@ccflow/core/Message"
import * as Session from "@ccflow/core/Session"
import * as NodeClaude from "@ccflow/node/NodeClaude"
import { Effect, Stream } from "effect"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { fake, linux, lives, sign, signed } from "./fixtures/lifecycle/processes.js"

/** A test of its own folder, beside the others: most of what they do is to wait. */
const alone = (name: string, test: (folder: string) => Promise<unknown>) =>
  it.concurrent(name, async (ctx) => {
    if (!linux) ctx.skip("needs /proc")
    const folder = mkdtempSync(join(tmpdir(), "ccflow-deadlines-"))
    try {
      await test(folder)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

/** The sum of the graces, and what a busy machine adds. */
const closing = 5000 + 3000

/** What a query came to, after how long, and that none of its processes is left. */
const play = async (folder: string, script: object, options: Claude.ClaudeOptions) => {
  const messages: Array<Message> = []
  const from = Date.now()
  const error = await Effect.runPromise(
    Claude.query("hello", options).pipe(
      Stream.runForEach((message) => Effect.sync(() => messages.push(message))),
      Effect.flip,
      Effect.provide(NodeClaude.layerWith(fake(script))),
      Effect.catchAll(() => Effect.fail<ClaudeError | "ended well">("ended well"))
    )
  )
  const took = Date.now() - from
  assert.deepStrictEqual((await signed(folder, readdirSync(folder).length)).filter(lives), [])
  assert.strictEqual(readdirSync(folder).length, 1, "one process, once")
  if (error._tag !== "CliTimeoutError") throw new Error(`${error._tag}: ${error.message}`)
  return { error, messages, took }
}

const words = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
const speaks = [{ init: {} }, { text: words, deltas: 16, deltaDelay: 200 }, { result: { result: words } }]

/** Real processes that take too long, each in its way. */
describe("a process whose time is up", () => {
  alone("while it starts, and says nothing", async (folder) => {
    const { error, messages, took } = await play(folder, { start: [sign(folder), { sleepForever: true }] }, {
      startupTimeout: "1 second"
    })
    assert.deepInclude(error, {
      phase: "startup",
      timeoutMs: 1000,
      frames: 0,
      partial: "",
      costUsd: null,
      sessionId: ""
    })
    assert.deepStrictEqual(messages, [])
    assert.isAtLeast(took, 1000)
    assert.isBelow(took, 1000 + closing)
  })

  alone("because it has fallen silent: it says what there was, and leaves", async (folder) => {
    const { error, messages, took } = await play(folder, {
      turns: [[sign(folder), { init: {} }, { text: "half" }, { sleepForever: true }]]
    }, { stallTimeout: "1 second" })
    assert.deepInclude(error, { phase: "stall", partial: "half" })
    assert.isNumber(error.costUsd)
    assert.notStrictEqual(error.sessionId, "")
    assert.strictEqual(messages.at(-1)?._tag, "Result")
    assert.isBelow(took, 1000 + closing)
  })

  alone("in the middle of its text", async (folder) => {
    const { error, messages } = await play(folder, { turns: [[sign(folder), ...speaks]] }, {
      timeout: "2 seconds",
      includePartialMessages: true
    })
    assert.deepInclude(error, { phase: "total", timeoutMs: 2000 })
    assert.isTrue(error.partial !== "" && words.startsWith(error.partial), error.partial)
    assert.strictEqual(messages.reduce(appendText, ""), error.partial)
    const result = messages.at(-1)
    assert.isTrue(result?._tag === "Result" && result.interrupted)
  })

  alone("though it is deaf to every request and signal, within the bounds", async (folder) => {
    const { error, took } = await play(folder, {
      turns: [[sign(folder), ...speaks.slice(0, 1), { text: "half" }, { ignoreStdin: true }, { sleepForever: true }]],
      signals: { SIGINT: "ignore", SIGTERM: "ignore" }
    }, { timeout: "1500 millis" })
    assert.deepInclude(error, { phase: "total", partial: "half", costUsd: null })
    assert.isAtLeast(took, 3000)
    assert.isBelow(took, 1500 + 2000 + closing)
  })

  alone("though it hears nothing but the signal: that is heard", async (folder) => {
    const { error, messages } = await play(folder, {
      turns: [[sign(folder), { init: {} }, { text: "half" }, { ignoreStdin: true }, { sleepForever: true }]]
    }, { stallTimeout: "1 second" })
    assert.deepInclude(error, { phase: "stall", partial: "half" })
    assert.strictEqual(messages.at(-1)?._tag, "Result")
  })

  alone("though it floods a consumer that takes nothing", async (folder) => {
    const from = Date.now()
    const error = await Effect.runPromise(
      Claude.query("hello", { timeout: "4 seconds", stallTimeout: "2 seconds" }).pipe(
        Stream.runForEach(({ _tag }) => _tag === "Init" ? Effect.sleep("6 seconds") : Effect.void),
        Effect.flip,
        Effect.provide(NodeClaude.layerWith(fake({
          turns: [[sign(folder), { init: {} }, { floodStdout: 20_000_000 }, { sleepForever: true }]]
        })))
      )
    )
    assert.deepInclude(error, { _tag: "CliTimeoutError", phase: "total" })
    assert.isBelow(Date.now() - from, 6000 + closing)
    assert.deepStrictEqual((await signed(folder, 1)).filter(lives), [])
  })
})

describe("a session's process whose turn's time is up", () => {
  alone("says what there was, and takes the next turn; a deaf one is replaced", (folder) =>
    Effect.gen(function*() {
      const session = yield* Session.make({ includePartialMessages: true })
      const late = yield* Effect.flip(Session.text(session, "speak", { timeout: "1500 millis" }))
      assert.include(late, { _tag: "CliTimeoutError", phase: "total", sessionId: yield* session.id })
      const partial = late._tag === "CliTimeoutError" ? late.partial : ""
      assert.isTrue(partial !== "" && words.startsWith(partial), partial)
      assert.include(yield* Session.text(session, "hello"), "hello")
      assert.strictEqual(readdirSync(folder).length, 1)
      const from = Date.now()
      const deaf = yield* Effect.flip(Session.text(session, "deaf", { timeout: "1 second" }))
      assert.include(deaf, { _tag: "CliTimeoutError", phase: "total", partial: "half", costUsd: null })
      assert.isBelow(Date.now() - from, 1000 + 2000 + 2000)
    }).pipe(
      Effect.scoped,
      Effect.provide(NodeClaude.layerWith(fake({
        start: [sign(folder)],
        match: [
          { prompt: "speak", steps: speaks },
          { prompt: "deaf", steps: [{ init: {} }, { text: "half" }, { ignoreStdin: true }, { sleepForever: true }] }
        ]
      }))),
      Effect.runPromise
    ).then(async () => {
      assert.deepStrictEqual((await signed(folder, readdirSync(folder).length)).filter(lives), [])
    }))
})
