/**
 * Many prompts: so many at a time, each with an end of its own, as they come or in order.
 *
 * With an `id` and a `BatchRepository` in the context it is durable: killed at any moment and started again with the same
 * id and items, it gives the stored ends of what was finished, goes on with what was cut, and counts each paid call once.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { parallel } from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { BatchRepository } from "./BatchRepository.js"
import { Claude, type ClaudeOptions, type Prompt } from "./Claude.js"
import { type ClaudeError, InvalidOptionsError, type SessionStoreError } from "./ClaudeError.js"
import * as Durable from "./internal/batchDurable.js"
import { type Read, read } from "./internal/batchInput.js"
import { type Ask, asking, plain } from "./internal/batchItem.js"
import type { Task } from "./internal/batchQueue.js"
import { type Settings, settingsOf } from "./internal/batchSettings.js"
import { BatchState } from "./internal/batchState.js"
import * as SessionActor from "./internal/sessionActor.js"
import type { Result, Usage } from "./Message.js"
import { SessionHolder } from "./SessionHolder.js"
import { UsageLimit } from "./UsageLimit.js"

/** One prompt of a batch. */
export interface BatchItem {
  /**
   * What it is called by `cancel`, and known by when a durable batch is started again. Different for each item. Default:
   * its place in the input and a hash of prompt and options, so that it holds as long as the input stays as it is. NUL and
   * halves of surrogate pairs, which no database can hold, become U+FFFD.
   */
  readonly key?: string | undefined
  readonly prompt: Prompt
  /** Over those of the batch. `timeout` and `maxBudgetUsd` are the item's own. */
  readonly options?: ClaudeOptions | undefined
  /** Higher comes first, among the items that have been read. Default: 0. */
  readonly priority?: number | undefined
}

/** How a batch is run. */
export interface BatchOptions {
  /** Items at once. Default: 5. */
  readonly concurrency?: number | undefined
  /** Ends in the order of the input. Default: as they come. */
  readonly ordered?: boolean | undefined
  /** How far ahead of the slowest item others may get where the ends are `ordered`. Default: 100, or `concurrency`. */
  readonly maxAhead?: number | undefined
  /**
   * Items that are read before they can begin: priorities count among these. Default: all of an array, which is there
   * anyway; of everything else as many as run at once.
   */
  readonly readAhead?: number | undefined
  /**
   * Over all items, earlier runs of a durable batch included. Once so much is spent nothing more begins: what runs is
   * finished, and all others end as cancelled, those that are still to be read too.
   */
  readonly maxBudgetUsd?: number | undefined
  /** Options of all items. */
  readonly options?: ClaudeOptions | undefined
  /**
   * How long an item waits where the subscription's window is used up, or the circuit breaker is open: what is down for a
   * while fails the items that find out, and not all the others. Default: `Infinity`, as long as it takes.
   */
  readonly maxWait?: Duration.DurationInput | undefined
  /** By which it shares processes with other callers. Default: a name of its own. */
  readonly caller?: string | undefined
  /** Makes it durable. Needs a `BatchRepository`. */
  readonly id?: string | undefined
  /**
   * Runs again what failed, or was cancelled by its key, before this run began. What another host has run meanwhile is
   * not. Default: gives its stored end.
   */
  readonly retryFailed?: boolean | undefined
  /** What a cut item's session is asked when it is resumed. */
  readonly continuePrompt?: string | undefined
  /**
   * What becomes of a cut item that had begun to act and whose session is gone. Default: `fail`, with
   * `SessionNotFoundError`; `rerun` sends its prompt again, and what it has done is done again.
   */
  readonly whenSessionIsGone?: "fail" | "rerun" | undefined
}

export type BatchOutcome =
  | { readonly _tag: "Completed"; readonly result: Result }
  | { readonly _tag: "Failed"; readonly error: ClaudeError }
  /** By its key, with all others, or because the batch's budget is spent. */
  | { readonly _tag: "Cancelled"; readonly reason: "item" | "all" | "budget" }

/** How an item ended. Each item that was read has one. */
export interface BatchEnd {
  /** Its place in the input, from 0. */
  readonly index: number
  readonly key: string
  readonly prompt: Prompt
  readonly outcome: BatchOutcome
  /** It was finished by an earlier run of the batch, or by another host. */
  readonly restored: boolean
  /** How often it was begun or gone on with, over all runs; 0 where it was cancelled before. */
  readonly attempts: number
  /** What was seen of its cost, over all attempts. */
  readonly costUsd: number
  readonly usage: Usage
  /** From its begin in this run until it ended. */
  readonly durationMs: number
}

/** How far it is. */
export interface BatchProgress {
  /** Unknown while the input is not at its end. */
  readonly total: number | undefined
  /** Read, and not begun. */
  readonly waiting: number
  readonly running: number
  readonly completed: number
  readonly failed: number
  readonly cancelled: number
  /** How many of those that have ended were ended by an earlier run. */
  readonly restored: number
  /** What has been spent, earlier runs of a durable batch included. */
  readonly costUsd: number
  /** UTC epoch milliseconds. */
  readonly startedAt: number
  /** The subscription's window is used up until then. UTC epoch milliseconds. */
  readonly parkedUntil: number | undefined
  /** Nothing more will change. */
  readonly done: boolean
}

/** A batch that runs until its input is at its end, or until its scope closes. */
export interface Batch<E = never> {
  /**
   * The end of each item, once; to be read by one reader. New work waits for a reader that is slow. Fails with what the
   * input or the store failed with, after everything that had been read has ended.
   */
  readonly ends: Stream.Stream<BatchEnd, E | SessionStoreError>
  /** The newest state, at once and whenever it has changed; ends with the batch. A slow reader misses what is between. */
  readonly progress: Stream.Stream<BatchProgress>
  /** Ends an item that waits or runs; its process is gone then. False where there is none, or it has ended otherwise. */
  readonly cancel: (key: string) => Effect.Effect<boolean>
  /** Ends all that wait or run, and reads no more. A durable batch can be started again: what ran is gone on with. */
  readonly cancelAll: Effect.Effect<void>
}

/** What can be run: prompts, or items with options of their own. Nothing of it is read before there is room for it. */
export type BatchInput<E = never, R = never> = Iterable<BatchItem | Prompt> | Stream.Stream<BatchItem | Prompt, E, R>

/** Begins at once. Closing the scope stops it: what runs is interrupted, and nothing is left behind. */
export const make = <E = never, R = never>(
  items: BatchInput<E, R>,
  options: BatchOptions = {}
): Effect.Effect<Batch<E>, InvalidOptionsError | SessionStoreError, Claude | Scope.Scope | R> =>
  Effect.gen(function*() {
    const settings = yield* settingsOf(options)
    const claude = yield* Claude
    const caller = options.caller ?? `batch ${options.id ?? ++made}`
    const ask = asking(claude, settings, caller)
    const startedAt = yield* Clock.currentTimeMillis
    const durable = options.id === undefined ? undefined : yield* durably(options.id, settings, ask, startedAt)
    const runner = durable?.run ?? plain(settings, ask)
    const state = new BatchState<E>(
      settings,
      startedAt,
      Array.isArray(items) ? items.length : undefined,
      durable?.spentUsd ?? 0
    )

    // All that runs is stopped at once, and before what it needs.
    const inner = yield* Scope.make(parallel)
    yield* Effect.addFinalizer(() =>
      Effect.zipRight(
        Effect.sync(() => state.stop()),
        Effect.ensuring(Scope.close(inner, Exit.void), Effect.sync(() => state.inputEnded()))
      )
    )

    const body = (task: Task): Effect.Effect<void> =>
      Effect.gen(function*() {
        const began = yield* Clock.currentTimeMillis
        const exit = yield* Effect.exit(runner(task))
        if (Exit.isFailure(exit)) return state.broken(task, exit.cause)
        if (exit.value.outcome === "elsewhere") {
          state.away(task)
          yield* Effect.exit(Effect.interruptible(Effect.sleep(lookAgain)))
          return state.back(task)
        }
        state.ended(task, exit.value, (yield* Clock.currentTimeMillis) - began)
      })

    // Forked where nothing interrupts, an item that was taken always ends.
    const beginNext = Effect.uninterruptible(Effect.suspend(() => {
      const task = state.due()
      if (task === undefined) return Effect.void
      state.begin(task)
      return Effect.map(Effect.forkIn(body(task), inner), (fiber) => state.begun(task, fiber))
    }))
    const drive = Effect.forever(Effect.zipRight(state.until(() => state.due()), beginNext))

    const reading = (pull: Read<E, R>) =>
      Effect.forever(
        Effect.flatMap(state.until(() => state.room()), () => Effect.map(pull, (batch) => batch.forEach(state.add)))
      ).pipe(
        Effect.raceFirst(state.until(() => state.stopped === "all" ? true : undefined)),
        Effect.matchCause({
          onFailure: (cause) => state.inputEnded(Option.getOrUndefined(Cause.flipCauseOption(cause))),
          onSuccess: () => state.inputEnded()
        })
      )

    const background = <A, E2, R2>(effect: Effect.Effect<A, E2, R2>) =>
      Effect.forkIn(Effect.interruptible(effect), inner)
    if (Array.isArray(items) && options.readAhead === undefined) {
      items.forEach(state.add)
      state.inputEnded()
    } else yield* background(reading(yield* Scope.extend(read(items), inner)))
    yield* background(drive)
    yield* background(parking((until) => state.park(until)))
    if (durable !== undefined) {
      const done = state.until(() => state.isDone ? true : undefined)
      yield* background(Effect.raceFirst(durable.renewing((task) => state.lose(task)), done))
    }

    return {
      ends: Stream.repeatEffectOption(Effect.flatten(state.until(() => state.take()))),
      progress: Stream.unfoldEffect(-1, (seen) =>
        Effect.zipWith(
          state.until(() => state.version > seen ? state.version : state.isDone && seen >= 0 ? seen : undefined),
          Clock.currentTimeMillis,
          (version, now) => version === seen ? Option.none() : Option.some([state.progress(now), version] as const)
        )),
      cancel: (key) =>
        Effect.suspend(() => {
          const task = state.find(key)
          if (task === undefined) return Effect.succeed(false)
          const fiber = state.cancel(task)
          return Effect.flatMap(
            fiber === undefined ? Effect.void : Fiber.interruptAll([fiber]),
            () => state.until(() => task.wasCancelled)
          )
        }),
      cancelAll: Effect.suspend(() => Fiber.interruptAll(state.stop()))
    }
  })

/** A batch for as long as its ends are read. */
export const run = <E = never, R = never>(
  items: BatchInput<E, R>,
  options?: BatchOptions
): Stream.Stream<BatchEnd, E | InvalidOptionsError | SessionStoreError, Claude | R> =>
  Stream.unwrapScoped(Effect.map(make(items, options), ({ ends }) => ends))

// ---------------------------------------------------------------------------

const durably = (batchId: string, settings: Settings, ask: Ask, startedAt: number) =>
  Effect.gen(function*() {
    const repository = yield* Effect.serviceOption(BatchRepository)
    if (Option.isNone(repository)) return yield* Effect.fail(noRepository)
    const actor = yield* SessionActor.make(yield* SessionHolder)
    const { endedCostUsd } = yield* repository.value.totals(batchId)
    return {
      ...Durable.make({ batchId, settings, ask, repository: repository.value, actor, startedAt }),
      spentUsd: endedCostUsd
    }
  })

const noRepository = new InvalidOptionsError({
  field: "id",
  detail: "there is no BatchRepository that could keep the batch",
  hint: "Provide one, such as that of @ccflow/sql, or leave the id out."
})

/** Tells until when calls wait for the subscription's windows, if anyone knows. */
const parking = (park: (until: number | undefined) => void): Effect.Effect<void> =>
  Effect.flatMap(
    Effect.serviceOption(UsageLimit),
    Option.match({
      onNone: () => Effect.void,
      onSome: ({ parkedChanges }) =>
        Stream.runForEach(parkedChanges, (parked) =>
          Effect.sync(() =>
            park(parked.length === 0 ? undefined : Math.min(...parked.map(({ until }) => until)))
          ))
    })
  )

/** Until an item that another host runs is looked at again. */
const lookAgain = "1 second"

/** Batches of a program share its processes as callers of their own. */
let made = 0
