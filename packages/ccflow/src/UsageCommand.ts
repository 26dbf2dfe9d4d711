/**
 * Not here yet.
 */
import * as Effect from "effect/Effect"

export const run = (_argv: readonly [node: string, script: string], _args: ReadonlyArray<string>) => Effect.void
