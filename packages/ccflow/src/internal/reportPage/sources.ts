import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import { EventLog, type LoggedEvent, type LoggedType } from "@ccflow/core/EventLog"
import type { SessionRecord } from "@ccflow/core/SessionRecord"
import { SessionRepository } from "@ccflow/core/SessionRepository"
import { type UsageEntry, UsageLedger } from "@ccflow/core/UsageLedger"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Store from "../store.js"

/** Times are UTC epoch milliseconds: from the one on, before the other. */
export interface Range {
  readonly since?: number | undefined
  readonly until?: number | undefined
}

/** What the page is read from, in this file. SQLite is loaded here. */
export const stores = (path: string): Layer.Layer<SessionRepository | UsageLedger | EventLog, SessionStoreError> =>
  Layer.unwrapEffect(Effect.map(
    modules,
    ([events, file, ledger, sessions]) =>
      Layer.provide(Layer.mergeAll(events.layer, ledger.layer, sessions.layer), file.layer({ path }))
  ))

/** Whether it lies in the range, wholly or in part. */
export const overlaps = ({ since = -Infinity, until = Infinity }: Range, from: number, to: number): boolean =>
  to >= since && from < until

/** Every session that is kept. */
export const records: Effect.Effect<ReadonlyMap<string, SessionRecord>, SessionStoreError, SessionRepository> = Effect
  .flatMap(SessionRepository, (repository) =>
    Stream.runFold(
      Store.all(repository, { limit: 1_000 }),
      new Map<string, SessionRecord>(),
      (all, record) => all.set(record.sessionId, record)
    ))

/** Every entry of the ledger in this range. */
export const entries = (range: Range): Stream.Stream<UsageEntry, SessionStoreError, UsageLedger> =>
  Stream.unwrap(Effect.map(UsageLedger, (ledger) =>
    Store.paged(
      (after: string | undefined) => ledger.entries({ ...range, after, limit: 1_000 }),
      ({ entries }) => entries
    )))

/** At most so many events of these kinds, the latest first; one more than `most` says that there are more. */
export const latest = <Type extends LoggedType>(
  types: ReadonlyArray<Type>,
  most: number,
  range: Range
): Effect.Effect<ReadonlyArray<Extract<LoggedEvent, { readonly _tag: Type }>>, SessionStoreError, EventLog> =>
  Effect.flatMap(EventLog, (log) =>
    Store.paged(
      (after: string | undefined) =>
        log.read({ ...range, newestFirst: true, types, after, limit: Math.min(most + 1, 1_000) }),
      ({ events }) => events
    ).pipe(
      Stream.filter((event): event is Extract<LoggedEvent, { readonly _tag: Type }> =>
        types.some((type) => type === event._tag)
      ),
      Stream.take(most + 1),
      Stream.runCollect,
      Effect.map(Chunk.toReadonlyArray)
    ))

// ---------------------------------------------------------------------------

const modules = Effect.tryPromise({
  try: () =>
    Promise.all([
      import("@ccflow/sql/SqlEventLog"),
      import("@ccflow/sql/SqliteFile"),
      import("@ccflow/sql/SqlUsageLedger"),
      import("@ccflow/sql/SqlSessionRepository")
    ]),
  catch: Store.missing
})
