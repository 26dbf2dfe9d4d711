import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ServiceError } from "./serveErrors.js"

/** Who is in, and who may come in. @internal */
export interface Desk {
  readonly inFlight: () => number
  readonly stopping: () => boolean
  /** Any request, until its scope closes. */
  readonly arrive: Effect.Effect<void, never, Scope.Scope>
  /** A request that needs a CLI, until its scope closes. */
  readonly work: Effect.Effect<void, ServiceError, Scope.Scope>
  /** Not longer than a request may take, and not after the service has to stop. */
  readonly within: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ServiceError, R>
  readonly withinStream: <A, E, R>(stream: Stream.Stream<A, E, R>) => Stream.Stream<A, E | ServiceError, R>
  /** Nothing more is begun; what runs may end within the grace, and is then ended. Completes when nobody is in. */
  readonly close: (grace: Duration.DurationInput) => Effect.Effect<void>
}

/** @internal */
export const make = (maxRequests: number, timeLimit: number): Effect.Effect<Desk> =>
  Effect.gen(function*() {
    const stop = yield* Deferred.make<never, ServiceError>()
    const empty = yield* Deferred.make<void>()
    let inFlight = 0
    let working = 0
    let stopping = false

    const arrive = Effect.acquireRelease(
      Effect.sync(() => {
        inFlight++
      }),
      () =>
        Effect.suspend(() => {
          inFlight--
          return stopping && inFlight === 0 ? Deferred.succeed(empty, undefined) : Effect.void
        })
    )
    const work = Effect.acquireRelease(
      Effect.suspend(() => {
        if (stopping) return Effect.fail(stopped)
        if (working >= maxRequests) return Effect.fail(tooMany(maxRequests))
        working++
        return Effect.void
      }),
      () =>
        Effect.sync(() => {
          working--
        })
    )
    const end: Effect.Effect<never, ServiceError> = Effect.raceFirst(
      Effect.delay(Effect.fail(tooLong(timeLimit)), timeLimit),
      Deferred.await(stop)
    )
    return {
      inFlight: () => inFlight,
      stopping: () => stopping,
      arrive,
      work,
      within: (effect) => Effect.raceFirst(effect, end),
      withinStream: (stream) => Stream.interruptWhen(stream, end),
      close: (grace) =>
        Effect.suspend(() => {
          stopping = true
          if (inFlight === 0) return Effect.void
          // Whoever closes may have been interrupted: only what has a time limit may be.
          const left = (within: Duration.DurationInput) =>
            Effect.timeoutOption(Effect.interruptible(Deferred.await(empty)), within)
          return Effect.flatMap(left(grace), (all) =>
            Option.isSome(all)
              ? Effect.void
              // Longer than a CLI can take to be closed.
              : Effect.zipRight(Deferred.fail(stop, stopped), Effect.asVoid(left("10 seconds"))))
        })
    }
  })

/** @internal */
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
