/**
 * How a run ended: one total, pure function of what was observed. Structured signals decide; prose is looked at only
 * where the CLI gives nothing else (start-up failures, which it writes to stderr alone).
 *
 * `subtype: "success"` with `isError` is a failure, exit code 0 without a result is a failure, and exit code 1 after a
 * good result is a success: the code tells of the last turn, which need not be the user's.
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { QueryOptions } from "./AgentOptions.js"
import {
  ApiError,
  AuthenticationError,
  BudgetExceededError,
  type ClaudeError,
  CliExitError,
  ContextOverflowError,
  MaxTurnsError,
  MissingResultError,
  ModelNotFoundError,
  OverloadedError,
  PermissionDeniedError,
  RefusalError,
  type RunFacts,
  StructuredOutputError,
  UsageLimitError
} from "./ClaudeError.js"
import { complaint } from "./internal/schemaIssue.js"
import { startupFailed, startupFailure, startupProse } from "./internal/startupFailure.js"
import type { ErrorMessage, RateLimit, Result } from "./Message.js"

/** Everything the verdict depends on. */
export interface Observed {
  readonly facts: RunFacts
  /** The result of the user's turn. Results of turns that the CLI started itself do not count. */
  readonly result: Result | undefined
  /** The last API error that the CLI put in place of an answer. */
  readonly error: ErrorMessage | undefined
  /** The last rejected window. */
  readonly rejected: RateLimit | undefined
  readonly model: string
  readonly wantsStructuredOutput: boolean
  /** What `decoded` has found wrong. */
  readonly undecodable?: string | undefined
  /** The caller asked for the turn to end. */
  readonly interrupted: boolean
}

/** The result, or why there is none. An interrupt that the caller asked for ends well, with what there was. */
export const decide = (observed: Observed): Either.Either<Result, ClaudeError> => {
  const { facts, result, undecodable } = observed
  if (result === undefined) return Either.left(withoutResult(observed))
  if (result.interrupted && observed.interrupted) return Either.right(result)
  if (result.isError || result.subtype !== "success") return Either.left(failed(observed, result))
  if (observed.wantsStructuredOutput && result.structuredOutput === undefined) {
    return Either.left(unstructured("NeverGiven", "the model answered without giving it", facts))
  }
  return undecodable === undefined
    ? Either.right(result)
    : Either.left(unstructured("DoesNotDecode", undecodable, facts))
}

/** The result with its structured output decoded, where an Effect Schema was asked for; else what is wrong with it. */
export const decoded = (
  result: Result,
  { outputSchema }: Pick<QueryOptions, "outputSchema">
): Either.Either<Result, string> => {
  if (result.structuredOutput === undefined || !Schema.isSchema(outputSchema)) return Either.right(result)
  return Either.mapBoth(Schema.decodeUnknownEither(outputSchema)(result.structuredOutput), {
    onLeft: complaint,
    onRight: (structuredOutput): Result => ({ ...result, structuredOutput })
  })
}

// ---------------------------------------------------------------------------

/** A result that is a failure: by its subtype, then by why the turn ended, then by what the API said. */
const failed = (observed: Observed, result: Result): ClaudeError => {
  const { facts } = observed
  const detail = (result.result === "" ? observed.error?.content ?? result.subtype : result.result).trim()
  switch (result.subtype) {
    case "error_max_turns":
      return new MaxTurnsError({ numTurns: result.numTurns, facts, hint: "Raise maxTurns, or resume the session." })
    case "error_max_budget_usd":
      return new BudgetExceededError({
        spentUsd: result.totalCostUsd,
        facts,
        hint: "Raise maxBudgetUsd, or resume the session with a new budget."
      })
    case "error_max_structured_output_retries":
      return unstructured("RetriesExhausted", "every attempt broke the schema", facts)
  }
  if (result.interrupted) {
    const denied = result.permissionDenials.at(-1)
    if (denied !== undefined) {
      const { tool, toolUseId } = denied
      const hint = "Resume the session to go on, or deny without interrupt."
      return new PermissionDeniedError({ tool, toolUseId, facts, hint })
    }
    const hint = "Nothing is wrong with the query; resume the session to go on."
    return new CliExitError({ reason: "Interrupted", detail: "the turn was interrupted from outside", facts, hint })
  }
  if (result.stopReason === "refusal") {
    return new RefusalError({ detail, facts, hint: "Rephrase the prompt, or choose another model." })
  }
  return startupFailure(result.startupFailure, detail, facts) ??
    (saysWhy(observed, result) ? apiFailure(observed, result, detail) : cliFailure(result, detail, facts))
}

const unstructured = (reason: StructuredOutputError["reason"], detail: string, facts: RunFacts): ClaudeError =>
  new StructuredOutputError({ reason, detail, facts, hint: unstructuredHints[reason] })

const unstructuredHints: Readonly<Record<StructuredOutputError["reason"], string>> = {
  NeverGiven: "Ask for the data in the prompt, or try another model.",
  DoesNotDecode: "The JSON Schema allows what the Effect Schema refuses: say so in the schema's annotations.",
  RetriesExhausted: "Loosen the schema, or describe its fields."
}

/** Whether the API, or the CLI in its name, has said anything about the failure. */
const saysWhy = ({ error }: Observed, result: Result): boolean =>
  error !== undefined || result.apiErrorStatus !== undefined || result.apiError !== undefined ||
  result.subtype === "success"

/** The CLI's own failure, in its own words. Without a turn it has not even begun. */
const cliFailure = (result: Result, detail: string, facts: RunFacts): ClaudeError =>
  result.numTurns === 0
    ? startupProse(detail, facts) ?? startupFailed(detail, facts)
    : new CliExitError({ reason: "Exited", detail, facts, hint: "Run the query again, or resume the session." })

const apiFailure = ({ error, facts, model, rejected }: Observed, result: Result, detail: string): ClaudeError => {
  const code = error?.code ?? ""
  const status = result.apiErrorStatus ?? error?.status ?? null
  const apiError = result.apiError ?? error?.apiError
  const apiErrorType = result.apiErrorType ?? error?.type
  // The CLI reports any refusal of a subscription's request as a rejection; only a window that it names is used up.
  const named = rejected !== undefined && (rejected.limit !== "" || rejected.resetsAt !== undefined)
  if (apiError === "usage_limit_reached" || (named && (status === 429 || code === "rate_limit"))) {
    return new UsageLimitError({
      limit: rejected?.limit ?? "",
      resetsAt: rejected?.resetsAt ?? null,
      detail,
      facts,
      hint: "Wait until the window resets, or use another account."
    })
  }
  if (overflowed(result, error)) {
    return new ContextOverflowError({
      detail,
      facts,
      hint: "Send less, start a new session, /compact this one, or use a model with a larger window."
    })
  }
  if (code === "billing_error") {
    return new ApiError({
      status,
      type: code,
      detail,
      facts,
      hint: "Add credit to the account, or log in with a subscription."
    })
  }
  if (status === 401 || status === 403 || accountErrors.has(code)) {
    return new AuthenticationError({
      status,
      detail,
      facts,
      hint: status === null
        ? "Run `claude` and log in with /login."
        : "Check the account or key: run `claude auth status`."
    })
  }
  if (status === 404 || code === "model_not_found") {
    return new ModelNotFoundError({ model, detail, facts, hint: "Check the model's name and your access to it." })
  }
  if (status === 529 || code === "overloaded" || apiErrorType === "overloaded_error") {
    return new OverloadedError({ detail, facts, hint: "Try again later, or give a fallbackModel." })
  }
  // Older versions do not pass on the API's name for an error: the status has one.
  const type = status === null && code === "server_error"
    ? apiError ?? "connection_failed"
    : apiErrorType ?? typeOfStatus[status ?? 0] ?? apiError ?? error?.code ?? result.subtype
  return new ApiError({ status, type, detail, facts, hint: apiHint(status, type) })
}

/** Codes of the CLI that are about who asks, and not about what is asked. */
const accountErrors: ReadonlySet<string> = new Set([
  "authentication_failed",
  "oauth_org_not_allowed",
  "account_on_hold",
  "verification_required",
  "cloud_credential_error"
])

/** `max_output_tokens` stands for both limits; which of the two was hit is told by its text alone. */
const overflowed = (result: Result, error: ErrorMessage | undefined): boolean =>
  overflows.has(result.terminalReason ?? "") ||
  (error?.code === "max_output_tokens" && /context window/.test(error.content))

const overflows: ReadonlySet<string> = new Set(["prompt_too_long", "blocking_limit", "rapid_refill_breaker"])

const typeOfStatus: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  413: "request_too_large",
  429: "rate_limit_error",
  500: "api_error"
}

const apiHint = (status: number | null, type: string): string => {
  if (type === "connection_failed") return "Check the network, the proxy and ANTHROPIC_BASE_URL, or try again later."
  if (type === "max_output_tokens") return "Raise maxTokens, or ask for less at once."
  if (status === 413) return "Send less at once: a picture or a file is too large."
  if (status === 429) return "Send fewer requests, or ask for a higher limit."
  if (status !== null && status >= 500) return "The API failed; try again later."
  return "The API's answer says what it did not like."
}

/** Prose is asked last: only a CLI that left by itself, and with a failure, has said why on stderr. */
const withoutResult = ({ error, facts, model }: Observed): ClaudeError => {
  const signal = facts.signal ?? signalOfCode[facts.exitCode ?? 0]
  if (signal !== undefined || facts.exitCode === null) {
    return new CliExitError({
      reason: "Killed",
      detail: `${signal === undefined ? "it had to be stopped" : `${signal} stopped it`} before it had answered`,
      facts,
      hint: "Look for a memory limit or another program that stops processes."
    })
  }
  if (facts.exitCode === 0) {
    return new MissingResultError({
      facts,
      hint: facts.frames === 0 ? "Is this really the Claude Code CLI?" : "Run the query again; the answer was cut."
    })
  }
  return startupProse(facts.stderrTail, facts) ?? new CliExitError({
    reason: "Exited",
    detail: error === undefined
      ? `it left before it had answered${model === "" ? "" : ` (model ${model})`}`
      : error.content,
    facts,
    hint: facts.stderrTail.trim() === "" ? "It gave no reason: run `claude` once by hand." : "stderr has its own words."
  })
}

/** The CLI handles these signals and leaves with a code that names them. */
const signalOfCode: Readonly<Record<number, string>> = { 129: "SIGHUP", 130: "SIGINT", 137: "SIGKILL", 143: "SIGTERM" }
