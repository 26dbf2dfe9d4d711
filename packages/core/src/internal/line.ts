import * as Effect from "effect/Effect"

/** One at a time, in the order of coming. */
export class Line {
  private busy = false
  private readonly waiting: Array<Effect.Latch> = []

  /**
   * Whoever has entered leaves. One who is interrupted has not entered, also when it was just their turn. Nothing is
   * interrupted but what is restored: so nothing comes between one's turn and one's leaving.
   */
  enter(restore: <A>(effect: Effect.Effect<A>) => Effect.Effect<A>): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!this.busy) {
        this.busy = true
        return Effect.void
      }
      const turn = Effect.unsafeMakeLatch()
      this.waiting.push(turn)
      return Effect.onError(restore(turn.await), () =>
        Effect.sync(() => {
          const at = this.waiting.indexOf(turn)
          if (at < 0) this.leave()
          else this.waiting.splice(at, 1)
        }))
    })
  }

  leave(): void {
    const next = this.waiting.shift()
    if (next === undefined) this.busy = false
    else next.unsafeOpen()
  }

  /** While nobody else is in. */
  alone<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.zipRight(this.enter(restore), Effect.ensuring(restore(effect), Effect.sync(() => this.leave())))
    )
  }

  get free(): boolean {
    return !this.busy
  }
}
