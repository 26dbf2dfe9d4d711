/**
 * The whole `Claude` service over a fake CLI: what a test of a program provides in place of the real one.
 */
import * as Claude from "@ccflow/core/Claude"
import { ClaudeConfig } from "@ccflow/core/ClaudeConfig"
import * as MessageParser from "@ccflow/core/MessageParser"
import * as Layer from "effect/Layer"
import * as FakeCli from "./FakeCli.js"

/** Options for all queries are not read from the environment here: a test is the same on every machine. */
export const layer = (
  script: Parameters<typeof FakeCli.layer>[0]
): Layer.Layer<Claude.Claude | FakeCli.FakeCli> =>
  Claude.layer.pipe(
    Layer.provide([MessageParser.layer, Layer.succeed(ClaudeConfig, { defaults: {} })]),
    Layer.provideMerge(FakeCli.layer(script))
  )
