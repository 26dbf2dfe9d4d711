import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ClosableEvents, Event, EventType, SubscribeOptions, Subscription, Telling } from "../Events.js"
import { callOf } from "./knownCalls.js"
import { Observer } from "./observed.js"

type Listener = (event: Event) => void

/** Tells everybody, at once or as they come to it, without waiting for anybody. */
export class Hub implements ClosableEvents {
  private readonly now: () => number
  /** How often each one listens, to all and to some kinds. */
  private readonly listeners = new Map<Listener, Map<EventType | "all", number>>()
  /** Who is told of a kind, as far as somebody has asked since the listeners last changed. */
  private readonly told = new Map<EventType, ReadonlyArray<Listener>>()
  private readonly readers = new Set<Observer<Event>>()
  private closed = false

  constructor(now: () => number) {
    this.now = now
  }

  readonly silent = (type?: EventType): boolean =>
    this.listeners.size === 0 || (type !== undefined && this.listening(type).length === 0)

  readonly tell = (telling: Telling): void => {
    if (this.listeners.size === 0) return
    const listeners = this.listening(telling._tag)
    if (listeners.length === 0) return
    const event: Event = { ...callOf(telling), ...telling, at: this.now() }
    for (const listener of listeners) {
      try {
        listener(event)
      } catch {
        // Who listens is no part of what happens.
      }
    }
  }

  readonly observe = (
    listener: Listener,
    types?: ReadonlyArray<EventType>
  ): Effect.Effect<void, never, Scope.Scope> => {
    const kinds: ReadonlyArray<EventType | "all"> = types ?? ["all"]
    return Effect.acquireRelease(
      Effect.sync(() => this.count(listener, kinds, 1)),
      () => Effect.sync(() => this.count(listener, kinds, -1))
    )
  }

  readonly subscribe = (
    { capacity = most, types }: SubscribeOptions = {}
  ): Effect.Effect<Subscription, never, Scope.Scope> =>
    Effect.gen(this, function*() {
      const reader = new Observer<Event>({ messages: Math.max(1, capacity), bytes: Infinity })
      if (this.closed) reader.end()
      yield* Effect.acquireRelease(
        Effect.sync(() => this.readers.add(reader)),
        () => Effect.sync(() => this.readers.delete(reader))
      )
      yield* this.observe((event) => reader.tell(event), types)
      return { events: reader.stream, dropped: Effect.sync(() => reader.dropped) }
    })

  readonly stream: Stream.Stream<Event> = Stream.unwrapScoped(
    Effect.map(Effect.suspend(() => this.subscribe()), ({ events }) => events)
  )

  readonly close = (): void => {
    this.closed = true
    for (const reader of this.readers) reader.end()
  }

  private listening(type: EventType): ReadonlyArray<Listener> {
    const known = this.told.get(type)
    if (known !== undefined) return known
    const found = [...this.listeners].flatMap(([listener, kinds]) =>
      kinds.has("all") || kinds.has(type) ? [listener] : []
    )
    this.told.set(type, found)
    return found
  }

  private count(listener: Listener, kinds: ReadonlyArray<EventType | "all">, by: 1 | -1): void {
    const counts = this.listeners.get(listener) ?? new Map<EventType | "all", number>()
    for (const kind of kinds) {
      const count = (counts.get(kind) ?? 0) + by
      if (count > 0) counts.set(kind, count)
      else counts.delete(kind)
    }
    if (counts.size > 0) this.listeners.set(listener, counts)
    else this.listeners.delete(listener)
    this.told.clear()
  }
}

// ---------------------------------------------------------------------------

/** Events that are kept for a slow reader. */
const most = 1024
