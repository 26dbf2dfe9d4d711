/** Claude Code for plain TypeScript: promises and `for await` over the Effect services, and nothing else. */
import type * as AgentOptions from "@ccflow/core/AgentOptions"
import * as Claude from "@ccflow/core/Claude"
import type { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import * as Batch from "./Batch.js"
import * as Decisions from "./Decisions.js"
import * as Emitter from "./Emitter.js"
import * as Health from "./Health.js"
import * as Owner from "./Owner.js"
import * as Pool from "./Pool.js"
import * as Query from "./Query.js"
import { Session, type SessionOptions } from "./Session.js"
import * as Sessions from "./Sessions.js"
import * as Usage from "./Usage.js"

/** The options of one call. */
export interface QueryOptions extends AgentOptions.QueryOptions, Decisions.DecisionOptions {
  /** Aborting it stops the CLI; the call then rejects with an `AbortError`. */
  readonly signal?: AbortSignal | undefined
  /** Where processes are limited, and in a pool: higher comes first. Default: 0. */
  readonly priority?: number | undefined
}

/** Options with a schema whose decoded output the result carries. */
export interface StructuredOptions<Output, Encoded> extends Omit<QueryOptions, "outputSchema"> {
  readonly outputSchema: Schema.Schema<Output, Encoded>
}

/** Owns the runtime that its calls share. Close it to stop what still runs. */
export interface Client extends AsyncDisposable {
  /** The messages of one prompt, as they come. */
  query<Output, Encoded>(prompt: Claude.Prompt, options: StructuredOptions<Output, Encoded>): Query.Query<Output>
  query(prompt: Claude.Prompt, options?: QueryOptions): Query.Query
  /** The answer's text. */
  querySimple(prompt: Claude.Prompt, options?: QueryOptions): Promise<string>
  /** Many prompts, a few at a time: results in input order, one failure hides no other. */
  batchQuery(prompts: Batch.BatchPrompts, options?: Batch.BatchOptions): Promise<Array<Batch.BatchResult>>
  /** Prompts for a few workers, submitted and cancelled one by one: the pool of this client, made at the first look. */
  readonly pool: Pool.Pool
  /** A pool of its own, with its own workers. It is closed with the client at the latest. */
  createPool(options?: Pool.PoolOptions): Pool.Pool
  /** A conversation. Nothing is started before it is needed. */
  session(options?: SessionOptions): Session
  /** The conversations that are kept. */
  readonly sessions: Sessions.Sessions
  /** Whether the CLI can be used, is logged in and who pays. It costs nothing, and is remembered for 30 seconds. */
  health(options?: Health.HealthOptions): Promise<Health.HealthStatus>
  /** What was used and what it cost: since the client was made, or of all that is kept where it has a `storagePath`. */
  usage(filter?: Usage.UsageFilter): Promise<Usage.UsageTotals>
  /** The same in groups: days and batches in their order, the others by what they cost, highest first. */
  usageBy(key: Usage.UsageKey, grouping?: Usage.UsageGrouping): Promise<ReadonlyArray<Usage.UsageGroup>>
  /** What happens, as it happens. */
  readonly events: Emitter.Emitter
  /** Stops what runs, and closes the sessions. */
  close(): Promise<void>
}

/** A client of the user's own `claude`. */
export const createClient = (config: Owner.ClientConfig = {}): Client => of(Owner.node(config))

/** What a client needs no CLI of its own for. */
export interface FakeConfig
  extends
    Decisions.DecisionOptions,
    Pick<Owner.ClientConfig, "storagePath" | "store" | "sessions" | "contextEncoder" | "logLevel">
{}

/** A client of any `Claude`: give it a fake one, and a program without Effect is tested without a process. */
export const make = (
  layer: Layer.Layer<Claude.Claude, InvalidOptionsError>,
  config: FakeConfig = {}
): Client => of(Owner.make(layer, config))

/** The calls of this owner. */
export const of = (owner: Owner.Owner): Client => {
  const start = (prompt: Claude.Prompt, options: QueryOptions = {}): Query.Query =>
    Query.make(
      owner,
      options,
      (given) => Effect.map(Decisions.resolve(given), (resolved) => Claude.query(prompt, resolved))
    )

  const createPool = (options?: Pool.PoolOptions) => Pool.make({ start, open: owner.open }, options)
  let pool: Pool.Pool | undefined

  return {
    get pool() {
      return pool ??= createPool()
    },
    createPool,
    query: start,
    querySimple: async (prompt, options) => (await start(prompt, options).result).result,
    batchQuery: Batch.make(owner),
    session: (options) => new Session(options, { owner }),
    sessions: Sessions.make(owner),
    health: (options) => Health.check(owner, options),
    usage: (filter) => Usage.totals(owner, filter),
    usageBy: (key, grouping) => Usage.by(owner, key, grouping),
    events: Emitter.make(owner),
    close: () => owner.close(),
    [Symbol.asyncDispose]: () => owner.close()
  }
}
