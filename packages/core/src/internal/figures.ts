import * as Schema from "effect/Schema"

/** Tokens as the API counts them. */
export const Usage = Schema.Struct({
  inputTokens: Schema.Number,
  outputTokens: Schema.Number,
  cacheReadInputTokens: Schema.Number,
  cacheCreationInputTokens: Schema.Number
})
export type Usage = typeof Usage.Type

export const noUsage: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadInputTokens: 0,
  cacheCreationInputTokens: 0
}

export const addUsage = (one: Usage, other: Usage): Usage => ({
  inputTokens: one.inputTokens + other.inputTokens,
  outputTokens: one.outputTokens + other.outputTokens,
  cacheReadInputTokens: one.cacheReadInputTokens + other.cacheReadInputTokens,
  cacheCreationInputTokens: one.cacheCreationInputTokens + other.cacheCreationInputTokens
})

/** Of the prompt, however they came to the model. */
export const promptTokens = ({ cacheCreationInputTokens, cacheReadInputTokens, inputTokens }: Usage): number =>
  inputTokens + cacheReadInputTokens + cacheCreationInputTokens

/** One model's share of a result, cumulative over the process (and, from CLI 2.1.330 on, over `--resume`). */
export const ModelUsage = Schema.Struct({
  ...Usage.fields,
  costUsd: Schema.Number,
  webSearchRequests: Schema.Number,
  contextWindow: Schema.UndefinedOr(Schema.Number),
  /** Those of `cacheCreationInputTokens` that are kept for an hour. Absent where there are none, or nobody says. */
  cacheCreationHourInputTokens: Schema.optional(Schema.Number),
  /** Those of `outputTokens` that the model has thought with. Absent where there are none, or nobody says. */
  thinkingTokens: Schema.optional(Schema.Number)
})
export type ModelUsage = typeof ModelUsage.Type

/** What the encoding of data for the model has come to. Tokens are estimates, the same way for both encodings. */
export const ContextSavings = Schema.Struct({
  /** What the model got. */
  format: Schema.Literal("toon", "json"),
  /** As compact JSON. */
  jsonTokens: Schema.Number,
  /** As TOON; that of JSON where TOON was not tried, or cannot hold the data. */
  toonTokens: Schema.Number,
  /** What TOON saves against JSON. Below 0 it would have been longer, and was not sent. */
  savedTokens: Schema.Number
})
export type ContextSavings = typeof ContextSavings.Type
