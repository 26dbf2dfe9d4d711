import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import type { EventLog } from "@ccflow/core/EventLog"
import type { SessionRepository } from "@ccflow/core/SessionRepository"
import type { UsageLedger } from "@ccflow/core/UsageLedger"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Store from "../store.js"

/** What the page is read from, in this file. SQLite is loaded here. */
export const stores = (path: string): Layer.Layer<SessionRepository | UsageLedger | EventLog, SessionStoreError> =>
  Layer.unwrapEffect(Effect.map(
    modules,
    ([events, file, ledger, sessions]) =>
      Layer.mergeAll(events.layer, ledger.layer, sessions.layer).pipe(Layer.provide(file.layer({ path })))
  ))

// ---------------------------------------------------------------------------

const modules = Effect.tryPromise({
  try: () =>
    Promise.all([
      import("@ccflow/sql/SqlEventLog"),
      import("@ccflow/sql/SqliteFile"),
      import("@ccflow/sql/SqlUsageLedger"),
      import("@ccflow/sql/SqlSessionRepository")
    ]),
  catch: Store.missing
})
