import * as ClaudeError from "@ccflow/core/ClaudeError"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Cause, Effect, Exit, FastCheck, Schema } from "effect"

const facts: ClaudeError.RunFacts = {
  exitCode: 1,
  signal: null,
  argv: ["claude", "-p", "--model=opus"],
  stderrTail: "first line\nlast line\n",
  sessionId: "11111111-2222-4333-8444-555555555555",
  frames: 3
}
const hint = "Do this."

/** One of each, with the message that a user reads. */
const samples: ReadonlyArray<readonly [error: ClaudeError.ClaudeError, message: string]> = [
  [new ClaudeError.CliNotFoundError({ command: "claude", hint }), "No Claude Code CLI at \"claude\". Do this."],
  [
    new ClaudeError.CliSpawnError({ command: "/x", reason: "NotExecutable", code: "EACCES", hint }),
    "Could not start \"/x\": NotExecutable (EACCES). Do this."
  ],
  [
    new ClaudeError.CliExitError({ reason: "Exited", detail: "it left", facts, hint }),
    "Claude Code ended: it left (exit code 1; stderr: last line). Do this."
  ],
  [
    new ClaudeError.CliExitError({
      reason: "Killed",
      detail: "SIGKILL stopped it",
      facts: { ...facts, exitCode: null, signal: "SIGKILL", stderrTail: "" },
      hint
    }),
    "Claude Code ended: SIGKILL stopped it (signal SIGKILL). Do this."
  ],
  [
    new ClaudeError.CliExitError({ reason: "ConfigInvalid", detail: "The file is broken.\n\nMore.", facts, hint }),
    "The file is broken. Do this."
  ],
  [
    new ClaudeError.CliProtocolError({ request: "initialize", detail: "no answer", hint }),
    "Claude Code did not accept \"initialize\": no answer. Do this."
  ],
  [
    new ClaudeError.MissingResultError({ facts: { ...facts, exitCode: 0, stderrTail: "" }, hint }),
    "Claude Code ended without a result (exit code 0). Do this."
  ],
  [
    new ClaudeError.InvalidOptionsError({ field: "maxTurns", detail: "it must be above 0", hint }),
    "Invalid option maxTurns: it must be above 0. Do this."
  ],
  [
    new ClaudeError.CliTimeoutError({
      phase: "stall",
      timeoutMs: 50,
      sessionId: "",
      frames: 0,
      partial: "",
      costUsd: null,
      hint
    }),
    "Claude Code did not say anything within 50 ms (stall deadline). Do this."
  ],
  [
    new ClaudeError.CliTimeoutError({
      phase: "total",
      timeoutMs: 50,
      sessionId: "",
      frames: 0,
      partial: "",
      costUsd: null,
      hint
    }),
    "Claude Code did not finish within 50 ms (total deadline). Do this."
  ],
  [
    new ClaudeError.AuthenticationError({ status: 401, detail: "Invalid API key", facts, hint }),
    "Invalid API key. Do this."
  ],
  [
    new ClaudeError.ApiError({ status: 500, type: "api_error", detail: "It failed.", facts, hint }),
    "It failed. Do this."
  ],
  [new ClaudeError.OverloadedError({ detail: "Overloaded", facts, hint }), "Overloaded. Do this."],
  [
    new ClaudeError.UsageLimitError({ limit: "five_hour", resetsAt: 1_800_000_000_000, detail: "Limit", facts, hint }),
    "Limit. Do this."
  ],
  [
    new ClaudeError.ModelNotFoundError({ model: "m", detail: "No such model!", facts, hint }),
    "No such model! Do this."
  ],
  [new ClaudeError.RefusalError({ detail: "No\nway\n\nRequest ID: 1", facts, hint }), "No way. Do this."],
  [new ClaudeError.ContextOverflowError({ detail: "Too long", facts, hint }), "Too long. Do this."],
  [
    new ClaudeError.MaxTurnsError({ numTurns: 3, facts, hint }),
    "Stopped before the model was done: maxTurns is reached. Do this."
  ],
  [
    new ClaudeError.PermissionDeniedError({ tool: "Bash", toolUseId: "toolu_1", facts, hint }),
    "The use of Bash was denied, and the turn ended. Do this."
  ],
  [
    new ClaudeError.BudgetExceededError({ spentUsd: 0.30000000000000004, facts, hint }),
    "Stopped after 0.3 USD: maxBudgetUsd is reached. Do this."
  ],
  [
    new ClaudeError.BudgetExceededError({
      scope: "day",
      spentUsd: 5.000000001,
      limitUsd: 5,
      renewsAt: 1_800_000_000_000,
      hint
    }),
    "The budget of the day is spent: 5 of 5 USD; it renews at 2027-01-15T08:00:00.000Z. Do this."
  ],
  [
    new ClaudeError.BudgetExceededError({ scope: "session", spentUsd: 1.25, limitUsd: 1, hint }),
    "The budget of the session is spent: 1.25 of 1 USD. Do this."
  ],
  [
    new ClaudeError.BillingMismatchError({
      expected: "subscription",
      found: "apiKey",
      apiKeySource: "ANTHROPIC_API_KEY",
      hint
    }),
    "An API key would pay (ANTHROPIC_API_KEY), where a subscription is to. Do this."
  ],
  [
    new ClaudeError.BillingMismatchError({ expected: "apiKey", found: "nobody", apiKeySource: "none", hint }),
    "Nobody is logged in who would pay, where the owner of an API key is to. Do this."
  ],
  [
    new ClaudeError.StructuredOutputError({ reason: "NeverGiven", detail: "nothing came", facts, hint }),
    "No structured output: nothing came. Do this."
  ],
  [
    new ClaudeError.SessionNotFoundError({ sessionId: "abc", facts, hint }),
    "No conversation with session id \"abc\". Do this."
  ],
  [new ClaudeError.SessionBusyError({ sessionId: "abc", hint }), "Session id \"abc\" is already in use. Do this."],
  [
    new ClaudeError.SessionBusyError({ sessionId: "abc", holder: "4711@host", until: 1_800_000_000_000, hint }),
    "Session id \"abc\" is already in use by 4711@host until 2027-01-15T08:00:00.000Z. Do this."
  ],
  [
    new ClaudeError.SessionBusyError({ sessionId: "abc", holder: "4711@host", until: 1e20, hint }),
    "Session id \"abc\" is already in use by 4711@host. Do this."
  ],
  [new ClaudeError.SessionClosedError({ sessionId: "abc", hint }), "Session \"abc\" is closed. Do this."],
  [
    new ClaudeError.SessionLimitError({ maxLive: 3, hint }),
    "3 live sessions are all that there may be. Do this."
  ],
  [
    new ClaudeError.SessionStoreError({ operation: "open", reason: "Corrupt", detail: "not a database", hint }),
    "The session store failed (open, Corrupt): not a database. Do this."
  ],
  [
    new ClaudeError.CircuitBreakerError({ key: "claude", retryAfter: 29_001, hint }),
    "The circuit breaker is open for another 30 s. Do this."
  ],
  [
    new ClaudeError.RateLimitExceededError({ retryAfter: 500, limit: "60 requests per minute", hint }),
    "The rate limit is reached (60 requests per minute). Do this."
  ],
  [
    new ClaudeError.ApiClientError({ status: 400, type: "invalid_request_error", detail: "too long", hint }),
    "too long. Do this."
  ],
  [
    new ClaudeError.ApiRateLimitError({
      status: 429,
      type: "rate_limit_error",
      detail: "slow down",
      retryAfter: 1000,
      hint
    }),
    "slow down. Do this."
  ]
]

const rows = samples.map(([error, message], index) => ({ name: `${error._tag} ${index}`, error, message }))

const throughJson = (error: ClaudeError.ClaudeError): ClaudeError.ClaudeError =>
  Schema.decodeUnknownSync(ClaudeError.ClaudeError)(
    JSON.parse(JSON.stringify(Schema.encodeSync(ClaudeError.ClaudeError)(error)))
  )

describe("every error", () => {
  it("has a sample here", () => {
    const tags = ClaudeError.ClaudeError.members.map((member) => member._tag)
    assert.deepStrictEqual([...new Set(samples.map(([error]) => error._tag))].sort(), [...tags].sort())
  })

  it.each(rows)("$name is a CCFlowError with its own tag, name and class", ({ error }) => {
    assert.isTrue(error instanceof ClaudeError.CCFlowError)
    assert.isTrue(error instanceof Error)
    assert.strictEqual(error.name, error._tag)
    const mine = ClaudeError.ClaudeError.members.filter((member) => error instanceof member).map(({ _tag }) => _tag)
    // One of them is a kind of another.
    const kinds = error._tag === "ApiRateLimitError" ? ["ApiClientError", error._tag] : [error._tag]
    assert.deepStrictEqual(mine, kinds)
  })

  it.each(rows)("$name says what happened and what to do, on one line", ({ error, message }) => {
    assert.strictEqual(error.message, message)
    assert.include(String(error), message)
    assert.strictEqual(error.hint, hint)
  })

  it.each(rows)("$name survives JSON", ({ error, message }) => {
    const back = throughJson(error)
    assert.strictEqual(back.constructor, error.constructor)
    assert.isTrue(back instanceof ClaudeError.CCFlowError)
    assert.strictEqual(back.message, message)
    assert.deepStrictEqual(JSON.stringify(back), JSON.stringify(error))
  })

  it.effect.each(rows)("$name can be failed with and caught by its tag", ({ error }) =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.fail(error))
      assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) === error)
      const caught = yield* Effect.catchTag(Effect.fail(error), error._tag, (found) => Effect.succeed(found))
      assert.strictEqual(caught, error)
    }))
})

describe("an error's text", () => {
  const anyError = Arbitrary.make(ClaudeError.ClaudeError)

  it("is one line of bounded length that ends like a sentence, whatever the CLI said", () => {
    FastCheck.assert(FastCheck.property(FastCheck.string({ unit: "binary", maxLength: 5000 }), (detail) => {
      const error = new ClaudeError.RefusalError({ detail: `It ${detail} \n x`, facts, hint })
      assert.notMatch(error.message, /[\n\r]/)
      assert.match(error.message, /[.!?…] Do this\.$/u)
      assert.isBelow(error.message.length, 450)
    }))
  })

  it("hides keys and tokens that the CLI, or what it started, has printed", () => {
    const stderrTail = "key sk-ant-api03-S3CRET_a-b, header Authorization: Bearer S3CRET.x.y, oauth sk-ant-oat01-S3CRET"
    const error = new ClaudeError.CliExitError({
      reason: "Exited",
      detail: "it left",
      facts: { ...facts, stderrTail },
      hint
    })
    assert.include(error.message, "key <redacted>")
    assert.notInclude(error.message, "S3CRET")
  })

  it("an error of any content survives JSON", () => {
    FastCheck.assert(FastCheck.property(anyError, (error) => {
      FastCheck.pre(Object.values(error).every((value) => typeof value !== "number" || Number.isFinite(value)))
      assert.strictEqual(JSON.stringify(throughJson(error)), JSON.stringify(error))
    }))
  })
})

describe("instanceof CCFlowError", () => {
  it("is false for everything else", () => {
    for (const other of [new Error("x"), {}, null, undefined, "CCFlowError", { _tag: "ApiError" }]) {
      assert.isFalse(other instanceof ClaudeError.CCFlowError)
    }
  })
})
