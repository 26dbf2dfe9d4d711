import * as EventLog from "@ccflow/core/EventLog"
import type { Events } from "@ccflow/core/Events"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Kept, lazilyIn } from "./kept.js"

/** What becomes of the calls, kept in the client's file; where there is none nobody listens. */
export const layer: Layer.Layer<never, never, Kept | Events> = Layer.unwrapEffect(
  Effect.map(Kept, ({ file }) =>
    file === undefined
      ? Layer.empty
      : Layer.provide(
        EventLog.layerKeeping(),
        Layer.scoped(
          EventLog.EventLog,
          Effect.map(lazilyIn(file, () => import("@ccflow/sql/SqlEventLog")), (log) => Effect.serviceFunctions(log))
        )
      ))
)
