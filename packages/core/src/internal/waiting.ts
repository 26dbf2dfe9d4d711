import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import type { Wait } from "../Policy.js"
import { givenUp } from "./turnErrors.js"

/** Nobody interrupts: it waits as it is. */
export const patiently: Wait = identity

/** Waits until this completes. The call is given up then: it has not begun, and nothing of it was sent. */
export const waitUnless = (interrupted: Effect.Effect<unknown> | undefined): Wait =>
  interrupted === undefined
    ? patiently
    : (effect) => Effect.raceFirst(effect, Effect.zipRight(interrupted, Effect.suspend(() => givenUp(""))))
