/**
 * Ask Claude Code, get a typed stream. The service that everything else is for.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { decode, merge, type QueryOptions } from "./AgentOptions.js"
import { ClaudeConfig, CurrentOptions } from "./ClaudeConfig.js"
import type { ClaudeError, InvalidOptionsError } from "./ClaudeError.js"
import { CliProcess } from "./CliProcess.js"
import { lastAnswer } from "./internal/answer.js"
import { connect as connectWith } from "./internal/connection.js"
import * as Host from "./internal/host.js"
import { checkPrompt } from "./internal/prompt.js"
import * as Recorder from "./internal/recorder.js"
import * as Run from "./internal/run.js"
import * as SessionPlan from "./internal/session.js"
import { pullOf, streamed } from "./internal/streamed.js"
import * as WarmPool from "./internal/warmPool.js"
import type { Message, Result } from "./Message.js"
import { MessageParser } from "./MessageParser.js"
import type { Session } from "./Session.js"
import { decodeLifetime, type SessionOptions } from "./SessionOptions.js"

/** A prompt: text, or blocks of the API (text, pictures, documents). Text that begins with `/` is a slash command. */
export type Prompt = string | ReadonlyArray<{ readonly type: string; readonly [field: string]: unknown }>

/** The options of a query in an Effect program. */
export interface ClaudeOptions extends QueryOptions, Host.HostOptions {
  /**
   * When this completes the CLI ends the turn. The stream then ends well, with a `Result` that has what there was.
   * Interrupting the fiber instead stops the CLI and gives nothing more.
   */
  readonly interruptWhen?: Effect.Effect<unknown> | undefined
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

export const make = (
  { warm = 0 }: ClaudeServiceOptions = {}
): Effect.Effect<Claude["Type"], InvalidOptionsError, CliProcess | MessageParser | ClaudeConfig | Scope.Scope> =>
  Effect.gen(function*() {
    const { defaults } = yield* ClaudeConfig
    const connect = connectWith(yield* CliProcess, yield* MessageParser)
    const pool = yield* WarmPool.make(warm, defaults, connect)

    const resolve = ({ hooks, permissions, toolSets, ...given }: Omit<ClaudeOptions, "interruptWhen">) =>
      Effect.gen(function*() {
        const options = yield* decode(merge(defaults, yield* CurrentOptions, given))
        return { options, host: yield* Host.resolve({ hooks, permissions, toolSets }, options) }
      })

    const run = (prompt: Prompt, { interruptWhen, ...given }: ClaudeOptions): Stream.Stream<Message, ClaudeError> =>
      streamed(Effect.gen(function*() {
        yield* checkPrompt(prompt)
        const { host, options } = yield* resolve(given)
        return yield* Run.open(pool.connect, prompt, options, host, interruptWhen)
      }))

    const session = (
      { idleTimeout, recordMessages, recycleAfter, ...given }: SessionOptions,
      records: Recorder.Records | undefined
    ): Effect.Effect<Session, ClaudeError, Scope.Scope> =>
      Effect.gen(function*() {
        const lifetime = yield* decodeLifetime({ idleTimeout, recordMessages, recycleAfter })
        const resolved = yield* resolve(given)
        const { adopted, options } = yield* pool.adopt(resolved.options, resolved.host)
        return yield* SessionPlan.make({
          connect,
          adopted,
          host: resolved.host,
          recorder: yield* Recorder.make(records, options, lifetime.recordMessages ?? false),
          options,
          lifetime,
          fork: (more) =>
            session({ idleTimeout, recordMessages, recycleAfter, ...withoutIdentity(given), ...more }, records)
        })
      })

    return {
      // Policies are put around the run here, in one pipe, and nowhere else.
      query: (prompt, options = {}) => run(prompt, options),
      session: (options = {}) => Effect.flatMap(Recorder.records, (records) => session(options, records))
    }
  })

/** Bare, with processes kept warm: no policies around the run. */
export const layerWith = (
  options: ClaudeServiceOptions
): Layer.Layer<Claude, InvalidOptionsError, CliProcess | MessageParser | ClaudeConfig> =>
  Layer.scoped(Claude, make(options))

/** Bare: no policies around the run. */
export const layer: Layer.Layer<Claude, never, CliProcess | MessageParser | ClaudeConfig> = Layer.orDie(layerWith({}))

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

/** The result of one prompt: the answer, what it cost, what was denied. */
export const result = (prompt: Prompt, options?: ClaudeOptions): Effect.Effect<Result, ClaudeError, Claude> =>
  Effect.scoped(Effect.flatMap(toPull(query(prompt, options)), (pull) => lastAnswer(pull, undefined)))

/** The answer's text, as the result has it: never joined from deltas. */
export const text = (prompt: Prompt, options?: ClaudeOptions): Effect.Effect<string, ClaudeError, Claude> =>
  Effect.map(result(prompt, options), (answer) => answer.result)

/** An answer in the shape of a schema, decoded. */
export const structured = <A, I>(
  prompt: Prompt,
  schema: Schema.Schema<A, I>,
  options?: ClaudeOptions
): Effect.Effect<A, ClaudeError, Claude> =>
  Effect.map(result(prompt, { ...options, outputSchema: schema }), (answer) => answer.structuredOutput as A)

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

/** A branch has an id of its own. */
const withoutIdentity = (options: SessionOptions): SessionOptions => {
  const { continueSession, forkSession, resume, resumeDropsTurn, resumeSessionAt, sessionId, title, ...rest } = options
  return rest
}
