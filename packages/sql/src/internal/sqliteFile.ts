/** The file that sessions are kept in. The driver's own answer to a bad path is an exception, so it is looked at first. */
import { SessionStoreError } from "@ccflow/core/ClaudeError"
import * as Effect from "effect/Effect"
import { access, constants, mkdir, open, stat } from "node:fs/promises"
import { dirname } from "node:path"
import { storeError } from "./failure.js"

/**
 * Makes sure of a file that can be written, in a folder that can be: SQLite keeps two more files beside it. What is made
 * here is for its owner's eyes only, and SQLite gives those two the same mode.
 *
 * @internal
 */
export const prepare = (path: string): Effect.Effect<void, SessionStoreError> =>
  Effect.flatMap(
    Effect.tryPromise({
      try: async () => {
        await mkdir(dirname(path), { recursive: true, mode: 0o700 })
        await open(path, "wx", 0o600).then((file) => file.close(), unless("EEXIST"))
        const file = await stat(path)
        await access(path, constants.R_OK | constants.W_OK)
        await access(dirname(path), constants.W_OK | constants.X_OK)
        return file.isFile()
      },
      catch: (error) =>
        isCode(error, "EEXIST")
          ? notAFile(`there is a file in the way of the folder ${dirname(path)}`)
          : storeError("open", error)
    }),
    (isFile) => isFile ? Effect.void : Effect.fail(notAFile(`${path} is not a file`))
  )

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

const isCode = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code

const unless = (code: string) => (error: unknown): void => {
  if (!isCode(error, code)) throw error
}

const notAFile = (detail: string) =>
  new SessionStoreError({ operation: "open", reason: "NotAFile", detail, hint: "Give the path of a file in a folder." })
