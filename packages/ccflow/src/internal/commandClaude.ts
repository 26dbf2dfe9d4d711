import { UsageLedger } from "@ccflow/core/UsageLedger"
import * as NodeClaude from "@ccflow/node/NodeClaude"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Kept from "./kept.js"
import { pathConfig } from "./records.js"
import * as UsageStore from "./usageStore.js"

/** The user's `claude`. What it is used for is booked in the file that the environment names, where it names one. */
export const layer = Layer.provide(NodeClaude.layer, Layer.provide(UsageStore.ledger, Kept.layer(pathConfig)))

/**
 * The same, booked where conversations are kept: without a name, in this user's data folder. Who keeps them there says
 * when that cannot be.
 */
export const layerKept = Layer.suspend(() =>
  NodeClaude.layer.pipe(Layer.provide(quiet), Layer.provide(UsageStore.ledger), Layer.provide(Kept.layerUser))
)

// ---------------------------------------------------------------------------

const quiet = Layer.effect(
  UsageLedger,
  Effect.map(UsageLedger, (ledger) => ({ ...ledger, book: (entries) => Effect.ignore(ledger.book(entries)) }))
)
