// What protects queries, for what a program does itself: retries, a circuit breaker and a rate limit.
import { CircuitBreaker, CircuitBreakerError, CombinedLimiter, querySimple, retryWithBackoff } from "ccflow"

// Failures that pass are tried again: at most 3 times, after 10, 20 and 40 milliseconds.
let calls = 0
const answer = await retryWithBackoff(async () => {
  if (++calls < 3) throw Object.assign(new Error("the line was lost"), { code: "ECONNRESET" })
  return querySimple("What is 6*7?")
}, { maxRetries: 3, baseDelay: 10, maxDelay: 1000 })
console.log(`${answer} (call ${calls})`)

// Two failures in a row open it; it lets a call through again when its time has come.
const breaker = new CircuitBreaker({ failureThreshold: 2, successThreshold: 1, resetTimeout: 50 })
const broken = () => Promise.reject(new Error("no database"))
for (let n = 0; n < 3; n++) {
  try {
    await breaker.call(broken)
  } catch (error) {
    console.log(error instanceof CircuitBreakerError ? `refused: it is ${breaker.state}` : String(error))
  }
}
await new Promise((later) => setTimeout(later, 60))
await breaker.call(() => "the database is back")
console.log(`it is ${breaker.state}`)

// 600 calls a minute, and 2 at once.
const limiter = new CombinedLimiter(600, 2, { burst: 2 })
const sums = await Promise.all(["1+1", "2+2", "3+3"].map((sum) => limiter.limit(() => querySimple(`What is ${sum}?`))))
console.log(sums.join(" "))
