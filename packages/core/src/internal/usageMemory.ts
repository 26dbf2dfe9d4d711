import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { SessionStoreError } from "../ClaudeError.js"
import type { UsageWindow } from "../UsageLimit.js"
import type { UsageLimitStore } from "../UsageLimitStore.js"
import { inTime } from "./patience.js"
import { keyOf } from "./usageWindows.js"

/** What a program has remembered, and how it remembers more without waiting for it. */
export interface UsageMemory {
  readonly remembered: ReadonlyArray<UsageWindow>
  /** The last word of each window is kept, at the end of the scope at the latest. */
  readonly save: (window: UsageWindow) => void
}

export const make = (store: UsageLimitStore["Type"]): Effect.Effect<UsageMemory, never, Scope.Scope> =>
  Effect.gen(function*() {
    const pending = new Map<string, UsageWindow>()
    const bell = yield* Queue.sliding<void>(1)
    let warned = false

    const remembered = yield* Effect.catchAllCause(
      inTime(store.load, { duration: "5 seconds", onTimeout: () => "no answer within 5 seconds" }),
      (cause) => Effect.as(warn("Usage limits of earlier are not known", cause), [])
    )

    const one = (key: string, window: UsageWindow): Effect.Effect<void> =>
      Effect.flatMap(Effect.exit(store.save(window)), (exit) => {
        if (pending.get(key) === window) pending.delete(key)
        const before = warned
        warned = Exit.isFailure(exit)
        return Exit.isSuccess(exit) || before ? Effect.void : warn("Usage limits are not remembered", exit.cause)
      })

    const all = Effect.suspend(() =>
      Effect.forEach([...pending], ([key, window]) => one(key, window), { discard: true })
    )

    yield* Effect.addFinalizer(() =>
      Effect.ignore(inTime(all, { duration: "1 second", onTimeout: () => "no answer within 1 second" }))
    )
    const saving = Effect.forever(Effect.zipRight(Queue.take(bell), all))
    // It is told to end, and nobody waits until it has.
    yield* Effect.forkScoped(Effect.interruptible(Effect.disconnect(saving)))
    return {
      remembered,
      save: (window) => {
        pending.set(keyOf(window), window)
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
