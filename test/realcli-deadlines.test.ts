import * as Claude from "@ccflow/core/Claude"
import { type CliTimeoutError } from "@ccflow/core/ClaudeError"
import { appendText, is, type Message } from "@ccflow/core/Message"
import * as Permissions from "@ccflow/core/Permissions"
import * as Session from "@ccflow/core/Session"
import { Effect, Stream } from "effect"
import { assert, it } from "vitest"
import * as Api from "./support/MessagesApi.js"
import { describeRealCli } from "./support/realCliBench.js"
import { bash, kept, play, processesOf } from "./support/sessionBench.js"

const long = Array.from({ length: 60 }, (_, index) => `word${index}`).join(" ")
/** Takes some 25 seconds. */
const slow = Api.text(long, { delayMs: 400, chunkSize: 7 })

const asked = (prompt: string, options: Claude.ClaudeOptions) => {
  const messages: Array<Message> = []
  return Effect.map(
    Effect.either(
      Stream.runForEach(Claude.query(prompt, options), (message) => Effect.sync(() => messages.push(message)))
    ),
    (end) => ({ messages, error: end._tag === "Left" ? end.left : undefined })
  )
}

const late = (error: { readonly _tag: string } | undefined): CliTimeoutError =>
  error?._tag === "CliTimeoutError" ? error as CliTimeoutError : assert.fail(error?._tag ?? "it ended well")

/** What is late on the real CLI, and what only takes its time. */
await describeRealCli("a deadline", ({ path }) => {
  it.concurrent("of the whole: the error has the text so far and the session, which can be resumed", () =>
    play(path, { replies: [slow, Api.text("And on.")] }, (scene) =>
      Effect.gen(function*() {
        const { error, messages } = yield* asked("Count", { timeout: "8 seconds", includePartialMessages: true })
        const { costUsd, partial, phase, sessionId } = late(error)
        assert.strictEqual(phase, "total")
        assert.isTrue(partial !== "" && long.startsWith(partial), partial)
        assert.strictEqual(messages.reduce(appendText, ""), partial)
        assert.isTrue(messages.findLast(is("Result"))?.interrupted)
        assert.isNumber(costUsd)
        assert.strictEqual(scene.api.abandoned(), 1)
        yield* kept(scene, partial)
        const next = yield* Claude.result("Go on", { resume: sessionId })
        assert.deepInclude(next, { result: "And on.", sessionId })
        assert.include(JSON.stringify(scene.api.mainRequests()[1]?.body), partial)
      })))

  it.concurrent("of a session's turn: the same, and the session goes on in the same process", () =>
    play(path, { replies: [slow, Api.text("And on.")] }, () =>
      Effect.gen(function*() {
        const session = yield* Session.make({ includePartialMessages: true })
        yield* session.prewarm
        const error = late(yield* Effect.flip(Session.text(session, "Count", { timeout: "4 seconds" })))
        assert.isTrue(error.partial !== "" && long.startsWith(error.partial), error.partial)
        assert.strictEqual(error.sessionId, yield* session.id)
        const pids = yield* processesOf(session)
        assert.strictEqual(yield* Session.text(session, "Go on"), "And on.")
        assert.deepStrictEqual(yield* processesOf(session), pids)
      })))

  it.concurrent("of silence: an API that says nothing is one", () =>
    play(path, { replies: [Api.hang(), Api.text("Fine.")] }, () =>
      Effect.gen(function*() {
        const { error } = yield* asked("Hello", { stallTimeout: "2 seconds" })
        assert.deepInclude(late(error), { phase: "stall", partial: "" })
        assert.strictEqual(yield* Claude.text("Go on", { resume: late(error).sessionId }), "Fine.")
      })))

  it.concurrent("of silence: a permission that is long in coming is none", () =>
    play(
      path,
      { replies: [bash("touch decided"), Api.text("Done.")], options: { allowedTools: [] } },
      () =>
        Effect.gen(function*() {
          const { error, messages } = yield* asked("Do it", {
            stallTimeout: "2 seconds",
            permissions: () => Effect.as(Effect.sleep("5 seconds"), Permissions.allow())
          })
          assert.isUndefined(error)
          assert.strictEqual(messages.findLast(is("Result"))?.result, "Done.")
        })
    ))

  it.concurrent("of silence: a command that runs long is none, in a query and in a session", () =>
    play(
      path,
      { replies: [bash("sleep 1; sleep 1; sleep 1; sleep 1; echo woken"), Api.text("Done.")] },
      () =>
        Effect.gen(function*() {
          const { error, messages } = yield* asked("Wait", { stallTimeout: "2 seconds" })
          assert.isUndefined(error)
          assert.include(JSON.stringify(messages.find(is("ToolResult"))?.content), "woken")
        })
    ))

  it.concurrent("of silence: a wait that the CLI has announced is none", () =>
    play(path, {
      replies: [Api.rateLimited({ retryAfterSeconds: 4 }), Api.text("Fine.")],
      options: { env: { CLAUDE_CODE_MAX_RETRIES: "3" } }
    }, () =>
      Effect.gen(function*() {
        const { error, messages } = yield* asked("Hello", { stallTimeout: "2 seconds" })
        assert.isUndefined(error)
        assert.isAtLeast(messages.find(is("ApiRetry"))?.delayMs ?? 0, 2000)
        assert.strictEqual(messages.findLast(is("Result"))?.result, "Fine.")
      })))
})
