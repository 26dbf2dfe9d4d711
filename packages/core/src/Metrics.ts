/**
 * What is counted and measured, as metrics of Effect; any exporter sees them, and `@ccflow/node/Prometheus` tells them as
 * text. All names begin with `ccflow_`, times are in seconds, and no label can take any number of values: a model, or the
 * name of a limit, that comes after the first few is `other`.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricLabel from "effect/MetricLabel"
import * as Struct from "effect/Struct"
import { type EventOf, Events, type EventType } from "./Events.js"
import { version } from "./internal/version.js"

// --- how they are made ---

const counter = (name: string, description: string) => Metric.counter(name, { description, incremental: true })

const histogram = (name: string, description: string, boundaries: ReadonlyArray<number>) =>
  Metric.histogram(name, MetricBoundaries.fromIterable(boundaries), description)

const seconds = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800]
const waits = [0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 18000]

// --- calls ---

/** By `outcome` (`success`, `failure`, `interrupted`) and `model`. With all its attempts a query is one. */
export const queries = counter("ccflow_queries_total", "Queries that have ended")
/** By `outcome` and `model`. */
export const turns = counter("ccflow_turns_total", "Turns of sessions that have ended")
/** By `error`, which is the error's tag, and `kind` (`query`, `turn`). */
export const errors = counter("ccflow_errors_total", "Queries and turns that have failed")
/** By `kind` and `outcome`. */
export const duration = histogram("ccflow_duration_seconds", "From a call to its end, with all waits", seconds)
/** By `kind`. */
export const firstMessage = histogram(
  "ccflow_first_message_seconds",
  "From a call to its first message that is not only a notice",
  seconds
)

// --- money ---

/** By `kind` (`input`, `output`, `cache_read`, `cache_creation`) and `model`. */
export const tokens = counter("ccflow_tokens_total", "Tokens, as the ledger books them")
/** By `model`. */
export const cost = counter("ccflow_cost_usd_total", "US dollars, as the ledger books them")
/** By `scope` and `exceeded`. */
export const budgetWarnings = counter("ccflow_budget_warnings_total", "Budgets that were nearly, or wholly, spent")

// --- processes and sessions ---

export const activeProcesses = Metric.gauge("ccflow_active_processes", { description: "CLI processes that run" })
/** By `warm`: whether it was started for nobody yet. */
export const processes = counter("ccflow_processes_total", "CLI processes that were started")
/** Those that are open, whether or not a process runs for them. */
export const activeSessions = Metric.gauge("ccflow_active_sessions", { description: "Sessions that are open" })
/** By `kind`: `created` or `resumed`. */
export const sessions = counter("ccflow_sessions_total", "Sessions that were opened")
export const sessionTurns = histogram(
  "ccflow_session_turns",
  "Turns that have ended well, of each session that was closed",
  [0, 1, 2, 3, 5, 10, 20, 50, 100]
)

// --- what comes between ---

/** By `error`. */
export const retries = counter("ccflow_retries_total", "Calls that were made again")
/** By `phase`. */
export const timeouts = counter("ccflow_timeouts_total", "Deadlines that have run out")
/** By `cause`. It counts without `layer` as well. */
export const fallbacks = counter(
  "ccflow_fallbacks_total",
  "Calls that were answered by the fallback, and not by the CLI"
)
/** By `state`: `open` or `half_open`. */
export const breakers = Metric.gauge("ccflow_circuit_breakers", { description: "Circuits that are not closed" })
/** By `state`, which is the new one. */
export const breakerChanges = counter("ccflow_circuit_breaker_changes_total", "Circuits that have changed their state")
export const rateLimitWait = histogram(
  "ccflow_rate_limit_wait_seconds",
  "What calls have waited for a rate limit, of those that had to",
  waits
)
export const queueWait = histogram(
  "ccflow_queue_wait_seconds",
  "What calls have waited for a process, of those that had to",
  waits
)
/** By `limit`. */
export const parkedCalls = Metric.gauge("ccflow_parked_calls", {
  description: "Calls that wait for a window of the subscription"
})
/** By `limit`. */
export const parked = histogram(
  "ccflow_parked_seconds",
  "What calls have waited for a window of the subscription",
  waits
)
/** By `decision`. */
export const permissions = histogram(
  "ccflow_permission_wait_seconds",
  "From the question whether a tool may run to its answer",
  waits
)

// --- what was read and written ---

/** All lines that CLIs have printed. */
export const lines = counter("ccflow_parser_lines_total", "Lines that ended CLI processes have printed")
/** By `kind`: `unknown`, `noise` or `malformed`. */
export const oddLines = counter("ccflow_parser_odd_lines_total", "Those of them that were not understood")

/** By `format`: `toon` or `json`. */
export const contexts = counter("ccflow_contexts_total", "Data for the model that was encoded")
export const contextTokensSaved = counter(
  "ccflow_context_saved_tokens_total",
  "Tokens, as they are estimated, that the encoding has saved"
)
/** Of 1; below 0 where TOON would have been longer, and JSON was taken. */
export const contextSavings = histogram(
  "ccflow_context_savings_ratio",
  "What TOON saves of the tokens of compact JSON, as they are estimated",
  [-0.5, -0.25, 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8]
)

/** By `version`. Its value is 1. */
export const buildInfo = Metric.gauge("ccflow_build_info", { description: "The version of ccflow" })

/**
 * Counts what the bus tells. However often it is built over one bus, each event counts once; what it cannot count it
 * leaves out, and no call is the worse for it.
 */
export const layer: Layer.Layer<never, never, Events> = Layer.scopedDiscard(
  Effect.flatMap(Events, (events) => {
    const meter = meters.get(events) ?? new Meter()
    meters.set(events, meter)
    return Effect.zipRight(
      Effect.acquireRelease(
        Effect.sync(() => meter.begin()),
        () => Effect.sync(() => meter.end())
      ),
      events.observe(meter.see, meter.types)
    )
  })
)

// ---------------------------------------------------------------------------

type Counting = { readonly [Type in EventType]?: (event: EventOf<Type>) => void }

/** What goes on now, of one bus. What it was not told of from the beginning it does not count at the end. */
const levelOf = (gauge: Metric.Metric.Gauge<number>, label?: string) => {
  const counts = new Map<string, number>()
  const move = (by: number, value: string) => add(gauge, by, label === undefined ? {} : { [label]: value })
  return {
    add: (by: 1 | -1, value = "") => {
      const before = counts.get(value) ?? 0
      if (before + by < 0) return
      counts.set(value, before + by)
      move(by, value)
    },
    clear: () => {
      for (const [value, count] of counts) move(-count, value)
      counts.clear()
    }
  }
}

/** Counts what one bus tells, for all who want it. */
class Meter {
  private readonly processes = levelOf(activeProcesses)
  private readonly sessions = levelOf(activeSessions)
  private readonly parked = levelOf(parkedCalls, "limit")
  private readonly breakers = levelOf(breakers, "state")
  /** Those that are not closed. */
  private readonly circuits = new Map<string, { readonly state: "open" | "half_open"; readonly seenAt: number }>()
  private users = 0

  begin(): void {
    this.users++
    buildInfo.unsafeUpdate(1, [MetricLabel.make("version", version)])
  }

  /** Nobody will tell it how what goes on now ends. */
  end(): void {
    if (--this.users > 0) return
    for (const level of [this.processes, this.sessions, this.parked, this.breakers]) level.clear()
    this.circuits.clear()
  }

  readonly see = <Type extends EventType>(event: EventOf<Type>): void => this.counting[event._tag]?.(event)

  private readonly counting: Counting = {
    QueryEnded: (event) => ended("query", queries, event),
    TurnCompleted: (event) => ended("turn", turns, event),
    TokensUsed: (event) => {
      const model = modelOf(event.model)
      add(tokens, event.inputTokens, { kind: "input", model })
      add(tokens, event.outputTokens, { kind: "output", model })
      add(tokens, event.cacheReadInputTokens, { kind: "cache_read", model })
      add(tokens, event.cacheCreationInputTokens, { kind: "cache_creation", model })
    },
    CostIncurred: ({ costUsd, model }) => add(cost, costUsd, { model: modelOf(model) }),
    BudgetWarning: ({ exceeded, scope }) => add(budgetWarnings, 1, { scope, exceeded: `${exceeded}` }),
    ProcessStarted: ({ warm }) => {
      add(processes, 1, { warm: `${warm}` })
      this.processes.add(1)
    },
    ProcessEnded: (event) => {
      this.processes.add(-1)
      add(lines, event.lines)
      add(oddLines, event.unknown, { kind: "unknown" })
      add(oddLines, event.noise, { kind: "noise" })
      add(oddLines, event.malformed, { kind: "malformed" })
    },
    SessionCreated: () => this.sessionBegun("created"),
    SessionResumed: () => this.sessionBegun("resumed"),
    SessionClosed: (event) => {
      this.sessions.add(-1)
      add(sessionTurns, event.turns)
    },
    Retrying: ({ error }) => add(retries, 1, { error: error._tag }),
    TimedOut: ({ phase }) => add(timeouts, 1, { phase }),
    BreakerChanged: (event) => this.breakerChanged(event),
    RateLimited: ({ waitedMs }) => add(rateLimitWait, waitedMs / 1000),
    Queued: ({ waitedMs }) => add(queueWait, waitedMs / 1000),
    Parked: ({ limit }) => this.parked.add(1, limitOf(limit)),
    Unparked: ({ limit, waitedMs }) => {
      this.parked.add(-1, limitOf(limit))
      add(parked, waitedMs / 1000, { limit: limitOf(limit) })
    },
    PermissionDecided: ({ decision, waitedMs }) => add(permissions, waitedMs / 1000, { decision }),
    ContextEncoded: ({ format, jsonTokens, savedTokens, toonTokens }) => {
      add(contexts, 1, { format })
      add(contextTokensSaved, Math.max(0, savedTokens))
      if (jsonTokens > 0) add(contextSavings, (jsonTokens - toonTokens) / jsonTokens)
    }
  }

  /** Only these are told. */
  readonly types: ReadonlyArray<EventType> = Struct.keys(this.counting)

  private sessionBegun(kind: "created" | "resumed"): void {
    this.sessions.add(1)
    add(sessions, 1, { kind })
  }

  private breakerChanged({ at, key, state: told }: EventOf<"BreakerChanged">): void {
    const state = told === "halfOpen" ? "half_open" : told
    add(breakerChanges, 1, { state })
    // Nobody is told of a circuit that is forgotten because it was not asked for.
    for (const [other, { seenAt, state }] of this.circuits) {
      if (other !== key && at - seenAt <= forgottenAfter) continue
      this.circuits.delete(other)
      this.breakers.add(-1, state)
    }
    if (state === "closed") return
    this.circuits.set(key, { state, seenAt: at })
    this.breakers.add(1, state)
  }
}

const meters = new WeakMap<Events["Type"], Meter>()

/** Two hours: an hour after it could have been asked again. */
const forgottenAfter = 2 * 60 * 60 * 1000

const ended = (
  kind: "query" | "turn",
  all: Metric.Metric.Counter<number>,
  { durationMs, error, firstMessageMs, model, outcome }: EventOf<"QueryEnded" | "TurnCompleted">
): void => {
  add(all, 1, { outcome, model: modelOf(model) })
  if (outcome === "failure") add(errors, 1, { error: error?._tag ?? "defect", kind })
  add(duration, durationMs / 1000, { kind, outcome })
  if (firstMessageMs !== undefined) add(firstMessage, firstMessageMs / 1000, { kind })
}

/** What is no number, as a newer CLI may have for one, is not counted. */
const add = <Type, Out>(
  metric: Metric.Metric<Type, number, Out>,
  by: number,
  labels: Readonly<Record<string, string>> = {}
): void => {
  if (Number.isFinite(by)) metric.unsafeModify(by, labelled(labels))
}

/** The same array for the same labels: by it a metric finds its series at once, and not among all that there are. */
const labelled = (labels: Readonly<Record<string, string>>): ReadonlyArray<MetricLabel.MetricLabel> => {
  const entries = Object.entries(labels)
  const key = entries.join("\n")
  const known = labelings.get(key)
  if (known !== undefined) return known
  const made = entries.map(([name, value]) => MetricLabel.make(name, value))
  labelings.set(key, made)
  return made
}

const labelings = new Map<string, ReadonlyArray<MetricLabel.MetricLabel>>()

/** The first few values, and `other`. */
const bounded = (most: number, empty: string): (value: string) => string => {
  const known = new Set<string>()
  return (value) => {
    if (value === "") return empty
    if (known.has(value)) return value
    if (known.size >= most || value.length > longest) return "other"
    known.add(value)
    return value
  }
}

const longest = 100
const modelOf = bounded(30, "default")
const limitOf = bounded(10, "unnamed")
