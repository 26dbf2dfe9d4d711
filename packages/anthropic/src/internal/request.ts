import { transformJSONSchema } from "@anthropic-ai/sdk/lib/transform-json-schema"
import { type QueryOptions, toInitialize, toJsonSchema } from "@ccflow/core/AgentOptions"
import type { Question } from "@ccflow/core/ClaudeBackend"
import { type ApiClientError, BillingMismatchError, InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as Either from "effect/Either"
import * as ModelAlias from "../ModelAlias.js"
import { unsupported } from "../OptionSupport.js"
import { refusal } from "./failures.js"

/** Who pays, as the CLI would say it. */
export const apiKeySource = "ANTHROPIC_API_KEY"

/** The body of a request, without its model. */
type Body = Readonly<Record<string, unknown>>

/** What to ask with, and whom: the models in their order. */
export interface Request {
  readonly models: readonly [string, ...ReadonlyArray<string>]
  readonly body: Body
  /** What may not turn up in an error: every text that is sent. */
  readonly texts: ReadonlyArray<string>
}

/** Why it cannot be asked, if it cannot. */
export const refusedOf = (
  { deciders: { hooks, permissions, toolSets }, options, prompt }: Question
): ApiClientError | BillingMismatchError | undefined => {
  if (options.billing === "subscription") {
    return new BillingMismatchError({
      expected: "subscription",
      found: "apiKey",
      apiKeySource,
      hint: "The API is paid for with a key: leave billing out where it may be asked."
    })
  }
  const command = commandOf(prompt, options)
  const refused = [
    ...unsupported(options),
    ...(permissions === undefined ? [] : ["permissions"]),
    ...(hooks.length === 0 ? [] : ["hooks"]),
    ...(toolSets.length === 0 ? [] : ["toolSets"]),
    ...(command === undefined ? [] : [`the command ${command}`])
  ]
  return refused.length === 0 ? undefined : refusal(refused)
}

/** A question as the API takes it. The options are those that it can honour. */
export const toRequest = (
  { context, options, prompt }: Question,
  client: { readonly model: string; readonly maxTokens: number }
): Either.Either<Request, InvalidOptionsError> =>
  Either.map(outputConfigOf(options), (outputConfig) => {
    const thinking = thinkingOf(options)
    const system = systemOf(options, context)
    return {
      models: [
        ModelAlias.resolve(options.model ?? client.model),
        ...[options.fallbackModel ?? []].flat().map(ModelAlias.resolve)
      ],
      body: {
        max_tokens: options.maxTokens ?? client.maxTokens + (thinking?.budget_tokens ?? 0),
        messages: [{ role: "user", content: prompt }],
        stream: true,
        ...(system.length === 0 ? {} : { system: system.join("\n\n") }),
        ...(thinking === undefined ? {} : { thinking }),
        ...(outputConfig === undefined ? {} : { output_config: outputConfig })
      },
      texts: [
        ...(typeof prompt === "string"
          ? [prompt]
          : prompt.flatMap(({ text }) => typeof text === "string" ? [text] : [])),
        ...system,
        ...(context === undefined ? [] : [context.text])
      ]
    }
  })

// ---------------------------------------------------------------------------

/** A text that the CLI would take for a command: it means nothing to a model. */
const commandOf = (prompt: Question["prompt"], { disableSlashCommands }: QueryOptions): string | undefined =>
  typeof prompt === "string" && disableSlashCommands !== true
    ? /^\s*(\/[a-z][\w:-]*)(\s|$)/i.exec(prompt)?.[1]
    : undefined

/** In the words in which the CLI gets it, the data fenced as it is there. */
const systemOf = ({ appendSystemPrompt, systemPrompt }: QueryOptions, context: Question["context"]) => {
  const appended = toInitialize({ appendSystemPrompt }, context)?.["appendSystemPrompt"]
  return [systemPrompt, appended].filter((text) => typeof text === "string")
}

interface Thinking {
  readonly type: "adaptive" | "disabled" | "enabled"
  readonly budget_tokens?: number
  readonly display?: string
}

const thinkingOf = ({ thinking, thinkingDisplay }: QueryOptions): Thinking | undefined => {
  const display = thinkingDisplay === undefined ? {} : { display: thinkingDisplay }
  if (thinking === "disabled") return { type: "disabled" }
  if (typeof thinking === "object") return { type: "enabled", budget_tokens: thinking.budgetTokens, ...display }
  return thinking === undefined && thinkingDisplay === undefined ? undefined : { type: "adaptive", ...display }
}

/**
 * The API holds the model to the schema itself. A tool that it is made to use would not do: newer models refuse that. What
 * the API cannot check, such as a smallest number, is told to the model and checked when the answer is decoded.
 */
const outputConfigOf = (
  { effort, outputSchema }: QueryOptions
): Either.Either<Body | undefined, InvalidOptionsError> => {
  const effortOf = effort === undefined ? undefined : { effort }
  if (outputSchema === undefined) return Either.right(effortOf)
  return Either.try({
    try: () => ({
      ...effortOf,
      format: { type: "json_schema", schema: transformJSONSchema(toJsonSchema(outputSchema)) }
    }),
    catch: () =>
      new InvalidOptionsError({
        field: "outputSchema",
        detail: "the API cannot hold a model to it",
        hint: "Every part of the JSON Schema needs a type."
      })
  })
}
