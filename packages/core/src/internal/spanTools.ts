import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import type { PermissionDenied, ToolResult, ToolUse } from "../Message.js"
import { contentOf } from "./spanContent.js"
import { Attribute, Span } from "./spanNames.js"
import { left, type Setting, spanFailure } from "./spanned.js"

/** The spans of an attempt's tools: from the model's use of one to its result. */
export class ToolSpans {
  private readonly attempt: Tracer.Span
  private readonly setting: Setting
  /** Also those that have ended: a subagent in the background goes on after its tool. */
  private readonly all = new Map<string, Tracer.Span>()
  private readonly open = new Set<Tracer.Span>()

  constructor(attempt: Tracer.Span, setting: Setting) {
    this.attempt = attempt
    this.setting = setting
  }

  begin({ id, input, parentToolUseId, tool }: ToolUse, at: bigint): void {
    if (this.all.has(id)) return
    const parent = parentToolUseId === undefined ? undefined : this.all.get(parentToolUseId)
    const { content, tracer } = this.setting
    const span = tracer.span(Span.tool, Option.some(parent ?? this.attempt), Context.empty(), [], at, "internal")
    span.attribute(Attribute.operationName, "execute_tool")
    span.attribute(Attribute.toolName, tool)
    span.attribute(Attribute.toolCallId, id)
    if (content) span.attribute(Attribute.toolInput, contentOf(input))
    this.all.set(id, span)
    this.open.add(span)
  }

  denied({ toolUseId }: PermissionDenied): void {
    this.all.get(toolUseId)?.attribute(Attribute.errorType, "permission_denied")
  }

  finish({ content, isError, toolUseId }: ToolResult, at: bigint): void {
    const span = this.all.get(toolUseId)
    if (span === undefined || !this.open.delete(span)) return
    if (this.setting.content) span.attribute(Attribute.toolOutput, content)
    if (isError && !span.attributes.has(Attribute.errorType)) span.attribute(Attribute.errorType, "tool_error")
    span.end(at, isError ? spanFailure("tool_error", "the tool has failed") : Exit.void)
  }

  /** Of those that still run, nobody hears any more. */
  end(at: bigint): void {
    for (const span of this.open) span.end(at, left)
    this.open.clear()
  }
}
