import {
  AuthenticationError,
  type ClaudeError,
  CliExitError,
  CliNotFoundError,
  InvalidOptionsError,
  type RunFacts,
  SessionBusyError,
  SessionNotFoundError
} from "../ClaudeError.js"

/** What the CLI's own reason for not starting means; `undefined` when it gave none. */
export const startupFailure = (
  reason: string | undefined,
  detail: string,
  facts: RunFacts
): ClaudeError | undefined => {
  switch (reason) {
    case undefined:
      return undefined
    case "config_file_invalid":
    case "managed_settings_invalid":
      return configInvalid(detail, facts)
    case "bypass_root":
      return rootBypass(facts)
    case "cwd_unavailable":
      return new InvalidOptionsError({ field: "cwd", detail, facts, hint: "Give a directory that exists." })
    case "session_held_by_background":
      return new SessionBusyError({ sessionId: facts.sessionId, facts, hint: "End its background session first." })
    case "org_pin_api_key_conflict":
    case "org_pin_mismatch":
    case "org_verify_failed":
    case "gateway_signin_required":
    case "gateway_access_denied":
      return new AuthenticationError({ status: null, detail, facts, hint: "Log in as the organization asks for." })
    case "cli_version_too_old":
      return startupFailed(detail, facts, "Update the CLI: `claude update`.")
    default:
      return startupFailed(detail, facts)
  }
}

/** What the CLI's words mean: most start-up failures print no result, and older versions give no reason in it. */
export const startupProse = (words: string, facts: RunFacts): ClaudeError | undefined => {
  if (notFound(words, facts)) return new CliNotFoundError({ command: facts.argv[0] ?? "claude", hint: wrapped })
  for (const [pattern, make] of known) {
    const found = pattern.exec(words)
    if (found !== null) return make(facts, found[1] ?? "", found[2] ?? "")
  }
  return undefined
}

/** It has not begun, and what it says about that is all that is known. */
export const startupFailed = (
  detail: string,
  facts: RunFacts,
  hint = "Run `claude` once by hand to see more."
): ClaudeError => new CliExitError({ reason: "StartupFailed", detail, facts, hint })

const wrapped = "What was to start it has not found it: install Claude Code there, or set cliPath to where it is."

/** A wrapper (`nice`, `env`, a shell, `docker`) leaves with 127 where there is no such command, and names it. */
const notFound = (words: string, { argv, exitCode, frames }: RunFacts): boolean => {
  const names = ["claude", argv[0]?.split(/[\\/]/).at(-1)]
  return exitCode === 127 && frames === 0 &&
    [...words.matchAll(complaint)].some(([, before, after]) => names.includes(before ?? after))
}

const complaint =
  /([^\s'"`‘’:/]+)['"’]?: (?:command not found(?!: )|not found|No such file or directory|executable file not found)|command not found: (?:\S*\/)?(\S+)/g

const configInvalid = (detail: string, facts: RunFacts) =>
  new CliExitError({ reason: "ConfigInvalid", detail, facts, hint: "Repair or remove the file that it names." })

const sessionNotFound = (facts: RunFacts, sessionId: string) =>
  new SessionNotFoundError({
    sessionId,
    facts,
    hint:
      "Sessions belong to a machine and a login, and for older CLIs (2.1.197) to the directory that they began in: " +
      "set cwd, or list them there with `claude --resume`."
  })

const refused = (facts: RunFacts, flag: string, detail: string, hint = "Correct the option.") =>
  new InvalidOptionsError({
    field: optionOf[flag] ?? flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    detail: detail.trim().replace(/\.$/, ""),
    facts,
    hint
  })

const rootBypass = (facts: RunFacts) =>
  refused(
    facts,
    "permissionMode",
    "the CLI refuses to skip permissions as root",
    "Run as another user, or set IS_SANDBOX=1 in a container that is one."
  )

/** Our names of the flags that the CLI complains about, where they are not the same in camel case. */
const optionOf: Readonly<Record<string, string>> = {
  "mcp-config": "mcpServers",
  "json-schema": "outputSchema",
  "add-dir": "addDirs",
  "plugin-dir": "pluginDirs",
  "plugin-dir-no-mcp": "pluginDirs",
  "max-thinking-tokens": "thinking",
  continue: "continueSession",
  "no-session-persistence": "persistSession"
}

const known: ReadonlyArray<readonly [RegExp, (facts: RunFacts, first: string, second: string) => ClaudeError]> = [
  [/No conversation found with session ID: (\S+)/, sessionNotFound],
  [/--resume requires a valid session ID.*Provided value "(.*)" is not a UUID/, sessionNotFound],
  [
    /Session ID (\S+) is already in use/,
    (facts, sessionId) => new SessionBusyError({ sessionId, facts, hint: "Resume that session, or choose another id." })
  ],
  [/cannot be used with root\/sudo privileges/, rootBypass],
  [/Configuration error in (.*)/, (facts, what) => configInvalid(`configuration error in ${what}`, facts)],
  // All that older versions say when their working directory is gone.
  [
    /^ENOENT: Bun could not find a file|current working directory was deleted/m,
    (facts) => refused(facts, "cwd", "it was deleted, or cannot be read", "Give a directory that exists.")
  ],
  [
    /unknown option '--?([^'=]+)/,
    (facts, flag) =>
      refused(facts, flag, "the CLI does not know this option", "Update the CLI, or leave the option out.")
  ],
  [
    /option '--([A-Za-z-]+)[^']*' argument [^]*? is invalid\.?(.*)/,
    (facts, flag, choices) => refused(facts, flag, `the CLI refused its value.${choices}`)
  ],
  [/Invalid MCP configuration:\s*(.*)/, (facts, what) => refused(facts, "mcp-config", what)],
  [
    /passed via --permission-prompt-tool\) not found/,
    (facts) => refused(facts, "permission-prompt-tool", "no MCP server has such a tool")
  ],
  [/Settings file not found: /, (facts) => refused(facts, "settings", "the settings file was not found")],
  [/Error: Invalid --agents configuration:\s*(.*)/, (facts, what) => refused(facts, "agents", what)],
  [/Error: --([a-z-]+) (.*)/, (facts, flag, what) => refused(facts, flag, `the CLI says: ${what}`)],
  [/Error: (Invalid session ID.*)/, (facts, what) => refused(facts, "session-id", what)],
  [/Not logged in|Invalid API key|Please run \/login/, (facts) =>
    new AuthenticationError({
      status: null,
      detail: "Claude Code is not logged in",
      facts,
      hint: "Run `claude` and log in with /login."
    })]
]
