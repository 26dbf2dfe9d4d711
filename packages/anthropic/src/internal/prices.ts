import type { Usage } from "@ccflow/core/Message"

/** Tokens as they are charged. */
export interface Charged extends Usage {
  /** Those of `cacheCreationInputTokens` that were written for an hour, and not for 5 minutes. */
  readonly cacheHourInputTokens: number
  readonly webSearchRequests: number
}

/** USD; `undefined` where the model's price is not known. */
export const costOf = (model: string, usage: Charged): number | undefined => {
  const tokens = usage.inputTokens + usage.cacheReadInputTokens + usage.cacheCreationInputTokens
  const price = prices.find(([name]) => isOf(model, name))?.[1].find(({ upTo }) => tokens <= (upTo ?? Infinity))
  if (price === undefined) return undefined
  const written = usage.cacheCreationInputTokens - usage.cacheHourInputTokens
  return (
        usage.inputTokens * price.input +
        usage.outputTokens * price.output +
        usage.cacheReadInputTokens * price.read +
        written * price.input * 1.25 +
        usage.cacheHourInputTokens * price.input * 2
      ) / 1_000_000 + usage.webSearchRequests * 0.01
}

// ---------------------------------------------------------------------------

/** USD for a million tokens. What is written to the cache costs 1.25 times the input for 5 minutes, twice for an hour. */
interface Price {
  readonly input: number
  readonly output: number
  readonly read: number
  /** Tokens of the whole prompt that this holds for. */
  readonly upTo?: number
}

const price = (input: number, output: number, read: number, upTo?: number): Price =>
  upTo === undefined ? { input, output, read } : { input, output, read, upTo }

/** As published on 2026-10-24. */
const prices: ReadonlyArray<readonly [model: string, prices: ReadonlyArray<Price>]> = [
  ["claude-fable-5-1", [price(10, 50, 0.25)]],
  ["claude-mythos-5-1", [price(10, 50, 0.25)]],
  ["claude-fable-5", [price(10, 50, 1)]],
  ["claude-mythos-5", [price(10, 50, 1)]],
  ["claude-opus-5-5", [price(4, 20, 0.2)]],
  ["claude-opus-5", [price(5, 25, 0.5)]],
  ["claude-opus-4-8", [price(5, 25, 0.5)]],
  ["claude-opus-4-7", [price(5, 25, 0.5)]],
  ["claude-opus-4-6", [price(5, 25, 0.5)]],
  ["claude-opus-4-5", [price(5, 25, 0.5)]],
  ["claude-sonnet-5-5", [price(2, 10, 0.1)]],
  ["claude-sonnet-5", [price(2, 10, 0.2)]],
  ["claude-sonnet-4-6", [price(3, 15, 0.3)]],
  ["claude-sonnet-4-5", [price(3, 15, 0.3)]],
  ["claude-haiku-5-5", [price(0.1, 0.5, 0.01, 100_000), price(0.5, 2.5, 0.05)]],
  ["claude-haiku-4-5", [price(1, 5, 0.1)]]
]

/** The model itself, or a dated version of it: `claude-sonnet-5-5` is no `claude-sonnet-5`. */
const isOf = (model: string, name: string): boolean =>
  model === name || (model.startsWith(`${name}-`) && /^\d{8}$/.test(model.slice(name.length + 1)))
