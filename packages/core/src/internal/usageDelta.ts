import * as Records from "effect/Record"
import type * as CliFrame from "../CliFrame.js"
import type { ModelUsage, Result, Usage } from "../Message.js"
import { promptTokens } from "./figures.js"

/** What one result adds to what was there before it. */
export type Share = Pick<Result, "turnUsage" | "costUsd" | "unpriced">

/**
 * The cumulative figures of one process. They go on over its turns, and start again at zero when the conversation is
 * cleared. What a process takes over from an earlier one is known only where the CLI has a difference of its own.
 */
export class UsageDelta {
  /** As the CLI has counted it so far, in USD. */
  total = 0
  private models: Readonly<Record<string, ModelUsage>> = {}
  private cleared = false

  /** The conversation was cleared: 2.1.330 then starts at zero, 2.1.197 goes on. */
  clear(): void {
    this.cleared = true
  }

  take(frame: CliFrame.Result): Share {
    const { model_usage_since_last_result: since, modelUsage, total_cost_usd: told, usage } = frame
    const totalBefore = this.total
    const modelsBefore = this.models
    const { cleared } = this
    this.cleared = false
    this.total = told ?? totalBefore
    if (modelUsage != null) this.models = modelUsageOf(modelUsage)
    if (since != null) return shareOf(since, modelUsageOf(since))
    if (modelUsage != null && Object.keys(modelUsage).length > 0) {
      const grown = added(modelsBefore, this.models)
      const anew = cleared && promptsOf(Object.values(grown)) < promptsOf([usageOf(usage)])
      return shareOf(modelUsage, anew ? this.models : grown)
    }
    // Nobody has told by model: it was nothing, or it is not known which one it was.
    const tokens = usageOf(usage)
    const counted = hasFigures(usage)
    const costUsd = told == null ? undefined : told < totalBefore ? told : told - totalBefore
    if (counted && (costUsd ?? 0) === 0 && isNothing(tokens)) return { turnUsage: {}, costUsd: 0, unpriced: undefined }
    return {
      turnUsage: counted
        ? { "": { ...tokens, costUsd: costUsd ?? 0, webSearchRequests: 0, contextWindow: undefined } }
        : undefined,
      costUsd: costUsd ?? 0,
      unpriced: costUsd === undefined || (costUsd === 0 && !counted) ? [""] : undefined
    }
  }
}

export const usageOf = (usage: CliFrame.Usage | null | undefined): Usage => ({
  inputTokens: usage?.input_tokens ?? 0,
  outputTokens: usage?.output_tokens ?? 0,
  cacheReadInputTokens: usage?.cache_read_input_tokens ?? 0,
  cacheCreationInputTokens: usage?.cache_creation_input_tokens ?? 0
})

export const modelUsageOf = (models: CliFrame.Result["modelUsage"]): Record<string, ModelUsage> =>
  Records.map(models ?? {}, (usage) => ({
    inputTokens: usage.inputTokens ?? 0,
    outputTokens: usage.outputTokens ?? 0,
    cacheReadInputTokens: usage.cacheReadInputTokens ?? 0,
    cacheCreationInputTokens: usage.cacheCreationInputTokens ?? 0,
    costUsd: usage.costUSD ?? 0,
    webSearchRequests: usage.webSearchRequests ?? 0,
    contextWindow: usage.contextWindow ?? undefined,
    ...partsOf(usage.cacheCreationEphemeral1hInputTokens ?? 0, usage.thinkingTokens ?? 0)
  }))

export const isNothing = (usage: Usage & Partial<Pick<ModelUsage, "costUsd" | "webSearchRequests">>): boolean =>
  figures.every((figure) => (usage[figure] ?? 0) === 0)

/** Tokens of all prompts. */
export const promptsOf = (all: ReadonlyArray<Usage>): number => all.reduce((sum, usage) => sum + promptTokens(usage), 0)

/** What a model was used for beyond what it was before. */
export const minus = (now: ModelUsage, before: ModelUsage): ModelUsage => {
  const { cacheCreationHourInputTokens: hour = 0, thinkingTokens: thinking = 0, ...rest } = { ...now }
  for (const figure of figures) rest[figure] -= before[figure]
  const { cacheCreationHourInputTokens = 0, thinkingTokens = 0 } = before
  return { ...rest, ...partsOf(hour - cacheCreationHourInputTokens, thinking - thinkingTokens) }
}

// ---------------------------------------------------------------------------

const figures = [
  "inputTokens",
  "outputTokens",
  "cacheReadInputTokens",
  "cacheCreationInputTokens",
  "webSearchRequests",
  "costUsd"
] as const

/** What is told only where there is any. */
const partsOf = (hour: number, thinking: number) => ({
  ...(hour > 0 ? { cacheCreationHourInputTokens: hour } : {}),
  ...(thinking > 0 ? { thinkingTokens: thinking } : {})
})

/** Cumulative figures never fall: where one does, or a model is gone, they have started again. */
const added = (
  before: Readonly<Record<string, ModelUsage>>,
  now: Readonly<Record<string, ModelUsage>>
): Readonly<Record<string, ModelUsage>> => {
  const goOn = Object.entries(before).every(([model, usage]) => {
    const later = now[model]
    return later !== undefined && atLeast(later, usage)
  })
  if (!goOn) return now
  return Records.map(now, (usage, model) => {
    const earlier = before[model]
    return earlier === undefined ? usage : minus(usage, earlier)
  })
}

const atLeast = (one: ModelUsage, other: ModelUsage): boolean => figures.every((figure) => one[figure] >= other[figure])

/** A cost that the CLI had to guess, or did not name, is not known. */
const shareOf = (
  told: NonNullable<CliFrame.Result["modelUsage"]>,
  used: Readonly<Record<string, ModelUsage>>
): Share => {
  const models: Record<string, ModelUsage> = {}
  const unpriced: Array<string> = []
  let costUsd = 0
  for (const [model, usage] of Object.entries(used)) {
    if (isNothing(usage)) continue
    const { costBasis, costUSD } = told[model] ?? {}
    const known = costUSD != null && costBasis !== "unknown"
    models[model] = known ? usage : { ...usage, costUsd: 0 }
    if (known) costUsd += usage.costUsd
    else unpriced.push(model)
  }
  return { turnUsage: models, costUsd, unpriced: unpriced.length === 0 ? undefined : unpriced }
}

/** `usage: {}` says nothing, and not that nothing was used. */
const hasFigures = (usage: CliFrame.Usage | null | undefined): boolean =>
  typeof usage?.input_tokens === "number" || typeof usage?.output_tokens === "number"
