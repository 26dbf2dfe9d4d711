/** Everything that a query needs on Node, in one layer. */
import type { QueryOptions } from "@ccflow/core/AgentOptions"
import * as Claude from "@ccflow/core/Claude"
import * as ClaudeConfig from "@ccflow/core/ClaudeConfig"
import type { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as Events from "@ccflow/core/Events"
import * as HealthCheck from "@ccflow/core/HealthCheck"
import * as MessageParser from "@ccflow/core/MessageParser"
import * as Policies from "@ccflow/core/Policies"
import * as UsageLedger from "@ccflow/core/UsageLedger"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { capacity, processesOn } from "./internal/machine.js"
import * as NodeCliProcess from "./NodeCliProcess.js"

/** Options for all queries and sessions, over those of the environment. */
export interface NodeClaudeBareOptions
  extends QueryOptions, Claude.ClaudeServiceOptions, NodeCliProcess.NodeCliProcessOptions
{}

/** And what is asked of the policies. */
export interface NodeClaudeOptions extends NodeClaudeBareOptions, Policies.PolicyOptions {}

/** With the policies that the program gives: those of `Policies.layer`, some of them replaced, or its own. */
export const layerWithoutPolicies = (
  { unref, warm, ...options }: NodeClaudeBareOptions = {}
): Layer.Layer<Claude.Claude | HealthCheck.HealthCheck, InvalidOptionsError, Policies.Policies> =>
  Layer.merge(Claude.layerWith({ warm }), HealthCheck.layer()).pipe(
    Layer.provide(
      Layer.mergeAll(NodeCliProcess.layerWith({ unref }), MessageParser.layer, ClaudeConfig.layerWith(options))
    )
  )

/** What a program on Node has: queries, the policies around them, and what can be known of them. */
export type Services =
  | Claude.Claude
  | HealthCheck.HealthCheck
  | Policies.Policies
  | Events.Events
  | UsageLedger.UsageLedger

/**
 * With all policies, which can be looked at beside it, as can the events and the ledger: those of the program where it
 * provides its own to this layer, else new ones in memory.
 */
export const layerWith = (
  { budget, circuitBreaker, maxConcurrent, rateLimit, retry, usageLimit, ...options }: NodeClaudeOptions
): Layer.Layer<Services, InvalidOptionsError> =>
  layerWithoutPolicies(options).pipe(
    Layer.provideMerge(
      Layer.suspend(() =>
        Policies.layerWith(
          { budget, circuitBreaker, maxConcurrent, rateLimit, retry, usageLimit },
          { maxConcurrent: processesOn(capacity()) }
        )
      )
    ),
    Layer.provideMerge(
      Layer.merge(own(Events.Events, Events.layer), own(UsageLedger.UsageLedger, UsageLedger.layerMemory))
    )
  )

/** The user's `claude`, as the environment says. */
export const layer: Layer.Layer<Services, InvalidOptionsError> = Layer.suspend(() => layerWith({}))

// ---------------------------------------------------------------------------

/** That of the program, where it has one. */
const own = <I, S>(tag: Context.Tag<I, S>, otherwise: Layer.Layer<I>): Layer.Layer<I> =>
  Layer.unwrapEffect(Effect.map(
    Effect.serviceOption(tag),
    Option.match({ onNone: () => otherwise, onSome: (service) => Layer.succeed(tag, service) })
  ))
