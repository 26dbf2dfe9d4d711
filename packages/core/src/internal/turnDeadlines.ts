import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Fiber from "effect/Fiber"
import type { ClaudeError, CliTimeoutError } from "../ClaudeError.js"
import type { Deadline } from "../Deadline.js"
import * as Deadlines from "./deadlines.js"
import type { Turn, TurnOutcome } from "./turn.js"

/** What the deadlines of a session's turns need of it. */
export interface TurnDeadlinesParts {
  readonly deadline: Deadline["Type"]
  readonly now: () => number
  readonly process: () => { readonly sessionId: string; readonly frames: number }
  readonly fork: (effect: Effect.Effect<void>) => Effect.Effect<Fiber.RuntimeFiber<void>>
  /** Asks the CLI for what there was. */
  readonly release: (turn: Turn) => Effect.Effect<void>
  /** It has said nothing more: the consumer is told, the CLI is stopped without it. */
  readonly end: (turn: Turn) => Effect.Effect<void>
}

/** The deadlines of a session's turns: one that is late ends when the CLI has said what there was, or soon. */
export class TurnDeadlines {
  private readonly parts: TurnDeadlinesParts

  constructor(parts: TurnDeadlinesParts) {
    this.parts = parts
  }

  /** The start of a process counts for the turn that it is started for. */
  within<A>(turn: Turn, effect: Effect.Effect<A, ClaudeError>): Effect.Effect<A, ClaudeError> {
    const { deadline, now } = this.parts
    const { total } = deadline.limits(turn.options)
    return Deadlines.within(effect, turn.startedAt + total - now(), () => {
      turn.pace.expire("total", total, now())
      return this.late(turn, "total", total)
    })
  }

  /** From when the prompt is on its way. */
  watch(turn: Turn): Effect.Effect<void> {
    const { deadline, fork, now } = this.parts
    const limits = deadline.limits(turn.options)
    return Effect.flatMap(Effect.clock, (clock) => {
      turn.pace.heard(now())
      turn.watch = new Deadlines.Watch({
        clock,
        due: () => Deadlines.next(limits, turn.pace),
        expire: (due) => this.expire(turn, due),
        fork,
        firstLook: Infinity
      })
      return turn.watch.start
    })
  }

  /** It is over, or begins anew. */
  stop(turn: Turn): Effect.Effect<void> {
    const { watch } = turn
    turn.watch = undefined
    turn.pace.heardAt = Infinity
    return watch === undefined ? Effect.void : watch.stop
  }

  /** A turn whose time was up has failed for that, unless its answer was already on its way. */
  verdict(turn: Turn, outcome: TurnOutcome): TurnOutcome {
    const { interruptedBefore, pace: { expired } } = turn
    return expired === undefined || (Either.isRight(outcome) && (interruptedBefore || !outcome.right.interrupted))
      ? outcome
      : Either.left(this.late(turn, expired.phase, expired.timeoutMs))
  }

  /** Told once for each turn. */
  tell(turn: Turn, verdict: TurnOutcome): Effect.Effect<void> {
    return turn.pace.expired !== undefined && Either.isLeft(verdict) && verdict.left._tag === "CliTimeoutError"
      ? this.parts.deadline.expired(verdict.left)
      : Effect.void
  }

  private expire(turn: Turn, { phase, timeoutMs }: Deadlines.Due): Effect.Effect<void> {
    const { end, fork, now, release } = this.parts
    if (phase === "end" || phase === "background") return end(turn)
    turn.pace.expire(phase, timeoutMs, now())
    turn.interruptedBefore = turn.interrupted
    return Effect.asVoid(fork(release(turn)))
  }

  private late({ seen: { costUsd, partial } }: Turn, phase: Deadlines.Phase, timeoutMs: number): CliTimeoutError {
    return Deadlines.timeoutError(phase, timeoutMs, { ...this.parts.process(), partial, costUsd, session: true })
  }
}
