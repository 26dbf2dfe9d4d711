/** Session records in one SQLite file, which any number of processes of this machine can share: see `SqliteFile`. */
import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import type { SessionRepository } from "@ccflow/core/SessionRepository"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { homedir, platform } from "node:os"
import { isAbsolute, join } from "node:path"
import { storeError } from "./internal/failure.js"
import * as SqliteFile from "./SqliteFile.js"
import * as SqlSessionRepository from "./SqlSessionRepository.js"

/** Where the sessions are kept. */
export type SqliteOptions = SqliteFile.SqliteOptions

/** The repository in this file. What is wrong with the file is told here, by `reason`, and nothing is changed then. */
export const layer = (options: SqliteOptions): Layer.Layer<SessionRepository, SessionStoreError> =>
  Layer.provide(SqlSessionRepository.layer, SqliteFile.layer(options))

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
  Effect.mapBoth(pathConfig, { onFailure: (error) => storeError("open", error), onSuccess: (path) => layer({ path }) })
)

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
