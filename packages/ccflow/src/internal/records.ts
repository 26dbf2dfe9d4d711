import type { BatchRepository } from "@ccflow/core/BatchRepository"
import { Claude } from "@ccflow/core/Claude"
import type { InvalidOptionsError, SessionNotFoundError, SessionStoreError } from "@ccflow/core/ClaudeError"
import type { SessionHolder } from "@ccflow/core/SessionHolder"
import type { SessionManager, SessionManagerOptions } from "@ccflow/core/SessionManager"
import type { SessionRecord, TurnRecord } from "@ccflow/core/SessionRecord"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Kept, lazily } from "./kept.js"

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

/** Where the client keeps any. @internal */
export const layer = (options: SessionManagerOptions): Layer.Layer<Records, never, Claude | Kept> =>
  Layer.scoped(
    Records,
    Effect.gen(function*() {
      const claude = yield* Claude
      const { file, sessions } = yield* Kept
      return {
        open: sessions === undefined ? nothing : yield* lazily(
          () => import("./openRecords.js"),
          sessions,
          ({ openRecords }, sessions) => Effect.provideService(openRecords(sessions, options), Claude, claude)
        ),
        batches: file === undefined
          ? nothing
          : yield* lazily(() => import("./openBatches.js"), file, ({ batchesIn }, file) => batchesIn(file))
      }
    })
  )

/** What the environment says. An empty variable says nothing. */
export const pathConfig: Config.Config<string> = Config.withDefault(Config.string("CCFLOW_SESSION_STORAGE_PATH"), "")

// ---------------------------------------------------------------------------

const nothing = Effect.succeed(undefined)
