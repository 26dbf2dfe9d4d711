import type { Claude } from "@ccflow/core/Claude"
import type { InvalidOptionsError, SessionStoreError } from "@ccflow/core/ClaudeError"
import * as SessionManager from "@ccflow/core/SessionManager"
import { SessionRepository, type SessionRepositoryService } from "@ccflow/core/SessionRepository"
import * as NodeSessionHolder from "@ccflow/node/NodeSessionHolder"
import * as Effect from "effect/Effect"
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
  SessionManager.make(options).pipe(
    Effect.provideService(SessionRepository, repository),
    Effect.provide(NodeSessionHolder.layer)
  )
