import * as Claude from "@ccflow/core/Claude"
import { ApiClientError, ApiRateLimitError, CCFlowError } from "@ccflow/core/ClaudeError"
import * as Policies from "@ccflow/core/Policies"
import * as Retry from "@ccflow/core/Retry"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream, TestClock } from "effect"
import { cut, endEarly, errorMid, html, rateLimited, status, text } from "../../../test/support/MessagesApi.js"
import { apiKey, collect, failure, printed, scripted, sse, streamOf, tags, withApi, withFetch } from "./api.js"

const prompt = "the secret plan of the third floor"

const isClientError = (error: unknown): ApiClientError =>
  error instanceof ApiClientError ? error : assert.fail(`not an ApiClientError: ${String(error)}`)

const answering = (code: number, headers: Readonly<Record<string, string>>, error: object = {}) =>
  scripted(() =>
    Response.json({ type: "error", error: { type: "rate_limit_error", message: "Slow down", ...error } }, {
      status: code,
      headers
    })
  ).fetch

describe("an error of the API", () => {
  it.scopedLive("has the status, the API's name for it and its words", () =>
    withApi(
      [status(400), status(401), status(404, { message: "model: nope" }), status(529), html(502)],
      () =>
        Effect.gen(function*() {
          const seen = []
          for (let i = 0; i < 5; i++) {
            const error = isClientError(yield* failure(prompt))
            assert.isTrue(error instanceof CCFlowError)
            assert.notStrictEqual(error.hint, "")
            seen.push([error.status, error.type, error.detail])
          }
          assert.deepStrictEqual(seen, [
            [400, "invalid_request_error", "The request is not valid"],
            [401, "authentication_error", "invalid x-api-key"],
            [404, "not_found_error", "model: nope"],
            [529, "overloaded_error", "Overloaded"],
            [502, "api_error", "The API answered with status 502 and did not say why"]
          ])
        })
    ))

  it.scopedLive("shows neither the key nor the prompt, even where the API repeats them", () =>
    withApi(
      () => status(400, { message: `${prompt} is not a prompt for ${apiKey}` }),
      (api) =>
        Effect.gen(function*() {
          const error = yield* failure(prompt)
          assert.notInclude(printed(error), apiKey)
          assert.notInclude(printed(error), prompt)
          assert.include(printed(error), "is not a prompt for <redacted>")
          assert.strictEqual(api.mainRequests()[0]?.authorization, `Bearer ${apiKey}`)
        })
    ))

  it.effect("that nobody could reach has no status", () => {
    const fetch = () =>
      Promise.reject(
        new TypeError("fetch failed", { cause: Object.assign(new Error(apiKey), { code: "ECONNREFUSED" }) })
      )
    return Effect.gen(function*() {
      const error = isClientError(yield* failure(prompt))
      assert.deepStrictEqual([error.status, error.type], [null, "connection_failed"])
      assert.include(error.message, "ECONNREFUSED")
      assert.notInclude(printed(error), apiKey)
    }).pipe(Effect.provide(withFetch(fetch)))
  })

  it.scopedLive("that cuts the answer off is no answer", () =>
    withApi(
      [
        cut({ afterChars: 30 }),
        endEarly({ afterChars: 30 }),
        errorMid({ afterChars: 30 })
      ],
      () =>
        Effect.gen(function*() {
          const seen = []
          for (let i = 0; i < 3; i++) {
            const { error, seen: messages } = yield* collect(prompt, { includePartialMessages: true })
            assert.include(tags(messages), "Text")
            assert.notInclude(tags(messages), "Result")
            seen.push([isClientError(error).status, isClientError(error).type])
          }
          assert.deepStrictEqual(seen, [
            [null, "connection_failed"],
            [null, "connection_failed"],
            [529, "overloaded_error"]
          ])
        })
    ))

  it.effect("that is no event makes no answer with a hole, and is not shown", () => {
    const events = sse(text("one two three", { chunkSize: 4 }))
    const { fetch } = scripted(() =>
      streamOf(events.map((event) => event.includes("two") ? "event: content_block_delta\ndata: {\"two\n\n" : event))
    )
    return Effect.gen(function*() {
      const error = isClientError(yield* failure(prompt))
      assert.deepStrictEqual([error.status, error.type], [200, "malformed_event"])
      assert.notInclude(printed(error), "two")
      assert.isFalse(Retry.isTransient(error))
    }).pipe(Effect.provide(withFetch(fetch)))
  })
})

describe("too many requests", () => {
  const now = Date.UTC(2026, 10, 22, 12)
  const in20 = new Date(now + 20_000)
  const cases: ReadonlyArray<readonly [what: string, headers: Record<string, string>, retryAfter: number | null]> = [
    ["seconds", { "retry-after": "7" }, 7000],
    ["milliseconds, which are more exact", { "retry-after": "7", "retry-after-ms": "6400" }, 6400],
    ["a date", { "retry-after": in20.toUTCString() }, 20_000],
    ["a date that has passed", { "retry-after": new Date(now - 5000).toUTCString() }, 0],
    [
      "the limit that is used up, and not the others",
      {
        "anthropic-ratelimit-requests-remaining": "5",
        "anthropic-ratelimit-requests-reset": new Date(now + 90_000).toISOString(),
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": in20.toISOString()
      },
      20_000
    ],
    ["nothing", {}, null],
    ["nonsense", { "retry-after": "soon" }, null]
  ]
  for (const [what, headers, retryAfter] of cases) {
    it.effect(`tells how long to wait by ${what}`, () =>
      Effect.gen(function*() {
        yield* TestClock.setTime(now)
        const error = yield* failure(prompt)
        assert.strictEqual(error._tag, "ApiRateLimitError")
        assert.isTrue(error instanceof ApiClientError, "it is an ApiClientError, too")
        assert.strictEqual(error instanceof ApiRateLimitError ? error.retryAfter : "none", retryAfter)
      }).pipe(Effect.provide(withFetch(answering(429, headers)))))
  }

  it.effect("is waited for as told by the retries, and asked once more", () => {
    const { fetch, requests } = scripted((_, index) =>
      index === 0
        ? Response.json({ type: "error", error: { type: "rate_limit_error", message: "" } }, {
          status: 429,
          headers: { "retry-after": "7" }
        })
        : streamOf(sse(text("4")))
    )
    return Effect.gen(function*() {
      const fiber = yield* Effect.fork(Claude.text(prompt))
      while (requests.length === 0) yield* Effect.yieldNow()
      // What the answer of the stand-in takes is no time of the clock's.
      for (let i = 0; i < 20; i++) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* TestClock.adjust("6999 millis")
      assert.strictEqual(requests.length, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(fiber), "4")
      assert.strictEqual(requests.length, 2)
    }).pipe(Effect.provide(withFetch(fetch, {}, Layer.orDie(Policies.layer))))
  })

  it.effect("for want of money is not tried again", () =>
    Effect.gen(function*() {
      const error = yield* failure(prompt)
      assert.strictEqual(error._tag, "ApiClientError")
      assert.isFalse(Retry.isTransient(error))
    }).pipe(Effect.provide(withFetch(
      answering(429, {}, { details: { error_code: "enforced_spend_limit_reached" } })
    ))))
})

describe("the request", () => {
  it.scopedLive("is taken back when its consumer leaves", () =>
    withApi(() => text("a long answer that nobody waits for", { delayMs: 50 }), (api) =>
      Effect.gen(function*() {
        yield* Claude.query(prompt, { includePartialMessages: true }).pipe(
          Stream.takeUntil((message) => message._tag === "Text"),
          Stream.runDrain
        )
        for (let i = 0; api.abandoned() === 0 && i < 200; i++) yield* Effect.sleep(10)
        assert.strictEqual(api.abandoned(), 1)
      })))

  it.scopedLive("is made again after 529 by the retries, without a trace of the first", () =>
    withApi(
      [status(529), rateLimited({ retryAfterSeconds: 0 }), text("4")],
      (api) =>
        Effect.gen(function*() {
          const { error, seen } = yield* collect(prompt)
          assert.isUndefined(error)
          assert.deepStrictEqual(tags(seen), ["Init", "Text", "Assistant", "Stop", "Result"])
          assert.strictEqual(api.mainRequests().length, 3)
        }),
      {},
      Layer.orDie(Policies.layerWith({ retry: { baseDelay: 1 } }))
    ))
})
