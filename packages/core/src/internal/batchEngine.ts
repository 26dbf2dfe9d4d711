import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { parallel } from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Batch, BatchEnd, BatchInput, BatchOptions } from "../Batch.js"
import { BatchRepository } from "../BatchRepository.js"
import { Claude } from "../Claude.js"
import { InvalidOptionsError, type SessionStoreError } from "../ClaudeError.js"
import { SessionHolder } from "../SessionHolder.js"
import { UsageLimit } from "../UsageLimit.js"
import * as Durable from "./batchDurable.js"
import { type Read, read } from "./batchInput.js"
import { type Ask, asking, plain } from "./batchItem.js"
import type { Task } from "./batchQueue.js"
import { type Settings, settingsOf } from "./batchSettings.js"
import { BatchState } from "./batchState.js"
import * as SessionActor from "./sessionActor.js"

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
    const { signal } = state

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
      state.take(task)
      return Effect.map(Effect.forkIn(body(task), inner), (fiber) => state.begun(task, fiber))
    }))
    const drive = Effect.forever(Effect.zipRight(signal.until(() => state.due()), beginNext))

    const reading = (pull: Read<E, R>) =>
      Effect.forever(
        Effect.flatMap(signal.until(() => state.room()), () => Effect.map(pull, (batch) => batch.forEach(state.add)))
      ).pipe(
        Effect.raceFirst(signal.until(() => state.stopped === "all" ? true : undefined)),
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
      const done = signal.until(() => state.isDone ? true : undefined)
      yield* background(Effect.raceFirst(durable.renewing((task) => state.lose(task)), done))
    }

    const ends: Stream.Stream<BatchEnd, E | SessionStoreError> = Stream.repeatEffectOption(
      Effect.flatMap(signal.until(() => state.next()), (next) =>
        next._tag === "End"
          ? Effect.succeed(next.end)
          : next.failure === undefined
          ? Effect.fail(Option.none())
          : Effect.failCause(Cause.map(next.failure, Option.some)))
    )

    const progress = Stream.unfoldEffect(-1, (seen) =>
      Effect.flatMap(
        signal.until(() => state.version > seen ? state.version : state.isDone && seen >= 0 ? seen : undefined),
        (version) =>
          version === seen
            ? Effect.succeed(Option.none())
            : Effect.map(Clock.currentTimeMillis, (now) => Option.some([state.progress(now), version] as const))
      ))

    return {
      ends,
      progress,
      cancel: (key) =>
        Effect.suspend(() => {
          const task = state.find(key)
          if (task === undefined) return Effect.succeed(false)
          const fiber = state.cancel(task)
          return Effect.flatMap(
            fiber === undefined ? Effect.void : Fiber.interruptAll([fiber]),
            () => signal.until(() => task.wasCancelled)
          )
        }),
      cancelAll: Effect.suspend(() => Fiber.interruptAll(state.stop()))
    }
  })

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
