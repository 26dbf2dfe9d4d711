/**
 * What every store of sessions promises, as programs: each fails when its promise is broken. A test runner turns them
 * into tests, over an empty store each:
 *
 * ```ts
 * for (const { name, run } of suite) it.effect(name, () => Effect.provide(run, layer))
 * ```
 */
import type { SessionRepository } from "@ccflow/core/SessionRepository"
import { leases } from "./internal/leasePromises.js"
import { listings } from "./internal/listingPromises.js"
import type { PromiseOf } from "./internal/promise.js"
import { sessions } from "./internal/sessionPromises.js"
import { turns } from "./internal/turnPromises.js"

/** One promise, and the program that holds a store to it. */
export type Promised = PromiseOf<SessionRepository>

export const suite: ReadonlyArray<Promised> = [...sessions, ...listings, ...turns, ...leases]
