import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { SessionStoreError } from "../ClaudeError.js"
import type { UsageLimitStore, UsageWindow } from "../UsageLimit.js"

/** What a program has remembered, and how it remembers more without waiting for it. @internal */
export interface UsageMemory {
  readonly remembered: ReadonlyArray<UsageWindow>
  /** The last word of each window is kept, at the end of the scope at the latest. */
  readonly save: (window: UsageWindow) => void
}

/** @internal */
export const make = (store: UsageLimitStore["Type"]): Effect.Effect<UsageMemory, never, Scope.Scope> =>
  Effect.gen(function*() {
    const pending = new Map<string, UsageWindow>()
    const bell = yield* Queue.sliding<void>(1)
    let warned = false

    const remembered = yield* store.load.pipe(
      Effect.timeoutFail({ duration: "5 seconds", onTimeout: () => "no answer within 5 seconds" }),
      Effect.catchAllCause((cause) =>
        Cause.isInterruptedOnly(cause)
          ? Effect.interrupt
          : Effect.as(warn("Usage limits of earlier are not known", cause), [])
      )
    )

    const one = (key: string, window: UsageWindow): Effect.Effect<void> =>
      store.save(window).pipe(
        Effect.matchCauseEffect({
          onFailure: (cause) => {
            if (Cause.isInterruptedOnly(cause)) return Effect.interrupt
            if (warned) return Effect.void
            warned = true
            return warn("Usage limits are not remembered", cause)
          },
          onSuccess: () =>
            Effect.sync(() => {
              warned = false
            })
        }),
        Effect.zipRight(Effect.sync(() => {
          if (pending.get(key) === window) pending.delete(key)
        }))
      )

    const all = Effect.suspend(() =>
      Effect.forEach([...pending], ([key, window]) => one(key, window), { discard: true })
    )

    yield* Effect.addFinalizer(() => all.pipe(Effect.interruptible, Effect.timeoutOption("1 second")))
    yield* Effect.forkScoped(Effect.forever(Effect.zipRight(Queue.take(bell), all)))
    return {
      remembered,
      save: (window) => {
        pending.set(`${window.account}\n${window.limit}`, window)
        bell.unsafeOffer(undefined)
      }
    }
  })

// ---------------------------------------------------------------------------

/** What a store says in a typed error is fit to be read; what it dies of need not be. */
const warn = (what: string, cause: Cause.Cause<SessionStoreError | string>): Effect.Effect<void> =>
  Effect.logWarning(
    `${what}. ${
      Option.match(Cause.failureOption(cause), {
        onNone: () => "The store has failed in a way of its own.",
        onSome: (error) => typeof error === "string" ? error : error.message
      })
    }`
  )
