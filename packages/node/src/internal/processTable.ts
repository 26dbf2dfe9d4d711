import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { readFileSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { codeOf } from "./errorCode.js"

/** `false` when there is nobody to get it. 0 asks only that. */
export const send = (pid: number, signal: NodeJS.Signals | 0): boolean => {
  try {
    return process.kill(pid, signal)
  } catch (error) {
    return codeOf(error) === "EPERM"
  }
}

/** It has ended, and nobody has asked for its end. */
export const isZombie = (pid: number): boolean => fieldsOf(pid)?.[0] === "Z"

/** In ticks since the machine was started; "" for one that has ended, `undefined` where nothing tells. */
export const startOf = (pid: number): string | undefined => {
  const fields = fieldsOf(pid)
  return fields?.[0] === "Z" ? "" : fields?.[19]
}

/** Bytes that it holds. Only Linux tells without starting another process. */
export const memoryOf = (pid: number): Effect.Effect<number | undefined> =>
  Effect.promise(() =>
    readFile(`/proc/${pid}/status`, "utf8").then(
      (status) => {
        const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]
        return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
      },
      () => undefined
    )
  )

// ---------------------------------------------------------------------------

/** The state and what follows it. Before it is the name, which may hold anything, in parentheses. */
const fieldsOf = (pid: number): ReadonlyArray<string> | undefined =>
  Either.getOrUndefined(Either.try(() => {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  }))
