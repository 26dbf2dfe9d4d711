/** The middle half of some measurements: a mean would follow whatever else the machine was doing. */
export interface Spread {
  readonly median: number
  readonly low: number
  readonly high: number
}

const quantile = (sorted: ReadonlyArray<number>, at: number): number => {
  const place = (sorted.length - 1) * at
  const below = Math.floor(place)
  const from = sorted[below] ?? NaN
  const to = sorted[below + 1] ?? from
  return from + (to - from) * (place - below)
}

/** The median, and p25 to p75. */
export const spread = (values: ReadonlyArray<number>): Spread => {
  const sorted = [...values].sort((left, right) => left - right)
  return { median: quantile(sorted, 0.5), low: quantile(sorted, 0.25), high: quantile(sorted, 0.75) }
}

export const median = (values: ReadonlyArray<number>): number => spread(values).median

/** Round by round, so that a slow minute of the machine counts on both sides. */
export const paired = (
  left: ReadonlyArray<number>,
  right: ReadonlyArray<number>,
  combine: (left: number, right: number) => number
): Spread => spread(left.flatMap((value, round) => right[round] === undefined ? [] : [combine(value, right[round])]))

export const ratio = (left: ReadonlyArray<number>, right: ReadonlyArray<number>): Spread =>
  paired(left, right, (value, base) => value / base)
