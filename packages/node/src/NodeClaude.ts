/**
 * Everything that a query needs on Node, in one layer.
 */
import type { QueryOptions } from "@ccflow/core/AgentOptions"
import * as Claude from "@ccflow/core/Claude"
import * as ClaudeConfig from "@ccflow/core/ClaudeConfig"
import type { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as HealthCheck from "@ccflow/core/HealthCheck"
import * as MessageParser from "@ccflow/core/MessageParser"
import * as Policies from "@ccflow/core/Policies"
import * as Layer from "effect/Layer"
import { machine, processesOn } from "./internal/capacity.js"
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

/** With all policies, which can be looked at beside it. */
export const layerWith = (
  { circuitBreaker, maxConcurrent, rateLimit, retry, usageLimit, ...options }: NodeClaudeOptions
): Layer.Layer<Claude.Claude | HealthCheck.HealthCheck | Policies.Policies, InvalidOptionsError> =>
  Layer.provideMerge(
    layerWithoutPolicies(options),
    Layer.suspend(() =>
      Policies.layerWith(
        { circuitBreaker, maxConcurrent, rateLimit, retry, usageLimit },
        { maxConcurrent: processesOn(machine()) }
      )
    )
  )

/** The user's `claude`, as the environment says. */
export const layer: Layer.Layer<Claude.Claude | HealthCheck.HealthCheck | Policies.Policies, InvalidOptionsError> =
  layerWith({})
