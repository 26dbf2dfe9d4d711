import { CCFlowError, RunFacts } from "@ccflow/core/ClaudeError"
import * as Message from "@ccflow/core/Message"
import * as Outcome from "@ccflow/core/Outcome"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Either, FastCheck } from "effect"

const nothing = FastCheck.constant(undefined)
const oneOf = <A>(...values: ReadonlyArray<A>) => FastCheck.constantFrom(...values)

const anyFacts = FastCheck.tuple(
  Arbitrary.make(RunFacts),
  FastCheck.oneof(
    FastCheck.record({ exitCode: oneOf(0, 1, 2, 129, 130, 137, 143), signal: FastCheck.constant(null) }),
    FastCheck.record({ exitCode: FastCheck.constant(null), signal: oneOf("SIGKILL", "SIGTERM", null) })
  ),
  oneOf("", "error: unknown option '--x'", "Error: Session ID abc is already in use.", "noise")
).map(([facts, exit, stderrTail]) => ({ ...facts, ...exit, stderrTail }))

const anyResult = FastCheck.tuple(
  Arbitrary.make(Message.Result),
  FastCheck.record({
    isError: FastCheck.boolean(),
    subtype: oneOf(
      "success",
      "success",
      "error_during_execution",
      "error_max_turns",
      "error_max_budget_usd",
      "error_max_structured_output_retries",
      "later"
    ),
    terminalReason: oneOf(undefined, "completed", "aborted_tools", "aborted_streaming", "prompt_too_long", "later"),
    stopReason: oneOf(null, "end_turn", "refusal"),
    apiErrorStatus: oneOf(undefined, 400, 401, 404, 429, 500, 529),
    apiError: oneOf(undefined, "usage_limit_reached", "connection_failed", "later"),
    startupFailure: oneOf(undefined, undefined, "bypass_root", "later")
  })
).map(([result, chosen]): Message.Result => ({ ...result, ...chosen }))

const anyObserved: FastCheck.Arbitrary<Outcome.Observed> = FastCheck.record({
  facts: anyFacts,
  result: FastCheck.oneof(anyResult, anyResult, nothing),
  error: FastCheck.oneof(
    FastCheck.tuple(
      Arbitrary.make(Message.ErrorMessage),
      oneOf("rate_limit", "billing_error", "authentication_failed", "server_error", "max_output_tokens", "later")
    ).map(([error, code]) => ({ ...error, code })),
    nothing
  ),
  rejected: FastCheck.oneof(Arbitrary.make(Message.RateLimit), nothing),
  model: FastCheck.string(),
  wantsStructuredOutput: FastCheck.boolean(),
  interrupted: FastCheck.boolean()
})

const holds = (law: (observed: Outcome.Observed, verdict: ReturnType<typeof Outcome.decide>) => void) =>
  FastCheck.assert(
    FastCheck.property(anyObserved, (observed) => law(observed, Outcome.decide(observed))),
    { numRuns: 2000 }
  )

describe("whatever was observed", () => {
  it("the verdict is the CLI's own result, or a CCFlowError with a hint and a text", () => {
    holds(({ result }, verdict) => {
      if (Either.isRight(verdict)) return assert.strictEqual(verdict.right, result)
      assert.isTrue(verdict.left instanceof CCFlowError)
      assert.match(verdict.left.hint, /[.?]$/)
      assert.isAbove(verdict.left.message.length, verdict.left.hint.length)
    })
  })

  it("without a result there is no success", () => {
    holds(({ result }, verdict) => {
      if (result === undefined) assert.isTrue(Either.isLeft(verdict))
    })
  })

  it("a failed result is no success, unless the caller asked for the interrupt that ended it", () => {
    holds(({ interrupted, result }, verdict) => {
      if (result?.isError !== true) return
      const asked = interrupted && result.interrupted
      assert.strictEqual(Either.isRight(verdict), asked)
    })
  })

  it("a good result is a success, and only the output that was asked for can be missing", () => {
    holds(({ result, wantsStructuredOutput }, verdict) => {
      if (result === undefined || result.isError || result.subtype !== "success") return
      if (Either.isRight(verdict)) return
      assert.isTrue(wantsStructuredOutput && result.structuredOutput === undefined)
      assert.strictEqual(verdict.left._tag, "StructuredOutputError")
    })
  })

  it("the exit does not change what a result says", () => {
    FastCheck.assert(FastCheck.property(anyObserved, anyFacts, (observed, facts) => {
      FastCheck.pre(observed.result !== undefined)
      const { exitCode, signal, stderrTail } = facts
      const other = Outcome.decide({ ...observed, facts: { ...observed.facts, exitCode, signal, stderrTail } })
      const verdict = Outcome.decide(observed)
      assert.strictEqual(Either.isRight(other), Either.isRight(verdict))
      if (Either.isLeft(other) && Either.isLeft(verdict)) assert.strictEqual(other.left._tag, verdict.left._tag)
    }))
  })
})
