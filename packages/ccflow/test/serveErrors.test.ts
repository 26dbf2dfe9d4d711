import * as ClaudeError from "@ccflow/core/ClaudeError"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as FastCheck from "effect/FastCheck"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { answerOf, types } from "../src/internal/serveErrors.js"

const tags: ReadonlyArray<string> = ClaudeError.ClaudeError.members.map(({ identifier }) => identifier)

/** Some of one kind. Their numbers are times, too, and the latest are none. */
const samplesOf = (tag: string): ReadonlyArray<ClaudeError.ClaudeError> =>
  FastCheck.sample(Arbitrary.make(ClaudeError.ClaudeError).filter((error) => error._tag === tag), 5).map((error) =>
    Schema.decodeUnknownSync(ClaudeError.ClaudeError)(
      JSON.parse(
        JSON.stringify(
          Schema.encodeSync(ClaudeError.ClaudeError)(error),
          (_, value: unknown) => typeof value === "number" ? 1 : value
        )
      )
    )
  )

describe("the status of an error", () => {
  it("is one that was chosen for it, for all that a call can fail with", () => {
    for (const tag of tags) {
      const chosen = Object.entries(types).filter(([, names]) => names.some((name) => name === tag))
      assert.isNotEmpty(chosen, `${tag} has no status`)
      for (const error of samplesOf(tag)) {
        assert.include(chosen.map(([status]) => Number(status)), answerOf(error, 0).status, tag)
      }
    }
  })

  it("is not needed for any other error that there is", () => {
    const all = Object.values(ClaudeError).flatMap((value) =>
      Predicate.isFunction(value) && "identifier" in value && value.prototype instanceof Error ? [value.identifier] : []
    )
    assert.isAtLeast(all.length, tags.length)
    // No query fails with it.
    assert.deepStrictEqual(all.filter((tag) => !tags.includes(String(tag))), ["RetryExhaustedError"])
  })

  it("is that of a payment where somebody else would pay", () => {
    const error = new ClaudeError.BillingMismatchError({
      expected: "subscription",
      found: "apiKey",
      apiKeySource: "ANTHROPIC_API_KEY",
      hint: "Remove it."
    })
    assert.deepStrictEqual(answerOf(error, 0), {
      status: 402,
      body: {
        error: {
          type: "BillingMismatchError",
          message: "An API key would pay (ANTHROPIC_API_KEY), where a subscription is to.",
          hint: "Remove it."
        }
      }
    })
  })
})
