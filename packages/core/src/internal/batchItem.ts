import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { merge } from "../AgentOptions.js"
import type { BatchOutcome } from "../Batch.js"
import * as Claude from "../Claude.js"
import type { ClaudeOptions, Prompt } from "../Claude.js"
import type { ClaudeError, SessionStoreError } from "../ClaudeError.js"
import { CurrentClaim } from "../Concurrency.js"
import { is, type Message, type Result, type Usage } from "../Message.js"
import { withBatch } from "../UsageLedger.js"
import { CurrentMaxWait } from "../UsageLimit.js"
import { lastAnswer } from "./answer.js"
import type { Task } from "./batchQueue.js"
import type { Settings } from "./batchSettings.js"
import { addUsage, noUsage } from "./figures.js"

/** What became of an item. */
export interface Done {
  readonly outcome: BatchOutcome
  readonly restored: boolean
  readonly attempts: number
  readonly costUsd: number
  readonly usage: Usage
  /** What of the cost is not counted yet. */
  readonly freshUsd: number
  /** What the store could not do. Nothing more is begun then. */
  readonly halt?: SessionStoreError
}

/** Another host has it: it is looked at again later. */
export interface Elsewhere {
  readonly outcome: "elsewhere"
}

/**
 * Runs one item to its end. It never fails and is never interrupted from outside in the middle: what can be stopped in
 * it is, and then it says so.
 */
export type Runner = (task: Task) => Effect.Effect<Done | Elsewhere>

/** Asks once, shows every batch of messages, and gives the answer. */
export type Ask = (
  task: Task,
  prompt: Prompt,
  options: ClaudeOptions,
  see: (messages: ReadonlyArray<Message>) => Effect.Effect<void, SessionStoreError>
) => Effect.Effect<Result, ClaudeError>

/** What was seen of the cost of attempts. */
export interface Spent {
  costUsd: number
  usage: Usage
}

/** Adds what the messages tell of money, and says whether they do. */
export const account = (spent: Spent, messages: ReadonlyArray<Message>): boolean => {
  const results = messages.filter(is("Result"))
  for (const { costUsd, usage } of results) {
    spent.costUsd += costUsd
    spent.usage = addUsage(spent.usage, usage)
  }
  return results.length > 0
}

export const asking =
  (claude: Claude.Claude["Type"], settings: Settings, caller: string): Ask => (task, prompt, options, see) => {
    const once = Effect.scoped(Effect.flatMap(
      Claude.toPull(claude.query(prompt, options)),
      (pull) => lastAnswer(Effect.tap(pull, (messages) => Effect.mapError(see(messages), Option.some)))
    ))
    // What an open breaker refuses was not asked: a failing API fails the items that find out, and not the whole batch.
    const asked: typeof once = Effect.catchTag(
      once,
      "CircuitBreakerError",
      (error) =>
        error.retryAfter > Duration.toMillis(settings.maxWait)
          ? Effect.fail(error)
          : Effect.zipRight(Effect.sleep(error.retryAfter), asked)
    )
    return Effect.flatMap(CurrentClaim, ({ priority }) =>
      asked.pipe(
        Effect.provideService(CurrentMaxWait, settings.maxWait),
        withBatch(settings.id),
        Effect.provideService(CurrentClaim, { caller, priority: task.item.priority ?? priority })
      ))
  }

export const optionsOf = (settings: Settings, task: Task): ClaudeOptions => {
  const { options = {} } = task.item
  return { ...settings.options, ...withoutUndefined(options), ...merge(env(settings.options), env(options)) }
}

export const outcomeOf = (task: Task, exit: Exit.Exit<Result, ClaudeError>): Effect.Effect<BatchOutcome> => {
  if (Exit.isSuccess(exit)) return Effect.succeed({ _tag: "Completed", result: exit.value })
  const failure = Cause.failureOrCause(exit.cause)
  if (Either.isLeft(failure)) return Effect.succeed({ _tag: "Failed", error: failure.left })
  return Cause.isInterruptedOnly(exit.cause)
    ? Effect.succeed({ _tag: "Cancelled", reason: reasonOf(task) })
    : Effect.failCause(failure.right)
}

export const reasonOf = ({ cancel }: Task): "item" | "all" | "budget" =>
  cancel === undefined || cancel === "lost" ? "all" : cancel

/** What never began. */
export const notBegun = (task: Task): Done => ({
  outcome: { _tag: "Cancelled", reason: reasonOf(task) },
  restored: false,
  attempts: 0,
  costUsd: 0,
  usage: noUsage,
  freshUsd: 0
})

/** Without a store. */
export const plain = (settings: Settings, ask: Ask): Runner => (task) => {
  if (task.cancel !== undefined) return Effect.succeed(notBegun(task))
  const spent: Spent = { costUsd: 0, usage: noUsage }
  return ask(
    task,
    task.item.prompt,
    optionsOf(settings, task),
    (messages) => Effect.sync(() => void account(spent, messages))
  ).pipe(
    Effect.interruptible,
    Effect.exit,
    Effect.flatMap((exit) => outcomeOf(task, exit)),
    Effect.map((outcome) => ({ outcome, restored: false, attempts: 1, ...spent, freshUsd: spent.costUsd }))
  )
}

// ---------------------------------------------------------------------------

const withoutUndefined = (options: ClaudeOptions): ClaudeOptions =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))

const env = (options: ClaudeOptions = {}): ClaudeOptions => options.env === undefined ? {} : { env: options.env }
