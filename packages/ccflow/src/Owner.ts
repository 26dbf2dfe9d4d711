/**
 * What the calls of one client have in common: the runtime of its services, and what of it is open.
 */
import type * as AgentOptions from "@ccflow/core/AgentOptions"
import type * as Claude from "@ccflow/core/Claude"
import type { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as Events from "@ccflow/core/Events"
import * as Logs from "@ccflow/core/Logs"
import * as Metrics from "@ccflow/core/Metrics"
import type * as Policies from "@ccflow/core/Policies"
import type * as UsageLedger from "@ccflow/core/UsageLedger"
import * as NodeClaude from "@ccflow/node/NodeClaude"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { abortError } from "./AbortError.js"
import * as Decisions from "./Decisions.js"
import * as Fallback from "./Fallback.js"
import { EventFlow } from "./internal/eventFlow.js"
import * as EventStore from "./internal/eventStore.js"
import * as Exporting from "./internal/exporting.js"
import { clock, keepingAlive } from "./internal/keepAlive.js"
import * as Kept from "./internal/kept.js"
import * as Records from "./internal/records.js"
import * as UsageStore from "./internal/usageStore.js"

/** Options for all calls of a client, over those of the environment. */
export interface ClientConfig extends AgentOptions.QueryOptions, Decisions.DecisionOptions, Policies.PolicyOptions {
  /**
   * CLIs that are kept started with the client's options, so that a first message need not wait for a start. Each is used
   * once, by a call without options of its own. One was seen to hold 160 MB. Default: none.
   */
  readonly warm?: number | undefined
  /**
   * A file, made where it is not there, in which sessions and their turns are kept: what was said outlives the program,
   * and `client.sessions` finds it. What was used is booked in it, for `client.usage()` of whoever shares it; limits of
   * the subscription that are used up are known in it as well. Needs the package `better-sqlite3`. Default:
   * `CCFLOW_SESSION_STORAGE_PATH`; without either nothing is kept.
   */
  readonly storagePath?: string | undefined
  /** Asks the Messages API where the CLI cannot answer, for money. Default: never. */
  readonly fallback?: Fallback.FallbackConfig | undefined
  /**
   * Sends traces, metrics and log lines to an OpenTelemetry collector, as the standard variables `OTEL_*` say. What is left
   * when the client is closed has 3 seconds. Default: no.
   */
  readonly telemetry?: boolean | undefined
}

/** What is closed with its client. */
export interface Closable {
  readonly close: () => Promise<unknown>
}

/** What effects find here. */
export type Services = Claude.Claude | Records.Records | Events.Events | UsageLedger.UsageLedger

/**
 * How effects are run here: by the client's runtime. While they run they keep Node alive. They have ended when listeners
 * have been told what they did.
 */
export type Run = <A, E>(
  effect: Effect.Effect<A, E, Services>,
  options?: { readonly signal?: AbortSignal }
) => Promise<Exit.Exit<A, E | InvalidOptionsError>>

export interface Owner {
  readonly run: Run
  /** At once, where the services are there already. */
  readonly now: <A>(effect: Effect.Effect<A, never, Services>) => A | undefined
  readonly open: Set<Closable>
  /** From the client's events to those who listen. */
  readonly events: EventFlow
  /** What all calls start from, as far as it is known here. */
  readonly config: ClientConfig
  readonly close: () => Promise<void>
}

/** Of any `Claude`. The environment says nothing here. */
export const make = (
  layer: Layer.Layer<Claude.Claude, InvalidOptionsError>,
  config: ClientConfig = {},
  storagePath: Config.Config<string> = Config.succeed(""),
  logs: Layer.Layer<never, InvalidOptionsError> = Logs.layer()
): Owner => {
  const kept = Kept.layer(config.storagePath === undefined ? storagePath : Config.succeed(config.storagePath))
  const runtime = ManagedRuntime.make(
    Layer.merge(Layer.provideMerge(Records.layer, layer), Decisions.layer(config)).pipe(
      Layer.provideMerge(EventStore.layer),
      Layer.provideMerge(config.telemetry === true ? Metrics.layer : Layer.empty),
      Layer.provideMerge(Layer.provideMerge(Logs.layerEvents, Layer.merge(Events.layer, UsageStore.ledger))),
      Layer.provide(UsageStore.layer),
      Layer.provide(kept),
      Layer.provideMerge(config.telemetry === true ? Exporting.otlp : Layer.empty),
      Layer.provideMerge(Layer.provideMerge(logs, Layer.setClock(clock)))
    )
  )
  const open = new Set<Closable>()
  let closing: Promise<void> | undefined
  let closed = false
  /** The services are there, or cannot be had. Calls wait for it in their order. */
  let built: Promise<Exit.Exit<void, unknown>> | undefined
  let ready = false

  const close = async () => {
    await Promise.all([...open].map((each) => each.close()))
    closed = true
    await keepingAlive(runtime.dispose())
  }

  const run: Run = (effect, options) =>
    closed
      ? Promise.resolve(Exit.die(abortError("the client is closed")))
      : keepingAlive(
        (built ??= runtime.runPromiseExit(Effect.void)).then((exit) => {
          ready = Exit.isSuccess(exit)
          return runtime.runPromiseExit(effect, options)
        }).then((exit) => events.caughtUp()?.then(() => exit) ?? exit)
      )

  const events = new EventFlow(() => run(Events.Events))

  return {
    config,
    open,
    events,
    run,
    now: (effect) => ready && !closed ? runtime.runSync(effect) : undefined,
    close: () => closing ??= close()
  }
}

/** Of the user's own `claude`. */
export const node = (config: ClientConfig = {}): Owner => {
  const { fallback, hooks, permissions, storagePath, telemetry, toolSets, ...options } = config
  const primary = NodeClaude.layerWith({ ...options, unref: true })
  const layer = fallback === undefined ? primary : Fallback.layer(primary, fallback, queryOptionsOf(options))
  return make(layer, config, Records.pathConfig, logs)
}

/** That of the top-level functions. The environment is read at the first call. */
export const shared = (): Owner => sharedOwner ??= node()

/** What a run gave, or what it failed with, thrown. */
export const valueOf = async <A, E>(running: Promise<Exit.Exit<A, E>>): Promise<A> => {
  const exit = await running
  if (Exit.isSuccess(exit)) return exit.value
  throw Cause.isInterruptedOnly(exit.cause) ? abortError() : Cause.squash(exit.cause)
}

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

/** The program's standard output is its own. */
const logs = Layer.suspend(() => Logs.layerConfig({ secrets: Logs.secretsOf(process.env) }))

/** Without what is asked of the policies and of the processes. */
const queryOptionsOf = (
  { budget, circuitBreaker, maxConcurrent, rateLimit, retry, usageLimit, warm, ...options }:
    & AgentOptions.QueryOptions
    & Policies.PolicyOptions
    & Pick<ClientConfig, "warm">
): AgentOptions.QueryOptions => options

let sharedOwner: Owner | undefined
