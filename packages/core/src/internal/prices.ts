import type { Price, PriceTable } from "../Pricing.js"

const price = (model: string, input: number, output: number, more: Omit<Price, "model" | "input" | "output"> = {}) => ({
  model,
  input,
  output,
  ...more
})

/**
 * What the Messages API lists by 2026-11-22, without surcharges for a region or for speed. Models that are gone are here
 * for what was used when they were not.
 */
export const published: PriceTable = [
  price("claude-fable-5-1", 10, 50, { cacheRead: 0.25 }),
  price("claude-mythos-5-1", 10, 50, { cacheRead: 0.25 }),
  price("claude-fable-5", 10, 50),
  price("claude-mythos-5", 10, 50),
  price("claude-opus-5-5", 4, 20, { cacheRead: 0.2 }),
  price("claude-opus-5", 5, 25),
  price("claude-opus-4-8", 5, 25),
  price("claude-opus-4-7", 5, 25),
  price("claude-opus-4-6", 5, 25),
  price("claude-opus-4-5", 5, 25),
  price("claude-opus-4-1", 15, 75),
  price("claude-opus-4", 15, 75),
  price("claude-3-opus", 15, 75),
  price("claude-sonnet-5-5", 2, 10),
  price("claude-sonnet-5-5", 2, 10, { cacheRead: 0.1, since: "2026-10-07" }),
  price("claude-sonnet-5", 2, 10),
  price("claude-sonnet-4-6", 3, 15),
  price("claude-sonnet-4-5", 3, 15, { upTo: 200_000 }),
  price("claude-sonnet-4-5", 6, 22.5),
  price("claude-sonnet-4", 3, 15, { upTo: 200_000 }),
  price("claude-sonnet-4", 6, 22.5),
  price("claude-3-7-sonnet", 3, 15),
  price("claude-3-5-sonnet", 3, 15),
  price("claude-haiku-5-5", 0.1, 0.5, { upTo: 100_000 }),
  price("claude-haiku-5-5", 0.5, 2.5),
  price("claude-haiku-4-5", 1, 5),
  price("claude-3-5-haiku", 0.8, 4)
]

/** As of January 2025, and fixed: for rough figures before there is a model. */
export const aliases: PriceTable = [price("haiku", 0.8, 4), price("sonnet", 3, 15), price("opus", 15, 75)]

/** The model itself, a dated version of it, or one with a suffix: `claude-sonnet-5-5` is no `claude-sonnet-5`. */
export const ofModel = (id: string, model: string): boolean =>
  id === model || (id.startsWith(model) && /^(-\d{8}|-latest)?(\[\w+\])?$/.test(id.slice(model.length)))

/** The prices of a model on a day, those for short prompts first. */
export const versionsOf = (prices: PriceTable, model: string, at: number | undefined): PriceTable => {
  const until = at ?? Infinity
  const ours = prices.filter((one) => ofModel(model, one.model) && begins(one) <= until)
  const newest = ours.reduce((latest, one) => Math.max(latest, begins(one)), -Infinity)
  return ours.filter((one) => begins(one) === newest).sort((one, other) =>
    (one.upTo ?? Infinity) - (other.upTo ?? Infinity)
  )
}

// ---------------------------------------------------------------------------

const begins = ({ since }: Price): number => since === undefined ? -Infinity : Date.parse(`${since}T00:00:00Z`)
