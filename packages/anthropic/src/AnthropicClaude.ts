/**
 * The `Claude` service over the Messages API: what answers when no CLI can. It is the model without Claude Code. There
 * are no tools, no files, no settings and no system prompt but the caller's, and each answer is charged to an API key; so
 * options that need more than that are refused before anything is sent, and it is used only by programs that ask for it.
 *
 * The client below it is Anthropic's own, `@anthropic-ai/sdk`: it hands out the events of a stream as they came, so that a
 * new field, stop reason or kind of event does no harm, and an error with its status, body and headers, which a wait
 * depends on. `@effect/ai-anthropic` 0.27 decodes each event against a closed list of what there was when it was made, and
 * an answer that ends for a newer reason fails there. Of the client's own policies none is used: retries, limits and
 * deadlines are those of `Policies`.
 */
import { Anthropic } from "@anthropic-ai/sdk"
import { Claude } from "@ccflow/core/Claude"
import * as ClaudeBackend from "@ccflow/core/ClaudeBackend"
import type { ClaudeConfig } from "@ccflow/core/ClaudeConfig"
import type { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import { Deadline } from "@ccflow/core/Deadline"
import * as Policies from "@ccflow/core/Policies"
import { Pricing } from "@ccflow/core/Pricing"
import * as UsageLedger from "@ccflow/core/UsageLedger"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Hash from "effect/Hash"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { type AnthropicOptions, decode, fromEnvironment } from "./AnthropicOptions.js"
import * as Exchange from "./internal/exchange.js"
import { refusal } from "./internal/failures.js"
import { refusedOf, toRequest } from "./internal/request.js"

export type { AnthropicOptions } from "./AnthropicOptions.js"

export const make = (
  options: AnthropicOptions
): Effect.Effect<Claude["Type"], InvalidOptionsError, ClaudeBackend.Requirements> =>
  Effect.gen(function*() {
    const { apiKey, baseUrl, fetch, maxTokens, model } = yield* decode(options)
    const deadline = yield* Deadline
    const pricing = yield* Pricing
    const booking = yield* UsageLedger.booking
    const key = Redacted.value(apiKey)
    const client = new Anthropic({
      apiKey: key,
      authToken: null,
      baseURL: baseUrl,
      maxRetries: 0,
      // It has no say: deadlines are ours.
      timeout: 2 ** 31 - 1,
      // It would write what it cannot read to the console.
      logLevel: "off",
      // Nor has it a say in what is traced, and the API is told of no trace.
      openTelemetry: { traces: false, propagation: false },
      ...(fetch === undefined ? {} : { fetch })
    })
    const { hostname, origin, pathname } = new URL(baseUrl)
    // Without what a proxy may be logged in to with.
    const target = { cli: `${origin}${pathname}`, account: `#${(Hash.string(key) >>> 0).toString(16)}` }

    const query = yield* ClaudeBackend.queries((question) =>
      Effect.gen(function*() {
        const refused = refusedOf(question)
        if (refused !== undefined) return yield* refused
        const request = yield* toRequest(question, { maxTokens, model })
        return {
          target: { ...target, model: request.models[0] },
          server: hostname,
          open: Exchange.open({ client, key, deadline, pricing, booking, question, request })
        }
      })
    )

    return { query, session: () => Effect.fail(refusal(["a session: it answers one query at a time"])) }
  })

/** With the policies that it is given. */
export const layerWith = (
  options: AnthropicOptions
): Layer.Layer<Claude, InvalidOptionsError, ClaudeBackend.Requirements> => Layer.effect(Claude, make(options))

/** With the default policies, its own: a breaker or a limit of the CLI's is not shared. */
export const layer = (options: AnthropicOptions): Layer.Layer<Claude, InvalidOptionsError, ClaudeConfig> =>
  Layer.provide(layerWith(options), Policies.layer)

/** `layer` of what a configuration says; without one, of the environment. */
export const layerConfig = (
  config: Config.Config.Wrap<AnthropicOptions> = fromEnvironment
): Layer.Layer<Claude, InvalidOptionsError | ConfigError.ConfigError, ClaudeConfig> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap(config), layer))
