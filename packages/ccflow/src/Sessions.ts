/** The conversations that a client keeps: to be found, resumed, exported and deleted, also by a later program. */
import { type ClaudeError, SessionNotFoundError } from "@ccflow/core/ClaudeError"
import type * as Core from "@ccflow/core/Session"
import type { PageOptions, SessionFilter } from "@ccflow/core/SessionFilter"
import type * as SessionManager from "@ccflow/core/SessionManager"
import type { SessionRecord, TurnRecord } from "@ccflow/core/SessionRecord"
import type { MessagePage, SessionPage, TurnPage } from "@ccflow/core/SessionRepository"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Decisions from "./Decisions.js"
import { invalidOption } from "./internal/invalidOption.js"
import { Records } from "./internal/records.js"
import * as Store from "./internal/store.js"
import * as Owner from "./Owner.js"
import { Session } from "./Session.js"

/** All that is kept of a session, as JSON can hold it. Turns have messages where `recordMessages` was asked for. */
export interface SessionExport {
  readonly session: SessionRecord
  readonly turns: ReadonlyArray<TurnRecord & { readonly messages?: ReadonlyArray<unknown> }>
}

/** Options over those of the record. */
export interface ResumeOptions
  extends Omit<SessionManager.ResumeOptions, keyof Decisions.DecisionOptions>, Decisions.DecisionOptions
{}

/**
 * The records of a client with a `storagePath` or a `store`, or where `CCFLOW_SESSION_STORAGE_PATH` is set. Without any
 * everything here rejects with an `InvalidOptionsError`. Reading changes nothing.
 */
export interface Sessions {
  /** A page of sessions: the latest first, unless the filter says otherwise. `next` is the `after` of the next page. */
  readonly list: (filter?: SessionFilter) => Promise<SessionPage>
  /** Page by page, all that the filter holds for. */
  readonly all: (filter?: SessionFilter) => AsyncGenerator<SessionRecord, void>
  readonly count: (filter?: SessionFilter) => Promise<number>
  readonly get: (sessionId: string) => Promise<SessionRecord | undefined>
  /** A page of a session's turns, in order. */
  readonly turns: (sessionId: string, page?: PageOptions) => Promise<TurnPage>
  /** What a session with `recordMessages` has kept of a turn. */
  readonly messages: (turnId: string, page?: PageOptions) => Promise<MessagePage>
  /** Rejects with a `SessionNotFoundError` where there is no such session. */
  readonly export: (sessionId: string) => Promise<SessionExport>
  /** False when the session is unknown. */
  readonly addTags: (sessionId: string, tags: ReadonlyArray<string>) => Promise<boolean>
  /** False when the session is unknown. */
  readonly removeTags: (sessionId: string, tags: ReadonlyArray<string>) => Promise<boolean>
  /**
   * The session as it was, with its model, folder and options; the live one, where this client has it open. What may be
   * secret is not kept and must be given again: `env`, `mcpServers`, `settings`, `extraArgs`; so are functions. Its first
   * use rejects with a `SessionNotFoundError` where there is no record, and with a `SessionBusyError` where another
   * process works on it.
   */
  readonly resume: (sessionId: string, options?: ResumeOptions) => Session
  /** Those that this client has open. */
  readonly live: () => Promise<ReadonlyArray<Session>>
  /** Closes it, if this client has it open. */
  readonly close: (sessionId: string) => Promise<Core.SessionStats | undefined>
  /** Closes it and deletes its record, turns and all. False when there was none. What the CLI itself keeps stays. */
  readonly delete: (sessionId: string) => Promise<boolean>
  /** Marks and deletes what was not used for the times of the client's `sessions`. What somebody works on stays. */
  readonly sweep: () => Promise<SessionManager.Swept>
  /**
   * The turns that were cut by the death of their program, as they were found when this client opened its records, which
   * it does with its first session or the first question here. Each is told once, to whoever opens the records first;
   * later it is a turn with the status `cut`.
   */
  readonly recovered: () => Promise<ReadonlyArray<TurnRecord>>
}

export const make = (owner: Owner.Owner): Sessions => {
  const kept = <A>(use: (manager: Manager) => Effect.Effect<A, ClaudeError>): Promise<A> =>
    Owner.valueOf(owner.run(Effect.flatMap(opened, use)))

  /** One for each, however often it is asked for. */
  const handles = new WeakMap<Core.Session, Session>()
  const handleOf = (session: Core.Session): Session => {
    const handle = handles.get(session) ?? new Session({}, { owner, open: Effect.succeed(session) })
    handles.set(session, handle)
    return handle
  }

  const list: Sessions["list"] = (filter) => kept((manager) => manager.list(filter))
  return {
    list,
    all: (filter) => Store.everyOne(list, filter),
    count: (filter) => kept((manager) => manager.count(filter)),
    get: (sessionId) => kept((manager) => Effect.map(manager.record(sessionId), Option.getOrUndefined)),
    turns: (sessionId, page) => kept((manager) => manager.turns(sessionId, page)),
    messages: (turnId, page) => kept((manager) => manager.messages(turnId, page)),
    export: (sessionId) => kept((manager) => exported(manager, sessionId)),
    addTags: (sessionId, tags) => kept((manager) => manager.addTags(sessionId, tags)),
    removeTags: (sessionId, tags) => kept((manager) => manager.removeTags(sessionId, tags)),
    resume: (sessionId, options = {}) =>
      new Session({}, {
        owner,
        id: sessionId,
        open: Effect.flatMap(
          Effect.zip(Decisions.resolve(options), opened),
          ([given, manager]) => manager.resume(sessionId, given)
        )
      }),
    live: async () => {
      const live = await kept((manager) => manager.live)
      return Promise.all(live.map((session) => handleOf(session).ready()))
    },
    close: (sessionId) => kept((manager) => Effect.map(manager.close(sessionId), Option.getOrUndefined)),
    delete: (sessionId) => kept((manager) => manager.delete(sessionId)),
    sweep: () => kept((manager) => manager.sweep),
    recovered: () => kept((manager) => Effect.succeed(manager.recovered))
  }
}

// ---------------------------------------------------------------------------

type Manager = SessionManager.SessionManager["Type"]

const opened: Effect.Effect<Manager, ClaudeError, Records> = Effect.flatMap(Records, ({ open }) => open).pipe(
  Effect.flatMap((opened) => opened === undefined ? keepsNone : Effect.succeed(opened))
)

const keepsNone = invalidOption(
  "storagePath",
  "this client keeps no sessions",
  "Give createClient a storagePath or a store, or set CCFLOW_SESSION_STORAGE_PATH."
)

const exported = (manager: Manager, sessionId: string): Effect.Effect<SessionExport, ClaudeError> =>
  Effect.gen(function*() {
    const session = yield* Effect.catchTag(
      Effect.flatten(manager.record(sessionId)),
      "NoSuchElementException",
      () => new SessionNotFoundError({ sessionId, hint: "Those that are kept are in list()." })
    )
    const turns = yield* Stream.runCollect(Store.turns(manager, sessionId))
    const whole = yield* Effect.forEach(
      turns,
      (turn) =>
        Effect.map(
          Stream.runCollect(Store.messages(manager, turn.turnId)),
          (messages) => messages.length === 0 ? turn : { ...turn, messages: [...messages] }
        )
    )
    return { session, turns: whole }
  })
