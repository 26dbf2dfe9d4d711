/**
 * How long a call may take: to start, without a sign of life, and in all. They run on the clock, not on output.
 *
 * When one runs out the CLI is interrupted and given 2 seconds to say what there was, which the error then has: the text
 * so far, what it cost, and the session to resume.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { QueryOptions } from "./AgentOptions.js"
import type { CliTimeoutError, InvalidOptionsError } from "./ClaudeError.js"
import { CurrentCall, saying } from "./internal/currentCall.js"
import { Observers } from "./internal/observed.js"
import * as Options from "./internal/policyOptions.js"

/** For calls that do not say. Each is above zero; `Infinity` is none. */
export interface DeadlineOptions {
  /** From the start of the process until its first line. Default: 1 minute. */
  readonly startupTimeout?: Duration.DurationInput | undefined
  /**
   * Without any line. The clock stands still while a tool or a hook runs, the program is asked something, the CLI waits
   * to ask the API again or compacts, and while a consumer takes nothing. Default: 6 minutes.
   */
  readonly stallTimeout?: Duration.DurationInput | undefined
  /** The whole call, from when the limits let it through: waiting for a process counts. Default: none. */
  readonly timeout?: Duration.DurationInput | undefined
  /** Background work after the answer of a query, which stands when it runs out. Default: 10 minutes. */
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
  /** Tells that one has run out. It never waits for those who watch. */
  readonly expired: (error: CliTimeoutError) => Effect.Effect<void>
  /** Each that runs out from now on. One who is slow to take them misses the oldest. */
  readonly changes: Stream.Stream<CliTimeoutError>
}>() {}

export const make = (
  options: DeadlineOptions = {}
): Effect.Effect<Deadline["Type"], InvalidOptionsError> =>
  Effect.gen(function*() {
    yield* check(options)
    const changes = new Observers<CliTimeoutError>({ messages: 256, bytes: Infinity })
    return {
      limits: (call) => limitsOf(call, options, defaults),
      expired: (error) =>
        Effect.map(CurrentCall, ({ events, id }) => {
          const { phase, timeoutMs } = error
          events.tell({ _tag: "TimedOut", ...saying(id), phase, timeoutMs })
          changes.tell(error)
        }),
      changes: changes.stream
    }
  })

export const layer = (options: DeadlineOptions = {}): Layer.Layer<Deadline, InvalidOptionsError> =>
  Layer.effect(Deadline, make(options))

/** Only what a call itself asks for. */
export const layerNoop: Layer.Layer<Deadline> = Layer.succeed(Deadline, {
  limits: (call) => limitsOf(call),
  expired: () => Effect.void,
  changes: Stream.empty
})

export const layerConfig = Options.configured(layer)

// ---------------------------------------------------------------------------

const defaults: DeadlineOptions = {
  startupTimeout: "1 minute",
  stallTimeout: "6 minutes",
  backgroundTimeout: "10 minutes"
}

const check = Options.checked(
  Schema.Struct({
    startupTimeout: Schema.optional(Options.PatienceAboveZero),
    stallTimeout: Schema.optional(Options.PatienceAboveZero),
    timeout: Schema.optional(Options.PatienceAboveZero),
    backgroundTimeout: Schema.optional(Options.PatienceAboveZero)
  }),
  ""
)

/** The first of them that says anything, for each. */
const limitsOf = (...options: ReadonlyArray<DeadlineOptions>): Limits => {
  const first = (name: keyof DeadlineOptions): number => {
    for (const { [name]: given } of options) if (given !== undefined) return Duration.toMillis(given)
    return Infinity
  }
  return {
    startup: first("startupTimeout"),
    stall: first("stallTimeout"),
    total: first("timeout"),
    background: first("backgroundTimeout")
  }
}
