import * as Effect from "effect/Effect"
import { sequential } from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { ClaudeError } from "../ClaudeError.js"
import type { Message } from "../Message.js"
import type { Open, Pull } from "./streamed.js"

/** What a failed attempt waits for before it is made again. Nothing, when it was the last. */
export type Again = (error: ClaudeError) => Effect.Effect<Effect.Effect<void, ClaudeError> | undefined>

interface Attempt {
  readonly pull: Pull
  readonly scope: Scope.CloseableScope
}

/**
 * A run that is made again, from the start and with nothing left of the attempt before, for as long as it fails before
 * it was committed: before anyone has seen an answer or a tool of it. What tells of the failure is held back until it is
 * known that it is the last.
 */
export const reopening = (open: Open, again: Again): Open =>
  Effect.flatMap(Effect.scope, (parent) => {
    let committed = false
    let held: ReadonlyArray<Message> = []
    let current: Attempt
    /** The verdict is known, and is told after what was held back. */
    let over = false

    /** Its scope is closed with the parent's, whatever comes in between. */
    const begin: Effect.Effect<Pull, ClaudeError> = Effect.flatMap(
      Scope.fork(parent, sequential),
      (scope) =>
        Effect.matchEffect(Scope.extend(open, scope), {
          onFailure: (error) =>
            Effect.uninterruptible(Scope.close(scope, Exit.fail(error))).pipe(
              Effect.zipRight(again(error)),
              Effect.flatMap((wait) => wait === undefined ? Effect.fail(error) : Effect.zipRight(wait, begin))
            ),
          onSuccess: (opened) => {
            current = { pull: opened, scope }
            return Effect.succeed(pull)
          }
        })
    )

    /** What may be handed out now. */
    const sift = (batch: ReadonlyArray<Message>): ReadonlyArray<Message> => {
      const weights = weightsOf(batch)
      const at = weights.findIndex((weight) => weight !== "neutral")
      if (at < 0 && held.length === 0) return batch
      committed = weights.includes("commits")
      const all = held.length === 0 ? batch : [...held, ...batch]
      if (committed) {
        held = []
        return all
      }
      const free = held.length === 0 ? at : 0
      held = all.slice(free)
      return all.slice(0, free)
    }

    const ended = (end: Option.Option<ClaudeError>): Pull => {
      const last = Effect.fail(end)
      if (held.length === 0) return last
      const messages = held
      held = []
      over = true
      current = { ...current, pull: last }
      return Effect.succeed(messages)
    }

    /** Nothing is left of it when the wait begins. A wait that is given up was for nothing: then it was the last. */
    const failed = (error: ClaudeError): Pull =>
      Effect.flatMap(again(error), (wait) =>
        wait === undefined
          ? ended(Option.some(error))
          : Effect.matchEffect(
            Effect.zipRight(Effect.uninterruptible(Scope.close(current.scope, Exit.fail(error))), wait),
            {
              onFailure: (given) => ended(Option.some(given)),
              onSuccess: () => {
                held = []
                return Effect.flatten(Effect.mapError(begin, Option.some))
              }
            }
          ))

    const pull: Pull = Effect.suspend(() =>
      committed ? current.pull : Effect.matchEffect(current.pull, {
        onFailure: (end) => Option.isNone(end) || over ? ended(end) : failed(end.value),
        onSuccess: (batch) => {
          const free = sift(batch)
          return free.length === 0 ? pull : Effect.succeed(free)
        }
      })
    )

    return begin
  })

// ---------------------------------------------------------------------------

type Weight = "neutral" | "failure" | "commits"

/** Whether anything was said or done in a batch that can be neither said nor done again. */
export const commits = (batch: ReadonlyArray<Message>): boolean => weightsOf(batch).includes("commits")

const weightsOf = (batch: ReadonlyArray<Message>): ReadonlyArray<Weight> =>
  batch.map((message, index) => isAnnounced(batch, index) ? "failure" : weightOf(message))

/**
 * What a message commits to. Notices do not: they may come again. What tells of a failure waits for the verdict, and
 * everything else was said or done.
 */
const weightOf = (message: Message): Weight => {
  switch (message._tag) {
    case "Init":
    case "Status":
    case "ApiRetry":
    case "RateLimit":
      return "neutral"
    case "User":
      return message.replay || message.synthetic ? "neutral" : "commits"
    case "Error":
    case "Stop":
      return "failure"
    case "Result":
      return message.isError ? "failure" : "commits"
    case "Assistant":
      return message.model === "<synthetic>" ? "failure" : "commits"
    default:
      return "commits"
  }
}

/** The CLI says an API error as text, too: on the same line, so just before its `Error` and in the same batch. */
const isAnnounced = (batch: ReadonlyArray<Message>, index: number): boolean => {
  const text = batch[index]
  if (text?._tag !== "Text" || text.delta) return false
  const next = batch.find((message, at) => at > index && message._tag !== "Text")
  return next?._tag === "Error" && next.uuid === text.uuid && next.content.includes(text.content)
}
