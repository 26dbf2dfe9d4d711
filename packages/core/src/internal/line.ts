import * as Effect from "effect/Effect"

/** One at a time, in the order of coming. */
export class Line {
  private busy = false
  private waiting: Array<() => void> = []

  /** Whoever has entered leaves. One who is interrupted has not entered, also when it was just their turn. */
  get enter(): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      if (!this.busy) {
        this.busy = true
        resume(Effect.void)
        return Effect.sync(() => this.leave())
      }
      let entered = false
      const go = () => {
        entered = true
        resume(Effect.void)
      }
      this.waiting.push(go)
      return Effect.sync(() => {
        if (entered) this.leave()
        else this.waiting = this.waiting.filter((other) => other !== go)
      })
    })
  }

  leave(): void {
    const next = this.waiting.shift()
    if (next === undefined) this.busy = false
    else next()
  }

  /** While nobody else is in. */
  alone<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.zipRight(restore(this.enter), Effect.ensuring(restore(effect), Effect.sync(() => this.leave())))
    )
  }

  get free(): boolean {
    return !this.busy
  }
}
