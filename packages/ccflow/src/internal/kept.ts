import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import type { SessionRepositoryService } from "@ccflow/core/SessionRepository"
import type * as SqlClient from "@effect/sql/SqlClient"
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { missing, path as userPath } from "./store.js"

/** The file that is open. */
export type File = Context.Context<SqlClient.SqlClient>

/** One connection to one file, for all that a client keeps: opened by who needs it first, closed with who made it. */
export class Kept extends Context.Tag("ccflow/Kept")<Kept, {
  /** None where nothing outlives the program. */
  readonly file: Effect.Effect<File, SessionStoreError> | undefined
  /** None where no sessions are kept. */
  readonly sessions: Effect.Effect<SessionRepositoryService, SessionStoreError> | undefined
}>() {}

export const nowhere: Kept["Type"] = { file: undefined, sessions: undefined }

/** In this file. */
export const inFile = (path: Effect.Effect<string, SessionStoreError>) =>
  Effect.gen(function*() {
    const file = yield* lazily(() => import("./openFile.js"), path, ({ openFile }, path) => openFile(path))
    const sessions = yield* lazilyIn(file, () => import("@ccflow/sql/SqlSessionRepository"))
    return { file, sessions }
  })

/** In the file that this names; nowhere where it is empty. */
export const layer = (path: Config.Config<string>): Layer.Layer<Kept> =>
  Layer.scoped(
    Kept,
    Effect.flatMap(Effect.orDie(path), (path) =>
      path.trim() === ""
        ? Effect.succeed(nowhere)
        : inFile(Effect.succeed(path.trim())))
  )

/** In this user's own file, where conversations are kept. */
export const layerUser: Layer.Layer<Kept> = Layer.scoped(Kept, inFile(userPath))

/** Opens something by a module that is loaded for it, in what is there by then; both at the first use. */
export const lazily = <Module, In, A, E, R>(
  load: () => Promise<Module>,
  place: Effect.Effect<In, SessionStoreError>,
  open: (module: Module, place: In) => Effect.Effect<A, E, R>
) =>
  once(Effect.flatMap(
    Effect.zip(Effect.tryPromise({ try: load, catch: missing }), place),
    ([module, place]) => open(module, place)
  ))

/** What such a module makes in a file. */
export const lazilyIn = <A>(
  file: Effect.Effect<File, SessionStoreError>,
  load: () => Promise<{ readonly make: Effect.Effect<A, SessionStoreError, SqlClient.SqlClient> }>
) => lazily(load, file, ({ make }, file) => Effect.provide(make, file))

/**
 * Opens something for as long as this scope lasts, at the first use. Whoever has asked first may leave: the others get
 * it all the same. What has failed is tried again by the next.
 */
export function once<A, E, R>(
  open: Effect.Effect<A, E, R>
): Effect.Effect<Effect.Effect<A, E, Exclude<R, Scope.Scope>>, never, Scope.Scope> {
  return Effect.map(Effect.scope, (scope) => {
    let opening: Deferred.Deferred<A, E> | undefined
    const opened = Effect.flatMap(
      Scope.fork(scope, ExecutionStrategy.sequential),
      (own) => Effect.onError(Scope.extend(open, own), (cause) => Scope.close(own, Exit.failCause(cause)))
    )
    return Effect.uninterruptibleMask((restore) => {
      if (opening !== undefined) return restore(Deferred.await(opening))
      const deferred = opening = Deferred.unsafeMake<A, E>(FiberId.none)
      const settling = Effect.intoDeferred(
        Effect.onError(restore(opened), () => Effect.sync(() => opening = undefined)),
        deferred
      )
      return Effect.zipRight(Effect.forkIn(settling, scope), restore(Deferred.await(deferred)))
    })
  })
}
