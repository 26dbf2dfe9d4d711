// Limits of one's own: calls a minute, calls at once, or calls in any window of time.
import { CombinedLimiter, getLimiter, querySimple, RateLimitExceededError, SlidingWindowRateLimiter } from "ccflow"

// 600 a minute, and 2 at once. What `using` holds is given back at the end of its block.
const limiter = new CombinedLimiter(600, 2, { burst: 3 })
const ask = async (prompt: string) => {
  using _permit = await limiter.acquire()
  return querySimple(prompt)
}
console.log((await Promise.all([ask("What is 1+1?"), ask("What is 2+2?"), ask("What is 3+3?")])).join(" "))
console.log(`${limiter.stats.active} under way`)

// Two in any minute; whoever would wait longer than a second is told so.
const window = new SlidingWindowRateLimiter(2, { window: "1 minute", maxWait: "1 second" })
for (let call = 1; call <= 3; call++) {
  try {
    await window.acquire()
    console.log(`call ${call} may go`)
  } catch (error) {
    if (error instanceof RateLimitExceededError) console.log(`call ${call}: ${error.limit}`)
  }
}

// The one that queries go through: CCFLOW_RATE_LIMIT_PER_MINUTE sets it.
console.log(await getLimiter().limit(() => "no limit is set"))
