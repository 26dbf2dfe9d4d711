import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Event, EventsService, Telling } from "../Events.js"
import { Observer } from "./observed.js"

/** Tells everybody, at once or as they come to it, without waiting for anybody. @internal */
export class Hub implements EventsService {
  private readonly now: () => number
  private readonly observers = new Map<(event: Event) => void, number>()

  constructor(now: () => number) {
    this.now = now
  }

  readonly silent = (): boolean => this.observers.size === 0

  readonly tell = (telling: Telling): void => {
    if (this.observers.size === 0) return
    const event: Event = { ...telling, at: this.now() }
    for (const observer of this.observers.keys()) {
      try {
        observer(event)
      } catch {
        // Who listens is no part of what happens.
      }
    }
  }

  readonly observe = (observer: (event: Event) => void): Effect.Effect<void, never, Scope.Scope> =>
    Effect.acquireRelease(
      Effect.sync(() => {
        this.observers.set(observer, (this.observers.get(observer) ?? 0) + 1)
      }),
      () =>
        Effect.sync(() => {
          const left = (this.observers.get(observer) ?? 0) - 1
          if (left > 0) this.observers.set(observer, left)
          else this.observers.delete(observer)
        })
    )

  readonly stream: Stream.Stream<Event> = Stream.unwrapScoped(Effect.gen(this, function*() {
    const reader = new Observer<Event>(most)
    yield* this.observe((event) => reader.tell(event))
    return Stream.repeatEffectChunkOption(reader.take)
  }))
}

// ---------------------------------------------------------------------------

/** Events that are kept for a slow reader. */
const most = 1024
