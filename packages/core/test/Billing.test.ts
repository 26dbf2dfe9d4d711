import * as CircuitBreaker from "@ccflow/core/CircuitBreaker"
import * as Claude from "@ccflow/core/Claude"
import type { BillingMismatchError } from "@ccflow/core/ClaudeError"
import * as Policies from "@ccflow/core/Policies"
import * as Session from "@ccflow/core/Session"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { follow, layerOf, processes, settle, subtypes } from "./sessions.js"

type Account = Readonly<Record<string, unknown>>

const max = { email: "a@b.example", subscriptionType: "Claude Max", apiProvider: "firstParty" }
const key = { tokenSource: "claude.ai", apiKeySource: "ANTHROPIC_API_KEY", apiProvider: "firstParty" }

/** A CLI that says this of its account, and begins its turns so. */
const paidBy = (account: Account | undefined, ...sources: ReadonlyArray<string>): FakeCli.Script => ({
  controls: { initialize: () => account === undefined ? {} : { account } },
  respond: (prompt, index) => [
    FakeCli.init({ apiKeySource: sources[Math.min(index, sources.length - 1)] ?? "none" }),
    ...FakeCli.answer(`to ${prompt}`).slice(1)
  ]
})

const prompts = Effect.flatMap(FakeCli.FakeCli, (cli) => cli.prompts)

/** What both CLI versions of the suite were seen to say. */
const said: ReadonlyArray<readonly [string, Account | undefined, BillingMismatchError["found"], string]> = [
  ["a login with a plan", max, "subscription", "none"],
  ["a login beside others", { tokenSource: "claude.ai", apiProvider: "firstParty" }, "subscription", "none"],
  [
    "a subscription's token",
    { tokenSource: "CLAUDE_CODE_OAUTH_TOKEN", apiProvider: "firstParty" },
    "subscription",
    "none"
  ],
  ["a key", { ...key, tokenSource: "none" }, "apiKey", "ANTHROPIC_API_KEY"],
  ["a key before a login", key, "apiKey", "ANTHROPIC_API_KEY"],
  [
    "a helper that gives keys",
    { tokenSource: "apiKeyHelper", apiKeySource: "apiKeyHelper", apiProvider: "firstParty" },
    "apiKey",
    "apiKeyHelper"
  ],
  ["a bearer token", { tokenSource: "ANTHROPIC_AUTH_TOKEN", apiProvider: "firstParty" }, "token", "none"],
  ["a cloud", { apiProvider: "bedrock" }, "cloud", "none"],
  ["nobody", { tokenSource: "none", apiProvider: "firstParty" }, "nobody", "none"],
  ["a login of which no plan is known", { email: "a@b.example", apiProvider: "firstParty" }, "unknown", "none"],
  ["a version that does not say", undefined, "unknown", "none"]
]

describe("who pays", () => {
  for (const billing of ["subscription", "apiKey"] as const) {
    for (const [name, account, found, apiKeySource] of said) {
      const source = found === "apiKey" ? apiKeySource : "none"
      const good = found === billing
      it.scoped(`${name}: a query for ${billing} is ${good ? "asked" : "refused before its prompt is sent"}`, () =>
        Effect.gen(function*() {
          const query = yield* follow(Claude.query("2+2", { billing }))
          if (good) {
            assert.strictEqual((yield* query.result).result, "to 2+2")
            return
          }
          const error = yield* Effect.flip(query.result)
          assert.deepInclude({ ...error }, { _tag: "BillingMismatchError", expected: billing, found, apiKeySource })
          assert.notStrictEqual(error.hint, "")
          assert.deepStrictEqual(yield* prompts, [])
          assert.deepStrictEqual(yield* processes, { started: 1, running: 0 })
        }).pipe(Effect.provide(layerOf(paidBy(account, source)))))

      it.scoped(`${name}: a session for ${billing} ${good ? "goes" : "sends no prompt"}`, () =>
        Effect.gen(function*() {
          const session = yield* Session.make({ billing })
          if (good) return assert.strictEqual(yield* Session.text(session, "a"), "to a")
          const error = yield* Effect.flip(Session.text(session, "a"))
          assert.deepInclude({ ...error }, { _tag: "BillingMismatchError", expected: billing, found, apiKeySource })
          assert.deepStrictEqual(yield* prompts, [])
          yield* settle
          assert.deepStrictEqual(yield* processes, { started: 1, running: 0 })
        }).pipe(Effect.provide(layerOf(paidBy(account, source)))))
    }
  }

  it.scoped("is not asked where nobody wants to know", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Claude.text("2+2"), "to 2+2")
      assert.deepStrictEqual(yield* subtypes(0), [])
    }).pipe(Effect.provide(layerOf(paidBy(key, "ANTHROPIC_API_KEY")))))

  it.scoped("is known of a process that was kept warm, too", () =>
    Effect.gen(function*() {
      yield* settle
      const error = yield* Effect.flip(Claude.text("2+2", { billing: "subscription" }))
      assert.strictEqual(error._tag, "BillingMismatchError")
      const session = yield* Session.make({ billing: "subscription" })
      assert.strictEqual((yield* Effect.flip(Session.text(session, "a")))._tag, "BillingMismatchError")
      assert.deepStrictEqual(yield* prompts, [])
    }).pipe(Effect.provide(layerOf(paidBy(key, "ANTHROPIC_API_KEY"), { warm: 2 }))))

  it.scoped("ends a query whose start says that somebody else does by then", () =>
    Effect.gen(function*() {
      const query = yield* follow(Claude.query("2+2", { billing: "subscription" }))
      assert.deepInclude({ ...yield* Effect.flip(query.result) }, {
        _tag: "BillingMismatchError",
        found: "apiKey",
        apiKeySource: "/login managed key"
      })
      assert.deepStrictEqual(yield* processes, { started: 1, running: 0 })
    }).pipe(Effect.provide(layerOf({
      controls: { initialize: () => ({ account: max }) },
      turns: [[FakeCli.init({ apiKeySource: "/login managed key" }), FakeCli.hang]]
    }))))

  it.scoped("ends a session's turn whose start says that somebody else does by then, and its process", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ billing: "subscription" })
      assert.strictEqual(yield* Session.text(session, "a"), "to a")
      const error = yield* Effect.flip(Session.text(session, "b"))
      assert.deepInclude({ ...error }, { _tag: "BillingMismatchError", apiKeySource: "ANTHROPIC_API_KEY" })
      yield* settle
      assert.deepStrictEqual(yield* processes, { started: 1, running: 0 })
    }).pipe(Effect.provide(layerOf(paidBy(max, "none", "ANTHROPIC_API_KEY")))))

  it.scoped("is neither tried again nor held against the CLI", () =>
    Effect.gen(function*() {
      for (let i = 0; i < 10; i++) {
        const error = yield* Effect.flip(Claude.text("2+2", { billing: "subscription" }))
        assert.strictEqual(error._tag, "BillingMismatchError")
      }
      const breaker = yield* CircuitBreaker.CircuitBreaker
      assert.deepStrictEqual(yield* breaker.state("claude"), { _tag: "Closed", failures: 0 })
      assert.strictEqual((yield* processes).started, 10)
    }).pipe(
      Effect.provide(FakeClaude.layerWith(paidBy(key, "ANTHROPIC_API_KEY"), Policies.layerWith({})))
    ))
})
