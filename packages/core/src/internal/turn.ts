import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import type { QueryOptions } from "../AgentOptions.js"
import type { Prompt } from "../Claude.js"
import { type ClaudeError, InvalidOptionsError } from "../ClaudeError.js"
import type { Message, Result } from "../Message.js"
import { appendText } from "../Message.js"
import type { Charge } from "./account.js"
import { Pace, type Watch } from "./deadlines.js"
import { atLast, Backlog, hearing, Inbox, mostHeld } from "./inbox.js"
import { Seen } from "./seen.js"

/** How a turn came out. */
export type TurnOutcome = Either.Either<Result, ClaudeError>

/**
 * One prompt of a session, and its messages on their way to the consumer. It has two ends: the consumer's, which is its
 * outcome, and the CLI's, which lets the next turn begin. A turn whose time is up has the first before the second.
 */
export class Turn {
  readonly id: string
  readonly prompt: Prompt
  readonly options: QueryOptions
  /** Who pays. */
  readonly charge: Charge
  readonly startedAt: number
  readonly seen: Seen
  /** What its consumer has not taken. */
  readonly backlog: Backlog
  readonly inbox: Inbox<Message, ClaudeError>
  /** The prompt is on its way to the CLI: it can no longer be held back. */
  readonly writing = Deferred.unsafeMake<void>(FiberId.none)
  /** The CLI has the prompt: only now can it be interrupted. */
  readonly written = Deferred.unsafeMake<void>(FiberId.none)
  /** The CLI is done with it. */
  readonly released = Deferred.unsafeMake<void>(FiberId.none)
  outcome: TurnOutcome | undefined
  /** Its end is being stored: another one is too late. */
  ending = false
  /** How often its prompt was written. */
  attempts = 0
  /** Its record is stored. */
  recorded = false
  interrupted = false
  /** Its time was up when it had been interrupted already. */
  interruptedBefore = false
  /** The model has done something: it is never run again. */
  committed = false
  /** The answer's text so far. */
  text = ""
  readonly pace: Pace
  /** Of its deadlines, once its prompt is on its way. */
  watch: Watch | undefined

  /** The consumer has gone. */
  private left = false

  /** A backlog is given where its messages go on to another inbox, whose consumer it is then. */
  constructor(
    id: string,
    prompt: Prompt,
    options: QueryOptions,
    charge: Omit<Charge, "turnId">,
    now: number,
    backlog: Backlog | undefined
  ) {
    this.backlog = backlog ?? new Backlog(mostHeld)
    this.inbox = new Inbox(backlog === undefined ? this.backlog : undefined)
    this.id = id
    this.charge = { ...charge, turnId: id }
    this.prompt = prompt
    this.options = options
    this.seen = new Seen(options)
    this.startedAt = now
    this.pace = new Pace(now, this.seen)
  }

  /** Looks at a batch, and gives it as the consumer is to have it. */
  look(batch: ReadonlyArray<Message>): ReadonlyArray<Message> {
    for (const message of batch) {
      if (!this.committed && !harmless.has(message._tag)) this.committed = true
      this.text = appendText(this.text, message)
    }
    return this.seen.all(batch)
  }

  /** How many times as much as usually may wait for its consumer: a session must hear its CLI. */
  get room(): number {
    return this.left || this.outcome !== undefined ? Infinity : this.interrupted ? atLast : hearing
  }

  interrupt(): void {
    this.interrupted = true
    this.seen.interrupt()
    this.backlog.stir()
  }

  /** Its consumer has gone: nobody wants its messages any more. */
  leave(): void {
    this.left = true
    this.inbox.discard()
    this.backlog.stir()
  }

  /** For good: the consumer gets what is left, and then this. The first end counts. */
  end(outcome: TurnOutcome): void {
    if (this.outcome !== undefined) return
    this.outcome = outcome
    this.inbox.end(
      Effect.fail(Either.match(outcome, { onLeft: Option.some<ClaudeError>, onRight: () => Option.none() }))
    )
    this.backlog.stir()
  }
}

/** What says nothing of the model's work, and does not bind to anything. */
const harmless: ReadonlySet<Message["_tag"]> = new Set(["Init", "Status", "ApiRetry", "RateLimit", "Hook"])

/** The CLI runs a message with the same id once, and says nothing when it comes again. */
export const sentBefore = (turnId: string) => usedId(`the session has had a turn ${turnId}`)

export const usedId = (detail: string) =>
  new InvalidOptionsError({ field: "turnId", detail, hint: "Give each turn an id of its own, or none." })

/** Crashed or killed, and not refused: asking again can help. */
export const diedByItself = (error: ClaudeError): boolean =>
  error._tag === "MissingResultError" ||
  (error._tag === "CliExitError" && (error.reason === "Killed" || error.reason === "Exited"))
