import { Claude } from "@ccflow/core/Claude"
import type { InvalidOptionsError, SessionNotFoundError, SessionStoreError } from "@ccflow/core/ClaudeError"
import type { SessionManager } from "@ccflow/core/SessionManager"
import type { SessionRecord, TurnRecord } from "@ccflow/core/SessionRecord"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"

/** A client's session records, opened. */
export interface Opened {
  readonly manager: SessionManager["Type"]
  readonly exported: (sessionId: string) => Effect.Effect<SessionExport, SessionNotFoundError | SessionStoreError>
}

/** All that is kept of a session, as JSON can hold it. Turns have messages where `recordMessages` was asked for. */
export interface SessionExport {
  readonly session: SessionRecord
  readonly turns: ReadonlyArray<TurnRecord & { readonly messages?: ReadonlyArray<unknown> }>
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
        const store = yield* Effect.promise(() => import("./openRecords.js"))
        return opened = yield* store.openRecords(file).pipe(
          Effect.provideService(Claude, claude),
          Scope.extend(scope)
        )
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
