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
import * as AgentOptions from "@ccflow/core/AgentOptions"
import * as Claude from "@ccflow/core/Claude"
import { ClaudeConfig, CurrentOptions } from "@ccflow/core/ClaudeConfig"
import { CliExitError, InvalidOptionsError } from "@ccflow/core/ClaudeError"
import { Deadline } from "@ccflow/core/Deadline"
import * as Hooks from "@ccflow/core/Hooks"
import * as Permissions from "@ccflow/core/Permissions"
import * as Policies from "@ccflow/core/Policies"
import type { Wait } from "@ccflow/core/Policy"
import { Pricing } from "@ccflow/core/Pricing"
import * as Tools from "@ccflow/core/Tools"
import * as UsageLedger from "@ccflow/core/UsageLedger"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Hash from "effect/Hash"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { type AnthropicOptions, decode, fromEnvironment } from "./AnthropicOptions.js"
import * as Exchange from "./internal/exchange.js"
import { refusal } from "./internal/failures.js"
import { apiKeySource } from "./internal/reply.js"
import { commandOf, textsOf, toRequest } from "./internal/request.js"
import { unsupported } from "./OptionSupport.js"

export type { AnthropicOptions } from "./AnthropicOptions.js"

/** What it is made of: the options that all queries start from, and the policies. */
export type Requirements = ClaudeConfig | Policies.Policies

export const make = (
  options: AnthropicOptions
): Effect.Effect<Claude.Claude["Type"], InvalidOptionsError, Requirements> =>
  Effect.gen(function*() {
    const { apiKey, baseUrl, fetch, maxTokens, model } = yield* decode(options)
    const { defaults: configured } = yield* ClaudeConfig
    const deadline = yield* Deadline
    const policies = yield* Policies.make
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
      // Nor has it a say in what is traced.
      openTelemetry: { traces: false, propagation: false },
      ...(fetch === undefined ? {} : { fetch })
    })
    const target = { cli: baseUrl, account: `#${(Hash.string(key) >>> 0).toString(16)}` }

    const query: Claude.Claude["Type"]["query"] = (
      prompt,
      { hooks, interruptWhen, permissions, priority: _, toolSets, ...given } = {}
    ) =>
      Claude.fromPull(Effect.gen(function*() {
        if (prompt.length === 0 || (typeof prompt === "string" && prompt.trim() === "")) {
          return yield* new InvalidOptionsError({
            field: "prompt",
            detail: "it must be text or blocks, and not empty",
            hint: "Ask something."
          })
        }
        const options = yield* AgentOptions.decode(AgentOptions.merge(configured, yield* CurrentOptions, given))
        const command = commandOf(prompt, options)
        const refused = [
          ...unsupported(options),
          ...(permissions === undefined && (yield* Permissions.Permissions) === undefined ? [] : ["permissions"]),
          ...((hooks ?? []).length === 0 && (yield* Hooks.Hooks).length === 0 ? [] : ["hooks"]),
          ...((toolSets ?? []).length === 0 && (yield* Tools.Tools).length === 0 ? [] : ["toolSets"]),
          ...(command === undefined ? [] : [`the command ${command}`])
        ]
        if (refused.length > 0) return yield* refusal(refused)
        const asked = yield* toRequest(prompt, options, { maxTokens, model })
        const secrets = [key, ...textsOf(prompt, options)]
        const wait = interruptWhen === undefined ? identity : waitUnless(interruptWhen)
        const purpose = yield* UsageLedger.purposeOf(options.tags)
        const id = crypto.randomUUID()
        const book: Exchange.Parts["book"] = (sessionId, { costUsd, messageId, model, usage }, at, basis) =>
          booking([{
            entryId: `${sessionId}/${messageId}`,
            at,
            basis,
            model,
            usage,
            costUsd,
            listUsd: costUsd,
            sessionId,
            callId: id,
            turnId: undefined,
            ...purpose,
            apiKeySource
          }])
        const call = { id, prompt, options, target: { ...target, model: asked.models[0] }, wait }
        const run = Exchange.open({ client, deadline, asked, options, interruptWhen, secrets, pricing, book })
        return yield* Claude.toPull(policies.around(call)(Claude.fromPull(run)))
      }))

    return { query, session: () => Effect.fail(refusal(["a session: it answers one query at a time"])) }
  })

/** With the policies that it is given. */
export const layerWith = (
  options: AnthropicOptions
): Layer.Layer<Claude.Claude, InvalidOptionsError, Requirements> => Layer.effect(Claude.Claude, make(options))

/** With the default policies, its own: a breaker or a limit of the CLI's is not shared. */
export const layer = (options: AnthropicOptions): Layer.Layer<Claude.Claude, InvalidOptionsError, ClaudeConfig> =>
  Layer.provide(layerWith(options), Policies.layer)

/** `layer` of what a configuration says; without one, of the environment. */
export const layerConfig = (
  config: Config.Config.Wrap<AnthropicOptions> = fromEnvironment
): Layer.Layer<Claude.Claude, InvalidOptionsError | ConfigError.ConfigError, ClaudeConfig> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap(config), layer))

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

/** While a policy lets the call wait nothing has been sent: an interrupt then gives it up. */
const waitUnless = (interrupted: Effect.Effect<unknown>): Wait => (effect) =>
  Effect.raceFirst(
    effect,
    Effect.zipRight(
      interrupted,
      Effect.fail(
        new CliExitError({
          reason: "Interrupted",
          detail: "the call was given up before it had begun",
          facts: { exitCode: null, signal: null, argv: [], stderrTail: "", sessionId: "", frames: 0 },
          hint: "Nothing was sent."
        })
      )
    )
  )
