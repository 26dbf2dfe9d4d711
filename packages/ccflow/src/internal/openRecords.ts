import type { Claude } from "@ccflow/core/Claude"
import type { InvalidOptionsError, SessionStoreError } from "@ccflow/core/ClaudeError"
import * as SessionManager from "@ccflow/core/SessionManager"
import { SessionRepository, type SessionRepositoryService } from "@ccflow/core/SessionRepository"
import * as NodeSessionHolder from "@ccflow/node/NodeSessionHolder"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"

/** The records that are kept here. A module of its own: only who keeps sessions loads it. */
export const openRecords = (
  repository: SessionRepositoryService,
  options: SessionManager.SessionManagerOptions
): Effect.Effect<
  SessionManager.SessionManager["Type"],
  InvalidOptionsError | SessionStoreError,
  Claude | Scope.Scope
> =>
  SessionManager.layerWith(options).pipe(
    Layer.provide(Layer.merge(Layer.succeed(SessionRepository, repository), NodeSessionHolder.layer)),
    Layer.build,
    Effect.map(Context.get(SessionManager.SessionManager))
  )
