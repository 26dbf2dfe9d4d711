/**
 * Claude Code for plain TypeScript: promises and `for await` over the Effect services, and nothing else.
 */
import type * as AgentOptions from "@ccflow/core/AgentOptions"
import * as Claude from "@ccflow/core/Claude"
import { CCFlowError, InvalidOptionsError } from "@ccflow/core/ClaudeError"
import type { Result } from "@ccflow/core/Message"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import * as Decisions from "./Decisions.js"
import * as Owner from "./Owner.js"
import * as Pool from "./Pool.js"
import * as Query from "./Query.js"
import { Session, type SessionOptions } from "./Session.js"
import * as Sessions from "./Sessions.js"

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

export interface BatchOptions extends QueryOptions {
  /** Processes at once. Default: 5. */
  readonly concurrency?: number | undefined
  /** Called as each prompt ends. What it throws is logged and stops nothing. */
  readonly onProgress?: ((progress: BatchProgress) => void) | undefined
}

export interface BatchProgress {
  readonly completed: number
  readonly total: number
  readonly latest: BatchResult
}

/** One prompt's end: a result or an error. */
export interface BatchResult {
  readonly index: number
  readonly prompt: string
  readonly result?: Result
  readonly error?: CCFlowError
}

/** Owns the runtime that its calls share. Close it to stop what still runs. */
export interface Client extends AsyncDisposable {
  /** The messages of one prompt, as they come. */
  query<Output, Encoded>(prompt: Claude.Prompt, options: StructuredOptions<Output, Encoded>): Query.Query<Output>
  query(prompt: Claude.Prompt, options?: QueryOptions): Query.Query
  /** The answer's text. */
  querySimple(prompt: Claude.Prompt, options?: QueryOptions): Promise<string>
  /** Many prompts, a few at a time: results in input order, one failure hides no other. */
  batchQuery(prompts: ReadonlyArray<string>, options?: BatchOptions): Promise<Array<BatchResult>>
  /** Prompts for a few workers, submitted and cancelled one by one: the pool of this client, made at the first look. */
  readonly pool: Pool.Pool
  /** A pool of its own, with its own workers. It is closed with the client at the latest. */
  createPool(options?: Pool.PoolOptions): Pool.Pool
  /** A conversation. Nothing is started before it is needed. */
  session(options?: SessionOptions): Session
  /** The conversations that are kept. */
  readonly sessions: Sessions.Sessions
  /** Stops what runs, and closes the sessions. */
  close(): Promise<void>
}

/** A client of the user's own `claude`. */
export const createClient = (config: Owner.ClientConfig = {}): Client => of(Owner.node(config))

/** What a client needs no CLI of its own for. */
export interface FakeConfig extends Decisions.DecisionOptions, Pick<Owner.ClientConfig, "storagePath"> {}

/** A client of any `Claude`: give it a fake one, and a program without Effect is tested without a process. */
export const make = (
  layer: Layer.Layer<Claude.Claude, InvalidOptionsError>,
  config: FakeConfig = {}
): Client => of(Owner.make(layer, config))

/** The calls of this owner. */
export const of = (owner: Owner.Owner): Client => {
  const start = (prompt: Claude.Prompt, { signal, ...options }: QueryOptions = {}): Query.Query => {
    const interrupted = Deferred.unsafeMake<void>(FiberId.none)
    return Query.make(owner, {
      signal,
      open: Effect.flatMap(
        Decisions.resolve(options),
        (resolved) => Claude.toPull(Claude.query(prompt, { ...resolved, interruptWhen: Deferred.await(interrupted) }))
      ),
      interrupt: () => Deferred.unsafeDone(interrupted, Effect.void)
    })
  }

  const createPool = (options?: Pool.PoolOptions) => Pool.make({ start, open: owner.open }, options)
  let pool: Pool.Pool | undefined

  return {
    get pool() {
      return pool ??= createPool()
    },
    createPool,
    query: start,
    querySimple: async (prompt, options = {}) => (await start(prompt, options).result).result,
    batchQuery: (prompts, options) => batch(start, prompts, options),
    session: (options) => new Session(options, { owner }),
    sessions: Sessions.make(owner),
    close: () => owner.close(),
    [Symbol.asyncDispose]() {
      return this.close()
    }
  }
}

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

const batch = async (
  start: (prompt: Claude.Prompt, options: QueryOptions) => Query.Query,
  prompts: ReadonlyArray<string>,
  { concurrency = 5, onProgress, ...options }: BatchOptions = {}
): Promise<Array<BatchResult>> => {
  if (!Number.isInteger(concurrency) || concurrency < 1) {
    throw new InvalidOptionsError({
      field: "concurrency",
      detail: "it must be a whole number above 0",
      hint: "Left out it is 5."
    })
  }
  const results: Array<BatchResult> = []
  let completed = 0
  let taken = 0

  const one = async (index: number): Promise<void> => {
    const prompt = prompts[index]!
    const latest: BatchResult = await start(prompt, options).result.then(
      (result) => ({ index, prompt, result }),
      (error: unknown) => {
        if (options.signal?.aborted !== true && error instanceof CCFlowError) return { index, prompt, error }
        throw error
      }
    )
    results[index] = latest
    try {
      onProgress?.({ completed: ++completed, total: prompts.length, latest })
    } catch (error) {
      process.emitWarning(
        `onProgress threw: ${error instanceof Error ? error.message : String(error)}`,
        "CCFlowWarning"
      )
    }
  }
  const worker = async (): Promise<void> => {
    while (taken < prompts.length) await one(taken++)
  }
  await allEnded(Array.from({ length: Math.min(concurrency, prompts.length) }, worker))
  return results
}

/** Rejects like `Promise.all`, but not before all have ended: nothing runs on behind the caller's back. */
const allEnded = async (running: ReadonlyArray<Promise<void>>): Promise<void> => {
  for (const end of await Promise.allSettled(running)) if (end.status === "rejected") throw end.reason
}
