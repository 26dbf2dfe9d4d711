import * as Context from "effect/Context"
import * as Events from "../Events.js"

/**
 * The call that a fiber works for, and who is told of it: for what happens deep within an attempt, where nobody knows
 * calls. It is only there while somebody listens.
 */
export class CurrentCall extends Context.Reference<CurrentCall>()("@ccflow/core/internal/CurrentCall", {
  defaultValue: (): { readonly id: string | undefined; readonly events: Events.EventsService } => ({
    id: undefined,
    events: Events.noop
  })
}) {}

/** What an event says of its call. */
export const saying = (id: string | undefined): { readonly callId?: string } => id === undefined ? {} : { callId: id }
