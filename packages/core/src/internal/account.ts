import * as Effect from "effect/Effect"
import type { EventsService } from "../Events.js"
import * as Message from "../Message.js"
import type { Purpose, UsageEntry, UsageLedgerService } from "../UsageLedger.js"

/** Who a process works for. @internal */
export interface Charge extends Purpose {
  readonly callId: string
  readonly turnId: string | undefined
}

/**
 * What one process has used, as it tells it: looks at every batch that it prints, whoever it is for, and books what a
 * result says before the batch is handed on.
 *
 * @internal
 */
export class Account {
  private readonly ledger: UsageLedgerService | undefined
  private readonly events: EventsService
  private readonly now: () => number
  private current: Charge | undefined

  constructor(ledger: UsageLedgerService | undefined, events: EventsService, now: () => number) {
    this.ledger = ledger
    this.events = events
    this.now = now
  }

  /** From now on it works for this one. */
  charge(to: Charge): void {
    this.current = to
  }

  /** `undefined` when nothing is to be booked. What it gives is done before the batch goes on. */
  look(messages: ReadonlyArray<Message.Message>): Effect.Effect<void> | undefined {
    const { current, ledger } = this
    const results = messages.filter(Message.is("Result"))
    if (results.length === 0) return undefined
    const entries = results.map(({ costUsd, sessionId, usage }): UsageEntry => ({
      entryId: crypto.randomUUID(),
      at: this.now(),
      basis: "reported",
      model: "",
      usage: { ...usage, webSearchRequests: 0 },
      costUsd,
      listUsd: undefined,
      sessionId,
      callId: current?.callId ?? "",
      turnId: current?.turnId,
      batchId: current?.batchId,
      tags: current?.tags ?? [],
      apiKeySource: ""
    }))
    for (const { callId, costUsd = 0, model, sessionId } of entries) {
      this.events.tell({ _tag: "CostIncurred", callId, sessionId, model, costUsd, estimated: false })
    }
    return ledger === undefined ? undefined : Effect.ignore(ledger.book(entries))
  }

  /** Nothing more comes of it. What has no result is booked as an estimate. */
  readonly close: Effect.Effect<void> = Effect.void
}
