import * as SessionRepository from "@ccflow/core/SessionRepository"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Terminal } from "../Terminal.js"
import * as EventStore from "./eventStore.js"
import * as Kept from "./kept.js"
import * as Store from "./store.js"
import * as UsageStore from "./usageStore.js"

/** Sessions, usage and events in the user's own file, as other commands read them; in memory where there can be none. */
export const layer = Layer.unwrapScoped(Effect.gen(function*() {
  const terminal = yield* Terminal
  const kept = yield* Kept.inFile(Store.path)
  return yield* Effect.matchEffect(kept.sessions, {
    onSuccess: (repository) =>
      Effect.succeed(Layer.merge(Layer.succeed(SessionRepository.SessionRepository, repository), besides(kept))),
    onFailure: ({ message }) =>
      Effect.as(
        terminal.warn(`Sessions and usage are kept in memory only: ${message}`),
        Layer.merge(SessionRepository.layerMemory, besides(Kept.nowhere))
      )
  })
}))

// ---------------------------------------------------------------------------

const besides = (kept: Kept.Kept["Type"]) =>
  Layer.mergeAll(UsageStore.layer, UsageStore.ledger, EventStore.layer).pipe(
    Layer.provide(Layer.succeed(Kept.Kept, kept))
  )
