import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import * as EventLog from "@ccflow/core/EventLog"
import type { Events } from "@ccflow/core/Events"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type File, Kept, lazily } from "./kept.js"

/** What becomes of the calls, kept in the client's file; where there is none nobody listens. @internal */
export const layer: Layer.Layer<never, never, Kept | Events> = Layer.unwrapEffect(
  Effect.map(Kept, ({ file }) => file === undefined ? Layer.empty : Layer.provide(EventLog.layerKeeping(), logIn(file)))
)

// ---------------------------------------------------------------------------

const logIn = (file: Effect.Effect<File, SessionStoreError>): Layer.Layer<EventLog.EventLog> =>
  Layer.scoped(
    EventLog.EventLog,
    Effect.map(
      lazily(() => import("@ccflow/sql/SqlEventLog"), file, ({ make }, file) => Effect.provide(make, file)),
      (log) => Effect.serviceFunctions(log)
    )
  )
