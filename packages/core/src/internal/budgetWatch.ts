import * as Effect from "effect/Effect"
import { sequential } from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { BudgetChange, BudgetLevel } from "../Budget.js"
import type { ClaudeError, SessionStoreError } from "../ClaudeError.js"
import type { Assistant, Message } from "../Message.js"
import type { UnfinishedMessage } from "../MessageParser.js"
import { BudgetExceededError } from "../MoneyError.js"
import type { Call } from "../Policy.js"
import type { PricingService } from "../Pricing.js"
import { CurrentPurpose, type UsageFilter, type UsageLedgerService } from "../UsageLedger.js"
import { type Allowance, CurrentAllowance } from "./budgetAllowance.js"
import { type BudgetBook, left, spent, type Tally, tightest } from "./budgetBook.js"
import { Inbox } from "./inbox.js"
import type { Open, Pull } from "./streamed.js"

/** @internal */
export interface WatchParts {
  readonly book: BudgetBook
  readonly ledger: UsageLedgerService | undefined
  readonly pricing: PricingService
  readonly now: () => number
  readonly tell: (
    change: BudgetChange,
    call: { readonly callId: string; readonly sessionId: string }
  ) => Effect.Effect<void>
}

/** Calls under budgets: each is let through, watched and ended. @internal */
export class BudgetWatch {
  private readonly parts: WatchParts

  constructor(parts: WatchParts) {
    this.parts = parts
  }

  readonly state: Effect.Effect<ReadonlyArray<BudgetLevel>, SessionStoreError> = Effect.suspend(() => {
    const { book, now } = this.parts
    const nobody: Tally = { sessionId: "", batchId: "", reportedUsd: 0, seen: new Map() }
    return Effect.map(this.refresh(nobody), () => {
      const levels = [nobody, ...book.calls].flatMap((call) =>
        book.kept(call, now()).map(({ key, scope }) => book.level(scope, key, now()))
      )
      return levels.filter((level, at) =>
        levels.findIndex(({ key, scope }) => key === level.key && scope === level.scope) === at
      )
    })
  })

  /** A fiber of its own reads it, so that a slow consumer does not keep it from being seen that too much is spent. */
  run(call: Call, open: Open): Open {
    const { book } = this.parts
    return Effect.gen(this, function*() {
      const tally: Tally = {
        sessionId: sessionOf(call),
        batchId: (yield* CurrentPurpose).batchId ?? "",
        reportedUsd: 0,
        seen: new Map()
      }
      const outer = yield* Effect.scope
      // It counts until all of it has been booked, which is when its process has been left.
      yield* Effect.acquireRelease(
        Effect.sync(() => book.calls.add(tally)),
        () => Effect.sync(() => book.calls.delete(tally))
      )
      yield* this.refresh(tally)
      const refusal = yield* this.verdict(call, tally)
      if (refusal !== undefined) return yield* Effect.fail(refusal)
      const levels = book.levels(tally, this.parts.now())
      const least = tightest(levels)
      const allowance: Allowance = { usd: least === undefined ? Infinity : left(least), unfinished: () => [] }
      const limited = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Effect.provideService(effect, CurrentAllowance, allowance)

      const scope = yield* Scope.fork(outer, sequential)
      const pull = limited(yield* limited(Scope.extend(open, scope)))
      const inbox = new Inbox<Message, ClaudeError>(maxHeld)
      /** The CLI has been stopped when the consumer is told. */
      const cut = (error: ClaudeError) =>
        Effect.zipRight(Effect.uninterruptible(Scope.close(scope, Exit.void)), Effect.fail(Option.some(error)))
      const step: Pull = Effect.tap(
        Effect.mapError(pull, Option.map((error) => this.named(call, tally, allowance.usd, error))),
        (batch) => {
          inbox.offer(batch)
          return Effect.flatMap(
            this.see(call, tally, allowance, batch),
            (error) => error === undefined ? Effect.void : cut(error)
          )
        }
      )
      const paced = Effect.zipRight(step, Effect.suspend(() => inbox.full ? inbox.room : Effect.void))
      yield* Effect.forkIn(
        Effect.onExit(Effect.forever(paced), (exit) =>
          Effect.sync(() => {
            if (Exit.isFailure(exit)) inbox.end(Effect.failCause(exit.cause))
          })),
        outer
      )
      return inbox.take
    })
  }

  /** What the messages cost, and whether that is too much. */
  private see(
    call: Call,
    tally: Tally,
    { unfinished }: Allowance,
    batch: ReadonlyArray<Message>
  ): Effect.Effect<BudgetExceededError | undefined> {
    const { book, now } = this.parts
    let paid = false
    let goesOn = true
    for (const message of batch) {
      if (message.sessionId !== "" && message.sessionId !== tally.sessionId) {
        tally.sessionId = message.sessionId
        paid = true
      }
      if (message._tag === "ToolUse") {
        for (const begun of unfinished()) this.saw(tally, begun, [])
        paid = true
        goesOn = message.tool !== "StructuredOutput"
      } else if (message._tag === "Assistant") {
        this.saw(tally, message, message.content)
        paid = true
        goesOn = !isLast(message)
      } else if (message._tag === "Result") {
        book.settle(tally, message.costUsd, now())
        paid = true
        goesOn = false
      }
    }
    if (!paid) return Effect.succeed(undefined)
    return Effect.ignore(this.refresh(tally)).pipe(
      Effect.zipRight(this.verdict(call, tally)),
      Effect.map((error) => goesOn ? error : undefined)
    )
  }

  /** Looked at twice: what another call has just booked may still be in flight for a moment, too. */
  private verdict(call: Call, tally: Tally): Effect.Effect<BudgetExceededError | undefined> {
    const { book, now, tell } = this.parts
    const levels = () => book.levels(tally, now())
    return Effect.gen(this, function*() {
      if (spent(levels()) !== undefined) {
        yield* Effect.yieldNow()
        yield* Effect.ignore(this.refresh(tally))
      }
      const known = levels()
      for (const change of book.news(call.id, known)) {
        yield* tell(change, { callId: call.id, sessionId: tally.sessionId })
      }
      const level = spent(known)
      return level === undefined ? undefined : exceeded(level)
    })
  }

  private refresh(tally: Tally): Effect.Effect<void, SessionStoreError> {
    const { book, ledger, now } = this.parts
    return ledger === undefined ? Effect.void : Effect.forEach(
      book.kept(tally, now()),
      ({ key, scope }) => {
        const { since, until } = book.day(now())
        const filter: UsageFilter = scope === "session"
          ? { sessionId: key }
          : scope === "batch"
          ? { batchId: key }
          : { since, until }
        return Effect.map(ledger.total(filter), ({ costUsd }) => book.learn(scope, key, costUsd))
      },
      { discard: true }
    )
  }

  private saw(tally: Tally, { messageId, model, usage }: UnfinishedMessage, content: Assistant["content"]): void {
    // With partial messages off the CLI says how much was said as of the message's start.
    const outputTokens = Math.max(usage.outputTokens, Math.floor(lengthOf(content) / charsPerToken))
    const price = this.parts.pricing.costOf(model, { ...usage, outputTokens }, { at: this.parts.now() })
    const name = `${messageId} ${model}`
    tally.seen.set(name, Math.max(tally.seen.get(name) ?? 0, Option.getOrElse(price, () => 0)))
  }

  /** The CLI has stopped: by the caller's own limit, or by what a budget had left for it. */
  private named(call: Call, tally: Tally, allowance: number, error: ClaudeError): ClaudeError {
    if (error._tag !== "BudgetExceededError" || error.facts === undefined) return error
    const { maxBudgetUsd = Infinity } = call.options
    const least = tightest(this.parts.book.levels(tally, this.parts.now()))
    if (least === undefined || maxBudgetUsd <= allowance) return error
    return exceeded(least, error)
  }
}

// ---------------------------------------------------------------------------

/** Messages that may wait for the consumer before the CLI has to. */
const maxHeld = 1024

/** More than most tokens have: better too little is counted than too much. */
const charsPerToken = 6

const lengthOf = (content: Assistant["content"]): number =>
  content.reduce((sum, block) => {
    const said = block["text"] ?? block["thinking"] ?? block["input"]
    return sum + (typeof said === "string" ? said : JSON.stringify(said) ?? "").length
  }, 0)

/** What is resumed under a title is known by its id when it has begun. */
const sessionOf = ({ options: { forkSession, resume, sessionId } }: Call): string =>
  sessionId ?? (forkSession === true ? "" : resume ?? "")

/** The result is on its way: to leave now would lose the answer, and save nothing. */
const isLast = ({ parentToolUseId, stopReason }: Assistant): boolean =>
  parentToolUseId === undefined && stopReason !== null && stopReason !== "tool_use" && stopReason !== "pause_turn"

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
