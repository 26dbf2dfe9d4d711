/**
 * The sessions of a program: those that live in this process, by id, and the records of all of them. A session that is
 * not live comes back from its record as it was.
 *
 * What only reads changes nothing. Nothing is done to a session that another process works on.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { merge, type QueryOptions } from "./AgentOptions.js"
import { Claude } from "./Claude.js"
import {
  type ClaudeError,
  InvalidOptionsError,
  type SessionBusyError,
  SessionNotFoundError,
  type SessionStoreError
} from "./ClaudeError.js"
import * as Events from "./Events.js"
import { LiveSessions } from "./internal/liveSessions.js"
import { Draft } from "./internal/recorder.js"
import { fromRecord } from "./internal/resumable.js"
import * as SessionActor from "./internal/sessionActor.js"
import type { Session, SessionOptions, SessionStats } from "./Session.js"
import type { PageOptions, SessionFilter } from "./SessionFilter.js"
import { SessionHolder } from "./SessionHolder.js"
import type { SessionRecord, SessionStatus, TurnRecord } from "./SessionRecord.js"
import {
  type MessagePage,
  type SessionPage,
  SessionRepository,
  type SessionRepositoryService,
  type TurnPage
} from "./SessionRepository.js"

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
> =>
  Effect.gen(function*() {
    const { deleteAfter, expireAfter, maxLive, onFull } = yield* checked(options)
    const claude = yield* Claude
    const repository = yield* SessionRepository
    const holder = yield* SessionHolder
    const events = yield* Events.current
    const actor = yield* SessionActor.make(holder)
    const live = new LiveSessions(yield* Effect.scope, maxLive, onFull)
    const one = Effect.unsafeMakeSemaphore(1).withPermits(1)
    const recovered = yield* repository.recover(actor.isAlive)

    const start = (given: SessionOptions) =>
      claude.session(given).pipe(
        Effect.provideService(SessionRepository, repository),
        Effect.provideService(SessionHolder, holder)
      )

    const resumed = (sessionId: string, given: ResumeOptions) =>
      Effect.gen(function*() {
        const found = yield* repository.get(sessionId)
        if (Option.isNone(found)) return yield* Effect.fail(unknown(sessionId))
        const record = found.value
        events.tell({ _tag: "SessionLoaded", sessionId, turnCount: record.turnCount })
        // Turns of a process that is dead by now.
        yield* repository.recover(actor.isAlive)
        return { ...(yield* optionsOf(record)), ...defined(given), ...identityOf(record) }
      })

    /** Nobody else works on the session meanwhile. */
    const alone = <A, E>(sessionId: string, use: Effect.Effect<A, E>) =>
      Effect.acquireUseRelease(
        repository.acquireLease(sessionId, actor.name, "1 minute", actor.isAlive),
        () => use,
        () => Effect.ignore(repository.releaseLease(sessionId, actor.name))
      )

    /** Those that have not been used for so long. Each is looked at again when nobody else can change it. */
    const sweep = <A>(
      status: SessionStatus,
      unused: Duration.Duration,
      use: (record: SessionRecord) => Effect.Effect<A, SessionStoreError>
    ): Effect.Effect<ReadonlyArray<string>, SessionStoreError> =>
      Effect.gen(function*() {
        if (!Duration.isFinite(unused)) return []
        const updatedBefore = (yield* Clock.currentTimeMillis) - Duration.toMillis(unused)
        const swept = ({ sessionId }: SessionRecord): Effect.Effect<boolean, SessionStoreError> =>
          Effect.gen(function*() {
            if (Option.isSome(yield* live.find(sessionId))) return false
            const record = Option.getOrUndefined(yield* repository.get(sessionId))
            if (record?.status !== status || record.updatedAt >= updatedBefore) return false
            yield* use(record)
            return true
          }).pipe(
            (sweeping) => alone(sessionId, sweeping),
            Effect.catchTag("SessionBusyError", () => Effect.succeed(false))
          )
        const all = yield* everySession(repository, { status, updatedBefore })
        return (yield* Effect.filter(all, swept)).map(({ sessionId }) => sessionId)
      })

    const remove = (sessionId: string) =>
      Effect.tap(repository.delete(sessionId), (deleted) => {
        if (deleted) events.tell({ _tag: "SessionDeleted", sessionId })
      })

    const close = (sessionId: string) =>
      Effect.flatMap(live.find(sessionId), Effect.transposeMapOption((session) => session.close))

    return {
      create: (given = {}) => live.add(Effect.provideService(start(given), Draft, { tags: given.tags ?? [] })),
      get: (sessionId) => live.find(sessionId),
      live: live.all,
      resume: (sessionId, given = {}) =>
        one(Effect.flatMap(
          live.settled(sessionId),
          Option.match({
            onNone: () => Effect.flatMap(resumed(sessionId, given), (all) => live.add(start(all))),
            onSome: Effect.succeed
          })
        )),
      list: repository.list,
      count: repository.count,
      record: repository.get,
      turns: repository.turns,
      messages: repository.messages,
      addTags: repository.addTags,
      removeTags: repository.removeTags,
      close,
      delete: (sessionId): Effect.Effect<boolean, SessionBusyError | SessionStoreError> =>
        one(Effect.zipRight(
          Effect.zipRight(close(sessionId), live.settled(sessionId)),
          alone(sessionId, remove(sessionId))
        )),
      sweep: Effect.gen(function*() {
        // What is expired only now is deleted by a later sweep: whoever looks between them sees it coming.
        const deleted = yield* sweep("expired", deleteAfter, ({ sessionId }) => remove(sessionId))
        const expire = (record: SessionRecord) => repository.save({ ...record, status: "expired" })
        const open = yield* sweep("open", expireAfter, expire)
        const closed = yield* sweep("closed", expireAfter, expire)
        return { expired: [...open, ...closed], deleted }
      }),
      recovered
    }
  })

export const layerWith = (
  options: SessionManagerOptions
): Layer.Layer<SessionManager, InvalidOptionsError | SessionStoreError, Claude | SessionRepository> =>
  Layer.scoped(SessionManager, make(options))

/** As many live sessions as are asked for. */
export const layer: Layer.Layer<SessionManager, InvalidOptionsError | SessionStoreError, Claude | SessionRepository> =
  layerWith({})

// ---------------------------------------------------------------------------

const checked = (
  { deleteAfter = Duration.infinity, expireAfter = "30 days", maxLive = Infinity, onFull = "fail" }:
    SessionManagerOptions
) =>
  maxLive === Infinity || (Number.isInteger(maxLive) && maxLive > 0)
    ? Effect.succeed({
      deleteAfter: Duration.decode(deleteAfter),
      expireAfter: Duration.decode(expireAfter),
      maxLive,
      onFull
    })
    : Effect.fail(
      new InvalidOptionsError({
        field: "maxLive",
        detail: "it must be a whole number above 0",
        hint: "Leave it out for as many as are asked for."
      })
    )

const everySession = (repository: SessionRepositoryService, filter: SessionFilter) =>
  Effect.gen(function*() {
    const all: Array<SessionRecord> = []
    for (let after: string | undefined;;) {
      const page = yield* repository.list({ ...filter, after })
      all.push(...page.sessions)
      if (page.next === undefined) return all
      after = page.next
    }
  })

const optionsOf = ({ cwd, model, options }: SessionRecord): Effect.Effect<QueryOptions, InvalidOptionsError> =>
  Effect.map(fromRecord(options), (known) => merge(known, { model, cwd: cwd === "" ? undefined : cwd }))

/**
 * Where no turn was completed the CLI may not have the session: it is then begun again under its id. If it has it all the
 * same, the CLI refuses the id, and the session is resumed.
 */
const identityOf = ({ options, parentId, sessionId, turnCount }: SessionRecord): QueryOptions => {
  if (turnCount > 0) return { resume: sessionId }
  return parentId === undefined || options["forkSession"] !== true
    ? { sessionId }
    : { sessionId, resume: parentId, forkSession: true }
}

/** What is not given says nothing. */
const defined = <A extends object>(given: A): A =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as A

const unknown = (sessionId: string) =>
  new SessionNotFoundError({
    sessionId,
    hint: "There is no record of it. A conversation that only the CLI knows is resumed by the option `resume`."
  })
