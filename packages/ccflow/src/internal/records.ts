import type { BatchRepository } from "@ccflow/core/BatchRepository"
import { Claude } from "@ccflow/core/Claude"
import type { InvalidOptionsError, SessionNotFoundError, SessionStoreError } from "@ccflow/core/ClaudeError"
import type { SessionHolder } from "@ccflow/core/SessionHolder"
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
  /** What makes a batch durable. */
  readonly batches: Effect.Effect<Context.Context<BatchRecords> | undefined, SessionStoreError>
}>() {}

/** Where batches are kept, and as whom. */
export type BatchRecords = BatchRepository | SessionHolder

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
      let batches: Context.Context<BatchRecords> | undefined

      const open = Effect.gen(function*() {
        const store = yield* Effect.promise(() => import("./openRecords.js"))
        return opened = yield* store.openRecords(file).pipe(
          Effect.provideService(Claude, claude),
          Scope.extend(scope)
        )
      })
      const openBatches = Effect.gen(function*() {
        const store = yield* Effect.promise(() => import("./openBatches.js"))
        return batches = yield* Scope.extend(store.openBatches(file), scope)
      })
      if (file.trim() === "") return { open: Effect.succeed(undefined), batches: Effect.succeed(undefined) }
      return {
        open: one(Effect.suspend(() => opened === undefined ? open : Effect.succeed(opened))),
        batches: one(Effect.suspend(() => batches === undefined ? openBatches : Effect.succeed(batches)))
      }
    })
  )

/** What the environment says. An empty variable says nothing. */
export const pathConfig: Config.Config<string> = Config.withDefault(Config.string("CCFLOW_SESSION_STORAGE_PATH"), "")
