import type { Claude } from "@ccflow/core/Claude"
import { type InvalidOptionsError, SessionNotFoundError, type SessionStoreError } from "@ccflow/core/ClaudeError"
import * as SessionManager from "@ccflow/core/SessionManager"
import { SessionRepository, type SessionRepositoryService } from "@ccflow/core/SessionRepository"
import * as NodeSessionHolder from "@ccflow/node/NodeSessionHolder"
import * as SqlSessionRepository from "@ccflow/sql/SqlSessionRepository"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { File } from "./kept.js"
import type { Opened } from "./records.js"
import * as Store from "./store.js"

/** The records in this file. A module of its own: only who keeps sessions loads it. @internal */
export const openRecords = (
  file: File
): Effect.Effect<Opened, InvalidOptionsError | SessionStoreError, Claude | Scope.Scope> =>
  Effect.gen(function*() {
    const context = yield* SessionManager.layer.pipe(
      Layer.provideMerge(SqlSessionRepository.layer),
      Layer.provide(Layer.merge(Layer.succeedContext(file), NodeSessionHolder.layer)),
      Layer.build
    )
    const repository = Context.get(context, SessionRepository)
    return {
      manager: Context.get(context, SessionManager.SessionManager),
      exported: (sessionId) => exported(repository, sessionId)
    }
  })

// ---------------------------------------------------------------------------

const exported = (repository: SessionRepositoryService, sessionId: string): ReturnType<Opened["exported"]> =>
  Effect.gen(function*() {
    const session = yield* Effect.flatMap(
      repository.get(sessionId),
      Option.match({
        onNone: () => Effect.fail(new SessionNotFoundError({ sessionId, hint: "Those that are kept are in list()." })),
        onSome: Effect.succeed
      })
    )
    const turns = yield* Stream.runCollect(Store.turns(repository, sessionId))
    const whole = yield* Effect.forEach(
      turns,
      (turn) =>
        Effect.map(
          Stream.runCollect(Store.messages(repository, turn.turnId)),
          (messages) => messages.length === 0 ? turn : { ...turn, messages: [...messages] }
        )
    )
    return { session, turns: whole }
  })
