import { CCFlowError, type ClaudeError, type RunFacts } from "@ccflow/core/ClaudeError"
import type { ErrorMessage, RateLimit, Result } from "@ccflow/core/Message"
import * as Outcome from "@ccflow/core/Outcome"
import { assert, describe, it } from "@effect/vitest"
import { Either, Schema } from "effect"

const sessionId = "11111111-2222-4333-8444-555555555555"

const good: Result = {
  _tag: "Result",
  sessionId,
  result: "4",
  subtype: "success",
  isError: false,
  stopReason: "end_turn",
  terminalReason: "completed",
  interrupted: false,
  usage: { inputTokens: 1, outputTokens: 1, cacheReadInputTokens: 0, cacheCreationInputTokens: 0 },
  costUsd: 0.5,
  totalCostUsd: 0.5,
  modelUsage: {},
  numTurns: 1,
  durationMs: 1,
  permissionDenials: [],
  errors: []
}
const bad: Result = { ...good, isError: true, result: "It failed", stopReason: "stop_sequence" }

const errorOf = (code: string, more: Partial<ErrorMessage> = {}): ErrorMessage => ({
  _tag: "Error",
  sessionId,
  code,
  content: "It failed",
  ...more
})

const rejected = (limit: string, resetsAt: number | undefined): RateLimit => ({
  _tag: "RateLimit",
  sessionId,
  status: "rejected",
  limit,
  resetsAt,
  utilization: 1,
  raw: {}
})

const denial = (toolUseId: string) => ({ tool: "Bash", toolUseId, input: {} })

const factsOf = (facts: Partial<RunFacts>): RunFacts => ({
  exitCode: 1,
  signal: null,
  argv: ["claude"],
  stderrTail: "",
  sessionId,
  frames: 3,
  ...facts
})

const observed = (more: Partial<Outcome.Observed>): Outcome.Observed => ({
  facts: factsOf({}),
  result: undefined,
  error: undefined,
  rejected: undefined,
  model: "opus",
  wantsStructuredOutput: false,
  interrupted: false,
  ...more
})

/** The fields that tell errors of one tag apart. */
const told = (error: ClaudeError): string => {
  switch (error._tag) {
    case "ApiError":
      return `ApiError ${error.status} ${error.type}`
    case "CliExitError":
    case "StructuredOutputError":
      return `${error._tag} ${error.reason}`
    case "InvalidOptionsError":
      return `InvalidOptionsError ${error.field}`
    case "UsageLimitError":
      return `UsageLimitError ${error.limit} ${error.resetsAt}`
    case "AuthenticationError":
      return `AuthenticationError ${error.status}`
    case "PermissionDeniedError":
      return `PermissionDeniedError ${error.tool} ${error.toolUseId}`
    case "SessionNotFoundError":
    case "SessionBusyError":
      return `${error._tag} ${error.sessionId}`
    default:
      return error._tag
  }
}

const verdict = (more: Partial<Outcome.Observed>): string =>
  Either.match(Outcome.decide(observed(more)), {
    onRight: (result) => `Result ${result.result}`,
    onLeft: (error) => {
      assert.isTrue(error instanceof CCFlowError)
      assert.notStrictEqual(error.hint, "")
      assert.notInclude(error.message, "..")
      return told(error)
    }
  })

type Rows = ReadonlyArray<readonly [name: string, observed: Partial<Outcome.Observed>, verdict: string]>

const check = (rows: Rows) =>
  it.each(rows.map(([name, given, wanted]) => ({ name, given, wanted })))("$name: $wanted", ({ given, wanted }) => {
    assert.strictEqual(verdict(given), wanted)
  })

describe("a good result stays good", () => {
  check([
    ["exit 0", { result: good, facts: factsOf({ exitCode: 0 }) }, "Result 4"],
    ["exit 1", { result: good, facts: factsOf({ exitCode: 1 }) }, "Result 4"],
    ["exit 143", { result: good, facts: factsOf({ exitCode: 143 }) }, "Result 4"],
    ["a signal", { result: good, facts: factsOf({ exitCode: null, signal: "SIGKILL" }) }, "Result 4"],
    ["it had to be stopped", { result: good, facts: factsOf({ exitCode: null }) }, "Result 4"],
    ["stderr says something", { result: good, facts: factsOf({ stderrTail: "Error: Not logged in" }) }, "Result 4"],
    ["an API error before it", { result: good, error: errorOf("server_error", { status: 500 }) }, "Result 4"],
    ["a rejected window before it", { result: good, rejected: rejected("five_hour", 1) }, "Result 4"],
    ["an empty answer", { result: { ...good, result: "" } }, "Result "],
    ["a stopped hook", { result: { ...good, terminalReason: "hook_stopped", result: "" } }, "Result "],
    ["an interrupt that came too late", { result: good, interrupted: true }, "Result 4"],
    [
      "structured output",
      { result: { ...good, structuredOutput: { a: 1 } }, wantsStructuredOutput: true },
      "Result 4"
    ]
  ])
})

describe("an interrupted turn", () => {
  const aborted = {
    ...bad,
    subtype: "error_during_execution",
    terminalReason: "aborted_streaming",
    interrupted: true,
    result: ""
  }
  check([
    ["by the caller", { result: aborted, interrupted: true, facts: factsOf({ exitCode: 0 }) }, "Result "],
    [
      "by the caller, in a tool",
      { result: { ...aborted, terminalReason: "aborted_tools" }, interrupted: true },
      "Result "
    ],
    [
      "by the caller, before the output",
      { result: aborted, interrupted: true, wantsStructuredOutput: true },
      "Result "
    ],
    ["from outside", { result: aborted, facts: factsOf({ exitCode: 0 }) }, "CliExitError Interrupted"],
    [
      "by a permission that was denied",
      { result: { ...aborted, permissionDenials: [denial("t1"), denial("t2"), denial("t3")] } },
      "PermissionDeniedError Bash t3"
    ],
    [
      "that was not aborted, with a denial",
      { result: { ...bad, apiErrorStatus: 500, permissionDenials: [denial("t1")] } },
      "ApiError 500 api_error"
    ],
    [
      "with an error of its own",
      { result: { ...bad, apiErrorStatus: 500 }, interrupted: true },
      "ApiError 500 api_error"
    ]
  ])
})

describe("the subtype decides first", () => {
  const subtype = (name: string) => ({ result: { ...bad, subtype: name, apiErrorStatus: 401 } })
  check([
    ["error_max_turns", subtype("error_max_turns"), "MaxTurnsError"],
    ["error_max_budget_usd", subtype("error_max_budget_usd"), "BudgetExceededError"],
    [
      "error_max_structured_output_retries",
      subtype("error_max_structured_output_retries"),
      "StructuredOutputError RetriesExhausted"
    ],
    ["isError is not asked for", { result: { ...good, subtype: "error_max_turns" } }, "MaxTurnsError"],
    ["success with isError", subtype("success"), "AuthenticationError 401"],
    ["success without the output", { result: good, wantsStructuredOutput: true }, "StructuredOutputError NeverGiven"],
    ["one of a later version", { result: { ...good, subtype: "error_new" } }, "CliExitError Exited"],
    [
      "error_during_execution, before a turn",
      { result: { ...bad, subtype: "error_during_execution", numTurns: 0 } },
      "CliExitError StartupFailed"
    ],
    [
      "error_during_execution, in a turn",
      { result: { ...bad, subtype: "error_during_execution" } },
      "CliExitError Exited"
    ],
    [
      "error_during_execution, with what the API said",
      { result: { ...bad, subtype: "error_during_execution" }, error: errorOf("server_error", { status: 500 }) },
      "ApiError 500 api_error"
    ],
    [
      "error_during_execution, with a status alone",
      { result: { ...bad, subtype: "error_during_execution", apiErrorStatus: 500 } },
      "ApiError 500 api_error"
    ],
    [
      "error_during_execution, with the API's error alone",
      { result: { ...bad, subtype: "error_during_execution", apiError: "connection_failed" } },
      "ApiError null connection_failed"
    ]
  ])
})

describe("then why the turn ended", () => {
  const reason = (terminalReason: string) => ({ result: { ...bad, terminalReason, apiErrorStatus: 400 } })
  const other = "ApiError 400 invalid_request_error"
  check([
    ["prompt_too_long", reason("prompt_too_long"), "ContextOverflowError"],
    ["blocking_limit", reason("blocking_limit"), "ContextOverflowError"],
    ["rapid_refill_breaker", reason("rapid_refill_breaker"), "ContextOverflowError"],
    ["api_error", reason("api_error"), other],
    ["completed", reason("completed"), other],
    ["image_error", reason("image_error"), other],
    ["model_error", reason("model_error"), other],
    ["malformed_tool_use_exhausted", reason("malformed_tool_use_exhausted"), other],
    ["turn_setup_failed", reason("turn_setup_failed"), other],
    ["one of a later version", reason("new_reason"), other],
    ["none, as old versions have it", { result: { ...bad, terminalReason: undefined, apiErrorStatus: 400 } }, other],
    ["a refusal", { result: { ...bad, stopReason: "refusal" }, error: errorOf("invalid_request") }, "RefusalError"]
  ])
})

describe("then the API's status", () => {
  const status = (apiErrorStatus: number) => ({ result: { ...bad, apiErrorStatus } })
  check([
    ["400", status(400), "ApiError 400 invalid_request_error"],
    ["401", status(401), "AuthenticationError 401"],
    ["403", status(403), "AuthenticationError 403"],
    ["404", status(404), "ModelNotFoundError"],
    ["413", status(413), "ApiError 413 request_too_large"],
    ["429", status(429), "ApiError 429 rate_limit_error"],
    ["500", status(500), "ApiError 500 api_error"],
    ["502", { ...status(502), error: errorOf("server_error") }, "ApiError 502 server_error"],
    ["529", status(529), "OverloadedError"],
    ["418", { ...status(418), error: errorOf("unknown") }, "ApiError 418 unknown"],
    [
      "of the message, where the result has none",
      { result: bad, error: errorOf("unknown", { status: 529 }) },
      "OverloadedError"
    ],
    [
      "with the API's own name",
      { result: { ...bad, apiErrorStatus: 400, apiErrorType: "new_error" } },
      "ApiError 400 new_error"
    ],
    ["overloaded in the middle of a reply", { result: { ...bad, apiErrorType: "overloaded_error" } }, "OverloadedError"]
  ])
})

describe("then the CLI's word for it", () => {
  const code = (name: string, more: Partial<ErrorMessage> = {}) => ({ result: bad, error: errorOf(name, more) })
  check([
    ["authentication_failed", code("authentication_failed"), "AuthenticationError null"],
    ["oauth_org_not_allowed", code("oauth_org_not_allowed"), "AuthenticationError null"],
    ["account_on_hold", code("account_on_hold"), "AuthenticationError null"],
    ["verification_required", code("verification_required"), "AuthenticationError null"],
    ["cloud_credential_error", code("cloud_credential_error"), "AuthenticationError null"],
    ["billing_error", code("billing_error", { status: 400 }), "ApiError 400 billing_error"],
    ["billing_error with 403", code("billing_error", { status: 403 }), "ApiError 403 billing_error"],
    ["rate_limit", code("rate_limit", { status: 429 }), "ApiError 429 rate_limit_error"],
    ["overloaded", code("overloaded"), "OverloadedError"],
    ["invalid_request", code("invalid_request"), "ApiError null invalid_request"],
    ["model_not_found", code("model_not_found"), "ModelNotFoundError"],
    ["server_error without a status", code("server_error"), "ApiError null connection_failed"],
    [
      "connection_failed",
      code("server_error", { apiError: "connection_failed" }),
      "ApiError null connection_failed"
    ],
    ["max_output_tokens", code("max_output_tokens"), "ApiError null max_output_tokens"],
    [
      "server_error with the result's own word",
      { result: { ...bad, apiError: "proxy_failed" }, error: errorOf("server_error") },
      "ApiError null proxy_failed"
    ],
    [
      "max_output_tokens of the context window",
      code("max_output_tokens", { content: "The model has reached its context window limit." }),
      "ContextOverflowError"
    ],
    ["unknown", code("unknown"), "ApiError null unknown"],
    ["one of a later version", code("new_code"), "ApiError null new_code"],
    ["nothing at all", { result: bad }, "ApiError null success"]
  ])
})

describe("a subscription's limit", () => {
  const limited = { ...bad, apiErrorStatus: 429 }
  check([
    [
      "is named by the CLI",
      { result: { ...limited, apiError: "usage_limit_reached" }, rejected: rejected("five_hour", 5000) },
      "UsageLimitError five_hour 5000"
    ],
    [
      "without the window",
      { result: { ...limited, apiError: "usage_limit_reached" } },
      "UsageLimitError  null"
    ],
    [
      "is the named window that was rejected",
      { result: limited, error: errorOf("rate_limit"), rejected: rejected("seven_day", 7000) },
      "UsageLimitError seven_day 7000"
    ],
    [
      "is the window that has a name",
      { result: limited, rejected: rejected("five_hour", undefined) },
      "UsageLimitError five_hour null"
    ],
    [
      "is told by its code alone",
      { result: bad, error: errorOf("rate_limit"), rejected: rejected("five_hour", 5000) },
      "UsageLimitError five_hour 5000"
    ],
    ["is the window that resets", { result: limited, rejected: rejected("", 7000) }, "UsageLimitError  7000"],
    [
      "is none when the API rejects without naming a window",
      { result: limited, error: errorOf("rate_limit"), rejected: rejected("", undefined) },
      "ApiError 429 rate_limit_error"
    ],
    [
      "is none when something else fails after a rejection",
      { result: { ...bad, apiErrorStatus: 500 }, rejected: rejected("five_hour", 5000) },
      "ApiError 500 api_error"
    ]
  ])
})

const startupReasons: Readonly<Record<string, string>> = {
  org_pin_api_key_conflict: "AuthenticationError null",
  org_pin_mismatch: "AuthenticationError null",
  org_verify_failed: "AuthenticationError null",
  gateway_signin_required: "AuthenticationError null",
  gateway_access_denied: "AuthenticationError null",
  bypass_root: "InvalidOptionsError permissionMode",
  cwd_unavailable: "InvalidOptionsError cwd",
  session_held_by_background: `SessionBusyError ${sessionId}`,
  config_file_invalid: "CliExitError ConfigInvalid",
  managed_settings_invalid: "CliExitError ConfigInvalid",
  provider_not_allowed: "CliExitError StartupFailed",
  remote_settings_required_unavailable: "CliExitError StartupFailed",
  proxy_invalid: "CliExitError StartupFailed",
  temp_dir_unusable: "CliExitError StartupFailed",
  shell_tool_missing: "CliExitError StartupFailed",
  worktree_resume_refused: "CliExitError StartupFailed",
  worktree_unverified: "CliExitError StartupFailed",
  cli_version_too_old: "CliExitError StartupFailed",
  org_config_required_unavailable: "CliExitError StartupFailed",
  org_config_refused: "CliExitError StartupFailed",
  sandbox_required_unavailable: "CliExitError StartupFailed",
  initialize_not_first: "CliExitError StartupFailed",
  managed_settings_not_delivered: "CliExitError StartupFailed",
  initialize_fields_not_delivered: "CliExitError StartupFailed",
  one_of_a_later_version: "CliExitError StartupFailed"
}

describe("the CLI's reason for not starting", () => {
  const failure = { ...bad, subtype: "error_during_execution", numTurns: 0 }
  check(
    Object.entries(startupReasons).map(([startupFailure, wanted]) => [
      startupFailure,
      { result: { ...failure, startupFailure } },
      wanted
    ])
  )

  it("is believed, whatever its words sound like, also where a later version gives it", () => {
    const result = { ...failure, result: "Not logged in", startupFailure: "one_of_a_later_version" }
    assert.strictEqual(verdict({ result }), "CliExitError StartupFailed")
  })

  it("has a hint of its own where the CLI is too old", () => {
    const hint = (startupFailure: string) => hintOf({ result: { ...failure, startupFailure } })
    assert.include(hint("cli_version_too_old"), "claude update")
    assert.include(hint("proxy_invalid"), "by hand")
  })
})

describe("without a result", () => {
  const exit = (exitCode: number, stderrTail = "", frames = 3) => ({ facts: factsOf({ exitCode, stderrTail, frames }) })
  const signal = (name: string | null, stderrTail = "") => ({
    facts: factsOf({ exitCode: null, signal: name, stderrTail })
  })
  check([
    ["exit 0", exit(0), "MissingResultError"],
    ["exit 0 and no line at all", exit(0, "", 0), "MissingResultError"],
    ["exit 0 with words", exit(0, "Error: Not logged in"), "MissingResultError"],
    ["exit 1", exit(1), "CliExitError Exited"],
    ["exit 1 with unknown words", exit(1, "Segmentation fault"), "CliExitError Exited"],
    ["exit 1 with words of another kind", exit(1, "warning: ENOENT: Bun could not find a file"), "CliExitError Exited"],
    ["exit 1 after an API error", { ...exit(1), error: errorOf("server_error") }, "CliExitError Exited"],
    ["exit 129", exit(129), "CliExitError Killed"],
    ["exit 130", exit(130), "CliExitError Killed"],
    ["exit 137", exit(137), "CliExitError Killed"],
    ["exit 143", exit(143, "Error: Not logged in"), "CliExitError Killed"],
    ["SIGKILL", signal("SIGKILL", "error: unknown option '--x'"), "CliExitError Killed"],
    ["SIGSEGV", signal("SIGSEGV"), "CliExitError Killed"],
    ["it had to be stopped", signal(null), "CliExitError Killed"],
    ["an interrupt without an answer", { ...exit(0), interrupted: true }, "MissingResultError"]
  ])
})

/** What the CLI writes to stderr alone, or, in an older version, into a result without a reason. */
const prose: ReadonlyArray<readonly [words: string, verdict: string]> = [
  ["No conversation found with session ID: abc", "SessionNotFoundError abc"],
  [
    "Error: --resume requires a valid session ID or session title when used with --print. " +
    "Usage: claude -p --resume <id>. Provided value \"my title\" is not a UUID and does not match any session title.",
    "SessionNotFoundError my title"
  ],
  ["Error: Session ID abc is already in use.", "SessionBusyError abc"],
  ["Error: Invalid session ID. Must be a valid UUID.", "InvalidOptionsError sessionId"],
  ["error: unknown option '-x'", "InvalidOptionsError x"],
  ["error: unknown option '--no-such-flag'", "InvalidOptionsError noSuchFlag"],
  ["error: unknown option '--permission-prompts=S3CRET'", "InvalidOptionsError permissionPrompts"],
  [
    "error: option '--permission-mode <mode>' argument 'S3CRET' is invalid. Allowed choices are plan.",
    "InvalidOptionsError permissionMode"
  ],
  ["error: option '--max-thinking-tokens <n>' argument 'S3\nCRET' is invalid.", "InvalidOptionsError thinking"],
  ["Error: Invalid MCP configuration:\nMCP config file not found: /x", "InvalidOptionsError mcpServers"],
  ["Error: MCP tool m (passed via --permission-prompt-tool) not found.", "InvalidOptionsError permissionPromptTool"],
  ["Error: Settings file not found: /x", "InvalidOptionsError settings"],
  ["Error: Invalid --agents configuration:\ninvalid JSON", "InvalidOptionsError agents"],
  ["Error: --json-schema is not a valid JSON Schema: x", "InvalidOptionsError outputSchema"],
  ["Error: --resume-drops-turn requires --resume-session-at", "InvalidOptionsError resumeDropsTurn"],
  [
    "--dangerously-skip-permissions cannot be used with root/sudo privileges for security reasons",
    "InvalidOptionsError permissionMode"
  ],
  ["Configuration error in /home/user/.claude.json: JSON Parse error", "CliExitError ConfigInvalid"],
  ["ENOENT: Bun could not find a file, and the code that produces this error is missing", "InvalidOptionsError cwd"],
  [
    "error: The current working directory was deleted, so that command didn't work. Please cd into a different directory",
    "InvalidOptionsError cwd"
  ],
  ["Not logged in · Please run /login", "AuthenticationError null"],
  ["Invalid API key · Fix external API key", "AuthenticationError null"]
]

describe("prose, where there is nothing else", () => {
  it.each(prose.map(([words, wanted]) => ({ words, wanted })))("$words", ({ wanted, words }) => {
    const startup = { ...bad, subtype: "error_during_execution", numTurns: 0, result: words }
    assert.strictEqual(verdict({ facts: factsOf({ stderrTail: `noise\n${words}\n`, frames: 0 }) }), wanted)
    assert.strictEqual(verdict({ result: startup }), wanted)
    const error = Either.getOrThrow(Either.flip(Outcome.decide(observed({ result: startup }))))
    assert.notInclude(JSON.stringify(error), "S3CRET")
  })
})

/** The error in place of a result. */
const errorFor = (more: Partial<Outcome.Observed>): Record<string, unknown> => ({
  ...Either.getOrThrow(Either.flip(Outcome.decide(observed(more))))
})
const detailOf = (more: Partial<Outcome.Observed>) => errorFor(more)["detail"]
const hintOf = (more: Partial<Outcome.Observed>) => String(errorFor(more)["hint"])

describe("an error says in its detail", () => {
  it("what the result says, else what the API's error said, else the result's kind", () => {
    const error = errorOf("unknown", { content: " of the message " })
    assert.strictEqual(detailOf({ result: { ...bad, result: " of the result\n" }, error }), "of the result")
    assert.strictEqual(detailOf({ result: { ...bad, result: "" }, error }), "of the message")
    assert.strictEqual(detailOf({ result: { ...bad, result: "" } }), "success")
  })

  it("what has stopped it, where it left no result", () => {
    const left = (exitCode: number | null, signal: string | null) => detailOf({ facts: factsOf({ exitCode, signal }) })
    assert.strictEqual(left(null, "SIGSEGV"), "SIGSEGV stopped it before it had answered")
    for (const [code, name] of [[129, "SIGHUP"], [130, "SIGINT"], [137, "SIGKILL"], [143, "SIGTERM"]] as const) {
      assert.strictEqual(left(code, null), `${name} stopped it before it had answered`)
    }
    assert.strictEqual(left(null, null), "it had to be stopped before it had answered")
  })

  it("the API's error where the CLI left after one, else with which model it had begun, if it is known", () => {
    assert.strictEqual(detailOf({ error: errorOf("server_error", { content: "down" }) }), "down")
    assert.strictEqual(detailOf({ model: "opus" }), "it left before it had answered (model opus)")
    assert.strictEqual(detailOf({ model: "" }), "it left before it had answered")
  })

  it("what the CLI has refused, in one sentence without its full stop and without the value", () => {
    const refusal = (stderrTail: string) => detailOf({ facts: factsOf({ stderrTail }) })
    assert.strictEqual(
      refusal("error: option '--effort <level>' argument 'S3CRET' is invalid. Allowed choices are low, high.\n"),
      "the CLI refused its value. Allowed choices are low, high"
    )
    assert.strictEqual(
      refusal("error: option '--effort <level>' argument 'x' is invalid"),
      "the CLI refused its value"
    )
    assert.strictEqual(
      refusal("Error: Invalid MCP configuration:\n\n  MCP config file not found: /a.b \n"),
      "MCP config file not found: /a.b"
    )
    assert.strictEqual(refusal("Error: Invalid --agents configuration:\n\n no JSON.\n"), "no JSON")
    assert.strictEqual(refusal("Error: Invalid session ID. Give a UUID."), "Invalid session ID. Give a UUID")
    assert.strictEqual(refusal("Error: --json-schema is no schema.\n"), "the CLI says: is no schema")
    assert.strictEqual(
      refusal("Configuration error in /home/a/.claude.json: no JSON\nmore"),
      "configuration error in /home/a/.claude.json: no JSON"
    )
  })
})

describe("a wrapper that has not found the CLI", () => {
  it("is told with the command that it was to start, by any path", () => {
    const command = (argv: ReadonlyArray<string>, stderrTail: string) =>
      errorFor({ facts: factsOf({ argv, stderrTail, exitCode: 127, frames: 0 }) })["command"]
    assert.strictEqual(command(["/opt/claude-2", "-p"], "zsh: command not found: /opt/claude-2"), "/opt/claude-2")
    assert.strictEqual(command([], "sh: 1: claude: not found"), "claude")
  })
})

describe("an error's hint is for", () => {
  const api = (status: number | undefined, more: Partial<Result> = {}) =>
    hintOf({ result: { ...bad, apiErrorStatus: status, ...more } })

  it("what the API did not like", () => {
    assert.include(api(undefined, { apiErrorType: "connection_failed" }), "network")
    assert.include(api(undefined, { apiErrorType: "max_output_tokens" }), "maxTokens")
    assert.include(api(413), "too large")
    assert.include(api(429), "fewer requests")
    for (const status of [500, 503]) assert.include(api(status), "The API failed")
    for (const status of [400, 499, undefined]) assert.include(api(status), "did not like")
  })

  it("one who has not logged in, or whose login is refused", () => {
    assert.include(hintOf({ result: bad, error: errorOf("authentication_failed") }), "/login")
    assert.include(api(401), "auth status")
  })

  it("one who has another program in place of the CLI, or an answer that was cut", () => {
    const nothing = (frames: number) => hintOf({ facts: factsOf({ exitCode: 0, frames }) })
    assert.include(nothing(0), "Is this really")
    assert.include(nothing(1), "cut")
  })

  it("one whose CLI gave a reason on stderr, and one whose CLI gave none", () => {
    const said = (stderrTail: string) => hintOf({ facts: factsOf({ stderrTail }) })
    assert.include(said(" \n"), "no reason")
    assert.include(said("Segmentation fault"), "its own words")
  })
})

describe("structured output", () => {
  const outputSchema = Schema.Struct({ a: Schema.NumberFromString })
  const given = (structuredOutput: unknown): Result => ({ ...good, structuredOutput })

  it("is decoded where an Effect Schema was asked for, and left as it is elsewhere", () => {
    assert.deepStrictEqual(
      Either.getOrThrow(Outcome.decoded(given({ a: "1" }), { outputSchema })),
      given({ a: 1 })
    )
    const untouched = given({ a: "1" })
    assert.strictEqual(Either.getOrThrow(Outcome.decoded(untouched, { outputSchema: { type: "object" } })), untouched)
    assert.strictEqual(Either.getOrThrow(Outcome.decoded(good, { outputSchema })), good)
  })

  it("that does not decode is told with its place, and is a failure of an else good result", () => {
    const wrong = (value: unknown) => Either.getOrThrow(Either.flip(Outcome.decoded(given(value), { outputSchema })))
    assert.match(wrong({ a: 7 }), /^a: it must be /)
    assert.match(wrong("text"), /^it must be /)
    assert.deepInclude(errorFor({ result: given("text"), undecodable: "it must be an object" }), {
      _tag: "StructuredOutputError",
      reason: "DoesNotDecode",
      detail: "it must be an object"
    })
  })
})
