import type { BatchRepository } from "@ccflow/core/BatchRepository"
import { Claude } from "@ccflow/core/Claude"
import type { InvalidOptionsError, SessionStoreError } from "@ccflow/core/ClaudeError"
import type { SessionHolder } from "@ccflow/core/SessionHolder"
import type { SessionManager, SessionManagerOptions } from "@ccflow/core/SessionManager"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Kept, lazily } from "./kept.js"

/** The records of a client, where it keeps any. The store is opened by the first who needs it, once. */
export class Records extends Context.Tag("ccflow/Records")<Records, {
  readonly open: Effect.Effect<SessionManager["Type"] | undefined, InvalidOptionsError | SessionStoreError>
  /** What makes a batch durable. */
  readonly batches: Effect.Effect<Context.Context<BatchRecords> | undefined, SessionStoreError>
}>() {}

/** Where batches are kept, and as whom. */
export type BatchRecords = BatchRepository | SessionHolder

/** Where the client keeps any. */
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
