/** Ask Claude Code, get a typed stream. The service that everything else is for. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { decode, merge, type QueryOptions } from "./AgentOptions.js"
import { ClaudeConfig, CurrentOptions } from "./ClaudeConfig.js"
import { type ClaudeError, type InvalidOptionsError, StructuredOutputError } from "./ClaudeError.js"
import { CliProcess } from "./CliProcess.js"
import { type Claim, Concurrency, CurrentClaim } from "./Concurrency.js"
import { Deadline } from "./Deadline.js"
import { lastAnswer } from "./internal/answer.js"
import * as Asking from "./internal/asking.js"
import { Bookkeeper } from "./internal/books.js"
import { connect as connectWith } from "./internal/connection.js"
import * as Falling from "./internal/fallback.js"
import * as Host from "./internal/host.js"
import { named, withoutIdentity } from "./internal/identity.js"
import * as Recorder from "./internal/recorder.js"
import * as Run from "./internal/run.js"
import * as SessionPlan from "./internal/session.js"
import { pullOf, streamed } from "./internal/streamed.js"
import * as WarmPool from "./internal/warmPool.js"
import type { Message, Result } from "./Message.js"
import { MessageParser } from "./MessageParser.js"
import * as Policies from "./Policies.js"
import { targetOf } from "./Policy.js"
import { Pricing } from "./Pricing.js"
import type { Session } from "./Session.js"
import { decodeLifetime, type SessionOptions } from "./SessionOptions.js"
import * as UsageLedger from "./UsageLedger.js"

export type { Fallback, FallbackCause, FallbackOptions, FallbackWhen } from "./internal/fallback.js"

/** A prompt: text, or blocks of the API (text, pictures, documents). Text that begins with `/` is a slash command. */
export type Prompt = string | ReadonlyArray<{ readonly type: string; readonly [field: string]: unknown }>

/** The options of a query in an Effect program. */
export interface ClaudeOptions extends QueryOptions, Host.HostOptions {
  /**
   * When this completes the CLI ends the turn. The stream then ends well, with a `Result` that has what there was.
   * Interrupting the fiber instead stops the CLI and gives nothing more.
   */
  readonly interruptWhen?: Effect.Effect<unknown> | undefined
  /** Where processes are limited: higher comes first. Default: that of `Concurrency.CurrentClaim`, which is 0. */
  readonly priority?: number | undefined
}

/** The service. Its streams own a process each: however they end, it is gone when they have. */
export class Claude extends Context.Tag("@ccflow/core/Claude")<Claude, {
  readonly query: (prompt: Prompt, options?: ClaudeOptions) => Stream.Stream<Message, ClaudeError>
  /** A conversation, closed with the scope. Nothing is started before it is needed. */
  readonly session: (options?: SessionOptions) => Effect.Effect<Session, ClaudeError, Scope.Scope>
}>() {}

/** What a `Claude` keeps beside its queries. */
export interface ClaudeServiceOptions {
  /**
   * Processes that are kept started and initialised with the client's own options, so that a first message waits for no
   * start. Each is used once. One was seen to hold 160 MB. Default: none.
   */
  readonly warm?: number | undefined
}

/** What a `Claude` is made of. */
export type Requirements = CliProcess | MessageParser | ClaudeConfig | Policies.Policies

export const make = (
  { warm = 0 }: ClaudeServiceOptions = {}
): Effect.Effect<Claude["Type"], InvalidOptionsError, Requirements | Scope.Scope> =>
  Effect.gen(function*() {
    const { defaults } = yield* ClaudeConfig
    const deadline = yield* Deadline
    const policies = yield* Policies.make
    const around = yield* Asking.around
    const { observation } = around
    const connect = connectWith(
      yield* CliProcess,
      yield* MessageParser,
      yield* Concurrency,
      new Bookkeeper(yield* UsageLedger.current, observation.events, yield* Pricing)
    )
    const pool = yield* WarmPool.make(warm, defaults, connect)

    const resolve = ({ hooks, permissions, toolSets, ...given }: Omit<ClaudeOptions, "interruptWhen" | "priority">) =>
      Effect.gen(function*() {
        const options = yield* decode(merge(defaults, yield* CurrentOptions, given))
        return { options, host: yield* Host.resolve({ hooks, permissions, toolSets }, options) }
      })

    const query = Asking.asking(around, (prompt, { interruptWhen, priority, ...given }, id) =>
      Effect.gen(function*() {
        const { host, options } = yield* resolve(given)
        const charge = { ...(yield* UsageLedger.purposeOf(options.tags)), callId: id, turnId: undefined }
        const run = Run.open({ connect: pool.connect, deadline, prompt, options, host, interruptWhen, charge })
        return {
          options,
          context: host.context,
          target: targetOf(options),
          run: priority === undefined ? run : Effect.provideService(run, CurrentClaim, yield* claimOf(priority))
        }
      }))

    const session = (
      asked: SessionOptions,
      records: Recorder.Records | undefined
    ): Effect.Effect<Session, ClaudeError, Scope.Scope> =>
      Effect.gen(function*() {
        const { idleTimeout, priority, recordMessages, recycleAfter, ...given } = asked
        const lifetime = yield* decodeLifetime({ idleTimeout, recordMessages, recycleAfter })
        const resolved = yield* resolve(given)
        const adopted = yield* pool.adopt(resolved.options, resolved.host)
        const options = adopted === undefined
          ? named(resolved.options)
          : { ...resolved.options, sessionId: adopted.sessionId }
        const claim = yield* claimOf(priority)
        return yield* SessionPlan.make({
          connect: (plan, wait) => Effect.provideService(connect(plan, wait), CurrentClaim, claim),
          deadline,
          policies,
          observation,
          adopted,
          host: resolved.host,
          recorder: yield* Recorder.make(records, observation.events, options, lifetime.recordMessages ?? false),
          options,
          lifetime,
          fork: (more) => session({ ...branched(asked), ...more }, records)
        })
      })

    return {
      query,
      session: (options = {}) => Effect.flatMap(Recorder.records, (records) => session(options, records))
    }
  })

/** With the policies that it is given, and processes kept warm. */
export const layerWith = (
  options: ClaudeServiceOptions = {}
): Layer.Layer<Claude, InvalidOptionsError, Requirements> => Layer.scoped(Claude, make(options))

/** All policies, with their defaults. */
export const layerDefault: Layer.Layer<Claude, InvalidOptionsError, CliProcess | MessageParser | ClaudeConfig> = Layer
  .provide(layerWith(), Policies.layer)

/** Bare: no policy but the deadlines. */
export const layer: Layer.Layer<Claude, never, CliProcess | MessageParser | ClaudeConfig> = Layer.orDie(
  Layer.provide(layerWith(), Policies.layerNoop)
)

/** The messages of one prompt, as they come. Fails after the last message when the run has failed. */
export const query = (prompt: Prompt, options?: ClaudeOptions): Stream.Stream<Message, ClaudeError, Claude> =>
  streamed(Effect.flatMap(Claude, (claude) => toPull(claude.query(prompt, options))))

/**
 * The messages of a query batch by batch, as they are read; the failure `None` is the good end. For a loop of one's own:
 * a query whose stream nothing was put around costs half as much this way, and a batch a tenth.
 */
export const toPull = <R>(
  messages: Stream.Stream<Message, ClaudeError, R>
): Effect.Effect<
  Effect.Effect<ReadonlyArray<Message>, Option.Option<ClaudeError>, R>,
  ClaudeError,
  R | Scope.Scope
> => pullOf(messages)

/** The stream of a run that is told batch by batch. What is refused when it is opened was never begun. */
export const fromPull = <R>(
  open: Effect.Effect<
    Effect.Effect<ReadonlyArray<Message>, Option.Option<ClaudeError>, R>,
    ClaudeError,
    R | Scope.Scope
  >
): Stream.Stream<Message, ClaudeError, R> => streamed(open)

/**
 * Asks another one where the first cannot answer: once, for the failures that are named, and never for a run of which
 * anything was answered or done. The first one is asked first every time, so that it answers again as soon as it can. Both
 * are one call for who looks on: its events have one id, its span has the attempts of both, and it is under the budget of
 * the first. A fallback is told of: as a `Status` of the kind `fallback` among the messages, to `onFallback`, as
 * `FellBack`, and in the metric `ccflow_fallbacks_total`. Where the other one refuses the options, the error is the first
 * one's. Sessions have none.
 */
export const withFallback = (
  primary: Claude["Type"],
  fallback: Claude["Type"],
  when: Falling.FallbackWhen,
  options: Falling.FallbackOptions = {}
): Claude["Type"] => ({
  query: (prompt, given) =>
    streamed(Falling.withFallback(pullOf(primary.query(prompt, given)), {
      fallback: Effect.suspend(() => pullOf(fallback.query(prompt, given))),
      target: targetOf(given ?? {}),
      when,
      ...options
    })),
  session: primary.session
})

/** The same of layers. What the first one has beside its `Claude` is kept. */
export const layerWithFallback = <Out, E, R, Out2, E2, R2>(
  primary: Layer.Layer<Claude | Out, E, R>,
  fallback: Layer.Layer<Claude | Out2, E2, R2>,
  when: Falling.FallbackWhen,
  options?: Falling.FallbackOptions
): Layer.Layer<Claude | Out, E | E2, R | R2> =>
  Layer.zipWith(
    primary,
    fallback,
    (one, other) =>
      Context.add(one, Claude, withFallback(Context.get(one, Claude), Context.get(other, Claude), when, options))
  )

/** The result of one prompt: the answer, what it cost, what was denied. */
export const result = (prompt: Prompt, options?: ClaudeOptions): Effect.Effect<Result, ClaudeError, Claude> =>
  Effect.scoped(Effect.flatMap(toPull(query(prompt, options)), (pull) => lastAnswer(pull)))

/** The answer's text, as the result has it: never joined from deltas. */
export const text = (prompt: Prompt, options?: ClaudeOptions): Effect.Effect<string, ClaudeError, Claude> =>
  Effect.map(result(prompt, options), (answer) => answer.result)

/** An answer in the shape of a schema, decoded. A turn that was interrupted before it gave one has failed here. */
export const structured = <A, I>(
  prompt: Prompt,
  schema: Schema.Schema<A, I>,
  options?: ClaudeOptions
): Effect.Effect<A, ClaudeError, Claude> =>
  Effect.flatMap(
    result(prompt, { ...options, outputSchema: schema }),
    ({ sessionId, structuredOutput }) =>
      Schema.is(schema)(structuredOutput) ? Effect.succeed(structuredOutput) : Effect.fail(notGiven(sessionId))
  )

// ---------------------------------------------------------------------------

const claimOf = (priority: number | undefined): Effect.Effect<Claim> =>
  Effect.map(CurrentClaim, (claim) => priority === undefined ? claim : { ...claim, priority })

/** A branch has an id and a title of its own. */
const branched = ({ title, ...options }: SessionOptions): SessionOptions => withoutIdentity(options)

const notGiven = (sessionId: string) =>
  new StructuredOutputError({
    reason: "NeverGiven",
    detail: "the turn was interrupted before it was given",
    facts: { exitCode: null, signal: null, argv: [], stderrTail: "", sessionId, frames: 0 },
    hint: "Ask again, and let it end."
  })
