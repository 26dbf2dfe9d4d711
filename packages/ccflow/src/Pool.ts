/** Prompts for a few workers, one CLI each: submitted at any time, waited for and cancelled one by one. */
import type { Prompt } from "@ccflow/core/Claude"
import type { Result } from "@ccflow/core/Message"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Order from "effect/Order"
import * as SortedSet from "effect/SortedSet"
import type * as Types from "effect/Types"
import { randomUUID } from "node:crypto"
import type { QueryOptions } from "./Client.js"
import { abortError, isAbortError, onAbort } from "./internal/abort.js"
import { checked } from "./internal/given.js"
import { invalidOption } from "./internal/invalidOption.js"
import { type Resolvers, withResolvers } from "./internal/withResolvers.js"
import { type Closable, valueOf } from "./Owner.js"
import type { Query } from "./Query.js"

export interface PoolOptions {
  /** Tasks that run at once. Default: 4. */
  readonly maxWorkers?: number | undefined
  /** Tasks that may wait to run before `submit` and `map` wait too. `Infinity` never makes them. Default: 100. */
  readonly maxQueueSize?: number | undefined
  /** The `timeout` of tasks without one of their own: from a task's start to its end. Default: none. */
  readonly taskTimeout?: Duration.DurationInput | undefined
  /** Ended tasks that are still known by their id; then the oldest is forgotten. Default: 1000. */
  readonly retain?: number | undefined
}

/** `completed`, `failed` and `cancelled` are final, and every task comes to one of them. */
export type PoolStatus = "pending" | "running" | "completed" | "failed" | "cancelled"

/** A prompt that was submitted. It knows its end for as long as somebody holds it. */
export interface PoolTask {
  readonly id: string
  readonly prompt: Prompt
  readonly status: PoolStatus
  /** Rejects with the error of a task that failed, and with an `AbortError` when it was cancelled. Need not be looked at. */
  readonly result: Promise<Result>
  /** Once it has failed or was cancelled. */
  readonly error: Error | undefined
}

export interface WaitOptions {
  /** Then it rejects with a `TimeoutError`, and the task goes on. 0 only looks. Default: none. */
  readonly timeout?: Duration.DurationInput | undefined
}

export interface PoolStats {
  /** Workers. */
  readonly size: number
  readonly active: number
  readonly pending: number
  readonly completed: number
  readonly failed: number
  readonly cancelled: number
  /** All that were ever submitted. */
  readonly total: number
  /** The part of the workers that is busy, from 0 to 1. */
  readonly utilization: number
}

/** A task, or its id: one that has ended is known by its id for a while only, see `PoolOptions.retain`. */
export type TaskOrId = PoolTask | string

export interface Pool extends AsyncDisposable {
  /**
   * Runs when a worker is free: the highest `priority` first, of equal ones the oldest. Waits while too many tasks wait;
   * aborting the `signal` cancels the task. Rejects with an `AbortError` once the pool is closed.
   */
  readonly submit: (prompt: Prompt, options?: QueryOptions) => Promise<PoolTask>
  /** All of them, in order. Waits while too many tasks wait; none is lost when the pool is closed meanwhile. */
  readonly map: (prompts: ReadonlyArray<Prompt>, options?: QueryOptions) => Promise<Array<PoolTask>>
  /** The result of a task, or its error thrown. Several may wait for one. */
  readonly wait: (task: TaskOrId, options?: WaitOptions) => Promise<Result>
  /** The results of tasks, in this order, or with `settle` how each of them ended. */
  readonly gather: {
    (...tasks: ReadonlyArray<TaskOrId>): Promise<Array<Result>>
    (tasks: ReadonlyArray<TaskOrId>, options?: { readonly settle?: false | undefined }): Promise<Array<Result>>
    (
      tasks: ReadonlyArray<TaskOrId>,
      options: { readonly settle: true }
    ): Promise<Array<PromiseSettledResult<Result>>>
  }
  /** Stops it, also while it runs; then its process is gone. False when it ended on its own, or is not known. */
  readonly cancel: (task: TaskOrId) => Promise<boolean>
  readonly get: (id: string) => PoolTask | undefined
  readonly stats: () => PoolStats
  /** Takes no more tasks, and cancels those there are; with `wait` lets them end. Done when all have ended. */
  readonly close: (options?: { readonly wait?: boolean | undefined }) => Promise<void>
}

/** What a pool is made of. */
export interface Source {
  readonly start: (prompt: Prompt, options: QueryOptions) => Query
  /** What is closed with the client. */
  readonly open: Set<Closable>
}

export const make = (source: Source, options: PoolOptions = {}): Pool => new Workers(source, settingsOf(options))

// ---------------------------------------------------------------------------

type Settings = Record<"maxWorkers" | "maxQueueSize" | "retain", number> & Pick<PoolOptions, "taskTimeout">

type Task = Types.Mutable<PoolTask>

/** A task that has not ended. */
interface Entry {
  readonly task: Task
  readonly options: QueryOptions
  /** How many were submitted before. */
  readonly place: number
  readonly end: Resolvers<Result>
  /** The signal is no longer listened to. */
  forget: () => void
  /** Whoever submitted it is told that it has been taken. */
  readonly taken: Resolvers<PoolTask>
  query?: Query
  /** Why it is being stopped. */
  stopped?: Error
}

class Workers implements Pool {
  private readonly source: Source
  private readonly settings: Settings
  private readonly live = new Map<string, Entry>()
  private readonly kept = new Map<string, Task>()
  private waiting = SortedSet.empty<Entry>(inTurn)
  /** Those of them whose submitters wait, oldest first; the others are the `maxQueueSize`. */
  private readonly outside = new Set<Entry>()
  private readonly counts = { completed: 0, failed: 0, cancelled: 0 }
  private submitted = 0
  private active = 0
  private closed = false

  constructor(source: Source, settings: Settings) {
    this.source = source
    this.settings = settings
    source.open.add(this)
  }

  readonly submit = async (prompt: Prompt, options?: QueryOptions): Promise<PoolTask> => {
    const [task] = await this.map([prompt], options)
    return task!
  }

  readonly map = async (prompts: ReadonlyArray<Prompt>, options: QueryOptions = {}): Promise<Array<PoolTask>> => {
    if (this.closed) throw abortError("the pool is closed")
    refuseWrong(options)
    const added = prompts.map((prompt) => this.add(prompt, options).taken.promise)
    this.work()
    return await Promise.all(added)
  }

  readonly wait = async (given: TaskOrId, { timeout }: WaitOptions = {}): Promise<Result> => {
    const task = this.known(given)
    if (timeout === undefined || (task.status !== "pending" && task.status !== "running")) return await task.result
    return await within(task.result, millis("timeout", timeout))
  }

  readonly gather = (async (...given: ReadonlyArray<TaskOrId> | Listed) => {
    const [tasks, { settle = false } = {}] = isList(given) ? given : [given]
    const results = tasks.map((task) => this.wait(task))
    return settle ? await Promise.allSettled(results) : await Promise.all(results)
  }) as Pool["gather"]

  readonly cancel = async (given: TaskOrId): Promise<boolean> => {
    const entry = this.live.get(typeof given === "string" ? given : given.id)
    return entry !== undefined && await this.stop(entry, abortError("the task was cancelled"))
  }

  readonly get = (id: string): PoolTask | undefined => this.live.get(id)?.task ?? this.kept.get(id)

  readonly stats = (): PoolStats => {
    const { active, counts, settings: { maxWorkers: size }, submitted: total, waiting } = this
    return { size, active, pending: SortedSet.size(waiting), ...counts, total, utilization: active / size }
  }

  readonly close = async ({ wait = false }: { readonly wait?: boolean | undefined } = {}): Promise<void> => {
    this.closed = true
    if (!wait) { for (const entry of [...this.live.values()]) void this.stop(entry, abortError("the pool is closed")) }
    await Promise.allSettled([...this.live.values()].map(({ task }) => task.result))
    this.source.open.delete(this)
  };

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  private add(prompt: Prompt, options: QueryOptions): Entry {
    const end = withResolvers<Result>()
    end.promise.catch(() => {})
    const entry: Entry = {
      task: { id: randomUUID(), prompt, result: end.promise, status: "pending", error: undefined },
      options,
      place: this.submitted++,
      end,
      taken: withResolvers(),
      forget: () => {}
    }
    this.live.set(entry.task.id, entry)
    this.waiting = SortedSet.add(this.waiting, entry)
    this.outside.add(entry)
    const abort = () => void this.stop(entry, abortError(options.signal?.reason))
    if (options.signal?.aborted === true) abort()
    else entry.forget = onAbort(options.signal, abort)
    return entry
  }

  /** Gives the free workers what is next, and lets as many submitters go on as there is room for. */
  private work(): void {
    while (this.active < this.settings.maxWorkers) {
      const [next] = this.waiting
      if (next === undefined) break
      this.waiting = SortedSet.remove(this.waiting, next)
      this.take(next)
      this.run(next)
    }
    for (const entry of this.outside) {
      if (SortedSet.size(this.waiting) - this.outside.size >= this.settings.maxQueueSize) break
      this.take(entry)
    }
  }

  /** Its submitter waits no longer. */
  private take(entry: Entry): void {
    this.outside.delete(entry)
    entry.taken.resolve(entry.task)
  }

  private run(entry: Entry): void {
    const { signal, ...options } = entry.options
    this.active++
    entry.task.status = "running"
    entry.query = this.source.start(entry.task.prompt, {
      ...options,
      timeout: options.timeout ?? this.settings.taskTimeout
    })
    entry.query.result.then(
      (result) => this.end(entry, "completed", () => entry.end.resolve(result)),
      (error: unknown) => {
        const reason = error instanceof Error ? error : new Error(String(error), { cause: error })
        if (isAbortError(error)) this.fail(entry, "cancelled", entry.stopped ?? reason)
        else this.fail(entry, "failed", reason)
      }
    )
  }

  private async stop(entry: Entry, reason: Error): Promise<boolean> {
    entry.stopped ??= reason
    if (entry.query !== undefined) {
      await entry.query.close()
      await entry.task.result.catch(() => {})
    } else if (entry.task.status === "pending") {
      this.waiting = SortedSet.remove(this.waiting, entry)
      this.take(entry)
      this.fail(entry, "cancelled", reason)
    }
    return entry.task.status === "cancelled"
  }

  private fail(entry: Entry, status: "failed" | "cancelled", error: Error): void {
    entry.task.error = error
    this.end(entry, status, () => entry.end.reject(error))
  }

  private end({ forget, query, task }: Entry, status: keyof Workers["counts"], settle: () => void): void {
    forget()
    if (query !== undefined) this.active--
    task.status = status
    this.counts[status]++
    this.live.delete(task.id)
    this.kept.set(task.id, task)
    const [oldest = ""] = this.kept.keys()
    if (this.kept.size > this.settings.retain) this.kept.delete(oldest)
    settle()
    this.work()
  }

  private known(given: TaskOrId): PoolTask {
    const task = typeof given === "string" ? this.get(given) : given
    if (task !== undefined) return task
    throw invalidOption(
      "task",
      `there is none with the id "${String(given)}"`,
      "Ended tasks are forgotten after a while: keep the task itself, or raise the pool's `retain`."
    )
  }
}

/** The highest priority first, of equal ones the oldest. */
const inTurn = Order.combine(
  Order.mapInput(Order.reverse(Order.number), ({ options }: Entry) => options.priority ?? 0),
  Order.mapInput(Order.number, ({ place }: Entry) => place)
)

type Listed = readonly [ReadonlyArray<TaskOrId>, { readonly settle?: boolean | undefined }?]

const isList = (given: ReadonlyArray<TaskOrId> | Listed): given is Listed => Array.isArray(given[0])

const within = <A>(promise: Promise<A>, duration: number): Promise<A> =>
  valueOf(Effect.runPromiseExit(
    Effect.timeoutFail(Effect.tryPromise({ try: () => promise, catch: (error) => error }), {
      duration,
      onTimeout: timedOut
    })
  ))

const timedOut = () => new DOMException("The task has not ended in time", "TimeoutError")

const settingsOf = (options: PoolOptions): Settings => {
  const { maxQueueSize = 100, maxWorkers = 4, retain = 1000, taskTimeout } = checked(options)
  if (!Number.isInteger(maxWorkers) || maxWorkers < 1) throw invalid("maxWorkers", "a whole number above 0", "4")
  if (!(Number.isInteger(maxQueueSize) || maxQueueSize === Infinity) || maxQueueSize < 1) {
    throw invalid("maxQueueSize", "a whole number above 0, or Infinity", "100")
  }
  if (!Number.isInteger(retain) || retain < 0) throw invalid("retain", "a whole number, or 0", "1000")
  if (taskTimeout !== undefined && millis("taskTimeout", taskTimeout) <= 0) {
    throw invalid("taskTimeout", "above 0", "none")
  }
  return { maxWorkers, maxQueueSize, retain, taskTimeout }
}

const refuseWrong = (options: QueryOptions): void => {
  const { priority = 0 } = checked(options)
  if (!Number.isFinite(priority)) throw invalid("priority", "a number", "0")
}

const millis = (field: string, duration: Duration.DurationInput): number => {
  const ms = Option.map(Duration.decodeUnknown(duration), Duration.toMillis)
  // Of what is not a number a duration of 0 is made.
  if (Option.isSome(ms) && !Number.isNaN(duration)) return ms.value
  throw invalid(field, "a duration: milliseconds, or text such as \"5 minutes\"", "none")
}

const invalid = (field: string, what: string, byDefault: string) =>
  invalidOption(field, `it must be ${what}`, `Left out it is ${byDefault}.`)
