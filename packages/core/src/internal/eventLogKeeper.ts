import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { EventLogService, KeepingOptions, LoggedEvent } from "../EventLog.js"
import type { Event } from "../Events.js"
import { keptOf } from "./eventLogKept.js"

/** Takes events as they come, and writes them when it can. */
export const keeper = (
  log: EventLogService,
  { every = "1 second", grace = "2 seconds", maxAge = "90 days", maxEvents = 250_000 }: KeepingOptions
) => {
  const maxAgeMs = Duration.toMillis(maxAge)
  const waiting: Array<LoggedEvent> = []
  /** Open while any wait. */
  const some = Effect.unsafeMakeLatch()
  /** Open when they wait for no others. */
  const soon = Effect.unsafeMakeLatch()
  let ending = false
  let dropped = 0
  let failing = false
  let forgotAt = -Infinity
  let writtenSince = 0

  const tell = (event: Event): void => {
    const kept = keptOf(event)
    if (kept === undefined) return
    if (waiting.length === most) {
      waiting.shift()
      dropped++
    }
    waiting.push(kept)
    some.unsafeOpen()
    // A program may end as soon as it has its answer.
    const ends = kept._tag === "QueryEnded" || kept._tag === "TurnCompleted"
    if (ends || waiting.length >= batch) soon.unsafeOpen()
  }

  const written = (count: number): Effect.Effect<void> =>
    Effect.gen(function*() {
      failing = false
      const missing = dropped
      dropped = 0
      if (missing > 0) yield* Effect.logWarning(`The event log is slow: ${missing} events were not kept.`)
      const now = yield* Clock.currentTimeMillis
      writtenSince += count
      if (now - forgotAt < hourMs && writtenSince < 10_000) return
      forgotAt = now
      writtenSince = 0
      yield* Effect.exit(log.forget({ before: now - maxAgeMs, most: maxEvents }))
    })

  const failed = (cause: Cause.Cause<unknown>, count: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      dropped += count
      if (failing) return Effect.void
      failing = true
      const error = Cause.squash(cause)
      return Effect.logWarning(`Events are not kept: ${error instanceof Error ? error.message : String(error)}`)
    })

  const write: Effect.Effect<void> = Effect.gen(function*() {
    while (!ending || waiting.length > 0) {
      yield* some.await
      yield* Effect.raceFirst(Effect.sleep(every), soon.await)
      while (waiting.length > 0) {
        const events = waiting.splice(0, batch)
        yield* Effect.matchCauseEffect(log.append(events), {
          onFailure: (cause) => failed(cause, events.length),
          onSuccess: () => written(events.length)
        })
      }
      some.unsafeClose()
      soon.unsafeClose()
    }
  })

  /** Until the scope ends; then what waits is written, for as long as the grace lasts. */
  const work: Effect.Effect<void, never, Scope.Scope> = Effect.gen(function*() {
    // Nobody waits for a log that cannot be interrupted.
    const fiber = yield* Effect.forkScoped(Effect.interruptible(Effect.disconnect(write)))
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        ending = true
        some.unsafeOpen()
        soon.unsafeOpen()
        return Fiber.join(fiber).pipe(Effect.interruptible, Effect.timeoutOption(grace), Effect.ignore)
      })
    )
  })

  return { tell, work }
}

// ---------------------------------------------------------------------------

/** Events that wait for a slow log. */
const most = 8192

/** Events that are written at once. */
const batch = 500

const hourMs = 60 * 60 * 1000
