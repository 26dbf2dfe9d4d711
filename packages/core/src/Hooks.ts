/**
 * What a program does at points of the CLI's loop: before a tool runs and after it, on a prompt, at the end of a turn.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/** A handler for an event. Made by `on`. */
export interface Registration<R = never> {
  readonly event: string
  readonly matcher: string | undefined
  readonly run: (input: unknown) => Effect.Effect<unknown, never, R>
}

/** The hooks of all queries of a fiber and its children, beside those of the call. */
export class Hooks extends Context.Reference<Hooks>()("@ccflow/core/Hooks", {
  defaultValue: (): ReadonlyArray<Registration> => []
}) {}
