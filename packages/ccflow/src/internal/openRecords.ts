import type { Claude } from "@ccflow/core/Claude"
import { type InvalidOptionsError, SessionNotFoundError, type SessionStoreError } from "@ccflow/core/ClaudeError"
import * as SessionManager from "@ccflow/core/SessionManager"
import { SessionRepository, type SessionRepositoryService } from "@ccflow/core/SessionRepository"
import * as NodeSessionHolder from "@ccflow/node/NodeSessionHolder"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Opened } from "./records.js"
import * as Store from "./store.js"

/** The records that are kept here. A module of its own: only who keeps sessions loads it. @internal */
export const openRecords = (
  repository: SessionRepositoryService,
  options: SessionManager.SessionManagerOptions
): Effect.Effect<Opened, InvalidOptionsError | SessionStoreError, Claude | Scope.Scope> =>
  Effect.map(
    Layer.build(
      SessionManager.layerWith(options).pipe(
        Layer.provide(Layer.merge(Layer.succeed(SessionRepository, repository), NodeSessionHolder.layer))
      )
    ),
    (context) => ({
      manager: Context.get(context, SessionManager.SessionManager),
      exported: (sessionId) => exported(repository, sessionId)
    })
  )

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
