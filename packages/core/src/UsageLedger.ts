/**
 * What was used and what it cost, once: booked from the CLI's results, as differences of its cumulative figures, before
 * the caller has the result. What a run that was cut had used is booked as an estimate and says so; what nobody has told
 * is unknown, never 0.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { SessionStoreError } from "./ClaudeError.js"
import * as Events from "./Events.js"
import { Bookkeeper } from "./internal/books.js"
import { MemoryLedger } from "./internal/ledgerMemory.js"
import { Pricing } from "./Pricing.js"
import type { UsageFilter, UsageKey } from "./UsageFilter.js"

export type { UsageFilter, UsageKey } from "./UsageFilter.js"

/** What one model was used for by one result. */
export interface UsageEntry {
  /** The same one again changes nothing. */
  readonly entryId: string
  /** UTC epoch milliseconds. */
  readonly at: number
  /** `estimated`: by what the model had said of a run that was cut. */
  readonly basis: "reported" | "estimated"
  /** As the CLI resolved it. Empty where it did not say. */
  readonly model: string
  /** Undefined where nobody has told. */
  readonly usage: UsageTokens | undefined
  readonly costUsd: number | undefined
  /** By the table of `Pricing`, to compare. Undefined for a model that it does not have. */
  readonly listUsd: number | undefined
  readonly sessionId: string
  /** Empty for what the CLI does of itself. */
  readonly callId: string
  readonly turnId: string | undefined
  readonly batchId: string | undefined
  readonly tags: ReadonlyArray<string>
  /** Who pays, as the CLI said at the start: `none` for a subscription's login. Empty where it did not say. */
  readonly apiKeySource: string
}

export interface UsageTokens {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cacheReadInputTokens: number
  readonly cacheCreationInputTokens: number
  readonly webSearchRequests: number
}

/** Sums. What is unknown is counted apart, and is in no sum. */
export interface UsageSum extends UsageTokens {
  readonly costUsd: number
  /** The part of `costUsd` that is an estimate. */
  readonly estimatedUsd: number
  /** What the table of `Pricing` makes of what it has a price for. */
  readonly listUsd: number
  /** Entries without a known cost. */
  readonly unpriced: number
  /** Entries without known tokens. */
  readonly uncounted: number
  readonly entries: number
}

export interface UsageGroup extends UsageSum {
  /** A day is `2026-11-22`. Empty for entries that have no such key. */
  readonly key: string
}

export interface UsageLedgerService {
  readonly book: (entries: ReadonlyArray<UsageEntry>) => Effect.Effect<void, SessionStoreError>
  readonly total: (filter?: UsageFilter) => Effect.Effect<UsageSum, SessionStoreError>
  /** Days and batches in their order, the others by what they cost, highest first. Time zone: that of the host. */
  readonly by: (
    key: UsageKey,
    filter?: UsageFilter & { readonly timeZone?: string | undefined }
  ) => Effect.Effect<ReadonlyArray<UsageGroup>, SessionStoreError>
  /** In the order of their time. `next` is there when there is more: give it as `after`. `limit`: 100, at most 1000. */
  readonly entries: (
    filter?: UsageFilter & { readonly after?: string | undefined; readonly limit?: number | undefined }
  ) => Effect.Effect<{ readonly entries: ReadonlyArray<UsageEntry>; readonly next?: string }, SessionStoreError>
}

export class UsageLedger extends Context.Tag("@ccflow/core/UsageLedger")<UsageLedger, UsageLedgerService>() {}

/**
 * For as long as the layer lives. `@ccflow/sql` keeps. The newest 100,000 entries are kept whole; older ones are in the
 * sums still, but not by session, and in time to a quarter of an hour.
 */
export const layerMemory: Layer.Layer<UsageLedger> = Layer.sync(UsageLedger, () => new MemoryLedger())

/** Who the usage of an effect is booked for, beside its call and session. */
export interface Purpose {
  readonly tags: ReadonlyArray<string>
  readonly batchId: string | undefined
}

/** That of all queries and sessions of a fiber and its children. */
export class CurrentPurpose extends Context.Reference<CurrentPurpose>()("@ccflow/core/CurrentPurpose", {
  defaultValue: (): Purpose => ({ tags: [], batchId: undefined })
}) {}

/** That of the fiber, with tags of a call's own. */
export const purposeOf = (tags: ReadonlyArray<string> = []): Effect.Effect<Purpose> =>
  Effect.map(
    CurrentPurpose,
    (purpose) => tags.length === 0 ? purpose : { ...purpose, tags: [...new Set([...purpose.tags, ...tags])] }
  )

/** Books what the effect uses under these tags as well. */
export const withTags =
  (...tags: ReadonlyArray<string>) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(purposeOf(tags), (purpose) => Effect.provideService(effect, CurrentPurpose, purpose))

/** Books what the effect uses for a batch. One without an id is none that could be asked for. */
export const withBatch =
  (batchId: string | undefined) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    batchId === undefined
      ? effect
      : Effect.flatMap(
        CurrentPurpose,
        (purpose) => Effect.provideService(effect, CurrentPurpose, { ...purpose, batchId })
      )

/** The program's, where it has one. */
export const current: Effect.Effect<UsageLedgerService | undefined> = Effect.map(
  Effect.serviceOption(UsageLedger),
  Option.getOrUndefined
)

/**
 * How one books what one has used without the CLI: into the program's ledger, told to its events. It never fails. What
 * the ledger's store does not take is kept, and tried again with the next.
 */
export const booking: Effect.Effect<(entries: ReadonlyArray<UsageEntry>) => Effect.Effect<void>> = Effect.map(
  Effect.all([current, Events.current, Pricing]),
  ([ledger, events, pricing]) => {
    const books = new Bookkeeper(ledger, events, pricing)
    return (entries) => books.book(entries)
  }
)
