/** Who this process is when it takes a session's lease, and whether others of whom a store speaks still live. */
import * as Context from "effect/Context"
import type { HolderIsAlive } from "./SessionLease.js"

export interface Holder {
  /** Different for every process that may share a store. Stored with each lease and each turn. */
  readonly id: string
  /** Says true where it cannot know: a lease runs out by itself. */
  readonly isAlive: HolderIsAlive
}

/**
 * By default a random id that knows nobody else: what a dead process has held is free when its lease has run out, within
 * 30 seconds. `NodeSessionHolder` of `@ccflow/node` can tell at once.
 */
export class SessionHolder extends Context.Reference<SessionHolder>()("@ccflow/core/SessionHolder", {
  defaultValue: (): Holder => ({ id: crypto.randomUUID(), isAlive: () => true })
}) {}
