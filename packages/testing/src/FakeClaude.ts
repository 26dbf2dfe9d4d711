/**
 * The whole `Claude` service over a fake CLI: what a test of a program provides in place of the real one.
 */
import * as Claude from "@ccflow/core/Claude"
import { ClaudeConfig } from "@ccflow/core/ClaudeConfig"
import type { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as MessageParser from "@ccflow/core/MessageParser"
import * as Policies from "@ccflow/core/Policies"
import * as Layer from "effect/Layer"
import * as FakeCli from "./FakeCli.js"

/** Options for all queries are not read from the environment here: a test is the same on every machine. */
export const layer = (
  script: Parameters<typeof FakeCli.layer>[0]
): Layer.Layer<Claude.Claude | FakeCli.FakeCli> => Layer.orDie(layerWith(script, Policies.layerNoop))

/** With policies around it, which can be looked at beside it. */
export const layerWith = <E, R>(
  script: Parameters<typeof FakeCli.layer>[0],
  policies: Layer.Layer<Policies.Policies, E, R>
): Layer.Layer<Claude.Claude | FakeCli.FakeCli | Policies.Policies, E | InvalidOptionsError, R> =>
  Claude.layerWith().pipe(
    Layer.provide([MessageParser.layer, Layer.succeed(ClaudeConfig, { defaults: {} })]),
    Layer.provideMerge(Layer.merge(FakeCli.layer(script), policies))
  )
