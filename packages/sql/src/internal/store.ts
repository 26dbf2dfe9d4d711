/**
 * How statements are run: each operation has the connection to itself, writers take their place before they read, and
 * what another process has locked is tried again.
 */
import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import type { Fragment } from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { isBusy, storeError } from "./failure.js"

export interface Store {
  readonly sql: SqlClient.SqlClient
  /** Runs what reads, or changes things in one statement. */
  readonly run: <A, E>(
    operation: string,
    body: Effect.Effect<A, E | SqlError>
  ) => Effect.Effect<A, Exclude<E, SqlError> | SessionStoreError>
  /** Runs all of it or nothing. It may run more than once. */
  readonly transaction: Store["run"]
  /** Runs one statement that returns what it has changed, and tells whether it has changed anything. */
  readonly changed: <E>(
    operation: string,
    statement: Effect.Effect<ReadonlyArray<unknown>, E | SqlError>
  ) => Effect.Effect<boolean, Exclude<E, SqlError> | SessionStoreError>
  /** PostgreSQL's statements of one transaction see what others commit in between, unless the row is held by this. */
  readonly held: Fragment
  /** All values of the column `tag` as a JSON array. */
  readonly allTags: Fragment
}

export const make = (client: SqlClient.SqlClient): Store => {
  const sql = client.withoutTransforms()
  // A deferred BEGIN lets two processes read first and refuses one of them when it writes.
  const begin = sql.onDialectOrElse({ pg: () => "BEGIN", orElse: () => "BEGIN IMMEDIATE" })

  /**
   * A statement of its own could slip into another fiber's transaction, and be rolled back with it: SQLite has one
   * connection, and the client gives it out before the statement runs.
   */
  const connected = <A, E>(
    use: (connection: Connection) => Effect.Effect<A, E | SqlError>,
    joined: Effect.Effect<A, E | SqlError>
  ): Effect.Effect<A, E | SqlError> =>
    Effect.flatMap(Effect.serviceOption(SqlClient.TransactionConnection), (outer) =>
      Option.isSome(outer)
        ? joined
        : Effect.scoped(Effect.flatMap(sql.reserve, use)))

  const run: Store["run"] = (operation, body) =>
    settled(operation, connected((connection) => inside(connection, body), body))

  return {
    sql,
    run,
    changed: (operation, statement) => Effect.map(run(operation, statement), (rows) => rows.length > 0),
    held: sql.literal(sql.onDialectOrElse({ pg: () => "FOR UPDATE", orElse: () => "" })),
    allTags: sql.literal(sql.onDialectOrElse({
      pg: () => "coalesce(json_agg(tag), '[]')::text",
      orElse: () => "json_group_array(tag)"
    })),
    transaction: (operation, body) =>
      settled(
        operation,
        connected(
          (connection) =>
            Effect.uninterruptibleMask((restore) =>
              execute(connection, begin).pipe(
                Effect.zipRight(Effect.exit(restore(inside(connection, body)))),
                Effect.flatMap((exit) =>
                  Exit.isSuccess(exit)
                    ? Effect.as(Effect.tapError(execute(connection, "COMMIT"), () => rollback(connection)), exit.value)
                    : Effect.zipRight(rollback(connection), exit)
                )
              )
            ),
          sql.withTransaction(body)
        )
      )
  }
}

// ---------------------------------------------------------------------------

const execute = (connection: Connection, statement: string) => connection.executeUnprepared(statement, [], undefined)

/** SQLite has rolled back by itself after some errors, and says so. */
const rollback = (connection: Connection) => Effect.ignore(execute(connection, "ROLLBACK"))

const inside = <A, E, R>(connection: Connection, body: Effect.Effect<A, E, R>) =>
  Effect.provideService(body, SqlClient.TransactionConnection, [connection, 0])

/** Short and uneven waits, so that two processes do not keep meeting; 30 seconds of them is a lock that nobody frees. */
const patience = Schedule.exponential("1 millis", 2).pipe(
  Schedule.union(Schedule.spaced("30 millis")),
  Schedule.jitteredWith({ min: 0.2, max: 1.8 }),
  Schedule.upTo("30 seconds")
)

const settled = <A, E>(
  operation: string,
  effect: Effect.Effect<A, E | SqlError>
): Effect.Effect<A, Exclude<E, SqlError> | SessionStoreError> =>
  effect.pipe(
    Effect.retry({ schedule: patience, while: (error) => error instanceof SqlError && isBusy(error) }),
    Effect.catchIf((error) => error instanceof SqlError, (error) => Effect.fail(storeError(operation, error)))
  )
