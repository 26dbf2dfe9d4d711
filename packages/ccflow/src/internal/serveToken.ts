import { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"

/** What clients must send: from the file, else from the environment. @internal */
export const tokenOf = (
  file: string | undefined
): Effect.Effect<string | undefined, InvalidOptionsError, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    if (file === undefined) {
      const given = yield* Effect.orDie(Config.withDefault(Config.string("CCFLOW_SERVE_TOKEN"), ""))
      // The CLI and what it starts have no business with it.
      delete process.env["CCFLOW_SERVE_TOKEN"]
      return given.trim() === "" ? undefined : given.trim()
    }
    const files = yield* FileSystem.FileSystem
    const text = yield* Effect.mapError(files.readFileString(file), () => unreadable)
    return text.trim()
  })

// ---------------------------------------------------------------------------

const unreadable = new InvalidOptionsError({
  field: "--token-file",
  detail: "the file cannot be read",
  hint: "Give a file with the token and nothing else, which only you can read."
})
