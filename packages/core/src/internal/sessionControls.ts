import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type ClaudeError, CliProtocolError } from "../ClaudeError.js"
import type { SessionControl } from "../SessionControl.js"
import * as Models from "../SessionControl.js"
import type { SessionProcess } from "./sessionProcess.js"

export const controlsOf = (process: SessionProcess): SessionControl => {
  const ask = <A, I>(
    subtype: string,
    schema: Schema.Schema<A, I>,
    fields: Readonly<Record<string, unknown>> = {}
  ): Effect.Effect<A, ClaudeError> =>
    Effect.suspend(() =>
      Effect.flatMap(process.request({ subtype, ...fields }), (reply) => decode(subtype, schema, reply))
    )

  const tell = (subtype: string, fields: Readonly<Record<string, unknown>>): Effect.Effect<void, ClaudeError> =>
    Effect.asVoid(process.request({ subtype, ...fields }))

  const initial = <A, I>(field: string, schema: Schema.Schema<A, I>): Effect.Effect<A, ClaudeError> =>
    Effect.suspend(() =>
      process.ready.pipe(
        Effect.flatMap((live) => live.initialized),
        Effect.flatMap((reply) => decode("initialize", schema, reply[field]))
      )
    )

  return {
    setModel: (model) => process.change({ subtype: "set_model", ...(model === undefined ? {} : { model }) }, { model }),
    setPermissionMode: (mode) =>
      process.change({ subtype: "set_permission_mode", mode: mode === "manual" ? "default" : mode }, {
        permissionMode: mode
      }),
    setMaxThinkingTokens: (tokens) =>
      process.change({ subtype: "set_max_thinking_tokens", max_thinking_tokens: tokens ?? null }, {
        thinking: tokens === undefined ? undefined : tokens === 0 ? "disabled" : { budgetTokens: tokens }
      }),
    contextUsage: ask("get_context_usage", Models.ContextUsage),
    mcpStatus: Effect.suspend(() => Effect.map(ask("mcp_status", McpStatus), ({ mcpServers }) => mcpServers)),
    reconnectMcpServer: (name) => tell("mcp_reconnect", { serverName: name }),
    toggleMcpServer: (name, enabled) => tell("mcp_toggle", { serverName: name, enabled }),
    supportedCommands: initial("commands", SlashCommands),
    supportedModels: initial("models", ModelInfos),
    supportedAgents: initial("agents", AgentInfos),
    accountInfo: initial("account", Models.AccountInfo),
    stopTask: (taskId) => tell("stop_task", { task_id: taskId }),
    rewindFiles: (messageId, { dryRun = false } = {}) =>
      ask("rewind_files", Models.RewoundFiles, { user_message_id: messageId, dry_run: dryRun })
  }
}

// ---------------------------------------------------------------------------

// A schema is made once, not for each session: it is large.
const SlashCommands = Schema.Array(Models.SlashCommand)
const ModelInfos = Schema.Array(Models.ModelInfo)
const AgentInfos = Schema.Array(Models.AgentInfo)
const McpStatus = Schema.Struct({ mcpServers: Schema.Array(Models.McpServerStatus) })

const decode = <A, I>(request: string, schema: Schema.Schema<A, I>, reply: unknown) =>
  Effect.mapError(
    Schema.decodeUnknown(schema)(reply),
    ({ message }) =>
      new CliProtocolError({
        request,
        detail: `its answer is not what it used to be: ${message}`,
        hint: "Use another version of the CLI, or update ccflow."
      })
  )
