import * as Effect from "effect/Effect"
import { decode, type QueryOptions, toJsonSchema } from "../AgentOptions.js"
import type { InvalidOptionsError } from "../ClaudeError.js"

/**
 * Which options a record keeps: those that make the conversation what it is. Left out is what may hold secrets
 * (environment, MCP servers, settings, free arguments), what belongs to the machine or to the program of the moment
 * (paths of executables, time limits), and what the record has of its own.
 */
const kept: { readonly [Name in keyof QueryOptions]-?: boolean } = {
  model: true,
  fallbackModel: true,
  systemPrompt: true,
  appendSystemPrompt: true,
  excludeDynamicSections: true,
  systemPromptSnapshot: true,
  planModeInstructions: true,
  permissionMode: true,
  dangerouslySkipPermissions: true,
  allowDangerouslySkipPermissions: true,
  permissionPromptTool: true,
  permissionPrompts: true,
  allowedTools: true,
  disallowedTools: true,
  tools: true,
  toolAliases: true,
  skills: true,
  maxTurns: true,
  maxTokens: true,
  maxBudgetUsd: true,
  taskBudget: true,
  tags: true,
  billing: true,
  effort: true,
  thinking: true,
  thinkingDisplay: true,
  context: true,
  outputSchema: true,
  includePartialMessages: true,
  includeHookEvents: true,
  forwardSubagentText: true,
  addDirs: true,
  projectConfigRoot: true,
  strictMcpConfig: true,
  agents: true,
  agent: true,
  settingSources: true,
  isolated: true,
  sandbox: true,
  pluginDirs: true,
  disableSlashCommands: true,
  resumeSessionAt: true,
  resumeDropsTurn: true,
  forkSession: true,
  persistSession: true,
  fileCheckpointing: true,
  betas: true,
  timeout: false,
  startupTimeout: false,
  stallTimeout: false,
  backgroundTimeout: false,
  cwd: false,
  env: false,
  cliPath: false,
  mcpServers: false,
  mcpTimeout: false,
  settings: false,
  resume: false,
  continueSession: false,
  sessionId: false,
  title: false,
  debug: false,
  debugFile: false,
  extraArgs: false
}

/** What a record keeps of a session's options, as plain JSON. */
export const toRecord = (options: QueryOptions): Readonly<Record<string, unknown>> => {
  const { agents, outputSchema, ...plain } = only(options)
  return {
    ...plain,
    ...(outputSchema === undefined ? {} : { outputSchema: toJsonSchema(outputSchema) }),
    ...(agents === undefined ? {} : { agents: Object.fromEntries(Object.entries(agents).map(withoutServers)) })
  }
}

/** The options that a record has kept. What this version does not know of them is left out. */
export const fromRecord = (
  stored: Readonly<Record<string, unknown>>
): Effect.Effect<QueryOptions, InvalidOptionsError> => {
  const { forkSession, resumeDropsTurn, resumeSessionAt, ...rest } = stored
  return Effect.map(
    decode(Object.fromEntries(Object.entries(rest).filter(([name]) => isKept(name)))),
    only
  )
}

// ---------------------------------------------------------------------------

const isKept = (name: string): boolean => Object.hasOwn(kept, name) && kept[name as keyof QueryOptions]

const only = (options: QueryOptions): QueryOptions =>
  Object.fromEntries(Object.entries(options).filter(([name, value]) => value !== undefined && isKept(name)))

/** A subagent may have servers of its own, and they their secrets. */
const withoutServers = ([name, { description, disallowedTools, model, prompt, tools }]: readonly [
  string,
  NonNullable<QueryOptions["agents"]>[string]
]) => [name, { description, prompt, tools, disallowedTools, model }] as const
