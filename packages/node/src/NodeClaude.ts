/**
 * Everything that a query needs on Node, in one layer.
 */
import type { QueryOptions } from "@ccflow/core/AgentOptions"
import * as Claude from "@ccflow/core/Claude"
import * as ClaudeConfig from "@ccflow/core/ClaudeConfig"
import type { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as MessageParser from "@ccflow/core/MessageParser"
import * as Layer from "effect/Layer"
import * as NodeCliProcess from "./NodeCliProcess.js"

/** Options for all queries and sessions, over those of the environment. */
export interface NodeClaudeOptions
  extends QueryOptions, Claude.ClaudeServiceOptions, NodeCliProcess.NodeCliProcessOptions
{}

export const layerWith = (
  { unref, warm, ...options }: NodeClaudeOptions
): Layer.Layer<Claude.Claude, InvalidOptionsError> =>
  Claude.layerWith({ warm }).pipe(
    Layer.provide(
      Layer.mergeAll(NodeCliProcess.layerWith({ unref }), MessageParser.layer, ClaudeConfig.layerWith(options))
    )
  )

/** The user's `claude`, as the environment says. */
export const layer: Layer.Layer<Claude.Claude, InvalidOptionsError> = layerWith({})
