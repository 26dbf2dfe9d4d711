import { Claude } from "@ccflow/core/Claude"
import { type InvalidOptionsError, SessionStoreError } from "@ccflow/core/ClaudeError"
import * as SessionManager from "@ccflow/core/SessionManager"
import { SessionRepository, type SessionRepositoryService } from "@ccflow/core/SessionRepository"
import * as NodeSessionHolder from "@ccflow/node/NodeSessionHolder"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** A client's session records, opened. */
export interface Opened {
  readonly manager: SessionManager.SessionManager["Type"]
  readonly repository: SessionRepositoryService
}

/** The records of a client, where it keeps any. The store is opened by the first who needs it, once. */
export class Records extends Context.Tag("ccflow/Records")<Records, {
  readonly open: Effect.Effect<Opened | undefined, InvalidOptionsError | SessionStoreError>
}>() {}

/** In the file that this names; none where it is empty. */
export const layer = (path: Config.Config<string>): Layer.Layer<Records, never, Claude> =>
  Layer.scoped(
    Records,
    Effect.gen(function*() {
      const scope = yield* Effect.scope
      const claude = yield* Claude
      const file = yield* Effect.orDie(path)
      const one = Effect.unsafeMakeSemaphore(1).withPermits(1)
      let opened: Opened | undefined

      const open = Effect.gen(function*() {
        const { layer } = yield* sqlite
        const kept = SessionManager.layer.pipe(
          Layer.provideMerge(layer({ path: file })),
          Layer.provide([Layer.succeed(Claude, claude), NodeSessionHolder.layer])
        )
        const context = yield* Layer.buildWithScope(kept, scope)
        return opened = {
          manager: Context.get(context, SessionManager.SessionManager),
          repository: Context.get(context, SessionRepository)
        }
      })
      return {
        open: file.trim() === ""
          ? Effect.succeed(undefined)
          : one(Effect.suspend(() => opened === undefined ? open : Effect.succeed(opened)))
      }
    })
  )

/** What the environment says. An empty variable says nothing. */
export const pathConfig: Config.Config<string> = Config.withDefault(Config.string("CCFLOW_SESSION_STORAGE_PATH"), "")

// ---------------------------------------------------------------------------

/** Only who keeps sessions loads it. */
const sqlite = Effect.tryPromise({
  try: () => import("@ccflow/sql/SqliteSessionRepository"),
  catch: (error) =>
    new SessionStoreError({
      operation: "open",
      reason: "Unavailable",
      detail: `@ccflow/sql cannot be loaded: ${error instanceof Error ? error.message : String(error)}`,
      hint: "Install it: npm install @ccflow/sql."
    })
})
