import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import type { ObservedCall } from "./observation.js"
import type { Open } from "./streamed.js"

/** The span of a call, with its tools as children. @internal */
export const whole = (_call: ObservedCall): (open: Open) => Open => identity

/** The span of one attempt, a child of the call's. @internal */
export const attempt = (_call: ObservedCall): (open: Open) => Open => identity

/** What a process is told, so that its own spans join those of whoever starts it. @internal */
export const environment: Effect.Effect<Readonly<Record<string, string>>> = Effect.succeed({})
