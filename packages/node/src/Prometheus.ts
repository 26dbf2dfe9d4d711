/** All metrics of the program as text for Prometheus: those of ccflow, Effect's own, and others made with `Metric`. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as MetricPair from "effect/MetricPair"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"

/** The content type to serve it with. */
export const contentType = "text/plain; version=0.0.4; charset=utf-8"

/** As they are now. It reads and resets nothing, so that any number of scrapers may come. */
export const render: Effect.Effect<string> = Effect.map(Metric.snapshot, (metrics) => toText(metrics))

/**
 * The text format, version 0.0.4. Names are made to fit it: a counter ends in `_total`, and what Effect times in
 * milliseconds is told in seconds. Of two metrics that would have the same name and labels, the first is told.
 */
export const toText = (metrics: Iterable<MetricPair.MetricPair.Untyped>): string => {
  const families = new Map<string, Family>()
  for (const metric of metrics) add(families, metric)
  return Array.from(families)
    .sort(([one], [other]) => one < other ? -1 : 1)
    .map(([name, family]) => textOf(name, family))
    .join("")
}

// ---------------------------------------------------------------------------

type Kind = "counter" | "gauge" | "histogram" | "summary"

interface Family {
  readonly kind: Kind
  readonly help: string
  /** Lines by their labels. */
  readonly series: Map<string, string>
}

type Labels = ReadonlyMap<string, string>

const add = (families: Map<string, Family>, { metricKey, metricState }: MetricPair.MetricPair.Untyped): void => {
  const labels = new Map(metricKey.tags.map(({ key, value }) => [labelName(key), value]))
  const millis = labels.get("time_unit") === "milliseconds"
  if (millis) labels.delete("time_unit")
  const told = toldOf(metricState, metricKey.keyType, labels, millis ? 1000 : 1)
  if (told === undefined) return
  const [kind, series] = told
  const name = familyName(metricKey.name, kind, millis)
  const family = families.get(name) ??
    { kind, help: Option.getOrElse(metricKey.description, () => ""), series: new Map<string, string>() }
  if (family.kind !== kind) return
  families.set(name, family)
  for (const [own, samples] of series) {
    const key = labelText([...own])
    if (family.series.has(key)) continue
    const lines = samples.map(([suffix, value, ...more]) =>
      `${name}${suffix}${labelText([...own, ...more])} ${numberText(value)}\n`
    )
    family.series.set(key, lines.join(""))
  }
}

/** What stands behind the family's name, the value, and a label beside those of the series. */
type Sample = readonly [suffix: string, value: number | bigint, ...label: ReadonlyArray<readonly [string, string]>]

type Told = readonly [Kind, series: ReadonlyArray<readonly [Labels, ReadonlyArray<Sample>]>]

const toldOf = (state: unknown, keyType: unknown, labels: Labels, scale: number): Told | undefined => {
  const scaled = (value: number) => scale === 1 ? value : value / scale
  const one = (kind: Kind, ...samples: ReadonlyArray<Sample>): Told => [kind, [[labels, samples]]]
  if (MetricState.isCounterState(state)) return one(isIncremental(keyType) ? "counter" : "gauge", ["", state.count])
  if (MetricState.isGaugeState(state)) return one("gauge", ["", state.value])
  if (MetricState.isFrequencyState(state)) {
    return [
      "counter",
      Array.from(state.occurrences, ([word, count]) => [new Map(labels).set("key", word), [["", count]]])
    ]
  }
  if (MetricState.isHistogramState(state)) {
    const buckets = state.buckets.filter(([le]) => Number.isFinite(le)).map((
      [le, count]
    ): Sample => ["_bucket", count, ["le", numberText(scaled(le))]])
    const last: Sample = ["_bucket", state.count, ["le", "+Inf"]]
    return one("histogram", ...buckets, last, ["_sum", scaled(state.sum)], ["_count", state.count])
  }
  if (MetricState.isSummaryState(state)) {
    const quantiles = state.quantiles.map((
      [quantile, value]
    ): Sample => ["", scaled(Option.getOrElse(value, () => Number.NaN)), ["quantile", numberText(quantile)]])
    return one("summary", ...quantiles, ["_sum", scaled(state.sum)], ["_count", state.count])
  }
  return undefined
}

/** One that may go down is no counter to Prometheus. */
const isIncremental = (keyType: unknown): boolean =>
  Predicate.hasProperty(keyType, "incremental") && keyType.incremental === true

const textOf = (name: string, { help, kind, series }: Family): string => {
  const head = help === "" ? "" : `# HELP ${name} ${escaped(help)}\n`
  return `${head}# TYPE ${name} ${kind}\n${[...series.values()].join("")}`
}

const familyName = (name: string, kind: Kind, millis: boolean): string => {
  const plain = name.replace(/[^a-zA-Z0-9_:]/g, "_").replace(/^(?![a-zA-Z_:])/, "_")
  const timed = millis && !plain.endsWith("_seconds") ? `${plain}_seconds` : plain
  return kind === "counter" && !timed.endsWith("_total") ? `${timed}_total` : timed
}

/** `le` and `quantile` are Prometheus' own, and so is what begins with two underscores. */
const labelName = (key: string): string => {
  const plain = key.replace(/[^a-zA-Z0-9_]/g, "_").replace(/^(?![a-zA-Z_])/, "_")
  return plain === "le" || plain === "quantile" || plain.startsWith("__") ? `tag_${plain}` : plain
}

const labelText = (labels: ReadonlyArray<readonly [string, string]>): string =>
  labels.length === 0
    ? ""
    : `{${labels.map(([name, value]) => `${name}="${escaped(value).replaceAll("\"", "\\\"")}"`).join(",")}}`

const escaped = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")

const numberText = (value: number | bigint): string =>
  value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : `${value}`
