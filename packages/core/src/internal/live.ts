import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberId from "effect/FiberId"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { QueryOptions } from "../AgentOptions.js"
import { type ClaudeError, MissingResultError, type RunFacts } from "../ClaudeError.js"
import type { CliExit, RunningCli } from "../CliProcess.js"
import type { Permit } from "../Concurrency.js"
import * as ControlProtocol from "../ControlProtocol.js"
import type { Deadline } from "../Deadline.js"
import type { Message } from "../Message.js"
import { Attribution } from "./attribution.js"
import * as Billing from "./billing.js"
import { type Allowance, CurrentAllowance } from "./budgetAllowance.js"
import { type Connection, redactedArgv } from "./connection.js"
import * as Deadlines from "./deadlines.js"
import { isRecord } from "./guard.js"
import { heard, type Host } from "./host.js"
import { atLast, sizeOf } from "./inbox.js"
import { BackgroundTasks, Seen } from "./seen.js"
import type { Turn, TurnOutcome } from "./turn.js"

/** What a session wants to be told of its process. It is told where the output is read: it must be short. */
export interface Listener {
  readonly saw: (turn: Turn, messages: ReadonlyArray<Message>) => Effect.Effect<void>
  /** The CLI is done with the turn. These are its last messages, which the consumer does not have yet. */
  readonly conclude: (turn: Turn, outcome: TurnOutcome, last: ReadonlyArray<Message>) => Effect.Effect<void>
  /** The CLI has had the turn's message before, in an earlier process, and does not run it again. */
  readonly known: (turn: Turn) => Effect.Effect<void>
  /** Messages of no turn, which were made of so many bytes. */
  readonly background: (messages: ReadonlyArray<Message>, bytes: number) => Effect.Effect<void>
  /** For the whole of `patience` the CLI has waited for the turn's consumer, which has taken nothing. */
  readonly unread: (turn: Turn) => Effect.Effect<void>
  readonly patience: Duration.Duration
  /** The session's id, each time that it is another one. */
  readonly named: (sessionId: string) => Effect.Effect<void>
  /** The process has ended, of itself or because it was closed. The turn that it was in has not. */
  readonly gone: (turn: Turn | undefined, error: ClaudeError) => Effect.Effect<void>
}

/** A session's process. */
export interface Live {
  /** Begins to read it. Without this nothing is heard of it. */
  readonly run: Effect.Effect<void, never, Scope.Scope>
  readonly cli: RunningCli
  readonly permit: Permit
  readonly control: ControlProtocol.ControlProtocol
  /** What the CLI said of itself at the start. Fails with why it did not start. */
  readonly initialized: Effect.Effect<Readonly<Record<string, unknown>>, ClaudeError>
  readonly background: BackgroundTasks
  readonly attribution: Attribution
  readonly startedAt: number
  readonly alive: () => boolean
  readonly frames: () => number
  /**
   * Writes the turn's prompt. Its messages go to it from then on, until it has ended or the process is gone. False when
   * the CLI does not read; fails with why where the process was gone before.
   */
  readonly begin: (turn: Turn, uuid: string) => Effect.Effect<boolean, ClaudeError>
}

/**
 * Reads a process from its start to its end, whatever the session does with it, and answers what it asks. The scope owns
 * the process.
 */
export const open = (
  connection: Connection,
  options: QueryOptions,
  host: Host,
  deadline: Deadline["Type"],
  listener: Listener
): Effect.Effect<Live, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { account, cli, parser, permit, plan } = connection
    const clock = yield* Effect.clock
    const now = () => clock.unsafeCurrentTimeMillis()
    const attribution = new Attribution()
    const background = new BackgroundTasks()
    const starting = new Seen(options)
    const initialized = Deferred.unsafeMake<Readonly<Record<string, unknown>>, ClaudeError>(FiberId.none)
    let turn: Turn | undefined
    let allowance: Allowance | undefined
    let sessionId = ""
    let reading = true
    let ended: ClaudeError | undefined
    let ready = connection.initialized !== undefined
    /** Bytes that no message has been made of yet. */
    let unsaid = 0

    let asking = 0
    /** What was read is being dealt with. */
    let dealing = false
    /** It is not read on until the turn's consumer has taken something. */
    let waiting = false
    const ours = () => dealing || asking > 0 || waiting
    /** Requests of ours that the CLI has not answered. */
    let requested = 0
    const room = (current: Turn) => requested > 0 ? Math.max(current.room, atLast) : current.room

    /** The silence before was not the CLI's. */
    const listen: Effect.Effect<void> = Effect.suspend(() => {
      if (turn === undefined) return Effect.void
      turn.pace.heard(now())
      return turn.watch?.late === true ? turn.watch.start : Effect.void
    })

    const answered = Effect.suspend(() => {
      asking--
      return listen
    })
    const channel = yield* ControlProtocol.make(cli, heard(host.handlers, () => asking++, answered))
    const control: ControlProtocol.ControlProtocol = {
      ...channel,
      request: (fields, deadline) =>
        Effect.acquireUseRelease(
          Effect.sync(() => {
            requested++
            turn?.backlog.stir()
          }),
          () => channel.request(fields, deadline),
          () => Effect.sync(() => requested--)
        )
    }

    const argv = redactedArgv(plan)
    const facts = (stderrTail: string, exit: CliExit | undefined): RunFacts => ({
      exitCode: exit?.code ?? null,
      signal: exit?.signal ?? null,
      argv,
      stderrTail,
      sessionId,
      frames: parser.counts.frames
    })

    /** What was made of so many bytes. */
    const deliver = (batch: ReadonlyArray<Message>, bytes: number): Effect.Effect<void> =>
      Effect.gen(function*() {
        turn?.backlog.add(batch.length, bytes)
        unsaid += bytes
        for (const message of batch) {
          if (message._tag === "Task") background.see(message)
          if (message.sessionId !== "" && message.sessionId !== sessionId) {
            sessionId = message.sessionId
            yield* listener.named(sessionId)
          }
        }
        allowance?.see(batch, parser.unfinished, bytes)
        const due = account.look(batch)
        if (due !== undefined) yield* due
        const contradiction = Billing.contradiction(options, batch)
        if (contradiction !== undefined) return yield* over(contradiction)
        if (!ready) starting.all(batch)
        const mine = attribution.take(batch)
        if (turn !== undefined) yield* tell(turn, mine.turn, mine.ended)
        if (mine.background.length > 0) yield* listener.background(mine.background, unsaid)
        if (batch.length > 0) unsaid = 0
        if (turn !== undefined && mine.known) {
          const current = turn
          turn = undefined
          yield* listener.known(current)
        }
      })

    const tell = (current: Turn, messages: ReadonlyArray<Message>, ended: boolean): Effect.Effect<void> => {
      if (messages.length === 0 && !ended) return Effect.void
      const told = current.look(messages)
      if (!ended) return Effect.map(listener.saw(current, told), () => current.inbox.offer(told))
      turn = undefined
      return listener.conclude(current, current.seen.outcome(facts("", undefined)), told)
    }

    /** A slow consumer slows the CLI. One that takes nothing at all keeps the session only for so long. */
    const untilTaken = (current: Turn): Effect.Effect<void> =>
      current.backlog.room(() => room(current)).pipe(
        Effect.timeoutOption(listener.patience),
        Effect.flatMap(Option.match({
          onNone: () => Effect.zipRight(listener.unread(current), untilTaken(current)),
          onSome: () => Effect.void
        }))
      )

    const read = Effect.gen(function*() {
      for (;;) {
        const chunks = yield* cli.stdout
        if (chunks.length === 0) break
        dealing = true
        yield* Effect.uninterruptible(deliver(parser.push(chunks), sizeOf(chunks)))
        dealing = false
        if (!reading) return
        yield* listen
        for (const frame of parser.takeControl()) yield* control.accept(frame)
        if (turn?.backlog.full(room(turn)) === true) {
          waiting = true
          yield* untilTaken(turn)
          waiting = false
          yield* listen
        }
      }
      yield* Effect.uninterruptible(deliver(parser.end(), 0))
      if (!reading) return
      if (turn !== undefined) yield* Effect.uninterruptible(tell(turn, attribution.end().turn, false))
      const exit = Option.getOrUndefined(yield* Effect.timeoutOption(cli.exit, Deadlines.leavingTime))
      const stderrTail = yield* cli.stderrTail
      yield* Effect.uninterruptible(Effect.suspend(() => gone(facts(stderrTail, exit))))
    })

    const gone = (why: RunFacts): Effect.Effect<void> =>
      over(Either.match((turn?.seen ?? starting).outcome(why), {
        onLeft: identity,
        onRight: () => new MissingResultError({ facts: why, hint: "Send the prompt again: the session goes on." })
      }))

    /** Nothing more is heard of it. */
    const over = (verdict: ClaudeError): Effect.Effect<void> =>
      Effect.suspend(() => {
        reading = false
        const current = turn
        turn = undefined
        ended = verdict
        return Deferred.fail(initialized, verdict).pipe(
          Effect.zipRight(control.close),
          Effect.zipRight(listener.gone(current, verdict))
        )
      })

    const { startup } = deadline.limits(options)
    const initialize = Deadlines.within(
      control.request({ subtype: "initialize", ...plan.initialize }, Duration.infinity),
      startup,
      () => Deadlines.timeoutError("startup", startup, { sessionId: "", frames: parser.counts.frames })
    ).pipe(
      Effect.tapErrorTag("CliTimeoutError", deadline.expired),
      Effect.map((reply) => isRecord(reply) ? reply : {})
    )

    const run = Effect.gen(function*() {
      yield* Effect.forkScoped(
        Effect.ensuring(read, Effect.suspend(() => reading ? gone(facts("", undefined)) : Effect.void))
      )
      yield* (connection.initialized === undefined ? initialize : Effect.succeed(connection.initialized)).pipe(
        Effect.tap((reply) => Billing.assertPayer(options, reply)),
        Effect.tap(() => {
          ready = true
        }),
        Effect.intoDeferred(initialized),
        Effect.forkScoped
      )
    })

    return {
      run,
      cli,
      permit,
      control,
      background,
      attribution,
      initialized: Deferred.await(initialized),
      startedAt: now(),
      alive: () => reading,
      frames: () => parser.counts.frames,
      begin: (next, uuid) =>
        Effect.suspend(() => {
          if (ended !== undefined) return Effect.fail(ended)
          turn = next
          account.charge(next.charge)
          next.pace.ours = ours
          next.pace.heard(now())
          attribution.begin(uuid)
          return Effect.flatMap(CurrentAllowance, (given) => {
            allowance = given
            return cli.send(ControlProtocol.userLine(next.prompt, uuid))
          })
        })
    }
  })
