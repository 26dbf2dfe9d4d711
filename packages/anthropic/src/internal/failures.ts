import { APIError } from "@anthropic-ai/sdk/core/error"
import { ApiClientError, ApiRateLimitError } from "@ccflow/core/ClaudeError"
import * as Predicate from "effect/Predicate"
import { field, text } from "./json.js"

/** What must not be told: the key, and what was asked. */
export type Secrets = ReadonlyArray<string>

/** Cannot be asked for from the API. Nothing was sent. */
export const refusal = (what: ReadonlyArray<string>): ApiClientError =>
  new ApiClientError({
    status: null,
    type: "unsupported_option",
    detail: `The API cannot honour ${what.join(", ")}`,
    hint: "Leave that out, or ask the CLI."
  })

/** The answer ended before it was whole. */
export const cutOff = (): ApiClientError =>
  new ApiClientError({
    status: null,
    type: "connection_failed",
    detail: "The connection ended before the answer was complete",
    hint: "Ask again."
  })

/** Something came that is no event. What it holds is not told: it may be a part of the answer. */
export const malformed = (): ApiClientError =>
  new ApiClientError({
    status: 200,
    type: "malformed_event",
    detail: "The API's answer could not be read",
    hint: "Is there something between here and the API that changes what it says?"
  })

/** What the client has thrown. `now` is in UTC epoch milliseconds. */
export const failureOf = (thrown: unknown, secrets: Secrets, now: number): ApiClientError | ApiRateLimitError => {
  if (!(thrown instanceof APIError) || thrown.status === undefined) return unreached(thrown)
  const status: number = thrown.status
  const type = thrown.errorCode !== null && /spend_limit/.test(thrown.errorCode) ? thrown.errorCode : thrown.type
  return failed(status, type, thrown.apiMessage, thrown.headers, secrets, now)
}

/** An `error` event in the middle of an answer. */
export const failureOfEvent = (event: unknown, secrets: Secrets, now: number): ApiClientError | ApiRateLimitError => {
  const error = field(event, "error")
  const type = text(field(error, "type")) ?? null
  const said = text(field(error, "message")) ?? null
  return failed(statusOfType[type ?? ""] ?? 500, type, said, undefined, secrets, now)
}

// ---------------------------------------------------------------------------

const failed = (
  status: number,
  type: string | null,
  said: string | null,
  headers: Headers | undefined,
  secrets: Secrets,
  now: number
): ApiClientError | ApiRateLimitError => {
  const named = type ?? typeOfStatus[status] ?? "api_error"
  const detail = said === null || said.trim() === ""
    ? `The API answered with status ${status} and did not say why`
    : withoutSecrets(said, secrets)
  if (status === 429 && !/spend_limit/.test(named)) {
    return new ApiRateLimitError({
      status,
      type: named,
      detail,
      retryAfter: headers === undefined ? null : retryAfterOf(headers, now),
      hint: "Send fewer requests, or ask for a higher limit."
    })
  }
  return new ApiClientError({ status, type: named, detail, hint: hintOf(status, named, detail) })
}

/** Milliseconds, as the headers of a 429 say; `null` where they do not. */
const retryAfterOf = (headers: Headers, now: number): number | null => {
  const ms = Number(headers.get("retry-after-ms") ?? Number.NaN)
  if (ms >= 0) return ms
  const after = headers.get("retry-after")
  if (after !== null && Number(after) >= 0) return Number(after) * 1000
  const at = timeOf(after) ?? latestReset(headers)
  return at === undefined ? null : Math.max(0, at - now)
}

const unreached = (thrown: unknown): ApiClientError => {
  const code = codeOf(thrown, 5)
  return new ApiClientError({
    status: null,
    type: "connection_failed",
    detail: `The API was not reached, or the connection to it broke${code === undefined ? "" : ` (${code})`}`,
    hint: "Check the network and the proxy, or try again later."
  })
}

/** The operating system's word for it, wherever it was wrapped. */
const codeOf = (error: unknown, depth: number): string | undefined => {
  if (depth === 0 || !Predicate.isObject(error)) return undefined
  if (Predicate.hasProperty(error, "code") && Predicate.isString(error.code) && /^[A-Z_]+$/.test(error.code)) {
    return error.code
  }
  return Predicate.hasProperty(error, "cause") ? codeOf(error.cause, depth - 1) : undefined
}

const longest = 600

const withoutSecrets = (said: string, secrets: Secrets): string => {
  const clean = secrets.filter((secret) => secret.length >= 4).reduce(
    (shown, secret) => shown.replaceAll(secret, "<redacted>"),
    said
  ).replace(/\bsk-[\w-]{8,}/g, "<redacted>")
  return clean.length <= longest ? clean : `${clean.slice(0, longest)}…`
}

const hintOf = (status: number, type: string, detail: string): string => {
  if (type === "billing_error" || /spend_limit/.test(type)) return "Add credit to the account, or raise its limit."
  if (status === 401 || status === 403) return "Check the API key and what it may use."
  if (status === 404) return "Check the model's name and your access to it."
  if (status === 413 || /prompt is too long/i.test(detail)) return "Send less at once."
  if (status >= 500) return "The API failed or is overloaded; try again later."
  return "The API's answer says what it did not like."
}

const typeOfStatus: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  504: "timeout_error",
  529: "overloaded_error"
}

const statusOfType: Readonly<Record<string, number>> = Object.fromEntries(
  Object.entries(typeOfStatus).map(([status, type]) => [type, Number(status)])
)

/** A date in one of HTTP's forms, or the one of the limits' own headers. */
const timeOf = (value: string | null): number | undefined => {
  const time = value === null ? Number.NaN : Date.parse(value)
  return Number.isNaN(time) ? undefined : time
}

const limits = ["requests", "tokens", "input-tokens", "output-tokens"]

/** When the last of the limits that are used up is filled again. */
const latestReset = (headers: Headers): number | undefined => {
  const times = limits.flatMap((limit) =>
    headers.get(`anthropic-ratelimit-${limit}-remaining`) === "0"
      ? timeOf(headers.get(`anthropic-ratelimit-${limit}-reset`)) ?? []
      : []
  )
  return times.length === 0 ? undefined : Math.max(...times)
}
