/** Retries for what a program does itself, at the pace of those of the queries. */
import { ClaudeError, RetryExhaustedError } from "@ccflow/core/ClaudeError"
import * as Retry from "@ccflow/core/Retry"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { following } from "./internal/abort.js"
import { checked } from "./internal/given.js"
import { valueOf } from "./Owner.js"

export interface RetryConfig extends Retry.BackoffOptions {
  /** Which failures pass. Default: what queries are retried for; connections refused, lost or not made; time-outs. */
  readonly retryable?: ((error: unknown) => boolean) | undefined
  /** Aborting it ends the wait and the retries; the promise rejects with an `AbortError`. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Calls `fn` until it succeeds. A failure that does not pass is thrown as it is; when the retries are used up, a
 * `RetryExhaustedError` with the last one. In an Effect program: `Effect.retry` with `Retry.backoff` of `@ccflow/core`.
 */
export const retryWithBackoff = async <A>(
  /** The signal is aborted when the retries are. */
  fn: (signal: AbortSignal) => A | PromiseLike<A>,
  config: RetryConfig = {}
): Promise<A> => {
  const { retryable = passes, signal, ...backoff } = checked(config)
  let attempts = 0
  const attempt = Effect.tryPromise({
    try: async (signal) => {
      attempts++
      return await fn(signal)
    },
    catch: (error) => ({ error, passes: retryable(error) })
  })
  const all = Effect.gen(function*() {
    const schedule = Schedule.mapInput(yield* Retry.backoff(backoff), ({ error }: { error: unknown }) => error)
    return yield* Effect.mapError(
      Effect.retry(attempt, { schedule, while: ({ passes }) => passes }),
      ({ error, passes }) =>
        passes
          ? new RetryExhaustedError({ attempts, lastError: error, hint: "Look at lastError, and try again later." })
          : error
    )
  })
  return await following({ signal }, (options) => valueOf(Effect.runPromiseExit(all, options)))
}

// ---------------------------------------------------------------------------

const isClaudeError = Schema.is(ClaudeError)

/** What Node, `fetch` and our own errors say of a failure that passes; `fetch` says it in the cause. */
const passes = (error: unknown, depth = 0): boolean => {
  if (isClaudeError(error)) return Retry.isTransient(error)
  if (!Predicate.isRecord(error)) return false
  return error["name"] === "TimeoutError" ||
    (typeof error["code"] === "string" && passing.has(error["code"])) ||
    (depth < 5 && passes(error["cause"], depth + 1))
}

const passing: ReadonlySet<string> = new Set([
  "EAGAIN",
  "EAI_AGAIN",
  "ECONNABORTED",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EPIPE",
  "ETIMEDOUT",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_SOCKET"
])
