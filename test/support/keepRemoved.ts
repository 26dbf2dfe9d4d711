// Set up for every test file: a temporary folder that a test removes is put away until the run has been searched.
import fs, { existsSync, promises, renameSync, type RmOptions } from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import { tmpdir } from "node:os"
import { basename, dirname, join } from "node:path"
import { removed, runFolder } from "./run.js"

const away = join(runFolder(), removed)
const { rmSync } = fs
const { rm } = promises

/** The library's own folder has no name but its six letters; what it holds is for one process, and may be secret. */
const isOfTest = (path: fs.PathLike, options?: RmOptions): path is string =>
  options?.recursive === true && typeof path === "string" && dirname(path) === tmpdir() &&
  !/^ccflow-\w{6}$/.test(basename(path)) && existsSync(path)

const putAway = (path: fs.PathLike, options?: RmOptions): boolean => {
  if (!isOfTest(path, options)) return false
  try {
    renameSync(path, join(away, basename(path)))
    return true
  } catch {
    return false
  }
}

fs.rmSync = (path, options) => putAway(path, options) ? undefined : rmSync(path, options)
promises.rm = async (path, options) => putAway(path, options) ? undefined : rm(path, options)
syncBuiltinESMExports()
