import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import { UsageLimitStore } from "@ccflow/core/UsageLimit"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { missing } from "./store.js"

/** The windows in this file. A module of its own: only who remembers them loads it. @internal */
export const openUsage = (
  path: string
): Effect.Effect<UsageLimitStore["Type"], SessionStoreError, Scope.Scope> =>
  Effect.gen(function*() {
    const { file, usage } = yield* sql
    const context = yield* Layer.build(Layer.provide(usage.layer, file.layer({ path })))
    return Context.get(context, UsageLimitStore)
  })

// ---------------------------------------------------------------------------

const sql = Effect.tryPromise({
  try: async () => ({
    file: await import("@ccflow/sql/SqliteFile"),
    usage: await import("@ccflow/sql/SqlUsageLimitStore")
  }),
  catch: missing
})
