import * as Either from "effect/Either"
import { lstatSync, readlinkSync, realpathSync } from "node:fs"
import { join, resolve } from "node:path"
import { locate } from "./executable.js"

/** A file that a command could stand for. @internal */
export interface Candidate {
  readonly path: string
  /** Where a link leads; the path itself where it is none. */
  readonly real: string
  /** Why it cannot run. */
  readonly broken: string | undefined
}

/** All that a command could stand for, in the order in which they are looked for. @internal */
export const candidates = (
  command: string,
  cwd: string,
  path: string | undefined
): ReadonlyArray<Candidate> => {
  const paths = command.includes("/")
    ? [resolve(cwd, command)]
    : (path ?? "/bin:/usr/bin").split(":").map((folder) => resolve(cwd, join(folder, command)))
  return [...new Set(paths)].flatMap((path) => {
    const link = linkOf(path)
    if (link === undefined) return []
    const located = locate({ command: path, args: [], cwd, env: {}, files: [], graces }, undefined)
    const real = realOf(path)
    const broken = real === undefined
      ? `a link to ${link === "" ? "nothing" : link}, which is not there`
      : Either.isLeft(located)
      ? located.left.hint === "" ? located.left.message : located.left.hint
      : undefined
    return [{ path, real: real ?? path, broken }]
  })
}

// ---------------------------------------------------------------------------

const graces = { interrupt: 0, terminate: 0, kill: 0 }

/** Where it leads, "" where it leads nowhere; `undefined` when there is nothing at all. */
const linkOf = (path: string): string | undefined => {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : ""
  } catch {
    return undefined
  }
}

const realOf = (path: string): string | undefined => {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}
