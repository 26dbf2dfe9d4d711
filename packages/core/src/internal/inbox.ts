import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"

type Taken<A, E> = Effect.Effect<ReadonlyArray<A>, Option.Option<E>>

/**
 * Batches on their way from one reader to one consumer. The reader asks for room before it reads on, so that a slow
 * consumer slows the CLI instead of filling memory; the end is told after everything before it has been taken.
 *
 * @internal
 */
export class Inbox<A, E> {
  private held: ReadonlyArray<A> = []
  private ended: Taken<A, E> | undefined
  private taker: ((batch: Taken<A, E>) => void) | undefined
  private waiting: (() => void) | undefined
  private readonly limit: number

  constructor(limit: number) {
    this.limit = limit
  }

  readonly take: Taken<A, E> = Effect.suspend(() => {
    if (this.held.length > 0) return Effect.succeed(this.empty())
    if (this.ended !== undefined) return this.ended
    return Effect.async<ReadonlyArray<A>, Option.Option<E>>((resume) => {
      this.taker = resume
      return Effect.sync(() => {
        this.taker = undefined
      })
    })
  })

  /** Waits until the consumer has taken what is here, when that is more than the limit. */
  readonly room: Effect.Effect<void> = Effect.async<void>((resume) => {
    if (!this.full) return resume(Effect.void)
    this.waiting = () => resume(Effect.void)
  })

  get full(): boolean {
    return this.held.length >= this.limit
  }

  offer(batch: ReadonlyArray<A>): void {
    if (batch.length === 0 || this.ended !== undefined) return
    this.held = this.held.length === 0 ? batch : [...this.held, ...batch]
    const { taker } = this
    if (taker === undefined) return
    this.taker = undefined
    taker(Effect.succeed(this.empty()))
  }

  /** The first end counts. */
  end(end: Effect.Effect<never, Option.Option<E>>): void {
    if (this.ended !== undefined) return
    this.ended = end
    const { taker } = this
    this.taker = undefined
    taker?.(end)
  }

  private empty(): ReadonlyArray<A> {
    const taken = this.held
    this.held = []
    this.waiting?.()
    this.waiting = undefined
    return taken
  }
}
