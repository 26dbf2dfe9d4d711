import type { ClaudeError } from "@ccflow/core/ClaudeError"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Data from "effect/Data"
import * as Schema from "effect/Schema"

/** Which errors have which status: each that a call can fail with, and those of the service itself. */
export const types = {
  400: ["InvalidRequest", "InvalidOptionsError", "ModelNotFoundError"],
  401: ["Unauthorized"],
  // Somebody else would have to pay than was asked for.
  402: ["BillingMismatchError"],
  403: ["OptionRefused", "HostRefused", "OriginRefused"],
  404: ["NotFound", "SessionNotFoundError"],
  409: ["SessionBusyError", "SessionClosedError"],
  413: ["BodyTooLarge"],
  415: ["ContentTypeRefused"],
  422: [
    "MaxTurnsError",
    "BudgetExceededError",
    "RefusalError",
    "ContextOverflowError",
    "StructuredOutputError",
    "PermissionDeniedError"
  ],
  429: [
    "TooManyRequests",
    "BudgetExceededError",
    "UsageLimitError",
    "RateLimitExceededError",
    "ApiRateLimitError",
    "SessionLimitError"
  ],
  500: ["InternalError", "SessionStoreError"],
  // What the service asks has failed, and not the request.
  502: [
    "ApiClientError",
    "ApiError",
    "AuthenticationError",
    "CliExitError",
    "CliNotFoundError",
    "CliProtocolError",
    "CliSpawnError",
    "MissingResultError"
  ],
  503: ["CircuitBreakerError", "OverloadedError", "Stopping"],
  504: ["CliTimeoutError", "RequestTimeout"]
} as const

export type Status = keyof typeof types

/** The names of errors. */
type Type = (typeof types)[Status][number]

/** What the service itself refuses with. `type` says which status it is. */
export class ServiceError extends Data.TaggedError("ServiceError")<{
  readonly type: Type
  readonly message: string
  readonly hint: string
  /** Milliseconds. */
  readonly retryAfter?: number | undefined
}> {}

/** What a request that failed is answered, with any status. */
export interface Failure {
  readonly error: {
    /** The name of the error. */
    readonly type: string
    readonly message: string
    /** What to do about it. */
    readonly hint: string
    /** Seconds, as in the header of that name. */
    readonly retryAfter?: number | undefined
  }
}

/** The answers of one status, for the API's description. */
export const failure = <S extends Status>(status: S) =>
  Schema.Struct({
    error: Schema.Struct({
      type: Schema.Literal(...types[status]),
      message: Schema.String,
      hint: Schema.String,
      retryAfter: Schema.optional(Schema.Number)
    })
  }).annotations({ ...HttpApiSchema.annotations({ status }), identifier: `Failure${status}` })

export interface Answer {
  readonly status: number
  readonly body: Failure
}

/** How an error is told to a client. */
export const answerOf = (error: ClaudeError | ServiceError, now: number): Answer => {
  const type: Type = error._tag === "ServiceError" ? error.type : error._tag
  const wait = waitOf(error, now)
  const { hint, message } = error
  return {
    status: renews(error) === undefined ? statusOf(type) : 429,
    body: {
      error: {
        type,
        // An error's own text ends with its hint.
        message: message.endsWith(hint) && message !== hint ? message.slice(0, -hint.length).trimEnd() : message,
        hint,
        ...(wait === undefined ? {} : { retryAfter: Math.max(1, Math.ceil(wait / 1000)) })
      }
    }
  }
}

export const responseOf = ({ body, status }: Answer): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.unsafeJson(body, {
    status,
    headers: {
      ...(body.error.retryAfter === undefined ? {} : { "retry-after": String(body.error.retryAfter) }),
      // What is left of the body is not read.
      ...(status === 413 ? { connection: "close" } : {})
    }
  })

export const invalid = (field: string, detail: string, hint = "See /docs for what the request takes."): ServiceError =>
  new ServiceError({ type: "InvalidRequest", message: field === "" ? detail : `${field}: ${detail}`, hint })

/** What nobody has thought of. What it was is in the log. */
export const internalError = new ServiceError({
  type: "InternalError",
  message: "Something went wrong in the service",
  hint: "Its log has the details, under the request's id."
})

export const notFound = new ServiceError({
  type: "NotFound",
  message: "There is nothing at this path, or not for this method",
  hint: "See /docs for what there is."
})

// ---------------------------------------------------------------------------

/** Of a name that is there twice the lower one. */
const statusOf = (type: Type): number =>
  Number(Object.entries(types).find(([, names]) => names.some((name) => name === type))?.[0])

/** A budget that will be there again is a limit of rate; one that will not is the request's own. */
const renews = (error: ClaudeError | ServiceError): number | undefined =>
  error._tag === "BudgetExceededError" ? error.renewsAt : undefined

/** Milliseconds until it is worth to come again. */
const waitOf = (error: ClaudeError | ServiceError, now: number): number | undefined => {
  const at = renews(error)
  if (at !== undefined) return at - now
  if (error._tag === "UsageLimitError") return error.resetsAt === null ? undefined : error.resetsAt - now
  if (error._tag === "SessionLimitError" || error._tag === "OverloadedError") return 5000
  return "retryAfter" in error ? error.retryAfter ?? undefined : undefined
}
