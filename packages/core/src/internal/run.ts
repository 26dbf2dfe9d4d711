import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Record from "effect/Record"
import type * as Scope from "effect/Scope"
import type { QueryOptions } from "../AgentOptions.js"
import type { Prompt } from "../Claude.js"
import { type ClaudeError, CliTimeoutError, type RunFacts } from "../ClaudeError.js"
import type { CliExit } from "../CliProcess.js"
import * as ControlProtocol from "../ControlProtocol.js"
import type { Deadline } from "../Deadline.js"
import type { Message } from "../Message.js"
import type { Wait } from "../Policy.js"
import { type Connect, planOf, redactedArgv } from "./connection.js"
import type { Host } from "./host.js"
import { Inbox } from "./inbox.js"
import { Seen } from "./seen.js"

/** What a run is made of. @internal */
export interface RunParts {
  readonly connect: Connect
  readonly deadline: Deadline["Type"]
  readonly prompt: Prompt
  readonly options: QueryOptions
  readonly host: Host
  readonly interruptWhen: Effect.Effect<unknown> | undefined
  readonly wait: Wait
}

/** The next messages; the failure `None` is the good end. @internal */
export type Pull = Effect.Effect<ReadonlyArray<Message>, Option.Option<ClaudeError>>

/**
 * One prompt on one process, from start to end.
 *
 * A fiber of its own reads the CLI, so that deadlines and control replies never wait for the consumer. The run ends when
 * the user's result has come, no background work lives and the CLI has left; or by a deadline; or when the CLI dies.
 * The scope owns everything: closing it at any moment ends the process.
 *
 * @internal
 */
export const open = (
  { connect, deadline: { limits: limitsOf }, host, interruptWhen, options, prompt, wait }: RunParts
): Effect.Effect<Pull, ClaudeError, Scope.Scope> =>
  Effect.gen(function*() {
    const clock = yield* Effect.clock
    const now = () => clock.unsafeCurrentTimeMillis()
    let lastFrameAt = now()
    /** While we are asked, the silence is ours. */
    const answering = (handler: ControlProtocol.Handler): ControlProtocol.Handler => (request) =>
      Effect.ensuring(
        handler(request),
        Effect.sync(() => {
          lastFrameAt = now()
        })
      )
    const connection = yield* connect(planOf(options, host), wait)
    const { cli, parser, plan } = connection
    const control = yield* ControlProtocol.make(cli, Record.map(host.handlers, answering))
    const scope = yield* Effect.scope
    const inbox = new Inbox<Message, ClaudeError>(maxHeld)
    const seen = new Seen(options)
    const limits = limitsOf(options)
    // A program that is asked must be heard, however slow it is to take messages.
    const pauses = Object.keys(host.handlers).length === 0
    let answeredAt = lastFrameAt
    let endedAt: number | undefined
    let lookAt = Infinity
    const startedAt = lastFrameAt

    const facts = (stderrTail: string, exit: CliExit | undefined): RunFacts => ({
      exitCode: exit?.code ?? null,
      signal: exit?.signal ?? null,
      argv: redactedArgv(plan),
      stderrTail,
      sessionId: seen.sessionId,
      frames: parser.counts.frames
    })

    /** A fiber of the run. What kills it is told to the consumer, who would else wait for ever. */
    const fork = <E>(effect: Effect.Effect<void, E>) =>
      effect.pipe(
        Effect.tapErrorCause((cause) => Effect.sync(() => inbox.end(Effect.die(Cause.squash(cause))))),
        Effect.forkIn(scope)
      )

    const fail = (error: ClaudeError) => inbox.end(Effect.fail(Option.some(error)))

    const decide = (stderrTail: string, exit: CliExit | undefined) =>
      Either.match(seen.outcome(facts(stderrTail, exit)), {
        onLeft: fail,
        onRight: () => inbox.end(Effect.fail(Option.none()))
      })

    /** The verdict, with what is known of the exit by then. */
    const finish = (exit?: CliExit): Effect.Effect<void> =>
      seen.answered
        ? Effect.sync(() => decide("", exit))
        : Effect.map(cli.stderrTail, (stderrTail) => decide(stderrTail, exit))

    const initialize = connection.initialized === undefined ? plan.initialize : undefined
    // A process that was warmed up repeats the prompt: that is not for the consumer.
    const uuid = connection.initialized === undefined ? undefined : crypto.randomUUID()
    const own = (batch: ReadonlyArray<Message>) =>
      uuid === undefined ? batch : batch.filter((message) => !repeats(message, uuid))
    const firstLine = ControlProtocol.userLine(prompt, uuid)
    const ask = Effect.gen(function*() {
      if (initialize !== undefined) yield* control.request({ subtype: "initialize", ...initialize }, limits.startup)
      yield* cli.send(firstLine)
    })
    /** Takes a pipe's room at once, so that it cannot wait for a CLI that waits for us to read. */
    const asksAtOnce = initialize === undefined && firstLine.length < pipeRoom

    const read = Effect.gen(function*() {
      if (asksAtOnce) yield* cli.send(firstLine)
      for (;;) {
        const chunks = yield* cli.stdout
        if (chunks.length === 0) break
        lastFrameAt = now()
        inbox.offer(seen.all(own(parser.push(chunks))))
        for (const frame of parser.takeControl()) yield* control.accept(frame)
        const next = seen.step()
        if (next !== undefined) answeredAt = lastFrameAt
        if (next === "leave") yield* cli.closeInput
        if (next !== undefined && deadline()[0] < lookAt) yield* fork(watch)
        if (pauses && inbox.full) {
          yield* inbox.room
          lastFrameAt = now()
        }
      }
      inbox.offer(seen.all(own(parser.end())))
      endedAt = now()
      if (deadline()[0] < lookAt) yield* fork(watch)
      yield* finish(yield* cli.exit)
      yield* control.close
    })

    /** Interrupts first, so that the CLI stops spending, then fails; the scope does the rest. */
    const expire = (phase: "startup" | "stall" | "total", timeoutMs: number) =>
      Effect.andThen(
        cli.interrupt,
        Effect.sync(() =>
          fail(
            new CliTimeoutError({
              phase,
              timeoutMs,
              sessionId: seen.sessionId,
              frames: parser.counts.frames,
              hint: timeoutHints[phase]
            })
          )
        )
      )

    /** The first deadline, as things are: of what the run waits for, and of the run. */
    const deadline = (): readonly [at: number, phase: "startup" | "stall" | "total" | "end", timeoutMs: number] => {
      const total = startedAt + limits.total
      const [at, phase, timeoutMs] = endedAt !== undefined
        ? [endedAt + leaving, "end", 0] as const
        : seen.leaving
        // Nothing more is asked of the CLI: it may end what it is in, but not stay.
        ? [lastFrameAt + (seen.inTurn ? limits.stall : leaving), "end", 0] as const
        : seen.answered
        ? [answeredAt + limits.background, "end", 0] as const
        : parser.counts.frames === 0
        ? [lastFrameAt + limits.startup, "startup", limits.startup] as const
        : [
          seen.toolRuns || control.asked() || inbox.full ? Infinity : lastFrameAt + limits.stall,
          "stall",
          limits.stall
        ] as const
      if (at <= total) return [at, phase, timeoutMs]
      return [total, seen.answered ? "end" : "total", limits.total]
    }

    /** Looks again in time for what a line can bring. A sooner deadline of the end gets a watch of its own. */
    const watch: Effect.Effect<void> = Effect.gen(function*() {
      for (;;) {
        const [at, phase, timeoutMs] = deadline()
        const from = now()
        if (at <= from) return yield* phase === "end" ? finish() : expire(phase, timeoutMs)
        // Soon at first, so that a short run needs this one alone.
        const pause = Math.min(at - from, Math.max(1, limits.stall), Math.max(leaving, from - startedAt))
        lookAt = from + pause
        yield* clock.sleep(Duration.millis(pause))
      }
    })

    yield* fork(read)
    if (!asksAtOnce) yield* fork(Effect.catchAll(ask, (error) => Effect.sync(() => fail(error))))
    yield* fork(watch)
    if (interruptWhen !== undefined) {
      yield* fork(interruptWhen.pipe(
        Effect.andThen(Effect.sync(() => seen.interrupt())),
        Effect.andThen(control.request({ subtype: "interrupt" })),
        Effect.catchAll(() => cli.interrupt)
      ))
    }
    return inbox.take
  })

// ---------------------------------------------------------------------------

/** Messages that may wait for the consumer before the CLI has to. */
const maxHeld = 1024

/** Less than any system's pipe holds. */
const pipeRoom = 16 * 1024

/** After the answer, or the end of the output, until the process must be gone. It was seen to take 45 ms. */
const leaving = 5000

const timeoutHints = {
  startup: "Does the CLI start by hand? Raise startupTimeout on a slow machine.",
  stall: "Raise stallTimeout if long silences are expected.",
  total: "Raise timeout, or resume the session."
}

const repeats = (message: Message, uuid: string): boolean =>
  message._tag === "User" ? message.uuid === uuid : message._tag === "Status" && message.kind === "command_lifecycle"
