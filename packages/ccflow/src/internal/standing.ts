import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { type Owner, valueIn } from "../Owner.js"
import { clock } from "./keepAlive.js"

/** A policy that stands by itself, or a view of the one that an owner's calls go through. */
export interface Standing<Policy> {
  /** `undefined` where it is not there yet. */
  readonly now: <A>(f: (policy: Policy) => Effect.Effect<A>) => A | undefined
  readonly run: <A>(
    f: (policy: Policy) => Effect.Effect<A, unknown>,
    options?: { readonly signal?: AbortSignal }
  ) => Promise<Exit.Exit<A, unknown>>
}

/** Its changes are nobody's, so its scope is never closed. What it is given wrongly is thrown. */
export const alone = <Policy, E>(make: Effect.Effect<Policy, E, Scope.Scope>): Standing<Policy> => {
  const policy = valueIn(Effect.runSyncExit(
    Effect.withClock(Effect.flatMap(Scope.make(), (scope) => Scope.extend(make, scope)), clock)
  ))
  return {
    now: (f) => Effect.runSync(f(policy)),
    run: (f, options) => Effect.runPromiseExit(Effect.withClock(f(policy), clock), options)
  }
}

export const of = <Self, Policy>(owner: Owner, tag: Context.Tag<Self, Policy>): Standing<Policy> => {
  const found = Effect.serviceOption(tag)
  return {
    now: (f) => Option.getOrUndefined(owner.now(Effect.flatMap(found, Effect.transposeMapOption(f))) ?? Option.none()),
    run: (f, options) => owner.run(Effect.flatMap(Effect.flatten(found), f), options)
  }
}
