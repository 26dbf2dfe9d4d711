/** What goes wrong, one line each: frame by frame as the CLI was recorded to tell it. */
import * as Duration from "effect/Duration"
import type { Exit, Sequence, Step, Turn } from "../FakeCli.js"
import { delay, emit, exit, init, kill, result, stderr } from "./fakeSteps.js"
import { refusal } from "./protocol/speech.mjs"

/** The first prompt, of whatever process, gets the first turn, the second the second, and so on; then the last one again. */
export const sequence = (...turns: readonly [Turn, ...ReadonlyArray<Turn>]): Sequence => ({ _tag: "Sequence", turns })

/** Dies after so many more frames, whatever is still to come. For the first step of a turn. Default: by SIGKILL. */
export const crashAfter = (frames: number, how: Exit = kill("SIGKILL")): Step => ({
  _tag: "CrashAfter",
  frames,
  exit: how
})

/** What the CLI has in place of an answer. */
export interface ApiFailure {
  /** Of HTTP. Left out where nobody has answered. */
  readonly status?: number | undefined
  /** As the CLI calls it, such as `rate_limit` or `server_error`. */
  readonly code: string
  /** As the API calls it, such as `rate_limit_error`. */
  readonly type?: string | undefined
  /** What the CLI has found out besides, such as `usage_limit_reached`. */
  readonly apiError?: string | undefined
  readonly message: string
  /** What the CLI says first: its own retries, a window that is used up. */
  readonly before?: Turn | undefined
}

/** A turn that the API refused. It costs nothing. */
export const apiError = ({ before = [], ...failure }: ApiFailure): Turn => {
  const { assistant, result } = refusal(failure)
  return [init(), ...before, emit(assistant), { _tag: "Result", billed: false, fields: result }]
}

/** What the CLI calls the API's refusals while it tries again. */
const retried: Readonly<Record<number, string>> = {
  401: "authentication_failed",
  429: "rate_limit",
  500: "server_error",
  529: "overloaded"
}

/** The API refused, and the CLI says that it tries again by itself, and when; then it waits. Steps of a turn. */
export const apiRetry = (
  { after = 0, attempt = 1, status }: {
    readonly status?: number | undefined
    /** Default: at once. */
    readonly after?: Duration.DurationInput | undefined
    readonly attempt?: number | undefined
  } = {}
): Turn => [
  emit({
    type: "system",
    subtype: "api_retry",
    attempt,
    max_retries: 10,
    retry_delay_ms: Duration.toMillis(after),
    error_status: status ?? null,
    error: retried[status ?? 0] ?? "unknown"
  }),
  delay(after)
]

/** Status 529. The CLI has tried twice more by itself before it says so; here at once. */
export const overloaded: Turn = apiError({
  status: 529,
  code: "server_error",
  type: "overloaded_error",
  message: "API Error: 529 Overloaded. This is a server-side issue, usually temporary — try again in a moment.",
  before: [...apiRetry({ status: 529 }), ...apiRetry({ status: 529, attempt: 2 })]
})

/** Status 429: the limits of an API key. The CLI waits as long as the API has told it, and is refused again. */
export const rateLimited = (
  { retryAfter }: { readonly retryAfter?: Duration.DurationInput | undefined } = {}
): Turn =>
  apiError({
    status: 429,
    code: "rate_limit",
    type: "rate_limit_error",
    message: "API Error: Request rejected (429) · This request would exceed the rate limit for your organization.",
    before: apiRetry({ status: 429, after: retryAfter })
  })

/** A window of the subscription is used up. */
export const usageLimit = ({ limit = "five_hour", resetsAt }: {
  /** A moment, or its milliseconds. The CLI counts whole seconds: a part of one is rounded up. */
  readonly resetsAt: Date | number
  /** Default: `five_hour`. Another one is `seven_day`. */
  readonly limit?: string | undefined
}): Turn => {
  const seconds = Math.ceil(Number(resetsAt) / 1000)
  const window = {
    status: "rejected",
    resetsAt: seconds,
    rateLimitType: limit,
    overageStatus: "rejected",
    overageDisabledReason: "org_level_disabled",
    isUsingOverage: false
  }
  return apiError({
    status: 429,
    code: "rate_limit",
    type: "rate_limit_error",
    apiError: "usage_limit_reached",
    message: `You've hit your ${limit === "five_hour" ? "5-hour limit" : "limit"} · resets ${clockTime(seconds)} (UTC)`,
    before: [emit({ type: "rate_limit_event", rate_limit_info: window })]
  })
}

/** Nobody is logged in. */
export const loggedOut: Turn = apiError({ code: "authentication_failed", message: "Not logged in · Please run /login" })

/** The API cannot be reached. */
export const offline: Turn = apiError({
  code: "server_error",
  apiError: "connection_failed",
  message: "API Error: Connection refused — a firewall or proxy may be blocking it (ECONNREFUSED)",
  before: apiRetry()
})

/** What a resumed process says of a session that it does not find. For `start`. */
export const sessionNotFound = (sessionId: string): Turn => {
  const why = `No conversation found with session ID: ${sessionId}`
  return [
    stderr(`${why}\n`),
    result({
      subtype: "error_during_execution",
      is_error: true,
      result: undefined,
      errors: [why],
      num_turns: 0,
      total_cost_usd: 0,
      modelUsage: {},
      session_id: sessionId,
      terminal_reason: undefined
    }),
    exit(1)
  ]
}

// ---------------------------------------------------------------------------

/** As the CLI writes it: `4pm`, `12:54pm`. */
const clockTime = (seconds: number): string => {
  const [hours, minutes] = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60]
  return `${hours % 12 || 12}${minutes === 0 ? "" : `:${String(minutes).padStart(2, "0")}`}${hours < 12 ? "am" : "pm"}`
}
