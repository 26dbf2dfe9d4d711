import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import type { QueryOptions } from "../AgentOptions.js"
import { defaultGraces, type Invocation, type InvocationFile } from "../CliProcess.js"
import * as ContextEncoder from "../ContextEncoder.js"
import { isRecord } from "./guard.js"
import { toJsonSchema } from "./outputSchema.js"

/** The CLI's arguments: each valued flag one token, lists joined by commas. */
export const toArgs = (options: QueryOptions): ReadonlyArray<string> => {
  const { debug, fallbackModel, isolated, permissionMode, settings, thinking } = options
  return [
    "-p",
    "--input-format=stream-json",
    "--output-format=stream-json",
    "--verbose",
    ...valued("model", options.model),
    ...listed("fallback-model", typeof fallbackModel === "string" ? [fallbackModel] : fallbackModel),
    // Older versions know this mode by its first name only.
    ...valued("permission-mode", permissionMode === "manual" ? "default" : permissionMode),
    ...bare("dangerously-skip-permissions", options.dangerouslySkipPermissions),
    ...bare("allow-dangerously-skip-permissions", options.allowDangerouslySkipPermissions),
    ...valued("permission-prompt-tool", options.permissionPromptTool),
    ...valued("permission-prompts", options.permissionPrompts),
    ...listed("allowedTools", allowedTools(options)),
    ...listed("disallowedTools", options.disallowedTools),
    ...listed("tools", options.tools),
    ...valued("max-turns", options.maxTurns),
    ...valued("max-budget-usd", options.maxBudgetUsd),
    ...valued("task-budget", options.taskBudget),
    ...valued("effort", options.effort),
    ...valued("thinking", typeof thinking === "string" ? thinking : undefined),
    ...valued("max-thinking-tokens", typeof thinking === "object" ? thinking.budgetTokens : undefined),
    ...valued("thinking-display", options.thinkingDisplay),
    ...bare("include-partial-messages", options.includePartialMessages),
    ...bare("include-hook-events", options.includeHookEvents),
    ...(options.addDirs ?? []).flatMap((folder) => valued("add-dir", folder)),
    ...valued("project-config-root", options.projectConfigRoot),
    ...bare("strict-mcp-config", options.strictMcpConfig === true || isolated === true),
    ...valued("agent", options.agent),
    ...valued("settings", typeof settings === "string" && !isJson(settings) ? settings : undefined),
    ...listed("setting-sources", isolated === true ? [] : options.settingSources),
    ...(options.pluginDirs ?? []).flatMap((plugin) =>
      typeof plugin === "string"
        ? valued("plugin-dir", plugin)
        : valued(plugin.skipMcpDiscovery === true ? "plugin-dir-no-mcp" : "plugin-dir", plugin.path)
    ),
    ...bare("disable-slash-commands", options.disableSlashCommands),
    ...valued("resume", options.resume),
    ...valued("resume-session-at", options.resumeSessionAt),
    ...valued("resume-drops-turn", options.resumeDropsTurn),
    ...bare("continue", options.continueSession),
    ...bare("fork-session", options.forkSession),
    ...valued("session-id", options.sessionId),
    ...bare("no-session-persistence", options.persistSession === false),
    ...listed("betas", options.betas),
    ...(typeof debug === "string" ? valued("debug", debug) : bare("debug", debug)),
    ...valued("debug-file", options.debugFile),
    ...Object.entries(options.extraArgs ?? {}).flatMap(([flag, value]) =>
      value === null ? bare(flag, true) : valued(flag, value)
    )
  ]
}

/** Changes to the host's environment: no marks of a session around it, nor Node's options. Options beat variables. */
export const toEnv = (options: QueryOptions): Readonly<Record<string, string | undefined>> => ({
  CLAUDECODE: undefined,
  NODE_OPTIONS: undefined,
  // Why it did not start, as a frame and not as prose alone.
  CLAUDE_CODE_STARTUP_FAILURE_RESULTS: "1",
  ...options.env,
  ...(options.maxTokens === undefined ? {} : { CLAUDE_CODE_MAX_OUTPUT_TOKENS: String(options.maxTokens) }),
  ...(options.mcpTimeout === undefined ? {} : { MCP_TIMEOUT: String(timerMillis(options.mcpTimeout)) }),
  ...(options.fileCheckpointing === undefined
    ? {}
    : { CLAUDE_CODE_ENABLE_SDK_FILE_CHECKPOINTING: options.fileCheckpointing ? "true" : undefined })
})

/** What travels in files with mode 0600: it may hold secrets, or be longer than an argument can be. */
export const toFiles = (options: QueryOptions): ReadonlyArray<InvocationFile> => {
  const settings = settingsOf(options)
  return [
    ...(options.mcpServers === undefined
      ? []
      : [{ flag: "--mcp-config", content: JSON.stringify({ mcpServers: options.mcpServers }) }]),
    ...(settings === undefined ? [] : [{ flag: "--settings", content: settings }])
  ]
}

/** The fields of the `initialize` request; `undefined` when there is nothing to say, so that nothing is sent. */
export const toInitialize = (
  options: QueryOptions,
  /** The context as it was encoded. Default: it is encoded here, as the encoder does that is not configured. */
  context: ContextEncoder.Encoded | undefined = encodedOf(options.context)
): Readonly<Record<string, unknown>> | undefined => {
  const append = [
    options.appendSystemPrompt,
    context === undefined ? undefined : ContextEncoder.toBlock("Context", context)
  ].filter((part) => part !== undefined)
  const fields = Object.entries({
    systemPrompt: options.systemPrompt === undefined ? undefined : [options.systemPrompt],
    appendSystemPrompt: append.length === 0 ? undefined : append.join("\n\n"),
    systemPromptSnapshot: options.systemPromptSnapshot,
    excludeDynamicSections: options.excludeDynamicSections,
    planModeInstructions: options.planModeInstructions,
    agents: options.agents,
    skills: options.skills === "all" ? undefined : options.skills,
    toolAliases: options.toolAliases,
    forwardSubagentText: options.forwardSubagentText,
    title: options.title,
    jsonSchema: options.outputSchema === undefined ? undefined : toJsonSchema(options.outputSchema)
  }).filter(([, value]) => value !== undefined)
  return fields.length === 0 ? undefined : Object.fromEntries(fields)
}

/** How to start the CLI for these options. */
export const toInvocation = (options: QueryOptions): Invocation => ({
  command: options.cliPath ?? "claude",
  args: toArgs(options),
  cwd: options.cwd,
  env: toEnv(options),
  files: toFiles(options),
  graces: defaultGraces
})

/** The arguments with the values left out that could hold something of the caller's. For errors, spans and logs. */
export const redactArgs = (args: ReadonlyArray<string>): ReadonlyArray<string> =>
  args.map((arg) => {
    const at = arg.indexOf("=")
    return at < 0 || shownFlags.has(arg.slice(0, at)) ? arg : `${arg.slice(0, at)}=<redacted>`
  })

/** Whether settings given as text are the settings themselves: those do not belong into the arguments. */
export const isJson = (settings: string): boolean => settings.trimStart().startsWith("{")

// ---------------------------------------------------------------------------

const valued = (flag: string, value: string | number | undefined) => value === undefined ? [] : [`--${flag}=${value}`]

/** A timer that is set to more runs out at once. */
const timerMillis = (input: Duration.DurationInput): number =>
  Math.min(Math.ceil(Duration.toMillis(input)), 2 ** 31 - 1)

const listed = (flag: string, values: ReadonlyArray<string> | undefined) => valued(flag, values?.join(","))

const bare = (flag: string, on: boolean | undefined) => on === true ? [`--${flag}`] : []

const shownFlags = new Set([
  "--input-format",
  "--output-format",
  "--model",
  "--fallback-model",
  "--permission-mode",
  "--permission-prompts",
  "--max-turns",
  "--max-budget-usd",
  "--task-budget",
  "--effort",
  "--thinking",
  "--max-thinking-tokens",
  "--thinking-display",
  "--setting-sources",
  "--resume",
  "--resume-session-at",
  "--resume-drops-turn",
  "--session-id",
  "--tools",
  "--betas"
])

/** A skill is run by a tool of its own, which needs a rule. */
const allowedTools = ({ allowedTools, skills }: QueryOptions): ReadonlyArray<string> | undefined => {
  if (skills === undefined) return allowedTools
  const rules = skills === "all" ? ["Skill"] : skills.map((skill) => `Skill(${skill})`)
  return [...(allowedTools ?? []), ...rules.filter((rule) => allowedTools?.includes(rule) !== true)]
}

/** A sandbox that was asked for and is not there stops the CLI, unless the caller says otherwise. */
const settingsOf = ({ sandbox, settings }: QueryOptions): string | undefined => {
  if (sandbox === undefined) {
    if (typeof settings === "string") return isJson(settings) ? settings : undefined
    return settings === undefined ? undefined : JSON.stringify(settings)
  }
  const given: unknown = typeof settings === "string" ? JSON.parse(settings) : settings
  const base = isRecord(given) ? given : {}
  const strict = sandbox["enabled"] === true ? { failIfUnavailable: true } : {}
  return JSON.stringify({
    ...base,
    sandbox: { ...(isRecord(base["sandbox"]) ? base["sandbox"] : {}), ...strict, ...sandbox }
  })
}

const encodedOf = (context: unknown): ContextEncoder.Encoded | undefined =>
  context === undefined ? undefined : Either.getOrThrowWith(ContextEncoder.encode(context), (error) => error)
