import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import type { BatchEnd, BatchItem, BatchProgress } from "../Batch.js"
import type { Prompt } from "../Claude.js"
import { InvalidOptionsError, type SessionStoreError } from "../ClaudeError.js"
import { wellFormed } from "../SessionRecord.js"
import { itemOf, keyOf } from "./batchInput.js"
import { type Done, notBegun } from "./batchItem.js"
import { BatchQueue, type Task } from "./batchQueue.js"
import type { Settings } from "./batchSettings.js"

type Running = Fiber.RuntimeFiber<void>

/**
 * Which items there are and what becomes of them: all that is decided, and nothing that takes time. Whoever changes it
 * wakes those who wait for a change.
 */
export class BatchState<E> {
  version = 0
  stopped: "all" | "budget" | undefined
  /** Opened by the next change. */
  private next = Effect.unsafeMakeLatch()
  private readonly settings: Settings
  private readonly startedAt: number
  private readonly queue = new BatchQueue()
  /** Those that have no end yet. */
  private readonly live = new Map<string, Task>()
  private readonly fibers = new Map<Task, Running>()
  /** Waited when they were cancelled: they need no place. */
  private readonly urgent: Array<Task> = []
  private readonly elsewhere = new Set<Task>()
  /** Ended before one that comes before them. */
  private readonly held = new Map<number, BatchEnd | undefined>()
  private readonly ready: Array<BatchEnd> = []
  private readonly counts = { completed: 0, failed: 0, cancelled: 0, restored: 0 }
  private running = 0
  private read = 0
  /** The place of the next end where they are in order. */
  private place = 0
  private total: number | undefined
  private inputDone = false
  private failure: Cause.Cause<E | SessionStoreError> | undefined
  private spentUsd: number
  private parkedUntil: number | undefined

  constructor(settings: Settings, startedAt: number, total: number | undefined, spentUsd: number) {
    this.settings = settings
    this.startedAt = startedAt
    this.total = total
    this.spentUsd = spentUsd
    this.watchBudget()
  }

  /** Waits until there is something. Between two looks nothing is missed. */
  until<A>(look: () => A | undefined): Effect.Effect<A> {
    return Effect.suspend(() => {
      const found = look()
      return found === undefined ? Effect.zipRight(this.next.await, this.until(look)) : Effect.succeed(found)
    })
  }

  get isDone(): boolean {
    return this.inputDone && this.live.size === 0
  }

  /** More is read. */
  room(): true | undefined {
    return this.queue.size + this.elsewhere.size < this.settings.readAhead ? true : undefined
  }

  readonly add = (given: BatchItem | Prompt): void => {
    if (this.inputDone) return
    const item = itemOf(given)
    const index = this.read++
    const task: Task = { index, key: keyOf(item, index), item }
    if (this.live.has(task.key)) return this.push(task, { ...notBegun(task), outcome: taken(task.key) }, 0)
    this.live.set(task.key, task)
    this.queue.add(task)
    this.changed()
  }

  inputEnded(failure?: Cause.Cause<E>): void {
    if (this.inputDone) return
    this.inputDone = true
    this.total = this.read
    this.failure ??= failure
    this.changed()
  }

  /** What is to begin now. */
  due(): Task | undefined {
    if (this.urgent.length > 0) return this.urgent[0]
    const { concurrency, maxAhead, ordered = false } = this.settings
    if (this.running >= concurrency || this.ready.length >= concurrency) return undefined
    return this.queue.peek(ordered ? this.place + maxAhead : Infinity)
  }

  /** It begins. */
  begin(task: Task): void {
    if (this.urgent[0] === task) this.urgent.shift()
    else this.queue.remove(task)
    if (this.stopped !== undefined) task.cancel ??= this.stopped
    this.running++
    this.changed()
  }

  begun(task: Task, fiber: Running): void {
    if (this.live.get(task.key) !== task) return
    this.fibers.set(task, fiber)
    if (task.cancel === "item" || task.cancel === "all") fiber.unsafeInterruptAsFork(FiberId.none)
  }

  ended(task: Task, done: Done, durationMs: number): void {
    this.running--
    // All others would be refused by it, too: they can be run when it has renewed, or was raised.
    if (isSpent(done)) this.stopped ??= "budget"
    this.settle(task, done, durationMs)
    if (done.halt !== undefined) this.halt(Cause.fail(done.halt))
  }

  /** A defect: it is no end of an item, and the batch cannot go on as if nothing had been. */
  broken(task: Task, cause: Cause.Cause<never>): void {
    this.running--
    this.fibers.delete(task)
    this.live.delete(task.key)
    task.wasCancelled = false
    if (this.settings.ordered === true) this.hold(task.index, undefined)
    this.halt(cause)
  }

  /** Another host has it. */
  away(task: Task): void {
    this.running--
    if (task.cancel === "lost") delete task.cancel
    this.elsewhere.add(task)
    this.changed()
  }

  /** It is tried again. */
  back(task: Task): void {
    this.elsewhere.delete(task)
    this.fibers.delete(task)
    if (this.stopped === "all" || task.cancel !== undefined) return this.drop(task)
    this.queue.add(task)
    this.changed()
  }

  find(key: string): Task | undefined {
    return this.live.get(wellFormed(key))
  }

  /** Another host has taken it. */
  lose(task: Task): void {
    task.cancel ??= "lost"
    this.fibers.get(task)?.unsafeInterruptAsFork(FiberId.none)
  }

  /** What has to be interrupted for it. */
  cancel(task: Task): Running | undefined {
    if (task.cancel === "item") return this.fibers.get(task)
    task.cancel = "item"
    if (this.queue.remove(task)) this.urgent.push(task)
    this.changed()
    return this.fibers.get(task)
  }

  /** Ends what waits, and says what has to be interrupted. */
  stop(): ReadonlyArray<Running> {
    this.halt()
    for (const task of this.fibers.keys()) task.cancel ??= "all"
    return [...this.fibers.values()]
  }

  /** What a reader of the ends gets next. `None` is the good end. */
  take(): Effect.Effect<BatchEnd, Option.Option<E | SessionStoreError>> | undefined {
    const end = this.ready.shift()
    if (end !== undefined) {
      this.changed()
      return Effect.succeed(end)
    }
    if (!this.isDone) return undefined
    return this.failure === undefined
      ? Effect.fail(Option.none())
      : Effect.failCause(Cause.map(this.failure, Option.some))
  }

  park(until: number | undefined): void {
    if (this.parkedUntil === until) return
    this.parkedUntil = until
    this.changed()
  }

  progress(now: number): BatchProgress {
    return {
      total: this.total,
      waiting: this.queue.size + this.elsewhere.size,
      running: this.running,
      ...this.counts,
      costUsd: this.spentUsd,
      startedAt: this.startedAt,
      parkedUntil: this.parkedUntil !== undefined && this.parkedUntil > now ? this.parkedUntil : undefined,
      done: this.isDone
    }
  }

  /** What runs may end, and nothing else begins. */
  private halt(cause?: Cause.Cause<SessionStoreError>): void {
    this.failure ??= cause
    this.stopped = "all"
    this.inputEnded()
    for (const task of [...this.urgent.splice(0), ...this.queue.drain()]) this.drop(task)
    this.changed()
  }

  private drop(task: Task): void {
    task.cancel ??= "all"
    this.settle(task, notBegun(task), 0)
  }

  private settle(task: Task, done: Done, durationMs: number): void {
    this.fibers.delete(task)
    this.live.delete(task.key)
    task.wasCancelled = done.outcome._tag === "Cancelled"
    this.spentUsd += done.freshUsd
    this.push(task, done, durationMs)
    this.watchBudget()
  }

  private push(task: Task, { attempts, costUsd, outcome, restored, usage }: Done, durationMs: number): void {
    this.counts[fields[outcome._tag]]++
    if (restored) this.counts.restored++
    const { index, item: { prompt }, key } = task
    const end = { index, key, prompt, outcome, restored, attempts, costUsd, usage, durationMs }
    if (this.settings.ordered === true) this.hold(index, end)
    else this.ready.push(end)
    this.changed()
  }

  private hold(index: number, end: BatchEnd | undefined): void {
    this.held.set(index, end)
    while (this.held.has(this.place)) {
      const next = this.held.get(this.place)
      this.held.delete(this.place++)
      if (next !== undefined) this.ready.push(next)
    }
  }

  private watchBudget(): void {
    if (this.spentUsd >= this.settings.maxBudgetUsd) this.stopped ??= "budget"
  }

  private changed(): void {
    this.version++
    const now = this.next
    this.next = Effect.unsafeMakeLatch()
    now.unsafeOpen()
  }
}

// ---------------------------------------------------------------------------

/** A budget that the other items share. */
const isSpent = ({ outcome, restored }: Done): boolean =>
  !restored && outcome._tag === "Failed" && outcome.error._tag === "BudgetExceededError" &&
  (outcome.error.scope === "batch" || outcome.error.scope === "day")

const fields = { Completed: "completed", Failed: "failed", Cancelled: "cancelled" } as const

const taken = (key: string) => ({
  _tag: "Failed" as const,
  error: new InvalidOptionsError({
    field: "key",
    detail: `another item that has not ended yet is called "${key}"`,
    hint: "Give each item a key of its own, or none."
  })
})
