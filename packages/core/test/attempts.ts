import {
  type ClaudeError,
  CliExitError,
  InvalidOptionsError,
  OverloadedError,
  type RunFacts
} from "@ccflow/core/ClaudeError"
import type { Message } from "@ccflow/core/Message"
import { Effect, Option } from "effect"
import type { Open } from "../src/internal/streamed.js"

export const facts: RunFacts = {
  exitCode: 1,
  signal: null,
  argv: [],
  stderrTail: "",
  sessionId: "",
  frames: 0
}

export const overloaded: ClaudeError = new OverloadedError({ detail: "overloaded", facts, hint: "" })
export const crashed: ClaudeError = new CliExitError({ reason: "Exited", detail: "crashed", facts, hint: "" })
export const refused: ClaudeError = new InvalidOptionsError({ field: "model", detail: "bad", hint: "" })

const usage = { inputTokens: 0, outputTokens: 0, cacheReadInputTokens: 0, cacheCreationInputTokens: 0 }
const sessionId = "s"

export const text = (content: string): Message => ({ _tag: "Text", sessionId, messageId: "m", content, delta: false })
export const status = (kind: string): Message => ({ _tag: "Status", sessionId, kind, content: "", raw: {} })
export const problem = (content: string): Message => ({ _tag: "Error", sessionId, code: "overloaded", content })
export const stop: Message = { _tag: "Stop", sessionId, stopReason: null, usage }
export const result = (answer: string, isError = false): Message => ({
  _tag: "Result",
  sessionId,
  result: answer,
  subtype: "success",
  isError,
  stopReason: null,
  interrupted: false,
  usage,
  costUsd: 0,
  totalCostUsd: 0,
  modelUsage: {},
  numTurns: 1,
  durationMs: 1,
  permissionDenials: [],
  errors: []
})

/** What one attempt does: its batches, and how it ends. `never` says nothing more, for ever. */
export interface Attempt {
  readonly batches?: ReadonlyArray<ReadonlyArray<Message>>
  readonly end?: ClaudeError | "well" | "never" | "defect"
  /** It does not even open. */
  readonly refuses?: ClaudeError
}

/** A run that does one thing after the other, each time it is opened; the last one again and again. */
export const running = (attempts: ReadonlyArray<Attempt>) => {
  const log: Array<string> = []
  let opened = 0
  const open: Open = Effect.gen(function*() {
    const index = opened++
    const { batches = [], end = "well", refuses } = attempts[Math.min(index, attempts.length - 1)]!
    log.push(`open ${index}`)
    yield* Effect.addFinalizer(() => Effect.sync(() => log.push(`close ${index}`)))
    if (refuses !== undefined) return yield* Effect.fail(refuses)
    let at = 0
    return Effect.suspend(() => {
      const batch = batches[at++]
      if (batch !== undefined) return Effect.succeed(batch)
      if (end === "never") return Effect.never
      if (end === "defect") return Effect.die("a bug")
      return Effect.fail(end === "well" ? Option.none() : Option.some(end))
    })
  })
  return { log, open, opened: () => opened }
}

/** Reads to the end: the batches as they came, and how it ended. */
export const drain = (open: Open) =>
  Effect.scoped(Effect.gen(function*() {
    const batches: Array<ReadonlyArray<Message>> = []
    const ended = yield* Effect.either(Effect.flatMap(
      Effect.mapError(open, Option.some),
      (pull) => Effect.forever(Effect.map(pull, (batch) => batches.push(batch)))
    ))
    const error = ended._tag === "Left" ? Option.getOrUndefined(ended.left) : undefined
    return { batches, messages: batches.flat(), error }
  }))
