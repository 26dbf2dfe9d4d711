/** Where the windows of the subscription are remembered, so that a restarted program knows which are used up. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SessionStoreError } from "./ClaudeError.js"
import { keyOf } from "./internal/usageWindows.js"
import type { UsageWindow } from "./UsageLimit.js"

/** What fails is logged by `UsageLimit` and done without. */
export class UsageLimitStore extends Context.Tag("@ccflow/core/UsageLimitStore")<UsageLimitStore, {
  readonly load: Effect.Effect<ReadonlyArray<UsageWindow>, SessionStoreError>
  /** One by account and limit. What is older by `seenAt` than that which is there changes nothing. */
  readonly save: (window: UsageWindow) => Effect.Effect<void, SessionStoreError>
}>() {}

/** For as long as the layer lives. `@ccflow/sql` keeps. */
export const layerMemory: Layer.Layer<UsageLimitStore> = Layer.sync(UsageLimitStore, () => {
  const windows = new Map<string, UsageWindow>()
  return {
    load: Effect.sync(() => [...windows.values()]),
    save: (window) =>
      Effect.sync(() => {
        if ((windows.get(keyOf(window))?.seenAt ?? 0) <= window.seenAt) windows.set(keyOf(window), window)
      })
  }
})
