/**
 * What can be asked of a running session and changed in it, beside its turns. Each question goes to the CLI, which is
 * started for it when it does not run, and is answered within 10 seconds or fails with a `CliProtocolError`.
 */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { PermissionMode } from "./AgentOptions.js"
import type { ClaudeError } from "./ClaudeError.js"

const open = { key: Schema.String, value: Schema.Unknown }
const text = Schema.optional(Schema.NullOr(Schema.String))

/** How full the model's context window is, by what fills it. In tokens, as the CLI estimates them. */
export const ContextUsage = Schema.Struct({
  totalTokens: Schema.Number,
  maxTokens: Schema.Number,
  percentage: Schema.Number,
  categories: Schema.Array(Schema.Struct({ name: Schema.String, tokens: Schema.Number }, open))
}, open)
export type ContextUsage = typeof ContextUsage.Type

/** An MCP server. `status` is `connected`, `failed`, `needs-auth`, `pending` or `disabled`. */
export const McpServerStatus = Schema.Struct({ name: Schema.String, status: Schema.String, error: text }, open)
export type McpServerStatus = typeof McpServerStatus.Type

/** A slash command, or a skill that is called like one. */
export const SlashCommand = Schema.Struct({ name: Schema.String, description: text, argumentHint: text }, open)
export type SlashCommand = typeof SlashCommand.Type

/** A model that can be chosen: `value` is what `model` takes. */
export const ModelInfo = Schema.Struct({ value: Schema.String, displayName: text, description: text }, open)
export type ModelInfo = typeof ModelInfo.Type

/** A subagent that the model can give work to. */
export const AgentInfo = Schema.Struct({ name: Schema.String, description: text }, open)
export type AgentInfo = typeof AgentInfo.Type

/** Who is logged in, and so who pays. */
export const AccountInfo = Schema.Struct({
  email: text,
  organization: text,
  subscriptionType: text,
  tokenSource: text,
  apiKeySource: text,
  apiProvider: text
}, open)
export type AccountInfo = typeof AccountInfo.Type

/** What rewinding did, or would do. */
export const RewoundFiles = Schema.Struct({
  canRewind: Schema.Boolean,
  error: text,
  filesChanged: Schema.optional(Schema.NullOr(Schema.Array(Schema.String))),
  insertions: Schema.optional(Schema.NullOr(Schema.Number)),
  deletions: Schema.optional(Schema.NullOr(Schema.Number))
}, open)
export type RewoundFiles = typeof RewoundFiles.Type

type Answer<A = void> = Effect.Effect<A, ClaudeError>

export interface SessionControl {
  /** From the model's next request on, also in later processes of the session. Left out: the CLI's default. */
  readonly setModel: (model?: string) => Answer
  /** `bypassPermissions` needs `allowDangerouslySkipPermissions` from the start. */
  readonly setPermissionMode: (mode: PermissionMode) => Answer
  /** Tokens of thinking for each request; 0 turns it off. Left out: the model's default. */
  readonly setMaxThinkingTokens: (tokens?: number) => Answer
  /** The CLI asks the API to count: this takes longer than the others. */
  readonly contextUsage: Answer<ContextUsage>
  readonly mcpStatus: Answer<ReadonlyArray<McpServerStatus>>
  readonly reconnectMcpServer: (name: string) => Answer
  readonly toggleMcpServer: (name: string, enabled: boolean) => Answer
  readonly supportedCommands: Answer<ReadonlyArray<SlashCommand>>
  readonly supportedModels: Answer<ReadonlyArray<ModelInfo>>
  readonly supportedAgents: Answer<ReadonlyArray<AgentInfo>>
  readonly accountInfo: Answer<AccountInfo>
  /** Ends background work by the id that `Task` messages have. */
  readonly stopTask: (taskId: string) => Answer
  /**
   * Puts files back to what they were before the message with this id, which is the `turnId` of its turn. Needs
   * `fileCheckpointing`. Without `dryRun` it fails where files cannot be rewound.
   */
  readonly rewindFiles: (messageId: string, options?: { readonly dryRun?: boolean }) => Answer<RewoundFiles>
}
