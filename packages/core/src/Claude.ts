/**
 * Ask Claude Code, get a typed stream. The service that everything else is for.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { decode, merge, type QueryOptions } from "./AgentOptions.js"
import { ClaudeConfig, CurrentOptions } from "./ClaudeConfig.js"
import { type ClaudeError, InvalidOptionsError } from "./ClaudeError.js"
import { CliProcess } from "./CliProcess.js"
import * as Host from "./internal/host.js"
import * as Run from "./internal/run.js"
import { type Pull, pullOf, streamed } from "./internal/streamed.js"
import type { Message, Result } from "./Message.js"
import { MessageParser } from "./MessageParser.js"

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
}>() {}

export const make: Effect.Effect<Claude["Type"], never, CliProcess | MessageParser | ClaudeConfig> = Effect.gen(
  function*() {
    const cliProcess = yield* CliProcess
    const messageParser = yield* MessageParser
    const { defaults } = yield* ClaudeConfig

    const run = (
      prompt: Prompt,
      { hooks, interruptWhen, permissions, toolSets, ...given }: ClaudeOptions
    ): Stream.Stream<Message, ClaudeError> =>
      streamed(Effect.gen(function*() {
        yield* checkPrompt(prompt)
        const current = yield* CurrentOptions
        const options = yield* decode(merge(defaults, current, given))
        const host = yield* Host.resolve({ hooks, permissions, toolSets }, options)
        return yield* Run.open({ cliProcess, messageParser }, prompt, options, host, interruptWhen)
      }))

    return {
      // Policies are put around the run here, in one pipe, and nowhere else.
      query: (prompt, options = {}) => run(prompt, options)
    }
  }
)

/** Bare: no policies around the run. */
export const layer: Layer.Layer<Claude, never, CliProcess | MessageParser | ClaudeConfig> = Layer.effect(Claude, make)

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

/** Reads to the end, and not only to the answer: a run can still fail after it. */
const lastAnswer = <R>(
  pull: Pull<R>,
  found: Result | undefined
): Effect.Effect<Result, ClaudeError, R> =>
  Effect.matchEffect(pull, {
    onSuccess: (messages) => lastAnswer(pull, messages.reduce(answerOf, found)),
    onFailure: (end) =>
      Option.isSome(end)
        ? Effect.fail(end.value)
        : found === undefined
        ? Effect.dieMessage("a run that ended well has a result")
        : Effect.succeed(found)
  })

const answerOf = (found: Result | undefined, message: Message): Result | undefined =>
  found === undefined && message._tag === "Result" && message.origin === undefined ? message : found

const checkPrompt = (prompt: unknown): Effect.Effect<void, InvalidOptionsError> =>
  typeof prompt === "string" && prompt.trim() !== "" || Array.isArray(prompt) && prompt.length > 0
    ? Effect.void
    : Effect.fail(
      new InvalidOptionsError({
        field: "prompt",
        detail: "it must be text or blocks, and not empty",
        hint: "Give the CLI something to do."
      })
    )
