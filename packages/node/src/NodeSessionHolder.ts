/** This process as the holder of sessions, so that others on this machine see at once when it is dead. */
import { SessionHolder } from "@ccflow/core/SessionHolder"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { readFileSync, readlinkSync } from "node:fs"
import { hostname } from "node:os"
import { send, startOf } from "./internal/processTable.js"

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
        return on !== host || (send(Number(pid), 0) && (startOf(Number(pid)) ?? start) === start)
      }
    }
  })
)

// ---------------------------------------------------------------------------

/** Two machines, or two containers, can have one name; a pid means something within one of them, and until it restarts. */
const machine = (): string =>
  Either.getOrElse(
    Either.try(() => {
      const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").slice(0, 8)
      return `:${boot}:${/\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? ""}`
    }),
    () => ""
  )
