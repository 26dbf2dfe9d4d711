/**
 * What the CLI tells a hook, by event: its own fields in camelCase, and all of them as they came in `raw`.
 *
 * What is listed was observed on 2.1.330 or is declared by it. A field that a gate could decide on is required, so that a
 * changed CLI makes the gate close and not decide on nothing.
 */
import * as Schema from "effect/Schema"

const text = Schema.String
const maybe = Schema.optional

const common = {
  sessionId: text,
  transcriptPath: maybe(text),
  cwd: text,
  promptId: maybe(text),
  permissionMode: maybe(text),
  /** The subagent that the event happened in; absent on the main thread. */
  agentId: maybe(text),
  agentType: maybe(text)
}

const open = { key: Schema.String, value: Schema.Unknown }

const event = <const Fields extends Schema.Struct.Fields>(fields: Fields) =>
  Schema.Struct({ ...common, ...fields, raw: Schema.Record(open) })

const mcpServer = maybe(Schema.Struct({ name: text, source: maybe(text) }))
const toolUse = { toolName: text, toolInput: Schema.Unknown, toolUseId: text, mcpServer }
const ending = { stopHookActive: maybe(Schema.Boolean), lastAssistantMessage: maybe(text) }
const compaction = { trigger: text }
const modelSwitch = {
  fromModel: text,
  toModel: text,
  requestedModel: maybe(text),
  source: text,
  contextTokens: maybe(Schema.Number),
  estimatedCacheWriteUsd: maybe(Schema.Number)
}
const task = {
  taskId: text,
  taskSubject: text,
  taskDescription: maybe(text),
  teammateName: maybe(text),
  teamName: maybe(text)
}
const elicitation = { mcpServerName: text, elicitationId: maybe(text), mode: maybe(text) }

/** By the event's name. Which of them reach a program was observed: see `Hooks`. */
export const inputs = {
  /** Before a tool runs, also one that needs no permission. */
  PreToolUse: event(toolUse),
  PostToolUse: event({ ...toolUse, toolResponse: Schema.Unknown, durationMs: maybe(Schema.Number) }),
  PostToolUseFailure: event({ ...toolUse, error: text, isInterrupt: maybe(Schema.Boolean) }),
  /** After all tools of one message of the model. */
  PostToolBatch: event({ toolCalls: Schema.Array(Schema.Unknown) }),
  /** Before the permission handler is asked. */
  PermissionRequest: event({
    toolName: text,
    toolInput: Schema.Unknown,
    permissionSuggestions: maybe(Schema.Array(Schema.Unknown)),
    mcpServer
  }),
  PermissionDenied: event({ ...toolUse, reason: text }),
  UserPromptSubmit: event({ prompt: text, source: maybe(text), sessionTitle: maybe(text) }),
  UserPromptExpansion: event({
    expansionType: text,
    commandName: text,
    commandArgs: text,
    commandSource: maybe(text),
    prompt: text
  }),
  Stop: event(ending),
  StopFailure: event({ error: text, errorDetails: maybe(text), lastAssistantMessage: maybe(text) }),
  SubagentStart: event({ agentId: text, agentType: text }),
  SubagentStop: event({ ...ending, agentId: text, agentType: maybe(text), agentTranscriptPath: maybe(text) }),
  PreCompact: event({ ...compaction, customInstructions: maybe(text) }),
  PostCompact: event({ ...compaction, compactSummary: text }),
  PreModelSwitch: event(modelSwitch),
  PostModelSwitch: event(modelSwitch),
  Notification: event({ message: text, title: maybe(text), notificationType: text }),
  SessionStart: event({ source: text, model: maybe(text), sessionTitle: maybe(text) }),
  SessionEnd: event({ reason: text }),
  Setup: event({ trigger: text }),
  TeammateIdle: event({ teammateName: text, teamName: text }),
  TaskCreated: event(task),
  TaskCompleted: event(task),
  Elicitation: event({ ...elicitation, message: text, url: maybe(text), requestedSchema: maybe(Schema.Record(open)) }),
  ElicitationResult: event({ ...elicitation, action: text, content: maybe(Schema.Record(open)) }),
  ConfigChange: event({ source: text, filePath: maybe(text) }),
  InstructionsLoaded: event({ filePath: text, memoryType: text, loadReason: text }),
  WorktreeCreate: event({ name: text }),
  WorktreeRemove: event({ worktreePath: text }),
  CwdChanged: event({ oldCwd: text, newCwd: text }),
  FileChanged: event({ filePath: text, event: text }),
  DirectoryAdded: event({ directory: text, source: text }),
  MessageDisplay: event({ turnId: text, messageId: text, index: Schema.Number, final: Schema.Boolean, delta: text })
}

export type HookEvent = keyof typeof inputs

export type HookInput<Event extends HookEvent = HookEvent> = (typeof inputs)[Event]["Type"]
