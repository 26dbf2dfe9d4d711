import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ServiceError } from "./serveErrors.js"

/** Who is in, and who may come in. */
export interface Desk {
  readonly stopping: () => boolean
  /** Any request, until what this gives is called: when its answer is handed to the system, to the last byte. */
  readonly arrive: () => () => void
  /** A request that needs a CLI, until its scope closes. */
  readonly work: Effect.Effect<void, ServiceError, Scope.Scope>
  /** Not longer than a request may take, and not after the service has to stop. */
  readonly within: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ServiceError, R>
  readonly withinStream: <A, E, R>(stream: Stream.Stream<A, E, R>) => Stream.Stream<A, E | ServiceError, R>
  /**
   * Nothing more is begun; what runs may end within the grace, and is then ended. Completes when nobody comes any more,
   * which is what the effect waits for, and nobody is in.
   */
  readonly close: (grace: Duration.DurationInput, lastHasCome: Effect.Effect<void>) => Effect.Effect<void>
}

export const make = (maxRequests: number, timeLimit: number): Effect.Effect<Desk> =>
  Effect.gen(function*() {
    const stop = yield* Deferred.make<never, ServiceError>()
    const empty = yield* Effect.makeLatch(true)
    let inFlight = 0
    let working = 0
    let stopping = false

    const arrive = () => {
      inFlight++
      empty.unsafeClose()
      return () => {
        inFlight--
        if (inFlight === 0) empty.unsafeOpen()
      }
    }
    const work = Effect.acquireRelease(
      Effect.suspend(() => {
        if (stopping) return stopped
        if (working >= maxRequests) return tooMany(maxRequests)
        working++
        return Effect.void
      }),
      () => Effect.sync(() => void working--)
    )
    const end: Effect.Effect<never, ServiceError> = Effect.raceFirst(
      Effect.delay(Effect.fail(tooLong(timeLimit)), timeLimit),
      Deferred.await(stop)
    )
    return {
      stopping: () => stopping,
      arrive,
      work,
      within: (effect) => Effect.raceFirst(effect, end),
      withinStream: (stream) => Stream.interruptWhen(stream, end),
      close: (grace, lastHasCome) =>
        Effect.suspend(() => {
          stopping = true
          // Whoever closes may have been interrupted: only what has a time limit may be.
          const left = (within: Duration.DurationInput) =>
            Effect.timeout(Effect.interruptible(Effect.zipRight(lastHasCome, empty.await)), within)
          return left(grace).pipe(
            // Longer than a CLI can take to be closed.
            Effect.orElse(() => Effect.zipRight(Deferred.fail(stop, stopped), left("10 seconds"))),
            Effect.ignore
          )
        })
    }
  })

export const stopped = new ServiceError({
  type: "Stopping",
  message: "The service is stopping",
  hint: "Ask again when it is back.",
  retryAfter: 5000
})

// ---------------------------------------------------------------------------

const tooMany = (max: number) =>
  new ServiceError({
    type: "TooManyRequests",
    message: `${max} requests at once are all that there may be`,
    hint: "Ask again when one of them has ended.",
    retryAfter: 1000
  })

const tooLong = (limit: number) =>
  new ServiceError({
    type: "RequestTimeout",
    message: `The request took longer than ${Duration.format(limit)}, and was stopped`,
    hint: "Ask for less at once, or let the operator raise --request-timeout."
  })
