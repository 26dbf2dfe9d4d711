/**
 * This process as the holder of sessions, so that others on this machine see at once when it is dead.
 */
import { SessionHolder } from "@ccflow/core/SessionHolder"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readFileSync, readlinkSync } from "node:fs"
import { hostname } from "node:os"

/**
 * `pid@host#start`. Where this is not Linux nothing tells when a process was started: another one that has got the same
 * pid is then taken for the holder, until the lease has run out.
 */
export const layer: Layer.Layer<SessionHolder> = Layer.effect(
  SessionHolder,
  Effect.sync(() => {
    const host = `${hostname()}${machine()}`
    return {
      id: `${process.pid}@${host}#${startOf(process.pid) ?? ""}`,
      isAlive: (holder: string) => {
        const [, pid = "", on, start] = /^(\d+)@(.*)#(\d*)$/s.exec(holder) ?? []
        return on !== host || (exists(Number(pid)) && (startOf(Number(pid)) ?? start) === start)
      }
    }
  })
)

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

/** Two machines, or two containers, can have one name; a pid means something within one of them, and until it restarts. */
const machine = (): string => {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").slice(0, 8)
    return `:${boot}:${/\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? ""}`
  } catch {
    return ""
  }
}

/** In ticks since the machine was started. A process that has ended, and that nobody has asked for its end, has none. */
const startOf = (pid: number): string | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return fields[0] === "Z" ? "" : fields[19]
  } catch {
    return undefined
  }
}

const exists = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}
