/** Where sessions are kept: for a program that looks after records itself, and for `createClient({ store })`. */
import { SessionStoreError } from "@ccflow/core/ClaudeError"
import type { PageOptions, SessionFilter } from "@ccflow/core/SessionFilter"
import { inputError, type SessionRecord } from "@ccflow/core/SessionRecord"
import * as SessionRepository from "@ccflow/core/SessionRepository"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { clock, keepingAlive } from "./internal/keepAlive.js"
import * as Kept from "./internal/kept.js"
import * as Store from "./internal/store.js"
import { valueOf } from "./Owner.js"

/**
 * The records of sessions and their turns. Nothing is opened before it is needed; what goes wrong rejects with a
 * `SessionStoreError`. Close it when its clients are closed.
 */
export abstract class SessionStore implements AsyncDisposable, AsyncIterable<SessionRecord> {
  /** What a client works with. @internal */
  readonly kept: Kept.Kept["Type"]
  private readonly scope: Scope.CloseableScope
  private closing: Promise<void> | undefined

  /** @internal */
  constructor(kept: Effect.Effect<Kept.Kept["Type"], never, Scope.Scope>) {
    this.scope = Effect.runSync(Scope.make())
    this.kept = Effect.runSync(Scope.extend(kept, this.scope))
  }

  /**
   * Stores a session. Of one that is stored already everything is replaced but the figures, which its turns move, and the
   * tags, which `addTags` and `removeTags` change.
   */
  save(record: SessionRecord): Promise<void> {
    return this.run((sessions) => sessions.save(record))
  }

  load(sessionId: string): Promise<SessionRecord | undefined> {
    return this.run((sessions) => Effect.map(sessions.get(sessionId), Option.getOrUndefined))
  }

  exists(sessionId: string): Promise<boolean> {
    return this.run((sessions) => Effect.map(sessions.get(sessionId), Option.isSome))
  }

  /** With its turns and their messages. False where there was none. A client's own `sessions.delete` closes it before. */
  delete(sessionId: string): Promise<boolean> {
    return this.run((sessions) => sessions.delete(sessionId))
  }

  /** A page: the latest first, unless the filter says otherwise. `next` is the `after` of the next page. */
  list(filter?: SessionFilter): Promise<SessionRepository.SessionPage> {
    return this.run((sessions) => sessions.list(filter))
  }

  /** Page by page, all that the filter holds for. */
  all(filter?: SessionFilter): AsyncGenerator<SessionRecord, void> {
    return Store.everyOne((page) => this.list(page), filter)
  }

  [Symbol.asyncIterator](): AsyncGenerator<SessionRecord, void> {
    return this.all()
  }

  count(filter?: SessionFilter): Promise<number> {
    return this.run((sessions) => sessions.count(filter))
  }

  /** False where the session is unknown. */
  addTags(sessionId: string, tags: ReadonlyArray<string>): Promise<boolean> {
    return this.run((sessions) => sessions.addTags(sessionId, tags))
  }

  /** False where the session is unknown. */
  removeTags(sessionId: string, tags: ReadonlyArray<string>): Promise<boolean> {
    return this.run((sessions) => sessions.removeTags(sessionId, tags))
  }

  /** A page of a session's turns, in order. */
  turns(sessionId: string, page?: PageOptions): Promise<SessionRepository.TurnPage> {
    return this.run((sessions) => sessions.turns(sessionId, page))
  }

  /** What a session with `recordMessages` has kept of a turn. */
  messages(turnId: string, page?: PageOptions): Promise<SessionRepository.MessagePage> {
    return this.run((sessions) => sessions.messages(turnId, page))
  }

  /** Deletes what has not been used for so long, but for sessions that somebody works on. How many these were. */
  cleanup(unusedFor: Duration.DurationInput): Promise<number> {
    return this.run((sessions) => cleanup(sessions, unusedFor))
  }

  /** What is asked of it afterwards rejects. Safe to repeat. */
  close(): Promise<void> {
    return this.closing ??= keepingAlive(Effect.runPromise(Scope.close(this.scope, Exit.void)))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  private run<A>(
    use: (sessions: SessionRepository.SessionRepositoryService) => Effect.Effect<A, SessionStoreError>
  ): Promise<A> {
    const asked = this.closing === undefined ? Effect.flatMap(repositoryOf(this), use) : Effect.fail(closed)
    return valueOf(keepingAlive(Effect.runPromiseExit(Effect.withClock(asked, clock))))
  }
}

/** In one SQLite file, which any number of processes of this machine can share. Needs the package `better-sqlite3`. */
export class SQLiteSessionStore extends SessionStore {
  /**
   * Made, with its folder, where it is not there, for this user alone. Default: the file of the `ccflow` command, which
   * `CCFLOW_SESSION_STORAGE_PATH` names.
   */
  constructor(path?: string) {
    super(Kept.inFile(path === undefined ? Store.path : Effect.succeed(path)))
  }
}

/** For as long as the program runs. */
export class MemorySessionStore extends SessionStore {
  constructor() {
    super(Effect.map(Layer.build(SessionRepository.layerMemory), (context) => ({
      file: undefined,
      sessions: Effect.succeed(Context.get(context, SessionRepository.SessionRepository))
    })))
  }
}

/** For programs that use both worlds: the same records as an Effect service. */
export const repositoryOf = (
  store: SessionStore
): Effect.Effect<SessionRepository.SessionRepositoryService, SessionStoreError> =>
  store.kept.sessions ?? Effect.fail(closed)

// ---------------------------------------------------------------------------

const closed = new SessionStoreError({
  operation: "open",
  reason: "Unavailable",
  detail: "the store is closed",
  hint: "Make a new one, and close it when its clients are closed."
})

const cleanup = (sessions: SessionRepository.SessionRepositoryService, unusedFor: Duration.DurationInput) =>
  Effect.gen(function*() {
    const time = Option.filter(Duration.decodeUnknown(unusedFor), Duration.isFinite)
    if (Option.isNone(time)) return yield* Effect.fail(inputError("cleanup", "unusedFor is no finite time"))
    const updatedBefore = (yield* Clock.currentTimeMillis) - Duration.toMillis(time.value)
    const isUnused = ({ updatedAt }: SessionRecord) => updatedAt < updatedBefore
    const holder = crypto.randomUUID()
    /** Nobody else works on it meanwhile; it may have been used since it was listed. */
    const remove = ({ sessionId }: SessionRecord) =>
      Effect.acquireUseRelease(
        sessions.acquireLease(sessionId, holder, "1 minute"),
        () =>
          Effect.flatMap(
            sessions.get(sessionId),
            (found) => Option.exists(found, isUnused) ? sessions.delete(sessionId) : Effect.succeed(false)
          ),
        () => Effect.ignore(sessions.releaseLease(sessionId, holder))
      ).pipe(Effect.catchTag("SessionBusyError", () => Effect.succeed(false)))
    const unused = yield* Stream.runCollect(Store.all(sessions, { updatedBefore }))
    return (yield* Effect.filter(unused, remove)).length
  })
