import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Order from "effect/Order"
import * as Schema from "effect/Schema"
import { type QueryOptions, toEnv } from "../AgentOptions.js"
import type { CliNotFoundError, CliSpawnError } from "../ClaudeError.js"
import type { CliExit, CliProcess, Graces } from "../CliProcess.js"
import type { Account, HealthStatus, Problem } from "../HealthCheck.js"

export const healthOf = (
  { cliFound, problems = [], ...found }: Pick<HealthStatus, "cli" | "cliFound" | "checkedAt"> & Partial<HealthStatus>
): HealthStatus => ({
  healthy: cliFound && problems.every(({ severity }) => severity === "warning"),
  cliFound,
  cliVersion: null,
  authenticated: null,
  account: null,
  latencyMs: 0,
  problems,
  ...found
})

/**
 * Asks the CLI for its version and then for its login. No other order: versions without `auth status` would take the
 * words for a prompt, which costs money.
 */
export const examine = (
  open: CliProcess["Type"]["open"],
  options: QueryOptions,
  login: boolean,
  timeoutMs: number
): Effect.Effect<HealthStatus> =>
  Effect.gen(function*() {
    const began = yield* Clock.currentTimeMillis
    const found = yield* Effect.catchAllDefect(
      questions((...args) => askCli(open, options, args, timeoutMs), login, `${timeoutMs / 1000} s`),
      (defect) => Effect.succeed(unusable(`it could not be asked: ${lineOf(String(defect))}`))
    )
    const now = yield* Clock.currentTimeMillis
    return healthOf({ ...found, cli: options.cliPath ?? "claude", latencyMs: now - began, checkedAt: now })
  })

// ---------------------------------------------------------------------------

type Found = Pick<HealthStatus, "cliFound" | "problems"> & Partial<HealthStatus>

const questions = (
  ask: (...args: ReadonlyArray<string>) => ReturnType<typeof askCli>,
  askLogin: boolean,
  time: string
): Effect.Effect<Found> =>
  Effect.gen(function*() {
    const told = yield* ask("--version")
    if (told === undefined) return unusable(`it did not say its version within ${time}`)
    if (told.code !== 0) return unusable(`asked for its version it ended with ${endOf(told)}`)
    const cliVersion = versionOf(told.stdout)
    if (cliVersion === null) {
      return {
        cliFound: true,
        problems: [warning("version", `it says no version, but ${said(told.stdout)}`, "Is cliPath Claude Code's own?")]
      }
    }
    const found = { cliFound: true, cliVersion }
    const problems = older(cliVersion, oldestKnown)
      ? [warning("version", `${cliVersion} is older than ${oldestKnown}, the oldest that is known to work`, update)]
      : []
    if (!askLogin) return { ...found, problems }
    if (older(cliVersion, firstWithStatus)) {
      const detail = `whether it is logged in cannot be told: ${cliVersion} has no auth status`
      return { ...found, problems: [...problems, warning("login", detail, update)] }
    }
    const login = loginOf(yield* ask("auth", "status", "--json"), time)
    return { ...found, ...login, problems: [...problems, ...login.problems] }
  }).pipe(
    Effect.catchTags({
      CliNotFoundError: ({ hint }) => Effect.succeed(missing("there is no such command", hint)),
      CliSpawnError: ({ code, hint, reason }) =>
        Effect.succeed(missing(`it cannot be started: ${reason} (${code})`, hint === "" ? reinstall : hint))
    })
  )

/** What the CLI says to a question that calls no model. */
interface CliAnswer extends CliExit {
  readonly stdout: string
  readonly stderr: string
}

/** Asks it and reads the answer; `undefined` when it took too long, and was ended. */
const askCli = (
  open: CliProcess["Type"]["open"],
  { cliPath = "claude", cwd, env }: QueryOptions,
  args: ReadonlyArray<string>,
  timeoutMs: number
): Effect.Effect<CliAnswer | undefined, CliNotFoundError | CliSpawnError> =>
  Effect.gen(function*() {
    const cli = yield* open({ command: cliPath, args, cwd, env: toEnv({ env }), files: [], graces })
    yield* cli.closeInput
    const decoder = new TextDecoder()
    let stdout = ""
    for (;;) {
      const chunks = yield* cli.stdout
      if (chunks.length === 0) break
      for (const chunk of chunks) if (stdout.length < mostCharacters) stdout += decoder.decode(chunk, { stream: true })
    }
    const { code, signal } = yield* cli.exit
    return { code, signal, stdout, stderr: yield* cli.stderrTail }
  }).pipe(
    Effect.scoped,
    Effect.timeoutOption(timeoutMs),
    Effect.map(Option.getOrUndefined)
  )

/** It has no work that could be saved. */
const graces: Graces = { interrupt: 300, terminate: 300, kill: 500 }

const mostCharacters = 65_536

const update = "Update it: claude update."
const reinstall = "Install Claude Code again: npm install -g @anthropic-ai/claude-code."
const logIn = "Log in: run claude and use /login, or claude auth login; or set ANTHROPIC_API_KEY."

/** Of all that ccflow is tried with. */
const oldestKnown = "2.1.197"

const firstWithStatus = "2.1.41"

const problem = (severity: Problem["severity"]) => (check: Problem["check"], detail: string, fix: string): Problem => ({
  check,
  severity,
  detail,
  fix
})

const failed = problem("failed")

const warning = problem("warning")

const missing = (detail: string, fix: string): Found => ({ cliFound: false, problems: [failed("cli", detail, fix)] })

const unusable = (detail: string): Found => ({ cliFound: true, problems: [failed("cli", detail, reinstall)] })

const loginOf = (
  told: CliAnswer | undefined,
  time: string
): Pick<HealthStatus, "authenticated" | "account" | "problems"> => {
  const unknown = (...problems: ReadonlyArray<Problem>) => ({ authenticated: null, account: null, problems })
  if (told === undefined) {
    const detail = `it did not say whether it is logged in within ${time}`
    return unknown(failed("login", detail, "Run claude auth status by hand to see what it waits for."))
  }
  const ended = `asked for its login it ended with ${endOf(told)}`
  const byHand = "Run claude auth status by hand."
  const status = Option.getOrUndefined(statusOf(told.stdout))
  if (status === undefined) {
    const unheard = /unknown (option|command)/i.test(told.stderr)
    if (told.code === 0 || unheard) {
      return unknown(warning("login", "whether it is logged in cannot be told: its answer is not known", update))
    }
    return unknown(failed("login", ended, byHand))
  }
  if (!status.loggedIn) {
    return { authenticated: false, account: null, problems: [failed("login", "nobody is logged in", logIn)] }
  }
  return {
    authenticated: true,
    account: accountOf(status),
    problems: told.code === 0 ? [] : [warning("login", ended, byHand)]
  }
}

/** Objects that say whether somebody is logged in, and nothing else. */
const statusOf = Schema.decodeUnknownOption(
  Schema.parseJson(Schema.Struct({ loggedIn: Schema.Boolean }, { key: Schema.String, value: Schema.Unknown }))
)

/** A key was seen to be used before any login, also where an older version calls the login its method. */
const accountOf = (status: Readonly<Record<string, unknown>>): Account => {
  const text = (name: string): string | null => {
    const value = status[name]
    return typeof value === "string" && value !== "" && value !== "none" ? lineOf(value) : null
  }
  const method = text("authMethod")
  const provider = text("apiProvider") ?? "firstParty"
  const keySource = text("apiKeySource")
  const account = (payer: Account["payer"], source: string | null): Account => ({
    payer,
    source,
    provider,
    plan: null,
    email: null,
    organization: null
  })
  if (provider !== "firstParty" || method === "third_party") return account("cloud", method)
  if (keySource !== null || method?.startsWith("api_key") === true) return account("apiKey", keySource ?? method)
  if (method === "oauth_token") return account("token", method)
  return {
    ...account(method === "claude.ai" ? "subscription" : "unknown", method),
    plan: text("subscriptionType"),
    email: text("email"),
    organization: text("orgName")
  }
}

const versionOf = (stdout: string): string | null => /^\s*v?(\d+\.\d+\.\d+)/.exec(stdout)?.[1] ?? null

const older = Order.lessThan(
  Order.mapInput(Order.array(Order.number), (version: string) => version.split(".").map(Number))
)

const endOf = ({ code, signal, stderr }: CliAnswer): string => {
  const words = lineOf(stderr)
  return `${code === null ? signal ?? "no code" : `code ${code}`}${words === "" ? "" : `: ${words}`}`
}

const said = (text: string): string => lineOf(text) === "" ? "nothing" : JSON.stringify(lineOf(text))

/** The first words of it, which can steer no terminal. */
const lineOf = (text: string): string => {
  const line = text.trim().split("\n", 1)[0]!.replace(/\p{C}/gu, "").trim()
  return line.length > 200 ? `${line.slice(0, 199)}…` : line
}
