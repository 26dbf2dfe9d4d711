import * as EventLog from "@ccflow/core/EventLog"
import type { Events } from "@ccflow/core/Events"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Kept, once } from "./kept.js"
import { missing } from "./store.js"

/** What becomes of the calls, kept in the client's file; where there is none nobody listens. @internal */
export const layer: Layer.Layer<never, never, Kept | Events> = Layer.unwrapEffect(
  Effect.map(Kept, ({ given }) => given ? Layer.provide(EventLog.layerKeeping(), log) : Layer.empty)
)

// ---------------------------------------------------------------------------

const log: Layer.Layer<EventLog.EventLog, never, Kept> = Layer.scoped(
  EventLog.EventLog,
  Effect.gen(function*() {
    const { file } = yield* Kept
    const module = Effect.tryPromise({ try: () => import("./openEventLog.js"), catch: missing })
    const log = yield* once(Effect.flatMap(Effect.zip(module, file), ([{ openEventLog }, file]) => openEventLog(file)))
    return {
      append: (events) => Effect.flatMap(log, ({ append }) => append(events)),
      read: (filter) => Effect.flatMap(log, ({ read }) => read(filter)),
      forget: (retention) => Effect.flatMap(log, ({ forget }) => forget(retention))
    }
  })
)
