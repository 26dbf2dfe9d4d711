/**
 * Which options of a query the API can honour, which make no difference there, and which it must refuse: a call that is
 * answered has been answered as it was asked for. Every option has its line, so that a new one cannot be forgotten.
 */
import type { QueryOptions } from "@ccflow/core/AgentOptions"

/**
 * `honoured`; `ignored`, because it means nothing without a CLI, without tools or with one turn; `refused`; or refused
 * with the values that this does not let pass.
 */
export type Support = "honoured" | "ignored" | "refused" | ((value: unknown) => boolean)

/** Passes what asks for none of them. */
const none = (value: unknown): boolean => typeof value === "object" && value !== null && Object.keys(value).length === 0

/** What changes where requests go or who pays is not for us to ignore. */
const harmlessEnv = (value: unknown): boolean =>
  typeof value === "object" && value !== null &&
  Object.entries(value).every(([name, set]) => set === undefined || !/^(ANTHROPIC|CLAUDE)_/.test(name))

export const support: { readonly [Option in keyof QueryOptions]-?: Support } = {
  model: "honoured",
  /** On 529, before the model has said anything. */
  fallbackModel: "honoured",
  /** Left out, there is none: Claude Code's own is the CLI's. */
  systemPrompt: "honoured",
  appendSystemPrompt: "honoured",
  context: "honoured",
  maxTokens: "honoured",
  effort: "honoured",
  thinking: "honoured",
  thinkingDisplay: "honoured",
  timeout: "honoured",
  stallTimeout: "honoured",
  outputSchema: "honoured",
  includePartialMessages: "honoured",
  sessionId: "honoured",
  betas: "honoured",
  tags: "honoured",
  /** One answer is one turn. */
  maxTurns: "ignored",
  /** No tool ever runs, so that nobody is asked, and nothing has to be kept from anything. */
  permissionMode: (value) => value !== "plan",
  dangerouslySkipPermissions: "ignored",
  allowDangerouslySkipPermissions: "ignored",
  permissionPrompts: "ignored",
  disallowedTools: "ignored",
  sandbox: "ignored",
  fileCheckpointing: "ignored",
  tools: none,
  allowedTools: none,
  skills: none,
  toolAliases: none,
  mcpServers: none,
  agents: none,
  /** No settings are read, and no MCP server is started. */
  isolated: "ignored",
  strictMcpConfig: "ignored",
  settingSources: none,
  /** No transcript is kept. */
  persistSession: (value) => value === false,
  title: "ignored",
  /** There is no process, no subagent, no hook and nothing to debug. */
  cliPath: "ignored",
  startupTimeout: "ignored",
  backgroundTimeout: "ignored",
  mcpTimeout: "ignored",
  includeHookEvents: "ignored",
  forwardSubagentText: "ignored",
  debug: "ignored",
  debugFile: "ignored",
  disableSlashCommands: "ignored",
  /** They are about Claude Code's own system prompt. */
  excludeDynamicSections: "ignored",
  systemPromptSnapshot: "ignored",
  env: harmlessEnv,
  extraArgs: none,
  pluginDirs: none,
  addDirs: none,
  /** The answer would be one without the directory. */
  cwd: "refused",
  projectConfigRoot: "refused",
  settings: "refused",
  permissionPromptTool: "refused",
  planModeInstructions: "refused",
  agent: "refused",
  /** What an answer costs is known when it has been given. */
  maxBudgetUsd: "refused",
  taskBudget: "refused",
  /** It asks with a key. */
  billing: (value) => value === "apiKey",
  resume: "refused",
  resumeSessionAt: "refused",
  resumeDropsTurn: "refused",
  continueSession: (value) => value === false,
  forkSession: (value) => value === false
}

/** The options among these that the API cannot honour. */
export const unsupported = (options: QueryOptions): ReadonlyArray<string> =>
  Object.entries(options).flatMap(([name, value]) => value === undefined || passes(name, value) ? [] : [name])

// ---------------------------------------------------------------------------

const known: ReadonlyMap<string, Support> = new Map(Object.entries(support))

const passes = (name: string, value: unknown): boolean => {
  const how = known.get(name)
  return typeof how === "function" ? how(value) : how === "honoured" || how === "ignored"
}
