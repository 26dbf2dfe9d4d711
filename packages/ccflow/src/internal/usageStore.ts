import { UsageLedger } from "@ccflow/core/UsageLedger"
import * as Ledger from "@ccflow/core/UsageLedger"
import { UsageLimitStore } from "@ccflow/core/UsageLimit"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Kept, lazily } from "./kept.js"

/** The subscription's windows in the client's file; where there is none nothing is remembered. @internal */
export const layer: Layer.Layer<UsageLimitStore, never, Kept> = Layer.scoped(
  UsageLimitStore,
  Effect.gen(function*() {
    const { file } = yield* Kept
    if (file === undefined) return { load: Effect.succeed([]), save: () => Effect.void }
    const store = yield* lazily(
      () => import("@ccflow/sql/SqlUsageLimitStore"),
      file,
      ({ make }, file) => Effect.provide(make, file)
    )
    return {
      load: Effect.flatMap(store, ({ load }) => load),
      save: (window) => Effect.flatMap(store, ({ save }) => save(window))
    }
  })
)

/** The ledger in the client's file; where there is none it is in memory, and goes with the client. @internal */
export const ledger: Layer.Layer<UsageLedger, never, Kept> = Layer.unwrapEffect(
  Effect.map(Kept, ({ file }) =>
    file === undefined
      ? Ledger.layerMemory
      : Layer.scoped(
        UsageLedger,
        Effect.gen(function*() {
          const ledger = yield* lazily(
            () => import("@ccflow/sql/SqlUsageLedger"),
            file,
            ({ make }, file) => Effect.provide(make, file)
          )
          return {
            book: (entries) => Effect.flatMap(ledger, ({ book }) => book(entries)),
            total: (filter) => Effect.flatMap(ledger, ({ total }) => total(filter)),
            by: (key, filter) => Effect.flatMap(ledger, ({ by }) => by(key, filter)),
            entries: (filter) => Effect.flatMap(ledger, ({ entries }) => entries(filter))
          }
        })
      ))
)
