/**
 * Whether the CLI can be used: is it there, which version is it, is it logged in and who pays. Asked with
 * `claude --version` and `claude auth status`, which call no model and cost nothing.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { merge, type QueryOptions } from "./AgentOptions.js"
import { ClaudeConfig } from "./ClaudeConfig.js"
import type { InvalidOptionsError } from "./ClaudeError.js"
import { CliProcess } from "./CliProcess.js"
import { examine, healthOf } from "./internal/cliHealth.js"
import * as Options from "./internal/policyOptions.js"
import { remembering } from "./internal/remembered.js"
import type { Payer } from "./MoneyError.js"

export interface HealthCheckOptions {
  /** How long the CLI may take over each of the two questions. Default: 10 seconds. */
  readonly timeout?: Duration.DurationInput | undefined
  /** How long a good answer is taken for the truth. Default: 30 seconds. */
  readonly timeToLive?: Duration.DurationInput | undefined
  /** How long a bad one is: whoever has mended something wants to see it. Default: 2 seconds. */
  readonly unhealthyTimeToLive?: Duration.DurationInput | undefined
}

/** Which CLI, and how it is started. What is left out is as the client's queries have it. */
export interface CheckOptions extends Pick<QueryOptions, "cliPath" | "cwd" | "env"> {
  /** Asks again, whatever is remembered. Default: false. */
  readonly force?: boolean | undefined
  /** Asks for the login, too. Default: true. */
  readonly login?: boolean | undefined
}

/** Who pays for what is asked. It holds no secret, but what it says of a person is personal. */
export interface Account {
  /**
   * `subscription` for a login with a plan, `apiKey` for a key or a program that gives one, `token` for a bearer token in
   * the environment, `cloud` for Bedrock, Vertex and the like.
   */
  readonly payer: Exclude<Payer, "nobody">
  /** Where the credentials are from, such as `ANTHROPIC_API_KEY`, `apiKeyHelper` or `claude.ai`. */
  readonly source: string | null
  /** As the CLI says it: `firstParty`, `bedrock`, `vertex` … */
  readonly provider: string
  /** The plan, such as `max`. */
  readonly plan: string | null
  readonly email: string | null
  readonly organization: string | null
}

export interface Problem {
  readonly check: "cli" | "version" | "login"
  /** A warning does not make the CLI unhealthy. */
  readonly severity: "failed" | "warning"
  readonly detail: string
  readonly fix: string
}

export interface HealthStatus {
  /** It runs, and nothing says that it would not answer. */
  readonly healthy: boolean
  /** The command or path that was asked. */
  readonly cli: string
  readonly cliFound: boolean
  readonly cliVersion: string | null
  /** `null` when it cannot be told, as for versions that have no `auth status`. */
  readonly authenticated: boolean | null
  /** `null` when it is not known, or nobody is logged in. */
  readonly account: Account | null
  /** What asking took. */
  readonly latencyMs: number
  /** UTC epoch milliseconds. */
  readonly checkedAt: number
  readonly problems: ReadonlyArray<Problem>
}

/** The service that knows how the CLI is. No check ever fails: what is wrong is in the status. */
export class HealthCheck extends Context.Tag("@ccflow/core/HealthCheck")<HealthCheck, {
  /** As remembered, or asked now. Those who ask at the same time share one answer, also with `force`. */
  readonly check: (options?: CheckOptions) => Effect.Effect<HealthStatus>
  /** Forgets what is known. What is being asked meanwhile is not remembered either. */
  readonly invalidate: Effect.Effect<void>
  /** The last answer for each CLI, however old. */
  readonly states: Effect.Effect<ReadonlyArray<HealthStatus>>
  /** Each answer that says something else than the one before it. A slow reader misses the oldest. */
  readonly changes: Stream.Stream<HealthStatus>
}>() {}

/** Of the client's CLI, and of any other that a check names. */
export const make = (
  options: HealthCheckOptions = {}
): Effect.Effect<HealthCheck["Type"], InvalidOptionsError, CliProcess | ClaudeConfig> =>
  Effect.gen(function*() {
    const { open } = yield* CliProcess
    const { defaults } = yield* ClaudeConfig
    const { timeout = "10 seconds", timeToLive = "30 seconds", unhealthyTimeToLive = "2 seconds" } = yield* check(
      options
    )
    const answers = remembering({
      ask: ({ login, options }: Question) => examine(open, options, login, Duration.toMillis(timeout)),
      keyOf,
      livesFor: ({ healthy }) => Duration.toMillis(healthy ? timeToLive : unhealthyTimeToLive),
      same: sameHealth
    })
    return {
      check: ({ cliPath, cwd, env, force = false, login = true } = {}) =>
        answers.get({ options: merge(defaults, { cliPath, cwd, env }), login }, force),
      invalidate: answers.forget,
      states: answers.all,
      changes: answers.changes
    }
  })

export const layer = (
  options: HealthCheckOptions = {}
): Layer.Layer<HealthCheck, InvalidOptionsError, CliProcess | ClaudeConfig> => Layer.effect(HealthCheck, make(options))

export const layerConfig = Options.configured(layer)

/** Always healthy, and asks nobody. */
export const layerNoop: Layer.Layer<HealthCheck> = Layer.succeed(HealthCheck, {
  check: ({ cliPath = "claude" } = {}) =>
    Effect.map(Clock.currentTimeMillis, (now) => healthOf({ cli: cliPath, cliFound: true, checkedAt: now })),
  invalidate: Effect.void,
  states: Effect.succeed([]),
  changes: Stream.empty
})

// ---------------------------------------------------------------------------

interface Question {
  readonly options: QueryOptions
  readonly login: boolean
}

const keyOf = ({ login, options: { cliPath, cwd, env } }: Question): string =>
  JSON.stringify([login, cliPath, cwd, Object.entries(env ?? {}).map(([name, value]) => [name, value ?? null])])

const sameHealth = (one: HealthStatus, other: HealthStatus): boolean =>
  JSON.stringify({ ...one, latencyMs: 0, checkedAt: 0 }) === JSON.stringify({ ...other, latencyMs: 0, checkedAt: 0 })

const check = Options.checked(
  Schema.Struct({
    timeout: Schema.optional(Options.PatienceAboveZero),
    timeToLive: Schema.optional(Options.Patience),
    unhealthyTimeToLive: Schema.optional(Options.Patience)
  }),
  ""
)
