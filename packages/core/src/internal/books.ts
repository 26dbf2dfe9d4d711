import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { EventsService } from "../Events.js"
import type { PricingService } from "../Pricing.js"
import type { UsageEntry, UsageGroup, UsageLedgerService } from "../UsageLedger.js"
import { promptTokens } from "./figures.js"
import { MemoryLedger } from "./ledgerMemory.js"
import { inTime } from "./patience.js"

/**
 * What is booked, on its way to the ledger and to those who listen. Who books never fails for it: what the ledger's
 * store does not take is owed, and tried again with what comes next.
 */
export class Bookkeeper {
  readonly pricing: PricingService
  readonly events: EventsService
  private readonly ledger: UsageLedgerService | undefined
  private owed: Array<UsageEntry> = []
  /** The store did not take the last ones, and this has been said. */
  private failing = false

  constructor(ledger: UsageLedgerService | undefined, events: EventsService, pricing: PricingService) {
    this.ledger = ledger
    this.events = events
    this.pricing = pricing
  }

  /** Nobody wants to know. */
  get idle(): boolean {
    const { events, ledger } = this
    return ledger === undefined && events.silent("TokensUsed") && events.silent("CostIncurred")
  }

  book(entries: ReadonlyArray<UsageEntry>): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (entries.length === 0) return Effect.void
      for (const entry of entries) this.tell(entry)
      if (this.ledger === undefined) return Effect.void
      for (const entry of entries) this.owed.push(entry)
      return this.settle
    })
  }

  /** What a session has used, by model; nothing where the ledger does not say, or nobody waits until it does. */
  bookedFor(sessionId: string): Effect.Effect<ReadonlyArray<UsageGroup>> {
    const { ledger } = this
    return ledger === undefined ? Effect.succeed([]) : Effect.interruptible(
      answered(ledger, () => ledger.by("model", { sessionId }), late)
    ).pipe(Effect.catchAllCause(() => Effect.succeed([])))
  }

  /** Books what is owed, if anything is. */
  readonly settle: Effect.Effect<void> = Effect.suspend(() => {
    const { ledger, owed } = this
    if (ledger === undefined || owed.length === 0) return Effect.void
    this.owed = []
    return Effect.flatMap(Effect.exit(answered(ledger, () => ledger.book(owed), late)), (exit) => {
      const told = this.failing
      this.failing = Exit.isFailure(exit)
      if (Exit.isSuccess(exit)) return Effect.void
      const kept = [...owed, ...this.owed]
      this.owed = kept.slice(-mostOwed)
      const lost = kept.length - this.owed.length
      if (told && lost === 0) return Effect.void
      return Effect.logWarning(
        `The usage ledger did not take ${kept.length} entries: ${why(exit.cause)}. ${
          lost === 0 ? "They are kept, and tried again with the next." : `The oldest ${lost} are lost.`
        }`
      )
    })
  }).pipe(Effect.uninterruptible)

  private tell({ basis, callId, costUsd, model, sessionId, usage }: UsageEntry): void {
    const { events } = this
    const about = { ...(callId === "" ? {} : { callId }), sessionId, model, estimated: basis === "estimated" }
    if (usage !== undefined && !events.silent("TokensUsed")) {
      const { webSearchRequests, ...tokens } = usage
      events.tell({ _tag: "TokensUsed", ...about, ...tokens, totalTokens: promptTokens(tokens) + tokens.outputTokens })
    }
    if (costUsd !== undefined) events.tell({ _tag: "CostIncurred", ...about, costUsd })
  }
}

/** A run begins and ends also where the ledger does not answer. What is booked late is booked all the same. */
export const answered = <A, E, E2>(
  ledger: UsageLedgerService,
  ask: () => Effect.Effect<A, E>,
  onTimeout: () => E2
): Effect.Effect<A, E | E2> =>
  // One in memory answers at once.
  ledger instanceof MemoryLedger ? ask() : inTime(Effect.suspend(ask), { duration: "5 seconds", onTimeout })

// ---------------------------------------------------------------------------

const late = () => ({ reason: "it did not answer in 5 seconds" })

/** More than a store that is away for a night makes; a host must not be filled by it. */
const mostOwed = 10_000

/** The reason's name and no more: what a store says may hold what was to be stored. */
const why = (cause: Cause.Cause<{ readonly reason: string }>): string => {
  const error = Cause.failureOrCause(cause)
  return error._tag === "Left" ? error.left.reason : "it broke"
}
