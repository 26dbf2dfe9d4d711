/**
 * Durable records of sessions and their turns. A turn's prompt is stored before it is sent, its answer and cost when it
 * ends, so that whatever happens to the host, the next start knows what was said and which turn was cut.
 *
 * Reads never change anything. `layerMemory` forgets with its layer; `@ccflow/sql` keeps.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type { SessionBusyError, SessionNotFoundError, SessionStoreError } from "./ClaudeError.js"
import * as memory from "./internal/sessionMemory.js"
import type { PageOptions, SessionFilter } from "./SessionFilter.js"
import type { HolderIsAlive, Lease } from "./SessionLease.js"
import type { SessionRecord, TurnEnd, TurnRecord, TurnStart } from "./SessionRecord.js"

/** `next` is there when there is more: give it as `after`. */
export interface SessionPage {
  readonly sessions: ReadonlyArray<SessionRecord>
  readonly next?: string
}

/** `next` is there when there is more: give it as `after`. */
export interface TurnPage {
  readonly turns: ReadonlyArray<TurnRecord>
  readonly next?: number
}

/** `next` is there when there is more: give it as `after`. */
export interface MessagePage {
  readonly messages: ReadonlyArray<unknown>
  readonly next?: number
}

/** What `SessionRepository` offers. A changing method that answers `false` has found nothing to change. */
export interface SessionRepositoryService {
  /**
   * Stores a session. Of one that is stored already everything is replaced but the figures (`turnCount`, `usage`,
   * `costUsd`, `durationMs`), which only `endTurn` moves, and the tags, which only `addTags` and `removeTags` change: an
   * old copy that is saved late undoes none of them.
   */
  readonly save: (record: SessionRecord) => Effect.Effect<void, SessionStoreError>
  readonly get: (sessionId: string) => Effect.Effect<Option.Option<SessionRecord>, SessionStoreError>
  /** With its turns, messages, tags and lease. */
  readonly delete: (sessionId: string) => Effect.Effect<boolean, SessionStoreError>
  /** Pages keep their places while sessions come and go: none is given twice unless it has moved in the order. */
  readonly list: (filter?: SessionFilter) => Effect.Effect<SessionPage, SessionStoreError>
  /** How many sessions the filter's conditions hold for. Order, limit and cursor mean nothing here. */
  readonly count: (filter?: SessionFilter) => Effect.Effect<number, SessionStoreError>
  /** False when the session is unknown. */
  readonly addTags: (sessionId: string, tags: ReadonlyArray<string>) => Effect.Effect<boolean, SessionStoreError>
  /** False when the session is unknown. */
  readonly removeTags: (sessionId: string, tags: ReadonlyArray<string>) => Effect.Effect<boolean, SessionStoreError>

  /**
   * Stores a turn as running, at the end of its session, and moves the session's `updatedAt`. Do it before the prompt is
   * sent. The same `turnId` again gives the stored turn: it is safe to repeat.
   */
  readonly beginTurn: (turn: TurnStart) => Effect.Effect<TurnRecord, SessionNotFoundError | SessionStoreError>
  /** Replaces what was seen of a running turn's answer. False when it does not run. */
  readonly progress: (turnId: string, seen: string) => Effect.Effect<boolean, SessionStoreError>
  /**
   * Stores how a turn ended and adds it to its session's figures. False when it has ended before, or is unknown: nothing
   * changes then. A turn that `recover` took for cut can still end: its holder knows better.
   */
  readonly endTurn: (turnId: string, end: TurnEnd) => Effect.Effect<boolean, SessionStoreError>
  /** In order. None for an unknown session. */
  readonly turns: (sessionId: string, page?: PageOptions) => Effect.Effect<TurnPage, SessionStoreError>
  /** Adds to a turn's log. False when the turn is unknown. */
  readonly appendMessages: (
    turnId: string,
    messages: ReadonlyArray<unknown>
  ) => Effect.Effect<boolean, SessionStoreError>
  /** In order. None for an unknown turn. */
  readonly messages: (turnId: string, page?: PageOptions) => Effect.Effect<MessagePage, SessionStoreError>
  /**
   * Marks the running turns that nobody runs any more as cut, keeping what was seen, and gives them: those whose holder
   * is dead, or does not have the session's lease (any more). Do it when a host starts.
   */
  readonly recover: (holderIsAlive: HolderIsAlive) => Effect.Effect<ReadonlyArray<TurnRecord>, SessionStoreError>

  /**
   * Takes the right to write to a session, or renews it. The session need not be stored yet. What has expired, or belongs
   * to a holder that is not alive, is taken over; without `holderIsAlive` all holders are taken to be alive.
   */
  readonly acquireLease: (
    sessionId: string,
    holder: string,
    ttl: Duration.DurationInput,
    holderIsAlive?: HolderIsAlive
  ) => Effect.Effect<Lease, SessionBusyError | SessionStoreError>
  /** False when the lease is someone else's by now, or nobody's. Late is not too late as long as nobody took it. */
  readonly renewLease: (
    sessionId: string,
    holder: string,
    ttl: Duration.DurationInput
  ) => Effect.Effect<boolean, SessionStoreError>
  /** False when the holder did not have it. */
  readonly releaseLease: (sessionId: string, holder: string) => Effect.Effect<boolean, SessionStoreError>
  /** Who may write to a session now. None when the lease has expired. */
  readonly lease: (sessionId: string) => Effect.Effect<Option.Option<Lease>, SessionStoreError>
}

export class SessionRepository
  extends Context.Tag("@ccflow/core/SessionRepository")<SessionRepository, SessionRepositoryService>()
{}

/** Records that live as long as the layer. For tests, and for programs that need not remember. */
export const layerMemory: Layer.Layer<SessionRepository> = Layer.effect(SessionRepository, memory.make)
