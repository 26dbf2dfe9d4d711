import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { QueryOptions } from "../AgentOptions.js"
import type { Prompt } from "../Claude.js"
import type { ClaudeError } from "../ClaudeError.js"
import type { CliExit } from "../CliProcess.js"
import * as ControlProtocol from "../ControlProtocol.js"
import type { Deadline } from "../Deadline.js"
import type { Message } from "../Message.js"
import type { Charge } from "./account.js"
import * as Billing from "./billing.js"
import * as Allowance from "./budgetAllowance.js"
import { type Connect, planOf, redactedArgv } from "./connection.js"
import * as Deadlines from "./deadlines.js"
import { heard, type Host } from "./host.js"
import { atLast, Backlog, hearing, Inbox, mostHeld, sizeOf } from "./inbox.js"
import { Seen } from "./seen.js"
import type { Open } from "./streamed.js"
import { waitUnless } from "./waiting.js"

/** What a run is made of. */
export interface RunParts {
  readonly connect: Connect
  readonly deadline: Deadline["Type"]
  readonly prompt: Prompt
  readonly options: QueryOptions
  readonly host: Host
  readonly interruptWhen: Effect.Effect<unknown> | undefined
  /** Who pays. */
  readonly charge: Charge
}

/**
 * One prompt on one process, from start to end.
 *
 * A fiber of its own reads the CLI, so that deadlines and control replies never wait for the consumer. The run ends when
 * the user's result has come, no background work lives and the CLI has left; or by a deadline; or when the CLI dies.
 * The scope owns everything: closing it at any moment ends the process.
 */
export const open = ({ charge, connect, deadline, host, interruptWhen, options, prompt }: RunParts): Open =>
  Effect.gen(function*() {
    const context = yield* Effect.context<Scope.Scope>()
    const scope = Context.get(context, Scope.Scope)
    const allowance = Context.get(context, Allowance.CurrentAllowance)
    const clock = yield* Effect.clock
    const now = () => clock.unsafeCurrentTimeMillis()
    const seen = new Seen(options)
    const pace = new Deadlines.Pace(now(), seen)
    const limits = deadline.limits(options)
    const { account, cli, initialized, parser, plan } = yield* Deadlines.within(
      connect(planOf(Allowance.limited(options, allowance), host), waitUnless(interruptWhen)),
      limits.total,
      () => Deadlines.timeoutError("total", limits.total, { sessionId: "", frames: 0 })
    ).pipe(Effect.tapErrorTag("CliTimeoutError", deadline.expired))
    account.charge(charge)
    pace.heardAt = now()
    pace.begun = parser.counts.frames > 0
    pace.ours = () => asking > 0 || full
    let asking = 0
    let full = false
    let over = false

    const answered = Effect.suspend(() => {
      asking--
      pace.heardAt = now()
      return watch.late ? watch.start : Effect.void
    })
    const control = yield* ControlProtocol.make(cli, heard(host.handlers, () => asking++, answered))
    const backlog = new Backlog(mostHeld)
    const inbox = new Inbox<Message, ClaudeError>(backlog)
    // A program that is asked must be heard, even when it is slow to take messages.
    let room = Object.keys(host.handlers).length === 0 ? 1 : hearing
    const widen = Effect.sync(() => {
      room = atLast
      backlog.stir()
    })

    const tooLate = (phase: Deadlines.Phase, timeoutMs: number) =>
      Deadlines.timeoutError(phase, timeoutMs, {
        sessionId: seen.sessionId,
        frames: parser.counts.frames,
        partial: seen.partial,
        costUsd: seen.costUsd
      })

    /** A fiber of the run. What kills it is told to the consumer, who would else wait for ever. */
    const fork = (effect: Effect.Effect<void>) =>
      effect.pipe(
        Effect.tapErrorCause((cause) =>
          Effect.sync(() => {
            if (!Cause.isInterruptedOnly(cause)) inbox.end(Effect.die(Cause.squash(cause)))
          })
        ),
        Effect.forkIn(scope)
      )

    /** How the run ends, once. A failure after its time was up is that its time was up. */
    const end = (failure: ClaudeError | undefined): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (over) return Effect.void
        over = true
        const { expired } = pace
        if (expired === undefined || failure === undefined) {
          return Effect.sync(() => inbox.end(Effect.fail(Option.fromNullable(failure))))
        }
        const error = tooLate(expired.phase, expired.timeoutMs)
        return Effect.map(deadline.expired(error), () => inbox.end(Effect.fail(Option.some(error))))
      })

    /** The verdict, with what is known of the exit by then. */
    const finish = (exit?: CliExit): Effect.Effect<void> => {
      const said = seen.answered || pace.expired !== undefined ? Effect.succeed("") : cli.stderrTail
      return Effect.flatMap(said, (stderrTail) => {
        const outcome = seen.outcome({
          exitCode: exit?.code ?? null,
          signal: exit?.signal ?? null,
          argv: redactedArgv(plan),
          stderrTail,
          sessionId: seen.sessionId,
          frames: parser.counts.frames
        })
        return end(Either.isLeft(outcome) ? outcome.left : undefined)
      })
    }

    const initialize = initialized !== undefined
      ? undefined
      : plan.initialize ?? (options.billing === undefined ? undefined : {})
    if (initialized !== undefined) yield* Billing.assertPayer(options, initialized)
    // A process that was warmed up repeats the prompt: that is not for the consumer.
    const uuid = initialized === undefined ? undefined : crypto.randomUUID()
    const own = (batch: ReadonlyArray<Message>) =>
      uuid === undefined ? batch : batch.filter((message) => !repeats(message, uuid))
    const firstLine = ControlProtocol.userLine(prompt, uuid)
    const ask = Effect.gen(function*() {
      // An answer that never comes is a start that takes too long, or a stall.
      if (initialize !== undefined) {
        const reply = yield* control.request({ subtype: "initialize", ...initialize }, Duration.infinity)
        yield* Billing.assertPayer(options, reply)
      }
      yield* cli.send(firstLine)
    })
    /** Takes a pipe's room at once, so that it cannot wait for a CLI that waits for us to read. */
    const asksAtOnce = initialize === undefined && firstLine.length < pipeRoom

    const read = Effect.gen(function*() {
      if (asksAtOnce) yield* cli.send(firstLine)
      for (;;) {
        const chunks = yield* cli.stdout
        if (chunks.length === 0) break
        const bytes = sizeOf(chunks)
        const batch = own(parser.push(chunks))
        allowance?.see(batch, parser.unfinished, bytes)
        const due = account.look(batch)
        if (due !== undefined) yield* due
        backlog.add(batch.length, bytes)
        inbox.offer(seen.all(batch))
        const contradiction = Billing.contradiction(options, batch)
        if (contradiction !== undefined) {
          yield* end(contradiction)
          yield* cli.interrupt
        }
        pace.heard(now())
        pace.begun ||= parser.counts.frames > 0
        for (const frame of parser.takeControl()) yield* control.accept(frame)
        const step = seen.step()
        if (step !== undefined) pace.answeredAt = pace.heardAt
        if (step === "leave") yield* cli.closeInput
        if (watch.late) yield* watch.start
        if (backlog.full(room)) {
          full = true
          yield* backlog.room(() => room)
          full = false
          pace.heardAt = now()
          if (watch.late) yield* watch.start
        }
      }
      const rest = own(parser.end())
      const due = account.look(rest)
      if (due !== undefined) yield* due
      inbox.offer(seen.all(rest))
      pace.endedAt = now()
      if (watch.late) yield* watch.start
      yield* finish(yield* cli.exit)
      yield* control.close
    })

    /** Interrupts first, so that the CLI stops spending and says what there was. One that is deaf gets the signal. */
    const expire = ({ phase, timeoutMs }: Deadlines.Due): Effect.Effect<void> => {
      if (phase === "end") return finish()
      if (phase === "background") return Effect.zipRight(deadline.expired(tooLate(phase, timeoutMs)), finish())
      pace.expire(phase, timeoutMs, now())
      return Effect.zipRight(
        widen,
        phase === "startup" ? cli.interrupt : Effect.asVoid(fork(
          Effect.catchAll(control.request({ subtype: "interrupt" }, Deadlines.lastWords / 2), () => cli.interrupt)
        ))
      )
    }

    const watch = new Deadlines.Watch({
      clock,
      due: () => Deadlines.next(limits, pace),
      expire,
      fork,
      firstLook: Deadlines.leavingTime
    })

    yield* fork(read)
    if (!asksAtOnce) yield* fork(Effect.catchAll(ask, end))
    yield* watch.start
    if (interruptWhen !== undefined) {
      yield* fork(interruptWhen.pipe(
        Effect.andThen(Effect.sync(() => seen.interrupt())),
        Effect.andThen(widen),
        Effect.andThen(control.request({ subtype: "interrupt" })),
        Effect.catchAll(() => cli.interrupt)
      ))
    }
    return inbox.take
  })

// ---------------------------------------------------------------------------

/** Less than any system's pipe holds. */
const pipeRoom = 16 * 1024

const repeats = (message: Message, uuid: string): boolean =>
  message._tag === "User" ? message.uuid === uuid : message._tag === "Status" && message.kind === "command_lifecycle"
