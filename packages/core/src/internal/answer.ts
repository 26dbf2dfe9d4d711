import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ClaudeError } from "../ClaudeError.js"
import type { Message, Result } from "../Message.js"
import type { Pull } from "./streamed.js"

/** Reads to the end, and not only to the answer: a run can still fail after it. */
export const lastAnswer = <R>(pull: Pull<R>, found?: Result): Effect.Effect<Result, ClaudeError, R> =>
  Effect.matchEffect(pull, {
    onSuccess: (messages) => lastAnswer(pull, found ?? messages.find(isAnswer)),
    onFailure: (end) =>
      Option.isSome(end)
        ? Effect.fail(end.value)
        : found === undefined
        ? Effect.dieMessage("a run that ended well has a result")
        : Effect.succeed(found)
  })

/** The result of the user's prompt, and of nothing that the CLI does by itself. */
export const isAnswer = (message: Message): message is Result =>
  message._tag === "Result" && message.origin === undefined
