/**
 * What may be spent: by a query, a session, a batch and in a day. Looked at in the usage ledger before anything begins,
 * so that programs which share a ledger share its budgets, and watched while it runs.
 *
 * What a step costs is known when it is done: calls that run at the same time overshoot by at most one step each. A step
 * of a model without a known price is counted when its result has come; of a query the CLI itself looks after each.
 */
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Struct from "effect/Struct"
import { InvalidOptionsError, type SessionStoreError } from "./ClaudeError.js"
import * as Events from "./Events.js"
import { budgetBook, type Limits } from "./internal/budgetBook.js"
import { budgetWatch } from "./internal/budgetWatch.js"
import { Observers } from "./internal/observed.js"
import { Amount, checked, configured } from "./internal/policyOptions.js"
import { around } from "./internal/streamed.js"
import type { BudgetScope } from "./MoneyError.js"
import * as Policy from "./Policy.js"
import { Pricing } from "./Pricing.js"
import * as UsageLedger from "./UsageLedger.js"

/** In US dollars. What is left out has no limit. */
export interface BudgetOptions {
  /** One query, or one turn of a session. */
  readonly perQueryUsd?: number | undefined
  /** A session by its id, whoever goes on with it. */
  readonly perSessionUsd?: number | undefined
  /** All items of a batch. */
  readonly perBatchUsd?: number | undefined
  /** All that the ledger has of a day. Default: `CCFLOW_DAILY_BUDGET_USD`, if it is set. */
  readonly perDayUsd?: number | undefined
  /** The part of a budget that is told of with a `BudgetWarning` when it is spent. Default: 0.8. */
  readonly warnAt?: number | undefined
  /** Where a day begins, such as `Europe/Vienna`. Default: that of the host. */
  readonly timeZone?: string | undefined
}

/** How much of a budget is spent. */
export interface BudgetLevel {
  readonly scope: BudgetScope
  /** The id of the session or the batch, or when the day began. Empty for a query. */
  readonly key: string
  /** What is booked, and what is known of what is under way here. */
  readonly spentUsd: number
  readonly limitUsd: number
  /** UTC epoch milliseconds. Undefined where it does not renew. */
  readonly renewsAt: number | undefined
}

/** A budget is nearly, or wholly, spent. Told once of each. */
export interface BudgetChange extends BudgetLevel {
  readonly exceeded: boolean
}

export class Budget extends Context.Tag("@ccflow/core/Budget")<
  Budget,
  Policy.Policy & {
    readonly limits: BudgetOptions
    /** Of the day as the ledger has it now, and of the sessions and batches under way as they were last seen. */
    readonly state: Effect.Effect<ReadonlyArray<BudgetLevel>, SessionStoreError>
    readonly changes: Stream.Stream<BudgetChange>
  }
>() {}

/**
 * A call is refused with `BudgetExceededError` when a budget of it is spent, and ended with it when it spends the rest. An
 * answer that is complete is handed on, whatever it has cost.
 *
 * With a ledger that cannot be read nothing begins, and the error is the store's: who has set a budget is not there to
 * watch, and what cannot be read now would most likely not be booked either. What runs by then goes on with the figures
 * that were read before.
 */
export const make = (
  options: BudgetOptions = {}
): Effect.Effect<Budget["Type"], InvalidOptionsError, Scope.Scope> =>
  Effect.gen(function*() {
    const { timeZone, warnAt = 0.8 } = yield* check(options)
    const limits = limitsOf(options)
    const zone = timeZone === undefined ? Option.some(DateTime.zoneMakeLocal()) : DateTime.zoneMakeNamed(timeZone)
    if (Option.isNone(zone)) {
      return yield* invalid("budget.timeZone", "there is no such time zone", "Give a name such as Europe/Vienna.")
    }
    const ledger = yield* UsageLedger.current
    const kept = [limits.session, limits.batch, limits.day].some((limit) => limit < Infinity)
    if (kept && ledger === undefined) {
      return yield* invalid(
        "budget",
        "there is no UsageLedger that says what is spent",
        "Provide one to this layer: UsageLedger.layerMemory, or that of @ccflow/sql to share it between programs."
      )
    }
    const changes = yield* Observers.scoped<BudgetChange>()
    const events = yield* Events.current
    const pricing = yield* Pricing
    const clock = yield* Effect.clock
    const book = budgetBook(limits, zone.value, warnAt)
    const watch = budgetWatch({
      book,
      ledger,
      pricing,
      now: () => clock.unsafeCurrentTimeMillis(),
      tell: (change, { callId, sessionId }) => {
        const about = { callId, ...(sessionId === "" ? {} : { sessionId }) }
        const told = Struct.pick(change, "scope", "spentUsd", "limitUsd", "exceeded")
        events.tell({ _tag: "BudgetWarning", ...about, ...told })
        changes.tell(change)
      }
    })
    const unlimited = Object.values(limits).every((limit) => limit === Infinity)
    return {
      around: unlimited ? Policy.noop.around : (call) => around((open) => watch.run(call, open)),
      limits: options,
      state: watch.state,
      changes: changes.stream
    }
  })

/** Over the program's `UsageLedger`, which it is an error to be without where more than queries have a budget. */
export const layer = (options: BudgetOptions = {}): Layer.Layer<Budget, InvalidOptionsError> =>
  Layer.scoped(Budget, make(options))

export const layerConfig = configured(layer)

/** Limits nothing. */
export const layerNoop: Layer.Layer<Budget> = Layer.succeed(Budget, {
  ...Policy.noop,
  limits: {},
  state: Effect.succeed([]),
  changes: Stream.empty
})

// ---------------------------------------------------------------------------

const limitsOf = ({ perBatchUsd, perDayUsd, perQueryUsd, perSessionUsd }: BudgetOptions): Limits => ({
  query: perQueryUsd ?? Infinity,
  session: perSessionUsd ?? Infinity,
  batch: perBatchUsd ?? Infinity,
  day: perDayUsd ?? Infinity
})

const check = checked(
  Schema.Struct({
    perQueryUsd: Schema.optional(Amount),
    perSessionUsd: Schema.optional(Amount),
    perBatchUsd: Schema.optional(Amount),
    perDayUsd: Schema.optional(Amount),
    warnAt: Schema.optional(
      Schema.Number.pipe(Schema.between(0, 1)).annotations({ description: "a part, from 0 to 1" })
    ),
    timeZone: Schema.optional(Schema.String)
  }),
  "budget"
)

const invalid = (field: string, detail: string, hint: string) =>
  Effect.fail(new InvalidOptionsError({ field, detail, hint }))
