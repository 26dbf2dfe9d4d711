/** Whether the CLI can be used, as a promise. */
import { type CheckOptions, HealthCheck, type HealthStatus, layerNoop } from "@ccflow/core/HealthCheck"
import * as Effect from "effect/Effect"
import { following } from "./internal/abort.js"
import * as Owner from "./Owner.js"

export type { Account, HealthStatus, Problem } from "@ccflow/core/HealthCheck"

export interface HealthOptions extends CheckOptions {
  /** Aborting it gives up asking; the call then rejects with an `AbortError`. */
  readonly signal?: AbortSignal | undefined
}

/** Never rejects for what is wrong with the CLI: the status says it. A fake client, without one, is always healthy. */
export const check = (owner: Owner.Owner, options: HealthOptions = {}): Promise<HealthStatus> =>
  following(options, (own) =>
    Owner.valueOf(owner.run(
      Effect.flatMap(
        Effect.orElse(Effect.flatten(Effect.serviceOption(HealthCheck)), () => Effect.provide(HealthCheck, layerNoop)),
        ({ check }) => check(options)
      ),
      own
    )))
