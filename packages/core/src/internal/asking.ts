import * as Effect from "effect/Effect"
import type { QueryOptions } from "../AgentOptions.js"
import type { Claude, ClaudeOptions, Prompt } from "../Claude.js"
import type { ClaudeError } from "../ClaudeError.js"
import type { Encoded } from "../ContextEncoder.js"
import * as Policies from "../Policies.js"
import { noop, type Policy, type Target } from "../Policy.js"
import { alone, CurrentPart, standingBy } from "./fallback.js"
import * as Observation from "./observation.js"
import { checkPrompt } from "./prompt.js"
import { type Open, pullOf, streamed } from "./streamed.js"
import { waitUnless } from "./waiting.js"

/** What is put around the queries of a `Claude`. */
export interface Around {
  readonly observation: Observation.Observation
  readonly budget: Policy
  readonly policies: Policy
}

/** A query, and its run as it is without all that. */
export interface Asked {
  /** The call's over the fiber's and the client's. */
  readonly options: QueryOptions
  /** The `context` of the options, as the model is to get it. */
  readonly context: Encoded | undefined
  readonly target: Target
  /** The host that is asked, where it is no CLI. */
  readonly server?: string | undefined
  readonly run: Open
}

/** What a program has of it. */
export const around: Effect.Effect<Around, never, Policies.Around> = Effect.zipWith(
  Policies.parts,
  Observation.make,
  ({ budget, others }, observation) => ({ budget, observation, policies: others })
)

/**
 * Queries with all that is put around their runs: outermost those who look on, then the budget, whoever takes over where
 * it cannot answer, and the other policies. One that takes over is seen and budgeted with the call that it goes on with,
 * and has its id.
 */
export const asking = (
  { budget, observation, policies }: Around,
  ask: (prompt: Prompt, given: ClaudeOptions, id: string) => Effect.Effect<Asked, ClaudeError>
): Claude["Type"]["query"] =>
(prompt, given = {}) =>
  streamed(Effect.gen(function*() {
    yield* checkPrompt(prompt)
    const part = yield* CurrentPart
    const { joined, standby } = part
    const id = joined?.id ?? crypto.randomUUID()
    const { context, options, run, server, target } = yield* ask(prompt, given, id)
    const call: Observation.ObservedCall = {
      id,
      kind: "query",
      turnNumber: 1,
      prompt,
      options,
      sessionId: () => options.sessionId ?? "",
      contexts: context === undefined ? [] : [context],
      server
    }
    const wait = waitUnless(given.interruptWhen)
    const governedBy = (policy: Policy, open: Open): Open =>
      policy.around === noop.around
        ? open
        : pullOf(policy.around({ id, prompt, options, target, wait })(streamed(open)))
    const attempt = observation.attempt(call)(run)
    const own = part === alone ? attempt : Effect.provideService(attempt, CurrentPart, alone)
    const budgeted = joined?.budgeted === true
    const all = standingBy(standby, { id, budgeted: budgeted || budget.around !== noop.around })(
      governedBy(policies, own)
    )
    const limited = budgeted ? all : governedBy(budget, all)
    return yield* joined === undefined ? observation.whole(call)(limited) : limited
  }))
