import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

const maxTimerMs = 2 ** 31 - 1

/**
 * Keeps this Node alive until the promise has settled. Neither the CLIs nor the timers of a client do it, so that a
 * session which nothing is asked of does not hold the program.
 */
export const keepingAlive = <A>(promise: Promise<A>): Promise<A> => {
  if (holds++ === 0) handle = setInterval(() => {}, maxTimerMs)
  return promise.finally(() => {
    if (--holds === 0) clearInterval(handle)
  })
}

/** Time as it is, and timers that keep nobody alive. */
export const clock: Clock.Clock = Object.assign(Clock.make(), {
  sleep: (duration: Duration.Duration) =>
    Effect.async<void>((resume) => {
      const ms = Duration.toMillis(duration)
      // What is longer than a timer can be never comes.
      if (ms > maxTimerMs) return
      const timer = setTimeout(() => resume(Effect.void), ms).unref()
      return Effect.sync(() => clearTimeout(timer))
    })
})

// ---------------------------------------------------------------------------

let holds = 0
let handle: ReturnType<typeof setInterval> | undefined
