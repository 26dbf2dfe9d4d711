import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Struct from "effect/Struct"
import type { QueryOptions } from "../AgentOptions.js"
import type { Prompt } from "../Claude.js"
import type { SessionStoreError } from "../ClaudeError.js"
import type { Init } from "../Message.js"
import { promptText, type SessionRecord } from "../SessionRecord.js"
import { noUsage } from "./figures.js"
import type { RecordingParts } from "./recording.js"
import { toRecord } from "./resumable.js"

/** The fields that a session's own program writes. The others, its tags, belong to whoever changes them. */
type Own = Pick<SessionRecord, "title" | "model" | "cwd" | "options" | "cliVersion">

/** The record of the session that the CLI is in. */
export class KeptRecord {
  sessionId = ""
  private readonly parts: RecordingParts
  private own: Own
  private parentId: string | undefined
  /** What is stored, as text, where something is. */
  private stored: string | undefined
  private open = false
  private begun = false

  constructor(parts: RecordingParts) {
    const { cwd = "", forkSession, model, resume, title = "" } = parts.options
    this.parts = parts
    this.parentId = forkSession === true ? resume : undefined
    this.own = { title, cwd, options: toRecord(parts.options), ...(model === undefined ? {} : { model }) }
  }

  /** Looks the session up, once. True when turns of it have been begun. */
  find(sessionId: string): Effect.Effect<boolean, SessionStoreError> {
    const { draft, repository } = this.parts
    return Effect.gen(this, function*() {
      if (this.sessionId === sessionId) return this.begun
      const found = yield* repository.get(sessionId)
      if (Option.isSome(found)) {
        const { cliVersion, cwd, model, options, title } = found.value
        this.stored = asFound
        this.open = found.value.status === "open"
        this.own = {
          ...(model === undefined ? {} : { model }),
          ...(cliVersion === undefined ? {} : { cliVersion }),
          ...this.own,
          title: this.own.title === "" ? title : this.own.title,
          cwd: this.own.cwd === "" ? cwd : this.own.cwd,
          options: { ...options, ...this.own.options }
        }
        this.begun = (yield* repository.turns(sessionId, { limit: 1 })).turns.length > 0
      }
      this.sessionId = sessionId
      if (draft !== undefined && this.stored === undefined) yield* this.write
      return this.begun
    })
  }

  /** The options that the session has by now. */
  change(changes: QueryOptions): void {
    const back = Object.entries(changes).flatMap(([name, value]) => value === undefined ? [name] : [])
    const { model, options, ...own } = this.own
    const now = "model" in changes ? changes.model : model
    this.own = {
      ...own,
      options: { ...Struct.omit(options, ...back), ...toRecord(changes) },
      ...(now === undefined ? {} : { model: now })
    }
  }

  /** True when it tells what the record does not have. */
  see({ cliVersion, cwd, model }: Init): boolean {
    const before = JSON.stringify(this.own)
    this.own = {
      ...this.own,
      ...(cliVersion === "" ? {} : { cliVersion }),
      ...(cwd === "" ? {} : { cwd }),
      ...(this.own.model === undefined && model !== "" ? { model } : {})
    }
    return JSON.stringify(this.own) !== before
  }

  /** Before a turn of this prompt. */
  begin(sessionId: string, prompt: Prompt): Effect.Effect<void, SessionStoreError> {
    return Effect.gen(this, function*() {
      yield* this.find(sessionId)
      this.begun = true
      if (this.own.title === "") this.own = { ...this.own, title: titleOf(prompt) }
      if (!this.open || this.stored !== JSON.stringify(this.own)) yield* this.write
    })
  }

  /** Stores what has changed, of a record that is there. */
  readonly update: Effect.Effect<void, SessionStoreError> = Effect.suspend(() =>
    this.stored === undefined || this.stored === JSON.stringify(this.own) ? Effect.void : this.write
  )

  readonly create: Effect.Effect<void, SessionStoreError> = Effect.suspend(() =>
    this.stored === undefined && this.parentId !== undefined ? this.write : Effect.void
  )

  /** The CLI is in another session now. The one before takes no more turns. */
  move(to: string): Effect.Effect<void, SessionStoreError> {
    return Effect.suspend(() => {
      const from = this.sessionId
      if (from === "" || from === to) return Effect.void
      return Effect.ensuring(
        this.close,
        Effect.sync(() => {
          const { forkSession, ...options } = this.own.options
          this.parentId = from
          this.sessionId = ""
          this.own = { ...this.own, title: "", options }
          this.stored = undefined
          this.open = false
          this.begun = false
        })
      )
    })
  }

  readonly close: Effect.Effect<void, SessionStoreError> = Effect.suspend(() => {
    const { repository } = this.parts
    if (this.stored === undefined) return Effect.void
    return Effect.flatMap(
      repository.get(this.sessionId),
      (found) =>
        Option.isNone(found) || found.value.status !== "open"
          ? Effect.void
          : repository.save({ ...found.value, ...(this.stored === asFound ? {} : this.own), status: "closed" })
    )
  })

  /** Also where somebody has deleted it. */
  readonly write: Effect.Effect<void, SessionStoreError> = Effect.suspend(() => {
    const { draft, now, repository } = this.parts
    const { own, parentId, sessionId } = this
    return Effect.gen(this, function*() {
      const found = Option.getOrUndefined(yield* repository.get(sessionId))
      yield* repository.save({
        tags: draft?.tags ?? [],
        createdAt: now(),
        updatedAt: now(),
        turnCount: 0,
        usage: noUsage,
        costUsd: 0,
        durationMs: 0,
        ...(parentId === undefined ? {} : { parentId }),
        ...found,
        ...own,
        sessionId,
        status: "open"
      })
      this.stored = JSON.stringify(own)
      this.open = true
    })
  })
}

// ---------------------------------------------------------------------------

/** Stored by somebody else, and not changed by us. */
const asFound = "as found"

const titleLength = 80

const titleOf = (prompt: Prompt): string => {
  const [line = ""] = promptText(prompt).trim().split("\n")
  return [...line.trim()].slice(0, titleLength).join("")
}
