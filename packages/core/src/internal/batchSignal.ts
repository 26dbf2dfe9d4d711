import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"

/** Wakes all who wait for a state that others change. */
export class BatchSignal {
  private next = Deferred.unsafeMake<void>(FiberId.none)

  readonly fire = (): void => {
    const now = this.next
    this.next = Deferred.unsafeMake<void>(FiberId.none)
    Deferred.unsafeDone(now, Effect.void)
  }

  /** Waits until there is something. Between two looks nothing is missed. */
  until<A>(look: () => A | undefined): Effect.Effect<A> {
    return Effect.suspend(() => {
      const found = look()
      return found === undefined ? Effect.zipRight(Deferred.await(this.next), this.until(look)) : Effect.succeed(found)
    })
  }
}
