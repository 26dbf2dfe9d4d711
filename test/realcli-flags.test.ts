import { existsSync } from "node:fs"
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, assert, beforeAll, it } from "vitest"
import * as Api from "./support/MessagesApi.js"
import { recordedVersions, type SandboxHome } from "./support/RealCli.js"
import { type Asked, type Bench, describeRealCli, startBench } from "./support/realCliBench.js"

const write = async (path: string, content: unknown) => {
  await mkdir(join(path, ".."), { recursive: true })
  await writeFile(path, typeof content === "string" ? content : JSON.stringify(content))
}

const noBash = { permissions: { deny: ["Bash"] } }
const ghost = { mcpServers: { ghost: { command: "/nonexistent/server" } } }
const serversOf = (asked: Asked) =>
  JSON.stringify(asked.one("Init").mcpServers).match(/"name":"[^"]+"/g)?.map((found) => found.slice(8, -1)) ?? []

/** The records of a query's session that hold a text. */
const transcript = async (home: SandboxHome, asked: Asked): Promise<string> => {
  const folder = join(home.path, ".claude", "projects")
  for (const project of await readdir(folder)) {
    const file = join(folder, project, `${asked.one("Init").sessionId}.jsonl`)
    if (existsSync(file)) return readFile(file, "utf8")
  }
  return ""
}

await describeRealCli("an option reaches the CLI", ({ path, version }) => {
  /** For what a version need not know, except the newest; that it then says so is shown with the errors. */
  const newer = (title: string, test: () => Promise<void>) =>
    it.concurrent(title, (ctx) =>
      test().catch((cause: unknown) => {
        if (version === recordedVersions[0] || !String(cause).includes("the CLI does not know this option")) throw cause
        ctx.skip("this version does not have it")
      }))
  let bench: Bench
  beforeAll(async () => {
    bench = await startBench(path)
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  it.concurrent("none: the CLI's own model, prompt and tools", async () => {
    const asked = await bench.ask({})
    assert.strictEqual(asked.one("Result").result, "ok")
    assert.match(asked.requests[0]?.model ?? "", /^claude-opus-/)
    assert.include(asked.requests[0]?.system, "You are a Claude agent")
    assert.includeMembers([...asked.one("Init").tools], ["Bash", "Read", "Write"])
    assert.include(JSON.stringify(asked.asked("messages")) + asked.requests[0]?.system, bench.home.project)
  })

  it.concurrent("model, systemPrompt, appendSystemPrompt, context, tools, maxTokens, thinking, betas", async () => {
    const asked = await bench.ask({
      model: "claude-sonnet-4-5",
      systemPrompt: "SYSTEM-A",
      appendSystemPrompt: "SYSTEM-B",
      context: { fact: "SYSTEM-C" },
      tools: ["Read", "Bash"],
      maxTokens: 777,
      thinking: "disabled",
      betas: ["context-1m-2025-08-07"]
    })
    assert.strictEqual(asked.asked("model"), "claude-sonnet-4-5")
    assert.match(asked.requests[0]?.system ?? "", /SYSTEM-A\n\nSYSTEM-B\n\n\[Context\]\n```json\n\{"fact":"SYSTEM-C"\}/)
    assert.notInclude(asked.requests[0]?.system, "# Environment")
    assert.sameMembers([...asked.requests[0]?.tools ?? []], ["Read", "Bash"])
    assert.strictEqual(asked.asked("max_tokens"), 777)
    assert.deepInclude(asked.asked("thinking"), { type: "disabled" })
    assert.include(String(asked.requests[0]?.headers["anthropic-beta"]), "context-1m-2025-08-07")
  })

  it.concurrent("thinking with a budget, thinkingDisplay, excludeDynamicSections, no tools", async () => {
    const asked = await bench.ask({
      model: "claude-sonnet-4-5",
      thinking: { budgetTokens: 5000 },
      thinkingDisplay: "summarized",
      excludeDynamicSections: true,
      appendSystemPrompt: "SYSTEM-B",
      tools: []
    })
    assert.deepInclude(asked.asked("thinking"), { type: "enabled", budget_tokens: 5000, display: "summarized" })
    assert.include(asked.requests[0]?.system, "SYSTEM-B")
    assert.notInclude(asked.requests[0]?.system, bench.home.project)
    assert.deepStrictEqual(asked.one("Init").tools, [])
  })

  it.concurrent("effort, taskBudget, thinking adaptive, disallowedTools, agents, skills", async () => {
    const asked = await bench.ask({
      model: "claude-opus-4-8",
      effort: "low",
      taskBudget: 20_000,
      thinking: "adaptive",
      disallowedTools: ["Bash", "WebFetch"],
      agents: { critic: { description: "AGENT-D", prompt: "AGENT-P" } },
      skills: ["verify"]
    })
    assert.deepInclude(asked.asked("output_config"), { effort: "low", task_budget: { type: "tokens", total: 20_000 } })
    assert.deepInclude(asked.asked("thinking"), { type: "adaptive" })
    const { agents, tools } = asked.one("Init")
    assert.notIncludeMembers([...tools], ["Bash"])
    assert.notIncludeMembers([...tools], ["WebFetch"])
    assert.include(agents, "critic")
    assert.include(asked.told, "AGENT-D")
    assert.include(asked.told, "verify")
    assert.notInclude(asked.told, "simplify")
  })

  it.concurrent("skills: all; agent of agents", async () => {
    const asked = await bench.ask({
      skills: "all",
      agent: "critic",
      agents: { critic: { description: "AGENT-D", prompt: "AGENT-P" } }
    })
    assert.include(asked.told, "simplify")
    assert.include(asked.requests[0]?.system, "AGENT-P")
  })

  it.concurrent("fallbackModel", async () => {
    const asked = await bench.ask({ model: "claude-opus-4-8", fallbackModel: ["claude-haiku-4-5", "sonnet"] }, {
      env: { CLAUDE_CODE_MAX_RETRIES: "2" },
      reply: (request) => request.model === "claude-opus-4-8" ? Api.status(529) : Api.text("fallen back")
    })
    assert.strictEqual(asked.one("Result").result, "fallen back")
    assert.strictEqual(asked.requests.at(-1)?.model, "claude-haiku-4-5")
  })

  it.concurrent("permissionMode plan, planModeInstructions", async () => {
    const asked = await bench.ask({ permissionMode: "plan", planModeInstructions: "PLAN-X" })
    assert.strictEqual(asked.one("Init").permissionMode, "plan")
    assert.include(asked.told, "PLAN-X")
  })

  it.concurrent("permissionMode acceptEdits, fileCheckpointing, title", async () => {
    const home = await bench.newHome()
    const asked = await bench.ask({ permissionMode: "acceptEdits", fileCheckpointing: true, title: "TITLE-X" }, {
      home,
      reply: (_, index) => index > 0 ? Api.text("ok") : Api.toolUse("Write", { file_path: "new.txt", content: "x" })
    })
    assert.strictEqual(asked.one("Init").permissionMode, "acceptEdits")
    assert.isTrue(existsSync(join(home.project, "new.txt")))
    const records = await transcript(home, asked)
    assert.include(records, "file-history-snapshot")
    assert.include(records, "TITLE-X")
  })

  it.concurrent.each(["manual", "dontAsk", "auto"] as const)("permissionMode %s", async (permissionMode) => {
    const asked = await bench.ask({ permissionMode })
    assert.strictEqual(asked.one("Init").permissionMode, permissionMode === "manual" ? "default" : permissionMode)
  })

  it.concurrent("dangerouslySkipPermissions, and allowing it for later", async () => {
    const env = { IS_SANDBOX: "1" }
    const skips = bench.ask({ dangerouslySkipPermissions: true }, { env })
    const allows = bench.ask({ allowDangerouslySkipPermissions: true }, { env })
    assert.strictEqual((await skips).one("Init").permissionMode, "bypassPermissions")
    assert.strictEqual((await allows).one("Init").permissionMode, "default")
  })

  it.concurrent("allowedTools, also with a comma in a rule", async () => {
    const home = await bench.newHome()
    const commands = ["touch a,b", "touch c"]
    const asked = await bench.ask({ allowedTools: ["Bash(touch a,b)", "Read"] }, {
      home,
      reply: (_, index) => {
        const command = commands[index]
        return command === undefined ? Api.text("ok") : Api.toolUse("Bash", { command })
      }
    })
    assert.deepStrictEqual(await readdir(home.project), ["a,b"])
    assert.deepStrictEqual(asked.one("Result").permissionDenials.map(({ input }) => input), [{ command: "touch c" }])
  })

  newer("permissionPrompts: what would have to be asked is denied", async () => {
    const asked = await bench.ask({ permissionPrompts: "none" }, {
      reply: (_, index) => index > 0 ? Api.text("ok") : Api.toolUse("Write", { file_path: "denied.txt", content: "x" })
    })
    assert.isFalse(existsSync(join(bench.home.project, "denied.txt")))
    assert.lengthOf(asked.one("Result").permissionDenials, 1)
  })

  it.concurrent("maxTurns and maxBudgetUsd that suffice", async () => {
    const asked = await bench.ask({ maxTurns: 2, maxBudgetUsd: 5, allowedTools: ["Bash"] }, {
      reply: (_, index) => index > 0 ? Api.text("ok") : Api.toolUse("Bash", { command: "true" })
    })
    assert.strictEqual(asked.one("Result").result, "ok")
  })

  it.concurrent("cwd, addDirs", async () => {
    const { path: home, project: cwd } = await bench.newHome()
    const files = [join(home, "one", "a.txt"), join(home, "two", "b.txt"), join(home, "three", "c.txt")]
    for (const file of files) await write(file, `content of ${file}`)
    const asked = await bench.ask({ cwd, addDirs: [join(home, "one"), join(home, "two")] }, {
      reply: (_, index) => {
        const file = files[index]
        return file === undefined ? Api.text("ok") : Api.toolUse("Read", { file_path: file })
      }
    })
    assert.strictEqual(asked.one("Init").cwd, cwd)
    assert.deepStrictEqual(asked.all("ToolResult").map(({ isError }) => isError), [false, false, true])
  })

  it.concurrent("env, a dropped variable, extraArgs", async () => {
    const asked = await bench.ask({
      env: { GIVEN: "ENV-X", LANG: undefined },
      allowedTools: ["Bash(printenv:*)"],
      extraArgs: { "append-system-prompt": "EXTRA-X" }
    }, {
      reply: (_, index) =>
        index > 0 ? Api.text("ok") : Api.toolUse("Bash", { command: "printenv GIVEN CLAUDECODE LANG" })
    })
    assert.strictEqual(asked.one("ToolResult").content.match(/ENV-X\n1$/m)?.length, 1)
    assert.include(asked.requests[0]?.system, "EXTRA-X")
  })

  it.concurrent("debug, debugFile", async () => {
    const home = await bench.newHome()
    const debugFile = join(home.path, "log.txt")
    await bench.ask({ debug: "hooks", debugFile }, { home })
    const log = await readFile(debugFile, "utf8")
    assert.include(log, "Hooks:")
    assert.notInclude(log, "settings.json")
    await bench.ask({ debug: true }, { home })
    assert.isNotEmpty(await readdir(join(home.path, ".claude", "debug")))
  })

  it.concurrent("settings: an object, a file", async () => {
    const file = join(bench.home.path, "no-bash.json")
    await write(file, noBash)
    for (const settings of [noBash, file]) {
      assert.notInclude((await bench.ask({ settings })).one("Init").tools, "Bash")
    }
  })

  it.concurrent("settingSources, isolated, strictMcpConfig against a user's own settings and servers", async () => {
    const home = await bench.newHome()
    await write(join(home.path, ".claude", "settings.json"), noBash)
    await write(join(home.path, ".claude.json"), ghost)
    const seen = async (options: Parameters<Bench["ask"]>[0]) => {
      const asked = await bench.ask(options, { home })
      return { bash: asked.one("Init").tools.includes("Bash"), servers: serversOf(asked) }
    }
    assert.deepStrictEqual(await seen({}), { bash: false, servers: ["ghost"] })
    assert.deepStrictEqual(await seen({ settingSources: ["project"] }), { bash: true, servers: [] })
    assert.deepStrictEqual(await seen({ strictMcpConfig: true }), { bash: false, servers: [] })
    assert.deepStrictEqual(await seen({ isolated: true }), { bash: true, servers: [] })
  })

  newer("projectConfigRoot", async () => {
    const projectConfigRoot = join(bench.home.path, "trusted")
    await write(join(projectConfigRoot, ".claude", "settings.json"), noBash)
    assert.notInclude((await bench.ask({ projectConfigRoot })).one("Init").tools, "Bash")
  })

  it.concurrent("pluginDirs, with and without their MCP servers; disableSlashCommands", async () => {
    const plugin = join(bench.home.path, "plugin")
    await write(join(plugin, ".claude-plugin", "plugin.json"), { name: "demo", version: "1.0.0", description: "d" })
    await write(join(plugin, "commands", "hello.md"), "Say hello")
    await write(join(plugin, ".mcp.json"), ghost)
    const whole = await bench.ask({ pluginDirs: [plugin] })
    assert.include(whole.one("Init").slashCommands, "demo:hello")
    assert.deepStrictEqual(serversOf(whole), ["plugin:demo:ghost"])
    const bare = await bench.ask({
      pluginDirs: [{ path: plugin, skipMcpDiscovery: true }],
      disableSlashCommands: true
    })
    assert.deepStrictEqual(bare.one("Init").slashCommands, [])
    assert.deepStrictEqual(serversOf(bare), [])
  })

  it.concurrent("includePartialMessages, includeHookEvents", async () => {
    const hooks = { SessionStart: [{ hooks: [{ type: "command", command: "echo hooked" }] }] }
    const asked = await bench.ask({ includePartialMessages: true, includeHookEvents: true, settings: { hooks } }, {
      reply: Api.text("a longer answer in parts", { chunkSize: 5 })
    })
    assert.isAbove(asked.all("Text").filter(({ delta }) => delta).length, 1)
    assert.includeMembers(asked.all("Hook").map(({ event, phase }) => `${event} ${phase}`), ["SessionStart response"])
  })

  it.concurrent("forwardSubagentText", async () => {
    const asked = await bench.ask({ forwardSubagentText: true }, {
      reply: (request) => {
        const mark = /query#\d+\./.exec(request.lastUserText)?.[0] ?? ""
        if (request.lastUserText.includes("BELOW")) return Api.text("from below")
        if (request.toolResults.length > 0) return Api.text("ok")
        const prompt = `BELOW ${mark}`
        return Api.toolUse("Agent", {
          subagent_type: "general-purpose",
          description: "d",
          prompt,
          run_in_background: false
        })
      }
    })
    const [below] = asked.all("Text").filter(({ parentToolUseId }) => parentToolUseId !== undefined)
    assert.strictEqual(below?.content, "from below")
  })
})
