import * as Schema from "effect/Schema"
import * as CliFrame from "../CliFrame.js"
import type { Message, Task } from "../Message.js"
import type { UnfinishedMessage } from "../MessageParser.js"
import { guard } from "./guard.js"
import { Thread } from "./thread.js"
import { modelUsageOf, UsageDelta, usageOf } from "./usageDelta.js"

/**
 * What must be remembered between frames to tell them: the message that each thread is in, the names of tools by their
 * use, what was used so far. Nothing of it outlives its turn or its subagent.
 *
 * Messages are written out field by field: an object of many fields made by spreading costs fifty times as much.
 */
export class Conversation {
  sessionId = ""
  /** Frames that are answered, and not told. */
  control: Array<CliFrame.Control> = []
  private readonly delta = new UsageDelta()
  private readonly main = new Thread(undefined)
  private readonly subagents = new Map<string, Thread>()
  /** What was unfinished when the output ended. */
  private left: ReadonlyArray<UnfinishedMessage> = []

  /** The output has ended: what was only begun is withdrawn, what was complete is told. */
  end(out: Array<Message>): void {
    this.left = this.unfinished()
    this.main.finish(out)
    for (const thread of this.subagents.values()) thread.finish(out)
    this.subagents.clear()
  }

  /** Since the last result. */
  unfinished(): ReadonlyArray<UnfinishedMessage> {
    return [...this.left, ...[this.main, ...this.subagents.values()].flatMap((thread) => thread.unfinished())]
  }

  takeControl(): ReadonlyArray<CliFrame.Control> {
    const taken = this.control
    if (taken.length > 0) this.control = []
    return taken
  }

  assistant(out: Array<Message>, frame: CliFrame.Assistant): void {
    const thread = this.thread(out, frame.parent_tool_use_id)
    thread.line(out, frame)
    for (const block of frame.message.content) {
      if (block.type === "text" && typeof block.text === "string") thread.whole(out, "Text", block.text, frame.uuid)
      else if (block.type === "thinking" && typeof block.thinking === "string") {
        thread.whole(out, "Thinking", block.thinking, frame.uuid)
      } else if (typeof block.id === "string" && typeof block.name === "string") {
        thread.tools.set(block.id, block.name)
        out.push({
          _tag: "ToolUse",
          sessionId: this.sessionId,
          uuid: frame.uuid ?? undefined,
          parentToolUseId: frame.parent_tool_use_id ?? undefined,
          messageId: frame.message.id,
          id: block.id,
          tool: block.name,
          input: block.input
        })
      } else if (typeof block.tool_use_id === "string") this.toolResult(out, thread, frame, block, undefined)
    }
    if (typeof frame.error === "string") {
      out.push({
        _tag: "Error",
        sessionId: this.sessionId,
        uuid: frame.uuid ?? undefined,
        parentToolUseId: frame.parent_tool_use_id ?? undefined,
        code: frame.error,
        content: textOf(frame.message.content),
        status: frame.api_error_status ?? undefined,
        type: frame.api_error_type ?? undefined,
        apiError: frame.api_error ?? undefined,
        requestId: frame.request_id ?? undefined
      })
    }
  }

  user(out: Array<Message>, frame: CliFrame.User): void {
    const thread = this.thread(out, frame.parent_tool_use_id)
    const { content } = frame.message
    let rest = content
    if (typeof content !== "string") {
      const details = content.length === 1 ? frame.tool_use_result : undefined
      for (const block of content) {
        if (block.type === "tool_result") this.toolResult(out, thread, frame, block, details)
      }
      rest = content.filter((block) => block.type !== "tool_result")
      if (rest.length === 0) return
    }
    if (frame.isReplay !== true) thread.next(out)
    out.push({
      _tag: "User",
      sessionId: this.sessionId,
      uuid: frame.uuid ?? undefined,
      parentToolUseId: frame.parent_tool_use_id ?? undefined,
      content: typeof rest === "string" ? rest : textOf(rest),
      blocks: typeof rest === "string" ? undefined : rest,
      synthetic: frame.isSynthetic === true,
      replay: frame.isReplay === true
    })
  }

  messageStart(out: Array<Message>, frame: CliFrame.MessageStart): void {
    this.thread(out, frame.parent_tool_use_id).start(out, frame.event.message)
  }

  blockDelta(out: Array<Message>, frame: CliFrame.BlockDelta): void {
    const { delta, index } = frame.event
    const thread = this.thread(out, frame.parent_tool_use_id)
    if (typeof delta.text === "string") thread.delta(out, "Text", index ?? 0, delta.text, frame.uuid)
    else if (typeof delta.thinking === "string") thread.delta(out, "Thinking", index ?? 0, delta.thinking, frame.uuid)
  }

  messageDelta(out: Array<Message>, frame: CliFrame.MessageDelta): void {
    const { delta, usage } = frame.event
    this.thread(out, frame.parent_tool_use_id).ending(delta?.stop_reason ?? null, usage)
  }

  messageStop(out: Array<Message>, frame: CliFrame.MessageStop): void {
    this.thread(out, frame.parent_tool_use_id).stop(out, frame.abandoned_blocks?.from_block_index)
  }

  result(out: Array<Message>, frame: CliFrame.Result): void {
    this.main.finish(out)
    this.main.tools.clear()
    this.main.forget()
    for (const thread of this.subagents.values()) thread.forget()
    const uuid = frame.uuid ?? undefined
    const stopReason = frame.stop_reason ?? null
    const usage = usageOf(frame.usage)
    const { costUsd, turnUsage, unpriced } = this.delta.take(frame)
    out.push({ _tag: "Stop", sessionId: this.sessionId, uuid, parentToolUseId: undefined, stopReason, usage })
    out.push({
      _tag: "Result",
      sessionId: this.sessionId,
      uuid,
      parentToolUseId: undefined,
      result: frame.result ?? (frame.errors ?? []).filter((error) => !error.startsWith(diagnostic)).join("\n"),
      structuredOutput: frame.structured_output,
      subtype: frame.subtype,
      isError: frame.is_error,
      stopReason,
      terminalReason: frame.terminal_reason ?? undefined,
      interrupted: frame.terminal_reason?.startsWith("aborted") === true,
      usage,
      costUsd,
      totalCostUsd: this.delta.total,
      modelUsage: modelUsageOf(frame.modelUsage),
      turnUsage,
      unpriced,
      numTurns: frame.num_turns ?? 0,
      durationMs: frame.duration_ms ?? 0,
      durationApiMs: frame.duration_api_ms ?? undefined,
      timeToFirstTokenMs: frame.ttft_ms ?? undefined,
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
      subagents: frame.subagent_stats == null ? undefined : {
        spawned: frame.subagent_stats.spawned ?? 0,
        completed: frame.subagent_stats.completed ?? 0,
        failed: frame.subagent_stats.failed ?? 0
      },
      userMessageUuids: frame.user_message_uuids ?? undefined
    })
  }

  /** `conversation_reset`: what follows is another conversation. */
  cleared(): void {
    this.delta.clear()
  }

  init(out: Array<Message>, frame: CliFrame.Init): void {
    this.main.finish(out)
    out.push({
      _tag: "Init",
      sessionId: this.sessionId,
      uuid: frame.uuid ?? undefined,
      parentToolUseId: undefined,
      model: frame.model,
      cwd: frame.cwd ?? "",
      tools: frame.tools,
      mcpServers: (frame.mcp_servers ?? []).map(({ name, source, status }) => ({
        name,
        status,
        source: source ?? undefined
      })),
      permissionMode: frame.permissionMode ?? "",
      apiKeySource: frame.apiKeySource ?? "",
      cliVersion: frame.claude_code_version ?? "",
      slashCommands: frame.slash_commands ?? [],
      agents: frame.agents ?? [],
      skills: frame.skills ?? [],
      plugins: frame.plugins?.map(({ name, path, source, version }) => ({
        name,
        path: path ?? undefined,
        source: source ?? undefined,
        version: version ?? undefined
      })),
      capabilities: frame.capabilities ?? [],
      outputStyle: frame.output_style ?? "",
      userMessageUuids: frame.user_message_uuids ?? undefined
    })
  }

  task(out: Array<Message>, phase: Task["phase"], frame: CliFrame.Task): void {
    if (phase === "notification" && typeof frame.tool_use_id === "string") this.closeSubagent(out, frame.tool_use_id)
    out.push({
      _tag: "Task",
      sessionId: this.sessionId,
      uuid: frame.uuid ?? undefined,
      parentToolUseId: undefined,
      phase,
      taskId: frame.task_id,
      toolUseId: frame.tool_use_id ?? undefined,
      description: frame.summary ?? frame.description ?? "",
      status: frame.status ?? frame.patch?.status ?? undefined,
      // 2.1.197 does not say: what has been started and not ended lives.
      background: frame.is_backgrounded ?? phase === "started",
      taskType: frame.task_type ?? undefined,
      subagentType: frame.subagent_type ?? undefined,
      lastTool: frame.last_tool_name ?? undefined,
      usage: frame.usage == null ? undefined : {
        totalTokens: frame.usage.total_tokens ?? 0,
        toolUses: frame.usage.tool_uses ?? 0,
        durationMs: frame.usage.duration_ms ?? 0
      },
      live: [],
      raw: frame
    })
  }

  private thread(out: Array<Message>, parent: string | null | undefined): Thread {
    const thread = parent == null ? this.main : this.subagents.get(parent) ?? this.openSubagent(out, parent)
    thread.sessionId = this.sessionId
    return thread
  }

  /** Subagents whose end the CLI does not tell must not gather over a long session. */
  private openSubagent(out: Array<Message>, toolUseId: string): Thread {
    const [oldest] = this.subagents.keys()
    if (oldest !== undefined && this.subagents.size >= maxSubagents) this.closeSubagent(out, oldest)
    const thread = new Thread(toolUseId)
    this.subagents.set(toolUseId, thread)
    return thread
  }

  private closeSubagent(out: Array<Message>, toolUseId: string): void {
    this.subagents.get(toolUseId)?.finish(out)
    this.subagents.delete(toolUseId)
  }

  private toolResult(
    out: Array<Message>,
    thread: Thread,
    frame: CliFrame.User | CliFrame.Assistant,
    block: CliFrame.Block,
    details: unknown
  ): void {
    const toolUseId = block.tool_use_id ?? ""
    const tool = thread.tools.get(toolUseId) ?? ""
    thread.tools.delete(toolUseId)
    this.closeSubagent(out, toolUseId)
    const { content } = block
    const blocks = isBlocks(content) ? content : undefined
    out.push({
      _tag: "ToolResult",
      sessionId: this.sessionId,
      uuid: frame.uuid ?? undefined,
      parentToolUseId: frame.parent_tool_use_id ?? undefined,
      toolUseId,
      tool,
      content: typeof content === "string" ? content : blocks === undefined ? "" : textOf(blocks),
      isError: block.is_error === true,
      blocks,
      details
    })
  }
}

const maxSubagents = 1000

/** What an interrupted turn has in place of an error: for the CLI's makers, not for people. */
const diagnostic = "[ede_diagnostic]"

const isBlocks = guard(Schema.Array(CliFrame.Block))

const textOf = (content: ReadonlyArray<CliFrame.Block>): string =>
  content.map((block) => block.type === "text" ? block.text ?? "" : "").join("")
