import * as Either from "effect/Either"
import { accessSync, constants, readFileSync, statSync } from "node:fs"
import { statfs } from "node:fs/promises"
import { dirname } from "node:path"
import { failed, type Finding, ok, skipped, together, warning } from "./checkResult.js"
import { codeOf } from "./errorCode.js"
import type { Machine } from "./machine.js"

/** A folder that is written to. It need not be there yet. */
export interface Folder {
  readonly name: string
  readonly path: string
}

export const spaceFinding = async (folders: ReadonlyArray<Folder>): Promise<Finding> =>
  together(await Promise.all(folders.map(spaceOf)), skipped("there is nothing to look at"))

export const limitsFinding = ({ cores, limits, memory }: Machine, maxConcurrent: number): Finding => {
  const lines = Either.getOrElse(Either.try(() => readFileSync(limits, "utf8")), () => "")
  const files = limitOf(lines, "Max open files")
  const processes = limitOf(lines, "Max processes")
  const facts = [
    files === undefined ? [] : [`${shown(files)} open files`],
    processes === undefined ? [] : [`${shown(processes)} processes`],
    [`${cores} cores`, `${gigabytes(memory.free)} of ${gigabytes(memory.total)} of memory are free`],
    [`up to ${shown(maxConcurrent)} CLIs at once`]
  ].flat().join(", ")
  const problems = [
    ...tooFew(files, leastFiles, "open files", "ulimit -n 4096"),
    ...tooFew(processes, leastProcesses, "processes", "ulimit -u 1024"),
    ...(memory.free >= memoryOfCli ? [] : [warning(
      `a CLI was seen to hold ${megabytes(memoryOfCli)}, and ${megabytes(memory.free)} are free`,
      "Free some memory, or allow fewer CLIs at once: CCFLOW_MAX_CONCURRENT."
    )])
  ]
  return together([...problems, ok(facts)], ok(facts))
}

export const nodeFinding = ({ nodeVersion }: Machine): Finding =>
  Number(nodeVersion.split(".")[0]) >= leastNode
    ? ok(nodeVersion)
    : failed(`${nodeVersion} is too old`, `Install Node.js ${leastNode} or later.`)

// ---------------------------------------------------------------------------

const leastNode = 20
const leastFiles = 256
const leastProcesses = 128
const memoryOfCli = 160 * 1024 ** 2
const tooFull = 50 * 1024 ** 2
const nearlyFull = 512 * 1024 ** 2

const spaceOf = async ({ name, path }: Folder): Promise<Finding> => {
  try {
    const folder = existing(path)
    const { bavail, bsize } = await statfs(folder)
    const free = bavail * bsize
    const detail = `${name}: ${free < 10 * 1024 ** 3 ? megabytes(free) : gigabytes(free)} free in ${path}`
    if (free < tooFull) return failed(detail, "Make room there: what is written would be cut.")
    accessSync(folder, constants.W_OK | constants.X_OK)
    return free < nearlyFull ? warning(detail, "Make room there before it is full.") : ok(detail)
  } catch (error) {
    return failed(`${name}: ${path} cannot be written to (${codeOf(error)})`, "Make it writable for this user.")
  }
}

/** It, or the folder that it would be made in. */
const existing = (path: string): string => {
  for (let folder = path;; folder = dirname(folder)) {
    const found = statSync(folder, { throwIfNoEntry: false })
    if (found?.isDirectory() === true || folder === dirname(folder)) return folder
  }
}

/** The soft one, which is the one that holds. */
const limitOf = (lines: string, name: string): number | undefined => {
  const [, soft] = new RegExp(`^${name}\\s+(\\S+)`, "m").exec(lines) ?? []
  if (soft === undefined) return undefined
  return soft === "unlimited" ? Infinity : Number(soft)
}

const tooFew = (allowed: number | undefined, least: number, what: string, command: string): ReadonlyArray<Finding> =>
  allowed === undefined || allowed >= least
    ? []
    : [warning(`only ${allowed} ${what} are allowed`, `Raise the limit: ${command}.`)]

const shown = (count: number): string => count === Infinity ? "any number of" : String(count)
const megabytes = (bytes: number): string => `${Math.floor(bytes / 1024 ** 2)} MB`
const gigabytes = (bytes: number): string => `${(bytes / 1024 ** 3).toFixed(1)} GB`
