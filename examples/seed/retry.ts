// What passes is tried again, with longer and longer waits; what does not is thrown at once.
import { createClient, RetryExhaustedError, retryWithBackoff } from "ccflow"

let calls = 0
const flaky = async () => {
  if (++calls < 3) throw Object.assign(new Error("the line was lost"), { code: "ECONNRESET" })
  return "it worked"
}
console.log(`${await retryWithBackoff(flaky, { maxRetries: 3, baseDelay: 10, maxDelay: "1 second" })} at call ${calls}`)

try {
  await retryWithBackoff(() => Promise.reject(new Error("never")), {
    maxRetries: 1,
    baseDelay: 1,
    retryable: () => true
  })
} catch (error) {
  if (error instanceof RetryExhaustedError) console.log(`given up after ${error.attempts}: ${String(error.lastError)}`)
}

// Queries are retried of themselves, for as long as nothing of an answer was seen. The CLI has retries of its own.
await using client = createClient({
  retry: { maxRetries: 2, baseDelay: "10 millis" },
  env: { CLAUDE_CODE_MAX_RETRIES: "0" }
})
let starts = 0
const run = client.query("What is 2+2?")
for await (const message of run) if (message._tag === "Init") starts++
console.log(`${(await run.result).result} (run ${starts})`)
