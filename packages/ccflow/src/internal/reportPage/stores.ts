import { type InvalidOptionsError, type SessionStoreError } from "@ccflow/core/ClaudeError"
import * as EventLog from "@ccflow/core/EventLog"
import * as SessionRepository from "@ccflow/core/SessionRepository"
import * as UsageLedger from "@ccflow/core/UsageLedger"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { stat } from "node:fs/promises"
import { invalidOption } from "../invalidOption.js"
import * as Store from "../store.js"

/** What the page is read from. */
export type Stores = SessionRepository.SessionRepository | UsageLedger.UsageLedger | EventLog.EventLog

/**
 * Those in the file that is given, or else in this user's own. To look makes no file: where there is none, nothing has
 * been kept, and one that was named is told as missing.
 */
export const stores = (given: string | undefined): Layer.Layer<Stores, SessionStoreError | InvalidOptionsError> =>
  Layer.unwrapEffect(Effect.gen(function*() {
    const path = given ?? (yield* Store.path)
    if (yield* Effect.promise(() => stat(path).then(() => true, () => false))) return inFile(path)
    return given === undefined ? nothing : yield* noFile(path)
  }))

// ---------------------------------------------------------------------------

const nothing = Layer.mergeAll(SessionRepository.layerMemory, UsageLedger.layerMemory, EventLog.layerMemory)

const inFile = (path: string): Layer.Layer<Stores, SessionStoreError> =>
  Layer.unwrapEffect(Effect.map(
    modules,
    ([events, file, ledger, sessions]) =>
      Layer.mergeAll(events.layer, ledger.layer, sessions.layer).pipe(Layer.provide(file.layer({ path })))
  ))

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

const noFile = (path: string) =>
  invalidOption("--storage", `there is no file ${path}`, "Name the file that a client's storagePath names.")
