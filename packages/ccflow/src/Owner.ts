/** What the calls of one client have in common: the runtime of its services, and what of it is open. */
import * as AgentOptions from "@ccflow/core/AgentOptions"
import type * as Claude from "@ccflow/core/Claude"
import type { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import type { EncoderOptions } from "@ccflow/core/ContextEncoder"
import * as Events from "@ccflow/core/Events"
import * as Logs from "@ccflow/core/Logs"
import * as Metrics from "@ccflow/core/Metrics"
import type * as Policies from "@ccflow/core/Policies"
import type { SessionManagerOptions } from "@ccflow/core/SessionManager"
import type * as UsageLedger from "@ccflow/core/UsageLedger"
import * as NodeClaude from "@ccflow/node/NodeClaude"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Struct from "effect/Struct"
import * as Decisions from "./Decisions.js"
import * as Fallback from "./Fallback.js"
import { abortError } from "./internal/abort.js"
import { EventFlow } from "./internal/eventFlow.js"
import * as EventStore from "./internal/eventStore.js"
import * as Exporting from "./internal/exporting.js"
import { checked } from "./internal/given.js"
import { invalidOption } from "./internal/invalidOption.js"
import { clock, keepingAlive } from "./internal/keepAlive.js"
import * as Kept from "./internal/kept.js"
import * as Records from "./internal/records.js"
import * as Settings from "./internal/settings.js"
import * as UsageStore from "./internal/usageStore.js"
import type { SessionStore } from "./SessionStore.js"

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
  /** In place of a `storagePath`: what else is kept is in its file, if it is one. It is not closed with the client. */
  readonly store?: SessionStore | undefined
  /** Of the sessions that are kept: how many may live at a time, and when `sessions.sweep()` marks and deletes them. */
  readonly sessions?: SessionManagerOptions | undefined
  /** How `context` is written: `{ format: "json" }` turns TOON off. Default: TOON where it has fewer tokens. */
  readonly contextEncoder?: EncoderOptions | undefined
  /** What is told on stderr. Default: `CCFLOW_LOG_LEVEL`, else `warning`. */
  readonly logLevel?: Logs.Level | undefined
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

/** By the client's runtime, which keeps Node alive meanwhile. Over when listeners have been told what was done. */
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

/** Of any `Claude`. What the environment says where the config does not counts only where it is wanted. */
export const make = (
  layer: Layer.Layer<Claude.Claude, InvalidOptionsError>,
  config: ClientConfig = {},
  environment: "read" | "ignored" = "ignored"
): Owner => {
  const kept = keptBy(checked(config, "config"), environment === "read" ? Records.pathConfig : Config.succeed(""))
  const logs = environment === "read" ? logsSaid : Effect.succeed({})
  const runtime = ManagedRuntime.make(
    Layer.mergeAll(
      Layer.provideMerge(Records.layer(config.sessions ?? {}), layer),
      Decisions.layer(config),
      Settings.contextEncoder(config.contextEncoder)
    ).pipe(
      Layer.provideMerge(EventStore.layer),
      Layer.provideMerge(config.telemetry === true ? Metrics.layer : Layer.empty),
      Layer.provideMerge(Layer.provideMerge(Logs.layerEvents, Layer.merge(Events.layer, UsageStore.ledger))),
      Layer.provide(UsageStore.layer),
      Layer.provide(kept),
      Layer.provideMerge(config.telemetry === true ? Exporting.otlp : Layer.empty),
      Layer.provideMerge(Layer.provideMerge(Settings.logs(config.logLevel, logs), Layer.setClock(clock)))
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
  const {
    contextEncoder,
    fallback,
    hooks,
    logLevel,
    permissions,
    sessions,
    storagePath,
    store,
    telemetry,
    toolSets,
    ...options
  } = checked(config, "config")
  const primary = Layer.mapError(NodeClaude.layerWith({ ...options, unref: true }), ofClient)
  const layer = fallback === undefined ? primary : Fallback.layer(primary, fallback, queryOptionsOf(options))
  return make(layer, config, "read")
}

/** That of the top-level functions. The environment is read at the first call. */
export const shared = (): Owner => sharedOwner ??= node()

/** What a run gave, or what it failed with, thrown. */
export const valueOf = async <A, E>(running: Promise<Exit.Exit<A, E>>): Promise<A> => valueIn(await running)

/** The same of one that has ended. */
export const valueIn = <A, E>(exit: Exit.Exit<A, E>): A => {
  if (Exit.isSuccess(exit)) return exit.value
  throw Cause.isInterruptedOnly(exit.cause) ? abortError() : Cause.squash(exit.cause)
}

// ---------------------------------------------------------------------------

const logsSaid = Effect.suspend(() =>
  Effect.map(Logs.fromEnvironment, (said) => ({ ...said, secrets: Logs.secretsOf(process.env) }))
)

const keptBy = (
  { storagePath: path, store }: ClientConfig,
  storagePath: Config.Config<string>
): Layer.Layer<Kept.Kept, InvalidOptionsError> => {
  if (store === undefined) return Kept.layer(path === undefined ? storagePath : Config.succeed(path))
  return path === undefined ? Layer.succeed(Kept.Kept, store.kept) : Layer.fail(twoPlaces)
}

const twoPlaces = invalidOption("store", "there is a storagePath, too", "Give one of them.")

/** Without what is asked of the policies and of the processes. */
const queryOptionsOf = (config: ClientConfig): AgentOptions.QueryOptions =>
  Struct.pick(config, ...Struct.keys(AgentOptions.QueryOptions.fields))

/** The options are those of queries, and were given to a client. */
const ofClient = ({ detail, field, hint }: InvalidOptionsError): InvalidOptionsError =>
  invalidOption(field, detail, hint.replace("QueryOptions", "ClientConfig"))

let sharedOwner: Owner | undefined
