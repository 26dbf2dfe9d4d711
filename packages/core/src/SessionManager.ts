/**
 * The sessions of a program: those that live in this process, by id, and the records of all of them. A session that is
 * not live comes back from its record as it was.
 *
 * What only reads changes nothing. Nothing is done to a session that another process works on.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Claude } from "./Claude.js"
import type { ClaudeError, InvalidOptionsError, SessionBusyError, SessionStoreError } from "./ClaudeError.js"
import * as Manager from "./internal/sessionManager.js"
import type { Session, SessionOptions, SessionStats } from "./Session.js"
import type { PageOptions, SessionFilter } from "./SessionFilter.js"
import type { SessionRecord, TurnRecord } from "./SessionRecord.js"
import type { MessagePage, SessionPage, SessionRepository, TurnPage } from "./SessionRepository.js"

export interface SessionManagerOptions {
  /** Live sessions at a time, forks included. Default: as many as are asked for. */
  readonly maxLive?: number | undefined
  /**
   * What becomes of one more: it fails with a `SessionLimitError`, or the session that has been without a turn for the
   * longest time is closed for it, and is there to be resumed. Default: `fail`.
   */
  readonly onFull?: "fail" | "closeIdle" | undefined
  /** Since its last turn: after this time `sweep` marks a session as expired. It can still be resumed. Default: 30 days. */
  readonly expireAfter?: Duration.DurationInput | undefined
  /** Since its last turn: after this time `sweep` deletes the record of an expired session. Default: never. */
  readonly deleteAfter?: Duration.DurationInput | undefined
}

/** The options of a new session. */
export interface CreateOptions extends SessionOptions {
  readonly tags?: ReadonlyArray<string> | undefined
}

/** Options over those of the record. Which conversation it is, the record says. */
export interface ResumeOptions extends
  Omit<
    SessionOptions,
    "resume" | "resumeSessionAt" | "resumeDropsTurn" | "continueSession" | "forkSession" | "sessionId"
  >
{}

/** The ids of the sessions that a sweep has changed. */
export interface Swept {
  readonly expired: ReadonlyArray<string>
  readonly deleted: ReadonlyArray<string>
}

/** The service. Its live sessions are closed with it. */
export class SessionManager extends Context.Tag("@ccflow/core/SessionManager")<SessionManager, {
  /** A new session, on record from now on. It lives until it is closed, whoever asks for that. */
  readonly create: (options?: CreateOptions) => Effect.Effect<Session, ClaudeError>
  /** One that lives in this process. */
  readonly get: (sessionId: string) => Effect.Effect<Option.Option<Session>>
  /** All that live in this process. */
  readonly live: Effect.Effect<ReadonlyArray<Session>>
  /**
   * The live session, as it is; else one made from its record, with the model, the folder and the options that it had.
   * What may be secret is on no record and must be given again: `env`, `mcpServers`, `settings`, `extraArgs`; so are
   * permissions, hooks and tools. Fails with `SessionNotFoundError` where there is no record, and with
   * `SessionBusyError` where another process works on it.
   */
  readonly resume: (sessionId: string, options?: ResumeOptions) => Effect.Effect<Session, ClaudeError>
  readonly list: (filter?: SessionFilter) => Effect.Effect<SessionPage, SessionStoreError>
  readonly count: (filter?: SessionFilter) => Effect.Effect<number, SessionStoreError>
  readonly record: (sessionId: string) => Effect.Effect<Option.Option<SessionRecord>, SessionStoreError>
  readonly turns: (sessionId: string, page?: PageOptions) => Effect.Effect<TurnPage, SessionStoreError>
  /** What a session with `recordMessages` has kept of a turn. */
  readonly messages: (turnId: string, page?: PageOptions) => Effect.Effect<MessagePage, SessionStoreError>
  /** False when the session is unknown. */
  readonly addTags: (sessionId: string, tags: ReadonlyArray<string>) => Effect.Effect<boolean, SessionStoreError>
  /** False when the session is unknown. */
  readonly removeTags: (sessionId: string, tags: ReadonlyArray<string>) => Effect.Effect<boolean, SessionStoreError>
  /** None when it did not live in this process. */
  readonly close: (sessionId: string) => Effect.Effect<Option.Option<SessionStats>>
  /**
   * Closes the session and deletes its record, turns and all. False when there was none. What the CLI itself keeps of
   * the conversation stays. Fails with `SessionBusyError` while another process works on it.
   */
  readonly delete: (sessionId: string) => Effect.Effect<boolean, SessionBusyError | SessionStoreError>
  /** Marks and deletes what has not been used for so long, but for sessions that live, here or in another process. */
  readonly sweep: Effect.Effect<Swept, SessionStoreError>
  /** The turns that were cut by the death of their process, as they were found when this began. */
  readonly recovered: ReadonlyArray<TurnRecord>
}>() {}

export const make = (
  options: SessionManagerOptions = {}
): Effect.Effect<
  SessionManager["Type"],
  InvalidOptionsError | SessionStoreError,
  Claude | SessionRepository | Scope.Scope
> => Manager.make(options)

export const layerWith = (
  options: SessionManagerOptions
): Layer.Layer<SessionManager, InvalidOptionsError | SessionStoreError, Claude | SessionRepository> =>
  Layer.scoped(SessionManager, make(options))

/** As many live sessions as are asked for. */
export const layer: Layer.Layer<SessionManager, InvalidOptionsError | SessionStoreError, Claude | SessionRepository> =
  layerWith({})
