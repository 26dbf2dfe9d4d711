import * as Claude from "@ccflow/core/Claude"
import * as ClaudeConfig from "@ccflow/core/ClaudeConfig"
import type { CliProcess } from "@ccflow/core/CliProcess"
import * as Hooks from "@ccflow/core/Hooks"
import type { Message } from "@ccflow/core/Message"
import * as MessageParser from "@ccflow/core/MessageParser"
import * as Permissions from "@ccflow/core/Permissions"
import * as Policies from "@ccflow/core/Policies"
import * as Session from "@ccflow/core/Session"
import * as Tools from "@ccflow/core/Tools"
import * as NodeCliProcess from "@ccflow/node/NodeCliProcess"
import * as Cassette from "@ccflow/testing/Cassette"
import { NodeFileSystem } from "@effect/platform-node"
import { createClient } from "ccflow"
import { Effect, Layer, Schema, Stream } from "effect"
import { readFile } from "node:fs/promises"
import { homedir, hostname } from "node:os"
import { dirname, join } from "node:path"
import { assert, it } from "vitest"
import { cassetteProgram } from "./support/cassetteProgram.js"
import * as Api from "./support/MessagesApi.js"
import { mark } from "./support/planted.js"
import { type SandboxHome, sandboxHome } from "./support/RealCli.js"
import { describeRealCli } from "./support/realCliBench.js"
import { sandboxedOptions } from "./support/throughLibrary.js"

const calc = Tools.toolSet("calc", [Tools.tool({
  name: "add",
  description: "Adds two numbers",
  input: Schema.Struct({ a: Schema.Number, b: Schema.Number }),
  alwaysLoad: true,
  handler: ({ a, b }) => Effect.succeed(a + b)
})])

const replies: Api.Script = [
  Api.text("2+2 is 4."),
  Api.text("Hello Ada."),
  Api.toolUse("Bash", { command: "touch made.txt", description: "Make a file" }),
  Api.toolUse("mcp__calc__add", { a: 2, b: 3 }),
  Api.text("It is 5."),
  Api.text("Still here.")
]

/** One prompt; a session with a permission, a hook and a tool of the program; its resumption in another process. */
const program = (options: Claude.ClaudeOptions) =>
  Effect.gen(function*() {
    const told: Array<ReadonlyArray<Message>> = []
    const keep = <E, R>(messages: Stream.Stream<Message, E, R>) =>
      Effect.map(Stream.runCollect(messages), (chunk) => void told.push([...chunk]))
    const asked: Array<string> = []
    const hosting = {
      ...options,
      permissions: ({ tool }: Permissions.PermissionRequest) =>
        Effect.sync(() => {
          asked.push(tool)
          return Permissions.allow()
        }),
      hooks: [Hooks.on("PreToolUse", ({ toolName }) =>
        Effect.sync(() => {
          asked.push(`hook ${toolName}`)
          return Hooks.proceed
        }))],
      toolSets: [calc],
      allowedTools: Tools.allowed(calc)
    }
    yield* keep(Claude.query("2+2?", { ...options, includePartialMessages: true }))
    const id = yield* Effect.scoped(Effect.gen(function*() {
      const session = yield* Session.make(hosting)
      yield* keep(session.send("My name is Ada."))
      yield* keep(session.send("Make a file and add 2 and 3."))
      return yield* session.id
    }))
    yield* Effect.scoped(Effect.flatMap(Session.make({ ...hosting, resume: id }), (it) => keep(it.send("And now?"))))
    return { told, asked }
  })

const on = <A, E, Out, CliE, R>(
  cli: Layer.Layer<CliProcess | Out, CliE, R>,
  effect: Effect.Effect<A, E, Claude.Claude | Out>
) =>
  Effect.provide(
    effect,
    Layer.provideMerge(
      Claude.layerWith().pipe(
        Layer.provide([
          MessageParser.layer,
          Layer.succeed(ClaudeConfig.ClaudeConfig, { defaults: {} }),
          Policies.layerNoop
        ])
      ),
      cli
    )
  )

/** Without what is another one each time. */
const plain = (home: SandboxHome, told: unknown): unknown =>
  JSON.parse(
    JSON.stringify(told)
      .replaceAll(home.project, "/home/user/project")
      .replaceAll(home.path, "/home/user")
      .replaceAll(home.path.replace(/[^A-Za-z0-9]/g, "-"), "-home-user")
      .replace(/[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}|\b(?:toolu|msg|req)_\w+/g, "id")
      .replace(/"(duration_?(?:api)?(?:_?ms)?|\w*Ms|[a-z_]+_ms|pid)":\d+/gi, "\"$1\":0")
      .replace(/"timestamp":"[^"]*"/g, "\"timestamp\":\"\"")
      .replace(/cc-socks\/\d+/g, "cc-socks/4242")
      .replace(/claude-\d+\//g, "claude-1000/")
  )

await describeRealCli("a cassette", (cli) => {
  it("is recorded and played by a real process as well, for a client that takes it for the CLI", async () => {
    await using tape = await cassetteProgram()
    const home = await sandboxHome()
    const api = await Api.startMessagesApi([
      Api.toolUse("Bash", { command: "echo hello", description: "Say it" }),
      Api.text("It said hello.")
    ])
    const file = join(tape.path, "..", "tape.ndjson")
    const { env } = sandboxedOptions({ path: cli.path, url: api.url, home: home.path })
    const ask = async (more: Readonly<Record<string, string>>) => {
      await using client = createClient({ cliPath: tape.path, cwd: home.project, retry: false, allowedTools: ["Bash"] })
      const path = `${dirname(process.execPath)}:/usr/bin:/bin`
      const told: Array<Message> = []
      const query = client.query("Say hello.", { env: { ...env, PATH: path, CCFLOW_CASSETTE: file, ...more } })
      for await (const message of query) told.push(message)
      return told
    }
    const recorded = await ask({ CCFLOW_CASSETTE_MODE: "record", CCFLOW_CASSETTE_CLI: cli.path })
    await api.close()
    assert.isTrue(recorded.some((message) => message._tag === "ToolResult" && message.content.includes("hello")))
    assert.deepStrictEqual(plain(home, await ask({})), plain(home, recorded))
    assert.notInclude(await readFile(file, "utf8"), home.path)
    await home[Symbol.asyncDispose]()
  })

  it("of a prompt, a session and its resumption is played offline, with the same messages and questions", async () => {
    const home = await sandboxHome()
    const api = await Api.startMessagesApi(replies)
    const { cliPath, env } = sandboxedOptions({ path: cli.path, url: api.url, home: home.path })
    const folder = await sandboxHome()
    const file = join(folder.path, "tape.ndjson")
    const options = { cwd: home.project, cliPath, env, timeout: "30 seconds" } as const
    const recording = Layer.provide(Cassette.record(file), [NodeCliProcess.layer, NodeFileSystem.layer])
    const recorded = await Effect.runPromise(on(recording, program(options)))
    await api.close()
    await home[Symbol.asyncDispose]()

    const played = await Effect.runPromise(on(
      Layer.provide(Cassette.layer(file, { match: { model: true, flags: true } }), NodeFileSystem.layer),
      Effect.zip(
        program({ ...options, cliPath: "/there/is/no/claude" }),
        Effect.flatMap(Cassette.Cassette, ({ mismatches, unplayed }) => Effect.zip(mismatches, unplayed))
      )
    ))
    assert.deepStrictEqual(played[1], [[], []])
    assert.deepStrictEqual(played[0].asked, recorded.asked)
    assert.includeMembers(recorded.asked, ["Bash", "hook Bash", "hook mcp__calc__add"])
    assert.deepStrictEqual(plain(home, played[0].told), plain(home, recorded.told))

    const text = await readFile(file, "utf8")
    for (const trace of [home.path, "ccflow-home-", mark, homedir(), hostname()]) {
      assert.notMatch(text, new RegExp(`(?<!\\w)${trace}(?![\\w-])`))
    }
    assert.include(text.split("\n")[0], `"claude":"${cli.version}"`)
    await folder[Symbol.asyncDispose]()
  })
})
