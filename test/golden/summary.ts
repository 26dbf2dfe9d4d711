import * as Message from "@ccflow/core/Message"
import * as Outcome from "@ccflow/core/Outcome"
import { Either } from "effect"
import { createHash } from "node:crypto"
import { parse } from "./account.js"
import type { Run } from "./runs.js"

/** A run in a few lines that a person can check against its raw lines. */
export interface Summary {
  readonly name: string
  /** The kinds of messages in order; repeated ones counted. */
  readonly kinds: string
  readonly text: string
  /** By result: input, output, cache read and cache creation tokens, then what the turn has cost. */
  readonly results: ReadonlyArray<string>
  /** By turn of the user; of the run itself where it has no result. */
  readonly outcomes: ReadonlyArray<string>
}

export const summarize = (run: Run): Summary => {
  const { messages } = parse(run.stdout)
  return {
    name: run.name,
    kinds: runLengths(messages.map((message) => message._tag)),
    text: short(messages.reduce(Message.appendText, "")),
    results: messages.filter(Message.is("Result")).map(({ costUsd, usage }) => {
      const { cacheCreationInputTokens, cacheReadInputTokens, inputTokens, outputTokens } = usage
      const tokens = [inputTokens, outputTokens, cacheReadInputTokens, cacheCreationInputTokens].join(" ")
      return `${tokens} $${Number(costUsd.toFixed(9))}`
    }),
    outcomes: outcomes(run, messages)
  }
}

/** What each turn came to, decided on the messages up to its result and on how the process ended. */
export const outcomes = (run: Run, messages: ReadonlyArray<Message.Message>): ReadonlyArray<string> => {
  const decided: Array<string> = []
  let error: Message.ErrorMessage | undefined
  let rejected: Message.RateLimit | undefined
  let model = ""
  const decide = (result: Message.Result | undefined) => {
    const verdict = Outcome.decide({
      facts: {
        exitCode: run.exitCode,
        signal: run.signal,
        argv: [],
        stderrTail: run.stderr,
        sessionId: messages.at(-1)?.sessionId ?? "",
        frames: messages.length
      },
      result,
      error,
      rejected,
      model,
      wantsStructuredOutput: run.args.some((arg) => arg.startsWith("--json-schema")),
      interrupted: run.stdin.includes("\"subtype\":\"interrupt\"")
    })
    decided.push(Either.match(verdict, { onLeft: describe, onRight: () => "ok" }))
    error = undefined
    rejected = undefined
  }
  for (const message of messages) {
    if (message._tag === "Error") error = message
    else if (message._tag === "RateLimit") rejected = message.status === "rejected" ? message : undefined
    else if (message._tag === "Init") model = message.model
    else if (message._tag === "Result" && message.origin === undefined) decide(message)
  }
  if (decided.length === 0) decide(undefined)
  return decided
}

const told = ["reason", "field", "status", "type", "limit", "model", "numTurns", "sessionId"]

/** The error's tag, and those of its fields that say more than its class. */
const describe = (error: { readonly _tag: string }): string =>
  [
    error._tag,
    ...told.flatMap((key) => {
      const value: unknown = Reflect.get(error, key)
      return value === undefined || value === "" ? [] : [`${key}=${String(value)}`]
    })
  ].join(" ")

const runLengths = (tags: ReadonlyArray<string>): string => {
  const runs: Array<{ readonly tag: string; count: number }> = []
  for (const tag of tags) {
    const last = runs.at(-1)
    if (last?.tag === tag) last.count++
    else runs.push({ tag, count: 1 })
  }
  return runs.map(({ count, tag }) => count === 1 ? tag : `${tag}*${count}`).join(" ")
}

const longest = 120

const short = (text: string): string => {
  if (text.length <= longest) return text
  const digest = createHash("sha256").update(text).digest("hex").slice(0, 12)
  return `${text.slice(0, longest)}… ${text.length} characters, sha256 ${digest}`
}
