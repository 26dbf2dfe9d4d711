import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { sequential } from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Scope from "effect/Scope"
import type { QueryOptions } from "../AgentOptions.js"
import { type ClaudeError, SessionClosedError, SessionNotFoundError } from "../ClaudeError.js"
import type { Permit } from "../Concurrency.js"
import type { Request } from "../ControlProtocol.js"
import type { Deadline } from "../Deadline.js"
import type { Wait } from "../Policy.js"
import { type Adopted, type Connect, sessionPlan } from "./connection.js"
import { leavingTime } from "./deadlines.js"
import type { Host } from "./host.js"
import { sessionOf, withoutIdentity } from "./identity.js"
import { Line } from "./line.js"
import * as Live from "./live.js"
import type { Recorder } from "./recorder.js"

/** When a process is replaced by a new one between two turns. */
export interface Recycle {
  readonly ageMs: number
  readonly turns: number
  readonly memoryBytes: number
}

export interface ProcessParts {
  readonly connect: Connect
  readonly deadline: Deadline["Type"]
  /** A process that is started already. */
  readonly adopted: Adopted | undefined
  readonly host: Host
  readonly recorder: Recorder
  readonly options: QueryOptions
  readonly recycle: Recycle
  /** How a turn waits until there may be one more process. */
  readonly wait: Wait
  /** Everything that goes on behind the callers' backs. */
  readonly work: Scope.Scope
  readonly now: () => number
}

/** What its owner wants to know of it. */
export interface ProcessListener extends Omit<Live.Listener, "named"> {
  /** It is another conversation than the one that was asked for. No tool of it has run. */
  readonly mistaken: (error: SessionNotFoundError) => Effect.Effect<void>
  /** It has started, for whatever reason. */
  readonly started: () => Effect.Effect<void>
  /** It has answered. */
  readonly answered: () => Effect.Effect<void>
}

interface Running {
  readonly live: Live.Live
  readonly scope: Scope.CloseableScope
  /** The session that it was asked for, until it has named one. */
  expected: string
  turns: number
}

/**
 * The process of a session, which comes and goes while the session stays: started when it is needed, resumed when it was
 * gone, with what was changed in the last one.
 */
export class SessionProcess {
  sessionId: string
  /** What was changed since the session began, and a new process must be told. */
  changes: Pick<QueryOptions, "model" | "permissionMode" | "thinking"> = {}
  closed = false
  /** The CLI has the session on disk: a new process resumes it, and there is something to branch from. */
  established: boolean
  private readonly shut = Deferred.unsafeMake<never, SessionClosedError>(FiberId.none)
  private readonly parts: ProcessParts
  private readonly listener: ProcessListener
  private readonly changing = new Line()
  /** Changes that the process which is to come may not have been started with, by their kind. */
  private untold: Readonly<Record<string, Request>> = {}
  private adopted: Adopted | undefined
  /** Requests that the CLI has not answered. */
  private asked = 0
  private running: Running | undefined
  /** The CLI has left the session that it was started for, as `/clear` makes it. */
  private moved = false
  /** A prompt was written under this id, so that the CLI may have it on disk. */
  private used = false
  /** Turns that the CLI has answered under this id. */
  private answered = 0

  constructor(parts: ProcessParts, listener: ProcessListener) {
    const { adopted, options } = parts
    this.parts = parts
    this.listener = listener
    this.adopted = adopted
    this.sessionId = sessionOf(options)
    this.established = options.resume !== undefined && options.forkSession !== true
  }

  /** Fails when it is closed. */
  get whenClosed(): Effect.Effect<never, SessionClosedError> {
    return Deferred.await(this.shut)
  }

  get live(): Live.Live | undefined {
    return this.running?.live.alive() === true ? this.running.live : undefined
  }

  /** The process, started and initialised. */
  get ready(): Effect.Effect<Live.Live, ClaudeError> {
    return Effect.suspend(() =>
      this.changing.alone(Effect.suspend(() => {
        if (this.closed) return Effect.fail(closedError(this.sessionId))
        const { live } = this
        if (live !== undefined) return Effect.as(live.initialized, live)
        return Effect.raceFirst(
          Effect.flatMap(this.parts.recorder.open(this.sessionId), (begun) => {
            if (begun) this.used = true
            return this.start
          }),
          Deferred.await(this.shut)
        )
      }))
    )
  }

  readonly request = (fields: Request): Effect.Effect<unknown, ClaudeError> =>
    Effect.flatMap(this.ready, ({ control }) =>
      Effect.acquireUseRelease(
        Effect.sync(() => this.asked++),
        () => control.request(fields),
        () =>
          Effect.suspend(() => {
            this.asked--
            return this.listener.answered()
          })
      ))

  /** A process that does not run need not be started to be told: it is when it has started. */
  change(request: Request, changes: SessionProcess["changes"]): Effect.Effect<void, ClaudeError> {
    return Effect.suspend(() => {
      const tells = this.live !== undefined || this.closed
      if (!tells) this.untold = { ...this.untold, [request.subtype]: request }
      return Effect.map(tells ? this.request(request) : Effect.void, () => {
        this.changes = { ...this.changes, ...changes }
      })
    })
  }

  /** The permit of a process that has nothing to do, if there is one. */
  get spare(): Permit | undefined {
    const { live } = this
    if (live === undefined) return this.adopted?.permit
    return live.background.size > 0 || this.asked > 0 ? undefined : live.permit
  }

  /** Makes room for those who wait, unless it is needed after all. It comes back when it is needed. */
  giveUp(needed: () => boolean): Effect.Effect<void> {
    return this.changing.alone(Effect.suspend(() => {
      if (needed() || this.spare === undefined) return Effect.void
      const { adopted } = this
      if (adopted === undefined) return this.stopping
      this.adopted = undefined
      return adopted.close
    }))
  }

  /** Nothing is started any more, and what is starting is not waited for. */
  shutDown(): void {
    this.closed = true
    Deferred.unsafeDone(this.shut, Effect.fail(closedError(this.sessionId)))
  }

  /** From now on the CLI may have the session on disk. */
  use(): void {
    this.used = true
  }

  /** The CLI has answered: the session is on disk. */
  establish(): void {
    this.established = true
    this.answered++
    if (this.running !== undefined) this.running.turns++
  }

  /** Lets the CLI finish what it writes; what does not leave then is made to. */
  get stop(): Effect.Effect<void> {
    return this.changing.alone(this.stopping)
  }

  private get stopping(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { live, running } = this
      const politely = live === undefined || live.background.size > 0
        ? Effect.void
        : Effect.zipRight(live.cli.closeInput, Effect.timeoutOption(live.cli.exit, leavingTime))
      return Effect.zipRight(politely, running === undefined ? Effect.void : this.close(running))
    })
  }

  /** Ends it without asking. */
  get kill(): Effect.Effect<void> {
    return Effect.suspend(() => this.running === undefined ? Effect.void : this.close(this.running))
  }

  /** Old, much used or large, and with nothing to lose. */
  get wornOut(): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      const { live, running } = this
      if (running === undefined || live === undefined || live.background.size > 0) return Effect.succeed(false)
      const { now, recycle: { ageMs, memoryBytes, turns } } = this.parts
      if (running.turns >= turns || now() - live.startedAt >= ageMs) return Effect.succeed(true)
      if (live.cli.memory === undefined || running.turns % turnsBetweenLooks > 0) return Effect.succeed(false)
      return Effect.map(live.cli.memory, (bytes) => bytes !== undefined && bytes >= memoryBytes)
    })
  }

  /** Whoever is interrupted in the middle of it must still end it: nobody else does it again. */
  private close(running: Running): Effect.Effect<void> {
    if (this.running === running) this.running = undefined
    return Effect.uninterruptible(Scope.close(running.scope, Exit.void))
  }

  /**
   * Where we cannot know whether the CLI has the session, its answer tells. It was seen to give a first result before it
   * had written anything; but a history of more turns that is gone is not begun anew behind the caller's back.
   */
  private get start(): Effect.Effect<Live.Live, ClaudeError> {
    return Effect.suspend(() => {
      const resumes = this.established
      return Effect.catchIf(
        this.open(resumes),
        ({ _tag }) =>
          this.used && (resumes ? _tag === "SessionNotFoundError" && this.answered < 2 : _tag === "SessionBusyError"),
        () => this.open(!resumes)
      )
    })
  }

  private open(resumes: boolean): Effect.Effect<Live.Live, ClaudeError> {
    return Effect.gen(this, function*() {
      const scope = yield* Scope.fork(this.parts.work, sequential)
      const opened = Effect.gen(this, function*() {
        const options = this.startOptions(resumes)
        const { adopted } = this
        this.adopted = undefined
        // A new one is started with them.
        if (adopted === undefined) this.untold = {}
        else {
          yield* adopted.permit.busy
          yield* Effect.addFinalizer(() => adopted.close)
        }
        const { connect, deadline, host, wait } = this.parts
        const connection = adopted ?? (yield* connect(sessionPlan(options, host), wait))
        const live: Live.Live = yield* Live.open(connection, options, host, deadline, {
          ...this.listener,
          named: (id) => this.named(live, id),
          gone: (turn, error) => this.gone(live, () => this.listener.gone(turn, error))
        })
        this.running = { live, scope, expected: resumes ? this.sessionId : options.sessionId ?? "", turns: 0 }
        yield* live.run
        yield* live.initialized
        const { untold } = this
        this.untold = {}
        yield* Effect.forEach(Object.values(untold), (request) => live.control.request(request), { discard: true })
        yield* this.listener.started()
        return live
      })
      return yield* Effect.onError(Scope.extend(opened, scope), () => {
        if (this.running?.scope === scope) this.running = undefined
        return Scope.close(scope, Exit.void)
      })
    })
  }

  private startOptions(resumes: boolean): QueryOptions {
    const { changes, parts: { options } } = this
    if (resumes) return { ...withoutIdentity(options), ...changes, resume: this.sessionId }
    // Nothing was said since: 2.1.197 keeps nothing of it, and does not let its id be taken again.
    return this.moved
      ? { ...withoutIdentity(options), ...changes, sessionId: crypto.randomUUID() }
      : { ...options, ...changes }
  }

  private named(live: Live.Live, id: string): Effect.Effect<void> {
    const { running, sessionId } = this
    const expected = running?.live === live ? running.expected : ""
    if (running !== undefined) running.expected = ""
    if (expected !== "" && expected !== id) {
      return this.listener.mistaken(
        new SessionNotFoundError({
          sessionId: expected,
          hint: `The CLI began session ${id} instead: was its transcript deleted?`
        })
      )
    }
    if (id === sessionId) return Effect.void
    this.sessionId = id
    if (sessionId !== "") {
      this.moved = true
      this.answered = 0
    }
    return this.parts.recorder.moved(id)
  }

  /** Its scope is closed from another fiber: the one that tells belongs to it. */
  private gone(live: Live.Live, tell: () => Effect.Effect<void>): Effect.Effect<void> {
    const { running } = this
    if (running?.live !== live) return tell()
    this.running = undefined
    return Effect.zipRight(Effect.forkIn(this.close(running), this.parts.work), Effect.suspend(tell))
  }
}

export const closedError = (sessionId: string): SessionClosedError =>
  new SessionClosedError({ sessionId, hint: "Resume it: its conversation is kept." })

/** Nobody waits for its end. Most have come to theirs by then: to interrupt one takes another fiber. */
export const stopped = (fiber: Fiber.RuntimeFiber<unknown>): Effect.Effect<void> =>
  fiber.unsafePoll() === null ? Fiber.interruptFork(fiber) : Effect.void

/** To look at the memory costs more than the rest of a turn's end, and it grows slowly. */
const turnsBetweenLooks = 10
