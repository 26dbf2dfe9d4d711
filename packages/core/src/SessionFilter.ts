/**
 * What a listing of sessions asks for, read once for every backend: the same limits, the same cursors, the same idea of
 * what a search finds.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as Schema from "effect/Schema"
import type { SessionStoreError } from "./ClaudeError.js"
import { checked, inputError, type SessionRecord, SessionStatus, wellFormed } from "./SessionRecord.js"

/** What a listing can be ordered by. Ties are broken by the session's id, in the same direction. */
export const SessionOrder = Schema.Literal("updatedAt", "createdAt", "turnCount", "costUsd", "title")
export type SessionOrder = typeof SessionOrder.Type

/** Which sessions, in which order, and which page of them. All conditions must hold; times are UTC epoch milliseconds. */
export const SessionFilter = Schema.Struct({
  status: Schema.optional(SessionStatus),
  model: Schema.optional(Schema.String),
  /** Sessions with any of these. An empty list asks for nothing in particular. */
  tags: Schema.optional(Schema.Array(Schema.String)),
  /** After and before are both exclusive. */
  createdAfter: Schema.optional(Schema.Finite),
  createdBefore: Schema.optional(Schema.Finite),
  updatedAfter: Schema.optional(Schema.Finite),
  updatedBefore: Schema.optional(Schema.Finite),
  /** Completed turns, inclusive. */
  minTurns: Schema.optional(Schema.Finite),
  maxTurns: Schema.optional(Schema.Finite),
  /** A part of the title or of any prompt's text, whatever its case. No character has a meaning of its own. */
  search: Schema.optional(Schema.String),
  /** Default: `updatedAt`. */
  orderBy: Schema.optional(SessionOrder),
  /** Default: true. */
  descending: Schema.optional(Schema.Boolean),
  /** Sessions a page, 1 to 1,000. Default: 100. */
  limit: Schema.optional(Schema.Int.pipe(Schema.between(1, 1000))),
  /** The `next` of the page before. It belongs to the order that it was made with. */
  after: Schema.optional(Schema.String)
})
export type SessionFilter = typeof SessionFilter.Type

/** Which of a session's turns, or of a turn's messages: those behind `after`, at most `limit` (1 to 1,000, default 100). */
export const PageOptions = Schema.Struct({
  /** The `next` of the page before. */
  after: Schema.optional(Schema.Int),
  limit: Schema.optional(Schema.Int.pipe(Schema.between(1, 1000)))
})
export type PageOptions = typeof PageOptions.Type

/** Where a page starts: behind the session with this value and id. */
export interface Position {
  readonly value: string | number
  readonly sessionId: string
}

/** A filter with its defaults filled in. `search` is folded, `tags` is empty when any will do. */
export interface Listing extends Omit<SessionFilter, "after" | "orderBy" | "descending" | "limit" | "tags" | "search"> {
  readonly tags: ReadonlyArray<string>
  readonly search: string
  readonly orderBy: SessionOrder
  readonly descending: boolean
  readonly limit: number
  readonly after: Position | undefined
}

/** Checks a filter. A cursor of another order is refused: it would skip rows silently. */
export const resolve = (operation: string, filter: SessionFilter): Effect.Effect<Listing, SessionStoreError> =>
  Effect.gen(function*() {
    const { after, ...given } = yield* checked(operation, SessionFilter, filter)
    const listing = {
      ...given,
      ...whole(given),
      tags: given.tags ?? [],
      search: fold(given.search ?? ""),
      orderBy: given.orderBy ?? "updatedAt",
      descending: given.descending ?? true,
      limit: given.limit ?? 100
    } as const
    if (after === undefined) return { ...listing, after: undefined }
    const cursor = Encoding.decodeBase64UrlString(after).pipe(Either.flatMap(readCursor), Either.getOrUndefined)
    if (cursor === undefined || cursor[0] !== listing.orderBy || cursor[1] !== listing.descending) {
      return yield* Effect.fail(inputError(operation, "after is not a cursor of this order"))
    }
    return { ...listing, after: { value: cursor[2], sessionId: cursor[3] } }
  })

/** Checks which page is asked for, and fills in the defaults. */
export const resolvePage = (
  operation: string,
  page: PageOptions
): Effect.Effect<{ readonly after: number; readonly limit: number }, SessionStoreError> =>
  Effect.map(checked(operation, PageOptions, page), ({ after = -1, limit = 100 }) => ({ after, limit }))

/** The cursor of the page that follows one that ends with this session. */
export const cursorOf = (listing: Listing, last: SessionRecord): string =>
  Encoding.encodeBase64Url(
    JSON.stringify([listing.orderBy, listing.descending, orderValue(listing.orderBy, last), last.sessionId])
  )

/** What a session is ordered by. Titles are, like searches, whatever their case. */
export const orderValue = (orderBy: SessionOrder, record: SessionRecord): string | number =>
  orderBy === "title" ? fold(record.title) : record[orderBy]

/** Text as it is searched and ordered: one case, one form of accents, nothing a database cannot hold. */
export const fold = (text: string): string => wellFormed(text.normalize("NFC").toLowerCase())

// ---------------------------------------------------------------------------

const readCursor = Schema.decodeUnknownEither(
  Schema.parseJson(
    Schema.Tuple(SessionOrder, Schema.Boolean, Schema.Union(Schema.String, Schema.Finite), Schema.String)
  )
)

/** Times and turns are whole numbers, in every database: a bound between two of them means the same as the one beside it. */
const whole = ({ createdAfter, createdBefore, maxTurns, minTurns, updatedAfter, updatedBefore }: SessionFilter) => ({
  createdAfter: createdAfter && Math.floor(createdAfter),
  createdBefore: createdBefore && Math.ceil(createdBefore),
  updatedAfter: updatedAfter && Math.floor(updatedAfter),
  updatedBefore: updatedBefore && Math.ceil(updatedBefore),
  minTurns: minTurns && Math.ceil(minTurns),
  maxTurns: maxTurns && Math.floor(maxTurns)
})
