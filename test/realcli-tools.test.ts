import type { Claude } from "@ccflow/core"
import { Tools } from "@ccflow/core"
import type { Message } from "@ccflow/core/Message"
import { Deferred, Effect, Schema } from "effect"
import { readdir, readFile, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, assert, beforeAll, it } from "vitest"
import { askHosted, type Hosting } from "./support/hostBench.js"
import * as Api from "./support/MessagesApi.js"
import { type SandboxHome, sandboxHome } from "./support/RealCli.js"
import { describeRealCli } from "./support/realCliBench.js"

const calc = Tools.toolSet("calc", [
  Tools.tool({
    name: "add",
    description: "Adds two numbers",
    input: Schema.Struct({ a: Schema.Number, b: Schema.Number }),
    alwaysLoad: true,
    handler: ({ a, b }, { toolUseId }) => Effect.succeed({ sum: a + b, toolUseId })
  })
])

/** A stdio server that answers with its secret's length; told to sleep, it never answers at all. */
const stdioServer = `
  if (process.env.NEVER) setInterval(() => {}, 1000)
  else process.stdin.setEncoding("utf8").on("data", (text) => {
    for (const line of text.split("\\n").filter(Boolean)) {
      const { id, method, params } = JSON.parse(line)
      const tools = [{ name: "echo", description: "x", inputSchema: { type: "object", properties: {} } }]
      const result = method === "initialize"
        ? { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "s", version: "1" } }
        : method === "tools/list" ? { tools }
        : { content: [{ type: "text", text: "secret of " + process.env.SECRET.length }] }
      if (id !== undefined) process.stdout.write(JSON.stringify({ jsonrpc: "2.0", id, result }) + "\\n")
    }
  })
`

await describeRealCli("tools", (cli) => {
  let home: SandboxHome
  let server: string
  beforeAll(async () => {
    home = await sandboxHome()
    server = join(home.path, "server.cjs")
    await writeFile(server, stdioServer)
  })
  afterAll(() => home[Symbol.asyncDispose]())

  const ask = (options: Claude.ClaudeOptions, replies: Api.Script, how: Partial<Hosting> = {}) =>
    askHosted(cli, home, options, { ...how, replies })
  const resultsOf = (messages: ReadonlyArray<Message>) =>
    messages.flatMap((message) => message._tag === "ToolResult" ? [message] : [])
  const serving = (toolSet: Tools.ToolSet) => ({ toolSets: [toolSet], allowedTools: Tools.allowed(toolSet) })

  it("of the program are there, called, and their results read by the model", async () => {
    const { error, messages, requests } = await ask(serving(calc), [
      Api.toolUse("mcp__calc__add", { a: 2, b: 3 }),
      Api.text("done")
    ])
    assert.isUndefined(error)
    assert.include(requests[0]?.tools ?? [], "mcp__calc__add")
    const [result] = resultsOf(messages)
    assert.deepInclude({ ...result }, { tool: "mcp__calc__add", isError: false })
    assert.deepStrictEqual(JSON.parse(requests[1]?.toolResults[0]?.text ?? ""), {
      sum: 5,
      toolUseId: result?.toolUseId
    })
  })

  it("that get wrong arguments, fail or die are errors that the model can read, and the session goes on", async () => {
    const fails = Tools.toolSet("fails", [
      Tools.tool({
        name: "try",
        description: "x",
        input: Schema.Struct({ how: Schema.Literal("fail", "die") }),
        handler: ({ how }) => how === "fail" ? Effect.fail("no database") : Effect.die(new Error("a bug"))
      })
    ])
    const { error, requests } = await ask(serving(fails), [
      Api.toolUse("mcp__fails__try", { how: "so" }),
      Api.toolUse("mcp__fails__try", { how: "fail" }),
      Api.toolUse("mcp__fails__try", { how: "die" }),
      Api.text("done")
    ])
    assert.isUndefined(error)
    const results = requests.slice(1).flatMap(({ toolResults }) => toolResults)
    assert.deepStrictEqual(results.map(({ isError }) => isError), [true, true, true])
    assert.include(results[0]?.text ?? "", "Invalid arguments: how: it must be \"fail\" or \"die\"")
    assert.include(results[1]?.text ?? "", "no database")
    assert.include(results[2]?.text ?? "", "a bug")
  })

  it.sequential("serve twenty queries at once, each with its own answer", { timeout: 180_000 }, async () => {
    const asked = await Promise.all(
      Array.from(
        { length: 20 },
        (_, n) =>
          ask({ ...serving(calc), timeout: "2 minutes", startupTimeout: "2 minutes" }, [
            Api.toolUse("mcp__calc__add", { a: n, b: 1000 }),
            Api.text("done")
          ])
      )
    )
    assert.deepStrictEqual(asked.map(({ error }) => error), asked.map(() => undefined))
    assert.deepStrictEqual(
      asked.map(({ requests }) => JSON.parse(requests[1]?.toolResults[0]?.text ?? "{}").sum),
      asked.map((_, n) => n + 1000)
    )
  })

  it("are interrupted with the turn", async () => {
    const called = Effect.runSync(Deferred.make<void>())
    let interrupted = false
    const slow = Tools.toolSet("slow", [
      Tools.tool({
        name: "wait",
        description: "x",
        input: Schema.Struct({}),
        handler: () =>
          Effect.zipRight(
            Deferred.succeed(called, undefined),
            Effect.onInterrupt(Effect.never, () =>
              Effect.sync(() => {
                interrupted = true
              }))
          )
      })
    ])
    const { error, requests } = await ask(
      { ...serving(slow), interruptWhen: Effect.delay(Deferred.await(called), "100 millis") },
      [Api.toolUse("mcp__slow__wait", {}), Api.text("never said")]
    )
    assert.isUndefined(error)
    assert.isTrue(interrupted)
    assert.lengthOf(requests, 1)
  })

  it("tell their progress and go on", async () => {
    const steps = Tools.toolSet("steps", [
      Tools.tool({
        name: "go",
        description: "x",
        input: Schema.Struct({}),
        handler: (_, { progress }) =>
          Effect.as(
            Effect.forEach([1, 2, 3], (done) =>
              Effect.zipRight(progress(done, 3, `step ${done}`), Effect.sleep("50 millis"))),
            "all three"
          )
      })
    ])
    const { error, requests } = await ask(serving(steps), [Api.toolUse("mcp__steps__go", {}), Api.text("done")])
    assert.isUndefined(error)
    assert.strictEqual(requests[1]?.toolResults[0]?.text, "all three")
  })

  it("may give 50 MB: the model gets the beginning and a file's name", { timeout: 180_000 }, async () => {
    const size = 50 * 1024 * 1024
    const big = Tools.toolSet("big", [
      Tools.tool({
        name: "make",
        description: "x",
        input: Schema.Struct({}),
        handler: () => Effect.succeed("x".repeat(size))
      })
    ])
    const { error, requests } = await ask({ ...serving(big), timeout: "2 minutes" }, [
      Api.toolUse("mcp__big__make", {}),
      Api.text("done")
    ])
    assert.isUndefined(error)
    const told = requests[1]?.toolResults[0]?.text ?? ""
    assert.isBelow(told.length, 10_000)
    const file = /saved to:? (\S+\.(?:json|txt))/.exec(told)?.[1] ?? ""
    assert.isAtLeast((await stat(file)).size, size)
  })

  it("of a stdio server work, and its secrets are in no command line", async () => {
    const secret = "S3CRET-of-a-server"
    const lines: Array<string> = []
    const { error, requests } = await ask({
      mcpServers: { stdio: { command: process.execPath, args: [server], env: { SECRET: secret } } },
      allowedTools: ["mcp__stdio__echo"],
      mcpTimeout: "20 seconds"
    }, async (request) => {
      if (process.platform === "linux") lines.push(...await commandLines())
      return request.toolResults.length === 0 ? Api.toolUse("mcp__stdio__echo", {}) : Api.text("done")
    })
    assert.isUndefined(error)
    assert.strictEqual(requests[1]?.toolResults[0]?.text, `secret of ${secret.length}`)
    if (process.platform === "linux") assert.isTrue(lines.some((line) => line.includes(server)))
    assert.notInclude(lines.join("\n"), secret)
  })

  it("of a server that never starts hold the first turn no longer than mcpTimeout", async () => {
    const startedAt = Date.now()
    const { error, messages } = await ask({
      mcpServers: { never: { command: process.execPath, args: [server], env: { NEVER: "1" } } },
      mcpTimeout: "1500 millis"
    }, [Api.text("done")])
    assert.isUndefined(error)
    assert.isBelow(Date.now() - startedAt, 15_000)
    const init = messages.find((message) => message._tag === "Init")
    const [never] = init?._tag === "Init" ? init.mcpServers : []
    assert.strictEqual(never?.name, "never")
    // 2.1.197 goes on by itself after some 2 seconds, and knows of the failure later.
    assert.include(["failed", "pending"], never?.status)
  })
}, { concurrent: true })

/** Of all processes that can be read. */
const commandLines = async (): Promise<ReadonlyArray<string>> => {
  const ids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name))
  return Promise.all(ids.map((id) => readFile(`/proc/${id}/cmdline`, "utf8").catch(() => "")))
}
