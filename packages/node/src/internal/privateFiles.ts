import { CliSpawnError } from "@ccflow/core/ClaudeError"
import type { Invocation } from "@ccflow/core/CliProcess"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { rmSync } from "node:fs"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { codeOf } from "./errorCode.js"
import * as HostEnd from "./hostEnd.js"

/** Files for one process, for nobody else to read, while the scope is open. Gives the arguments that name them. */
export const privateFiles = (
  { command, files }: Invocation
): Effect.Effect<ReadonlyArray<string>, CliSpawnError, Scope.Scope> => {
  const attempt = <A>(action: () => Promise<A>) =>
    Effect.tryPromise({
      try: action,
      catch: (cause) =>
        new CliSpawnError({
          command,
          reason: "Other",
          code: codeOf(cause),
          hint: "The folder for temporary files cannot be written."
        })
    })
  return Effect.acquireRelease(attempt(makeFolder), removeFolder).pipe(
    Effect.flatMap(({ path }) =>
      Effect.forEach(files, ({ content, flag }, index) => {
        const file = join(path, `${index}.json`)
        return Effect.as(attempt(() => writeFile(file, content, { mode: 0o600 })), `${flag}=${file}`)
      })
    ),
    // A write that goes on after an interruption would put its file back.
    Effect.uninterruptible
  )
}

interface Folder extends HostEnd.Guest {
  readonly path: string
}

const everything = { recursive: true, force: true }

const makeFolder = async (): Promise<Folder> => {
  const path = await mkdtemp(join(tmpdir(), "ccflow-"))
  const folder: Folder = { path, ask: () => {}, gone: () => true, remove: () => rmSync(path, everything) }
  HostEnd.admit(folder)
  return folder
}

const removeFolder = (folder: Folder) =>
  Effect.promise(() => rm(folder.path, everything).catch(() => {}).finally(() => HostEnd.release(folder)))
