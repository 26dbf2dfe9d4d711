/**
 * What can be wrong on this machine before a first call is made: checks as values, to run, to show, to leave out. None
 * calls a model, none costs anything and none fails: what is wrong is what it finds.
 */
import type { QueryOptions } from "@ccflow/core/AgentOptions"
import * as ClaudeConfig from "@ccflow/core/ClaudeConfig"
import type { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import { type CliProcess } from "@ccflow/core/CliProcess"
import * as HealthCheck from "@ccflow/core/HealthCheck"
import * as Policies from "@ccflow/core/Policies"
import type { UsageWindow } from "@ccflow/core/UsageLimit"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type CheckResult, failed, type Finding, ok, skipped, together, warning } from "./internal/checkResult.js"
import { candidatesFinding, liveServers, loginFinding, versionFinding } from "./internal/cliFindings.js"
import { configFinding, isBroken, readConfig } from "./internal/configFiles.js"
import {
  accountFinding,
  drops,
  nestingFinding,
  nodeOptionsFinding,
  rootFinding,
  variablesOf
} from "./internal/environment.js"
import { configFolder, type Machine, processesOn, thisMachine } from "./internal/machine.js"
import { mcpFinding } from "./internal/mcpServers.js"
import { type Folder, limitsFinding, nodeFinding, spaceFinding } from "./internal/resources.js"
import * as NodeCliProcess from "./NodeCliProcess.js"

export * from "./internal/checkResult.js"
export type { Machine } from "./internal/machine.js"
export type { Folder } from "./internal/resources.js"

export interface DoctorOptions extends Pick<QueryOptions, "cliPath" | "cwd" | "env"> {
  /** Starts the MCP servers that are configured, to see whether they answer. Default: false. */
  readonly live?: boolean | undefined
  /** Folders beside the CLI's own in which there must be room. Default: none. */
  readonly folders?: ReadonlyArray<Folder> | undefined
  /** How many CLIs may run at once, to be told. Default: as a client's default is. */
  readonly maxConcurrent?: number | undefined
  /** What is known of the subscription's windows. Default: nothing. */
  readonly windows?: Effect.Effect<ReadonlyArray<Window>> | undefined
  /** What of the machine is otherwise than it says itself: for tests, and for those who ask for another. */
  readonly machine?: Partial<Machine> | undefined
}

/** What is told of a window. */
export type Window = Pick<UsageWindow, "limit" | "status" | "resetsAt" | "utilization">

/** One thing to look at. */
export interface Check<R = never> {
  readonly name: string
  readonly run: Effect.Effect<CheckResult, never, R>
}

/** What those that ask the CLI need. */
export type Services = HealthCheck.HealthCheck | CliProcess

/** A check of one's own: within 30 seconds, and not broken by what breaks in it. */
export const check = <R>(name: string, find: Effect.Effect<Finding, unknown, R>): Check<R> => ({
  name,
  run: find.pipe(
    Effect.timeoutTo({
      duration: "30 seconds",
      onSuccess: (finding): Finding => finding,
      onTimeout: (): Finding => warning("it took too long to look", "Try again when the machine is less busy.")
    }),
    Effect.catchAllCause((cause) =>
      Cause.isInterruptedOnly(cause) ? Effect.interrupt : Effect.succeed(
        warning(`it could not be looked at: ${Cause.pretty(cause).split("\n")[0]}`, "Look at it by hand.")
      )
    ),
    Effect.map((finding) => ({ name, ...finding }))
  )
})

/**
 * All of them. The configuration is read here, before any CLI runs: some replace a file of theirs that they cannot read.
 */
export const checks = (options: DoctorOptions = {}): Effect.Effect<ReadonlyArray<Check<Services>>> =>
  Effect.sync(() => {
    const host = { ...thisMachine(), ...options.machine }
    const machine: Machine = { ...host, env: { ...host.env, ...options.env }, cwd: options.cwd ?? host.cwd }
    const cliPath = options.cliPath ?? (machine.env["CCFLOW_CLI_PATH"]?.trim() || "claude")
    const target = { cliPath, cwd: machine.cwd, env: changesTo(machine) }
    const files = readConfig(machine)
    const broken = files.find((file) => file.kind === "global" && isBroken(file))
    const login = broken === undefined
    const health = Effect.flatMap(HealthCheck.HealthCheck, ({ check }) => check({ ...target, login }))
    const unasked = skipped(`not asked: ${broken?.path} cannot be read, and the CLI may replace it`)
    const looked = <R>(name: string, find: () => Finding | Promise<Finding>): Check<R> =>
      check(name, Effect.promise(async () => find()))

    return [
      check("cli", candidatesFinding(machine, target)),
      check("version", Effect.map(health, versionFinding)),
      check("login", login ? Effect.map(health, loginFinding) : Effect.succeed(unasked)),
      check("account", Effect.map(health, (status) => accountFinding(status, variablesOf(machine, files), files))),
      check("variables", variables),
      looked("root", () => rootFinding(machine, files)),
      looked("nested session", () => nestingFinding(machine)),
      looked("node options", () => nodeOptionsFinding(machine)),
      looked("config files", () => configFinding(files)),
      check(
        "mcp servers",
        options.live === true && login
          ? Effect.map(liveServers(target), (live) => together([mcpFinding(machine, files), live], live))
          : Effect.sync(() => mcpFinding(machine, files))
      ),
      looked("disk space", () =>
        spaceFinding([
          { name: "configuration", path: configFolder(machine) },
          { name: "temporary files", path: machine.temporary },
          ...(options.folders ?? [])
        ])),
      looked("limits", () => limitsFinding(machine, options.maxConcurrent ?? usualConcurrency(machine))),
      looked("node", () => nodeFinding(machine)),
      check("usage limits", Effect.flatMap(options.windows ?? Effect.succeed([]), windowsFinding))
    ]
  })

/** What they find, in their order. */
export const run = <R>(all: ReadonlyArray<Check<R>>): Effect.Effect<ReadonlyArray<CheckResult>, never, R> =>
  Effect.forEach(all, ({ run }) => run, { concurrency: "unbounded" })

/** Of this Node. A CLI that does not answer within 5 seconds is not waited for. */
export const layer: Layer.Layer<Services> = Layer.provideMerge(
  Layer.orDie(HealthCheck.layer({ timeout: "5 seconds" })),
  Layer.merge(NodeCliProcess.layer, Layer.succeed(ClaudeConfig.ClaudeConfig, { defaults: {} }))
)

// ---------------------------------------------------------------------------

/** From this process's environment to that of the machine, as it is told. */
const changesTo = ({ env }: Machine): Readonly<Record<string, string | undefined>> => ({
  ...Object.fromEntries(Object.keys(thisMachine().env).map((name) => [name, undefined])),
  ...Object.fromEntries(Object.entries(env).filter(([name]) => !drops.has(name)))
})

const usualConcurrency = ({ cores, env, memory }: Machine): number =>
  Number(env["CCFLOW_MAX_CONCURRENT"]) || processesOn({ cores, memoryBytes: memory.total })

/** Those that ccflow itself reads. */
const variables: Effect.Effect<Finding> = Effect.map(
  Effect.forEach(
    [ClaudeConfig.layer, Policies.layer],
    (layer: Layer.Layer<never, InvalidOptionsError>) =>
      Effect.match(Effect.provide(Effect.void, layer), {
        onSuccess: () => [],
        onFailure: ({ detail, field, hint }) => [failed(`${field}: ${detail}`, hint)]
      })
  ),
  (problems) => together(problems.flat(), ok("those of ccflow can be read"))
)

const windowsFinding = (windows: ReadonlyArray<Window>): Effect.Effect<Finding> =>
  Effect.map(Clock.currentTimeMillis, (now) =>
    together(
      windows.map(({ limit, resetsAt, status, utilization }) => {
        const used = utilization === null ? "" : ` (${Math.round(utilization * 100)} % used)`
        if (status !== "rejected" || (resetsAt !== null && resetsAt <= now)) return ok(`${limit}: open${used}`)
        const until = resetsAt === null ? "" : ` until ${new Date(resetsAt).toISOString()}`
        return warning(`${limit} is used up${until}`, "Wait for it, or let somebody else pay: ANTHROPIC_API_KEY.")
      }),
      skipped("nothing is known of them")
    ))
