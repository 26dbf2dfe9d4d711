import { count, dollars, plural } from "../../amounts.js"
import { outcomes, type ReportData, type Sum } from "../data.js"
import { chartPanel, type Panel, type Series } from "./charts.js"
import { costOf, everything, type Figures, figuresOf, percentile, tokensOf } from "./figures.js"
import { duration, everyDay, percent } from "./format.js"

/** A chart of each thing that can be told of the figures. */
export const panels = (data: ReportData): ReadonlyArray<Panel> => {
  const name = (place: number) => (place < 0 ? "" : data.names[place]) || "unknown"
  const dayOf = (place: number) => data.days[place] ?? ""
  const daysOf = (places: Iterable<number>) => everyDay([...places].map(dayOf).sort())
  const place = new Map(data.days.map((day, index) => [day, index]))
  const at = <A>(map: ReadonlyMap<number, A>, day: string) => map.get(place.get(day) ?? -2)
  /** The same colour for a model wherever it is shown: by what it has cost in all. */
  const order = ranked(figuresOf(data, everything).byModel).map(([model]) => model)
  const colourOf = (model: number) => {
    const rank = order.indexOf(model)
    return rank < colours ? `c${rank + 1}` : "other"
  }

  const cost = chartPanel(
    "cost-by-day",
    "Cost by day",
    { format: dollars },
    ({ byDay, byDayAndModel, byModel, total }) => {
      const labels = daysOf(byDay.keys())
      const models = ranked(byModel).map(([model]) => model)
      const named = models.filter((model) => colourOf(model) !== "other")
      const rest = models.filter((model) => colourOf(model) === "other")
      const valuesOf = (some: ReadonlyArray<number>) =>
        labels.map((day) => some.reduce((sum, model) => sum + (at(byDayAndModel, day)?.get(model)?.costUsd ?? 0), 0))
      return {
        summary: `${dollars(total.costUsd)} on ${plural(byDay.size, "day")}.`,
        labels,
        series: [
          ...named.map((model): Series => ({ label: name(model), colour: colourOf(model), values: valuesOf([model]) })),
          ...rest.length === 0 ? [] : [{ label: "other models", colour: "other", values: valuesOf(rest) }]
        ],
        columns: ["Day", "Cost"],
        rows: sorted(byDay).map(([day, sum]) => [dayOf(day), costOf(sum)])
      }
    }
  )

  const tokens = chartPanel("tokens-by-day", "Tokens by day", { format: compact }, ({ byDay, total }) => {
    const labels = daysOf(byDay.keys())
    return {
      summary: `${count(tokensOf(total))} tokens.`,
      labels,
      series: kinds.map(({ colour, key, label }) => ({
        label,
        colour,
        values: labels.map((day) => at(byDay, day)?.[key] ?? 0)
      })),
      columns: ["Day", ...kinds.map(({ label }) => label)],
      rows: sorted(byDay).map(([day, sum]) => [dayOf(day), ...kinds.map(({ key }) => count(sum[key]))])
    }
  })

  const shares = (
    id: string,
    what: string,
    none: string,
    of: (figures: Figures) => ReadonlyMap<number, Sum>,
    note?: string
  ) =>
    chartPanel(
      id,
      `Cost by ${what.toLowerCase()}`,
      { format: dollars, lying: true, ...note === undefined ? {} : { note } },
      (figures) => {
        const all = ranked(of(figures))
        const top = all.slice(0, 12)
        const label = (key: number) => key < 0 ? none : name(key)
        return {
          summary: top.slice(0, 3).map(([key, sum]) => `${label(key)}: ${costOf(sum)}`).join(", "),
          labels: top.map(([key]) => label(key)),
          series: [{ label: "Cost", colour: "accent", values: top.map(([, { costUsd }]) => costUsd) }],
          columns: [what, "Cost", ...kinds.map(({ label }) => label)],
          rows: all.map(([key, sum]) => [label(key), costOf(sum), ...kinds.map((kind) => count(sum[kind.key]))])
        }
      }
    )

  const endings = chartPanel("outcomes", "How calls ended", { format: count }, ({ calls }) => {
    const labels = daysOf(calls.map(([day]) => day))
    const byDay = countsOf(calls.map(([day, , , , outcome]) => `${dayOf(day)} ${outcome}`))
    const all = countsOf<number>(calls.map(([, , , , outcome]) => outcome))
    const errors = countsOf(calls.map(([, , , , , error]) => error).filter((error) => error >= 0))
    const row = (label: string, times = 0) => [label, count(times), percent(times, calls.length)]
    return {
      summary: outcomes.map((outcome, index) => `${outcome}: ${all.get(index) ?? 0}`).join(", "),
      labels,
      series: outcomes.map((outcome, index) => ({
        label: outcome,
        colour: outcome,
        values: labels.map((day) => byDay.get(`${day} ${index}`) ?? 0)
      })),
      columns: ["Outcome", "Calls", "Share"],
      rows: calls.length === 0 ? [] : [
        ...outcomes.map((outcome, index) => row(outcome, all.get(index))),
        ...[...errors].sort(([, one], [, other]) => other - one).map(([error, times]) => row(name(error), times))
      ]
    }
  })

  const latency = chartPanel(
    "latency",
    "How long calls took",
    { format: count, note: "From the call to its end, with all waits and retries." },
    ({ durations, firstMessages }) => {
      const counts = buckets.map(({ from, to }) => durations.filter((ms) => ms >= from && ms < to).length)
      const shown = [Math.max(0, counts.findIndex((n) => n > 0)), counts.findLastIndex((n) => n > 0) + 1] as const
      const [median, slow] = [0.5, 0.95].map((share) => duration(percentile(durations, share)))
      return {
        summary: `Median ${median}, 95th percentile ${slow}.`,
        labels: buckets.slice(...shown).map(({ label }) => label),
        series: [{ label: "Calls", colour: "accent", values: counts.slice(...shown) }],
        columns: ["", "Whole call", "First message"],
        rows: durations.length === 0 ? [] : [0.5, 0.9, 0.95, 0.99].map((share) => [
          share === 0.5 ? "Median" : `${share * 100} % within`,
          duration(percentile(durations, share)),
          duration(percentile(firstMessages, share))
        ])
      }
    }
  )

  return [
    cost,
    tokens,
    shares("by-model", "Model", "unknown", ({ byModel }) => byModel),
    shares("by-tag", "Tag", "without a tag", ({ byTag }) => byTag, "What has several tags is in the sum of each."),
    endings,
    latency
  ]
}

// ---------------------------------------------------------------------------

const colours = 8

const kinds = [
  { key: "input", label: "Input", colour: "c1" },
  { key: "output", label: "Output", colour: "c3" },
  { key: "cacheRead", label: "Cache read", colour: "c4" },
  { key: "cacheWrite", label: "Cache write", colour: "c2" }
] as const

const ranked = (sums: ReadonlyMap<number, Sum>): ReadonlyArray<[number, Sum]> =>
  [...sums].sort(([one, { costUsd: a }], [other, { costUsd: b }]) => b - a || one - other)

const sorted = (sums: ReadonlyMap<number, Sum>): ReadonlyArray<[number, Sum]> =>
  [...sums].sort(([one], [other]) => one - other)

const countsOf = <Key>(keys: ReadonlyArray<Key>): ReadonlyMap<Key, number> => {
  const counts = new Map<Key, number>()
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1)
  return counts
}

const bounds = [0, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_800, Infinity]

const inWords = (seconds: number): string => seconds < 60 ? `${seconds} s` : `${seconds / 60} min`

const buckets = bounds.slice(0, -1).map((from, index) => {
  const to = bounds[index + 1] ?? Infinity
  const label = from === 0
    ? `< ${inWords(to)}`
    : to === Infinity
    ? `≥ ${inWords(from)}`
    : `${inWords(from)}–${inWords(to)}`
  return { from: from * 1_000, to: to * 1_000, label }
})

const compact = (value: number): string =>
  value.toLocaleString("en-US", { notation: "compact", maximumFractionDigits: 1 })
