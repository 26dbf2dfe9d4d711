import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { QueryOptions } from "../AgentOptions.js"
import type { SessionBusyError, SessionStoreError } from "../ClaudeError.js"
import type { EventsService } from "../Events.js"
import { type Holder, SessionHolder } from "../SessionHolder.js"
import { SessionRepository, type SessionRepositoryService } from "../SessionRepository.js"
import * as HeldLease from "./heldLease.js"
import { sessionOf } from "./identity.js"
import { patient } from "./patience.js"
import { Recording } from "./recording.js"
import * as SessionActor from "./sessionActor.js"

/** Keeps a session's records, in the order of what happens. */
export type Recorder = Pick<Recording, "open" | "begin" | "saw" | "end" | "moved" | "close">

/** Keeps nothing. */
export const none: Recorder = {
  open: () => Effect.succeed(false),
  begin: () => Effect.void,
  saw: () => Effect.void,
  end: () => Effect.void,
  moved: () => Effect.void,
  close: () => Effect.void
}

/** Where records are kept, and in whose name. */
export interface Records {
  readonly repository: SessionRepositoryService
  readonly holder: Holder
}

/** Those of the fiber, where it has a `SessionRepository`. */
export const records: Effect.Effect<Records | undefined> = Effect.gen(function*() {
  const repository = yield* Effect.serviceOption(SessionRepository)
  return Option.isNone(repository) ? undefined : { repository: repository.value, holder: yield* SessionHolder }
})

/** A session that is recorded before its first turn, with these tags. */
export class Draft extends Context.Reference<Draft>()("@ccflow/core/internal/Draft", {
  defaultValue: (): { readonly tags: ReadonlyArray<string> } | undefined => undefined
}) {}

/**
 * A session's recorder. Where the session's id is known its lease is taken now, so that one who may not write to it is
 * told before anything has begun.
 */
export const make = (
  kept: Records | undefined,
  events: EventsService,
  options: QueryOptions,
  recordMessages: boolean
): Effect.Effect<Recorder, SessionBusyError | SessionStoreError, Scope.Scope> =>
  Effect.gen(function*() {
    if (kept === undefined) return none
    const repository = patient(kept.repository)
    const actor = yield* SessionActor.make(kept.holder)
    const lease = yield* HeldLease.make(repository, actor)
    const clock = yield* Effect.clock
    const recording = new Recording({
      repository,
      lease,
      events,
      holder: actor.name,
      scope: yield* Effect.scope,
      options,
      recordMessages,
      draft: yield* Draft,
      now: () => clock.unsafeCurrentTimeMillis()
    })
    yield* recording.open(sessionOf(options))
    return recording
  })
