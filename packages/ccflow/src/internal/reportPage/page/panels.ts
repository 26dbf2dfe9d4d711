import { outcomes, type ReportData } from "../data.js"
import { type ChartData, type ChartPanel, chartPanel, type Series } from "./charts.js"
import { costOf, type Figures, percentile, type Sum } from "./figures.js"
import { count, dollars, duration, everyDay, percent, plural } from "./format.js"

/** A chart, and what it shows of the figures. */
export interface Panel extends Pick<ChartPanel, "node" | "repaint"> {
  readonly show: (figures: Figures) => void
}

export const panels = (data: ReportData): ReadonlyArray<Panel> => {
  const name = (place: number) => (place < 0 ? "" : data.names[place]) || "unknown"
  const panel = (chart: ChartPanel, dataOf: (figures: Figures) => ChartData): Panel => ({
    node: chart.node,
    repaint: chart.repaint,
    show: (figures) => chart.show(dataOf(figures))
  })
  const dayOf = (place: number) => data.days[place] ?? ""
  const daysOf = (places: Iterable<number>) => everyDay([...places].map(dayOf).sort())
  const place = new Map(data.days.map((day, index) => [day, index]))
  const at = <A>(map: ReadonlyMap<number, A>, day: string) => map.get(place.get(day) ?? -2)
  /** The same colour for a model wherever it is shown: by what it has cost in all. */
  const order = ranked(
    new Map(
      [...new Set(data.usage.map(([, model]) => model))].map((model) => [
        model,
        { costUsd: data.usage.reduce((sum, cell) => sum + (cell[1] === model ? cell[4] : 0), 0) }
      ])
    )
  ).map(([model]) => model)
  const colourOf = (model: number) => {
    const rank = order.indexOf(model)
    return rank >= 0 && rank < colours ? `c${rank + 1}` : "other"
  }

  const cost = panel(
    chartPanel("cost-by-day", "Cost by day", { format: dollars }),
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
        columns: [{ title: "Day" }, { title: "Cost", number: true }],
        rows: sorted(byDay).map(([day, sum]) => [dayOf(day), costOf(sum)])
      }
    }
  )

  const tokens = panel(
    chartPanel("tokens-by-day", "Tokens by day", { format: compact }),
    ({ byDay, total }) => {
      const labels = daysOf(byDay.keys())
      return {
        summary: `${count(tokensOf(total))} tokens.`,
        labels,
        series: kinds.map(({ colour, key, label }) => ({
          label,
          colour,
          values: labels.map((day) => at(byDay, day)?.[key] ?? 0)
        })),
        columns: [{ title: "Day" }, ...kinds.map(({ label }) => ({ title: label, number: true }))],
        rows: sorted(byDay).map(([day, sum]) => [dayOf(day), ...kinds.map(({ key }) => count(sum[key]))])
      }
    }
  )

  const shares = (id: string, title: string, of: (figures: Figures) => ReadonlyMap<number, Sum>, none: string) => {
    const note = id === "by-tag" ? "What has several tags is in the sum of each." : undefined
    return panel(
      chartPanel(id, title, { format: dollars, lying: true, ...(note === undefined ? {} : { note }) }),
      (figures) => {
        const all = ranked(of(figures))
        const top = all.slice(0, 12)
        const label = (key: number) => key < 0 ? none : name(key)
        return {
          summary: top.slice(0, 3).map(([key, sum]) => `${label(key)}: ${costOf(sum)}`).join(", "),
          labels: top.map(([key]) => label(key)),
          series: [{ label: "Cost", colour: "accent", values: top.map(([, { costUsd }]) => costUsd) }],
          columns: [
            { title: id === "by-tag" ? "Tag" : "Model" },
            { title: "Cost", number: true },
            ...kinds.map(({ label }) => ({ title: label, number: true }))
          ],
          rows: all.map((
            [key, sum]
          ) => [label(key), costOf(sum), ...kinds.map((kind) => count(sum[kind.key]))])
        }
      }
    )
  }

  const endings = panel(chartPanel("outcomes", "How calls ended", { format: count }), ({ calls }) => {
    const labels = daysOf(calls.map(([day]) => day))
    const errors = new Map<number, number>()
    const number = new Map<string, number>()
    const raise = <Key>(map: Map<Key, number>, key: Key) => void map.set(key, (map.get(key) ?? 0) + 1)
    for (const [day, , , , outcome, error] of calls) {
      raise(number, `${dayOf(day)} ${outcome}`)
      raise(number, String(outcome))
      if (error >= 0) raise(errors, error)
    }
    const all = (outcome: number) => number.get(String(outcome)) ?? 0
    return {
      summary: outcomes.map((outcome, index) => `${outcome}: ${all(index)}`).join(", "),
      labels,
      series: outcomes.map((outcome, index) => ({
        label: outcome,
        colour: outcome,
        values: labels.map((day) => number.get(`${day} ${index}`) ?? 0)
      })),
      columns: [{ title: "Outcome" }, { title: "Calls", number: true }, { title: "Share", number: true }],
      rows: calls.length === 0 ? [] : [
        ...outcomes.map((outcome, index) => [outcome, count(all(index)), percent(all(index), calls.length)]),
        ...[...errors].sort(([, one], [, other]) => other - one)
          .map(([error, times]) => [name(error), count(times), percent(times, calls.length)])
      ]
    }
  })

  const latency = panel(
    chartPanel("latency", "How long calls took", {
      format: count,
      note: "From the call to its end, with all waits and retries."
    }),
    ({ durations, firstMessages }) => {
      const counts = buckets.map(({ from, to }) => durations.filter((ms) => ms >= from && ms < to).length)
      const [first, last] = [counts.findIndex((n) => n > 0), counts.findLastIndex((n) => n > 0)]
      const shown = buckets.slice(Math.max(0, first), last + 1)
      const quantiles = [0.5, 0.9, 0.95, 0.99]
      return {
        summary: `Median ${duration(percentile(durations, 0.5))}, 95th percentile ${
          duration(percentile(durations, 0.95))
        }.`,
        labels: shown.map(({ label }) => label),
        series: [{ label: "Calls", colour: "accent", values: counts.slice(Math.max(0, first), last + 1) }],
        columns: [{ title: "" }, { title: "Whole call", number: true }, { title: "First message", number: true }],
        rows: durations.length === 0 ? [] : quantiles.map((share) => [
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
    shares("by-model", "Cost by model", ({ byModel }) => byModel, "unknown"),
    shares("by-tag", "Cost by tag", ({ byTag }) => byTag, "without a tag"),
    endings,
    latency
  ]
}

export const tokensOf = ({ cacheRead, cacheWrite, input, output }: Sum): number =>
  input + output + cacheRead + cacheWrite

// ---------------------------------------------------------------------------

const colours = 8

const kinds = [
  { key: "input", label: "Input", colour: "c1" },
  { key: "output", label: "Output", colour: "c3" },
  { key: "cacheRead", label: "Cache read", colour: "c4" },
  { key: "cacheWrite", label: "Cache write", colour: "c2" }
] as const

const ranked = <A extends { readonly costUsd: number }>(sums: ReadonlyMap<number, A>): ReadonlyArray<[number, A]> =>
  [...sums].sort(([one, { costUsd: a }], [other, { costUsd: b }]) => b - a || one - other)

const sorted = (sums: ReadonlyMap<number, Sum>): ReadonlyArray<[number, Sum]> =>
  [...sums].sort(([one], [other]) => one - other)

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
