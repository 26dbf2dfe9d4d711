import { identity } from "effect/Function"
import type { EventsService } from "../Events.js"
import type { ObservedCall } from "./observation.js"
import type { Open } from "./streamed.js"

/** Tells of a call: its beginning, its messages, its end. @internal */
export const whole = (_events: EventsService, _call: ObservedCall): (open: Open) => Open => identity
