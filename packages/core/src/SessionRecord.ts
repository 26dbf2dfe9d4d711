/** What is kept of a session and its turns. All times are UTC epoch milliseconds. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Prompt } from "./Claude.js"
import { SessionNotFoundError, SessionStoreError } from "./ClaudeError.js"
import { Usage } from "./Message.js"

/** `open`: takes turns. `closed`: by its owner. `expired`: idle for longer than its time to live. */
export const SessionStatus = Schema.Literal("open", "closed", "expired")
export type SessionStatus = typeof SessionStatus.Type

/** A conversation. */
export const SessionRecord = Schema.Struct({
  sessionId: Schema.NonEmptyString,
  /** The session that this one was forked from, or that `/clear` ended. */
  parentId: Schema.optionalWith(Schema.String, { exact: true }),
  status: SessionStatus,
  title: Schema.String,
  model: Schema.optionalWith(Schema.String, { exact: true }),
  cwd: Schema.String,
  /** Sorted, each once. */
  tags: Schema.Array(Schema.String),
  createdAt: Schema.Int,
  updatedAt: Schema.Int,
  /** Completed turns. */
  turnCount: Schema.Int,
  usage: Usage,
  costUsd: Schema.Finite,
  /** From the beginning to the end of each turn, together. */
  durationMs: Schema.Finite,
  /** What a resume needs. Plain JSON, never secrets: it is stored as it is. */
  options: Schema.Record({ key: Schema.String, value: Schema.Unknown }),
  cliVersion: Schema.optionalWith(Schema.String, { exact: true })
})
export type SessionRecord = typeof SessionRecord.Type

/** `cut`: whoever ran it is gone, and what became of it is unknown. Only `recover` says so. */
export const TurnStatus = Schema.Literal("running", "completed", "failed", "interrupted", "cut")
export type TurnStatus = typeof TurnStatus.Type

/** One prompt and what came of it. */
export interface TurnRecord {
  readonly turnId: string
  readonly sessionId: string
  /** Its place in the session, from 0. */
  readonly index: number
  readonly prompt: Prompt
  readonly status: TurnStatus
  readonly startedAt: number
  readonly endedAt?: number
  /** The answer's text. */
  readonly result?: string
  /** What was seen of the answer so far, as last reported by `progress`. */
  readonly seen: string
  readonly stopReason?: string
  readonly usage?: Usage
  readonly costUsd?: number
  /** As the CLI counts them: each tool's result is one, too. */
  readonly numTurns?: number
  readonly error?: { readonly tag: string; readonly message: string }
  /** Who runs it, such as `pid@host#start`. */
  readonly holder: string
}

/** What is known of a turn before it runs. Index and times are the repository's. */
export type TurnStart = Pick<TurnRecord, "turnId" | "sessionId" | "prompt" | "holder">

/** How a turn ended. What is left out stays as it is. */
export interface TurnEnd
  extends Pick<TurnRecord, "result" | "stopReason" | "usage" | "costUsd" | "numTurns" | "error">
{
  readonly status: "completed" | "failed" | "interrupted"
  readonly seen?: string
}

/** A session as every backend stores it: checked, its tags in order, its options as JSON gives them back. */
export const tidy = (operation: string, record: SessionRecord): Effect.Effect<SessionRecord, SessionStoreError> =>
  Effect.gen(function*() {
    const given = yield* checked(operation, SessionRecord, record)
    const { cliVersion, model } = given
    const [options = "{}"] = yield* toJson(operation, [given.options])
    return {
      ...given,
      title: wellFormed(given.title),
      ...(model === undefined ? {} : { model: wellFormed(model) }),
      cwd: wellFormed(given.cwd),
      tags: tidyTags(given.tags),
      options: JSON.parse(options),
      ...(cliVersion === undefined ? {} : { cliVersion: wellFormed(cliVersion) })
    }
  })

/** Sorted, each once. */
export const tidyTags = (tags: ReadonlyArray<string>): ReadonlyArray<string> =>
  [...new Set(tags.map(wellFormed))].sort()

/** NUL and halves of surrogate pairs, which no database's text can hold, become U+FFFD. */
export const wellFormed = (text: string): string => text.replace(unstorable, "\uFFFD")

/** The text of a prompt, without its images and documents. */
export const promptText = (prompt: Prompt): string =>
  typeof prompt === "string"
    ? prompt
    : prompt.flatMap(({ text, type }) => type === "text" && typeof text === "string" ? [text] : []).join("\n")

/** Values as JSON, or the error that says that one has none: a circle, a bigint, a function. */
export const toJson = (
  operation: string,
  values: ReadonlyArray<unknown>
): Effect.Effect<ReadonlyArray<string>, SessionStoreError> =>
  Effect.try({
    try: () =>
      values.map((value) => {
        const text: string | undefined = JSON.stringify(value)
        if (text === undefined) throw new TypeError()
        return text
      }),
    catch: () => inputError(operation, "not a JSON value")
  })

/** A value as this schema describes it, or the error that says what is wrong with it. */
export const checked = <A, I>(
  operation: string,
  schema: Schema.Schema<A, I>,
  value: unknown
): Effect.Effect<A, SessionStoreError> =>
  Effect.mapError(Schema.decodeUnknown(schema)(value), ({ message }) => inputError(operation, message))

/** What the caller gave cannot be stored, or not be asked for. */
export const inputError = (operation: string, detail: string): SessionStoreError =>
  new SessionStoreError({ operation, reason: "Other", detail, hint: "Correct what was given." })

/** A turn can only begin in a session that is stored. */
export const unknownSession = (sessionId: string): SessionNotFoundError =>
  new SessionNotFoundError({ sessionId, hint: "Save the session before its first turn." })

// ---------------------------------------------------------------------------

const unstorable = /\0|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g
