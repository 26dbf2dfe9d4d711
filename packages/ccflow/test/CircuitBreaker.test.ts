import {
  ApiError,
  CircuitBreaker,
  CircuitBreakerError,
  CliSpawnError,
  getCliCircuitBreaker,
  InvalidOptionsError,
  MaxTurnsError,
  MissingResultError,
  querySimple
} from "ccflow"
import { setTimeout as sleep } from "node:timers/promises"
import { assert, describe, it } from "vitest"

const rejection = async (promise: Promise<unknown>): Promise<unknown> => {
  try {
    await promise
  } catch (error) {
    return error
  }
  return assert.fail("it did not reject")
}
const failing = (error: unknown = new Error("down")) => () => Promise.reject(error)

describe("a circuit breaker", () => {
  it("opens, refuses without calling, lets one probe through and closes", async () => {
    const breaker = new CircuitBreaker({ failureThreshold: 2, successThreshold: 2, resetTimeout: 50, name: "mine" })
    const down = new Error("down")
    assert.strictEqual(breaker.state, "closed")
    assert.strictEqual(await rejection(breaker.call(failing(down))), down)
    assert.strictEqual(breaker.stats.failureCount, 1)
    await rejection(breaker.call(failing(down)))
    assert.strictEqual(breaker.state, "open")
    let called = false
    const refused = await rejection(breaker.call(() => {
      called = true
    }))
    assert.instanceOf(refused, CircuitBreakerError)
    assert.strictEqual(refused.key, "mine")
    assert.isAtMost(refused.retryAfter, 50)
    assert.isFalse(called)
    await sleep(60)
    assert.strictEqual(breaker.state, "half_open")
    assert.strictEqual(await breaker.call(() => "fine"), "fine")
    assert.deepInclude(breaker.stats, { state: "half_open", successCount: 1 })
    assert.strictEqual(await breaker.call(async () => "fine"), "fine")
    const { lastFailureTime, lastSuccessTime, ...stats } = breaker.stats
    assert.deepStrictEqual(stats, {
      state: "closed",
      failureCount: 0,
      successCount: 0,
      totalCalls: 4,
      totalFailures: 2,
      totalRejections: 1
    })
    assert.isAtLeast(lastSuccessTime ?? 0, lastFailureTime ?? Infinity)
  })

  it("guards a function that is called as before", async () => {
    const breaker = new CircuitBreaker({ failureThreshold: 1 })
    const guarded = breaker.protect(async (a: number, b: number) => {
      if (b === 0) throw new RangeError("zero")
      return a / b
    })
    assert.strictEqual(await guarded(6, 2), 3)
    assert.instanceOf(await rejection(guarded(1, 0)), RangeError)
    assert.instanceOf(await rejection(guarded(6, 2)), CircuitBreakerError)
    breaker.reset()
    assert.strictEqual(breaker.state, "closed")
    assert.strictEqual(await guarded(6, 2), 3)
  })

  it("does not count an abort, nor what a query fails with although nothing is down", async () => {
    const breaker = new CircuitBreaker({ failureThreshold: 1 })
    const facts = { exitCode: 1, signal: null, argv: [], stderrTail: "", sessionId: "", frames: 0 }
    await rejection(breaker.call(failing(new DOMException("stop", "AbortError"))))
    await rejection(breaker.call(failing(new MaxTurnsError({ numTurns: 1, facts, hint: "" }))))
    await rejection(breaker.call(failing(new ApiError({ status: 400, type: "x", detail: "", facts, hint: "" }))))
    assert.strictEqual(breaker.state, "closed")
    await rejection(breaker.call(failing(new MissingResultError({ facts, hint: "" }))))
    assert.strictEqual(breaker.state, "open")
  })

  it("counts what the caller says", async () => {
    const breaker = new CircuitBreaker({ failureThreshold: 1, counts: (error) => error === "bad" })
    await rejection(breaker.call(failing("good")))
    assert.strictEqual(breaker.state, "closed")
    await rejection(breaker.call(failing("bad")))
    assert.strictEqual(breaker.state, "open")
  })

  it("throws at once when its options are wrong", () => {
    assert.throws(() => new CircuitBreaker({ failureThreshold: 0 }), InvalidOptionsError)
  })
})

describe("the breaker of the top-level functions", () => {
  it("opens after five queries whose CLI could not be started, for this CLI alone, and closes by hand", async () => {
    const breaker = getCliCircuitBreaker()
    assert.strictEqual(breaker, getCliCircuitBreaker())
    assert.deepInclude(breaker.stats, { state: "closed", totalCalls: 0 })
    breaker.reset()
    const cliPath = "/"
    for (let n = 0; n < 5; n++) assert.instanceOf(await rejection(querySimple("hi", { cliPath })), CliSpawnError)
    assert.strictEqual(breaker.state, "open")
    assert.instanceOf(await rejection(querySimple("hi", { cliPath })), CircuitBreakerError)
    assert.instanceOf(await rejection(querySimple("hi", { cliPath: "/usr" })), CliSpawnError)
    assert.strictEqual(await breaker.call(() => "fine"), "fine")
    assert.deepInclude(breaker.stats, { totalCalls: 7, totalFailures: 6, totalRejections: 1 })
    breaker.reset()
    assert.strictEqual(breaker.state, "closed")
    assert.instanceOf(await rejection(querySimple("hi", { cliPath })), CliSpawnError)
  })
})
