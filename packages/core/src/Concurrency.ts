/**
 * How many CLI processes there are at once. A permit belongs to a process, from its start until it is gone, and not to
 * whoever reads its messages.
 */
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Iterable from "effect/Iterable"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type ClaudeError, InvalidOptionsError } from "./ClaudeError.js"
import { CurrentCall, saying } from "./internal/currentCall.js"
import { Observed } from "./internal/observed.js"
import { Permits, type Waiter } from "./internal/permits.js"
import type { Wait } from "./Policy.js"

export interface ConcurrencyOptions {
  /** Processes at once, 1 or more. */
  readonly maxConcurrent: number
}

/** Whose process it is, and how urgent. Those who wait are served by priority, then in turn by caller, then in order. */
export interface Claim {
  /** Callers share evenly, however many processes each of them wants. Default: "". */
  readonly caller: string
  /** Higher comes first. Default: 0. */
  readonly priority: number
  /** Takes what nobody else wants, comes last, and nobody is asked to go for it. Default: false. */
  readonly spare?: boolean | undefined
}

/** The claim of a part of a program. */
export class CurrentClaim extends Context.Reference<CurrentClaim>()("@ccflow/core/Concurrency/CurrentClaim", {
  defaultValue: (): Claim => ({ caller: "", priority: 0 })
}) {}

/** A process that may be. */
export interface Permit {
  /** It is there, and is gone when this completes, or when the scope closes. Nobody looks before others wait. */
  readonly until: (exit: Effect.Effect<unknown>) => Effect.Effect<void>
  /**
   * It does nothing now, as a session between two turns. Where others wait it is asked to go, by this, once. What does
   * not go is left alone until it is idle again.
   */
  readonly idle: (giveUp: Effect.Effect<void>) => Effect.Effect<void>
  /** It works again. */
  readonly busy: Effect.Effect<void>
}

export interface State {
  /** `Infinity` where there is no limit. */
  readonly maxConcurrent: number
  readonly active: number
  /** Without those that only want what is to spare. */
  readonly waiting: number
}

export class Concurrency extends Context.Tag("@ccflow/core/Concurrency")<Concurrency, {
  /**
   * Waits for its turn, and holds the permit until the process or the scope ends. Where one is free nothing waits, and
   * `wait` is not used. What runs within a process, such as a tool of the program, and needs another one meanwhile,
   * needs two.
   */
  readonly acquire: (wait: Wait) => Effect.Effect<Permit, ClaudeError, Scope.Scope>
  readonly state: Effect.Effect<State>
  /** How it is now, and then each change. */
  readonly changes: Stream.Stream<State>
}>() {}

export const make = (
  { maxConcurrent }: ConcurrencyOptions
): Effect.Effect<Concurrency["Type"], InvalidOptionsError, Scope.Scope> =>
  Effect.gen(function*() {
    yield* check(maxConcurrent)
    const scope = yield* Effect.scope
    const state = (): State => ({ maxConcurrent, active: permits.active, waiting: permits.waiting })
    const observed = new Observed(state)
    const permits = new Permits(maxConcurrent, () => observed.tell())
    yield* Effect.addFinalizer(() => Effect.sync(() => observed.end()))
    /** Longest first. */
    const idle = new Map<Holder, Effect.Effect<void>>()
    const holders = new Set<Holder>()
    /** Who was asked to go, and has neither gone nor said that it does not. */
    const asked = new Set<Holder>()

    /** One is asked for each that waits. */
    const reclaim: Effect.Effect<void> = Effect.suspend(() => {
      if (permits.waiting <= asked.size) return Effect.void
      const next = Iterable.findFirst(idle, ([holder]) => !asked.has(holder))
      if (Option.isNone(next)) return Effect.void
      const [holder, giveUp] = next.value
      idle.delete(holder)
      asked.add(holder)
      return giveUp.pipe(
        Effect.ensuring(Effect.suspend(() => {
          asked.delete(holder)
          return reclaim
        })),
        Effect.interruptible,
        Effect.forkIn(scope),
        Effect.zipRight(Effect.suspend(() => reclaim))
      )
    })

    const release = (holder: Holder): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (!holders.delete(holder)) return Effect.void
        idle.delete(holder)
        asked.delete(holder)
        permits.release()
        return holder.watch === undefined ? Effect.void : Fiber.interruptFork(holder.watch)
      })

    /** Sees to it that its end is noticed, also where its reader has stopped reading. */
    const watch = (holder: Holder): Effect.Effect<void> => {
      const { exit } = holder
      if (exit === undefined || holder.watch !== undefined) return Effect.void
      return Effect.map(
        Effect.forkIn(Effect.interruptible(Effect.zipRight(exit, release(holder))), scope),
        (fiber) => {
          holder.watch = fiber
        }
      )
    }

    const hold: Effect.Effect<Permit, never, Scope.Scope> = Effect.suspend(() => {
      const holder: Holder = { exit: undefined, watch: undefined }
      holders.add(holder)
      return Effect.as(Effect.flatMap(Effect.scope, (scope) => Scope.addFinalizer(scope, release(holder))), {
        until: (exit) =>
          Effect.suspend(() => {
            holder.exit = exit
            return permits.waiting > 0 ? watch(holder) : Effect.void
          }),
        idle: (giveUp) =>
          Effect.suspend(() => {
            if (!holders.has(holder)) return Effect.void
            idle.set(holder, giveUp)
            return reclaim
          }),
        busy: Effect.sync(() => {
          idle.delete(holder)
        })
      })
    })

    return {
      acquire: (wait) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.suspend(() => {
            if (permits.take()) return hold
            let waiter: Waiter | undefined
            const turn = Effect.flatMap(CurrentClaim, (claim) =>
              Effect.suspend(() => {
                waiter = permits.join(claim)
                const mine = waiter.value.turn.await
                return Effect.zipRight(
                  Effect.forEach(holders, watch, { discard: true }),
                  claim.spare === true ? mine : Effect.zipRight(reclaim, queued(mine))
                )
              }))
            return restore(wait(turn)).pipe(
              Effect.onError(() =>
                Effect.sync(() => {
                  if (waiter !== undefined) permits.leave(waiter)
                })
              ),
              Effect.zipRight(hold)
            )
          })
        ),
      state: Effect.sync(state),
      changes: observed.changes
    }
  })

/** At most so many at once, for all who share the layer. */
export const layer = (options: ConcurrencyOptions): Layer.Layer<Concurrency, InvalidOptionsError> =>
  Layer.scoped(Concurrency, make(options))

export const layerConfig = (
  options: Config.Config.Wrap<ConcurrencyOptions>
): Layer.Layer<Concurrency, ConfigError | InvalidOptionsError> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap(options), layer))

const free: Permit = { until: () => Effect.void, idle: () => Effect.void, busy: Effect.void }

/** As many as are asked for. */
export const layerNoop: Layer.Layer<Concurrency> = Layer.succeed(Concurrency, {
  acquire: () => Effect.succeed(free),
  state: Effect.succeed({ maxConcurrent: Infinity, active: 0, waiting: 0 }),
  changes: Stream.empty
})

// ---------------------------------------------------------------------------

interface Holder {
  exit: Effect.Effect<unknown> | undefined
  watch: Fiber.RuntimeFiber<void> | undefined
}

const check = (maxConcurrent: number): Effect.Effect<void, InvalidOptionsError> =>
  Number.isInteger(maxConcurrent) && maxConcurrent > 0 ? Effect.void : Effect.fail(
    new InvalidOptionsError({
      field: "maxConcurrent",
      detail: "it must be a whole number above 0",
      hint: "Leave it out for what the machine can hold; false is without a limit."
    })
  )

/** Told of when it is over. */
const queued = (turn: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.flatMap(CurrentCall, ({ events, id }) =>
    events.silent() ? turn : Effect.map(
      Effect.timed(turn),
      ([waited]) => events.tell({ _tag: "Queued", ...saying(id), waitedMs: Duration.toMillis(waited) })
    ))
