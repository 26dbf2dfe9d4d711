import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import { sequential } from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { BudgetChange, BudgetLevel } from "../Budget.js"
import { type ClaudeError, SessionStoreError } from "../ClaudeError.js"
import type { Assistant, Message } from "../Message.js"
import type { Parser, UnfinishedMessage } from "../MessageParser.js"
import { BudgetExceededError } from "../MoneyError.js"
import type { Call } from "../Policy.js"
import type { PricingService } from "../Pricing.js"
import { CurrentPurpose, type UsageLedgerService } from "../UsageLedger.js"
import { answered } from "./books.js"
import { type Allowance, CurrentAllowance } from "./budgetAllowance.js"
import { type BudgetBook, left, newTally, spent, type Tally, tightest } from "./budgetBook.js"
import { sessionOf } from "./identity.js"
import { Backlog, Inbox, mostHeld } from "./inbox.js"
import type { Open, Pull } from "./streamed.js"

export interface WatchParts {
  readonly book: BudgetBook
  readonly ledger: UsageLedgerService | undefined
  readonly pricing: PricingService
  readonly now: () => number
  readonly tell: (change: BudgetChange, call: { readonly callId: string; readonly sessionId: string }) => void
}

/** Calls under budgets: each is let through, watched and ended. */
export const budgetWatch = ({ book, ledger, now, pricing, tell }: WatchParts) => {
  const refresh = (tally: Tally): Effect.Effect<void, SessionStoreError> =>
    ledger === undefined ? Effect.void : Effect.forEach(
      book.kept(tally, now()),
      ({ key, scope }) => {
        const filters = { query: {}, session: { sessionId: key }, batch: { batchId: key }, day: book.day(now()) }
        return Effect.map(
          answered(ledger, () => ledger.total(filters[scope]), unanswered),
          ({ costUsd }) => book.learn(scope, key, costUsd)
        )
      },
      { discard: true }
    )

  const saw = (tally: Tally, { messageId, model, usage }: UnfinishedMessage, content: Assistant["content"]): void => {
    // With partial messages off the CLI says how much was said as of the message's start.
    const outputTokens = Math.max(usage.outputTokens, Math.floor(lengthOf(content) / charsPerToken))
    const price = pricing.costOf(model, { ...usage, outputTokens }, { at: now() })
    book.saw(tally, `${messageId} ${model}`, Option.getOrElse(price, () => 0))
  }

  /** The same message may come twice: where it is read, and where it is handed on. */
  const count = (tally: Tally, messages: ReadonlyArray<Message>, unfinished: Parser["unfinished"]): void => {
    for (const message of messages) {
      if (message.sessionId !== "") tally.sessionId = message.sessionId
      if (message._tag === "ToolUse") {
        for (const begun of unfinished?.() ?? []) saw(tally, begun, [])
      } else if (message._tag === "Assistant") saw(tally, message, message.content)
      else if (message._tag === "Result") {
        book.settle(tally, message.uuid ?? `${message.totalCostUsd}`, message.costUsd, now())
        if (isAnswer(message) && tally.answer === "awaited") tally.answer = "read"
      }
    }
  }

  const verdict = (call: Call, tally: Tally): Effect.Effect<BudgetExceededError | undefined> =>
    Effect.sync(() => {
      const levels = book.levels(tally, now())
      const level = spent(levels)
      for (const change of book.news(call.id, levels)) {
        tell(change, { callId: call.id, sessionId: tally.sessionId })
      }
      return level === undefined ? undefined : exceeded(level)
    })

  /** Whether what is handed on now has cost too much. What goes on then is ended; an answer that is there is not lost. */
  const see = (
    call: Call,
    tally: Tally,
    batch: ReadonlyArray<Message>
  ): Effect.Effect<BudgetExceededError | undefined> => {
    const before = tally.sessionId
    count(tally, batch, undefined)
    if (batch.some(isAnswer)) tally.answer = "given"
    const step = batch.findLast(({ _tag }) => steps.has(_tag))
    if (step === undefined && before === tally.sessionId) return Effect.succeed(undefined)
    return Effect.ignore(refresh(tally)).pipe(
      Effect.zipRight(verdict(call, tally)),
      Effect.map((error) => tally.answer === "read" || (step !== undefined && isLast(step)) ? undefined : error)
    )
  }

  /** The CLI has stopped: by the caller's own limit, or by what a budget had left for it. */
  const named = (call: Call, tally: Tally, allowance: number, error: ClaudeError): ClaudeError => {
    if (error._tag !== "BudgetExceededError" || error.facts === undefined) return error
    const { maxBudgetUsd = Infinity } = call.options
    const least = tightest(book.levels(tally, now()))
    return least === undefined || maxBudgetUsd <= allowance ? error : exceeded(least, error)
  }

  /** A fiber of its own reads it, so that a slow consumer does not keep it from being seen that too much is spent. */
  const run = (call: Call, open: Open): Open =>
    Effect.gen(function*() {
      const tally = newTally(sessionOf(call.options), (yield* CurrentPurpose).batchId ?? "")
      const outer = yield* Effect.scope
      // It counts until all of it has been booked, which is when its process has been left.
      yield* Effect.acquireRelease(
        Effect.sync(() => book.calls.add(tally)),
        () => Effect.sync(() => book.calls.delete(tally))
      )
      yield* refresh(tally)
      const refusal = yield* verdict(call, tally)
      if (refusal !== undefined) return yield* Effect.fail(refusal)
      const least = tightest(book.levels(tally, now()))
      const backlog = new Backlog(mostHeld)
      const allowance: Allowance = {
        usd: least === undefined ? Infinity : left(least),
        see: (messages, unfinished, bytes) => {
          backlog.add(0, bytes)
          count(tally, messages, unfinished)
        }
      }
      const limited = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Effect.provideService(effect, CurrentAllowance, allowance)

      const scope = yield* Scope.fork(outer, sequential)
      const pull = limited(yield* limited(Scope.extend(open, scope)))
      const inbox = new Inbox<Message, ClaudeError>(backlog)
      /** The CLI has been stopped when the consumer is told. */
      const cut = (error: ClaudeError) =>
        Effect.zipRight(Effect.uninterruptible(Scope.close(scope, Exit.void)), Effect.fail(Option.some(error)))
      const step: Pull = Effect.tap(
        Effect.mapError(pull, Option.map((error) => named(call, tally, allowance.usd, error))),
        (batch) => {
          backlog.add(batch.length, 0)
          inbox.offer(batch)
          return Effect.flatMap(see(call, tally, batch), (error) => error === undefined ? Effect.void : cut(error))
        }
      )
      const paced = Effect.zipRight(step, Effect.suspend(() => backlog.full(1) ? backlog.room(() => 1) : Effect.void))
      yield* Effect.forkIn(
        Effect.onExit(Effect.forever(paced), (exit) =>
          Effect.sync(() => {
            if (Exit.isFailure(exit)) inbox.end(Effect.failCause(exit.cause))
          })),
        outer
      )
      return inbox.take
    })

  const state: Effect.Effect<ReadonlyArray<BudgetLevel>, SessionStoreError> = Effect.suspend(() => {
    const nobody = newTally("", "")
    return Effect.map(refresh(nobody), () =>
      Arr.dedupeWith(
        [nobody, ...book.calls].flatMap((call) => book.kept(call, now())),
        (one, other) => one.key === other.key && one.scope === other.scope
      ).map(({ key, scope }) => book.level(scope, key, now())))
  })

  return { run, state }
}

// ---------------------------------------------------------------------------

const unanswered = () =>
  new SessionStoreError({
    operation: "total",
    reason: "Unavailable",
    detail: "the usage ledger did not answer in 5 seconds",
    hint: "Is the database up, and its disk well?"
  })

/** More than most tokens have: better too little is counted than too much. */
const charsPerToken = 6

const lengthOf = (content: Assistant["content"]): number =>
  content.reduce((sum, block) => {
    const said = block["text"] ?? block["thinking"] ?? block["input"]
    return sum + (typeof said === "string" ? said : JSON.stringify(said) ?? "").length
  }, 0)

const isAnswer = (message: Message): boolean => message._tag === "Result" && message.origin === undefined

/** What tells of money. */
const steps: ReadonlySet<Message["_tag"]> = new Set(["ToolUse", "Assistant", "Result"])

/** The result is here, or on its way: to leave now would lose the answer, and save nothing. */
const isLast = (step: Message): boolean => {
  switch (step._tag) {
    case "ToolUse":
      return step.tool === "StructuredOutput"
    case "Assistant":
      return step.parentToolUseId === undefined && step.stopReason !== null && step.stopReason !== "tool_use" &&
        step.stopReason !== "pause_turn"
    default:
      return step._tag === "Result"
  }
}

const exceeded = (
  { limitUsd, renewsAt, scope, spentUsd }: BudgetLevel,
  told?: BudgetExceededError
): BudgetExceededError =>
  new BudgetExceededError({
    scope,
    spentUsd: Math.max(spentUsd, scope === "query" ? told?.spentUsd ?? 0 : 0),
    limitUsd,
    ...(renewsAt === undefined ? {} : { renewsAt }),
    ...(told?.facts === undefined ? {} : { facts: told.facts }),
    hint: hints[scope]
  })

const hints = {
  query: "Raise budget.perQueryUsd, or ask for less.",
  session: "Start a new session, or raise budget.perSessionUsd.",
  batch: "Raise budget.perBatchUsd, and run what is left of the batch again.",
  day: "Wait until then, or raise budget.perDayUsd."
} as const
