import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type { BatchOutcome } from "../Batch.js"
import type { BatchClaimed, BatchItemEnd, BatchRecord, BatchRepositoryService, BatchSeen } from "../BatchRepository.js"
import type { ClaudeOptions } from "../Claude.js"
import { ClaudeError, SessionStoreError } from "../ClaudeError.js"
import { type Message, Result } from "../Message.js"
import { isAnswer } from "./answer.js"
import { account, type Ask, type Done, notBegun, optionsOf, outcomeOf, type Runner, type Spent } from "./batchItem.js"
import type { Task } from "./batchQueue.js"
import type { Settings } from "./batchSettings.js"
import { heartbeat, ttl } from "./heldLease.js"
import { withoutIdentity } from "./identity.js"
import { commits as commitsTo } from "./reopening.js"
import type { Actor } from "./sessionActor.js"

export interface Durable {
  readonly run: Runner
  /** Keeps what runs here, and says what another host has taken meanwhile. */
  readonly renewing: (lose: (task: Task) => void) => Effect.Effect<never>
}

export interface DurableOptions {
  readonly batchId: string
  readonly settings: Settings
  readonly ask: Ask
  readonly repository: BatchRepositoryService
  readonly actor: Actor
  /** What had ended by then is counted already. */
  readonly startedAt: number
}

/** Runs items so that each is paid for once: its record is there before it runs, and its end before anyone sees it. */
export const make = ({ actor, ask, batchId, repository, settings, startedAt }: DurableOptions): Durable => {
  const holder = actor.name
  const again = settings.retryFailed === true ? ["failed" as const, "cancelled" as const] : []
  const mine = new Map<string, Task>()
  const schemaOf = (task: Task) => task.item.options?.outputSchema ?? settings.options?.outputSchema

  const restored = (task: Task, record: BatchRecord): Done => ({
    outcome: restoredOutcome(record, schemaOf(task)),
    restored: true,
    attempts: record.attempts,
    costUsd: record.costUsd,
    usage: record.usage,
    freshUsd: (record.endedAt ?? startedAt) < startedAt ? 0 : record.costUsd
  })

  /** What has begun is given its end; what has not, is not begun. */
  const lookUp = (task: Task): Effect.Effect<Done, SessionStoreError> =>
    Effect.map(
      repository.get(batchId, task.key),
      (record) =>
        record === undefined || record.status === "running" ||
          ((record.endedAt ?? 0) <= startedAt && again.some((status) => status === record.status))
          ? notBegun(task)
          : restored(task, record)
    )

  const claim = (task: Task): Effect.Effect<BatchClaimed, SessionStoreError> =>
    repository.claim({
      batchId,
      key: task.key,
      index: task.index,
      prompt: task.item.prompt,
      sessionId: newSession(optionsOf(settings, task)),
      holder,
      ttl,
      again,
      endedBy: startedAt,
      holderIsAlive: actor.isAlive
    })

  const work = (task: Task, { _tag, record }: BatchClaimed) => {
    const spent: Spent = { costUsd: record.costUsd, usage: record.usage }
    const before = _tag === "begun" ? record.costUsd : 0
    const options = optionsOf(settings, task)
    let { committed, sessionId } = record

    const note = (seen: BatchSeen): Effect.Effect<void, SessionStoreError> =>
      Effect.flatMap(repository.seen(batchId, task.key, holder, seen), (kept) => {
        if (kept) return Effect.void
        task.cancel ??= "lost"
        return Effect.interrupt
      })

    const see = (messages: ReadonlyArray<Message>): Effect.Effect<void, SessionStoreError> => {
      const commits = !committed && commitsTo(messages)
      const paid = account(spent, messages)
      if (!commits && !paid) return Effect.void
      const answer = schemaOf(task) === undefined
        ? messages.find((message) => isAnswer(message) && !message.isError)
        : undefined
      committed ||= commits
      sessionId = messages.findLast((message) => message.sessionId !== "")?.sessionId ?? sessionId
      return note({ committed, sessionId, ...spent, ...(answer === undefined ? {} : { result: answer }) })
    }

    const anew = (id: string) =>
      ask(
        task,
        task.item.prompt,
        id === "" || options.sessionId !== undefined ? options : { ...options, sessionId: id },
        see
      )

    const resumed = Effect.suspend(() =>
      ask(
        task,
        settings.continuePrompt ?? goOn,
        { ...withoutIdentity(options), title: undefined, resume: sessionId },
        see
      )
    ).pipe(
      Effect.catchTag("SessionNotFoundError", (error) => {
        if (committed && settings.whenSessionIsGone !== "rerun") return Effect.fail(error)
        const id = newSession(options)
        sessionId = id
        committed = false
        return Effect.zipRight(note({ sessionId: id, committed }), anew(id))
      })
    )

    // The CLI knows the session, so it had the prompt before it was cut, or before it was tried again.
    const first = anew(sessionId).pipe(
      Effect.catchIf(
        (error) => error._tag === "SessionBusyError" && error.facts !== undefined && error.sessionId === sessionId,
        () => resumed
      )
    )

    const settle = (exit: Exit.Exit<Result, ClaudeError>) => {
      mine.delete(task.key)
      return Effect.flatMap(
        Effect.onError(outcomeOf(task, exit), () => released(task)),
        (outcome) => ended(task, outcome, { attempts: record.attempts, ...spent, freshUsd: spent.costUsd - before })
      )
    }

    mine.set(task.key, task)
    return Effect.interruptible(_tag === "cut" && committed ? resumed : first).pipe(Effect.exit, Effect.flatMap(settle))
  }

  const released = (task: Task) => Effect.ignore(repository.release(batchId, task.key, holder))

  const ended = (
    task: Task,
    outcome: BatchOutcome,
    account: Pick<Done, "attempts" | "costUsd" | "usage" | "freshUsd">
  ): ReturnType<Runner> => {
    const done = { outcome, restored: false, ...account }
    if (outcome._tag === "Failed" && outcome.error._tag === "SessionStoreError") {
      return Effect.as(released(task), { ...done, halt: outcome.error })
    }
    if (outcome._tag === "Cancelled" && task.cancel === "lost") return Effect.succeed(elsewhere)
    if (outcome._tag === "Cancelled" && outcome.reason !== "item") return Effect.as(released(task), done)
    return repository.end(batchId, task.key, holder, endOf(outcome, account, schemaOf(task))).pipe(
      Effect.match({
        onFailure: (halt) => ({ ...done, halt }),
        onSuccess: (kept) => kept ? done : elsewhere
      })
    )
  }

  const run = (task: Task): Effect.Effect<Done | typeof elsewhere, SessionStoreError> =>
    Effect.gen(function*() {
      if (task.cancel === "all" || task.cancel === "budget") return yield* lookUp(task)
      const claimed = yield* claim(task)
      const { _tag, record } = claimed
      if (_tag === "ended") return restored(task, record)
      if (_tag === "busy") return elsewhere
      const { attempts, costUsd, usage } = record
      const kept = { attempts, costUsd, usage, freshUsd: _tag === "begun" ? 0 : costUsd }
      if (record.result !== undefined) {
        const outcome = restoredOutcome({ ...record, status: "completed" }, schemaOf(task))
        const done = yield* ended(task, outcome, kept)
        return done.outcome === "elsewhere" ? done : { ...done, restored: true }
      }
      if (task.cancel === undefined) return yield* work(task, claimed)
      return yield* ended(task, { _tag: "Cancelled", reason: "item" }, kept)
    })

  return {
    run: (task) => Effect.catchAll(run(task), (halt) => Effect.succeed({ ...notBegun(task), halt })),

    renewing: (lose) =>
      Effect.forever(Effect.zipRight(
        Effect.sleep(heartbeat),
        Effect.suspend(() => {
          const before = [...mine]
          return before.length === 0
            ? Effect.void
            // A store that does not answer now may do so the next time: until then the leases run on.
            : Effect.ignore(Effect.map(repository.renew(batchId, holder, ttl), (held) => {
              for (const [key, task] of before) if (mine.has(key) && !held.includes(key)) lose(task)
            }))
        })
      ))
  }
}

// ---------------------------------------------------------------------------

const elsewhere = { outcome: "elsewhere" } as const

const goOn = "You were cut off before you were done. Go on from where you stopped, without doing again what has been " +
  "done, and end with the whole answer."

/** Ours, so that it is known before the CLI says it; that of a session which goes on is the CLI's to say. */
const newSession = ({ continueSession, forkSession, resume, sessionId }: ClaudeOptions): string =>
  sessionId ?? (forkSession !== true && (continueSession === true || resume !== undefined) ? "" : crypto.randomUUID())

type OutputSchema = ClaudeOptions["outputSchema"]

const endOf = (
  outcome: BatchOutcome,
  { costUsd, usage }: Pick<Done, "costUsd" | "usage">,
  outputSchema: OutputSchema
): BatchItemEnd => {
  switch (outcome._tag) {
    case "Completed":
      return { status: "completed", costUsd, usage, result: storedResult(outcome.result, outputSchema) }
    case "Failed":
      return { status: "failed", costUsd, usage, error: encodeError(outcome.error) }
    case "Cancelled":
      return { status: "cancelled", costUsd, usage }
  }
}

/** An answer as it is stored: what was decoded is encoded again. */
const storedResult = (result: Result, outputSchema: OutputSchema): unknown =>
  result.structuredOutput === undefined || !Schema.isSchema(outputSchema)
    ? result
    : {
      ...result,
      structuredOutput: Either.getOrElse(
        Schema.encodeUnknownEither(outputSchema)(result.structuredOutput),
        () => result.structuredOutput
      )
    }

/** The end of an item as its record has it. */
const restoredOutcome = (record: BatchRecord, outputSchema: OutputSchema): BatchOutcome => {
  switch (record.status) {
    case "completed": {
      const result = Either.getOrUndefined(decodeResult(record.result))
      if (result === undefined) return unreadable(record, "answer")
      if (result.structuredOutput === undefined || !Schema.isSchema(outputSchema)) return { _tag: "Completed", result }
      return Either.match(Schema.decodeUnknownEither(outputSchema)(result.structuredOutput), {
        onLeft: () => unreadable(record, "structured output"),
        onRight: (structuredOutput) => ({ _tag: "Completed", result: { ...result, structuredOutput } })
      })
    }
    case "failed":
      return Either.match(decodeError(record.error), {
        onLeft: () => unreadable(record, "error"),
        onRight: (error) => ({ _tag: "Failed", error })
      })
    default:
      return { _tag: "Cancelled", reason: "item" }
  }
}

const encodeError = Schema.encodeSync(ClaudeError)
const decodeError = Schema.decodeUnknownEither(ClaudeError)
/** JSON has no `undefined`. */
const decodeResult = Schema.decodeUnknownEither(Result, { exact: false, onExcessProperty: "preserve" })

const unreadable = ({ key }: BatchRecord, what: string): BatchOutcome => ({
  _tag: "Failed",
  error: new SessionStoreError({
    operation: "claim",
    reason: "Corrupt",
    detail: `the ${what} of the batch item "${key}" cannot be read`,
    hint: "Another version wrote it, or its output schema has changed: run the item under another key."
  })
})
