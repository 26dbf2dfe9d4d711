import * as Claude from "@ccflow/core/Claude"
import {
  ApiClientError,
  ApiRateLimitError,
  CCFlowError,
  CircuitBreakerError,
  ClaudeError,
  CliNotFoundError,
  CliSpawnError,
  InvalidOptionsError,
  UsageLimitError
} from "@ccflow/core/ClaudeError"
import type { Message, Status } from "@ccflow/core/Message"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, FastCheck, Fiber, Layer, Metric, Option, Schema, Stream } from "effect"

const facts = { exitCode: 1, signal: null, argv: [], stderrTail: "", sessionId: "s", frames: 3 }
const missing = new CliNotFoundError({ command: "claude", hint: "Install it." })
const breakerOpen = new CircuitBreakerError({ key: "k", retryAfter: 1000, hint: "Wait." })
const usageLimit = new UsageLimitError({ limit: "five_hour", resetsAt: 5, detail: "used up", facts, hint: "Wait." })
const spawn = (reason: CliSpawnError["reason"]) => new CliSpawnError({ command: "c", reason, code: "E", hint: "h" })
const refused = new ApiClientError({
  status: null,
  type: "unsupported_option",
  detail: "The API cannot honour cwd",
  hint: "h"
})
const down = new ApiClientError({ status: 500, type: "api_error", detail: "down", hint: "h" })

const message = {
  status: { _tag: "Status", sessionId: "", kind: "requesting", content: "", raw: {} },
  rateLimit: { _tag: "RateLimit", sessionId: "s", status: "rejected", limit: "five_hour", raw: {} },
  error: { _tag: "Error", sessionId: "s", code: "rate_limit", content: "used up" },
  stop: {
    _tag: "Stop",
    sessionId: "s",
    stopReason: null,
    usage: { inputTokens: 0, outputTokens: 0, cacheReadInputTokens: 0, cacheCreationInputTokens: 0 }
  },
  text: { _tag: "Text", sessionId: "s", messageId: "m", content: "half an ans", delta: true },
  toolUse: { _tag: "ToolUse", sessionId: "s", messageId: "m", id: "t", tool: "Bash", input: {} }
} satisfies Record<string, Message>

const never: Claude.Claude["Type"]["session"] = () => Effect.die("no session was asked for")

/** Says these, batch by batch, and fails. */
const failing = (error: ClaudeError, ...batches: ReadonlyArray<ReadonlyArray<Message>>) => ({
  query: () => Stream.concat(Stream.flatMap(Stream.fromIterable(batches), Stream.fromIterable), Stream.fail(error)),
  session: never
})

/** Refuses when it is opened. */
const refusing = (error: ClaudeError) => ({
  query: () => Claude.fromPull(Effect.fail(error)),
  session: never
})

/** Counts how often it was asked. */
const answering = () => {
  const asked: Array<unknown> = []
  const claude: Claude.Claude["Type"] = {
    query: (prompt, options) =>
      Claude.fromPull(Effect.suspend(() => {
        asked.push([prompt, options])
        let told = false
        return Effect.succeed(Effect.suspend(() => {
          if (told) return Effect.fail(Option.none())
          told = true
          return Effect.succeed([{ ...message.text, content: "from the other" }])
        }))
      })),
    session: never
  }
  return { asked, claude }
}

const collect = (claude: Claude.Claude["Type"], options?: Claude.ClaudeOptions) =>
  Effect.gen(function*() {
    const seen: Array<Message> = []
    const end = yield* claude.query("hi", options).pipe(
      Stream.runForEach((message) => Effect.sync(() => seen.push(message))),
      Effect.either
    )
    return { seen, error: end._tag === "Left" ? end.left : undefined }
  })

const all = ["cliMissing", "breakerOpen", "usageLimit"] as const

const announcement = (seen: ReadonlyArray<Message>): Status | undefined =>
  seen.find((message): message is Status => message._tag === "Status" && message.kind === "fallback")

describe("Claude.withFallback", () => {
  it.effect("asks the other one for each cause that is named, and says so", () =>
    Effect.gen(function*() {
      const causes: ReadonlyArray<readonly [Claude.FallbackCause, ClaudeError]> = [
        ["cliMissing", missing],
        ["cliMissing", spawn("NotExecutable")],
        ["cliMissing", spawn("BadFormat")],
        ["breakerOpen", breakerOpen],
        ["usageLimit", usageLimit]
      ]
      for (const [cause, error] of causes) {
        for (const primary of [refusing(error), failing(error)]) {
          const { asked, claude } = answering()
          const events: Array<Claude.Fallback> = []
          const { error: failure, seen } = yield* collect(
            Claude.withFallback(primary, claude, [cause], {
              onFallback: (event) => Effect.sync(() => events.push(event))
            }),
            { model: "sonnet" }
          )
          assert.isUndefined(failure)
          assert.deepStrictEqual(seen.map(({ _tag }) => _tag), ["Status", "Text"])
          assert.strictEqual(announcement(seen)?.content, cause)
          assert.deepStrictEqual(asked, [["hi", { model: "sonnet" }]])
          assert.deepStrictEqual(events, [{ cause, error, target: { cli: "claude", account: "", model: "sonnet" } }])
        }
      }
    }))

  it.effect("is counted, by its cause", () =>
    Effect.gen(function*() {
      const counter = Metric.tagged(
        Metric.counter("ccflow_fallbacks_total", {
          description: "Calls that were answered by the fallback, and not by the CLI",
          incremental: true
        }),
        "cause",
        "breakerOpen"
      )
      const { count: before } = yield* Metric.value(counter)
      yield* collect(Claude.withFallback(refusing(breakerOpen), answering().claude, all))
      assert.strictEqual((yield* Metric.value(counter)).count, before + 1)
    }))

  it.effect("does not ask the other one for a cause that is not named, nor for any other failure", () =>
    Effect.gen(function*() {
      const errors: ReadonlyArray<readonly [ClaudeError, ReadonlyArray<Claude.FallbackCause>]> = [
        [missing, ["breakerOpen", "usageLimit"]],
        [breakerOpen, ["cliMissing", "usageLimit"]],
        [usageLimit, ["cliMissing", "breakerOpen"]],
        [spawn("CwdMissing"), all],
        [spawn("NoResources"), all],
        [down, all],
        [missing, []]
      ]
      for (const [error, when] of errors) {
        const { asked, claude } = answering()
        const ended = yield* collect(Claude.withFallback(refusing(error), claude, when))
        assert.strictEqual(ended.error, error)
        assert.deepStrictEqual(asked, [])
      }
    }))

  it.effect("asks a test of the caller's own", () =>
    Effect.gen(function*() {
      const { claude } = answering()
      const fallback = Claude.withFallback(refusing(down), claude, (error) => error._tag === "ApiClientError")
      const { error, seen } = yield* collect(fallback)
      assert.isUndefined(error)
      assert.strictEqual(announcement(seen)?.content, "other")
    }))

  it.effect("takes what tells of the failure away, and leaves notices", () =>
    Effect.gen(function*() {
      const primary = failing(usageLimit, [message.status, message.rateLimit], [message.error], [message.stop])
      const { seen } = yield* collect(Claude.withFallback(primary, answering().claude, all))
      assert.deepStrictEqual(seen.map(({ _tag }) => _tag), ["Status", "RateLimit", "Status", "Text"])
    }))

  it.effect("never falls back from a run that has said or done something", () =>
    Effect.gen(function*() {
      const said = FastCheck.shuffledSubarray([message.status, message.rateLimit, message.error, message.stop])
      for (const batch of FastCheck.sample(said, 30)) {
        for (const committing of [message.text, message.toolUse]) {
          const { asked, claude } = answering()
          const batches = [batch, [committing], batch]
          const { error, seen } = yield* collect(Claude.withFallback(failing(usageLimit, ...batches), claude, all))
          assert.strictEqual(error, usageLimit)
          assert.deepStrictEqual(seen, batches.flat())
          assert.deepStrictEqual(asked, [])
        }
      }
    }))

  it.effect("fails as the first one did where the other one refuses the options, with all its messages and the reason", () =>
    Effect.gen(function*() {
      const told: Array<unknown> = []
      const refusals = [refused, new InvalidOptionsError({ field: "f", detail: "bad schema", hint: "h" })]
      for (const refusal of refusals) {
        const primary = failing(usageLimit, [message.rateLimit], [message.error, message.stop])
        const { error, seen } = yield* collect(
          Claude.withFallback(primary, refusing(refusal), all, {
            onFallback: (event) => Effect.sync(() => told.push(event))
          })
        )
        assert.deepStrictEqual(seen.map(({ _tag }) => _tag), ["RateLimit", "Error", "Stop"])
        assert.strictEqual(error?._tag, "UsageLimitError")
        assert.include(error?.hint, `Wait. No fallback: ${refusal.detail}`)
        assert.isTrue(error instanceof UsageLimitError && error.resetsAt === 5)
      }
      assert.deepStrictEqual(told, [], "a fallback that was refused is none")
    }))

  it.effect("fails as the other one does where that one was asked, and asks it once", () =>
    Effect.gen(function*() {
      for (const fallback of [refusing(down), failing(down), failing(missing), failing(breakerOpen)]) {
        const events: Array<unknown> = []
        const { error } = yield* collect(
          Claude.withFallback(refusing(missing), fallback, all, {
            onFallback: (event) => Effect.sync(() => events.push(event))
          })
        )
        assert.strictEqual(events.length, 1)
        assert.notStrictEqual(error, undefined)
      }
      const { error } = yield* collect(Claude.withFallback(refusing(missing), failing(down), all))
      assert.strictEqual(error, down)
    }))

  it.effect("asks the first one first, every time, so that it answers again as soon as it can", () =>
    Effect.gen(function*() {
      const { asked, claude } = answering()
      const primary: Layer.Layer<Claude.Claude | FakeCli.FakeCli> = FakeClaude.layer((index) =>
        index === 0 ? { refuse: missing } : { turns: [FakeCli.answer("from the CLI")] }
      )
      yield* Effect.gen(function*() {
        const both = yield* Claude.Claude
        const first = yield* collect(both)
        const second = yield* collect(both)
        assert.deepStrictEqual(
          [first, second].map(({ seen }) => seen.flatMap((one) => one._tag === "Text" ? [one.content] : [])),
          [["from the other"], ["from the CLI"]]
        )
        const fake = yield* FakeCli.FakeCli
        assert.strictEqual((yield* fake.started).length, 2)
        assert.strictEqual(asked.length, 1)
      }).pipe(
        Effect.provide(Claude.layerWithFallback(primary, Layer.succeed(Claude.Claude, claude), all))
      )
    }))

  it.effect("has closed the first one before it asks the other, and closes the other with its consumer", () =>
    Effect.gen(function*() {
      const steps: Array<string> = []
      const opened = yield* Deferred.make<void>()
      const noted = (name: string, ended: Effect.Effect<never, Option.Option<ClaudeError>>) =>
        Claude.fromPull(Effect.as(
          Effect.acquireRelease(
            Effect.sync(() => steps.push(`${name} opened`)),
            () => Effect.sync(() => steps.push(`${name} closed`))
          ),
          ended
        ))
      const both = Claude.withFallback(
        { query: () => noted("first", Effect.fail(Option.some(missing))), session: never },
        {
          query: () => noted("other", Effect.zipRight(Deferred.succeed(opened, undefined), Effect.never)),
          session: never
        },
        all
      )
      const fiber = yield* Effect.fork(Stream.runDrain(both.query("hi")))
      yield* Deferred.await(opened)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(steps, ["first opened", "first closed", "other opened", "other closed"])
    }))

  it.effect("has the first one's sessions", () =>
    Effect.gen(function*() {
      const sessions = { ...refusing(missing), session: () => Effect.fail(missing) }
      const exit = yield* Effect.exit(Effect.scoped(Claude.withFallback(sessions, answering().claude, all).session()))
      assert.deepStrictEqual(exit, Exit.fail(missing))
    }))
})

describe("ApiRateLimitError", () => {
  it("is an ApiClientError, and stays what it is when it is written and read", () => {
    const limited = new ApiRateLimitError({ status: 429, type: "t", detail: "d", retryAfter: 5, hint: "h" })
    for (const kind of [ApiClientError, ApiRateLimitError, CCFlowError]) assert.isTrue(limited instanceof kind)
    assert.isFalse(down instanceof ApiRateLimitError)
    assert.isFalse(missing instanceof ApiClientError)
    const written = Schema.encodeSync(ClaudeError)(limited)
    assert.deepStrictEqual(written, {
      _tag: "ApiRateLimitError",
      status: 429,
      type: "t",
      detail: "d",
      retryAfter: 5,
      hint: "h"
    })
    assert.isTrue(
      Schema.decodeUnknownSync(ClaudeError)(JSON.parse(JSON.stringify(written))) instanceof ApiRateLimitError
    )
  })
})
