// What the processes of one run know of each other, over a folder: their numbers, the names of ids, who plays what.
import { ownClaims } from "#cassette/Deck"
import { appendFileSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, rmdirSync, statSync } from "node:fs"
import { join } from "node:path"

const staleMs = 5000
const uuidLength = 36

/** Alone where no folder is given. */
export const openRun = (folder) => folder === "" ? alone() : shared(folder)

const alone = () => ({
  locked: (action) => action(),
  number: () => 1,
  ids: new Map(),
  claims: ownClaims(),
  complain: () => {}
})

const shared = (folder) => {
  const at = (name) => join(folder, name)
  mkdirSync(folder, { recursive: true, mode: 0o700 })

  const locked = (action) => {
    const lock = at("lock")
    const pause = new Int32Array(new SharedArrayBuffer(4))
    for (;;) {
      try {
        mkdirSync(lock)
        break
      } catch (error) {
        if (error.code !== "EEXIST") throw error
        const { mtimeMs = Infinity } = statSync(lock, { throwIfNoEntry: false }) ?? {}
        // Its holder was killed.
        if (Date.now() - mtimeMs > staleMs) release(lock)
        Atomics.wait(pause, 0, 0, 1)
      }
    }
    try {
      return action()
    } finally {
      release(lock)
    }
  }

  /** Whether the file is new; nobody else makes it then. */
  const make = (name) => {
    try {
      closeSync(openSync(at(name), "wx", 0o600))
      return true
    } catch (error) {
      if (error.code === "EEXIST") return false
      throw error
    }
  }

  return {
    locked,
    number: () => {
      for (let number = 1;; number++) if (make(`process-${number}`)) return number
    },
    ids: new SharedIds(at("ids")),
    claims: { claim: (number) => make(`played-${number}`), taken: (number) => existsSync(at(`played-${number}`)) },
    complain: (text) => appendFileSync(at("mismatches"), text, { mode: 0o600 })
  }
}

/** Names of ids that a later process may go on with, such as a session's. */
class SharedIds extends Map {
  constructor(file) {
    super()
    this.file = file
    const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : []
    for (const line of lines) super.set(...JSON.parse(line))
  }

  set(id, name) {
    if (id.length === uuidLength) appendFileSync(this.file, `${JSON.stringify([id, name])}\n`, { mode: 0o600 })
    return super.set(id, name)
  }
}

const release = (lock) => {
  try {
    rmdirSync(lock)
  } catch {
    // Somebody else has.
  }
}
