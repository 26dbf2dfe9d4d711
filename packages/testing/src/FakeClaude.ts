/** The whole `Claude` service over a fake CLI: what a test of a program provides in place of the real one. */
import * as Claude from "@ccflow/core/Claude"
import { ClaudeConfig } from "@ccflow/core/ClaudeConfig"
import type { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import type { CliProcess } from "@ccflow/core/CliProcess"
import * as MessageParser from "@ccflow/core/MessageParser"
import * as Policies from "@ccflow/core/Policies"
import type * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as FakeCli from "./FakeCli.js"

/** Options for all queries are not read from the environment here: a test is the same on every machine. */
export const layer = (plays: FakeCli.Plays): Layer.Layer<Claude.Claude | FakeCli.FakeCli> =>
  Layer.orDie(layerWith(plays, Policies.layerNoop))

/** With policies around it, which can be looked at beside it. */
export const layerWith = <E, R>(
  plays: FakeCli.Plays,
  policies: Layer.Layer<Policies.Policies, E, R>
): Layer.Layer<Claude.Claude | FakeCli.FakeCli | Policies.Policies, E | InvalidOptionsError, R> =>
  Layer.provideMerge(claude, Layer.merge(FakeCli.layer(plays), policies))

/** Over what `FakeCli.make` has made, for a test that keeps hold of it. */
export const layerOf = (
  fakes: Context.Context<CliProcess | FakeCli.FakeCli>
): Layer.Layer<Claude.Claude | FakeCli.FakeCli> =>
  Layer.orDie(Layer.provideMerge(claude, Layer.succeedContext(fakes)).pipe(Layer.provide(Policies.layerNoop)))

// ---------------------------------------------------------------------------

const claude = Claude.layerWith().pipe(
  Layer.provide([MessageParser.layer, Layer.succeed(ClaudeConfig, { defaults: {} })])
)
