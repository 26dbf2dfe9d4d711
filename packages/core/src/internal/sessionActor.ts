import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Holder } from "../SessionHolder.js"
import type { HolderIsAlive } from "../SessionLease.js"

/** One of those in this process who take leases: two of them are as apart as two processes. */
export interface Actor {
  /** The holder's id, and which of its actors this is. */
  readonly name: string
  readonly isAlive: HolderIsAlive
}

/** Alive until the scope closes. */
export const make = (holder: Holder): Effect.Effect<Actor, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const name = `${holder.id}/${instance()}-${++made}`
        alive.add(name)
        return name
      }),
      (name) => Effect.sync(() => alive.delete(name))
    ),
    (name) => ({
      name,
      isAlive: (other) => {
        const [id, own] = split(other)
        if (id === holder.id && own.startsWith(`${instance()}-`)) return alive.has(other)
        return holder.isAlive(id)
      }
    })
  )

// ---------------------------------------------------------------------------

/** This copy of the module: a program may have loaded two. Named when it is needed: the first use of `crypto` is slow. */
const instance = (): string => named ??= crypto.randomUUID().slice(0, 8)
let named: string | undefined
const alive = new Set<string>()
let made = 0

const split = (name: string): readonly [id: string, own: string] => {
  const at = name.lastIndexOf("/")
  return at < 0 ? [name, ""] : [name.slice(0, at), name.slice(at + 1)]
}
