/** What the policies refuse or give up with, and what the API says to the fallback that asks it without a CLI. */
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { explained, failure, say, TypeId } from "./internal/errorText.js"

/** The breaker is open: calls of its key have failed too often, and are refused without being tried. */
export class CircuitBreakerError extends failure<CircuitBreakerError>()("CircuitBreakerError", {
  /** What the breaker guards: the CLI, the account and the model. */
  key: Schema.String,
  /** Milliseconds until a call may be let through to try. */
  retryAfter: Schema.Number
}, ({ hint, retryAfter }) => say(`The circuit breaker is open for another ${Math.ceil(retryAfter / 1000)} s`, hint)) {}

/** Our own rate limit, not the API's: the call was not made. */
export class RateLimitExceededError extends failure<RateLimitExceededError>()("RateLimitExceededError", {
  /** Milliseconds until the call would be let through. */
  retryAfter: Schema.Number,
  /** The limit that was reached, such as `60 requests per 1 minute`. */
  limit: Schema.String
}, ({ hint, limit }) => say(`The rate limit is reached (${limit})`, hint)) {}

const answered = {
  /** `null` when no answer was received. */
  status: Schema.NullOr(Schema.Number),
  /** The API's own name for it, such as `invalid_request_error`; `unsupported_option` when it was not asked. */
  type: Schema.String,
  detail: Schema.String
}

/** The API, asked without a CLI, refused or failed, or cannot do what the options ask for. `ApiRateLimitError` is one. */
export class ApiClientError extends failure<ApiClientError>()("ApiClientError", answered, explained) {
  static override [Symbol.hasInstance](value: unknown): boolean {
    return Predicate.hasProperty(value, TypeId) &&
      (Predicate.isTagged(value, "ApiClientError") || Predicate.isTagged(value, "ApiRateLimitError"))
  }
}

/** The API, asked without a CLI, has had too many requests. */
export class ApiRateLimitError extends failure<ApiRateLimitError>()("ApiRateLimitError", {
  ...answered,
  /** Milliseconds, as its headers say; `null` when they do not. */
  retryAfter: Schema.NullOr(Schema.Number)
}, explained) {}

/** What was tried again has failed every time. Queries fail with their last error itself instead. */
export class RetryExhaustedError extends failure<RetryExhaustedError>()("RetryExhaustedError", {
  attempts: Schema.Int,
  lastError: Schema.Defect
}, ({ attempts, hint }) => say(`All ${attempts} attempts failed`, hint)) {}
