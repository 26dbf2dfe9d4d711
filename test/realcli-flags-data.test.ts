import { ContextOverflowError } from "@ccflow/core/ClaudeError"
import { Schema } from "effect"
import { existsSync } from "node:fs"
import { readdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import * as Api from "./support/MessagesApi.js"
import { planted } from "./support/planted.js"
import { type Bench, describeRealCli, startBench } from "./support/realCliBench.js"

/** An MCP server that allows everything, and writes down what it was asked and with which token. */
const server = `
import { appendFileSync } from "node:fs"
import { createInterface } from "node:readline"
const schema = { type: "object", additionalProperties: true }
const tools = ["approve", "bash"].map((name) => ({ name, description: name, inputSchema: schema }))
createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params } = JSON.parse(line)
  const reply = (result) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", id, result }) + "\\n")
  if (method === "initialize") {
    reply({ protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "s", version: "1" } })
  } else if (method === "tools/list") reply({ tools })
  else if (method === "tools/call") {
    appendFileSync(process.env.LOG, process.env.TOKEN + " " + params.name + "\\n")
    const text = params.name === "bash"
      ? "run elsewhere"
      : JSON.stringify({ behavior: "allow", updatedInput: params.arguments.input })
    reply({ content: [{ type: "text", text }] })
  } else if (id !== undefined) reply({})
})
`

/** The command lines of a program and of what it was started through. */
const commandLines = async (path: string): Promise<ReadonlyArray<string>> => {
  const processes = (await readdir("/proc")).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(
    processes.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""))
  )
  return lines.filter((line) => line.startsWith(path))
}

interface Tree {
  readonly name: string
  readonly children: ReadonlyArray<Tree>
}
const Tree: Schema.Schema<Tree> = Schema.Struct({
  name: Schema.String,
  children: Schema.Array(Schema.suspend((): Schema.Schema<Tree> => Tree))
}).annotations({ identifier: "a tree/é" })
class Person extends Schema.Class<Person>("Person")({ born: Schema.Date, tree: Tree }) {}

const give = (input: unknown) => (_: unknown, index: number) =>
  index > 0 ? Api.text("ok") : Api.toolUse("StructuredOutput", input)

await describeRealCli("data", ({ path }) => {
  let bench: Bench
  beforeAll(async () => {
    bench = await startBench(path)
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  describe.concurrent("MCP servers", () => {
    it("mcpServers, permissionPromptTool and toolAliases reach the server, with its environment", async () => {
      const home = await bench.newHome()
      const script = join(home.path, "server.mjs")
      const log = join(home.path, "log.txt")
      await writeFile(script, server)
      const calls = [
        Api.toolUse("Write", { file_path: "new.txt", content: "x" }),
        Api.toolUse("Bash", { command: "ls" })
      ]
      const asked = await bench.ask({
        mcpServers: { helper: { command: process.execPath, args: [script], env: { LOG: log, TOKEN: "T0KEN" } } },
        permissionPromptTool: "mcp__helper__approve",
        toolAliases: { Bash: "mcp__helper__bash" },
        allowedTools: ["mcp__helper__bash"]
      }, { home, reply: (_, index) => calls[index] ?? Api.text("ok") })
      assert.include(asked.one("Init").tools, "mcp__helper__bash")
      assert.isTrue(existsSync(join(home.project, "new.txt")))
      assert.include(asked.all("ToolResult")[1]?.content, "run elsewhere")
      assert.strictEqual(await readFile(log, "utf8"), "T0KEN approve\nT0KEN bash\n")
    })

    it("the headers of one that is reached by HTTP are sent to it", async () => {
      const url = `${bench.api.url}/mcp`
      const asked = await bench.ask({
        mcpServers: { web: { type: "http", url, headers: { Authorization: `Bearer ${planted.mcpHeader}` } } }
      })
      assert.strictEqual(asked.one("Result").result, "ok")
      const seen = bench.api.requests.filter((request) => request.path === "/mcp")
      assert.include(seen.map(({ authorization }) => authorization), `Bearer ${planted.mcpHeader}`)
    })
  })

  it.skipIf(process.platform !== "linux")(
    "no command line shows a prompt, a header, an environment value",
    async () => {
      let lines: ReadonlyArray<string> = []
      let settled: () => void = () => {}
      const looked = new Promise<void>((resolve) => settled = resolve)
      const asked = await bench.ask({
        systemPrompt: "S3CRET system",
        appendSystemPrompt: "S3CRET more",
        planModeInstructions: "S3CRET plan",
        title: "S3CRET title",
        context: { fact: "S3CRET" },
        env: { GIVEN: "S3CRET" },
        settings: JSON.stringify({ env: { SETTING: "S3CRET" } }),
        agents: { critic: { description: "S3CRET", prompt: "S3CRET" } },
        outputSchema: { type: "object", description: "S3CRET" },
        mcpServers: {
          web: {
            type: "http",
            url: `${bench.api.url}/S3CRET`,
            headers: { Authorization: `Bearer S3CRET${planted.mcpHeader}` }
          },
          local: { command: "/nonexistent", args: ["S3CRET"], env: { TOKEN: "S3CRET" } }
        }
      }, {
        prompt: "S3CRET",
        reply: (_, index) => {
          if (index > 0) return Api.text("ok")
          void commandLines(path).then((found) => lines = found).finally(() => settled())
          return Api.toolUse("StructuredOutput", {}, { firstByteDelayMs: 300 })
        }
      })
      await looked
      assert.strictEqual(asked.error, undefined)
      assert.isNotEmpty(lines)
      assert.notMatch(lines.join("\n"), /S3CRET|sk-ant/)
    }
  )

  describe.concurrent("long texts", () => {
    const long = "word ".repeat(1_000_000)

    it("a system prompt of 5 MB reaches the API", async () => {
      const asked = await bench.ask({ systemPrompt: `${long}END` })
      assert.strictEqual(asked.error, undefined)
      assert.isTrue(asked.requests[0]?.system.includes(`${long}END`))
    })

    it("a prompt of 5 MB reaches the API, or is a ContextOverflowError", async () => {
      const asked = await bench.ask({}, { prompt: long })
      if (asked.error === undefined) assert.isTrue(asked.requests[0]?.lastUserText.includes(long.slice(0, -1)))
      else assert.instanceOf(asked.error, ContextOverflowError)
    })
  })

  describe.concurrent("structured output", () => {
    const born = "1815-12-10T00:00:00.000Z"
    const tree = { name: "a", children: [{ name: "b", children: [] }] }

    it("comes back decoded, of a class with dates that refers to a schema that refers to itself", async () => {
      const asked = await bench.ask({ outputSchema: Person }, { reply: give({ born, tree }) })
      assert.deepStrictEqual(asked.one("Result").structuredOutput, new Person({ born: new Date(born), tree }))
      assert.include(asked.requests[0]?.tools, "StructuredOutput")
    })

    it("a schema that refers to itself at its root works", async () => {
      const asked = await bench.ask({ outputSchema: Tree }, { reply: give(tree) })
      assert.deepStrictEqual(asked.one("Result").structuredOutput, tree)
    })

    it("of a JSON Schema comes back as it is", async () => {
      const outputSchema = { type: "object", properties: { born: { type: "string" } }, required: ["born"] }
      const asked = await bench.ask({ outputSchema }, { reply: give({ born }) })
      assert.deepStrictEqual(asked.one("Result").structuredOutput, { born })
    })

    it("one attempt that breaks the schema is mended by the model", async () => {
      const asked = await bench.ask({ outputSchema: Tree }, {
        reply: (_, index) => Api.toolUse("StructuredOutput", index === 0 ? { name: 1 } : tree)
      })
      assert.deepStrictEqual(asked.one("Result").structuredOutput, tree)
    })

    it("what the JSON Schema allows and the Effect Schema refuses is a StructuredOutputError", async () => {
      const asked = await bench.ask({ outputSchema: Person }, { reply: give({ born: "yesterday", tree }) })
      assert.deepInclude(asked.error, {
        _tag: "StructuredOutputError",
        reason: "DoesNotDecode",
        detail: "born: it must be a valid Date"
      })
    })
  })

  describe("sessions", () => {
    it("sessionId, resume, forkSession, continueSession, resumeSessionAt, persistSession, systemPromptSnapshot", async () => {
      const home = await bench.newHome()
      const sessionId = "11111111-2222-4333-8444-555555555555"
      const branch = "11111111-2222-4333-8444-666666666666"
      const ask = (prompt: string, options: Parameters<Bench["ask"]>[0]) => bench.ask(options, { prompt, home })

      const first = await ask("FIRST", { sessionId, systemPrompt: "SYSTEM-ONE" })
      assert.strictEqual(first.one("Init").sessionId, sessionId)

      const second = await ask("SECOND", { resume: sessionId, systemPrompt: "SYSTEM-TWO", systemPromptSnapshot: false })
      assert.strictEqual(second.one("Init").sessionId, sessionId)
      assert.include(second.told, "FIRST")
      assert.include(second.told, "SYSTEM-TWO")

      const cut = await ask("THIRD", {
        resume: sessionId,
        resumeSessionAt: first.one("Assistant").uuid,
        forkSession: true,
        sessionId: branch
      })
      assert.strictEqual(cut.error, undefined)
      assert.strictEqual(cut.one("Init").sessionId, branch)
      assert.include(cut.told, "FIRST")
      assert.notInclude(cut.told, "SECOND")

      const newest = await ask("FOURTH", { continueSession: true })
      assert.strictEqual(newest.one("Init").sessionId, branch)
      assert.include(newest.told, "THIRD")

      const traceless = await ask("FIFTH", { persistSession: false })
      const lost = await ask("SIXTH", { resume: traceless.one("Init").sessionId })
      assert.deepInclude(lost.error, { _tag: "SessionNotFoundError", sessionId: traceless.one("Init").sessionId })
    })
  })
})
