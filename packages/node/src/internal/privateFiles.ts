import { CliSpawnError } from "@ccflow/core/ClaudeError"
import type { Invocation } from "@ccflow/core/CliProcess"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { rmSync } from "node:fs"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as HostEnd from "./hostEnd.js"

/**
 * Files for one process, in a folder that nobody else can read, for as long as the scope is open. Gives the arguments
 * that name them.
 *
 * @internal
 */
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
          code: cause instanceof Error && "code" in cause ? String(cause.code) : "UNKNOWN",
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

interface Folder {
  readonly path: string
  readonly guest: HostEnd.Guest
}

const makeFolder = async (): Promise<Folder> => {
  const path = await mkdtemp(join(tmpdir(), "ccflow-"))
  const guest: HostEnd.Guest = {
    ask: () => {},
    gone: () => true,
    remove: () => rmSync(path, { recursive: true, force: true })
  }
  HostEnd.admit(guest)
  return { path, guest }
}

const removeFolder = ({ guest, path }: Folder) =>
  Effect.promise(() => rm(path, { recursive: true, force: true }).catch(() => {}).finally(() => HostEnd.release(guest)))
