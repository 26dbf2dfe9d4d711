/**
 * Session records in one SQLite file, which any number of processes of this machine can share.
 *
 * The driver is loaded when the layer is built and nowhere else, so that only those who keep sessions need it installed.
 */
import { SessionStoreError } from "@ccflow/core/ClaudeError"
import { SessionRepository } from "@ccflow/core/SessionRepository"
import * as Reactivity from "@effect/experimental/Reactivity"
import { SqlClient } from "@effect/sql/SqlClient"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { homedir, platform } from "node:os"
import { isAbsolute, join, resolve } from "node:path"
import { isSqlite, storeError } from "./internal/failure.js"
import { currentVersion, migrations } from "./internal/migrations.js"
import { prepare } from "./internal/sqliteFile.js"
import * as Store from "./internal/store.js"
import * as SqlSessionRepository from "./SqlSessionRepository.js"

/** Where the sessions are kept. */
export interface SqliteOptions {
  /** It and its folder are made when they are not there, for this user only (0600 and 0700). */
  readonly path: string
}

/** The repository in this file. What is wrong with the file is told here, by `reason`, and nothing is changed then. */
export const layer = (options: SqliteOptions): Layer.Layer<SessionRepository, SessionStoreError> =>
  Layer.scoped(
    SessionRepository,
    Effect.flatMap(open(resolve(options.path.trim())), (client) =>
      Effect.provideService(SqlSessionRepository.make, SqlClient, client))
  )

/**
 * The file that `CCFLOW_SESSION_STORAGE_PATH` names, or else `ccflow/sessions.db` in this user's data folder:
 * `$XDG_DATA_HOME` or `~/.local/share`, `~/Library/Application Support` on macOS, `%LOCALAPPDATA%` on Windows.
 */
export const pathConfig: Config.Config<string> = Config.all({
  path: variable("CCFLOW_SESSION_STORAGE_PATH"),
  xdg: variable("XDG_DATA_HOME"),
  local: variable("LOCALAPPDATA")
}).pipe(
  Config.map(({ local, path, xdg }) => path === "" ? join(dataFolder(xdg, local), "ccflow", "sessions.db") : path)
)

/** The repository in the file of `pathConfig`. */
export const layerConfig: Layer.Layer<SessionRepository, SessionStoreError> = Layer.unwrapEffect(
  pathConfig.pipe(
    Effect.mapBoth({
      onFailure: (error) => storeError("open", error),
      onSuccess: (path) => layer({ path })
    })
  )
)

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

/** An empty variable says nothing. */
function variable(name: string): Config.Config<string> {
  return Config.withDefault(Config.string(name), "")
}

const dataFolder = (xdg: string, local: string): string => {
  if (platform() === "win32") return local === "" ? join(homedir(), "AppData", "Local") : local
  if (platform() === "darwin") return join(homedir(), "Library", "Application Support")
  // A relative one is to be ignored, says the XDG specification.
  return isAbsolute(xdg) ? xdg : join(homedir(), ".local", "share")
}

const open = (path: string): Effect.Effect<SqlClient, SessionStoreError, Scope.Scope> =>
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
  new SessionStoreError({
    operation: "open",
    reason: "Unavailable",
    detail: `SQLite's driver cannot be loaded: ${
      (error instanceof Error ? error.message : String(error)).split("\n")[0]
    }`,
    hint: "Install it: npm install @effect/sql-sqlite-node@^0.53 better-sqlite3@12. Where npm asks for it, let " +
      "better-sqlite3 run its install script: npm install-scripts approve better-sqlite3 && npm rebuild better-sqlite3."
  })
