/** Makes a call again that has failed for a passing reason, as long as nothing of it was answered or done. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleIntervals from "effect/ScheduleIntervals"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { CCFlowError, type ClaudeError, type InvalidOptionsError } from "./ClaudeError.js"
import * as Events from "./Events.js"
import { Observers } from "./internal/observed.js"
import * as Options from "./internal/policyOptions.js"
import { type Again, reopening } from "./internal/reopening.js"
import { around } from "./internal/streamed.js"
import * as Policy from "./Policy.js"

/** How often, and how long to wait before. */
export interface BackoffOptions {
  /** Beside the first attempt. Default: 3. */
  readonly maxRetries?: number | undefined
  /** Before the first retry. Default: 1 second. */
  readonly baseDelay?: Duration.DurationInput | undefined
  /** The longest backoff, before jitter. Default: 30 seconds. */
  readonly maxDelay?: Duration.DurationInput | undefined
  /** How much longer each backoff is than the one before. Default: 2, which doubles it. */
  readonly exponentialBase?: number | undefined
  /** The part of a backoff that chance may add or take, from 0 to 1, so that many do not come at once. Default: 0.2. */
  readonly jitter?: number | undefined
}

export interface RetryOptions extends BackoffOptions {
  /** Which failures pass. Default: `isTransient`. */
  readonly retryable?: ((error: ClaudeError) => boolean) | undefined
  /** In place of the backoff. It is given the errors; a wait that the server has told still comes first. */
  readonly schedule?: Schedule.Schedule<unknown, ClaudeError> | undefined
}

/** A call is about to be made again. */
export interface Retrying {
  readonly target: Policy.Target
  /** The first retry is 1. */
  readonly attempt: number
  readonly delayMs: number
  readonly error: ClaudeError
}

export class Retry extends Context.Tag("@ccflow/core/Retry")<
  Retry,
  Policy.Policy & {
    /** Each retry, before its wait. Who reads slowly misses some. */
    readonly changes: Stream.Stream<Retrying>
  }
>() {}

export const make = (options: RetryOptions = {}): Effect.Effect<Retry["Type"], InvalidOptionsError, Scope.Scope> =>
  Effect.gen(function*() {
    const { retryable = isTransient, schedule, ...backoff } = yield* checkRetry(options)
    const timing = schedule === undefined ? backoffOf(backoff) : orAsTold(schedule)
    const changes = yield* Observers.scoped<Retrying>()
    const events = yield* Events.current

    const again = ({ id: callId, target, wait }: Policy.Call): Again => {
      let state: unknown = timing.initial
      let attempt = 0
      return (error) =>
        Effect.gen(function*() {
          if (!retryable(error)) return
          const now = yield* Clock.currentTimeMillis
          const [next, , decision] = yield* timing.step(now, error, state)
          if (ScheduleDecision.isDone(decision)) return
          state = next
          attempt++
          const delayMs = Math.max(0, ScheduleIntervals.start(decision.intervals) - now)
          events.tell({ _tag: "Retrying", callId, attempt, delayMs, error })
          changes.tell({ target, attempt, delayMs, error })
          return wait(Effect.sleep(delayMs))
        })
    }

    return {
      around: (call) => around((open) => Effect.suspend(() => reopening(open, again(call)))),
      changes: changes.stream
    }
  })

export const layer = (options: RetryOptions = {}): Layer.Layer<Retry, InvalidOptionsError> =>
  Layer.scoped(Retry, make(options))

export const layerConfig = Options.configured(layer)

/** Every failure is the last. */
export const layerNoop: Layer.Layer<Retry> = Layer.succeed(Retry, { ...Policy.noop, changes: Stream.empty })

/**
 * The API was overloaded, failed, was not reached or had too many requests of a key, or the machine had no room for
 * one more process: the same call may be answered in a moment. A used-up window of a subscription is not such a failure.
 */
export const isTransient = (error: ClaudeError): boolean => {
  switch (error._tag) {
    case "OverloadedError":
    case "ApiRateLimitError":
      return true
    case "ApiError":
      return error.type === "connection_failed" ||
        (error.type !== "billing_error" && (error.status === 429 || isServerError(error.status)))
    case "ApiClientError":
      return error.status === null ? error.type !== "unsupported_option" : isServerError(error.status)
    case "CliSpawnError":
      return error.reason === "NoResources"
    default:
      return false
  }
}

/**
 * The waits of a retry, for effects of one's own: `Effect.retry({ schedule, while: … })`. A wait that the server has
 * told, in the `retryAfter` of one of our errors, comes before the backoff.
 */
export const backoff = (
  options: BackoffOptions = {}
): Effect.Effect<Schedule.Schedule<unknown, unknown>, InvalidOptionsError> =>
  Effect.map(checkBackoff(options), backoffOf)

// ---------------------------------------------------------------------------

const backoffFields = {
  maxRetries: Schema.optional(Options.CountFromZero),
  baseDelay: Schema.optional(Options.Time),
  maxDelay: Schema.optional(Options.Time),
  exponentialBase: Schema.optional(
    Schema.Finite.pipe(Schema.greaterThanOrEqualTo(1)).annotations({ description: "a number of at least 1" })
  ),
  jitter: Schema.optional(Schema.Number.pipe(Schema.between(0, 1)).annotations({ description: "a number from 0 to 1" }))
}

const checkBackoff = Options.checked(Schema.Struct(backoffFields), "retry")

const checkRetry = Options.checked(
  Schema.Struct({
    ...backoffFields,
    retryable: Schema.optional(Options.Callback),
    schedule: Schema.optional(Schema.declare(Schedule.isSchedule, { description: "a Schedule" }))
  }),
  "retry"
)

const isServerError = (status: number | null): boolean => status !== null && status >= 500

const backoffOf = (
  { baseDelay = "1 second", exponentialBase = 2, jitter = 0.2, maxDelay = "30 seconds", maxRetries = 3 }: BackoffOptions
): Schedule.Schedule<unknown, unknown> =>
  Schedule.exponential(baseDelay, exponentialBase).pipe(
    Schedule.modifyDelay((_, delay) => Duration.min(delay, maxDelay)),
    Schedule.jitteredWith({ min: 1 - jitter, max: 1 + jitter }),
    orAsTold,
    Schedule.intersect(Schedule.recurs(maxRetries))
  )

const orAsTold = <In>(schedule: Schedule.Schedule<unknown, In>): Schedule.Schedule<unknown, In> =>
  schedule.pipe(
    Schedule.intersect(Schedule.identity<In>()),
    Schedule.modifyDelay(([, error], delay) => toldBy(error) ?? delay)
  )

/** Milliseconds. What other libraries mean by such a field is not known. */
const toldBy = (error: unknown): number | undefined =>
  error instanceof CCFlowError && Predicate.hasProperty(error, "retryAfter") && Predicate.isNumber(error.retryAfter)
    ? error.retryAfter
    : undefined
