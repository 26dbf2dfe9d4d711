import * as AgentOptions from "@ccflow/core/AgentOptions"
import { assert, describe, it } from "@effect/vitest"
import { Either, FastCheck, Schema } from "effect"

type Options = AgentOptions.QueryOptions
type Field = keyof Options

const uuid = "11111111-2222-4333-8444-555555555555"
const fixed = ["-p", "--input-format=stream-json", "--output-format=stream-json", "--verbose"]
const person = { type: "object", properties: { name: { type: "string" } } }

interface Translated {
  readonly args?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly files?: ReadonlyArray<{ readonly flag: string; readonly content: unknown }>
  readonly initialize?: Readonly<Record<string, unknown>>
  readonly command?: string
  readonly cwd?: string
}

/** What the run itself heeds. */
const ours: Translated = {}

/** Each option with what it becomes: everything that is not named must stay as it is without the option. */
const table: { readonly [F in Field]-?: ReadonlyArray<readonly [Options, Translated]> } = {
  model: [
    [{ model: "opus" }, { args: ["--model=opus"] }],
    [{ model: "claude-opus-4-8[1m]" }, { args: ["--model=claude-opus-4-8[1m]"] }]
  ],
  fallbackModel: [
    [{ fallbackModel: "haiku" }, { args: ["--fallback-model=haiku"] }],
    [{ fallbackModel: ["sonnet", "haiku"] }, { args: ["--fallback-model=sonnet,haiku"] }]
  ],
  systemPrompt: [[{ systemPrompt: "Be brief." }, { initialize: { systemPrompt: ["Be brief."] } }]],
  appendSystemPrompt: [[{ appendSystemPrompt: "In French." }, { initialize: { appendSystemPrompt: "In French." } }]],
  excludeDynamicSections: [[{ excludeDynamicSections: true }, { initialize: { excludeDynamicSections: true } }]],
  systemPromptSnapshot: [[{ systemPromptSnapshot: false }, { initialize: { systemPromptSnapshot: false } }]],
  planModeInstructions: [[{ planModeInstructions: "Ask." }, { initialize: { planModeInstructions: "Ask." } }]],
  permissionMode: [
    [{ permissionMode: "acceptEdits" }, { args: ["--permission-mode=acceptEdits"] }],
    [{ permissionMode: "manual" }, { args: ["--permission-mode=default"] }]
  ],
  dangerouslySkipPermissions: [
    [{ dangerouslySkipPermissions: true }, { args: ["--dangerously-skip-permissions"] }],
    [{ dangerouslySkipPermissions: false }, {}]
  ],
  allowDangerouslySkipPermissions: [
    [{ allowDangerouslySkipPermissions: true }, { args: ["--allow-dangerously-skip-permissions"] }]
  ],
  permissionPromptTool: [
    [{ permissionPromptTool: "mcp__ask__user" }, { args: ["--permission-prompt-tool=mcp__ask__user"] }]
  ],
  permissionPrompts: [[{ permissionPrompts: "none" }, { args: ["--permission-prompts=none"] }]],
  allowedTools: [[{ allowedTools: ["Read", "Bash(git log:*)"] }, { args: ["--allowedTools=Read,Bash(git log:*)"] }]],
  disallowedTools: [[{ disallowedTools: ["Bash", "Write"] }, { args: ["--disallowedTools=Bash,Write"] }]],
  tools: [
    [{ tools: ["Bash", "Read"] }, { args: ["--tools=Bash,Read"] }],
    [{ tools: [] }, { args: ["--tools="] }]
  ],
  toolAliases: [[{ toolAliases: { Bash: "mcp__x__bash" } }, { initialize: { toolAliases: { Bash: "mcp__x__bash" } } }]],
  skills: [
    [{ skills: "all" }, { args: ["--allowedTools=Skill"] }],
    [{ skills: ["pdf"] }, { args: ["--allowedTools=Skill(pdf)"], initialize: { skills: ["pdf"] } }],
    [{ skills: [], allowedTools: ["Read"] }, { args: ["--allowedTools=Read"], initialize: { skills: [] } }]
  ],
  maxTurns: [[{ maxTurns: 3 }, { args: ["--max-turns=3"] }]],
  maxTokens: [
    [{ maxTokens: 500 }, { env: { CLAUDE_CODE_MAX_OUTPUT_TOKENS: "500" } }],
    [{ maxTokens: 500, env: { CLAUDE_CODE_MAX_OUTPUT_TOKENS: "9" } }, { env: { CLAUDE_CODE_MAX_OUTPUT_TOKENS: "500" } }]
  ],
  mcpTimeout: [
    [{ mcpTimeout: "2 seconds" }, { env: { MCP_TIMEOUT: "2000" } }],
    [{ mcpTimeout: Infinity, env: { MCP_TIMEOUT: "9" } }, { env: { MCP_TIMEOUT: "2147483647" } }]
  ],
  maxBudgetUsd: [[{ maxBudgetUsd: 0.25 }, { args: ["--max-budget-usd=0.25"] }]],
  taskBudget: [[{ taskBudget: 20_000 }, { args: ["--task-budget=20000"] }]],
  tags: [[{ tags: ["nightly", "team-a"] }, {}]],
  billing: [[{ billing: "subscription" }, {}], [{ billing: "apiKey" }, {}]],
  effort: [[{ effort: "high" }, { args: ["--effort=high"] }]],
  thinking: [
    [{ thinking: "adaptive" }, { args: ["--thinking=adaptive"] }],
    [{ thinking: "disabled" }, { args: ["--thinking=disabled"] }],
    [{ thinking: { budgetTokens: 4000 } }, { args: ["--max-thinking-tokens=4000"] }]
  ],
  thinkingDisplay: [[{ thinkingDisplay: "summarized" }, { args: ["--thinking-display=summarized"] }]],
  timeout: [[{ timeout: "5 minutes" }, ours]],
  startupTimeout: [[{ startupTimeout: 1000 }, ours]],
  stallTimeout: [[{ stallTimeout: "1 hour" }, ours]],
  backgroundTimeout: [[{ backgroundTimeout: "1 second" }, ours]],
  context: [
    [{ context: { a: 1 } }, { initialize: { appendSystemPrompt: "[Context]\n```json\n{\"a\":1}\n```" } }],
    [
      { context: "a ``` b", appendSystemPrompt: "Hi." },
      { initialize: { appendSystemPrompt: "Hi.\n\n[Context]\n````json\n\"a ``` b\"\n````" } }
    ]
  ],
  outputSchema: [
    [{ outputSchema: person }, { initialize: { jsonSchema: person } }],
    [{ outputSchema: Schema.Struct({ name: Schema.String }) }, {
      initialize: { jsonSchema: { ...person, required: ["name"], additionalProperties: false } }
    }]
  ],
  includePartialMessages: [[{ includePartialMessages: true }, { args: ["--include-partial-messages"] }]],
  includeHookEvents: [[{ includeHookEvents: true }, { args: ["--include-hook-events"] }]],
  forwardSubagentText: [[{ forwardSubagentText: true }, { initialize: { forwardSubagentText: true } }]],
  cwd: [[{ cwd: "/srv" }, { cwd: "/srv" }]],
  addDirs: [[{ addDirs: ["/a", "/b,c"] }, { args: ["--add-dir=/a", "--add-dir=/b,c"] }]],
  projectConfigRoot: [[{ projectConfigRoot: "/trusted" }, { args: ["--project-config-root=/trusted"] }]],
  env: [[{ env: { DEBUG: "1", HOME: undefined } }, { env: { DEBUG: "1", HOME: undefined } }]],
  cliPath: [[{ cliPath: "/opt/claude" }, { command: "/opt/claude" }]],
  mcpServers: [[{ mcpServers: { docs: { command: "docs-server", env: { KEY: "v" } } } }, {
    files: [{
      flag: "--mcp-config",
      content: { mcpServers: { docs: { command: "docs-server", env: { KEY: "v" } } } }
    }]
  }]],
  strictMcpConfig: [[{ strictMcpConfig: true }, { args: ["--strict-mcp-config"] }]],
  agents: [[{ agents: { critic: { description: "d", prompt: "p", maxTurns: 2 } } }, {
    initialize: { agents: { critic: { description: "d", prompt: "p", maxTurns: 2 } } }
  }]],
  agent: [[{ agent: "critic" }, { args: ["--agent=critic"] }]],
  settings: [
    [{ settings: "/etc/settings.json" }, { args: ["--settings=/etc/settings.json"] }],
    [{ settings: { model: "opus" } }, { files: [{ flag: "--settings", content: { model: "opus" } }] }],
    [{ settings: " {\"model\":\"opus\"}" }, { files: [{ flag: "--settings", content: { model: "opus" } }] }]
  ],
  settingSources: [
    [{ settingSources: ["user", "project"] }, { args: ["--setting-sources=user,project"] }],
    [{ settingSources: [] }, { args: ["--setting-sources="] }]
  ],
  isolated: [
    [{ isolated: true }, { args: ["--strict-mcp-config", "--setting-sources="] }],
    [{ isolated: false }, {}]
  ],
  sandbox: [
    [{ sandbox: { enabled: true } }, {
      files: [{ flag: "--settings", content: { sandbox: { failIfUnavailable: true, enabled: true } } }]
    }],
    [{ sandbox: { enabled: true, failIfUnavailable: false } }, {
      files: [{ flag: "--settings", content: { sandbox: { failIfUnavailable: false, enabled: true } } }]
    }],
    [{ sandbox: { enabled: false }, settings: "{\"model\":\"opus\",\"sandbox\":{\"a\":1}}" }, {
      files: [{ flag: "--settings", content: { model: "opus", sandbox: { a: 1, enabled: false } } }]
    }]
  ],
  pluginDirs: [[{ pluginDirs: ["/a", { path: "/b" }, { path: "/c", skipMcpDiscovery: true }] }, {
    args: ["--plugin-dir=/a", "--plugin-dir=/b", "--plugin-dir-no-mcp=/c"]
  }]],
  disableSlashCommands: [[{ disableSlashCommands: true }, { args: ["--disable-slash-commands"] }]],
  resume: [[{ resume: uuid }, { args: [`--resume=${uuid}`] }]],
  resumeSessionAt: [
    [{ resume: "title", resumeSessionAt: uuid }, { args: ["--resume=title", `--resume-session-at=${uuid}`] }]
  ],
  resumeDropsTurn: [[{ resume: "t", resumeSessionAt: uuid, resumeDropsTurn: uuid }, {
    args: ["--resume=t", `--resume-session-at=${uuid}`, `--resume-drops-turn=${uuid}`]
  }]],
  continueSession: [[{ continueSession: true }, { args: ["--continue"] }]],
  forkSession: [[{ resume: "t", forkSession: true }, { args: ["--resume=t", "--fork-session"] }]],
  sessionId: [[{ sessionId: uuid }, { args: [`--session-id=${uuid}`] }]],
  title: [[{ title: "Tuesday" }, { initialize: { title: "Tuesday" } }]],
  persistSession: [
    [{ persistSession: false }, { args: ["--no-session-persistence"] }],
    [{ persistSession: true }, {}]
  ],
  fileCheckpointing: [
    [{ fileCheckpointing: true }, { env: { CLAUDE_CODE_ENABLE_SDK_FILE_CHECKPOINTING: "true" } }],
    [{ fileCheckpointing: false }, { env: { CLAUDE_CODE_ENABLE_SDK_FILE_CHECKPOINTING: undefined } }]
  ],
  betas: [[{ betas: ["a", "b"] }, { args: ["--betas=a,b"] }]],
  debug: [
    [{ debug: true }, { args: ["--debug"] }],
    [{ debug: false }, {}],
    [{ debug: "api,!mcp" }, { args: ["--debug=api,!mcp"] }]
  ],
  debugFile: [[{ debugFile: "logs/run.log" }, { args: ["--debug-file=logs/run.log"] }]],
  extraArgs: [[{ extraArgs: { bare: null, name: "-x", brief: "" } }, { args: ["--bare", "--name=-x", "--brief="] }]]
}

const rows = Object.entries(table).flatMap(([field, cases]) =>
  cases.map(([options, translated], index) => ({ name: `${field} ${index + 1}`, options, translated }))
)

describe("what an option becomes", () => {
  it.each(rows)("$name", ({ options, translated }) => {
    assert.isTrue(Either.isRight(AgentOptions.decode(options)))
    const invocation = AgentOptions.toInvocation(options)
    assert.deepStrictEqual(
      {
        args: invocation.args,
        command: invocation.command,
        cwd: invocation.cwd,
        env: invocation.env,
        files: invocation.files.map(({ content, flag }) => ({ flag, content: JSON.parse(content) })),
        initialize: AgentOptions.toInitialize(options)
      },
      {
        args: [...fixed, ...translated.args ?? []],
        command: translated.command ?? "claude",
        cwd: translated.cwd,
        env: {
          CLAUDECODE: undefined,
          NODE_OPTIONS: undefined,
          CLAUDE_CODE_STARTUP_FAILURE_RESULTS: "1",
          ...translated.env
        },
        files: translated.files ?? [],
        initialize: translated.initialize
      }
    )
  })

  it("the table has every option there is", () => {
    assert.deepStrictEqual(Object.keys(table).sort(), Object.keys(AgentOptions.QueryOptions.fields).sort())
  })

  it("the caller's environment wins over what the library drops or adds", () => {
    const env = AgentOptions.toEnv({
      env: { NODE_OPTIONS: "--trace-warnings", CLAUDE_CODE_STARTUP_FAILURE_RESULTS: "0" }
    })
    assert.strictEqual(env["NODE_OPTIONS"], "--trace-warnings")
    assert.strictEqual(env["CLAUDE_CODE_STARTUP_FAILURE_RESULTS"], "0")
  })
})

/** Texts that would do harm if they were taken for a flag, a separator or a second argument. */
const hostile = FastCheck.oneof(
  FastCheck.constantFrom(
    "-p",
    "--dangerously-skip-permissions",
    "--",
    "=",
    "a --model=x",
    "\n--verbose",
    ",-x",
    "'\"$(touch x)`",
    "{\"a\":1}",
    "{",
    ""
  ),
  FastCheck.string({ unit: "binary", maxLength: 20 })
)
const hostiles = FastCheck.array(hostile, { maxLength: 3 })
const secret = hostile.map((text) => `S3CRET${text}S3CRET`)
const flagName = FastCheck.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,10}$/)
const literal = <const A extends string>(...values: ReadonlyArray<A>) => FastCheck.constantFrom(...values)
const small = FastCheck.integer({ min: 1, max: 1_000_000 })

/** Not what `decode` lets through, but anything of the right type. */
const anyOptions: FastCheck.Arbitrary<Options> = FastCheck.record({
  model: hostile,
  fallbackModel: FastCheck.oneof(hostile, hostiles),
  systemPrompt: secret,
  appendSystemPrompt: secret,
  excludeDynamicSections: FastCheck.boolean(),
  systemPromptSnapshot: FastCheck.boolean(),
  planModeInstructions: secret,
  permissionMode: literal("default", "manual", "plan"),
  dangerouslySkipPermissions: FastCheck.boolean(),
  allowDangerouslySkipPermissions: FastCheck.boolean(),
  permissionPromptTool: hostile,
  permissionPrompts: literal("host", "none"),
  allowedTools: hostiles,
  disallowedTools: hostiles,
  tools: hostiles,
  toolAliases: FastCheck.dictionary(hostile, secret),
  skills: FastCheck.oneof(FastCheck.constant("all" as const), hostiles),
  maxTurns: small,
  maxTokens: small,
  mcpTimeout: small,
  maxBudgetUsd: FastCheck.double({ min: 0.01, max: 100, noNaN: true }),
  taskBudget: small,
  tags: FastCheck.array(secret, { maxLength: 3 }),
  billing: literal("subscription", "apiKey"),
  effort: literal("low", "max"),
  thinking: FastCheck.oneof(FastCheck.constant("adaptive" as const), FastCheck.record({ budgetTokens: small })),
  thinkingDisplay: literal("summarized", "omitted"),
  timeout: small,
  context: FastCheck.dictionary(hostile, secret),
  outputSchema: secret.map((description) => ({ type: "object", description })),
  includePartialMessages: FastCheck.boolean(),
  includeHookEvents: FastCheck.boolean(),
  forwardSubagentText: FastCheck.boolean(),
  cwd: hostile,
  addDirs: hostiles,
  projectConfigRoot: hostile,
  env: FastCheck.dictionary(hostile, FastCheck.option(secret, { nil: undefined })),
  cliPath: hostile,
  mcpServers: FastCheck.dictionary(
    hostile,
    FastCheck.oneof(
      FastCheck.record({ command: secret, args: FastCheck.array(secret), env: FastCheck.dictionary(hostile, secret) }),
      FastCheck.record({
        type: FastCheck.constant("http" as const),
        url: secret,
        headers: FastCheck.dictionary(hostile, secret)
      })
    )
  ),
  strictMcpConfig: FastCheck.boolean(),
  agents: FastCheck.dictionary(hostile, FastCheck.record({ description: secret, prompt: secret })),
  agent: hostile,
  settings: FastCheck.oneof(
    FastCheck.dictionary(hostile, secret),
    secret.map((model) => JSON.stringify({ model })),
    FastCheck.constant("/etc/settings.json")
  ),
  settingSources: FastCheck.subarray(["user", "project", "local"] as const),
  isolated: FastCheck.boolean(),
  pluginDirs: FastCheck.array(
    FastCheck.oneof(hostile, FastCheck.record({ path: hostile, skipMcpDiscovery: FastCheck.boolean() }))
  ),
  disableSlashCommands: FastCheck.boolean(),
  resume: hostile,
  resumeSessionAt: hostile,
  resumeDropsTurn: hostile,
  continueSession: FastCheck.boolean(),
  forkSession: FastCheck.boolean(),
  sessionId: hostile,
  title: secret,
  persistSession: FastCheck.boolean(),
  fileCheckpointing: FastCheck.boolean(),
  betas: hostiles,
  debug: FastCheck.oneof(FastCheck.boolean(), hostile),
  debugFile: hostile,
  extraArgs: FastCheck.dictionary(flagName, FastCheck.option(hostile))
}, { requiredKeys: [] })

const nameOf = (arg: string): string => arg.split("=")[0] ?? ""

describe("the arguments", () => {
  const known = new Set(
    Object.values(table).flat().flatMap(([options]) => AgentOptions.toArgs({ ...options, extraArgs: {} }).map(nameOf))
  )

  it("hold nothing but flags of the table, and of extraArgs, whatever the values are", () => {
    FastCheck.assert(FastCheck.property(anyOptions, (options) => {
      const extra = Object.keys(options.extraArgs ?? {}).map((flag) => `--${flag}`)
      for (const arg of AgentOptions.toArgs(options)) {
        assert.isTrue(known.has(nameOf(arg)) || extra.includes(nameOf(arg)), arg)
      }
    }))
  })

  it("hold no prompt, header, environment value, schema, settings or context", () => {
    FastCheck.assert(FastCheck.property(anyOptions, (options) => {
      const seen = AgentOptions.toArgs(options).join("\0")
      assert.notInclude(seen, "S3CRET")
    }))
  })

  it("are shown in errors without the values that can hold something of the caller's", () => {
    FastCheck.assert(FastCheck.property(hostile, (text) => {
      const value = `S3CRET${text}`
      const args = AgentOptions.toArgs({
        allowedTools: [value],
        disallowedTools: [value],
        addDirs: [value],
        settings: `/${value}`,
        pluginDirs: [value],
        debugFile: value,
        extraArgs: { "system-prompt": value }
      })
      assert.include(args.join(), "S3CRET")
      assert.notInclude(AgentOptions.redactArgs(args).join(), "S3CRET")
    }))
    const plain = AgentOptions.toArgs({ model: "opus", maxTurns: 2, resume: uuid, tools: [] })
    assert.deepStrictEqual(AgentOptions.redactArgs(plain), plain)
  })

  it("of options that were accepted have no NUL, so that the process can be started", () => {
    let accepted = 0
    FastCheck.assert(
      FastCheck.property(FastCheck.tuple(anyOptions, FastCheck.nat()), ([all, pick]) => {
        const fields = Object.entries(all)
        const options = Object.fromEntries(fields.length === 0 ? [] : [fields[pick % fields.length]!])
        if (Either.isLeft(AgentOptions.decode(options))) return
        accepted++
        const { args, env } = AgentOptions.toInvocation(options)
        assert.notInclude([...args, ...Object.keys(env), ...Object.values(env)].join(), "\0")
      }),
      { numRuns: 500 }
    )
    assert.isAbove(accepted, 100)
  })
})
