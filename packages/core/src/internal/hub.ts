import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ClosableEvents, Event, EventsService, EventType } from "../Events.js"
import { callOf } from "./knownCalls.js"
import { Observers } from "./observed.js"

type Listener = (event: Event) => void

/** Tells everybody, at once or as they come to it, without waiting for anybody. */
export const hub = (now: () => number): ClosableEvents => {
  /** How often each one listens, to all and to some kinds. */
  const listeners = new Map<Listener, Map<EventType | "all", number>>()
  /** Who is told of a kind, as far as somebody has asked since the listeners last changed. */
  const told = new Map<EventType, ReadonlyArray<Listener>>()
  const readers = new Observers<Event>()

  const listening = (type: EventType): ReadonlyArray<Listener> => {
    const known = told.get(type)
    if (known !== undefined) return known
    const found = [...listeners].flatMap(([listener, kinds]) => kinds.has("all") || kinds.has(type) ? [listener] : [])
    told.set(type, found)
    return found
  }

  const count = (listener: Listener, kinds: ReadonlyArray<EventType | "all">, by: 1 | -1): void => {
    const counts = listeners.get(listener) ?? new Map<EventType | "all", number>()
    for (const kind of kinds) {
      const times = (counts.get(kind) ?? 0) + by
      if (times > 0) counts.set(kind, times)
      else counts.delete(kind)
    }
    if (counts.size > 0) listeners.set(listener, counts)
    else listeners.delete(listener)
    told.clear()
  }

  const observe: EventsService["observe"] = (listener, types) => {
    const kinds: ReadonlyArray<EventType | "all"> = types ?? ["all"]
    return Effect.acquireRelease(
      Effect.sync(() => count(listener, kinds, 1)),
      () => Effect.sync(() => count(listener, kinds, -1))
    )
  }

  const subscribe: EventsService["subscribe"] = ({ capacity = 1024, types } = {}) =>
    Effect.gen(function*() {
      const reader = yield* readers.subscribe({ messages: Math.max(1, capacity), bytes: Infinity })
      yield* observe((event) => reader.tell(event), types)
      return { events: reader.stream, dropped: Effect.sync(() => reader.dropped) }
    })

  return {
    silent: (type) => listeners.size === 0 || (type !== undefined && listening(type).length === 0),
    tell: (telling) => {
      if (listeners.size === 0) return
      const hearing = listening(telling._tag)
      if (hearing.length === 0) return
      const event: Event = { ...callOf(telling), ...telling, at: now() }
      for (const listener of hearing) {
        try {
          listener(event)
        } catch {
          // Who listens is no part of what happens.
        }
      }
    },
    observe,
    subscribe,
    stream: Stream.unwrapScoped(Effect.map(subscribe(), ({ events }) => events)),
    close: () => readers.end()
  }
}
