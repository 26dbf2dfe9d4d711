import { ApiRateLimitError, InvalidOptionsError, RetryExhaustedError, retryWithBackoff, UsageLimitError } from "ccflow"
import { assert, describe, it } from "vitest"

const quick = { baseDelay: 1, maxDelay: 2 }
const passing = Object.assign(new Error("read"), { code: "ECONNRESET" })

/** Fails with these, one after the other, and then answers. */
const failing = (...errors: ReadonlyArray<unknown>) => {
  let calls = 0
  const fn = () => {
    if (calls < errors.length) throw errors[calls++]
    calls++
    return "fine"
  }
  return { fn, calls: () => calls }
}

const rejection = async (promise: Promise<unknown>): Promise<unknown> => {
  try {
    await promise
  } catch (error) {
    return error
  }
  return assert.fail("it did not reject")
}

describe("retryWithBackoff", () => {
  it("calls until it succeeds, promises and plain values alike", async () => {
    const plain = failing(passing, passing)
    assert.strictEqual(await retryWithBackoff(plain.fn, quick), "fine")
    assert.strictEqual(plain.calls(), 3)
    const later = failing(passing)
    assert.strictEqual(await retryWithBackoff(async () => later.fn(), quick), "fine")
  })

  it("rejects with RetryExhaustedError when the retries are used up: 3 by default", async () => {
    const { calls, fn } = failing(...Array.from({ length: 9 }, () => passing))
    const error = await rejection(retryWithBackoff(fn, quick))
    assert.instanceOf(error, RetryExhaustedError)
    assert.strictEqual(error.attempts, 4)
    assert.strictEqual(error.lastError, passing)
    assert.strictEqual(calls(), 4)
  })

  it("with no retries fails at the first failure that passes", async () => {
    const error = await rejection(retryWithBackoff(failing(passing).fn, { ...quick, maxRetries: 0 }))
    assert.instanceOf(error, RetryExhaustedError)
    assert.strictEqual(error.attempts, 1)
  })

  it("throws what does not pass as it is, at once, also after retries", async () => {
    const bug = new TypeError("a bug")
    const { calls, fn } = failing(passing, bug, passing)
    assert.strictEqual(await rejection(retryWithBackoff(fn, quick)), bug)
    assert.strictEqual(calls(), 2)
    assert.strictEqual(await rejection(retryWithBackoff(() => Promise.reject("no"), quick)), "no")
  })

  it("knows what passes: lost connections, also as the cause of a failed fetch, and time-outs", async () => {
    const fetchFailed = new TypeError("fetch failed", { cause: Object.assign(new Error(), { code: "UND_ERR_SOCKET" }) })
    const late = new DOMException("late", "TimeoutError")
    const told = new ApiRateLimitError({ status: 429, type: "x", detail: "", retryAfter: 1, hint: "" })
    assert.strictEqual(await retryWithBackoff(failing(fetchFailed, late, told).fn, quick), "fine")
    const facts = { exitCode: 1, signal: null, argv: [], stderrTail: "", sessionId: "", frames: 0 }
    const limit = new UsageLimitError({ limit: "five_hour", resetsAt: null, detail: "", facts, hint: "" })
    assert.strictEqual(await rejection(retryWithBackoff(failing(limit).fn, quick)), limit)
    const circle = Object.assign(new Error("round"), { cause: {} })
    circle.cause = circle
    assert.strictEqual(await rejection(retryWithBackoff(failing(circle).fn, quick)), circle)
  })

  it("waits as long as the server has told", async () => {
    const told = new ApiRateLimitError({ status: 429, type: "x", detail: "", retryAfter: 1, hint: "" })
    const started = performance.now()
    await retryWithBackoff(failing(told).fn, { baseDelay: "1 minute", maxDelay: "1 minute" })
    assert.isBelow(performance.now() - started, 10_000)
  })

  it("asks the caller's own test once for each failure, and throws what that throws", async () => {
    const asked: Array<unknown> = []
    const retryable = (error: unknown) => asked.push(error) < 2
    assert.strictEqual(await rejection(retryWithBackoff(failing(1, 2, 3).fn, { ...quick, retryable })), 2)
    assert.deepStrictEqual(asked, [1, 2])
    const bug = new Error("in the test")
    const broken = () => {
      throw bug
    }
    assert.strictEqual(await rejection(retryWithBackoff(failing(1).fn, { ...quick, retryable: broken })), bug)
  })

  it("ends at once with an AbortError when its signal is aborted: before, while it calls, while it waits", async () => {
    const before = failing()
    const isAbort = (error: unknown) => {
      assert.instanceOf(error, DOMException)
      assert.strictEqual(error.name, "AbortError")
      assert.strictEqual(error.cause, "enough")
    }
    isAbort(await rejection(retryWithBackoff(before.fn, { signal: AbortSignal.abort("enough") })))
    assert.strictEqual(before.calls(), 0)
    for (const hangs of [true, false]) {
      const abort = new AbortController()
      let inner: AbortSignal | undefined
      const running = retryWithBackoff((signal) => {
        inner = signal
        setTimeout(() => abort.abort("enough"), 5)
        return hangs ? new Promise(() => {}) : Promise.reject(passing)
      }, { baseDelay: "1 hour", maxDelay: "1 hour", signal: abort.signal })
      isAbort(await rejection(running))
      if (hangs) assert.isTrue(inner?.aborted)
    }
  })

  it("refuses options that are wrong, and calls nothing", async () => {
    const { calls, fn } = failing()
    const error = await rejection(retryWithBackoff(fn, { maxRetries: -1 }))
    assert.instanceOf(error, InvalidOptionsError)
    assert.strictEqual(error.field, "retry.maxRetries")
    assert.strictEqual(calls(), 0)
  })
})
