import { transformJSONSchema } from "@anthropic-ai/sdk/lib/transform-json-schema"
import { type QueryOptions, toInitialize, toJsonSchema } from "@ccflow/core/AgentOptions"
import type { Prompt } from "@ccflow/core/Claude"
import { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as Either from "effect/Either"
import * as ModelAlias from "../ModelAlias.js"

/** The body of a request, without its model. */
export type Body = Readonly<Record<string, unknown>>

/** What to ask with, and whom: the models in their order. */
export interface Asked {
  readonly models: readonly [string, ...ReadonlyArray<string>]
  readonly body: Body
}

/** A query as the API takes it. The options are those that it can honour. */
export const toRequest = (
  prompt: Prompt,
  options: QueryOptions,
  client: { readonly model: string; readonly maxTokens: number }
): Either.Either<Asked, InvalidOptionsError> =>
  Either.map(outputConfigOf(options), (outputConfig) => {
    const thinking = thinkingOf(options)
    const system = systemOf(options)
    return {
      models: [
        ModelAlias.resolve(options.model ?? client.model),
        ...[options.fallbackModel ?? []].flat().map(ModelAlias.resolve)
      ],
      body: {
        max_tokens: options.maxTokens ?? client.maxTokens + (thinking?.budget_tokens ?? 0),
        messages: [{ role: "user", content: prompt }],
        stream: true,
        ...(system === "" ? {} : { system }),
        ...(thinking === undefined ? {} : { thinking }),
        ...(outputConfig === undefined ? {} : { output_config: outputConfig })
      }
    }
  })

/** A text that the CLI would take for a command: it means nothing to a model. */
export const commandOf = (prompt: Prompt, { disableSlashCommands }: QueryOptions): string | undefined =>
  typeof prompt === "string" && disableSlashCommands !== true
    ? /^\s*(\/[a-z][\w:-]*)(\s|$)/i.exec(prompt)?.[1]
    : undefined

/** What may not turn up in an error: every text that is sent. */
export const textsOf = (prompt: Prompt, options: QueryOptions): ReadonlyArray<string> => [
  ...(typeof prompt === "string" ? [prompt] : prompt.flatMap(({ text }) => typeof text === "string" ? [text] : [])),
  ...[options.systemPrompt ?? [], options.appendSystemPrompt ?? []].flat()
]

// ---------------------------------------------------------------------------

/** In the words in which the CLI gets it, context included. */
const systemOf = (options: QueryOptions): string => {
  const { appendSystemPrompt, context, systemPrompt } = options
  const said = toInitialize({ appendSystemPrompt, context })?.["appendSystemPrompt"]
  return [systemPrompt ?? [], typeof said === "string" ? said : []].flat().join("\n\n")
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
