import * as Events from "@ccflow/core/Events"
import * as Metrics from "@ccflow/core/Metrics"
import * as Prometheus from "@ccflow/node/Prometheus"
import { assert, describe, it } from "@effect/vitest"
import { Array, Duration, Effect, FastCheck as fc, Layer, Metric, MetricBoundaries } from "effect"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"

/** Of the metrics made here, and no others. */
const textOf = (prefix: string) =>
  Effect.map(
    Metric.snapshot,
    (all) => Prometheus.toText(all.filter(({ metricKey }) => metricKey.name.startsWith(prefix)))
  )

interface Sample {
  readonly name: string
  readonly labels: ReadonlyMap<string, string>
  readonly value: number
}

/** A reader of the text format by its grammar, which takes nothing else. */
const parse = (text: string) => {
  assert.isTrue(text === "" || text.endsWith("\n"))
  const kinds = new Map<string, string>()
  const helps = new Map<string, string>()
  const samples = new globalThis.Array<Sample>()
  const series = new Set<string>()
  let family = ""
  for (const line of text.split("\n").slice(0, -1)) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*)(?: (.*))?$/s.exec(line)
    if (comment !== null) {
      const [, what, name = "", rest = ""] = comment
      const known = what === "HELP" ? helps : kinds
      assert.isFalse(known.has(name), `${what} twice: ${name}`)
      assert.isFalse(samples.some((sample) => familyOf(sample.name, kinds) === name), `${what} after samples: ${name}`)
      if (what === "TYPE") assert.include(["counter", "gauge", "histogram", "summary"], rest)
      known.set(name, rest.replaceAll(/\\([\\n])/g, (_, c: string) => c === "n" ? "\n" : "\\"))
      family = name
      continue
    }
    const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/s.exec(line)
    assert.isNotNull(sample, `no sample: ${line}`)
    const [, name = "", inBraces = "", value = ""] = sample
    const labels = new Map<string, string>()
    let rest = inBraces
    while (rest !== "") {
      const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/.exec(rest)
      assert.isNotNull(label, `no label: ${rest}`)
      const [whole, key = "", text = ""] = label
      assert.isFalse(labels.has(key), `label twice: ${key}`)
      labels.set(key, text.replaceAll(/\\(["\\n])/g, (_, c: string) => c === "n" ? "\n" : c))
      rest = rest.slice(whole.length)
    }
    assert.match(value, /^(?:[+-]Inf|NaN|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/)
    assert.strictEqual(familyOf(name, kinds), family, `outside of its family: ${line}`)
    const id = JSON.stringify([name, [...labels].sort()])
    assert.isFalse(series.has(id), `twice: ${line}`)
    series.add(id)
    samples.push({ name, labels, value: value === "+Inf" ? Infinity : value === "-Inf" ? -Infinity : Number(value) })
  }
  checkHistograms(kinds, samples)
  return { kinds, helps, samples }
}

const familyOf = (name: string, kinds: ReadonlyMap<string, string>): string => {
  const base = /^(.*)_(?:bucket|sum|count)$/.exec(name)?.[1]
  return base !== undefined && ["histogram", "summary"].includes(kinds.get(base) ?? "") ? base : name
}

/** Buckets rise with their bound, and the last is the count. */
const checkHistograms = (kinds: ReadonlyMap<string, string>, samples: ReadonlyArray<Sample>) => {
  for (const [name, kind] of kinds) {
    if (kind !== "histogram") continue
    const rows = Array.groupBy(
      samples.filter((sample) => sample.name === `${name}_bucket`),
      ({ labels }) => JSON.stringify([...labels].filter(([key]) => key !== "le"))
    )
    for (const [labels, buckets] of Object.entries(rows)) {
      const bounds = buckets.map(({ labels }) => labels.get("le") === "+Inf" ? Infinity : Number(labels.get("le")))
      assert.deepStrictEqual(bounds, bounds.toSorted((one, other) => one - other))
      assert.strictEqual(bounds.at(-1), Infinity)
      const values = buckets.map(({ value }) => value)
      assert.deepStrictEqual(values, values.toSorted((one, other) => one - other))
      const count = samples.find((sample) =>
        sample.name === `${name}_count` && JSON.stringify([...sample.labels]) === labels
      )
      assert.strictEqual(count?.value, values.at(-1))
      assert.isTrue(
        samples.some((sample) => sample.name === `${name}_sum` && JSON.stringify([...sample.labels]) === labels)
      )
    }
  }
}

/** Something of everything that ccflow counts. */
const busy = Effect.gen(function*() {
  const { tell } = yield* Events.Events
  const usage = { inputTokens: 1, outputTokens: 2, cacheReadInputTokens: 3, cacheCreationInputTokens: 4 }
  tell({ _tag: "QueryEnded", callId: "c", outcome: "success", model: "opus", durationMs: 1500, firstMessageMs: 90 })
  tell({ _tag: "TurnCompleted", callId: "c", turnNumber: 1, outcome: "failure", model: "", durationMs: 1 })
  tell({ _tag: "TokensUsed", model: "opus", ...usage, totalTokens: 10, estimated: false })
  tell({ _tag: "CostIncurred", model: "opus", costUsd: 0.1, estimated: false })
  tell({ _tag: "BudgetWarning", scope: "day", spentUsd: 8, limitUsd: 10, exceeded: true })
  tell({ _tag: "ProcessStarted", processId: "p", warm: false })
  tell({ _tag: "ProcessEnded", processId: "p", lines: 9, unknown: 1, noise: 2, malformed: 3 })
  tell({ _tag: "SessionCreated", model: "", tags: [] })
  tell({ _tag: "SessionClosed", turns: 4, inputTokens: 1, outputTokens: 1, costUsd: 1, durationMs: 1 })
  tell({ _tag: "TimedOut", phase: "stall", timeoutMs: 10 })
  tell({ _tag: "BreakerChanged", key: "k", state: "open", until: 10 })
  tell({ _tag: "RateLimited", waitedMs: 2000 })
  tell({ _tag: "Queued", waitedMs: 2000 })
  tell({ _tag: "Parked", limit: "five_hour" })
  tell({ _tag: "Unparked", limit: "five_hour", waitedMs: 2000 })
  tell({ _tag: "PermissionDecided", tool: "Bash", toolUseId: "t", decision: "allow", waitedMs: 2000 })
  tell({ _tag: "ContextEncoded", format: "toon", jsonTokens: 10, toonTokens: 6, savedTokens: 4 })
  yield* Metric.update(Metric.tagged(Metrics.fallbacks, "cause", "cliMissing"), 1)
  yield* Metric.update(Metric.tagged(Metrics.retries, "error", "OverloadedError"), 1)
  return yield* textOf("ccflow_")
}).pipe(Effect.provide(Layer.provideMerge(Metrics.layer, Events.layer)))

const promtool = (() => {
  try {
    execFileSync("promtool", ["--version"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})()

describe("the text for Prometheus", () => {
  it.effect("has every metric of ccflow, with help and type, each in base units and named as Prometheus has it", () =>
    Effect.gen(function*() {
      const { helps, kinds } = parse(yield* busy)
      const source = readFileSync(new URL("../../core/src/Metrics.ts", import.meta.url), "utf8")
      const names = source.match(/(?<=")ccflow_\w+(?=")/g) ?? []
      assert.isAtLeast(names.length, 25)
      for (const name of names) {
        assert.isTrue(kinds.has(name), name)
        assert.isNotEmpty(helps.get(name), name)
        assert.strictEqual(name.endsWith("_total"), kinds.get(name) === "counter", name)
        assert.notMatch(name, /_(ms|millis|milliseconds)\b/)
      }
    }))

  it.effect.skipIf(!promtool)(
    "passes Prometheus' own check (promtool, which is skipped where it is not installed)",
    () =>
      Effect.map(busy, (text) => {
        assert.strictEqual(execFileSync("promtool", ["check", "metrics"], { input: text, encoding: "utf8" }), "")
      })
  )

  it.effect("escapes what would break a line, and gives it back as it was", () =>
    Effect.gen(function*() {
      const nasty = "a\\b\"c\nd\\n}{,=é"
      const metric = Metric.gauge("pt_escape", { description: "back\\slash\nnew line \"quoted\"" })
      yield* Metric.set(Metric.tagged(metric, "path", nasty), 1)
      const { helps, samples } = parse(yield* textOf("pt_escape"))
      assert.strictEqual(helps.get("pt_escape"), "back\\slash\nnew line \"quoted\"")
      assert.deepStrictEqual(samples.map(({ labels }) => labels.get("path")), [nasty])
    }))

  it.effect("tells each kind of metric by what Prometheus has for it", () =>
    Effect.gen(function*() {
      yield* Metric.incrementBy(Metric.counter("pt_kinds_done", { incremental: true }), 3)
      yield* Metric.incrementBy(Metric.counter("pt_kinds_both_ways"), -2)
      yield* Metric.incrementBy(Metric.counter("pt_kinds_big_total", { bigint: true, incremental: true }), 2n ** 60n)
      yield* Metric.set(Metric.gauge("pt_kinds_level"), -0.5)
      yield* Metric.update(Metric.frequency("pt_kinds_words"), "yes")
      const boundaries = MetricBoundaries.fromIterable([1, 10])
      const histogram = Metric.histogram("pt_kinds_sizes", boundaries)
      for (const size of [0.5, 1, 5, 100]) yield* Metric.update(histogram, size)
      yield* Metric.update(Metric.timer("pt_kinds_took"), Duration.millis(1500))
      yield* Metric.update(
        Metric.summary({ name: "pt_kinds_summary", maxAge: "1 day", maxSize: 10, error: 0, quantiles: [0.5] }),
        7
      )
      const text = yield* textOf("pt_kinds")
      const { kinds, samples } = parse(text)
      assert.deepStrictEqual(Object.fromEntries(kinds), {
        pt_kinds_big_total: "counter",
        pt_kinds_both_ways: "gauge",
        pt_kinds_done_total: "counter",
        pt_kinds_level: "gauge",
        pt_kinds_sizes: "histogram",
        pt_kinds_summary: "summary",
        pt_kinds_took_seconds: "histogram",
        pt_kinds_words_total: "counter"
      })
      const told = (name: string) =>
        samples.filter((sample) => sample.name === name).map(({ labels, value }) => [...labels.values(), value])
      assert.deepStrictEqual(told("pt_kinds_done_total"), [[3]])
      assert.deepStrictEqual(told("pt_kinds_both_ways"), [[-2]])
      assert.deepStrictEqual(told("pt_kinds_big_total"), [[2 ** 60]])
      assert.deepStrictEqual(told("pt_kinds_words_total"), [["yes", 1]])
      assert.deepStrictEqual(told("pt_kinds_sizes_bucket"), [["1", 2], ["10", 3], ["+Inf", 4]])
      assert.deepStrictEqual(told("pt_kinds_sizes_sum"), [[106.5]])
      assert.deepStrictEqual(told("pt_kinds_took_seconds_sum"), [[1.5]])
      assert.deepStrictEqual(told("pt_kinds_summary_sum"), [[7]])
    }))

  it.effect("tells the first of two metrics that would have one name", () =>
    Effect.gen(function*() {
      yield* Metric.set(Metric.gauge("pt_same.name", { description: "one" }), 1)
      yield* Metric.set(Metric.gauge("pt_same_name", { description: "two" }), 2)
      yield* Metric.set(Metric.tagged(Metric.gauge("pt_same_name", { description: "two" }), "a", "b"), 3)
      yield* Metric.update(Metric.histogram("pt_same-name", MetricBoundaries.fromIterable([1])), 4)
      const { samples } = parse(yield* textOf("pt_same"))
      assert.deepStrictEqual(samples.map(({ labels, value }) => [labels.size, value]), [[0, 1], [1, 3]])
    }))

  it.effect("keeps to the grammar, whatever metrics, labels and values are called and are", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.record({
              kind: fc.constantFrom("counter", "gauge", "histogram", "frequency"),
              name: fc.string({ unit: "binary", maxLength: 8 }),
              help: fc.string({ unit: "binary" }),
              labels: fc.array(
                fc.tuple(
                  fc.oneof(fc.constantFrom("le", "quantile", "__name__", "key"), fc.string()),
                  fc.string({ unit: "binary" })
                ),
                {
                  maxLength: 4
                }
              ),
              value: fc.double()
            }),
            { maxLength: 8 }
          ),
          (given) => {
            const prefix = `pg${runs++}`
            return Effect.runPromise(Effect.gen(function*() {
              for (const { help, kind, labels, name, value } of given) {
                const full = `${prefix}${name}`
                const tag = <Type, In, Out>(metric: Metric.Metric<Type, In, Out>) =>
                  labels.reduce((all, [key, text]) => Metric.tagged(all, key, text), metric)
                if (kind === "counter") {
                  yield* Metric.update(tag(Metric.counter(full, { description: help, incremental: true })), value)
                } else if (kind === "gauge") yield* Metric.set(tag(Metric.gauge(full, { description: help })), value)
                else if (kind === "frequency") yield* Metric.update(tag(Metric.frequency(full)), help)
                else if (!Number.isNaN(value)) {
                  yield* Metric.update(
                    tag(Metric.histogram(full, MetricBoundaries.fromIterable([-1, 0, 0.5]), help)),
                    value
                  )
                }
              }
              parse(yield* textOf(prefix))
            }))
          }
        ),
        { numRuns: 300 }
      )
    ))

  it.effect("of all that there is can be read", () =>
    Effect.gen(function*() {
      yield* busy
      const { kinds } = parse(yield* Prometheus.render)
      assert.isTrue(kinds.has("ccflow_queries_total"))
      assert.include(Prometheus.contentType, "version=0.0.4")
    }))
})

let runs = 0
