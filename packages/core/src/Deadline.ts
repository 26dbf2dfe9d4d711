/**
 * How long a call may take: to start, without a sign of life, and in all. They run on the clock, not on output.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { QueryOptions } from "./AgentOptions.js"
import type { CliTimeoutError, InvalidOptionsError } from "./ClaudeError.js"

/** For calls that do not say. `Infinity` is none. */
export interface DeadlineOptions {
  /** Until the first line. Default: 1 minute. */
  readonly startupTimeout?: Duration.DurationInput | undefined
  /** Without any line, while nothing is known to take long. Default: 6 minutes. */
  readonly stallTimeout?: Duration.DurationInput | undefined
  /** The whole call. Default: none. */
  readonly timeout?: Duration.DurationInput | undefined
  /** Background work after the answer. Default: 10 minutes. */
  readonly backgroundTimeout?: Duration.DurationInput | undefined
}

/** In milliseconds; `Infinity` is none. */
export interface Limits {
  readonly startup: number
  readonly stall: number
  readonly total: number
  readonly background: number
}

export class Deadline extends Context.Tag("@ccflow/core/Deadline")<Deadline, {
  /** What holds for a call: its own word comes first. */
  readonly limits: (options: Pick<QueryOptions, keyof DeadlineOptions>) => Limits
  /** Tells that one has run out. */
  readonly expired: (error: CliTimeoutError) => Effect.Effect<void>
  readonly changes: Stream.Stream<CliTimeoutError>
}>() {}

/** Only what a call itself asks for. */
export const layerNoop: Layer.Layer<Deadline> = Layer.succeed(Deadline, {
  limits: (options) => limitsOf(options, {}),
  expired: () => Effect.void,
  changes: Stream.empty
})

export const layer = (options: DeadlineOptions = {}): Layer.Layer<Deadline, InvalidOptionsError> =>
  Layer.succeed(Deadline, {
    limits: (call) => limitsOf(call, { ...defaults, ...options }),
    expired: () => Effect.void,
    changes: Stream.empty
  })

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

const defaults: DeadlineOptions = {
  startupTimeout: "1 minute",
  stallTimeout: "6 minutes",
  backgroundTimeout: "10 minutes"
}

const limitsOf = (call: DeadlineOptions, defaults: DeadlineOptions): Limits => ({
  startup: millis(call.startupTimeout ?? defaults.startupTimeout),
  stall: millis(call.stallTimeout ?? defaults.stallTimeout),
  total: millis(call.timeout ?? defaults.timeout),
  background: millis(call.backgroundTimeout ?? defaults.backgroundTimeout)
})

const millis = (input: Duration.DurationInput | undefined): number =>
  input === undefined ? Infinity : Duration.toMillis(input)
