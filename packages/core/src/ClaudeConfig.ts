/** Options that a call does not give: the client's, else the environment's, else the CLI's own defaults. */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { decode, merge, type QueryOptions } from "./AgentOptions.js"
import type { InvalidOptionsError } from "./ClaudeError.js"
import { badVariable } from "./internal/variable.js"

/** The options that every query starts from. */
export class ClaudeConfig extends Context.Tag("@ccflow/core/ClaudeConfig")<ClaudeConfig, {
  readonly defaults: QueryOptions
}>() {}

/** Options for all queries of a fiber and its children, between the call's and the client's. */
export class CurrentOptions extends Context.Reference<CurrentOptions>()("@ccflow/core/CurrentOptions", {
  defaultValue: (): QueryOptions => ({})
}) {}

const variables = {
  model: "CCFLOW_DEFAULT_MODEL",
  cliPath: "CCFLOW_CLI_PATH",
  timeout: "CCFLOW_DEFAULT_TIMEOUT"
} as const

const seconds: Config.Config<Duration.Duration> = Config.primitive("a number of seconds above 0", (text) => {
  if (text === "") return Either.left(ConfigError.MissingData([], "it is empty"))
  return Number(text) > 0
    ? Either.right(Duration.seconds(Number(text)))
    : Either.left(ConfigError.InvalidData([], "it must be a number of seconds above 0"))
})

/** What the environment says, in the variables `CCFLOW_*`. An empty variable says nothing. */
export const fromEnvironment: Config.Config<QueryOptions> = Config.all({
  model: Config.withDefault(Config.nonEmptyString(variables.model), undefined),
  cliPath: Config.withDefault(Config.nonEmptyString(variables.cliPath), undefined),
  timeout: Config.withDefault(Config.nested(seconds, variables.timeout), undefined)
})

/** A client's options over those of the environment, read once, when the layer is built. */
export const layerWith = (options: QueryOptions): Layer.Layer<ClaudeConfig, InvalidOptionsError> =>
  Layer.effect(
    ClaudeConfig,
    Effect.gen(function*() {
      const given = yield* Effect.mapError(fromEnvironment, unreadable)
      const environment = yield* Effect.mapError(decode(given), ({ detail, field }) =>
        badVariable(variableOf(field), detail))
      const client = yield* decode(options)
      return { defaults: merge(environment, client) }
    })
  )

/** The environment's options alone. */
export const layer: Layer.Layer<ClaudeConfig, InvalidOptionsError> = layerWith({})

// ---------------------------------------------------------------------------

const variableOf = (option: string): string => new Map<string, string>(Object.entries(variables)).get(option) ?? option

const unreadable = (error: ConfigError.ConfigError): InvalidOptionsError =>
  error._op === "And" || error._op === "Or" ? unreadable(error.left) : badVariable(error.path.join("_"), error.message)
