import { UsageLimitStore } from "@ccflow/core/UsageLimit"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"

/**
 * In the file that this names; nothing is remembered where it is empty. It is opened by the first who asks, once.
 *
 * @internal
 */
export const layer = (path: Config.Config<string>): Layer.Layer<UsageLimitStore> =>
  Layer.scoped(
    UsageLimitStore,
    Effect.gen(function*() {
      const scope = yield* Effect.scope
      const file = yield* Effect.orDie(path)
      if (file.trim() === "") return { load: Effect.succeed([]), save: () => Effect.void }
      const store = yield* Effect.cached(
        Effect.flatMap(
          Effect.promise(() => import("./openUsage.js")),
          ({ openUsage }) => Scope.extend(openUsage(file), scope)
        )
      )
      return {
        load: Effect.flatMap(store, ({ load }) => load),
        save: (window) => Effect.flatMap(store, ({ save }) => save(window))
      }
    })
  )
