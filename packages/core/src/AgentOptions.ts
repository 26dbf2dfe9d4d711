/**
 * What a query can be asked to do, and how that reaches the CLI: as arguments, environment, files or the `initialize`
 * request. Pure functions; a value never becomes a flag, and nothing secret or long goes into the arguments.
 */
import * as Either from "effect/Either"
import type { ParseError } from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import { InvalidOptionsError } from "./ClaudeError.js"
import { type OutputSchema, toJsonSchema } from "./internal/outputSchema.js"
import { Amount, Count, PatienceAboveZero as Timeout } from "./internal/policyOptions.js"
import { complaintOf } from "./internal/schemaIssue.js"
import { isJson } from "./internal/translation.js"

export { toJsonSchema } from "./internal/outputSchema.js"
export { redactArgs, toArgs, toEnv, toFiles, toInitialize, toInvocation } from "./internal/translation.js"

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

const Text = Schema.String.annotations({ description: "text" }).pipe(
  Schema.filter((text) => !text.includes("\0") || "must not hold a NUL character")
)
const Value = Text.pipe(Schema.filter((text) => text.trim() !== "" || "must not be empty"))
const Name = Value.pipe(Schema.filter((text) => !text.startsWith("-") || "must not start with \"-\""))
const Names = Schema.Array(Name).annotations({ description: "a list of texts" })
const Uuid = Schema.UUID.annotations({ description: "a UUID" })
const Skill = Name.pipe(Schema.filter((name) => !/[\s(),]/.test(name) || "must not hold spaces, commas or brackets"))
const Flag = Schema.Boolean.annotations({ description: "true or false" })
const open = { key: Schema.String, value: Schema.Unknown }
const Data = Schema.Record(open).annotations({ description: "an object" })
const Pairs = Schema.Record({ key: Schema.String, value: Text })
const named = <A>(
  value: Schema.Schema<A>,
  name = /^[^\s-][^\0]*$/,
  otherwise = "must not have names that are empty or start with \"-\""
) =>
  Schema.Record({ key: Schema.String, value }).annotations({ description: "an object" }).pipe(
    Schema.filter((record) => Object.keys(record).every((key) => name.test(key)) || otherwise)
  )

/** An MCP server, started by the CLI or reached by it. It goes to the CLI in a file, never by its arguments. */
export const McpServer = Schema.Union(
  Schema.Struct({
    type: Schema.optional(Schema.Literal("stdio")),
    command: Value,
    args: Schema.optional(Schema.Array(Schema.String)),
    env: Schema.optional(Pairs)
  }, open),
  Schema.Struct({ type: Schema.Literal("http", "sse"), url: Value, headers: Schema.optional(Pairs) }, open)
)
export type McpServer = typeof McpServer.Type

/** A subagent that the model can give work to. What is not named here is handed on as it is. */
export const Agent = Schema.Struct({
  description: Value,
  prompt: Value,
  tools: Schema.optional(Names),
  disallowedTools: Schema.optional(Names),
  model: Schema.optional(Name)
}, open)
export type Agent = typeof Agent.Type

const JsonSchema = Schema.declare(
  (value: unknown): value is OutputSchema => Schema.isSchema(value) || Predicate.isRecord(value),
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
  /** Moves what differs between users and machines from the system prompt into the first message, for prompt caching. */
  excludeDynamicSections: Schema.optional(Flag),
  /** `false` renders the system prompt anew for each request; the CLI else keeps the session's first one, also on resume. */
  systemPromptSnapshot: Schema.optional(Flag),
  /** What to do in plan mode, in place of the CLI's own steps. */
  planModeInstructions: Schema.optional(Value),
  permissionMode: Schema.optional(PermissionMode),
  /** Refused by the CLI when it runs as root. */
  dangerouslySkipPermissions: Schema.optional(Flag),
  /** Lets the session change to `bypassPermissions` later. Refused by the CLI when it runs as root. */
  allowDangerouslySkipPermissions: Schema.optional(Flag),
  /** The MCP tool that is asked for permission, as `mcp__server__tool`. */
  permissionPromptTool: Schema.optional(Name),
  /** `none`: what would have to be asked is denied. */
  permissionPrompts: Schema.optional(Schema.Literal("host", "none")),
  /** Rules that run without asking, such as `Bash(git log:*)`. They do not limit what is available: see `tools`. */
  allowedTools: Schema.optional(Names),
  disallowedTools: Schema.optional(Names),
  /** The built-in tools there are. An empty list leaves none. */
  tools: Schema.optional(Names),
  /** Other tools for the names that the model calls, such as `{ Bash: "mcp__remote__bash" }`. */
  toolAliases: Schema.optional(named(Name)),
  /** The skills there are, each allowed to run. */
  skills: Schema.optional(Schema.Union(Schema.Literal("all"), Schema.Array(Skill))),
  maxTurns: Schema.optional(Count),
  /** Tokens of one reply at the most. */
  maxTokens: Schema.optional(Count),
  /** Looked at after each reply, so a little more can be spent. */
  maxBudgetUsd: Schema.optional(Amount),
  /** Tokens that the model is told it has for the whole task. */
  taskBudget: Schema.optional(Count),
  /** Under which the usage ledger counts it. */
  tags: Schema.optional(Names),
  /**
   * Who is to pay: the plan of a login, or the owner of an API key. Anything else is refused, with `BillingMismatchError`,
   * before a prompt is sent. Default: whoever the CLI finds, and a key in the environment comes before a login.
   */
  billing: Schema.optional(Schema.Literal("subscription", "apiKey")),
  effort: Schema.optional(Schema.Literal("low", "medium", "high", "xhigh", "max")),
  /** For models that can do otherwise: some newer ones always decide for themselves. */
  thinking: Schema.optional(Schema.Union(
    Schema.Literal("adaptive", "disabled"),
    Schema.Struct({ budgetTokens: Count })
  )),
  thinkingDisplay: Schema.optional(Schema.Literal("summarized", "omitted")),
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
  includePartialMessages: Schema.optional(Flag),
  includeHookEvents: Schema.optional(Flag),
  /** Also the text and thinking of subagents, not only their tool calls. */
  forwardSubagentText: Schema.optional(Flag),
  cwd: Schema.optional(Value),
  addDirs: Schema.optional(Names),
  /** The trusted checkout whose project settings and MCP servers count, in place of the working directory's. */
  projectConfigRoot: Schema.optional(Name),
  /** Changes to the host's environment: `undefined` drops a variable. */
  env: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.UndefinedOr(Text) })),
  /** The CLI's executable. Default: `claude` on the `PATH`. */
  cliPath: Schema.optional(Value),
  mcpServers: Schema.optional(named(McpServer)),
  /** How long the first turn waits for a server. Default: the CLI's, seen to be 30 s on 2.1.330, 2 s on 2.1.197. */
  mcpTimeout: Schema.optional(Timeout),
  /** No other MCP servers than `mcpServers`. */
  strictMcpConfig: Schema.optional(Flag),
  agents: Schema.optional(named(Agent)),
  /** The agent that the main thread is. */
  agent: Schema.optional(Name),
  /** Settings, or the path of a file with them. */
  settings: Schema.optional(Schema.Union(Value, Data)),
  /** Which settings files are read. Left out: as the CLI does, all of them. */
  settingSources: Schema.optional(Schema.Array(Schema.Literal("user", "project", "local"))),
  /** No settings files and no MCP servers but those given here. The login stays. */
  isolated: Schema.optional(Flag),
  /** The CLI's sandbox settings. With `enabled: true` a machine without a sandbox is refused. */
  sandbox: Schema.optional(Data),
  pluginDirs: Schema.optional(Schema.Array(Schema.Union(
    Name,
    Schema.Struct({ path: Name, skipMcpDiscovery: Schema.optional(Flag) })
  ))),
  disableSlashCommands: Schema.optional(Flag),
  /** The id of a session to go on with. */
  resume: Schema.optional(Name),
  /** Together with `resume`: forgets what came after the message with this id. */
  resumeSessionAt: Schema.optional(Uuid),
  /** Together with `resumeSessionAt`: the only prompt that may be forgotten by it. */
  resumeDropsTurn: Schema.optional(Uuid),
  /** Go on with the newest session of the directory. */
  continueSession: Schema.optional(Flag),
  /** Together with `resume` or `continueSession`: a new session with the old one's history. */
  forkSession: Schema.optional(Flag),
  /** The id of the new session. */
  sessionId: Schema.optional(Uuid),
  /** The new session's title. */
  title: Schema.optional(Value),
  /** `false` leaves no transcript on disk. */
  persistSession: Schema.optional(Flag),
  /** Keeps what files held before they were changed, so that the session can be rewound. */
  fileCheckpointing: Schema.optional(Flag),
  betas: Schema.optional(Names),
  debug: Schema.optional(Schema.Union(Flag, Name)),
  debugFile: Schema.optional(Value),
  /** Flags that have no option here, without their dashes; `null` for a flag without a value. */
  extraArgs: Schema.optional(
    named(Schema.NullOr(Text), /^[A-Za-z][A-Za-z0-9-]*$/, "must name flags without their dashes")
  )
})
export interface QueryOptions extends Schema.Schema.Type<typeof QueryOptions> {}

/** Options that are known to be good. */
export const decode = (options: unknown): Either.Either<QueryOptions, InvalidOptionsError> =>
  decodeGiven(options).pipe(
    Either.mapLeft((error) => {
      const { detail, field } = complaintOf(error)
      return invalid(field === "" ? "options" : field, detail)
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

// ---------------------------------------------------------------------------

const decodeAll = Schema.validateEither(QueryOptions, { onExcessProperty: "error" })

const decoders = new Map(
  SchemaAST.getPropertySignatures(QueryOptions.ast).map(({ name, type }) => [
    name,
    Schema.validateEither(Schema.make<unknown>(type), { onExcessProperty: "error" })
  ])
)

/** A call gives a few of the many there are: only for a complaint are all of them looked at. */
const decodeGiven = (options: unknown): Either.Either<QueryOptions, ParseError> => {
  if (!Predicate.isRecord(options)) return decodeAll(options)
  const given: Record<PropertyKey, unknown> = {}
  for (const name of Reflect.ownKeys(options)) {
    const decoded = decoders.get(name)?.(options[name])
    if (decoded === undefined || Either.isLeft(decoded)) return decodeAll(options)
    given[name] = decoded.right
  }
  return Either.right(given)
}

const invalid = (field: string, detail: string, hint = "See QueryOptions for what it takes.") =>
  new InvalidOptionsError({ field, detail, hint })

const reservedArgs = new Set(["p", "print", "input-format", "output-format", "verbose"])

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
  if (options.resumeSessionAt !== undefined && options.resume === undefined) {
    return invalid("resumeSessionAt", "there is no session to shorten", "Give resume too.")
  }
  if (options.resumeDropsTurn !== undefined && options.resumeSessionAt === undefined) {
    return invalid("resumeDropsTurn", "it says nothing without resumeSessionAt", "Give both or none.")
  }
  if (options.isolated === true && options.settingSources !== undefined) {
    return invalid("settingSources", "isolated reads no settings files", "Leave one of the two out.")
  }
  if (options.model !== undefined && [options.fallbackModel].flat().includes(options.model)) {
    return invalid("fallbackModel", "it is the model itself", "Name another model.")
  }
  const reserved = Object.keys(options.extraArgs ?? {}).find((flag) => reservedArgs.has(flag))
  if (reserved !== undefined) {
    return invalid(`extraArgs.${reserved}`, "it is how ccflow talks to the CLI", "Leave it out.")
  }
  if (Object.keys(options.env ?? {}).some((key) => key === "" || /[=\0]/.test(key))) {
    return invalid("env", "the name of a variable is not empty and holds neither \"=\" nor NUL")
  }
  const opaque = dataOptions.find((field) => !isPlain(options[field]))
  if (opaque !== undefined) {
    return invalid(opaque, "it cannot be written as JSON", "Give plain data: no cycles, no BigInt.")
  }
  const { outputSchema, sandbox, settings } = options
  if (typeof settings === "string" && !isJson(settings) && sandbox !== undefined) {
    return invalid("sandbox", "it cannot be added to a settings file", "Write it into the file, or give the settings.")
  }
  if (
    typeof settings === "string" && isJson(settings) && Either.isLeft(Either.try((): unknown => JSON.parse(settings)))
  ) {
    return invalid("settings", "it begins like JSON and is none", "Give an object, or the path of a file.")
  }
  return outputSchema === undefined ? undefined : schemaConflict(outputSchema)
}

const dataOptions = ["context", "mcpServers", "agents", "settings", "sandbox"] as const

const isPlain = (data: unknown): boolean => Either.isRight(Either.try(() => JSON.stringify(data)))

const schemaConflict = (schema: OutputSchema): InvalidOptionsError | undefined => {
  const json = Either.try(() => toJsonSchema(schema))
  if (Either.isLeft(json) || !isPlain(json.right)) {
    return invalid("outputSchema", "it has no JSON Schema", "Annotate the parts that have none.")
  }
  return json.right["type"] === "object"
    ? undefined
    : invalid("outputSchema", "it must describe an object", "Wrap the value: Schema.Struct({ value: … }).")
}
