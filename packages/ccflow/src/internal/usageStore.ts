import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import * as Ledger from "@ccflow/core/UsageLedger"
import * as UsageLimit from "@ccflow/core/UsageLimit"
import type { SqlClient } from "@effect/sql/SqlClient"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Kept, lazilyIn } from "./kept.js"

/** In the client's file; where there is none it is in memory, and goes with the client. */
const keptOr = <I, S>(
  tag: Context.Tag<I, S>,
  inMemory: Layer.Layer<I>,
  load: () => Promise<{ readonly make: Effect.Effect<S, SessionStoreError, SqlClient> }>,
  over: (opened: Effect.Effect<S, SessionStoreError>) => S
): Layer.Layer<I, never, Kept> =>
  Layer.unwrapEffect(
    Effect.map(Kept, ({ file }) =>
      file === undefined ? inMemory : Layer.scoped(tag, Effect.map(lazilyIn(file, load), over)))
  )

/** The subscription's windows. */
export const layer = keptOr(
  UsageLimit.UsageLimitStore,
  UsageLimit.layerStoreMemory,
  () => import("@ccflow/sql/SqlUsageLimitStore"),
  (store) => ({
    load: Effect.flatMap(store, ({ load }) => load),
    save: (window) => Effect.flatMap(store, ({ save }) => save(window))
  })
)

/** The ledger. */
export const ledger = keptOr(
  Ledger.UsageLedger,
  Ledger.layerMemory,
  () => import("@ccflow/sql/SqlUsageLedger"),
  (ledger) => ({
    book: (entries) => Effect.flatMap(ledger, ({ book }) => book(entries)),
    total: (filter) => Effect.flatMap(ledger, ({ total }) => total(filter)),
    by: (key, filter) => Effect.flatMap(ledger, ({ by }) => by(key, filter)),
    entries: (filter) => Effect.flatMap(ledger, ({ entries }) => entries(filter))
  })
)
