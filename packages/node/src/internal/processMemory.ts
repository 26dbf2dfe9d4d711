import * as Effect from "effect/Effect"
import { readFile } from "node:fs/promises"

/** Bytes that a process holds. Only Linux tells without starting another process. */
export const processMemory = (pid: number): Effect.Effect<number | undefined> =>
  Effect.promise(() =>
    readFile(`/proc/${pid}/status`, "utf8").then(
      (status) => {
        const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]
        return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
      },
      () => undefined
    )
  )
