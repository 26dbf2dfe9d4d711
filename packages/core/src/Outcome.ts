/**
 * How a run ended: one total, pure function of what was observed. Structured signals decide; prose is looked at only
 * where the CLI gives nothing else (start-up failures, which it writes to stderr alone).
 *
 * `subtype: "success"` with `isError` is a failure, exit code 0 without a result is a failure, and exit code 1 after a
 * good result is a success: the code tells of the last turn, which need not be the user's.
 */
import * as Either from "effect/Either"
import {
  ApiError,
  AuthenticationError,
  BudgetExceededError,
  type ClaudeError,
  CliExitError,
  ContextOverflowError,
  InvalidOptionsError,
  MaxTurnsError,
  MissingResultError,
  ModelNotFoundError,
  OverloadedError,
  RefusalError,
  type RunFacts,
  SessionBusyError,
  SessionNotFoundError,
  StructuredOutputError,
  UsageLimitError
} from "./ClaudeError.js"
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
  /** The caller asked for the turn to end. */
  readonly interrupted: boolean
}

/** The result, or why there is none. An interrupt that the caller asked for ends well, with what there was. */
export const decide = (observed: Observed): Either.Either<Result, ClaudeError> => {
  const { result } = observed
  if (result === undefined) return Either.left(withoutResult(observed))
  const aborted = result.terminalReason?.startsWith("aborted") === true
  if (aborted && observed.interrupted) return Either.right(result)
  if (result.isError || result.subtype !== "success") return Either.left(failed(observed, result, aborted))
  if (observed.wantsStructuredOutput && result.structuredOutput === undefined) {
    return Either.left(
      new StructuredOutputError({
        reason: "NeverGiven",
        detail: "the model answered without giving it",
        facts: observed.facts,
        hint: "Ask for the data in the prompt, or try another model."
      })
    )
  }
  return Either.right(result)
}

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

/** A result that is a failure: by its subtype, then by what the API said. */
const failed = (observed: Observed, result: Result, aborted: boolean): ClaudeError => {
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
      return new StructuredOutputError({
        reason: "RetriesExhausted",
        detail: "every attempt broke the schema",
        facts,
        hint: "Loosen the schema, or describe its fields."
      })
  }
  if (aborted) {
    return new CliExitError({
      reason: "Interrupted",
      detail: "the turn was interrupted from outside",
      facts,
      hint: "Nothing is wrong with the query; resume the session to go on."
    })
  }
  if (result.stopReason === "refusal") {
    return new RefusalError({
      detail: detail || "The model declined",
      facts,
      hint: "Rephrase the prompt, or choose another model."
    })
  }
  return startupFailure(result, detail, facts) ?? apiFailure(observed, result, detail)
}

const startupFailure = (result: Result, detail: string, facts: RunFacts): ClaudeError | undefined => {
  const session = /No conversation found with session ID: (\S+)/.exec(detail)
  if (session !== null) return sessionNotFound(session[1]!)
  switch (result.startupFailure) {
    case undefined:
      return undefined
    case "config_file_invalid":
      return new CliExitError({
        reason: "ConfigInvalid",
        detail,
        facts,
        hint: "Repair or remove the file that it names."
      })
    case "bypass_root":
      return rootBypass
    case "cwd_unavailable":
      return new InvalidOptionsError({ field: "cwd", detail, hint: "Give a directory that exists." })
    default:
      return new CliExitError({
        reason: "StartupFailed",
        detail,
        facts,
        hint: "Run `claude` once by hand to see more."
      })
  }
}

const apiFailure = (observed: Observed, result: Result, detail: string): ClaudeError => {
  const { error, facts, rejected } = observed
  const status = result.apiErrorStatus ?? error?.status ?? null
  const type = result.apiErrorType ?? error?.type ?? result.apiError ?? error?.apiError ?? error?.code ?? result.subtype
  const apiError = result.apiError ?? error?.apiError
  if (
    apiError === "usage_limit_reached" || (rejected !== undefined && (status === 429 || error?.code === "rate_limit"))
  ) {
    return new UsageLimitError({
      limit: rejected?.limit ?? "",
      resetsAt: rejected?.resetsAt ?? null,
      detail,
      facts,
      hint: "Wait until the window resets, or use another account."
    })
  }
  if (result.terminalReason === "prompt_too_long" || apiError === "model_context_window_exceeded") {
    return new ContextOverflowError({
      detail,
      facts,
      hint: "Start a new session, /compact this one, or use a larger model."
    })
  }
  if (
    status === 401 || status === 403 || error?.code === "authentication_failed" ||
    error?.code === "oauth_org_not_allowed"
  ) {
    return new AuthenticationError({
      status,
      detail,
      facts,
      hint: status === null
        ? "Run `claude` and log in with /login."
        : "Check the account or key: run `claude auth status`."
    })
  }
  if (status === 404 || error?.code === "model_not_found") {
    return new ModelNotFoundError({
      model: observed.model,
      detail,
      facts,
      hint: "Check the model's name and your access to it."
    })
  }
  if (status === 529 || type === "overloaded_error") {
    return new OverloadedError({ detail, facts, hint: "Try again later, or give a fallbackModel." })
  }
  return new ApiError({ status, type, detail, facts, hint: apiHint(status, type) })
}

const apiHint = (status: number | null, type: string): string => {
  if (type === "connection_failed") return "Check the network, the proxy and ANTHROPIC_BASE_URL."
  if (type === "billing_error") return "Add credit to the account, or log in with a subscription."
  if (type === "max_output_tokens") return "Raise maxTokens, or ask for less at once."
  if (status === 413) return "Send less at once: a picture or a file is too large."
  if (status === 429) return "Send fewer requests, or ask for a higher limit."
  if (status !== null && status >= 500) return "The API failed; try again later."
  return "See the CLI's own words above."
}

/** The CLI's words on stderr, where they are all there is: a start-up failure prints no result. */
const startupErrors: ReadonlyArray<readonly [RegExp, (found: RegExpExecArray, facts: RunFacts) => ClaudeError]> = [
  [/No conversation found with session ID: (\S+)/, (found) => sessionNotFound(found[1]!)],
  [
    /Session ID (\S+) is already in use/,
    (found) => new SessionBusyError({ sessionId: found[1]!, hint: "Resume that session, or choose another id." })
  ],
  [/cannot be used with root\/sudo privileges/, () => rootBypass],
  [
    /unknown option '--?([^'=]+)/,
    (found) => refused(found[1]!, "the CLI does not know this option", "Update the CLI, or leave the option out.")
  ],
  [
    /option '--([A-Za-z-]+)[^']*' argument .*? is invalid\.?(.*)/,
    (found) => refused(found[1]!, `the CLI refused its value.${found[2]}`)
  ],
  [/Invalid MCP configuration:\s*(.*)/, (found) => refused("mcp-config", found[1]!)],
  [/Settings file not found: .*/, () => refused("settings", "the settings file was not found")],
  [/Error: Invalid --agents configuration:\s*(.*)/, (found) => refused("agents", found[1]!)],
  [
    /Error: (--[a-z-]+ .*|Invalid session ID.*)/,
    (found) => refused(/^--([a-z-]+)/.exec(found[1]!)?.[1] ?? "session-id", found[1]!)
  ],
  [/Not logged in|Invalid API key|Please run \/login/, (_, facts) =>
    new AuthenticationError({
      status: null,
      detail: "Claude Code is not logged in",
      facts,
      hint: "Run `claude` and log in with /login."
    })]
]

const withoutResult = ({ error, facts, model }: Observed): ClaudeError => {
  for (const [pattern, make] of startupErrors) {
    const found = pattern.exec(facts.stderrTail)
    if (found !== null) return make(found, facts)
  }
  if (facts.signal !== null || facts.exitCode === null) {
    const how = facts.signal === null ? "it had to be stopped" : `signal ${facts.signal} ended it`
    return new CliExitError({
      reason: "Killed",
      detail: `${how} before it had answered`,
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
  return new CliExitError({
    reason: "Exited",
    detail: error === undefined
      ? `it left before it had answered${model === "" ? "" : ` (model ${model})`}`
      : error.content,
    facts,
    hint: "stderr has the CLI's own words."
  })
}

const sessionNotFound = (sessionId: string) =>
  new SessionNotFoundError({
    sessionId,
    hint: "Sessions belong to a machine and a login; list them with `claude --resume`."
  })

const rootBypass = new InvalidOptionsError({
  field: "permissionMode",
  detail: "the CLI refuses to skip permissions as root",
  hint: "Run as another user, or set IS_SANDBOX=1 in a container that is one."
})

/** Our names of the flags that the CLI complains about. */
const optionOf: Readonly<Record<string, string>> = {
  "mcp-config": "mcpServers",
  "setting-sources": "settingSources",
  "json-schema": "outputSchema",
  "add-dir": "addDirs",
  "plugin-dir": "pluginDirs",
  resume: "resume"
}

const refused = (flag: string, detail: string, hint = "Correct the option.") =>
  new InvalidOptionsError({
    field: optionOf[flag] ?? flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    detail: detail.trim(),
    hint
  })
