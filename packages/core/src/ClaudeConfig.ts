/**
 * Where options come from that a call does not give. Precedence: call, then client, then environment, then the CLI's own
 * defaults.
 */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { decode, merge, type QueryOptions } from "./AgentOptions.js"
import { InvalidOptionsError } from "./ClaudeError.js"

/** The options that every query starts from. */
export class ClaudeConfig extends Context.Tag("@ccflow/core/ClaudeConfig")<ClaudeConfig, {
  readonly defaults: QueryOptions
}>() {}

/** Options for all queries of a fiber and its children, between the call's and the client's. */
export class CurrentOptions extends Context.Reference<CurrentOptions>()("@ccflow/core/CurrentOptions", {
  defaultValue: (): QueryOptions => ({})
}) {}

/** What the environment says, in the variables `CCFLOW_*`. */
export const fromEnvironment: Config.Config<QueryOptions> = Config.all({
  model: Config.option(Config.nonEmptyString("CCFLOW_DEFAULT_MODEL")),
  cliPath: Config.option(Config.nonEmptyString("CCFLOW_CLI_PATH")),
  timeout: Config.option(
    Config.number("CCFLOW_DEFAULT_TIMEOUT").pipe(
      Config.validate({ message: "a number of seconds above zero is needed", validation: (seconds) => seconds > 0 }),
      Config.map(Duration.seconds)
    )
  )
}).pipe(Config.map(({ cliPath, model, timeout }) => ({
  model: Option.getOrUndefined(model),
  cliPath: Option.getOrUndefined(cliPath),
  timeout: Option.getOrUndefined(timeout)
})))

/** A client's options over those of the environment, read once, when the layer is built. */
export const layerWith = (options: QueryOptions): Layer.Layer<ClaudeConfig, InvalidOptionsError> =>
  Layer.effect(
    ClaudeConfig,
    Effect.gen(function*() {
      const environment = yield* Effect.mapError(fromEnvironment, badVariable)
      const client = yield* decode(options)
      return { defaults: merge(environment, client) }
    })
  )

/** The environment's options alone. */
export const layer: Layer.Layer<ClaudeConfig, InvalidOptionsError> = layerWith({})

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

const badVariable = (error: ConfigError.ConfigError): InvalidOptionsError => {
  const first = firstOf(error)
  return new InvalidOptionsError({
    field: first.path.join("_"),
    detail: first.message,
    hint: "Correct the variable or remove it from the environment."
  })
}

const firstOf = (error: ConfigError.ConfigError): { readonly path: ReadonlyArray<string>; readonly message: string } =>
  error._op === "And" || error._op === "Or" ? firstOf(error.left) : error
