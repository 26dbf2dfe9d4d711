import { type InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as Effect from "effect/Effect"
import { randomUUID } from "node:crypto"
import { constants } from "node:fs"
import { copyFile, link, lstat, rename, rm, writeFile } from "node:fs/promises"
import { codeOf } from "../errorCode.js"
import { invalidOption } from "../invalidOption.js"

/** Fails where the page would take the place of something. Asked before the work, too. */
export const free = (path: string): Effect.Effect<void, InvalidOptionsError> =>
  Effect.flatMap(
    Effect.promise(() => lstat(path).then(() => true, () => false)),
    (there) => there ? Effect.fail(taken(path)) : Effect.void
  )

/** A file for this user alone, whole or not at all. What is there already stays, unless it is to be replaced. */
export const write = (path: string, text: string, replace: boolean): Effect.Effect<void, InvalidOptionsError> =>
  Effect.acquireUseRelease(
    Effect.sync(() => `${path}.${randomUUID()}`),
    (beside) =>
      Effect.tryPromise({
        try: async () => {
          await writeFile(beside, text, { flag: "wx", mode: 0o600, flush: true })
          await (replace ? rename(beside, path) : settle(beside, path))
        },
        catch: (error) => codeOf(error) === "EEXIST" ? taken(path) : unwritable(path, error)
      }),
    (beside) => Effect.promise(() => rm(beside, { force: true }).catch(() => {}))
  )

// ---------------------------------------------------------------------------

/** A link takes the place of nothing. Not every file system has them. */
const settle = (beside: string, path: string): Promise<void> =>
  link(beside, path).catch((error: unknown) => {
    if (codeOf(error) === "EEXIST") throw error
    return copyFile(beside, path, constants.COPYFILE_EXCL)
  })

const taken = (path: string) =>
  invalidOption("--output", `${path} is there already`, "Name another file, or give --force to replace it.")

const unwritable = (path: string, error: unknown) =>
  invalidOption(
    "--output",
    `${path} cannot be written${codeOf(error) === "" ? "" : ` (${codeOf(error)})`}`,
    "Name a file in a folder that is there and that you may write to."
  )
