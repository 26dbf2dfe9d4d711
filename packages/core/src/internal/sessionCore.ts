import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { QueryOptions } from "../AgentOptions.js"
import type { Prompt } from "../Claude.js"
import type { ClaudeError } from "../ClaudeError.js"
import { userLine } from "../ControlProtocol.js"
import type { Message } from "../Message.js"
import type { Wait } from "../Policy.js"
import type { Charge } from "./account.js"
import { leavingTime } from "./deadlines.js"
import { isRecord } from "./guard.js"
import type { Backlog } from "./inbox.js"
import { Line } from "./line.js"
import type { Live } from "./live.js"
import type { Observers } from "./observed.js"
import { closedError, type ProcessParts, SessionProcess, stopped } from "./sessionProcess.js"
import type { Pull } from "./streamed.js"
import { count, nothing } from "./totals.js"
import { diedByItself, sentBefore, Turn, type TurnOutcome } from "./turn.js"
import { TurnDeadlines } from "./turnDeadlines.js"
import { givenUp } from "./waiting.js"

export interface SessionParts extends Omit<ProcessParts, "wait"> {
  readonly idleTimeout: Duration.Duration
  readonly background: Observers<Message>
  readonly work: Scope.CloseableScope
}

/** A session's turns: one after the other, each with one end, whatever becomes of its process or its consumer. */
export class SessionCore {
  readonly cli: SessionProcess
  readonly totals = nothing()
  private readonly parts: SessionParts
  private readonly deadlines: TurnDeadlines
  private readonly line = new Line()
  private readonly closing = new Line()
  /** The ids that callers chose. */
  private readonly sent = new Set<string>()
  private turn: Turn | undefined
  private driver: Fiber.RuntimeFiber<unknown> | undefined
  private idle: Fiber.RuntimeFiber<unknown> | undefined
  private over = false
  /** Who waits until there may be one more process. */
  private waiting = 0

  constructor(parts: SessionParts) {
    this.parts = parts
    this.deadlines = new TurnDeadlines({
      deadline: parts.deadline,
      now: parts.now,
      process: () => ({ sessionId: this.cli.sessionId, frames: this.cli.live?.frames() ?? 0 }),
      fork: (effect) => this.inBackground(effect),
      release: (turn) => this.release(turn),
      end: (turn) => this.finish(turn, Either.left(givenUp(this.cli.sessionId)), [])
    })
    this.cli = new SessionProcess(
      { ...parts, wait: this.wait },
      {
        saw: (turn, messages) => {
          count(this.totals, messages)
          return parts.recorder.saw(turn, messages)
        },
        conclude: (turn, outcome, last) => this.conclude(turn, outcome, last),
        patience: parts.idleTimeout,
        unread: (turn) => Effect.asVoid(this.inBackground(this.release(turn))),
        known: (turn) => this.conclude(turn, Either.left(sentBefore(turn.id)), []),
        background: (messages, bytes) => {
          count(this.totals, messages)
          for (const message of messages) parts.background.tell(message, bytes / messages.length)
          return this.spare
        },
        gone: (turn, error) => turn === undefined ? Effect.void : this.gone(turn, error),
        mistaken: (error) => this.mistaken(error),
        started: () => this.restLater,
        answered: () => this.spare
      }
    )
  }

  /**
   * A turn of its own, after those that were sent before it. Closing the scope before its end interrupts it. One that is
   * made again has a new id when the one that was chosen for it is in the records already.
   */
  send(
    chosenId: string | undefined,
    prompt: Prompt,
    options: QueryOptions,
    charge: Omit<Charge, "turnId">,
    interruptWhen: Effect.Effect<unknown> | undefined,
    again = false,
    backlog?: Backlog
  ): Effect.Effect<Pull, ClaudeError, Scope.Scope> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen(this, function*() {
        yield* this.line.enter(restore)
        const turnId = again && this.sent.has(chosenId ?? "") ? undefined : chosenId
        const refused = this.refusal(turnId)
        if (refused !== undefined) {
          this.line.leave()
          return yield* refused
        }
        const turn = new Turn(turnId ?? crypto.randomUUID(), prompt, options, charge, this.parts.now(), backlog)
        this.turn = turn
        if (this.idle !== undefined) yield* stopped(this.idle)
        if (this.cli.live !== undefined) yield* this.cli.live.permit.busy
        yield* Effect.addFinalizer(() => {
          turn.leave()
          // Whoever has its end already, as when its time is up, does not wait for the CLI.
          return this.turn === turn && turn.outcome === undefined ? this.outlasting(this.abandon(turn)) : Effect.void
        })
        yield* this.drive(turn)
        if (interruptWhen !== undefined) {
          const interrupt = Effect.suspend(() => this.turn === turn ? this.outlasting(this.release(turn)) : Effect.void)
          yield* Effect.forkScoped(Effect.interruptible(Effect.zipRight(interruptWhen, interrupt)))
        }
        return turn.inbox.take
      })
    )
  }

  /** One more message for the turn that runs. False when none does. */
  steer(prompt: Prompt): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      const { turn } = this
      if (turn === undefined || turn.interrupted) return Effect.succeed(false)
      const uuid = crypto.randomUUID()
      return Effect.zipRight(
        Effect.raceFirst(Deferred.await(turn.written), Deferred.await(turn.released)),
        Effect.suspend(() => {
          const { live } = this.cli
          return this.turn === turn && !turn.interrupted && live?.attribution.steer(uuid) === true
            ? Effect.uninterruptible(live.cli.send(userLine(prompt, uuid)))
            : Effect.succeed(false)
        })
      )
    })
  }

  /** Ends the turn that runs, and comes back when it has. */
  get interrupt(): Effect.Effect<void> {
    return Effect.suspend(() => this.turn === undefined ? Effect.void : this.outlasting(this.release(this.turn)))
  }

  /** Between two turns: what is sent meanwhile waits. */
  between<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return this.line.alone(effect)
  }

  /** However often it is asked, and by whom: when one has come back, all is over. */
  get close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.cli.shutDown()
      return this.outlasting(
        this.closing.alone(Effect.gen(this, function*() {
          if (this.over) return
          this.over = true
          if (this.turn !== undefined) yield* this.abandon(this.turn)
          yield* this.cli.stop
          yield* this.parts.recorder.close(this.cli.sessionId)
        }))
      )
    })
  }

  /** The end of the session's scope. */
  get dispose(): Effect.Effect<void> {
    return Effect.zipRight(this.close, Scope.close(this.parts.work, Exit.void))
  }

  // --- a turn's way ---

  private refusal(turnId: string | undefined): ClaudeError | undefined {
    if (this.cli.closed) return closedError(this.cli.sessionId)
    if (turnId === undefined) return undefined
    if (this.sent.has(turnId)) return sentBefore(turnId)
    this.sent.add(turnId)
    return undefined
  }

  private drive(turn: Turn): Effect.Effect<void> {
    turn.attempts++
    const before = this.driver
    const watched = this.deadlines.stop(turn)
    const write = Effect.gen(this, function*() {
      const live = yield* this.deadlines.within(turn, this.cli.ready)
      if (turn.attempts > 1 && turn.interrupted) {
        return yield* this.conclude(turn, Either.left(givenUp(this.cli.sessionId)), [])
      }
      if (!turn.recorded) {
        const begin = this.parts.recorder.begin(this.cli.sessionId, turn, this.cli.changes)
        // Another process has had the session meanwhile: what it has said there, this one's CLI does not know.
        yield* Effect.tapErrorTag(begin, "SessionBusyError", () => this.cli.kill)
        turn.recorded = true
      }
      this.cli.use()
      yield* Effect.uninterruptible(Effect.zipRight(
        Deferred.succeed(turn.writing, undefined),
        this.inBackground(this.writing(turn, live))
      ))
      yield* this.deadlines.watch(turn)
    })
    return Effect.flatMap(
      this.inBackground(Effect.catchAll(write, (error) => this.conclude(turn, Either.left(error), []))),
      (fiber) => {
        this.driver = fiber
        return before === undefined ? watched : Effect.zipRight(watched, stopped(before))
      }
    )
  }

  /** Whole or not at all, half a line ends the CLI: so it is written by a fiber that nobody interrupts. */
  private writing(turn: Turn, live: Live): Effect.Effect<void> {
    const uuid = turn.attempts === 1 ? turn.id : crypto.randomUUID()
    const begun = Effect.tap(live.begin(turn, uuid), () => Deferred.succeed(turn.written, undefined))
    return Effect.flatMap(Effect.uninterruptible(Effect.either(begun)), (taken) => {
      if (Either.isLeft(taken)) return this.gone(turn, taken.left)
      if (taken.right) return Effect.void
      // It does not read. If it is not gone by then, it will not go by itself.
      return Effect.zipRight(
        Effect.sleep(leavingTime),
        Effect.suspend(() => this.turn === turn && this.cli.live === live ? this.cli.kill : Effect.void)
      )
    })
  }

  /** Asks the CLI to let go of the turn; one that does not is stopped. */
  private release(turn: Turn): Effect.Effect<void> {
    if (turn.interrupted) return Deferred.await(turn.released)
    turn.interrupt()
    return Effect.gen(this, function*() {
      if (this.waiting > 0 && (yield* this.heldBack(turn))) return
      yield* Effect.raceFirst(Deferred.await(turn.writing), Deferred.await(turn.released))
      const written = Effect.raceFirst(Deferred.await(turn.written), Deferred.await(turn.released))
      const took = yield* Effect.timeoutOption(written, leavingTime)
      const { live } = this.cli
      if (live !== undefined && took._tag === "Some") {
        yield* this.withdraw(live)
        if (this.turn !== turn) return
        yield* Effect.ignore(live.control.request({ subtype: "interrupt" }, leavingTime))
      }
      yield* Effect.timeoutOption(Deferred.await(turn.released), leavingTime)
      if (this.turn === turn) yield* this.cli.kill
      yield* Deferred.await(turn.released)
    })
  }

  /** What the CLI has not taken up of the turn's messages. */
  private withdraw({ attribution, control }: Live): Effect.Effect<void> {
    return Effect.forEach(
      attribution.waiting,
      (uuid) =>
        control.request({ subtype: "cancel_async_message", message_uuid: uuid }, leavingTime).pipe(
          Effect.map((reply) => {
            if (isRecord(reply) && reply["cancelled"] === true) attribution.withdraw(uuid)
          }),
          Effect.ignore
        ),
      { discard: true }
    )
  }

  /** Nobody wants its messages any more. What has not been asked is not asked. */
  private abandon(turn: Turn): Effect.Effect<void> {
    return Effect.gen(this, function*() {
      if (this.turn === turn && !(yield* this.heldBack(turn))) yield* this.release(turn)
    })
  }

  /** False when its prompt is on the way. */
  private heldBack(turn: Turn): Effect.Effect<boolean> {
    return Effect.gen(this, function*() {
      if ((yield* Deferred.isDone(turn.writing)) || this.driver === undefined) return false
      yield* Fiber.interrupt(this.driver)
      if (yield* Deferred.isDone(turn.writing)) return false
      yield* this.conclude(turn, Either.left(givenUp(this.cli.sessionId)), [])
      return true
    })
  }

  /** A turn that is interrupted by then waits for no process. */
  private readonly wait: Wait = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.suspend((): Effect.Effect<A, E | ClaudeError, R> => {
      if (this.turn?.interrupted === true) return Effect.fail(givenUp(this.cli.sessionId))
      this.waiting++
      return Effect.ensuring(effect, Effect.sync(() => this.waiting--))
    })

  /** The process has left the turn alone. One in which nothing has happened yet is asked once more, of a new process. */
  private gone(turn: Turn, error: ClaudeError): Effect.Effect<void> {
    return turn.committed || turn.interrupted || turn.attempts > 1 || this.cli.closed || !diedByItself(error)
      ? this.conclude(turn, Either.left(error), [])
      : this.drive(turn)
  }

  private mistaken(error: ClaudeError): Effect.Effect<void> {
    const { turn } = this
    return Effect.zipRight(
      turn === undefined ? Effect.void : this.conclude(turn, Either.left(error), []),
      Effect.asVoid(this.inBackground(this.cli.kill))
    )
  }

  /** The CLI is done with the turn. */
  private conclude(turn: Turn, outcome: TurnOutcome, last: ReadonlyArray<Message>): Effect.Effect<void> {
    return Effect.zipRight(
      this.finish(turn, outcome, last),
      Effect.suspend(() => {
        if (this.turn !== turn) return Effect.void
        this.turn = undefined
        if (last.length > 0) this.cli.establish()
        // Nobody has had it: it can be sent again under the same id.
        if (!turn.recorded) this.sent.delete(turn.id)
        Deferred.unsafeDone(turn.released, Effect.void)
        return Effect.zipRight(this.deadlines.stop(turn), this.next)
      })
    )
  }

  /** The consumer's end of it, once, and its record before. */
  private finish(turn: Turn, outcome: TurnOutcome, last: ReadonlyArray<Message>): Effect.Effect<void> {
    count(this.totals, last)
    if (turn.ending) return Effect.void
    turn.ending = true
    const { totals } = this
    const verdict = this.deadlines.verdict(turn, outcome)
    if (Either.isRight(verdict)) totals.turns++
    totals.durationMs += this.parts.now() - turn.startedAt
    const kept = Effect.either(Effect.zipRight(this.parts.recorder.end(turn, verdict, last), verdict))
    return Effect.map(Effect.zipRight(this.deadlines.tell(turn, verdict), kept), (end) => {
      turn.inbox.offer(last)
      turn.end(end)
    })
  }

  private get next(): Effect.Effect<void> {
    return Effect.gen(this, function*() {
      const { driver } = this
      this.driver = undefined
      if (yield* this.cli.wornOut) {
        yield* this.inBackground(Effect.ensuring(this.cli.stop, Effect.sync(() => this.line.leave())))
      } else this.line.leave()
      yield* this.restLater
      if (driver !== undefined) yield* stopped(driver)
    })
  }

  /** Others may have its place while it does nothing. A turn that comes meanwhile finds it, or another one. */
  get spare(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const needed = () => this.turn !== undefined
      const permit = needed() ? undefined : this.cli.spare
      return permit === undefined ? Effect.void : permit.idle(this.outlasting(this.cli.giveUp(needed)))
    })
  }

  /** Unless a turn comes first. */
  private get restLater(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { idle, parts: { idleTimeout } } = this
      if (this.turn !== undefined || this.cli.closed) return Effect.void
      if (!Duration.isFinite(idleTimeout)) return this.spare
      return Effect.zipRight(
        this.spare,
        Effect.flatMap(this.inBackground(Effect.zipRight(Effect.sleep(idleTimeout), this.rest)), (fiber) => {
          this.idle = fiber
          return idle === undefined ? Effect.void : stopped(idle)
        })
      )
    })
  }

  /** Nothing was asked for long. Background work keeps its process for as long again. */
  private get rest(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.turn !== undefined) return Effect.void
      if (this.cli.live === undefined || this.cli.live.background.size === 0) return this.between(this.cli.stop)
      return Effect.zipRight(Effect.sleep(this.parts.idleTimeout), this.between(this.cli.stop))
    })
  }

  private inBackground<A>(effect: Effect.Effect<A>): Effect.Effect<Fiber.RuntimeFiber<A>> {
    return Effect.forkIn(Effect.interruptible(effect), this.parts.work)
  }

  /** Comes to its end whatever becomes of the caller, who waits for it. */
  private outlasting(effect: Effect.Effect<void>): Effect.Effect<void> {
    return Effect.flatMap(this.inBackground(effect), (fiber) => Effect.asVoid(Fiber.await(fiber)))
  }
}
