import type * as Clock from "effect/Clock"
import type * as Tracer from "effect/Tracer"
import type { Message, Result, Usage } from "../Message.js"
import { promptTokens } from "./figures.js"
import type { ObservedCall } from "./observation.js"
import { messagesOf } from "./spanContent.js"
import { Attribute, SpanEvent } from "./spanNames.js"
import type { Setting, Watch } from "./spanned.js"
import { ToolSpans } from "./spanTools.js"

/** What is known of the user's answer. */
class Answered {
  protected result: Result | undefined

  readonly answered = (): boolean => this.result !== undefined && !this.result.isError

  readonly interrupted = (): boolean => this.result?.interrupted === true

  protected ended(result: Result): void {
    if (result.origin === undefined) this.result = result
  }
}

/** What a call's span says: whom it asked, what it used and what came of it. @internal */
export class CallWatch extends Answered implements Watch {
  private readonly call: ObservedCall
  private readonly span: Tracer.Span
  private readonly setting: Setting
  private readonly startedAt: bigint
  private heard = false
  private sessionId = ""
  private model = ""

  constructor(call: ObservedCall, span: Tracer.Span, setting: Setting) {
    super()
    this.call = call
    this.span = span
    this.setting = setting
    this.startedAt = setting.clock.unsafeCurrentTimeNanos()
    if (setting.content) span.attribute(Attribute.prompt, messagesOf("user", call.prompt))
  }

  see(batch: ReadonlyArray<Message>): void {
    for (const message of batch) {
      if (!this.heard && !notices.has(message._tag)) {
        this.heard = true
        const ms = Number(this.setting.clock.unsafeCurrentTimeNanos() - this.startedAt) / 1e6
        this.span.attribute(Attribute.firstMessageMs, Math.round(ms))
      }
      switch (message._tag) {
        case "Init":
          this.model = message.model
          break
        case "Assistant":
          if (message.parentToolUseId === undefined && message.model !== synthetic) this.model = message.model
          break
        case "Result":
          this.ended(message)
          break
        default:
          continue
      }
      if (message.sessionId !== "") this.sessionId = message.sessionId
    }
  }

  end(): void {
    const { model, result, setting, span } = this
    const sessionId = this.sessionId || this.call.sessionId()
    if (sessionId !== "") span.attribute(Attribute.conversationId, sessionId)
    if (model !== "") span.attribute(Attribute.responseModel, model)
    if (result === undefined) return
    sayUsage(span, result.usage)
    span.attribute(Attribute.costUsd, result.costUsd)
    span.attribute(Attribute.modelTurns, result.numTurns)
    if (result.stopReason !== null) span.attribute(Attribute.finishReasons, [result.stopReason])
    if (setting.content) span.attribute(Attribute.answer, messagesOf("assistant", result.result))
  }
}

/** What an attempt's span says, and its tools' spans. @internal */
export class AttemptWatch extends Answered implements Watch {
  private readonly span: Tracer.Span
  private readonly clock: Clock.Clock
  private readonly tools: ToolSpans

  constructor(span: Tracer.Span, setting: Setting) {
    super()
    this.span = span
    this.clock = setting.clock
    this.tools = new ToolSpans(span, setting)
  }

  see(batch: ReadonlyArray<Message>): void {
    for (const message of batch) {
      switch (message._tag) {
        case "Init":
          this.span.attribute(Attribute.responseModel, message.model)
          this.span.attribute(Attribute.conversationId, message.sessionId)
          break
        case "ToolUse":
          this.tools.begin(message, this.readAt(message))
          break
        case "ToolResult":
          this.tools.finish(message, this.readAt(message))
          break
        case "PermissionDenied":
          this.tools.denied(message)
          break
        case "ApiRetry":
          this.span.event(SpanEvent.apiRetry, this.clock.unsafeCurrentTimeNanos(), {
            [Attribute.attemptNumber]: message.attempt,
            "ccflow.delay_ms": message.delayMs,
            ...(message.status === null ? {} : { "http.response.status_code": message.status })
          })
          break
        case "Compact":
          this.span.event(SpanEvent.compacted, this.clock.unsafeCurrentTimeNanos())
          break
        case "Result":
          this.ended(message)
          break
      }
    }
  }

  end(at: bigint): void {
    this.tools.end(at)
  }

  private readAt(message: Message): bigint {
    return readAt.get(message) ?? this.clock.unsafeCurrentTimeNanos()
  }
}

/** The same batch, with the time at which its tools' messages were read kept beside it. @internal */
export const stamped = (batch: ReadonlyArray<Message>, clock: Clock.Clock): ReadonlyArray<Message> => {
  let now: bigint | undefined
  for (const message of batch) {
    if (message._tag === "ToolUse" || message._tag === "ToolResult") {
      readAt.set(message, now ??= clock.unsafeCurrentTimeNanos())
    }
  }
  return batch
}

// ---------------------------------------------------------------------------

const readAt = new WeakMap<Message, bigint>()

/** What the CLI says before, and beside, an answer. */
const notices: ReadonlySet<Message["_tag"]> = new Set(["Init", "Status", "ApiRetry", "RateLimit", "Hook", "User"])

/** As the CLI calls the model of what it says itself. */
const synthetic = "<synthetic>"

/** OpenTelemetry counts what was cached as input; the API does not. */
const sayUsage = (span: Tracer.Span, usage: Usage): void => {
  span.attribute(Attribute.inputTokens, promptTokens(usage))
  for (const field of ["outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens"] as const) {
    span.attribute(Attribute[field], usage[field])
  }
}
