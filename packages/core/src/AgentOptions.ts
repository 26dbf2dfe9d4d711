/**
 * What a query can be asked to do, and how that reaches the CLI: as arguments, environment, files or the `initialize`
 * request. Pure functions; a value never becomes a flag, and nothing secret or long goes into the arguments.
 */
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as JSONSchema from "effect/JSONSchema"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { InvalidOptionsError } from "./ClaudeError.js"
import { defaultGraces, type Invocation, type InvocationFile } from "./CliProcess.js"

/** How tools are decided on that no rule allows or denies. Left out: as the user's settings say. */
export const PermissionMode = Schema.Literal(
  "default",
  "acceptEdits",
  "plan",
  "dontAsk",
  "auto",
  "manual",
  "bypassPermissions"
)
export type PermissionMode = typeof PermissionMode.Type

const Timeout = Schema.declare(
  (value: unknown): value is Duration.DurationInput =>
    Option.match(Duration.decodeUnknown(value), {
      onNone: () => false,
      onSome: (duration) => Duration.toMillis(duration) > 0
    }),
  { identifier: "Timeout", description: "a duration above zero: milliseconds, or text such as \"5 minutes\"" }
)
const Value = Schema.String.pipe(
  Schema.filter((text) => text.trim() !== "" && !text.includes("\0") || "must not be empty or hold NUL")
)
const Name = Value.pipe(Schema.filter((text) => !text.startsWith("-") || "must not start with \"-\""))
const Names = Schema.Array(Name)
const Count = Schema.Int.pipe(Schema.positive())
const Data = Schema.Record({ key: Schema.String, value: Schema.Unknown })
const Pairs = Schema.Record({ key: Schema.String, value: Schema.String })
const open = { key: Schema.String, value: Schema.Unknown }

/** An MCP server, started by the CLI or reached by it. It goes to the CLI in a file, never by its arguments. */
export const McpServer = Schema.Union(
  Schema.Struct({
    type: Schema.optional(Schema.Literal("stdio")),
    command: Value,
    args: Schema.optional(Schema.Array(Schema.String)),
    env: Schema.optional(Pairs)
  }, open),
  Schema.Struct({
    type: Schema.Literal("http", "sse"),
    url: Value,
    headers: Schema.optional(Pairs)
  }, open)
)
export type McpServer = typeof McpServer.Type

/** A subagent that the model can give work to. */
export const Agent = Schema.Struct({
  description: Value,
  prompt: Value,
  tools: Schema.optional(Names),
  disallowedTools: Schema.optional(Names),
  model: Schema.optional(Name)
}, open)
export type Agent = typeof Agent.Type

const JsonSchema = Schema.declare(
  (value: unknown): value is Schema.Schema.AnyNoContext | { readonly [key: string]: unknown } =>
    Schema.isSchema(value) || (typeof value === "object" && value !== null && !Array.isArray(value)),
  { identifier: "OutputSchema", description: "an Effect Schema without requirements, or a JSON Schema object" }
)

/** The options of one query. Everything is optional; without any the CLI does what it does for its user. */
export const QueryOptions = Schema.Struct({
  /** A model's name or alias. */
  model: Schema.optional(Name),
  /** Tried in order when the model is overloaded. */
  fallbackModel: Schema.optional(Schema.Union(Name, Names)),
  /** Replaces Claude Code's own system prompt. Left out, that one is used; it is never emptied. */
  systemPrompt: Schema.optional(Value),
  appendSystemPrompt: Schema.optional(Value),
  permissionMode: Schema.optional(PermissionMode),
  /** Refused by the CLI when it runs as root. */
  dangerouslySkipPermissions: Schema.optional(Schema.Boolean),
  /** The MCP tool that is asked for permission, as `mcp__server__tool`. */
  permissionPromptTool: Schema.optional(Name),
  /** Rules that run without asking, such as `Bash(git log:*)`. They do not limit what is available: see `tools`. */
  allowedTools: Schema.optional(Names),
  disallowedTools: Schema.optional(Names),
  /** The built-in tools there are. An empty list leaves none. */
  tools: Schema.optional(Names),
  maxTurns: Schema.optional(Count),
  /** Tokens of one reply at the most. */
  maxTokens: Schema.optional(Count),
  /** Looked at after each reply, so a little more can be spent. */
  maxBudgetUsd: Schema.optional(Schema.Number.pipe(Schema.positive(), Schema.finite())),
  effort: Schema.optional(Name),
  thinking: Schema.optional(Schema.Union(
    Schema.Literal("adaptive", "disabled"),
    Schema.Struct({ budgetTokens: Count })
  )),
  /** The whole run, from start to end. Default: none. */
  timeout: Schema.optional(Timeout),
  /** Until the first line. Default: 1 minute. */
  startupTimeout: Schema.optional(Timeout),
  /** Without any line, while no tool runs. Default: 6 minutes; the CLI's own watchdog was seen to act after 5. */
  stallTimeout: Schema.optional(Timeout),
  /** How long background work may go on after the answer. Default: 10 minutes. */
  backgroundTimeout: Schema.optional(Timeout),
  /** Data for the model to know, added to the system prompt. */
  context: Schema.optional(Schema.Unknown),
  /** What the answer must look like; it comes back as `Result.structuredOutput`, decoded where this is an Effect Schema. */
  outputSchema: Schema.optional(JsonSchema),
  includePartialMessages: Schema.optional(Schema.Boolean),
  includeHookEvents: Schema.optional(Schema.Boolean),
  cwd: Schema.optional(Value),
  addDirs: Schema.optional(Names),
  /** Changes to the host's environment: `undefined` drops a variable. */
  env: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.UndefinedOr(Schema.String) })),
  /** The CLI's executable. Default: `claude` on the `PATH`. */
  cliPath: Schema.optional(Value),
  mcpServers: Schema.optional(Schema.Record({ key: Name, value: McpServer })),
  /** No other MCP servers than `mcpServers`. */
  strictMcpConfig: Schema.optional(Schema.Boolean),
  agents: Schema.optional(Schema.Record({ key: Name, value: Agent })),
  /** The agent that the main thread is. */
  agent: Schema.optional(Name),
  /** Settings, or the path of a file with them. */
  settings: Schema.optional(Schema.Union(Value, Data)),
  /** Which settings files are read. Left out: as the CLI does, all of them. */
  settingSources: Schema.optional(Schema.Array(Schema.Literal("user", "project", "local"))),
  /** No settings files and no MCP servers but those given here. The login stays. */
  isolated: Schema.optional(Schema.Boolean),
  pluginDirs: Schema.optional(Names),
  disableSlashCommands: Schema.optional(Schema.Boolean),
  /** The id of a session to go on with. */
  resume: Schema.optional(Name),
  /** Go on with the newest session of the directory. */
  continueSession: Schema.optional(Schema.Boolean),
  /** Together with `resume` or `continueSession`: a new session with the old one's history. */
  forkSession: Schema.optional(Schema.Boolean),
  /** The id of the new session, a UUID. */
  sessionId: Schema.optional(Schema.UUID),
  /** `false` leaves no transcript on disk. */
  persistSession: Schema.optional(Schema.Boolean),
  betas: Schema.optional(Names),
  debug: Schema.optional(Schema.Union(Schema.Boolean, Name)),
  debugFile: Schema.optional(Value),
  /** Flags that have no option here, without their dashes; `null` for a flag without a value. */
  extraArgs: Schema.optional(Schema.Record({
    key: Schema.String.pipe(Schema.pattern(/^[A-Za-z][A-Za-z0-9-]*$/)),
    value: Schema.NullOr(Schema.String)
  }))
})
export interface QueryOptions extends Schema.Schema.Type<typeof QueryOptions> {}

/** Options that are known to be good. */
export const decode = (options: unknown): Either.Either<QueryOptions, InvalidOptionsError> =>
  decodeOptions(options).pipe(
    Either.mapLeft((error) => {
      const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
      return invalid(issue?.path.map(String).join(".") ?? "", issue?.message ?? "not understood")
    }),
    Either.flatMap((valid) => {
      const conflict = conflictIn(valid)
      return conflict === undefined ? Either.right(valid) : Either.left(conflict)
    })
  )

/** Later options win. `undefined` says nothing, and `env` is merged name by name. */
export const merge = (...layers: ReadonlyArray<QueryOptions>): QueryOptions => {
  const env = Object.assign({}, ...layers.map((options) => options.env))
  const merged = Object.assign(
    {},
    ...layers.map((options) => Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)))
  )
  return Object.keys(env).length === 0 ? merged : { ...merged, env }
}

/** The CLI's arguments: each valued flag one token, lists joined by commas. */
export const toArgs = (options: QueryOptions): ReadonlyArray<string> => {
  const valued = (flag: string, value: string | number | undefined) => value === undefined ? [] : [`--${flag}=${value}`]
  const listed = (flag: string, values: ReadonlyArray<string> | undefined) => valued(flag, values?.join(","))
  const each = (flag: string, values: ReadonlyArray<string> | undefined) =>
    (values ?? []).flatMap((value) => valued(flag, value))
  const bare = (flag: string, on: boolean | undefined) => on === true ? [`--${flag}`] : []
  const { debug, fallbackModel, thinking } = options
  return [
    "-p",
    "--input-format=stream-json",
    "--output-format=stream-json",
    "--verbose",
    ...valued("model", options.model),
    ...listed("fallback-model", typeof fallbackModel === "string" ? [fallbackModel] : fallbackModel),
    ...valued("permission-mode", options.permissionMode),
    ...bare("dangerously-skip-permissions", options.dangerouslySkipPermissions),
    ...valued("permission-prompt-tool", options.permissionPromptTool),
    ...listed("allowedTools", options.allowedTools),
    ...listed("disallowedTools", options.disallowedTools),
    ...listed("tools", options.tools),
    ...valued("max-turns", options.maxTurns),
    ...valued("max-budget-usd", options.maxBudgetUsd),
    ...valued("effort", options.effort),
    ...(thinking === undefined ? [] : typeof thinking === "string"
      ? valued("thinking", thinking)
      : valued("max-thinking-tokens", thinking.budgetTokens)),
    ...bare("include-partial-messages", options.includePartialMessages),
    ...bare("include-hook-events", options.includeHookEvents),
    ...each("add-dir", options.addDirs),
    ...bare("strict-mcp-config", options.strictMcpConfig === true || options.isolated === true),
    ...valued("agent", options.agent),
    ...valued("settings", typeof options.settings === "string" ? options.settings : undefined),
    ...listed("setting-sources", options.isolated === true ? [] : options.settingSources),
    ...each("plugin-dir", options.pluginDirs),
    ...bare("disable-slash-commands", options.disableSlashCommands),
    ...valued("resume", options.resume),
    ...bare("continue", options.continueSession),
    ...bare("fork-session", options.forkSession),
    ...valued("session-id", options.sessionId),
    ...bare("no-session-persistence", options.persistSession === false),
    ...listed("betas", options.betas),
    ...(typeof debug === "string" ? valued("debug", debug) : bare("debug", debug)),
    ...valued("debug-file", options.debugFile),
    ...Object.entries(options.extraArgs ?? {}).map(([flag, value]) =>
      value === null ? `--${flag}` : `--${flag}=${value}`
    )
  ]
}

/** Changes to the host's environment. A nested session's marks and Node's options of the host are not the CLI's. */
export const toEnv = (options: QueryOptions): Readonly<Record<string, string | undefined>> => ({
  CLAUDECODE: undefined,
  NODE_OPTIONS: undefined,
  ...(options.maxTokens === undefined ? {} : { CLAUDE_CODE_MAX_OUTPUT_TOKENS: String(options.maxTokens) }),
  ...options.env
})

/** What travels in files with mode 0600: it may hold secrets, or be longer than an argument can be. */
export const toFiles = (options: QueryOptions): ReadonlyArray<InvocationFile> => [
  ...(options.mcpServers === undefined
    ? []
    : [{ flag: "--mcp-config", content: JSON.stringify({ mcpServers: options.mcpServers }) }]),
  ...(typeof options.settings === "object" ? [{ flag: "--settings", content: JSON.stringify(options.settings) }] : [])
]

/** The fields of the `initialize` request; `undefined` when there is nothing to say, so that nothing is sent. */
export const toInitialize = (options: QueryOptions): Readonly<Record<string, unknown>> | undefined => {
  const append = [options.appendSystemPrompt, contextBlock(options.context)].filter((part) => part !== undefined)
  const fields = {
    ...(options.systemPrompt === undefined ? {} : { systemPrompt: [options.systemPrompt] }),
    ...(append.length === 0 ? {} : { appendSystemPrompt: append.join("\n\n") }),
    ...(options.agents === undefined ? {} : { agents: options.agents }),
    ...(options.outputSchema === undefined ? {} : { jsonSchema: toJsonSchema(options.outputSchema) })
  }
  return Object.keys(fields).length === 0 ? undefined : fields
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

/** JSON Schema of an `outputSchema`, with its root inlined: the API takes an object and no reference there. */
export const toJsonSchema = (schema: NonNullable<QueryOptions["outputSchema"]>): Readonly<Record<string, unknown>> => {
  if (!Schema.isSchema(schema)) return schema
  const { $defs, $schema: _, ...root } = JSONSchema.make(schema)
  const inlined = "$ref" in root ? $defs?.[root.$ref.slice("#/$defs/".length)] : root
  return { ...inlined, ...($defs === undefined ? {} : { $defs }) }
}

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

const decodeOptions = Schema.validateEither(QueryOptions, { onExcessProperty: "error" })

const invalid = (field: string, detail: string, hint = "See QueryOptions for what it takes.") =>
  new InvalidOptionsError({ field, detail, hint })

const reservedArgs = new Set(["p", "print", "input-format", "output-format", "verbose"])

const shownFlags = new Set([
  "--input-format",
  "--output-format",
  "--model",
  "--fallback-model",
  "--permission-mode",
  "--max-turns",
  "--max-budget-usd",
  "--effort",
  "--thinking",
  "--max-thinking-tokens",
  "--setting-sources",
  "--resume",
  "--session-id",
  "--tools",
  "--betas"
])

const conflictIn = (options: QueryOptions): InvalidOptionsError | undefined => {
  const continues = options.resume !== undefined || options.continueSession === true
  if (options.resume !== undefined && options.continueSession === true) {
    return invalid("continueSession", "it cannot be combined with resume", "Name the session, or take the newest.")
  }
  if (options.sessionId !== undefined && continues && options.forkSession !== true) {
    return invalid("sessionId", "a session that goes on keeps its id", "Set forkSession to give the branch an id.")
  }
  if (options.forkSession === true && !continues) {
    return invalid("forkSession", "there is nothing to branch from", "Give resume or continueSession too.")
  }
  if (options.isolated === true && options.settingSources !== undefined) {
    return invalid("settingSources", "isolated reads no settings files", "Leave one of the two out.")
  }
  const models = options.fallbackModel === undefined ? [] : [options.fallbackModel].flat()
  if (options.model !== undefined && models.includes(options.model)) {
    return invalid("fallbackModel", "it is the model itself", "Name another model.")
  }
  const reserved = Object.keys(options.extraArgs ?? {}).find((flag) => reservedArgs.has(flag))
  if (reserved !== undefined) {
    return invalid(`extraArgs.${reserved}`, "it is how ccflow talks to the CLI", "Leave it out.")
  }
  const name = Object.keys(options.env ?? {}).find((key) => key === "" || /[=\0]/.test(key))
  if (name !== undefined) return invalid("env", `"${name}" cannot be the name of a variable`)
  if (options.context !== undefined && Either.isLeft(Either.try(() => JSON.stringify(options.context)))) {
    return invalid("context", "it cannot be written as JSON", "Give plain data: no cycles, no BigInt.")
  }
  return options.outputSchema === undefined ? undefined : schemaConflict(options.outputSchema)
}

const schemaConflict = (schema: NonNullable<QueryOptions["outputSchema"]>): InvalidOptionsError | undefined => {
  const json = Either.try(() => toJsonSchema(schema))
  if (Either.isLeft(json)) return invalid("outputSchema", "it has no JSON Schema", "Annotate the parts that have none.")
  return json.right["type"] === "object"
    ? undefined
    : invalid("outputSchema", "it must describe an object", "Wrap the value: Schema.Struct({ value: … }).")
}

/** A block that its content cannot end: the fence is longer than any run of backticks inside. */
const contextBlock = (context: unknown): string | undefined => {
  if (context === undefined) return undefined
  const json = JSON.stringify(context) ?? "null"
  const longest = (json.match(/`+/g) ?? []).reduce((most, run) => Math.max(most, run.length), 2)
  const fence = "`".repeat(longest + 1)
  return `[Context]\n${fence}json\n${json}\n${fence}`
}
