import { CliSpawnError } from "@ccflow/core/ClaudeError"
import type { InvocationFile } from "@ccflow/core/CliProcess"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"

/**
 * Files for one process, in a folder that nobody else can read, for as long as the scope is open. Gives the arguments
 * that name them.
 *
 * @internal
 */
export const privateFiles = (
  files: ReadonlyArray<InvocationFile>
): Effect.Effect<ReadonlyArray<string>, CliSpawnError, Scope.Scope> =>
  Effect.acquireRelease(
    attempt(() => mkdtemp(join(tmpdir(), "ccflow-"))),
    (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }).catch(() => {}))
  ).pipe(
    Effect.flatMap((folder) =>
      Effect.forEach(files, ({ content, flag }, index) => {
        const path = join(folder, `${index}.json`)
        return Effect.as(attempt(() => writeFile(path, content, { mode: 0o600 })), `${flag}=${path}`)
      })
    )
  )

const attempt = <A>(action: () => Promise<A>) =>
  Effect.tryPromise({
    try: action,
    catch: (cause) =>
      new CliSpawnError({
        command: "claude",
        reason: "Other",
        code: cause instanceof Error && "code" in cause ? String(cause.code) : "UNKNOWN",
        hint: "The folder for temporary files cannot be written."
      })
  })
