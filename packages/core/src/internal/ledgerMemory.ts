import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as Order from "effect/Order"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import { type SessionStoreError } from "../ClaudeError.js"
import { checked, inputError, tidyTags } from "../SessionRecord.js"
import { checkFilter, dayIn, PageLimit, quarterMs, type UsageFilter, UsageKey } from "../UsageFilter.js"
import type { UsageEntry, UsageGroup, UsageLedgerService, UsageSum } from "../UsageLedger.js"
import { noUsage } from "./figures.js"

/**
 * Entries for as long as the process lives. The newest are kept as they are; what is older is only in sums, by quarter
 * of an hour, model, batch and tags, and no longer by session.
 */
export class MemoryLedger implements UsageLedgerService {
  private readonly booked = new Map<string, UsageEntry>()
  private readonly folded = new Map<string, Folded>()
  /** The totals that were asked for last, kept up to date: a budget asks for the same ones before each step of a run. */
  private readonly asked = new Map<string, { readonly filter: UsageFilter; readonly sum: Mutable }>()
  private readonly most: number

  constructor(most = 100_000) {
    this.most = most
  }

  readonly book: UsageLedgerService["book"] = (entries) =>
    Effect.sync(() => {
      for (const given of entries) {
        if (this.booked.has(given.entryId)) continue
        const entry = { ...given, tags: tidyTags(given.tags) }
        this.booked.set(entry.entryId, entry)
        for (const { filter, sum } of this.asked.values()) if (holds(filter, entry)) add(sum, { sum: sumOf(entry) })
      }
      this.fold()
    })

  readonly total: UsageLedgerService["total"] = (filter = {}) =>
    checkFilter("total", filter).pipe(Effect.map((filter) => {
      const key = JSON.stringify(filter)
      let asked = this.asked.get(key)
      if (asked === undefined) {
        asked = { filter: { ...filter }, sum: { ...nothing } }
        for (const row of this.rows(filter)) add(asked.sum, row)
      }
      this.asked.delete(key)
      this.asked.set(key, asked)
      if (this.asked.size > mostAsked) this.asked.delete(this.asked.keys().next().value ?? "")
      return { ...asked.sum }
    }))

  readonly by: UsageLedgerService["by"] = (key, { timeZone, ...filter } = {}) =>
    Effect.gen(this, function*() {
      yield* checked("by", UsageKey, key)
      yield* checkFilter("by", filter)
      const keysOf = key === "day" ? yield* dayOf(timeZone) : keys[key]
      const groups = new Map<string, Mutable>()
      for (const row of this.rows(filter)) {
        for (const name of keysOf(row)) {
          const sum = groups.get(name) ?? { ...nothing }
          groups.set(name, sum)
          add(sum, row)
        }
      }
      return [...groups].map(([name, sum]): UsageGroup => ({ key: name, ...sum }))
        .sort(key === "day" || key === "batch" ? byKey : byCost)
    })

  readonly entries: UsageLedgerService["entries"] = ({ after, limit = 100, ...filter } = {}) =>
    Effect.gen(this, function*() {
      yield* checkFilter("entries", filter)
      yield* checked("entries", PageLimit, limit)
      const cursor = after === undefined ? undefined : yield* readCursor(after)
      const found: Array<UsageEntry> = []
      for (const entry of this.booked.values()) {
        if (holds(filter, entry) && (cursor === undefined || inOrder(cursor, entry) < 0)) found.push(entry)
      }
      const page = found.sort(inOrder).slice(0, limit)
      const last = page.at(-1)
      return { entries: page, ...(last === undefined || found.length <= limit ? {} : { next: cursorOf(last) }) }
    })

  private *rows(filter: UsageFilter): Iterable<Row> {
    for (const entry of this.booked.values()) {
      if (holds(filter, entry)) yield { ...entry, sum: sumOf(entry) }
    }
    for (const row of this.folded.values()) {
      if (holds(filter, row)) yield row
    }
  }

  private fold(): void {
    for (const [id, entry] of this.booked) {
      if (this.booked.size <= this.most) return
      this.booked.delete(id)
      const at = entry.at - entry.at % quarterMs
      const { batchId, model, tags } = entry
      const key = JSON.stringify([at, model, batchId, tags])
      const row = this.folded.get(key) ?? { at, model, batchId, tags, sessionId: "", sum: { ...nothing } }
      this.folded.set(key, row)
      add(row.sum, { sum: sumOf(entry) })
    }
  }
}

// ---------------------------------------------------------------------------

type Keyed = Pick<UsageEntry, "at" | "model" | "sessionId" | "batchId" | "tags">
type Mutable = { -readonly [Field in keyof UsageSum]: UsageSum[Field] }

interface Row extends Keyed {
  readonly sum: UsageSum
}

interface Folded extends Row {
  readonly sum: Mutable
}

const holds = ({ batchId, model, sessionId, since, tag, until }: UsageFilter, row: Keyed): boolean =>
  (since === undefined || row.at >= since) &&
  (until === undefined || row.at < until) &&
  (model === undefined || row.model === model) &&
  (sessionId === undefined || row.sessionId === sessionId) &&
  (tag === undefined || row.tags.includes(tag)) &&
  (batchId === undefined || row.batchId === batchId)

const keys: Readonly<Record<Exclude<UsageKey, "day">, (row: Keyed) => ReadonlyArray<string>>> = {
  model: ({ model }) => [model],
  session: ({ sessionId }) => [sessionId],
  batch: ({ batchId = "" }) => [batchId],
  tag: ({ tags }) => tags.length === 0 ? [""] : tags
}

/** Each quarter of an hour is looked up once. */
const dayOf = (
  timeZone: string | undefined
): Effect.Effect<(row: Keyed) => ReadonlyArray<string>, SessionStoreError> =>
  Effect.map(dayIn(timeZone), (day) => {
    const known = new Map<number, ReadonlyArray<string>>()
    return ({ at }) => {
      const quarter = Math.floor(at / quarterMs)
      const found = known.get(quarter) ?? [day(quarter * quarterMs)]
      known.set(quarter, found)
      return found
    }
  })

/** More than a program has under way at once, so that none is made anew for each step. */
const mostAsked = 1024

const byKey = (one: UsageGroup, other: UsageGroup): number => one.key < other.key ? -1 : 1

const byCost = (one: UsageGroup, other: UsageGroup): number => other.costUsd - one.costUsd || byKey(one, other)

type Position = Pick<UsageEntry, "at" | "entryId">

const inOrder = Order.struct({ at: Order.number, entryId: Order.string })

const Cursor = Schema.parseJson(Schema.Tuple(Schema.Number, Schema.String))

const cursorOf = ({ at, entryId }: Position): string => Encoding.encodeBase64Url(JSON.stringify([at, entryId]))

const readCursor = (after: string): Effect.Effect<Position, SessionStoreError> =>
  Encoding.decodeBase64UrlString(after).pipe(
    Either.flatMap(Schema.decodeUnknownEither(Cursor)),
    Either.mapBoth({
      onLeft: () => inputError("entries", "after is not the next of a page"),
      onRight: ([at, entryId]) => ({ at, entryId })
    })
  )

const sumOf = ({ basis, costUsd, listUsd, usage }: UsageEntry): UsageSum => ({
  ...nothing,
  ...usage,
  costUsd: costUsd ?? 0,
  estimatedUsd: basis === "estimated" ? costUsd ?? 0 : 0,
  listUsd: listUsd ?? 0,
  unpriced: costUsd === undefined ? 1 : 0,
  uncounted: usage === undefined ? 1 : 0,
  entries: 1
})

const add = (to: Mutable, { sum }: Pick<Row, "sum">): void => {
  for (const field of Struct.keys(nothing)) to[field] += sum[field]
}

const nothing: UsageSum = {
  ...noUsage,
  webSearchRequests: 0,
  costUsd: 0,
  estimatedUsd: 0,
  listUsd: 0,
  unpriced: 0,
  uncounted: 0,
  entries: 0
}
