/**
 * The windows of the subscription: knows which are used up, and lets work wait until they reset.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { InvalidOptionsError } from "./ClaudeError.js"
import * as Policy from "./Policy.js"

export interface UsageLimitOptions {
  /**
   * Work waits for a reset that is at most so far away, and fails with `UsageLimitError` where it is further.
   * `Infinity` waits as long as it takes, 0 never. Default: 5 minutes.
   */
  readonly maxWait?: Duration.DurationInput | undefined
}

/** What is known of a window. */
export interface UsageWindow {
  readonly account: string
  /** As the CLI names it, such as `five_hour`. */
  readonly limit: string
  /** `allowed`, `allowed_warning` or `rejected`. */
  readonly status: string
  /** UTC epoch milliseconds; `null` when the CLI did not say. */
  readonly resetsAt: number | null
  /** From 0 to 1; `null` when the CLI did not say. */
  readonly utilization: number | null
}

export class UsageLimit extends Context.Tag("@ccflow/core/UsageLimit")<
  UsageLimit,
  Policy.Policy & {
    readonly windows: Effect.Effect<ReadonlyArray<UsageWindow>>
    /** Each window whose status has changed: a warning, a rejection, a reset. */
    readonly changes: Stream.Stream<UsageWindow>
  }
>() {}

/** The longest wait for a part of a program, over that of the layer. A batch waits as long as it takes. */
export class CurrentMaxWait extends Context.Reference<CurrentMaxWait>()("@ccflow/core/UsageLimit/CurrentMaxWait", {
  defaultValue: (): Duration.DurationInput | undefined => undefined
}) {}

/** Where windows are remembered, so that a restarted program knows. A store that fails is logged and done without. */
export class UsageLimitStore extends Context.Tag("@ccflow/core/UsageLimitStore")<UsageLimitStore, {
  readonly load: Effect.Effect<ReadonlyArray<UsageWindow>>
  readonly save: (window: UsageWindow) => Effect.Effect<void>
}>() {}

/** For as long as the program runs. */
export const layerStoreMemory: Layer.Layer<UsageLimitStore> = Layer.succeed(UsageLimitStore, {
  load: Effect.succeed([]),
  save: () => Effect.void
})

/** Knows nothing: a rejected call fails, and the next one is made. */
export const layerNoop: Layer.Layer<UsageLimit> = Layer.succeed(UsageLimit, {
  ...Policy.noop,
  windows: Effect.succeed([]),
  changes: Stream.empty
})

/** Remembers in the store that it is given. */
export const layerWith = (
  _options: UsageLimitOptions
): Layer.Layer<UsageLimit, InvalidOptionsError, UsageLimitStore> => layerNoop

/** Remembers for as long as the program runs. */
export const layer = (options: UsageLimitOptions = {}): Layer.Layer<UsageLimit, InvalidOptionsError> =>
  Layer.provide(layerWith(options), layerStoreMemory)
