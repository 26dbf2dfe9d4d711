/**
 * One SQLite file as a client of `@effect/sql`, which any number of processes of this machine can share. What is kept in
 * it is the business of the layers over it.
 *
 * The driver is loaded when the layer is built and nowhere else, so that only those who keep something need it installed.
 */
import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import * as Reactivity from "@effect/experimental/Reactivity"
import { SqlClient } from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { access, constants, mkdir, open, stat } from "node:fs/promises"
import { dirname, resolve } from "node:path"
import { codeOf, isSqlite, openError, storeError } from "./internal/failure.js"
import { currentVersion, migrations } from "./internal/migrations.js"
import * as Store from "./internal/store.js"

/** Where things are kept. */
export interface SqliteOptions {
  /** It and its folder are made when they are not there, for this user only (0600 and 0700). */
  readonly path: string
}

/** What is wrong with the file is told here, by `reason`, and nothing is changed then. */
export const layer = (options: SqliteOptions): Layer.Layer<SqlClient, SessionStoreError> =>
  Layer.scoped(SqlClient, Effect.suspend(() => opened(resolve(options.path.trim()))))

// ---------------------------------------------------------------------------

const opened = (path: string): Effect.Effect<SqlClient, SessionStoreError, Scope.Scope> =>
  Effect.gen(function*() {
    yield* prepare(path)
    const driver = yield* Effect.tryPromise({
      try: () => import("@effect/sql-sqlite-node/SqliteClient"),
      catch: missing
    })
    const client = yield* driver.make({ filename: path, disableWAL: true, prepareCacheTTL: forgetsMs }).pipe(
      Effect.provideServiceEffect(Reactivity.Reactivity, Reactivity.make),
      // The driver throws when it opens.
      Effect.catchAllDefect((error) => Effect.fail(isSqlite(error) ? storeError("open", error) : missing(error)))
    )
    const store = Store.make(client)
    const set = (statement: string) => store.run("open", client.unsafe(statement))
    // SQLite's own waiting holds the event loop; the longer waits are between our attempts.
    yield* set(`PRAGMA busy_timeout = ${blockingMs}`)
    yield* currentVersion(store, migrations)
    yield* set("PRAGMA journal_mode = WAL")
    yield* set("PRAGMA synchronous = NORMAL")
    return client
  })

const blockingMs = 1

/** The driver keeps statements that it could not prepare, too: one that met a lock would fail again and again. */
const forgetsMs = 100

const missing = (error: unknown): SessionStoreError =>
  openError(
    "Unavailable",
    `SQLite's driver cannot be loaded: ${(error instanceof Error ? error.message : String(error)).split("\n")[0]}`,
    "Install it: npm install better-sqlite3@13, with Node 20 better-sqlite3@12, and without ccflow also " +
      "@effect/sql-sqlite-node@^0.53. Version 12 needs its install script: npm install-scripts approve better-sqlite3 && " +
      "npm rebuild better-sqlite3."
  )

/**
 * Makes sure of a file that can be written, in a folder that can be: SQLite keeps two more files beside it. What is made
 * here is for its owner's eyes only, and SQLite gives those two the same mode.
 */
const prepare = (path: string): Effect.Effect<void, SessionStoreError> =>
  Effect.flatMap(
    Effect.tryPromise({
      try: async () => {
        await mkdir(dirname(path), { recursive: true, mode: 0o700 })
        await open(path, "wx", 0o600).then((file) => file.close(), unlessThere)
        const file = await stat(path)
        await access(path, constants.R_OK | constants.W_OK)
        await access(dirname(path), constants.W_OK | constants.X_OK)
        return file.isFile()
      },
      catch: (error) =>
        codeOf(error) === "EEXIST"
          ? notAFile(`there is a file in the way of the folder ${dirname(path)}`)
          : storeError("open", error)
    }),
    (isFile) => isFile ? Effect.void : Effect.fail(notAFile(`${path} is not a file`))
  )

const unlessThere = (error: unknown): void => {
  if (codeOf(error) !== "EEXIST") throw error
}

const notAFile = (detail: string) => openError("NotAFile", detail, "Give the path of a file in a folder.")
