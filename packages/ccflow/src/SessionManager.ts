/** Sessions and their records, in one place: for a program that has many conversations, and finds them again. */
import type { PageOptions, SessionFilter } from "@ccflow/core/SessionFilter"
import type { Swept } from "@ccflow/core/SessionManager"
import type { SessionRecord } from "@ccflow/core/SessionRecord"
import type { SessionPage, TurnPage } from "@ccflow/core/SessionRepository"
import { type Client, createClient } from "./Client.js"
import { checked } from "./internal/given.js"
import type { ClientConfig } from "./Owner.js"
import type { Session, SessionOptions } from "./Session.js"
import type { ResumeOptions, SessionExport } from "./Sessions.js"
import { SQLiteSessionStore } from "./SessionStore.js"

/** How many sessions there are. */
export interface SessionManagerStats {
  readonly total: number
  readonly open: number
  readonly closed: number
  readonly expired: number
  /** Open in this program, with a process or ready to start one. */
  readonly live: number
}

/** A client that always keeps sessions: in its `store` or `storagePath`, else where `ccflow sessions` finds them. */
export class SessionManager implements AsyncDisposable {
  /** For everything else that a client can. */
  readonly client: Client
  private readonly own: SQLiteSessionStore | undefined

  /** With a client it is a view of that client's sessions, which must be kept. */
  constructor(config: ClientConfig = {}, client?: Client) {
    const { storagePath, store } = checked(config, "config")
    this.own = client === undefined && store === undefined && storagePath === undefined
      ? new SQLiteSessionStore()
      : undefined
    this.client = client ?? createClient(this.own === undefined ? config : { ...config, store: this.own })
  }

  /** On record from now on. Its CLI is started when it is needed. */
  createSession(options?: SessionOptions): Promise<Session> {
    return this.client.session(options).ready()
  }

  /** One that is open in this program. */
  async getSession(sessionId: string): Promise<Session | undefined> {
    return (await this.listActiveSessions()).find(({ id }) => id === sessionId)
  }

  /**
   * The open session, or one made from its record, with its history, model and folder. Rejects with a
   * `SessionNotFoundError` where there is no record, and with a `SessionBusyError` where another process works on it.
   */
  resumeSession(sessionId: string, options?: ResumeOptions): Promise<Session> {
    return this.client.sessions.resume(sessionId, options).ready()
  }

  /** False where it was not open in this program. */
  async closeSession(sessionId: string): Promise<boolean> {
    return await this.client.sessions.close(sessionId) !== undefined
  }

  /** Closes it and deletes its record, turns and all. False when there was none. */
  deleteSession(sessionId: string): Promise<boolean> {
    return this.client.sessions.delete(sessionId)
  }

  /** A page: the latest first, unless the filter says otherwise. `next` is the `after` of the next page. */
  listSessions(filter?: SessionFilter): Promise<SessionPage> {
    return this.client.sessions.list(filter)
  }

  /** Page by page, all that the filter holds for. */
  allSessions(filter?: SessionFilter): AsyncGenerator<SessionRecord, void> {
    return this.client.sessions.all(filter)
  }

  /** Those that are open in this program. */
  listActiveSessions(): Promise<ReadonlyArray<Session>> {
    return this.client.sessions.live()
  }

  countSessions(filter?: SessionFilter): Promise<number> {
    return this.client.sessions.count(filter)
  }

  /** What is kept of a session. */
  getRecord(sessionId: string): Promise<SessionRecord | undefined> {
    return this.client.sessions.get(sessionId)
  }

  async sessionExists(sessionId: string): Promise<boolean> {
    return await this.getRecord(sessionId) !== undefined
  }

  /** A page of a session's turns, in order. */
  getTurns(sessionId: string, page?: PageOptions): Promise<TurnPage> {
    return this.client.sessions.turns(sessionId, page)
  }

  /** All that is kept of a session. Rejects with a `SessionNotFoundError` where there is none. */
  exportSession(sessionId: string): Promise<SessionExport> {
    return this.client.sessions.export(sessionId)
  }

  /** False where the session is unknown. */
  addTags(sessionId: string, tags: ReadonlyArray<string>): Promise<boolean> {
    return this.client.sessions.addTags(sessionId, tags)
  }

  /** False where the session is unknown. */
  removeTags(sessionId: string, tags: ReadonlyArray<string>): Promise<boolean> {
    return this.client.sessions.removeTags(sessionId, tags)
  }

  /**
   * Marks as expired, and deletes, what was not used for the times in `sessions` of the config: 30 days, and never. What
   * somebody works on stays.
   */
  cleanup(): Promise<Swept> {
    return this.client.sessions.sweep()
  }

  async getStats(): Promise<SessionManagerStats> {
    const [total, open, closed, expired, live] = await Promise.all([
      this.countSessions(),
      this.countSessions({ status: "open" }),
      this.countSessions({ status: "closed" }),
      this.countSessions({ status: "expired" }),
      this.listActiveSessions()
    ])
    return { total, open, closed, expired, live: live.length }
  }

  /** Closes the client, and with it all sessions that are open in it. A store that was given stays open. */
  async close(): Promise<void> {
    await this.client.close()
    await this.own?.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
