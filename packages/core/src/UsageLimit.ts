/**
 * The windows of the subscription: knows which are used up, and lets work wait until they reset.
 *
 * A window that is named by its length, such as `five_hour`, stops every call of its account. One that is named for a
 * model as well, such as `seven_day_opus`, stops the calls whose model has that name in its own. Whatever a window is
 * called, it stops further calls of a model that it has rejected. What was rejected without a reset time fails, and is
 * not remembered: nobody could say when to forget it.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { InvalidOptionsError } from "./ClaudeError.js"
import * as Events from "./Events.js"
import { checked, configured, Patience } from "./internal/policyOptions.js"
import { reopening } from "./internal/reopening.js"
import { around, type Open } from "./internal/streamed.js"
import * as UsageGate from "./internal/usageGate.js"
import { Ticket } from "./internal/usageLines.js"
import * as Policy from "./Policy.js"
import { UsageLimitStore } from "./UsageLimitStore.js"

export { layerMemory as layerStoreMemory, UsageLimitStore } from "./UsageLimitStore.js"

export interface UsageLimitOptions {
  /**
   * How long a call waits for windows that stop it: where the reset is further away it fails with `UsageLimitError`.
   * `Infinity` waits as long as it takes, 0 never. Default: 5 minutes.
   */
  readonly maxWait?: Duration.DurationInput | undefined
}

/** What is known of a window. */
export interface UsageWindow {
  readonly account: string
  /** As the CLI names it, such as `five_hour`. */
  readonly limit: string
  /** `allowed`, `allowed_warning` or `rejected`; in `changes` also `reset`: its time has come. */
  readonly status: string
  /** UTC epoch milliseconds; `null` when the CLI did not say. */
  readonly resetsAt: number | null
  /** From 0 to 1; `null` when the CLI did not say. */
  readonly utilization: number | null
  /** Used up, and calls go on: they are paid for beside the subscription. */
  readonly overage: boolean
  /** When this was learned. UTC epoch milliseconds. */
  readonly seenAt: number
}

/** Calls that wait for the same window. */
export interface ParkedCalls {
  readonly account: string
  readonly limit: string
  /**
   * UTC epoch milliseconds. When it has passed, the first of them has gone ahead to find out, or the others are following
   * it.
   */
  readonly until: number
  readonly calls: number
}

export class UsageLimit extends Context.Tag("@ccflow/core/UsageLimit")<
  UsageLimit,
  Policy.Policy & {
    /** As of now: what was reset is forgotten. */
    readonly windows: Effect.Effect<ReadonlyArray<UsageWindow>>
    /** Each window whose status has changed: a first word of it, a warning, a rejection, a reset. */
    readonly changes: Stream.Stream<UsageWindow>
    readonly parked: Effect.Effect<ReadonlyArray<ParkedCalls>>
    /** `parked` as it is, and then each time that it is something else. */
    readonly parkedChanges: Stream.Stream<ReadonlyArray<ParkedCalls>>
    /**
     * Forgets all windows, in the store too: the plan was changed, or more usage was bought. The first of the calls that
     * wait goes ahead to find out.
     */
    readonly forget: Effect.Effect<void>
  }
>() {}

/** The longest wait for a part of a program, over that of the layer. A batch waits as long as it takes. */
export class CurrentMaxWait extends Context.Reference<CurrentMaxWait>()("@ccflow/core/UsageLimit/CurrentMaxWait", {
  defaultValue: (): Duration.DurationInput | undefined => undefined
}) {}

/** What was remembered is known from the start; a store that takes longer than 5 seconds is done without. */
export const make = (
  options: UsageLimitOptions = {}
): Effect.Effect<UsageLimit["Type"], InvalidOptionsError, UsageLimitStore | Scope.Scope> =>
  Effect.gen(function*() {
    const defaultWait = yield* millisOf(options)
    const gate = yield* UsageGate.make(yield* UsageLimitStore, yield* Events.current)

    const guarded = (call: Policy.Call, open: Open): Open =>
      Effect.gen(function*() {
        const scope = yield* Effect.scope
        const current = yield* CurrentMaxWait
        const patience = current === undefined ? defaultWait : yield* millisOf({ maxWait: current })
        const ticket = new Ticket(call.target, call.id)
        let waited = false
        /** Only who has waited can be the one that finds out for others, and must tell them when it is over. */
        const admit = Effect.suspend(() => {
          const told = waited ? Effect.void : Scope.addFinalizer(scope, Effect.suspend(() => gate.end(ticket)))
          waited = true
          return Effect.zipRight(told, call.wait(gate.admit(ticket, patience)))
        })
        const begin = Effect.map(open, (pull) => gate.watched(ticket, pull))
        const attempt: Open = Effect.suspend(() =>
          ticket.take() ? begin : Effect.flatMap(
            gate.unhindered(ticket),
            (yes) => yes ? begin : Effect.zipRight(admit, attempt)
          )
        )
        return yield* reopening(attempt, (error) =>
          error._tag === "UsageLimitError"
            ? Effect.map(gate.waits(ticket, patience), (waits) => waits ? admit : undefined)
            : Effect.succeed(undefined))
      })

    const { changes, forget, parked, parkedChanges, windows } = gate
    return { around: (call) => around((open) => guarded(call, open)), changes, forget, parked, parkedChanges, windows }
  })

/** Remembers in the store that it is given. */
export const layerWith = (
  options: UsageLimitOptions
): Layer.Layer<UsageLimit, InvalidOptionsError, UsageLimitStore> => Layer.scoped(UsageLimit, make(options))

/** Remembers in the `UsageLimitStore` that the program has provided; without one, for as long as the program runs. */
export const layer = (options: UsageLimitOptions = {}): Layer.Layer<UsageLimit, InvalidOptionsError> =>
  Layer.scoped(
    UsageLimit,
    Effect.flatMap(
      Effect.serviceOption(UsageLimitStore),
      (store) => Effect.provideService(make(options), UsageLimitStore, Option.getOrElse(store, () => memory))
    )
  )

export const layerConfig = configured(layer)

/** Knows nothing: a rejected call fails, and the next one is made. */
export const layerNoop: Layer.Layer<UsageLimit> = Layer.succeed(UsageLimit, {
  ...Policy.noop,
  windows: Effect.succeed([]),
  changes: Stream.empty,
  parked: Effect.succeed([]),
  parkedChanges: Stream.succeed([]),
  forget: Effect.void
})

// ---------------------------------------------------------------------------

/** What the policy itself knows is all that there is. */
const memory: UsageLimitStore["Type"] = { load: Effect.succeed([]), save: () => Effect.void }

const check = checked(Schema.Struct({ maxWait: Schema.optional(Patience) }), "usageLimit")

const millisOf = (options: UsageLimitOptions): Either.Either<number, InvalidOptionsError> =>
  Either.map(check(options), ({ maxWait = "5 minutes" }) => Duration.toMillis(maxWait))
