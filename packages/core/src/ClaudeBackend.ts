/**
 * A `Claude` that is made of something else than the CLI, such as the API. It brings how a prompt is answered; prompts are
 * checked, options merged, contexts encoded, and calls told, traced, counted, budgeted and policed as the CLI's are.
 */
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { decode, merge, type QueryOptions } from "./AgentOptions.js"
import type { Claude, Prompt } from "./Claude.js"
import { ClaudeConfig, CurrentOptions } from "./ClaudeConfig.js"
import type { ClaudeError } from "./ClaudeError.js"
import type { Encoded } from "./ContextEncoder.js"
import { around, asking } from "./internal/asking.js"
import { contextOf, type Deciders, decidersOf } from "./internal/host.js"
import type { Open, Pull } from "./internal/streamed.js"
import type { Message } from "./Message.js"
import type * as Policies from "./Policies.js"
import type { Target } from "./Policy.js"
import { type Purpose, purposeOf } from "./UsageLedger.js"

/** What is asked. */
export interface Question {
  /** Of the call, in all that is told of it. */
  readonly id: string
  readonly prompt: Prompt
  /** The call's over the fiber's and the client's. */
  readonly options: QueryOptions
  /** The `context` of the options, as the model is to get it. */
  readonly context: Encoded | undefined
  /** Who would decide within the CLI's loop: the call's own, and those of the fiber. */
  readonly deciders: Deciders
  readonly interruptWhen: Effect.Effect<unknown> | undefined
  /** What it is booked for. */
  readonly purpose: Purpose
}

/** How a question is answered. */
export interface Answer {
  /** By it policies count. It holds no secret. */
  readonly target: Target
  /** The host that is asked, without port and path: spans have it. */
  readonly server: string
  /** Starts one attempt. Its pull gives the next messages; the failure `None` is the good end. */
  readonly open: Effect.Effect<
    Effect.Effect<ReadonlyArray<Message>, Option.Option<ClaudeError>>,
    ClaudeError,
    Scope.Scope
  >
}

/** What it is made of: the options that all queries start from, and the policies. */
export type Requirements = ClaudeConfig | Policies.Policies

/** The queries of such a `Claude`. What fails in `answer` was refused, and nothing has been begun. */
export const queries = (
  answer: (question: Question) => Effect.Effect<Answer, ClaudeError>
): Effect.Effect<Claude["Type"]["query"], never, Requirements> =>
  Effect.gen(function*() {
    const { defaults } = yield* ClaudeConfig
    return asking(yield* around, (prompt, { hooks, interruptWhen, permissions, priority: _, toolSets, ...given }, id) =>
      Effect.gen(function*() {
        const options = yield* decode(merge(defaults, yield* CurrentOptions, given))
        const context = yield* contextOf(options.context)
        const deciders = yield* decidersOf({ hooks, permissions, toolSets })
        const purpose = yield* purposeOf(options.tags)
        const answered = yield* answer({ id, prompt, options, context, deciders, interruptWhen, purpose })
        return { options, context, target: answered.target, server: answered.server, run: asOpened(answered.open) }
      }))
  })

// ---------------------------------------------------------------------------

/** Whoever reads it: what happens there belongs to the call and the attempt that it was opened for. */
const asOpened = (open: Open): Open =>
  Effect.flatMap(
    Effect.context<Scope.Scope>(),
    (context) => Effect.map(open, (pull): Pull => Effect.provide(pull, context))
  )
