import { type QueryOptions, toEnv } from "@ccflow/core/AgentOptions"
import type { CliNotFoundError, CliSpawnError } from "@ccflow/core/ClaudeError"
import { CliProcess } from "@ccflow/core/CliProcess"
import { HealthCheck, type HealthStatus, type Problem } from "@ccflow/core/HealthCheck"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { lstatSync, readlinkSync, realpathSync } from "node:fs"
import { failed, type Finding, ok, skipped, together, warning } from "./checkResult.js"
import { filesOf, locate } from "./executable.js"
import type { Machine } from "./machine.js"
import { liveFinding } from "./mcpServers.js"

/** Which CLI is asked, and how. */
type Target = { readonly [Name in "cliPath" | "cwd" | "env"]: NonNullable<QueryOptions[Name]> }

/** All that the command stands for, and which of them is used. */
export const candidatesFinding = (machine: Machine, target: Target): Effect.Effect<Finding, never, HealthCheck> =>
  Effect.gen(function*() {
    const { check } = yield* HealthCheck
    const command = target.cliPath
    if (machine.platform === "win32") {
      const { cliFound, problems } = yield* check({ ...target, login: false })
      return together(problems.map(findingOf), cliFound ? ok(command) : failed(command, install))
    }
    const all = candidates(command, machine)
    if (all.length === 0) {
      const where = command.includes("/") ? "" : `: it is in no folder of PATH (${machine.env["PATH"] ?? ""})`
      return failed(`there is no ${command}${where}`, install)
    }
    const tell = (candidate: Candidate): Effect.Effect<Told> =>
      candidate.broken !== undefined
        ? Effect.succeed({ ...candidate, version: null, problem: undefined })
        : Effect.map(
          check({ ...target, cliPath: candidate.path, login: false }),
          ({ cliVersion, problems: [problem] }) => ({ ...candidate, version: cliVersion, problem })
        )
    const told = yield* Effect.forEach(all.slice(0, most), tell, { concurrency: 4 })
    return together(told.map((each) => candidateFinding(each, told)), ok(""))
  })

export const versionFinding = ({ cliFound, cliVersion, problems }: HealthStatus): Finding =>
  together(
    problems.filter(({ check }) => check === "version").map(findingOf),
    cliVersion === null ? skipped(cliFound ? "it is not known" : "there is no CLI") : ok(cliVersion)
  )

export const loginFinding = ({ authenticated, problems }: HealthStatus): Finding =>
  together(
    problems.filter(({ check }) => check === "login").map(findingOf),
    authenticated === true ? ok("somebody is logged in") : skipped("it could not be asked")
  )

/** Starts the MCP servers. */
export const liveServers = ({ cliPath, cwd, env }: Target): Effect.Effect<Finding, never, CliProcess> =>
  Effect.gen(function*() {
    const { open } = yield* CliProcess
    const graces = { interrupt: 1000, terminate: 500, kill: 500 }
    const cli = yield* open({ command: cliPath, args: ["mcp", "list"], cwd, env: toEnv({ env }), files: [], graces })
    yield* cli.closeInput
    const decoder = new TextDecoder()
    let stdout = ""
    for (;;) {
      const chunks = yield* cli.stdout
      if (chunks.length === 0) return liveFinding(stdout)
      for (const chunk of chunks) stdout += decoder.decode(chunk, { stream: true })
    }
  }).pipe(
    Effect.scoped,
    Effect.timeoutTo({
      duration: "20 seconds",
      onSuccess: (finding): Finding => finding,
      onTimeout: () => failed("they did not all answer within 20 s", "Run claude mcp list to see which one does not.")
    }),
    Effect.catchAll(({ message }) => Effect.succeed(skipped(message)))
  )

// ---------------------------------------------------------------------------

/** A file that a command could stand for. */
interface Candidate {
  readonly path: string
  /** Where a link leads; the path itself where it is none. */
  readonly real: string
  /** Why it cannot run, and what to do. */
  readonly broken: { readonly why: string; readonly fix: string } | undefined
}

interface Told extends Candidate {
  readonly version: string | null
  readonly problem: Problem | undefined
}

const most = 8

const install = "Install Claude Code (npm install -g @anthropic-ai/claude-code), or set CCFLOW_CLI_PATH to its file."

const findingOf = ({ detail, fix, severity }: Problem): Finding => ({ status: severity, detail, fix })

/** The first that can be started is used, whatever stands behind it. */
const candidateFinding = (each: Told, all: ReadonlyArray<Told>): Finding => {
  const used = all.find(({ broken }) => broken === undefined)
  const name = each.real === each.path ? each.path : `${each.path} -> ${each.real}`
  if (each.broken !== undefined) {
    const { fix, why } = each.broken
    const detail = `${each.path}: ${why}`
    return used === undefined ? failed(detail, fix) : warning(detail, fix)
  }
  if (each === used) {
    return each.problem?.severity === "failed"
      ? failed(`${name}: ${each.problem.detail}`, each.problem.fix)
      : ok(`${name}${each.version === null ? "" : ` ${each.version}`} is used`)
  }
  if (each.real === used?.real) return ok(`${each.path} is the same file`)
  return each.version === used?.version
    ? ok(`${name} is never used, and has the same version`)
    : warning(
      `${name} ${each.version ?? "(version unknown)"} is never used: ${used?.path} comes before it`,
      "Remove the one that is not wanted, or set CCFLOW_CLI_PATH."
    )
}

/** All that a command could stand for, in the order in which they are looked for. */
const candidates = (command: string, { cwd, env }: Machine): ReadonlyArray<Candidate> =>
  [...new Set(filesOf(command, cwd, env["PATH"]))].flatMap((path) => {
    const link = linkOf(path)
    if (link === undefined) return []
    const located = locate({ command: path, cwd }, undefined)
    const real = Either.getOrUndefined(Either.try(() => realpathSync(path)))
    const broken = real === undefined
      ? {
        why: `a link to ${link === "" ? "nothing" : link}, which is not there`,
        fix: `Remove ${path}, or install Claude Code there again.`
      }
      : Either.isLeft(located)
      ? { why: whyOf(located.left), fix: located.left.hint === "" ? install : located.left.hint }
      : undefined
    return [{ path, real: real ?? path, broken }]
  })

const whyOf = (error: CliNotFoundError | CliSpawnError): string =>
  error._tag === "CliNotFoundError" ? "it is not there" : `it cannot be started: ${error.reason} (${error.code})`

/** Where it leads, "" where it leads nowhere; `undefined` when there is nothing at all. */
const linkOf = (path: string): string | undefined =>
  Either.getOrUndefined(Either.try(() => lstatSync(path).isSymbolicLink() ? readlinkSync(path) : ""))
