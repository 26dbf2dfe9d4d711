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
  /** Two batches and more, of which `held` is what they make together. */
  private gathered: Array<A> | undefined
  private ended: Taken<A, E> | undefined
  private taker: (() => void) | undefined
  private waiting: (() => void) | undefined
  private limit: number

  constructor(limit: number) {
    this.limit = limit
  }

  /**
   * What it is woken to is to look again: a consumer that was interrupted meanwhile leaves what has come to the next. So
   * nothing need be called off, which would cost as much again as the waiting, and hold messages past their time.
   */
  readonly take: Taken<A, E> = Effect.suspend(() => {
    if (this.held.length > 0) return Effect.succeed(this.empty())
    return this.ended ?? this.arrival
  })

  private readonly arrival: Taken<A, E> = Effect.async((resume) => {
    this.taker = () => resume(this.take)
  })

  /** Waits until the consumer has taken what is here, when that is more than the limit. */
  readonly room: Effect.Effect<void> = Effect.async<void>((resume) => {
    if (!this.full) return resume(Effect.void)
    this.waiting = () => resume(Effect.void)
  })

  get full(): boolean {
    return this.held.length >= this.limit
  }

  /** The reader need not wait for the consumer so soon any more. */
  widen(limit: number): void {
    this.limit = limit
    if (!this.full) this.release()
  }

  offer(batch: ReadonlyArray<A>): void {
    if (batch.length === 0 || this.ended !== undefined) return
    if (this.held.length === 0) this.held = batch
    else {
      this.held = this.gathered ??= [...this.held]
      for (const item of batch) this.gathered.push(item)
    }
    this.wake()
  }

  /** The first end counts. */
  end(end: Effect.Effect<never, Option.Option<E>>): void {
    if (this.ended !== undefined) return
    this.ended = end
    this.wake()
  }

  private wake(): void {
    const { taker } = this
    this.taker = undefined
    taker?.()
  }

  private empty(): ReadonlyArray<A> {
    const taken = this.held
    this.held = []
    this.gathered = undefined
    this.release()
    return taken
  }

  private release(): void {
    const { waiting } = this
    this.waiting = undefined
    waiting?.()
  }
}
