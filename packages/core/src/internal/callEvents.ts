import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { ClaudeError } from "../ClaudeError.js"
import type { CallOutcome, EventsService } from "../Events.js"
import type { Message, Result, ToolResult, ToolUse, Usage } from "../Message.js"
import { addUsage, noUsage } from "./figures.js"
import * as KnownCalls from "./knownCalls.js"
import type { ObservedCall } from "./observation.js"
import { lookedOnAt, type Onlooker } from "./onlooker.js"
import type { Open } from "./streamed.js"

/** Tells of a call: its beginning, its messages, its end. One that nobody listens to at its beginning is not told. */
export const whole = (events: EventsService, call: ObservedCall) => (open: Open): Open =>
  Effect.suspend(() => events.silent() ? open : told(events, call, open))

/** It says nothing of the answer. */
export const isNotice = (message: Message): boolean =>
  notices.has(message._tag) || (message._tag === "User" && (message.replay || message.synthetic))

// ---------------------------------------------------------------------------

const notices: ReadonlySet<Message["_tag"]> = new Set(["Init", "Status", "ApiRetry", "RateLimit", "Hook"])

const told = (events: EventsService, call: ObservedCall, open: Open): Open =>
  Effect.withFiberRuntime((fiber) => {
    const clock = Context.get(fiber.currentDefaultServices, Clock.Clock)
    const span = Option.getOrUndefined(Context.getOption(fiber.currentContext, Tracer.ParentSpan))
    return lookedOnAt(open, new CallTelling(events, call, () => clock.unsafeCurrentTimeMillis(), span?.traceId))
  })

/** What is told of one call, and what must be known for it. */
class CallTelling implements Onlooker {
  private readonly events: EventsService
  private readonly call: ObservedCall
  private readonly now: () => number
  private readonly traceId: string | undefined
  private readonly startedAt: number
  private readonly tools = new Map<string, number>()
  private session = ""
  private model: string
  private firstAt: number | undefined
  private usage: Usage | undefined
  private costUsd = 0

  constructor(events: EventsService, call: ObservedCall, now: () => number, traceId: string | undefined) {
    this.events = events
    this.call = call
    this.now = now
    this.traceId = traceId
    this.startedAt = now()
    this.model = call.options.model ?? ""
  }

  begin(): void {
    const { id: callId, kind, prompt, sessionId, turnNumber } = this.call
    const { model, traceId } = this
    KnownCalls.remember(callId, { traceId, sessionId: () => this.session === "" ? sessionId() : this.session })
    this.events.tell(
      kind === "query"
        ? { _tag: "QueryStarted", callId, model, prompt }
        : { _tag: "TurnStarted", callId, model, prompt, turnNumber }
    )
  }

  see(batch: ReadonlyArray<Message>): void {
    const { events } = this
    const callId = this.call.id
    // Asked once for all: what nobody wants costs a comparison for each message.
    const messages = !events.silent("MessageReceived")
    const thinking = !events.silent("ThinkingReceived")
    const tools = !events.silent("ToolCalled") || !events.silent("ToolFinished")
    for (const message of batch) {
      if (message.sessionId !== "") this.session = message.sessionId
      if (this.firstAt === undefined && !isNotice(message)) this.firstAt = this.now()
      if (messages) events.tell({ _tag: "MessageReceived", callId, message })
      switch (message._tag) {
        case "Init":
          if (message.model !== "") this.model = message.model
          break
        case "Thinking":
          if (thinking) events.tell({ _tag: "ThinkingReceived", callId, content: message.content })
          break
        case "ToolUse":
          if (tools) this.toolCalled(message)
          break
        case "ToolResult":
          if (tools) this.toolFinished(message)
          break
        case "Result":
          if (message.origin === undefined) this.answered(message)
      }
    }
  }

  end(outcome: CallOutcome, result: Result | undefined, failure: ClaudeError | "defect" | undefined): void {
    const { id: callId, kind, turnNumber } = this.call
    const { costUsd, events, firstAt, model, startedAt, usage } = this
    const error = failure === "defect" ? undefined : failure
    const ended = {
      callId,
      outcome,
      model,
      durationMs: this.now() - startedAt,
      ...(error === undefined ? {} : { error }),
      ...(firstAt === undefined ? {} : { firstMessageMs: firstAt - startedAt }),
      ...(result === undefined ? {} : { usage, costUsd, result: result.result })
    }
    if (kind === "query") return events.tell({ _tag: "QueryEnded", ...ended })
    if (error !== undefined) events.tell({ _tag: "SessionError", callId, error })
    events.tell({ _tag: "TurnCompleted", ...ended, turnNumber })
  }

  /** What a process tells of its end belongs to the call. */
  gone(): void {
    KnownCalls.forget(this.call.id)
  }

  private answered(result: Result): void {
    this.usage = addUsage(this.usage ?? noUsage, result.usage)
    this.costUsd += result.costUsd
  }

  private toolCalled({ id: toolUseId, input, tool }: ToolUse): void {
    this.tools.set(toolUseId, this.now())
    this.events.tell({ _tag: "ToolCalled", callId: this.call.id, tool, toolUseId, input })
  }

  private toolFinished({ content, isError, tool, toolUseId }: ToolResult): void {
    const since = this.tools.get(toolUseId)
    this.tools.delete(toolUseId)
    this.events.tell({
      _tag: "ToolFinished",
      callId: this.call.id,
      tool,
      toolUseId,
      isError,
      content,
      ...(since === undefined ? {} : { durationMs: this.now() - since })
    })
  }
}
