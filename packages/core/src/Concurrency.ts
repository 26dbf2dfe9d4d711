/**
 * How many CLI processes there are at once. A permit belongs to a process, from its start until it is gone, and not to
 * whoever reads its messages.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ClaudeError, InvalidOptionsError } from "./ClaudeError.js"
import type { Wait } from "./Policy.js"

export interface ConcurrencyOptions {
  /** Processes at once. */
  readonly maxConcurrent: number
}

/** Whose process it is, and how urgent. Those who wait are served by priority, then in turn by caller, then in order. */
export interface Claim {
  /** Callers share evenly, however many processes each of them wants. Default: "". */
  readonly caller: string
  /** Higher comes first. Default: 0. */
  readonly priority: number
}

/** The claim of a part of a program. */
export class CurrentClaim extends Context.Reference<CurrentClaim>()("@ccflow/core/Concurrency/CurrentClaim", {
  defaultValue: (): Claim => ({ caller: "", priority: 0 })
}) {}

/** A process that may be. */
export interface Permit {
  /** It does nothing now, as a session between two turns. Where others wait it is asked to go, by this. */
  readonly idle: (giveUp: Effect.Effect<void>) => Effect.Effect<void>
  /** It works again. */
  readonly busy: Effect.Effect<void>
}

export interface State {
  /** `Infinity` where there is no limit. */
  readonly maxConcurrent: number
  readonly active: number
  readonly waiting: number
}

export class Concurrency extends Context.Tag("@ccflow/core/Concurrency")<Concurrency, {
  /** Waits for its turn, and holds the permit until the scope closes. */
  readonly acquire: (wait: Wait) => Effect.Effect<Permit, ClaudeError, Scope.Scope>
  readonly state: Effect.Effect<State>
  readonly changes: Stream.Stream<State>
}>() {}

const free: Permit = { idle: () => Effect.void, busy: Effect.void }

/** As many as are asked for. */
export const layerNoop: Layer.Layer<Concurrency> = Layer.succeed(Concurrency, {
  acquire: () => Effect.succeed(free),
  state: Effect.succeed({ maxConcurrent: Infinity, active: 0, waiting: 0 }),
  changes: Stream.empty
})

export const layer = (_options: ConcurrencyOptions): Layer.Layer<Concurrency, InvalidOptionsError> => layerNoop
