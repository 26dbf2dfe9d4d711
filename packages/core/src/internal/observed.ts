import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Most } from "./inbox.js"

/**
 * Those who look on. Nobody waits for them: one who is slow misses what lies far back, never the last. Without any, to tell
 * costs nothing.
 */
export class Observers<A> {
  private readonly most: Most
  private readonly observers = new Set<Observer<A>>()
  private ended = false

  /** Of one who is slow no more than this is kept. */
  constructor(most: Most = { messages: 1024, bytes: Infinity }) {
    this.most = most
  }

  /** What they read ends when the scope closes. */
  static scoped<A>(): Effect.Effect<Observers<A>, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.sync(() => new Observers<A>()),
      (observers) => Effect.sync(() => observers.end())
    )
  }

  /** What is told from now on, until the scope closes. */
  subscribe(most: Most = this.most): Effect.Effect<Observer<A>, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.sync(() => {
        const observer = new Observer<A>(most)
        if (this.ended) observer.end()
        this.observers.add(observer)
        return observer
      }),
      (observer) => Effect.sync(() => this.observers.delete(observer))
    )
  }

  get stream(): Stream.Stream<A> {
    return Stream.unwrapScoped(Effect.map(this.subscribe(), ({ stream }) => stream))
  }

  get none(): boolean {
    return this.observers.size === 0
  }

  /** Of so many bytes, where they are limited. */
  tell(value: A, bytes = 0): void {
    for (const observer of this.observers) observer.tell(value, bytes)
  }

  end(): void {
    this.ended = true
    for (const observer of this.observers) observer.end()
  }
}

/** What changes, for those who look on. */
export class Observed<A> {
  private readonly current: () => A
  private readonly observers = new Observers<A>()

  constructor(current: () => A) {
    this.current = current
  }

  /** How it is now, and then each change. It ends with `end`. */
  readonly changes: Stream.Stream<A> = Stream.unwrapScoped(Effect.map(this.observers.subscribe(), (observer) => {
    observer.tell(this.current())
    return observer.stream
  }))

  tell(): void {
    if (!this.observers.none) this.observers.tell(this.current())
  }

  end(): void {
    this.observers.end()
  }
}

// ---------------------------------------------------------------------------

/** What one who looks on has not taken yet. */
export class Observer<A> {
  private readonly most: Most
  private held: Array<A> = []
  private sizes: Array<number> = []
  private bytes = 0
  /** How many it was too slow for. */
  dropped = 0
  private ended = false
  /** Closed while its reader waits. */
  private readonly some = Effect.unsafeMakeLatch()

  readonly take: Effect.Effect<Chunk.Chunk<A>, Option.Option<never>> = Effect.suspend(() => {
    if (this.held.length > 0) {
      const taken = Chunk.unsafeFromArray(this.held)
      this.held = []
      this.sizes = []
      this.bytes = 0
      return Effect.succeed(taken)
    }
    if (this.ended) return Effect.fail(Option.none())
    this.some.unsafeClose()
    return Effect.zipRight(this.some.await, this.take)
  })

  get stream(): Stream.Stream<A> {
    return Stream.repeatEffectChunkOption(this.take)
  }

  /** More than this do not wait: the oldest are dropped. The last one is kept, whatever its size. */
  constructor(most: Most) {
    this.most = most
  }

  tell(value: A, bytes = 0): void {
    this.held.push(value)
    this.sizes.push(bytes)
    this.bytes += bytes
    const { most } = this
    while (this.held.length > 1 && (this.held.length > most.messages || this.bytes > most.bytes)) {
      this.held.shift()
      this.bytes -= this.sizes.shift() ?? 0
      this.dropped++
    }
    this.some.unsafeOpen()
  }

  end(): void {
    this.ended = true
    this.some.unsafeOpen()
  }
}
