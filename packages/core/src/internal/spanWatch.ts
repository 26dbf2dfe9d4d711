import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import type { Message, ToolResult, ToolUse, Usage } from "../Message.js"
import { isNotice } from "./callEvents.js"
import { promptTokens } from "./figures.js"
import type { ObservedCall } from "./observation.js"
import { Attribute, Span, SpanEvent } from "./spanNames.js"
import { left, type Setting, spanFailure, type Watch } from "./spanned.js"

/** What a call's span says: whom it asked, what it used and what came of it. */
export const callWatch = (call: ObservedCall, span: Tracer.Span, { clock, content }: Setting): Watch => {
  const startedAt = clock.unsafeCurrentTimeNanos()
  let heard = false
  let sessionId = ""
  let model = ""
  if (content) span.attribute(Attribute.prompt, messagesOf("user", call.prompt))
  return {
    see: (batch) => {
      for (const message of batch) {
        if (!heard && !isNotice(message)) {
          heard = true
          const ms = Number(clock.unsafeCurrentTimeNanos() - startedAt) / 1e6
          span.attribute(Attribute.firstMessageMs, Math.round(ms))
        }
        if (message._tag === "Init") model = message.model
        else if (message._tag === "Assistant") {
          if (message.parentToolUseId === undefined && message.model !== synthetic) model = message.model
        } else if (message._tag !== "Result") continue
        if (message.sessionId !== "") sessionId = message.sessionId
      }
    },
    end: (_, result) => {
      const conversation = sessionId || call.sessionId()
      if (conversation !== "") span.attribute(Attribute.conversationId, conversation)
      if (model !== "") span.attribute(Attribute.responseModel, model)
      if (result === undefined) return
      sayUsage(span, result.usage)
      span.attribute(Attribute.costUsd, result.costUsd)
      span.attribute(Attribute.modelTurns, result.numTurns)
      if (result.stopReason !== null) span.attribute(Attribute.finishReasons, [result.stopReason])
      if (content) span.attribute(Attribute.answer, messagesOf("assistant", result.result))
    }
  }
}

/** What an attempt's span says, and its tools' spans. */
export const attemptWatch = (span: Tracer.Span, setting: Setting): Watch => {
  const { clock } = setting
  const tools = toolSpans(span, setting)
  const timeOf = (message: Message): bigint => readAt.get(message) ?? clock.unsafeCurrentTimeNanos()
  return {
    see: (batch) => {
      for (const message of batch) {
        switch (message._tag) {
          case "Init":
            span.attribute(Attribute.responseModel, message.model)
            span.attribute(Attribute.conversationId, message.sessionId)
            break
          case "ToolUse":
            tools.begin(message, timeOf(message))
            break
          case "ToolResult":
            tools.finish(message, timeOf(message))
            break
          case "PermissionDenied":
            tools.denied(message.toolUseId)
            break
          case "ApiRetry":
            span.event(SpanEvent.apiRetry, clock.unsafeCurrentTimeNanos(), {
              [Attribute.attemptNumber]: message.attempt,
              "ccflow.delay_ms": message.delayMs,
              ...(message.status === null ? {} : { "http.response.status_code": message.status })
            })
            break
          case "Compact":
            span.event(SpanEvent.compacted, clock.unsafeCurrentTimeNanos())
        }
      }
    },
    end: tools.end
  }
}

/** The same batch, with the time at which its tools' messages were read kept beside it. */
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

/** As the CLI calls the model of what it says itself. */
const synthetic = "<synthetic>"

/** OpenTelemetry counts what was cached as input; the API does not. */
const sayUsage = (span: Tracer.Span, usage: Usage): void => {
  span.attribute(Attribute.inputTokens, promptTokens(usage))
  for (const field of ["outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens"] as const) {
    span.attribute(Attribute[field], usage[field])
  }
}

/** The spans of an attempt's tools: from the model's use of one to its result. */
const toolSpans = (attempt: Tracer.Span, { content, tracer }: Setting) => {
  /** Also those that have ended: a subagent in the background goes on after its tool. */
  const all = new Map<string, Tracer.Span>()
  const open = new Set<Tracer.Span>()
  return {
    begin: ({ id, input, parentToolUseId, tool }: ToolUse, at: bigint): void => {
      if (all.has(id)) return
      const parent = parentToolUseId === undefined ? undefined : all.get(parentToolUseId)
      const span = tracer.span(Span.tool, Option.some(parent ?? attempt), Context.empty(), [], at, "internal")
      span.attribute(Attribute.operationName, "execute_tool")
      span.attribute(Attribute.toolName, tool)
      span.attribute(Attribute.toolCallId, id)
      if (content) span.attribute(Attribute.toolInput, contentOf(input))
      all.set(id, span)
      open.add(span)
    },
    denied: (toolUseId: string): void => all.get(toolUseId)?.attribute(Attribute.errorType, "permission_denied"),
    finish: (result: ToolResult, at: bigint): void => {
      const span = all.get(result.toolUseId)
      if (span === undefined || !open.delete(span)) return
      if (content) span.attribute(Attribute.toolOutput, result.content)
      if (result.isError && !span.attributes.has(Attribute.errorType)) span.attribute(Attribute.errorType, "tool_error")
      span.end(at, result.isError ? spanFailure("tool_error", "the tool has failed") : Exit.void)
    },
    /** Of those that still run, nobody hears any more. */
    end: (at: bigint): void => {
      for (const span of open) span.end(at, left)
      open.clear()
    }
  }
}

/** A message as OpenTelemetry writes those of a conversation. */
const messagesOf = (role: "user" | "assistant", content: unknown): string =>
  contentOf([{ role, parts: typeof content === "string" ? [{ type: "text", content }] : content }])

/** A prompt, an answer or a tool's input as the value of an attribute. */
const contentOf = (content: unknown): string => {
  if (typeof content === "string") return content
  try {
    return JSON.stringify(content) ?? ""
  } catch {
    return ""
  }
}
