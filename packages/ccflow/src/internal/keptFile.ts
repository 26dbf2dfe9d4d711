import { type InvalidOptionsError, SessionStoreError } from "@ccflow/core/ClaudeError"
import * as Effect from "effect/Effect"
import { stat } from "node:fs/promises"
import { resolve } from "node:path"
import { codeOf } from "./errorCode.js"
import * as Flags from "./flags.js"
import { invalidOption } from "./invalidOption.js"
import * as Store from "./store.js"

/** Which file is looked at. */
export const option = Flags.text(
  "storage",
  "The file. Left out: that of CCFLOW_SESSION_STORAGE_PATH, or in this user's data folder."
)

/** Its whole path. What is only looked at is not made: without a file this fails. */
export const pathOf = (given: string | undefined): Effect.Effect<string, InvalidOptionsError | SessionStoreError> =>
  Effect.gen(function*() {
    if (given?.trim() === "") return yield* noName
    const path = resolve((given ?? (yield* Store.path)).trim())
    const isThere = yield* Effect.promise(() =>
      stat(path).then(() => true, (error: unknown) => codeOf(error) !== "ENOENT")
    )
    return isThere ? path : yield* nothingYet(path)
  })

// ---------------------------------------------------------------------------

const noName = invalidOption(
  "--storage",
  "it names no file",
  "Give the path of a file; left out it is that of CCFLOW_SESSION_STORAGE_PATH."
)

const nothingYet = (path: string) =>
  new SessionStoreError({
    operation: "open",
    reason: "Unavailable",
    detail: `nothing is kept yet in ${path}: there is no such file`,
    hint:
      "For another file there is --storage. A client with a storagePath makes one, and so do ccflow chat, batch and " +
      "serve, and every program while CCFLOW_SESSION_STORAGE_PATH names a file."
  })
