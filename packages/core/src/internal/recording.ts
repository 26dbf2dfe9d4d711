import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import type { QueryOptions } from "../AgentOptions.js"
import type {
  ClaudeError,
  InvalidOptionsError,
  SessionBusyError,
  SessionNotFoundError,
  SessionStoreError
} from "../ClaudeError.js"
import type { EventsService } from "../Events.js"
import type { Message, Result, Usage } from "../Message.js"
import type { TurnEnd } from "../SessionRecord.js"
import type { SessionRepositoryService } from "../SessionRepository.js"
import { addUsage, noUsage } from "./figures.js"
import type { HeldLease } from "./heldLease.js"
import { hearing, type Most, mostHeld } from "./inbox.js"
import { KeptRecord } from "./keptRecord.js"
import { type Turn, type TurnOutcome, usedId } from "./turn.js"

type Failure = InvalidOptionsError | SessionBusyError | SessionNotFoundError | SessionStoreError

/** What a recording is made of. */
export interface RecordingParts {
  readonly repository: SessionRepositoryService
  readonly lease: HeldLease
  readonly events: EventsService
  readonly holder: string
  /** The session's: what is written a little later is written in it. */
  readonly scope: Scope.Scope
  readonly options: QueryOptions
  readonly recordMessages: boolean
  /** The session is recorded at once, with these tags. */
  readonly draft: { readonly tags: ReadonlyArray<string> } | undefined
  readonly now: () => number
}

/** What is known of a turn beside what it knows itself. */
class Kept {
  readonly turn: Turn
  /** Its record is there. It is not where the CLI has yet to name the session. */
  begun = false
  /** The text that was stored. */
  text = ""
  /** Messages that are not stored yet. */
  log: Array<Message> = []
  /** In characters, as far as the store has failed to take them. */
  logSize = 0
  /** Messages that the store did not take and we did not keep. */
  missed = 0
  usage: Usage | undefined
  costUsd = 0
  numTurns = 0
  /** Nothing need be written before, in milliseconds. */
  dueAt = 0
  /** The store has failed: nothing is written before. */
  failedUntil = 0
  waiting = false

  constructor(turn: Turn) {
    this.turn = turn
  }
}

/**
 * The records of one session. What cannot be stored while a turn runs is stored again when it ends: its end is the one
 * moment at which something could be lost, and so the one at which the turn fails for it.
 */
export class Recording {
  private readonly parts: RecordingParts
  private readonly record: KeptRecord
  private readonly turns = new Map<string, Kept>()
  /** Ends that the store has not taken. */
  private readonly owed = new Map<string, TurnEnd>()
  /** Empty until the CLI has named it. */
  private sessionId = ""
  private readonly one = Effect.unsafeMakeSemaphore(1).withPermits(1)

  constructor(parts: RecordingParts) {
    this.parts = parts
    this.record = new KeptRecord(parts)
  }

  /**
   * Before the first process, and again after each pause: the right to write to the session. True when turns of it have
   * been begun before, so that the CLI may have it on disk.
   */
  open(sessionId: string): Effect.Effect<boolean, SessionBusyError | SessionStoreError> {
    if (sessionId === "") return Effect.succeed(false)
    this.sessionId = sessionId
    return this.one(Effect.zipRight(this.parts.lease.take(sessionId), this.record.find(sessionId)))
  }

  /** Before the prompt is sent. The changes are those of the options since the session began. */
  begin(sessionId: string, turn: Turn, changes: QueryOptions): Effect.Effect<void, Failure> {
    const kept = new Kept(turn)
    this.record.change(changes)
    this.turns.set(turn.id, kept)
    if (sessionId === "") return Effect.void
    return this.one(Effect.gen(this, function*() {
      yield* this.settle
      yield* this.parts.lease.assure
      yield* this.store(sessionId, kept)
    })).pipe(
      // It may have been stored all the same.
      Effect.tapError((error) => Effect.sync(() => this.giveUp(turn, error))),
      Effect.onInterrupt(() => Effect.sync(() => this.giveUp(turn, undefined)))
    )
  }

  /** Before the consumer has them. */
  saw(turn: Turn, messages: ReadonlyArray<Message>): Effect.Effect<void> {
    const kept = this.turns.get(turn.id)
    if (kept === undefined) return Effect.void
    const urgent = this.note(kept, messages)
    const now = this.parts.now()
    if (!kept.begun || now < kept.failedUntil) return Effect.void
    if (urgent) return this.one(this.flushed(kept))
    if (kept.text === turn.text) return Effect.void
    if (kept.dueAt <= now) return this.one(this.flushed(kept))
    if (kept.waiting) return Effect.void
    kept.waiting = true
    const later = Effect.zipRight(
      Effect.sleep(kept.dueAt - now),
      this.one(Effect.suspend(() => {
        kept.waiting = false
        return this.turns.get(turn.id) === kept ? this.flushed(kept) : Effect.void
      }))
    )
    return Effect.asVoid(Effect.forkIn(Effect.interruptible(later), this.parts.scope))
  }

  /** Before the consumer has the end, and the last messages. */
  end(turn: Turn, outcome: TurnOutcome, last: ReadonlyArray<Message>): Effect.Effect<void, Failure> {
    const kept = this.turns.get(turn.id)
    this.turns.delete(turn.id)
    if (kept === undefined || this.sessionId === "") return Effect.void
    this.note(kept, last)
    const { events, repository } = this.parts
    const end = endOf(kept, outcome)
    return this.one(Effect.gen(this, function*() {
      if (!kept.begun) yield* this.store(this.sessionId, kept)
      yield* Effect.tapError(repository.endTurn(turn.id, end), () => Effect.sync(() => this.owed.set(turn.id, end)))
      events.tell({ _tag: "SessionPersisted", sessionId: this.sessionId, callId: turn.charge.callId })
      yield* this.flush(kept)
      if (kept.missed > 0) {
        yield* Effect.logWarning(
          `${kept.missed} messages of a turn are not on record: the store had failed for too long.`
        )
      }
      yield* this.record.update
    }))
  }

  /**
   * The CLI has named the session, or gone on to another one, as `/clear` makes it. Told where its output is read: what
   * fails is tried again by the next turn's beginning or end.
   */
  moved(to: string): Effect.Effect<void> {
    this.sessionId = to
    return Effect.ignore(this.one(Effect.gen(this, function*() {
      yield* this.record.move(to)
      yield* this.parts.lease.take(to)
      yield* this.record.find(to)
      yield* this.record.create
      for (const kept of this.turns.values()) if (!kept.begun) yield* this.store(to, kept)
    })))
  }

  /** The session is closed. */
  close(sessionId: string): Effect.Effect<void> {
    return this.one(Effect.gen(this, function*() {
      yield* this.settle
      if (this.parts.lease.held() === sessionId) yield* this.record.close
      yield* this.parts.lease.release
    })).pipe(
      Effect.catchAll((error) => Effect.logWarning(`A session's records were not closed. ${error.message}`))
    )
  }

  // --- within `one` ---

  /** The turn's record, behind its session's. */
  private store(sessionId: string, kept: Kept): Effect.Effect<void, Failure> {
    const { holder, lease, repository } = this.parts
    const { id: turnId, prompt } = kept.turn
    return Effect.gen(this, function*() {
      yield* lease.take(sessionId)
      yield* this.record.begin(sessionId, prompt)
      const begin = repository.beginTurn({ turnId, sessionId, prompt, holder })
      const stored = yield* Effect.catchTag(
        begin,
        "SessionNotFoundError",
        () => Effect.zipRight(this.record.write, begin)
      )
      if (stored.sessionId !== sessionId || stored.holder !== holder || stored.status !== "running") {
        return yield* usedId(`${turnId} is the id of an earlier turn`)
      }
      kept.begun = true
    })
  }

  /** What the turn has said so far. Failing, it is owed. */
  private flush(kept: Kept): Effect.Effect<void, SessionStoreError> {
    return Effect.suspend(() => {
      const { log, turn } = kept
      if (log.length === 0) return Effect.void
      kept.log = []
      return this.parts.repository.appendMessages(turn.id, log.map(plain)).pipe(
        Effect.tapError(() => Effect.sync(() => kept.log = [...log, ...kept.log])),
        Effect.map(() => {
          kept.logSize = 0
          kept.failedUntil = 0
        })
      )
    })
  }

  private flushed(kept: Kept): Effect.Effect<void> {
    const { now, repository } = this.parts
    const { text } = kept.turn
    return Effect.gen(this, function*() {
      yield* this.flush(kept)
      if (kept.text !== text) {
        yield* repository.progress(kept.turn.id, text)
        kept.text = text
        kept.dueAt = now() + progressEvery
      }
      yield* this.record.update
    }).pipe(
      Effect.catchAll(() =>
        Effect.sync(() => {
          kept.failedUntil = now() + afterFailure
        })
      )
    )
  }

  /** Ends that are owed. */
  private readonly settle: Effect.Effect<void, SessionStoreError> = Effect.suspend(() =>
    Effect.forEach(
      this.owed,
      ([turnId, end]) => Effect.map(this.parts.repository.endTurn(turnId, end), () => this.owed.delete(turnId)),
      { discard: true }
    )
  )

  private giveUp(turn: Turn, error: ClaudeError | undefined): void {
    this.turns.delete(turn.id)
    if (error?._tag === "InvalidOptionsError") return
    this.owed.set(turn.id, {
      status: error === undefined ? "interrupted" : "failed",
      ...(error === undefined ? {} : { error: toldOf(error) })
    })
  }

  /** True when it should be written down now: what a tool does cannot be taken back. */
  private note(kept: Kept, messages: ReadonlyArray<Message>): boolean {
    let urgent = false
    for (const message of messages) {
      if (message._tag === "ToolUse") urgent = true
      if (message._tag === "Result") account(kept, message)
      if (message._tag === "Init" && this.record.see(message)) urgent = true
    }
    if (!this.parts.recordMessages) return urgent
    for (const message of messages) hold(kept, message)
    return true
  }
}

// ---------------------------------------------------------------------------

/** How often a turn's text is stored while it grows, in milliseconds. */
const progressEvery = 250
/** A store that fails is not asked with each message. */
const afterFailure = 10_000

/** What a store that fails is owed, at most. */
const most: Most = { messages: hearing * mostHeld.messages, bytes: hearing * mostHeld.bytes }

const hold = (kept: Kept, message: Message): void => {
  // A store that works has the messages at once: they need not be measured.
  const failing = kept.failedUntil > 0
  const size = failing ? JSON.stringify(plain(message))?.length ?? 0 : 0
  if (failing && (kept.log.length >= most.messages || kept.logSize + size > most.bytes)) {
    kept.missed++
    return
  }
  kept.log.push(message)
  kept.logSize += size
}

const account = (kept: Kept, { costUsd, numTurns, usage }: Result): void => {
  kept.costUsd += costUsd
  kept.numTurns += numTurns
  kept.usage = addUsage(kept.usage ?? noUsage, usage)
}

const endOf = ({ costUsd, numTurns, turn, usage }: Kept, outcome: TurnOutcome): TurnEnd => ({
  seen: turn.text,
  ...(usage === undefined ? {} : { usage, costUsd, numTurns }),
  ...Either.match(outcome, {
    onLeft: (error) => ({
      status: turn.interrupted && error._tag !== "CliTimeoutError" ? "interrupted" as const : "failed" as const,
      error: toldOf(error)
    }),
    onRight: ({ interrupted, result, stopReason }) => ({
      status: interrupted ? "interrupted" as const : "completed" as const,
      result,
      ...(stopReason === null ? {} : { stopReason })
    })
  })
})

const toldOf = (error: ClaudeError) => ({ tag: error._tag, message: error.message })

/** What a schema has decoded need not be JSON: what the CLI said still is. */
const plain = (message: Message): unknown => {
  if (message._tag !== "Result" || message.structuredOutput === undefined) return message
  try {
    return JSON.stringify(message) === undefined ? undefined : message
  } catch {
    const { structuredOutput, ...rest } = message
    return rest
  }
}
