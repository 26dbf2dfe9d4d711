import * as Effect from "effect/Effect"
import { type Call, noop, type Policy } from "../Policy.js"
import type { Observation, ObservedCall } from "./observation.js"
import { alone, CurrentPart, falling, type Part } from "./part.js"
import { type Open, pullOf, streamed } from "./streamed.js"

/** What is put around the queries of a `Claude`. @internal */
export interface Around {
  readonly observation: Observation
  readonly budget: Policy
  readonly policies: Policy
}

/** A query, and its run as it is without all that. @internal */
export interface Asking extends Pick<Call, "target" | "wait"> {
  readonly part: Part
  readonly call: ObservedCall
  readonly run: Open
}

/** The id of a call: its own, or that of the one which it goes on with. @internal */
export const idOf = ({ joined }: Part): string => joined?.id ?? crypto.randomUUID()

/**
 * A query with all that is put around its run: outermost those who look on, then the budget, whoever takes over where it
 * cannot answer, and the other policies. One that takes over is seen and budgeted with the call that it goes on with.
 *
 * @internal
 */
export const asking = ({ budget, observation, policies }: Around, { call, part, run, target, wait }: Asking): Open => {
  const { id, options, prompt } = call
  const { joined, standby } = part
  const governedBy = (policy: Policy, open: Open): Open =>
    policy.around === noop.around
      ? open
      : pullOf(policy.around({ id, prompt, options, target, wait })(streamed(open)))
  const own = part === alone ? run : Effect.provideService(run, CurrentPart, alone)
  const budgeted = joined?.budgeted === true
  const all = falling(standby, { id, budgeted: budgeted || budget.around !== noop.around })(governedBy(policies, own))
  const limited = budgeted ? all : governedBy(budget, all)
  return joined === undefined ? observation.whole(call)(limited) : limited
}
