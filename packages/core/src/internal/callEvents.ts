import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { EventsService } from "../Events.js"
import type { Message, Usage } from "../Message.js"
import { addUsage, noUsage } from "./figures.js"
import * as KnownCalls from "./knownCalls.js"
import type { ObservedCall } from "./observation.js"
import { lookedOnAt, type Onlooker } from "./onlooker.js"
import type { Open } from "./streamed.js"

/** Tells of a call: its beginning, its messages, its end. One that nobody listens to at its beginning is not told. */
export const whole = (events: EventsService, call: ObservedCall) => (open: Open): Open =>
  Effect.withFiberRuntime((fiber) => {
    if (events.silent()) return open
    const clock = Context.get(fiber.currentDefaultServices, Clock.Clock)
    const span = Option.getOrUndefined(Context.getOption(fiber.currentContext, Tracer.ParentSpan))
    return lookedOnAt(open, telling(events, call, () => clock.unsafeCurrentTimeMillis(), span?.traceId))
  })

/** It says nothing of the answer. */
export const isNotice = (message: Message): boolean =>
  notices.has(message._tag) || (message._tag === "User" && (message.replay || message.synthetic))

// ---------------------------------------------------------------------------

const notices: ReadonlySet<Message["_tag"]> = new Set(["Init", "Status", "ApiRetry", "RateLimit", "Hook"])

const telling = (
  events: EventsService,
  { id: callId, kind, options, prompt, sessionId, turnNumber }: ObservedCall,
  now: () => number,
  traceId: string | undefined
): Onlooker => {
  const startedAt = now()
  const toolsSince = new Map<string, number>()
  let session = ""
  let model = options.model ?? ""
  let firstAt: number | undefined
  let usage: Usage | undefined
  let costUsd = 0
  return {
    begin: () => {
      KnownCalls.remember(callId, { traceId, sessionId: () => session === "" ? sessionId() : session })
      const begun = { callId, model, prompt }
      events.tell(kind === "query" ? { _tag: "QueryStarted", ...begun } : { _tag: "TurnStarted", ...begun, turnNumber })
    },
    see: (batch) => {
      // Asked once for all: what nobody wants costs a comparison for each message.
      const messages = !events.silent("MessageReceived")
      const thinking = !events.silent("ThinkingReceived")
      const tools = !events.silent("ToolCalled") || !events.silent("ToolFinished")
      for (const message of batch) {
        if (message.sessionId !== "") session = message.sessionId
        if (firstAt === undefined && !isNotice(message)) firstAt = now()
        if (messages) events.tell({ _tag: "MessageReceived", callId, message })
        switch (message._tag) {
          case "Init":
            if (message.model !== "") model = message.model
            break
          case "Thinking":
            if (thinking) events.tell({ _tag: "ThinkingReceived", callId, content: message.content })
            break
          case "ToolUse":
            if (tools) {
              const { id: toolUseId, input, tool } = message
              toolsSince.set(toolUseId, now())
              events.tell({ _tag: "ToolCalled", callId, tool, toolUseId, input })
            }
            break
          case "ToolResult":
            if (tools) {
              const { content, isError, tool, toolUseId } = message
              const since = toolsSince.get(toolUseId)
              toolsSince.delete(toolUseId)
              const took = since === undefined ? {} : { durationMs: now() - since }
              events.tell({ _tag: "ToolFinished", callId, tool, toolUseId, isError, content, ...took })
            }
            break
          case "Result":
            if (message.origin === undefined) {
              usage = addUsage(usage ?? noUsage, message.usage)
              costUsd += message.costUsd
            }
        }
      }
    },
    end: (outcome, result, failure) => {
      const error = failure === "defect" ? undefined : failure
      const ended = {
        callId,
        outcome,
        model,
        durationMs: now() - startedAt,
        ...(error === undefined ? {} : { error }),
        ...(firstAt === undefined ? {} : { firstMessageMs: firstAt - startedAt }),
        ...(result === undefined ? {} : { usage, costUsd, result: result.result })
      }
      if (kind === "query") return events.tell({ _tag: "QueryEnded", ...ended })
      if (error !== undefined) events.tell({ _tag: "SessionError", callId, error })
      events.tell({ _tag: "TurnCompleted", ...ended, turnNumber })
    },
    /** What a process tells of its end belongs to the call. */
    gone: () => KnownCalls.forget(callId)
  }
}
