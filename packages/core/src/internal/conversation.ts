import * as Schema from "effect/Schema"
import * as CliFrame from "../CliFrame.js"
import type { Message, ModelUsage, Task, Usage } from "../Message.js"
import { guard } from "./guard.js"
import { Thread } from "./thread.js"

/**
 * What must be remembered between frames to tell them: the message that each thread is in, the names of tools by their
 * use, the cost so far.
 *
 * @internal
 */
export class Conversation {
  sessionId = ""
  private cost = 0
  private readonly tools = new Map<string, string>()
  private readonly threads = new Map<string, Thread>()

  /** The output has ended: what was only begun is withdrawn, what was complete is told. */
  end(out: Array<Message>): void {
    for (const thread of this.threads.values()) thread.close(out)
  }

  assistant(out: Array<Message>, frame: CliFrame.Assistant): void {
    const thread = this.thread(frame)
    thread.line(out, frame)
    for (const block of frame.message.content) {
      if (block.type === "text" && typeof block.text === "string") thread.whole(out, "Text", block.text)
      else if (block.type === "thinking" && typeof block.thinking === "string") {
        thread.whole(out, "Thinking", block.thinking)
      } else if (typeof block.id === "string" && typeof block.name === "string") {
        this.tools.set(block.id, block.name)
        out.push({
          ...this.common(frame),
          _tag: "ToolUse",
          messageId: frame.message.id,
          id: block.id,
          tool: block.name,
          input: block.input
        })
      } else if (typeof block.tool_use_id === "string") this.toolResult(out, frame, block, undefined)
    }
    if (typeof frame.error === "string") {
      out.push({
        ...this.common(frame),
        _tag: "Error",
        code: frame.error,
        content: textOf(frame.message.content),
        status: frame.api_error_status ?? undefined,
        type: frame.api_error_type ?? undefined,
        apiError: frame.api_error ?? undefined
      })
    }
  }

  user(out: Array<Message>, frame: CliFrame.User): void {
    this.threads.get(frame.parent_tool_use_id ?? "")?.next(out)
    const { content } = frame.message
    const rest: Array<CliFrame.Block> = []
    if (typeof content !== "string") {
      const alone = content.length === 1
      for (const block of content) {
        if (block.type === "tool_result") this.toolResult(out, frame, block, alone ? frame.tool_use_result : undefined)
        else rest.push(block)
      }
      if (rest.length === 0) return
    }
    out.push({
      ...this.common(frame),
      _tag: "User",
      content: typeof content === "string" ? content : textOf(rest),
      blocks: typeof content === "string" ? undefined : blocks(rest),
      synthetic: frame.isSynthetic === true,
      replay: frame.isReplay === true
    })
  }

  streamEvent(out: Array<Message>, frame: CliFrame.StreamEvent): void {
    const thread = this.thread(frame)
    const { event } = frame
    switch (event.type) {
      case "message_start":
        if (event.message != null) thread.start(out, event.message)
        return
      case "content_block_delta":
        if (event.delta == null) return
        if (typeof event.delta.text === "string") {
          thread.delta(out, "Text", event.index ?? 0, event.delta.text, frame.uuid)
        } else if (typeof event.delta.thinking === "string") {
          thread.delta(out, "Thinking", event.index ?? 0, event.delta.thinking, frame.uuid)
        }
        return
      case "message_delta":
        return thread.ending(event.delta?.stop_reason ?? null, event.usage)
      case "message_stop":
        return thread.stop(out, frame.abandoned_blocks?.from_block_index)
    }
  }

  result(out: Array<Message>, frame: CliFrame.Result): void {
    this.threads.get("")?.close(out)
    const common = this.common(frame)
    const total = frame.total_cost_usd ?? this.cost
    const since = frame.model_usage_since_last_result
    const cost = since == null
      ? Math.max(0, total - this.cost)
      : Object.values(since).reduce((sum, usage) => sum + (usage.costUSD ?? 0), 0)
    this.cost = total
    const stopReason = frame.stop_reason ?? null
    const usage = usageOf(frame.usage)
    out.push({ ...common, _tag: "Stop", stopReason, usage })
    out.push({
      ...common,
      _tag: "Result",
      result: frame.result ?? (frame.errors ?? []).join("\n"),
      structuredOutput: frame.structured_output,
      subtype: frame.subtype,
      isError: frame.is_error,
      stopReason,
      terminalReason: frame.terminal_reason ?? undefined,
      usage,
      costUsd: cost,
      totalCostUsd: total,
      modelUsage: modelUsageOf(frame.modelUsage),
      numTurns: frame.num_turns ?? 0,
      durationMs: frame.duration_ms ?? 0,
      permissionDenials: (frame.permission_denials ?? []).map((denial) => ({
        tool: denial.tool_name,
        toolUseId: denial.tool_use_id ?? "",
        input: denial.tool_input
      })),
      errors: frame.errors ?? [],
      apiErrorStatus: frame.api_error_status ?? undefined,
      apiErrorType: frame.api_error_type ?? undefined,
      apiError: frame.api_error ?? undefined,
      startupFailure: frame.startup_failure_reason ?? undefined,
      origin: frame.origin == null ? undefined : frame.origin.kind ?? "unknown",
      userMessageUuids: frame.user_message_uuids ?? undefined
    })
  }

  init(out: Array<Message>, frame: CliFrame.Init): void {
    this.threads.get("")?.close(out)
    out.push({
      ...this.common(frame),
      _tag: "Init",
      model: frame.model,
      cwd: frame.cwd ?? "",
      tools: frame.tools,
      mcpServers: frame.mcp_servers ?? [],
      permissionMode: frame.permissionMode ?? "",
      apiKeySource: frame.apiKeySource ?? "",
      cliVersion: frame.claude_code_version ?? "",
      slashCommands: frame.slash_commands ?? [],
      agents: frame.agents ?? [],
      skills: frame.skills ?? [],
      capabilities: frame.capabilities ?? [],
      outputStyle: frame.output_style ?? ""
    })
  }

  task(phase: "started" | "progress" | "updated" | "notification") {
    return (out: Array<Message>, frame: CliFrame.Task): void => {
      if (phase === "notification" && typeof frame.tool_use_id === "string") this.closeSubagent(out, frame.tool_use_id)
      const message: Task = {
        ...this.common(frame),
        _tag: "Task",
        phase,
        taskId: frame.task_id,
        toolUseId: frame.tool_use_id ?? undefined,
        description: frame.summary ?? frame.description ?? "",
        status: frame.status ?? frame.patch?.status ?? undefined,
        background: frame.is_backgrounded === true,
        live: [],
        raw: frame
      }
      out.push(message)
    }
  }

  common(frame: CliFrame.Notice | Record<string, unknown>) {
    const { parent_tool_use_id: parent, uuid } = frame
    return {
      sessionId: this.sessionId,
      uuid: typeof uuid === "string" ? uuid : undefined,
      parentToolUseId: typeof parent === "string" ? parent : undefined
    }
  }

  private thread(frame: CliFrame.Assistant | CliFrame.StreamEvent): Thread {
    const id = frame.parent_tool_use_id ?? ""
    let thread = this.threads.get(id)
    if (thread === undefined) {
      thread = new Thread(frame.parent_tool_use_id ?? undefined)
      this.threads.set(id, thread)
    }
    thread.sessionId = this.sessionId
    return thread
  }

  private closeSubagent(out: Array<Message>, toolUseId: string): void {
    this.threads.get(toolUseId)?.close(out)
    this.threads.delete(toolUseId)
  }

  private toolResult(
    out: Array<Message>,
    frame: CliFrame.User | CliFrame.Assistant,
    block: CliFrame.Block,
    details: unknown
  ): void {
    const toolUseId = block.tool_use_id ?? ""
    const content = block.content
    const tool = this.tools.get(toolUseId) ?? ""
    this.tools.delete(toolUseId)
    this.closeSubagent(out, toolUseId)
    out.push({
      ...this.common(frame),
      _tag: "ToolResult",
      toolUseId,
      tool,
      content: typeof content === "string" ? content : isBlocks(content) ? textOf(content) : "",
      isError: block.is_error === true,
      blocks: isBlocks(content) ? blocks(content) : undefined,
      details
    })
  }
}

const usageOf = (usage: CliFrame.Usage | null | undefined): Usage => ({
  inputTokens: usage?.input_tokens ?? 0,
  outputTokens: usage?.output_tokens ?? 0,
  cacheReadInputTokens: usage?.cache_read_input_tokens ?? 0,
  cacheCreationInputTokens: usage?.cache_creation_input_tokens ?? 0
})

const modelUsageOf = (models: CliFrame.Result["modelUsage"]): Record<string, ModelUsage> =>
  Object.fromEntries(
    Object.entries(models ?? {}).map(([model, usage]) => [model, {
      inputTokens: usage.inputTokens ?? 0,
      outputTokens: usage.outputTokens ?? 0,
      cacheReadInputTokens: usage.cacheReadInputTokens ?? 0,
      cacheCreationInputTokens: usage.cacheCreationInputTokens ?? 0,
      costUsd: usage.costUSD ?? 0,
      webSearchRequests: usage.webSearchRequests ?? 0,
      contextWindow: usage.contextWindow ?? undefined
    }])
  )

const isBlocks = guard(Schema.Array(CliFrame.Block))

const textOf = (content: ReadonlyArray<CliFrame.Block>): string =>
  content.map((block) => block.type === "text" ? block.text ?? "" : "").join("")

/** The blocks as the CLI gave them: the schema names a few fields, the object has them all. */
const blocks = (content: ReadonlyArray<CliFrame.Block>) => content.map((block) => ({ ...block }))
