import * as SessionManager from "@ccflow/core/SessionManager"
import { SessionRepository, type SessionRepositoryService } from "@ccflow/core/SessionRepository"
import * as NodeSessionHolder from "@ccflow/node/NodeSessionHolder"
import * as Effect from "effect/Effect"

/** The records that are kept here. A module of its own: only who keeps sessions loads it. */
export const openRecords = (
  repository: SessionRepositoryService,
  options: SessionManager.SessionManagerOptions
) =>
  SessionManager.make(options).pipe(
    Effect.provideService(SessionRepository, repository),
    Effect.provide(NodeSessionHolder.layer)
  )
