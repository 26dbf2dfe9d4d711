import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import * as NodeDoctor from "@ccflow/node/NodeDoctor"
import * as Reactivity from "@effect/experimental/Reactivity"
import type * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import type { Stats } from "node:fs"
import { access, constants, stat } from "node:fs/promises"
import { createRequire } from "node:module"
import { dirname } from "node:path"
import { codeOf } from "./errorCode.js"

/** The file of the sessions that are kept: read, and neither made nor changed. */
export const storeCheck = (kept: Either.Either<string, SessionStoreError>): NodeDoctor.Check =>
  NodeDoctor.check(
    "session store",
    Effect.gen(function*() {
      const path = yield* kept
      const driver = yield* Effect.either(load)
      const found = yield* Effect.promise(() => stat(path).catch((error: unknown) => codeOf(error)))
      if (driver._tag === "Left") {
        const detail = `SQLite's driver cannot be loaded: ${driver.left}`
        return typeof found === "string" && (process.env["CCFLOW_SESSION_STORAGE_PATH"] ?? "").trim() === ""
          ? NodeDoctor.warning(`${detail}; conversations are not kept`, install)
          : NodeDoctor.failed(`${path}: ${detail}`, install)
      }
      if (typeof found === "string") {
        return isAbsent(found)
          ? yield* Effect.promise(() => absentFinding(path))
          : NodeDoctor.failed(`${path} cannot be looked at (${found})`, "Make its folder readable for this user.")
      }
      if (!found.isFile()) return NodeDoctor.failed(`${path} is not a file`, another)
      return NodeDoctor.together(
        [yield* contentFinding(path, found, driver.right), ...modeFindings(path, found), ...driverFindings()],
        NodeDoctor.ok("")
      )
    }).pipe(
      Effect.catchTag("SessionStoreError", ({ detail, hint }) => Effect.succeed(NodeDoctor.failed(detail, hint)))
    )
  )

/** What the file knows of the subscription's windows. A file that does not tell is another check's business. */
export const knownWindows = (path: string): Effect.Effect<ReadonlyArray<NodeDoctor.Window>> =>
  Effect.gen(function*() {
    if (!(yield* Effect.promise(() => stat(path).then((found) => found.isFile(), () => false)))) return []
    return yield* opened(yield* load, path, (client) => client.unsafe<NodeDoctor.Window>(windows))
  }).pipe(Effect.catchAllCause(() => Effect.succeed([])))

// ---------------------------------------------------------------------------

const windows = `
  SELECT limit_name AS "limit", status, resets_at AS "resetsAt", utilization
  FROM ccflow_usage_windows ORDER BY account, limit_name`

/** The driver loads its own code when it opens something. */
const load = Effect.tryPromise(() => import("@effect/sql-sqlite-node/SqliteClient")).pipe(
  Effect.tap((driver) => opened(driver, ":memory:", () => Effect.void)),
  Effect.catchAllCause((cause) => Effect.fail(reasonOf(cause)))
)

type Driver = typeof SqliteClient

const opened = <A, E>(
  driver: Driver,
  filename: string,
  use: (client: SqliteClient.SqliteClient) => Effect.Effect<A, E>
): Effect.Effect<A, E> =>
  Effect.scoped(Effect.flatMap(
    driver.make({ filename, readonly: filename !== ":memory:", disableWAL: true }).pipe(
      Effect.provideServiceEffect(Reactivity.Reactivity, Reactivity.make)
    ),
    use
  ))

const contentFinding = (path: string, found: Stats, driver: Driver): Effect.Effect<NodeDoctor.Finding> =>
  Effect.gen(function*() {
    const refusal = yield* Effect.promise(() => refusalOf(path, constants.R_OK | constants.W_OK))
    if (refusal !== undefined) {
      return NodeDoctor.failed(`${path} cannot be read and written (${refusal})`, `Make it yours: chmod 600 ${path}.`)
    }
    const thorough = found.size <= mostBytes
    const rows = yield* opened(
      driver,
      path,
      (client) => client.unsafe<Record<string, unknown>>(thorough ? "PRAGMA quick_check" : "PRAGMA schema_version")
    )
    const [said] = rows.flatMap((row) => Object.values(row))
    return thorough && said !== "ok"
      ? NodeDoctor.failed(`${path} is damaged: ${String(said)}`, mend)
      : NodeDoctor.ok(`${path} opens${thorough ? ", and is whole" : "; it is too large to be read through here"}`)
  }).pipe(
    Effect.catchAllCause((cause) =>
      Effect.succeed(NodeDoctor.failed(`${path} cannot be opened: ${reasonOf(cause)}`, mend))
    )
  )

/** It will be made, with the folders that are missing, in the nearest one that is there. */
const absentFinding = async (path: string): Promise<NodeDoctor.Finding> => {
  let folder = dirname(path)
  let found = await stat(folder).catch(codeOf)
  while (typeof found === "string" && isAbsent(found) && folder !== dirname(folder)) {
    folder = dirname(folder)
    found = await stat(folder).catch(codeOf)
  }
  if (typeof found !== "string" && !found.isDirectory()) {
    return NodeDoctor.failed(`${path} cannot be made: ${folder} is not a folder`, another)
  }
  const refusal = await refusalOf(folder, constants.W_OK | constants.X_OK)
  return refusal === undefined
    ? NodeDoctor.ok(`${path} is not there yet, and will be made`)
    : NodeDoctor.failed(`${path} cannot be made: ${folder} cannot be written to (${refusal})`, another)
}

const modeFindings = (path: string, { mode }: Stats): ReadonlyArray<NodeDoctor.Finding> =>
  process.platform === "win32" || (mode & 0o077) === 0 ? [] : [NodeDoctor.warning(
    `${path} can be read by others (mode ${(mode & 0o777).toString(8)})`,
    `Keep it to yourself: chmod 600 ${path}.`
  )]

/** Seen with Node 24.21 and better-sqlite3 12.11: an assertion of Node's fails in the destructor of a statement. */
const driverFindings = (): ReadonlyArray<NodeDoctor.Finding> => {
  if (Number.parseInt(process.versions.node) < 24) return []
  const { version }: { readonly version: string } = createRequire(import.meta.url)("better-sqlite3/package.json")
  return Number.parseInt(version) >= 13 ? [] : [NodeDoctor.warning(
    `better-sqlite3 ${version} can end this process: Node ${process.versions.node} aborts when its garbage is collected`,
    "Install a later one: npm install better-sqlite3@13."
  )]
}

/** What SQLite said, which is the innermost of the errors around it. */
const reasonOf = (cause: Cause.Cause<unknown>): string => {
  let error: unknown = Cause.squash(cause)
  for (let depth = 0; depth < 8 && error instanceof Error && error.cause instanceof Error; depth++) error = error.cause
  return (error instanceof Error ? error.message : String(error)).split("\n", 1)[0] ?? ""
}

const refusalOf = (path: string, mode: number): Promise<string | undefined> =>
  access(path, mode).then(() => undefined, codeOf)

const isAbsent = (code: string): boolean => code === "ENOENT" || code === "ENOTDIR"

/** What is read through within a second or two. */
const mostBytes = 256 * 1024 ** 2

const install =
  "Install it: npm install better-sqlite3@13, with Node 20 better-sqlite3@12. Version 12 needs its install " +
  "script: npm install-scripts approve better-sqlite3 && npm rebuild better-sqlite3."

const mend = "Move it aside and start with an empty one, or name another: CCFLOW_SESSION_STORAGE_PATH."

const another = "Name a file in a folder of your own: CCFLOW_SESSION_STORAGE_PATH."
