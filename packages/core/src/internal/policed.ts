import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { ClaudeError } from "../ClaudeError.js"
import type { Message } from "../Message.js"
import { type Call, noop, type Policy, targetOf, type Wait } from "../Policy.js"
import { Backlog, Inbox, mostHeld } from "./inbox.js"
import { Line } from "./line.js"
import { type End, type Open, type Pull, pullOf, streamed } from "./streamed.js"
import { waitUnless } from "./waiting.js"

/** One turn, as often as a policy has it made. */
export interface PolicedTurn extends Pick<Call, "id" | "prompt" | "options"> {
  readonly interruptWhen: Effect.Effect<unknown> | undefined
  /** An attempt. The first one has the id that the caller chose. Its consumer is that of the backlog, where one is given. */
  readonly attempt: (first: boolean, backlog?: Backlog) => Open
}

interface Going {
  readonly interrupted: Deferred.Deferred<void>
  /** A policy lets it wait. */
  waits: boolean
}

/**
 * The policies of a session's turns. A turn that waits, or is made again, keeps its place: those that were sent after it
 * come after it. A fiber of its own reads it, so that its end never waits for its consumer; what that one has
 * not taken yet holds up the CLI alone.
 */
export class Policed {
  private readonly policies: Policy
  /** Fails when the session is closed. */
  private readonly closed: () => Effect.Effect<never, ClaudeError>
  private readonly line = new Line()
  /** The turn that is first in line. */
  private current: Going | undefined

  constructor(policies: Policy, closed: () => Effect.Effect<never, ClaudeError>) {
    this.policies = policies
    this.closed = closed
  }

  /** From now on the turn waits for nothing. True when it did. */
  interrupt(): boolean {
    const { current } = this
    if (current === undefined) return false
    Deferred.unsafeDone(current.interrupted, Effect.void)
    return current.waits
  }

  send(turn: PolicedTurn): Effect.Effect<Pull, ClaudeError, Scope.Scope> {
    return this.policies === noop ? turn.attempt(true) : Effect.gen(this, function*() {
      const backlog = new Backlog(mostHeld)
      const inbox = new Inbox<Message, ClaudeError>(backlog)
      let first = true
      const attempt = Effect.suspend(() => {
        const open = turn.attempt(first, backlog)
        first = false
        return open
      })
      const { id, options, prompt } = turn
      const going: Going = { interrupted: Deferred.unsafeMake<void>(FiberId.none), waits: false }
      const call = { id, prompt, options, target: targetOf(options), wait: this.wait(going, turn.interruptWhen) }
      const stream = this.policies.around(call)(streamed(attempt))
      const read = Effect.flatMap(pullOf(stream), (pull) => {
        // `Effect.forever` would give way to all other fibers after each batch.
        const all: Effect.Effect<never, End> = Effect.flatMap(pull, (batch) => {
          inbox.offer(batch)
          return all
        })
        return all
      })
      yield* Effect.uninterruptibleMask((restore) =>
        Effect.zipRight(
          Effect.map(this.line.enter(restore), () => {
            this.current = going
          }),
          Effect.forkScoped(
            restore(Effect.scoped(read)).pipe(
              Effect.onExit((exit) =>
                Effect.sync(() => {
                  this.current = undefined
                  this.line.leave()
                  inbox.end(Exit.isFailure(exit) ? Effect.failCause(Cause.map(exit.cause, endOf)) : Effect.never)
                })
              )
            )
          )
        )
      )
      return inbox.take
    })
  }

  private wait(going: Going, interruptWhen: Effect.Effect<unknown> | undefined): Wait {
    const byHand = Deferred.await(going.interrupted)
    const interrupted = interruptWhen === undefined ? byHand : Effect.raceFirst(interruptWhen, byHand)
    return (effect) =>
      Effect.suspend(() => {
        going.waits = true
        return Effect.ensuring(
          waitUnless(interrupted)(Effect.raceFirst(effect, this.closed())),
          Effect.sync(() => {
            going.waits = false
          })
        )
      })
  }
}

// ---------------------------------------------------------------------------

/** It fails to begin with an error, and ends with an end. */
const endOf = (failure: ClaudeError | End): End => Option.isOption(failure) ? failure : Option.some(failure)
