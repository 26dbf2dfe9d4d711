import type { StatusReply } from "./MessagesReply.js"

export interface StatusOptions {
  readonly type?: string
  readonly message?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as it stands instead of the API's error envelope. */
  readonly body?: string
}

const known: Readonly<Record<number, readonly [type: string, message: string]>> = {
  400: ["invalid_request_error", "The request is not valid"],
  401: ["authentication_error", "invalid x-api-key"],
  403: ["permission_error", "Your API key does not have permission to use the specified resource."],
  404: ["not_found_error", "The requested resource was not found"],
  413: ["request_too_large", "Request exceeds the maximum allowed number of bytes."],
  429: ["rate_limit_error", "This request would exceed the rate limit for your organization."],
  500: ["api_error", "Internal server error"],
  529: ["overloaded_error", "Overloaded"]
}

export const status = (code: number, options: StatusOptions = {}): StatusReply => {
  const [type, message] = known[code] ?? ["api_error", `Status ${code}`]
  const error = { type: options.type ?? type, message: options.message ?? message }
  return {
    _tag: "status",
    code,
    body: options.body ?? JSON.stringify({ type: "error", error }),
    headers: { "content-type": "application/json", ...options.headers }
  }
}

/** What a proxy in front of the API says when it is the one that fails. */
export const html = (code = 502, title = "Bad Gateway"): StatusReply =>
  status(code, {
    headers: { "content-type": "text/html" },
    body: `<html><head><title>${code} ${title}</title></head><body><h1>${code} ${title}</h1></body></html>`
  })

export const modelNotFound = (model: string): StatusReply => status(404, { message: `model: ${model}` })

export const promptTooLong = (tokens = 210_000, limit = 200_000): StatusReply =>
  status(400, { message: `prompt is too long: ${tokens} tokens > ${limit} maximum` })

/** The limit of an API key: no window, at most a wait. */
export const rateLimited = (options: { readonly retryAfterSeconds?: number } = {}): StatusReply =>
  status(429, {
    ...(options.retryAfterSeconds === undefined
      ? {}
      : { headers: { "retry-after": String(options.retryAfterSeconds) } })
  })

export type LimitState = "allowed" | "allowed_warning" | "rejected"

export interface LimitWindow {
  readonly status: LimitState
  readonly utilization: number
  /** Seconds since the epoch. */
  readonly resetsAt: number
}

export interface SubscriptionLimit {
  readonly fiveHour: LimitWindow
  readonly sevenDay: LimitWindow
  /** The window the limit is named after; left out, the fuller one. */
  readonly claim?: "five_hour" | "seven_day"
  readonly overage?: "allowed" | "rejected"
}

const windowHeaders = (name: string, window: LimitWindow): Record<string, string> => ({
  [`anthropic-ratelimit-unified-${name}-status`]: window.status,
  [`anthropic-ratelimit-unified-${name}-utilization`]: String(window.utilization),
  [`anthropic-ratelimit-unified-${name}-reset`]: String(window.resetsAt)
})

/** The headers by which the API tells a subscription login how full its windows are; they come on good replies too. */
export const subscriptionHeaders = (limit: SubscriptionLimit): Readonly<Record<string, string>> => {
  const fuller = limit.sevenDay.utilization > limit.fiveHour.utilization ? "seven_day" : "five_hour"
  const claim = limit.claim ?? fuller
  const claimed = claim === "five_hour" ? limit.fiveHour : limit.sevenDay
  const overage = limit.overage ?? "rejected"
  return {
    "anthropic-ratelimit-unified-status": claimed.status,
    "anthropic-ratelimit-unified-reset": String(claimed.resetsAt),
    "anthropic-ratelimit-unified-representative-claim": claim,
    "anthropic-ratelimit-unified-fallback-percentage": "0.5",
    "anthropic-ratelimit-unified-overage-status": overage,
    ...(overage === "rejected" ? { "anthropic-ratelimit-unified-overage-disabled-reason": "org_level_disabled" } : {}),
    ...windowHeaders("5h", limit.fiveHour),
    ...windowHeaders("7d", limit.sevenDay)
  }
}

/** The subscription's window is used up until `resetsAt` (seconds since the epoch). */
export const usageLimited = (
  options: { readonly resetsAt: number; readonly claim?: "five_hour" | "seven_day" }
): StatusReply => {
  const full: LimitWindow = { status: "rejected", utilization: 1, resetsAt: options.resetsAt }
  const free: LimitWindow = { status: "allowed", utilization: 0.2, resetsAt: options.resetsAt + 86_400 }
  const limit: SubscriptionLimit = options.claim === "seven_day"
    ? { fiveHour: { ...free, resetsAt: options.resetsAt }, sevenDay: full, claim: "seven_day" }
    : { fiveHour: full, sevenDay: free, claim: "five_hour" }
  return status(429, {
    message: "This request would exceed your account's rate limit. Please try again later.",
    headers: subscriptionHeaders(limit)
  })
}
