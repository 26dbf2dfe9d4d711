/** A client that may ask the Messages API, on an API key, where the CLI cannot answer. */
import * as AnthropicOptions from "@ccflow/anthropic/AnthropicOptions"
import type { QueryOptions } from "@ccflow/core/AgentOptions"
import * as Claude from "@ccflow/core/Claude"
import * as ClaudeConfig from "@ccflow/core/ClaudeConfig"
import type { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { invalidOption } from "./internal/invalidOption.js"

/**
 * Each answer of the API costs money, and is the model's alone: without Claude Code's tools, files, settings and system
 * prompt. A call with options that need those is not answered by it, nor one whose `billing` is the subscription's; one
 * that is answered by it is still one call, under the client's budget. Retries, breaker and limits are its own.
 */
export interface FallbackConfig {
  /** For which failures: `cliMissing`, `breakerOpen`, `usageLimit`; or a test of the error. */
  readonly when: Claude.FallbackWhen
  /** Default: `ANTHROPIC_API_KEY`. */
  readonly apiKey?: string | undefined
  /** Default: `https://api.anthropic.com`; without an `apiKey`, `ANTHROPIC_BASE_URL` first. */
  readonly baseUrl?: string | undefined
  /** For calls that name none. Default: what the CLI takes. */
  readonly model?: string | undefined
  /** Tokens of an answer at the most, for calls that do not say. Default: 32,000. */
  readonly maxTokens?: number | undefined
  /** Told of each fallback, before it is made. */
  readonly onFallback?: ((fallback: Claude.Fallback) => void) | undefined
}

/** With the API beside it. Its client is loaded when it is needed for the first time. */
export const layer = <Out, E>(
  primary: Layer.Layer<Claude.Claude | Out, E>,
  { apiKey, onFallback, when, ...options }: FallbackConfig,
  defaults: QueryOptions
): Layer.Layer<Claude.Claude | Out, E | InvalidOptionsError> =>
  Claude.layerWithFallback(
    primary,
    Layer.scoped(
      Claude.Claude,
      Effect.gen(function*() {
        const context = yield* Effect.context<Scope.Scope>()
        const given: AnthropicOptions.AnthropicOptions = apiKey === undefined
          ? yield* fromEnvironment
          : { apiKey: Redacted.make(apiKey) }
        const checked = yield* Effect.mapError(
          // What the program says is more exact than what the environment does.
          AnthropicOptions.decode({ ...given, ...options, baseUrl: options.baseUrl ?? given.baseUrl }),
          ({ detail, field, hint }) => invalidOption(`fallback.${field}`, detail, hint)
        )
        const build = Effect.flatMap(
          Effect.promise(() => import("@ccflow/anthropic/AnthropicClaude")),
          (AnthropicClaude) => Layer.build(AnthropicClaude.layer(checked))
        )
        return lazily(
          yield* Effect.cached(
            build.pipe(
              Effect.map(Context.get(Claude.Claude)),
              Effect.provide(ClaudeConfig.layerWith(defaults)),
              // It is the client's, whoever asks first.
              Effect.mapInputContext((_: Context.Context<never>) => context)
            )
          )
        )
      })
    ),
    when,
    onFallback === undefined ? {} : { onFallback: (fallback) => Effect.sync(() => onFallback(fallback)) }
  )

// ---------------------------------------------------------------------------

const fromEnvironment = Effect.mapError(
  AnthropicOptions.fromEnvironment,
  () => invalidOption("fallback.apiKey", "it is missing", "Give it, set ANTHROPIC_API_KEY, or do without the fallback.")
)

const lazily = (loaded: Effect.Effect<Claude.Claude["Type"], InvalidOptionsError>): Claude.Claude["Type"] => ({
  query: (prompt, options) =>
    Claude.fromPull(Effect.flatMap(loaded, (claude) => Claude.toPull(claude.query(prompt, options)))),
  session: (options) => Effect.flatMap(loaded, (claude) => claude.session(options))
})
