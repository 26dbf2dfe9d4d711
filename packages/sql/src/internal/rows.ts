/** What is common to all that is read and written. */
import { SessionStoreError } from "@ccflow/core/ClaudeError"
import type { Usage } from "@ccflow/core/Message"
import type { Fragment } from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import * as Rec from "effect/Record"

/** PostgreSQL's driver gives a BIGINT as text. */
export type Whole = number | string

export interface TokenColumns {
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cache_read_input_tokens: number
  readonly cache_creation_input_tokens: number
}

export const usageOf = (row: TokenColumns): Usage => ({
  inputTokens: row.input_tokens,
  outputTokens: row.output_tokens,
  cacheReadInputTokens: row.cache_read_input_tokens,
  cacheCreationInputTokens: row.cache_creation_input_tokens
})

/** Of a JSON array. */
export const tagsOf = (json: string): ReadonlyArray<string> => {
  const tags: Array<string> = JSON.parse(json)
  return tags.sort()
}

/** A sum of nothing is NULL. */
export const readSums = <Name extends string>(row: Readonly<Record<Name, Whole | null>>): Record<Name, number> =>
  Rec.map(row, (value) => Number(value ?? 0))

/** Rows as records. Text that may hold any character is stored as JSON: PostgreSQL's text takes no NUL. */
export const readAll = <Row, A>(
  operation: string,
  read: (row: Row) => A,
  rows: ReadonlyArray<Row>
): Effect.Effect<ReadonlyArray<A>, SessionStoreError> =>
  Effect.try({
    try: () => rows.map(read),
    catch: () =>
      new SessionStoreError({
        operation,
        reason: "Corrupt",
        detail: "a row holds what is not JSON",
        hint: "Restore a copy of the database."
      })
  })

/** A page of the rows, of which one more was asked for, and where the next one begins, if there is one. */
export const readPage = <Row, A, Next>(
  operation: string,
  read: (row: Row) => A,
  rows: ReadonlyArray<Row>,
  limit: number,
  nextOf: (last: A, row: Row) => Next
): Effect.Effect<readonly [page: ReadonlyArray<A>, more: { readonly next?: Next }], SessionStoreError> =>
  Effect.map(readAll(operation, read, rows.slice(0, limit)), (page) => {
    const [last, row] = [page[limit - 1], rows[limit - 1]]
    return [page, rows.length <= limit || last === undefined || row === undefined ? {} : { next: nextOf(last, row) }]
  })

/** No condition where nothing is asked for. */
export const given = <A>(value: A | undefined, condition: (value: A) => Fragment): ReadonlyArray<Fragment> =>
  value === undefined ? [] : [condition(value)]

/** Rows of one INSERT. SQLite takes 32,766 values, and holds the event loop for as long as a statement takes. */
export const longestInsert = 500
