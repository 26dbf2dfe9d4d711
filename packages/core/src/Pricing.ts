/**
 * What models cost by their list: a dated table, for estimates and to compare with. What a run has really cost is what
 * the CLI says. A model that the table does not have has no price here, and not that of a similar one.
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { InvalidOptionsError } from "./ClaudeError.js"
import { failure, say } from "./internal/errorText.js"
import { promptTokens } from "./internal/figures.js"
import { aliases, published, versionsOf } from "./internal/prices.js"

/**
 * A model's price in USD for a million tokens. A model may have several: since some day, and up to some length of the
 * prompt.
 */
export interface Price {
  /** The model's id without a date or a suffix: `claude-sonnet-5-5`. Versions of it have its price. */
  readonly model: string
  readonly input: number
  readonly output: number
  /** Default: a tenth of `input`. */
  readonly cacheRead?: number | undefined
  /** Kept for 5 minutes. Default: 1.25 times `input`. */
  readonly cacheWrite?: number | undefined
  /** Kept for an hour. Default: twice `input`. */
  readonly cacheWriteHour?: number | undefined
  /** For a thousand searches of the web. Default: 10. */
  readonly webSearch?: number | undefined
  /** Part of the tokens' price that is left in a batch of the API. Default: 0.5. Searches keep theirs. */
  readonly batch?: number | undefined
  /** The day, in UTC, since when it holds: `2026-10-07`. Default: always. */
  readonly since?: string | undefined
  /** The longest prompt of a request, in tokens and with what is cached, that it holds for. Left out, every one is. */
  readonly upTo?: number | undefined
}

export type PriceTable = ReadonlyArray<Price>

/** Tokens as the API counts them: `inputTokens` has none that are read from the cache or written to it. */
export interface PricedTokens {
  readonly inputTokens?: number | undefined
  readonly outputTokens?: number | undefined
  readonly cacheReadInputTokens?: number | undefined
  readonly cacheCreationInputTokens?: number | undefined
  /** Those of `cacheCreationInputTokens` that are kept for an hour. Default: 0. */
  readonly cacheCreationHourInputTokens?: number | undefined
  readonly webSearchRequests?: number | undefined
}

export interface CostOptions {
  /** UTC epoch milliseconds. Default: the newest price. */
  readonly at?: number | undefined
  /** They were used in a batch of the API. */
  readonly batch?: boolean | undefined
  /** The prompt's length where the tokens are those of several requests. Default: that of one request. */
  readonly promptTokens?: number | undefined
}

/** Nobody here knows what the model costs. */
export class UnknownModelError extends failure<UnknownModelError>()("UnknownModelError", {
  model: Schema.String
}, ({ hint, model }) => say(`No price is known for the model "${model}"`, hint)) {}

/** The prices that estimates and comparisons are made with. Without a layer: the published ones. */
export class Pricing extends Context.Reference<Pricing>()("@ccflow/core/Pricing", {
  defaultValue: (): PricingService => standard
}) {}

export interface PricingService {
  readonly table: PriceTable
  /** USD. None for a model that the table does not have, or not yet on that day, and for numbers that are none. */
  readonly costOf: (model: string, tokens: PricedTokens, options?: CostOptions) => Option.Option<number>
}

/** As published by 2026-11-22. */
export const table: PriceTable = published

/** A table with other prices in it: a model that they name has only these, so that a price is changed by naming it. */
export const extend = (base: PriceTable, prices: PriceTable): PriceTable => {
  const named = new Set(prices.map(({ model }) => model))
  return [...base.filter(({ model }) => !named.has(model)), ...prices]
}

export const make = (prices: PriceTable): PricingService => ({
  table: prices,
  costOf: (model, given, options = {}) => {
    const tokens = tokensOf(given)
    if (!Object.values(tokens).every(isCount)) return Option.none()
    const length = options.promptTokens ?? promptTokens(tokens)
    const price = versionsOf(prices, model, options.at).find(({ upTo = Infinity }) => length <= upTo)
    return Option.map(Option.fromNullable(price), costAt(tokens, options))
  }
})

/** The published prices, and those that are given. Fails for what is no price, or no day. */
export const layer = (prices: PriceTable = []): Layer.Layer<Pricing, InvalidOptionsError> => {
  const wrong = prices.map(wrongIn).find((one) => one !== undefined)
  return wrong === undefined
    ? Layer.succeed(Pricing, make(extend(table, prices)))
    : Layer.fail(new InvalidOptionsError({ ...wrong, hint: "Prices are in USD for a million tokens." }))
}

/** USD by the published prices. The model is one that the CLI has resolved: an alias is none. */
export const costOf = (model: string, tokens: PricedTokens, options?: CostOptions): Option.Option<number> =>
  standard.costOf(model, tokens, options)

/**
 * USD for tokens of a model or of one of the names `haiku`, `sonnet` and `opus`. What a name stands for changes with the
 * CLI: here each has one fixed price, that of January 2025 (0.80/4, 3/15 and 15/75), for rough figures only.
 *
 * @throws UnknownModelError, and InvalidOptionsError for a number of tokens that is none
 */
export const calculateCost: {
  (model: string, tokens: PricedTokens, options?: CostOptions): number
  (model: string, inputTokens: number, outputTokens: number, options?: CostOptions & PricedTokens): number
} = (
  model: string,
  tokens: PricedTokens | number,
  outputOrOptions?: number | CostOptions,
  more: CostOptions & PricedTokens = {}
): number => {
  const [used, options] = typeof tokens === "number"
    ? [{ ...more, inputTokens: tokens, outputTokens: typeof outputOrOptions === "number" ? outputOrOptions : 0 }, more]
    : [tokens, typeof outputOrOptions === "object" ? outputOrOptions : {}]
  for (const [field, count] of Object.entries(tokensOf(used))) {
    if (isCount(count)) continue
    throw new InvalidOptionsError({ field, detail: "it must be 0 or more", hint: "Give a number of tokens." })
  }
  const name = model.trim().toLowerCase()
  const cost = Option.orElse(
    withAliases.costOf(name, used, options),
    () => standard.costOf(model.trim(), used, options)
  )
  if (Option.isSome(cost)) return cost.value
  throw unknown(model)
}

// ---------------------------------------------------------------------------

type Counts = { readonly [Kind in keyof PricedTokens]-?: number }

const tokensOf = (tokens: PricedTokens): Counts => ({
  inputTokens: tokens.inputTokens ?? 0,
  outputTokens: tokens.outputTokens ?? 0,
  cacheReadInputTokens: tokens.cacheReadInputTokens ?? 0,
  cacheCreationInputTokens: tokens.cacheCreationInputTokens ?? 0,
  cacheCreationHourInputTokens: tokens.cacheCreationHourInputTokens ?? 0,
  webSearchRequests: tokens.webSearchRequests ?? 0
})

const isCount = (value: number): boolean => value >= 0 && value < Infinity

const costAt = (tokens: Counts, { batch = false }: CostOptions) => (price: Price): number => {
  const { input, output } = price
  const hour = Math.min(tokens.cacheCreationInputTokens, tokens.cacheCreationHourInputTokens)
  const millionths = tokens.inputTokens * input +
    tokens.outputTokens * output +
    tokens.cacheReadInputTokens * (price.cacheRead ?? input / 10) +
    (tokens.cacheCreationInputTokens - hour) * (price.cacheWrite ?? input * 1.25) +
    hour * (price.cacheWriteHour ?? input * 2)
  return millionths * (batch ? price.batch ?? 0.5 : 1) / 1e6 + tokens.webSearchRequests * (price.webSearch ?? 10) / 1e3
}

/** What is wrong with a price, if anything. */
const wrongIn = ({ model, since, ...numbers }: Price): { field: string; detail: string } | undefined => {
  if (model.trim() === "") return { field: "model", detail: "a price must name its model" }
  if (since !== undefined && (!/^\d{4}-\d{2}-\d{2}$/.test(since) || Number.isNaN(Date.parse(since)))) {
    return { field: `${model}.since`, detail: `"${since}" is no day such as 2026-10-07` }
  }
  const wrong = Object.entries(numbers).find(([, value]) => value !== undefined && !isCount(value))
  return wrong && { field: `${model}.${wrong[0]}`, detail: "it must be 0 or more" }
}

const unknown = (model: string): UnknownModelError => {
  const names = [...aliases.map((price) => price.model), ...new Set(published.map((price) => price.model))]
  const near = nearest(model, names)
  return new UnknownModelError({
    model: model.slice(0, 100),
    hint: `${near.length === 0 ? "" : `Did you mean ${near.join(" or ")}? `}Prices can be added: Pricing.layer.`
  })
}

/** Names that share the most beginning words, or are one or two letters off. */
const nearest = (model: string, names: ReadonlyArray<string>): ReadonlyArray<string> => {
  const asked = model.toLowerCase().split(/[^a-z0-9]+/).filter((word) => word !== "" && word !== "claude")
  const scored = names.map((name) => {
    const words = name.split("-")
    return { name, score: asked.filter((word) => words.some((other) => alike(word, other))).length }
  })
  const best = Math.max(...scored.map(({ score }) => score))
  return best === 0 ? [] : scored.filter(({ score }) => score === best).map(({ name }) => name).slice(0, 3)
}

/** The same word, or one with a letter too many, too few, other or exchanged. Numbers are never alike. */
const alike = (one: string, other: string): boolean => {
  if (one === other) return true
  if (one.length < 4 || Math.abs(one.length - other.length) > 1) return false
  let from = 0
  while (from < one.length && one[from] === other[from]) from++
  const [a, b] = [one.slice(from), other.slice(from)]
  return a.slice(1) === b || a === b.slice(1) || a.slice(1) === b.slice(1) ||
    (a[0] === b[1] && a[1] === b[0] && a.slice(2) === b.slice(2))
}

const standard: PricingService = make(published)
const withAliases: PricingService = make(aliases)
