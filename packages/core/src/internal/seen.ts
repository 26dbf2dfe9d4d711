import * as Either from "effect/Either"
import type { QueryOptions } from "../AgentOptions.js"
import type { ClaudeError, RunFacts } from "../ClaudeError.js"
import {
  appendText,
  type Assistant,
  type ErrorMessage,
  type Message,
  type RateLimit,
  type Result,
  type Task
} from "../Message.js"
import * as Outcome from "../Outcome.js"

/** What the messages have told about a turn of the user, and what that comes to. */
export class Seen {
  sessionId = ""
  inTurn = false
  private result: Result | undefined
  private error: ErrorMessage | undefined
  private rejected: RateLimit | undefined
  private interrupted = false
  private undecodable: string | undefined
  private last: Assistant | undefined
  private stepped: "awaitBackground" | "leave" | undefined
  readonly background = new BackgroundTasks()
  private readonly options: QueryOptions
  private readonly tools = new Set<string>()
  /** Hooks of the settings, where the CLI tells of them. */
  private readonly hooks = new Set<string>()
  private compacting = false
  private announced = 0
  /** The text of the message that is being said, or was last. */
  private saying = ""
  private said = false

  constructor(options: QueryOptions) {
    this.options = options
  }

  /** The user's turn has its result. */
  get answered(): boolean {
    return this.result !== undefined
  }

  /** It was asked to leave. */
  get leaving(): boolean {
    return this.stepped === "leave"
  }

  /** What it does may take long without a word. */
  get busy(): boolean {
    return this.tools.size > 0 || this.hooks.size > 0 || this.compacting
  }

  /** The answer so far: of the message that is being said, as the result would have it. */
  get partial(): string {
    return this.result?.result || this.saying
  }

  /** Of the turn, where the CLI has told. */
  get costUsd(): number | null {
    return this.result?.costUsd ?? null
  }

  /** For how long the CLI has said that it will say nothing, in milliseconds. It is told once. */
  takeAnnounced(): number {
    const { announced } = this
    this.announced = 0
    return announced
  }

  interrupt(): void {
    this.interrupted = true
  }

  /** Looks at a batch, and decodes the structured output in it. */
  all(batch: ReadonlyArray<Message>): ReadonlyArray<Message> {
    let decoded: Array<Message> | undefined
    for (let i = 0; i < batch.length; i++) {
      const message = batch[i]!
      if (message._tag === "Text") {
        if (message.parentToolUseId === undefined) this.say(message)
        continue
      }
      const told = this.one(message)
      if (told !== message) (decoded ??= [...batch])[i] = told
    }
    return decoded ?? batch
  }

  /** What is newly due, once each. */
  step(): "awaitBackground" | "leave" | undefined {
    if (!this.answered || this.stepped === "leave") return undefined
    const due = this.background.size === 0 ? "leave" : "awaitBackground"
    if (due === this.stepped) return undefined
    return this.stepped = due
  }

  outcome(facts: RunFacts): Either.Either<Result, ClaudeError> {
    return Outcome.decide({
      facts,
      result: this.result,
      error: this.error,
      rejected: this.rejected,
      model: this.options.model ?? "",
      wantsStructuredOutput: this.options.outputSchema !== undefined,
      undecodable: this.undecodable,
      interrupted: this.interrupted
    })
  }

  private one(message: Message): Message {
    if (message.sessionId !== "") this.sessionId = message.sessionId
    switch (message._tag) {
      case "Init":
        this.inTurn = true
        break
      case "Assistant":
        if (message.parentToolUseId === undefined) {
          this.last = message
          this.said = true
        }
        break
      case "ToolUse":
        this.tools.add(message.id)
        break
      case "ToolResult":
        this.tools.delete(message.toolUseId)
        break
      case "Hook":
        if (message.phase === "response") this.hooks.delete(message.hookId)
        else this.hooks.add(message.hookId)
        break
      case "ApiRetry":
        this.announced = Math.max(this.announced, message.delayMs)
        break
      case "Status":
        if (message.kind === "status") this.compacting = message.content === "compacting"
        break
      case "Compact":
        this.compacting = false
        break
      case "Error":
        this.error = message
        break
      case "RateLimit":
        this.rejected = message.status === "rejected" ? message : undefined
        break
      case "Task":
        this.background.see(message)
        break
      case "Result":
        return this.turnEnded(message)
    }
    return message
  }

  private say(message: Message): void {
    if (this.said) {
      this.said = false
      this.saying = ""
    }
    this.saying = appendText(this.saying, message)
  }

  private turnEnded(message: Result): Result {
    this.inTurn = false
    this.tools.clear()
    this.hooks.clear()
    this.compacting = false
    if (message.origin !== undefined) return message
    return this.result = this.withPartialText(this.decoded(message))
  }

  /** The CLI gives an interrupted turn no text: what the model had said until then is its answer. */
  private withPartialText(message: Result): Result {
    if (!message.interrupted || message.result !== "" || this.last === undefined) return message
    const said = this.last.content.flatMap((block) => typeof block["text"] === "string" ? [block["text"]] : [])
    return { ...message, result: said.join("") }
  }

  private decoded(message: Result): Result {
    return Either.getOrElse(Outcome.decoded(message, this.options), (undecodable) => {
      this.undecodable = undecodable
      return message
    })
  }
}

/** The background work that lives, as the messages tell it. */
export class BackgroundTasks {
  private readonly live = new Set<string>()

  get size(): number {
    return this.live.size
  }

  see(message: Task): void {
    if (message.phase === "background") {
      this.live.clear()
      for (const id of message.live) this.live.add(id)
    } else if (message.phase === "started" && message.background) this.live.add(message.taskId)
    else if (message.phase === "notification" || ended.has(message.status ?? "")) this.live.delete(message.taskId)
  }
}

/** The states of a task from which it does not return. */
const ended: ReadonlySet<string> = new Set(["completed", "failed", "killed", "stopped"])
