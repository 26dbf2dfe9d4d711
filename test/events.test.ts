import type { Event, EventType } from "@ccflow/core/Events"
import type { Client } from "ccflow"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { bundle, fakeClaude } from "./support/bundle.js"
import * as Api from "./support/MessagesApi.js"
import { runScript } from "./support/programs.js"
import { realCli, type SandboxHome, sandboxHome, supportedVersions } from "./support/RealCli.js"
import { throughLibrary } from "./support/throughLibrary.js"

const of = <Type extends EventType>(heard: ReadonlyArray<Event>, type: Type) =>
  heard.flatMap((event) => event._tag === type ? [event as Extract<Event, { readonly _tag: Type }>] : [])

for (const version of supportedVersions) {
  describe(`what the real CLI does (${version})`, () => {
    let api: Api.MessagesApi
    let home: SandboxHome
    let client: Client | undefined
    let missing = ""
    let replies: ReadonlyArray<Api.Reply> = []
    let served = 0

    beforeAll(async () => {
      const cli = await realCli(version)
      if (cli._tag === "missing") {
        missing = cli.reason
        return
      }
      api = await Api.startMessagesApi(() => replies[Math.min(served++, replies.length - 1)]!)
      home = await sandboxHome()
      client = throughLibrary({ path: cli.path, url: api.url, home: home.path, config: { cwd: home.project } })
    })
    afterAll(async () => {
      await client?.close()
      await api?.close()
      await home?.[Symbol.asyncDispose]()
    })

    it("is told: a session of two turns, with thinking and a tool, and what it has cost", async (ctx) => {
      if (client === undefined) return ctx.skip(missing)
      const file = join(home.project, "note.txt")
      await writeFile(file, "the secret word is plover")
      replies = [
        Api.blocks([Api.thinkingBlock("I should look"), Api.toolBlock("Read", { file_path: file })]),
        Api.text("It is plover."),
        Api.text("Nothing more.")
      ]
      served = 0
      const heard: Array<Event> = []
      const stop = client.events.onAny((event) => heard.push(event))
      const session = client.session()
      await session.sendMessage("What is the word?").result
      await session.sendMessage("And?").result
      await session.close()
      stop()

      const started = of(heard, "TurnStarted")
      assert.deepStrictEqual(started.map(({ turnNumber }) => turnNumber), [1, 2])
      const ended = of(heard, "TurnCompleted")
      assert.deepStrictEqual(
        ended.map(({ callId, outcome, result }) => [callId, outcome, result]),
        [[started[0]?.callId, "success", "It is plover."], [started[1]?.callId, "success", "Nothing more."]]
      )
      for (const { durationMs, firstMessageMs = Infinity } of ended) assert.isAtMost(firstMessageMs, durationMs)
      assert.deepStrictEqual(of(heard, "ToolCalled").map(({ input, tool }) => [tool, input]), [["Read", {
        file_path: file
      }]])
      const [finished] = of(heard, "ToolFinished")
      assert.deepInclude(finished, { tool: "Read", isError: false, callId: started[0]?.callId })
      assert.include(finished?.content, "plover")
      assert.include(of(heard, "ThinkingReceived").map(({ content }) => content).join(""), "I should look")

      const once = ["SessionCreated", "SessionClosed", "ProcessStarted", "ProcessEnded"] as const
      for (const type of once) assert.strictEqual(of(heard, type).length, 1, type)
      assert.deepInclude(of(heard, "ProcessEnded")[0], { unknown: 0, noise: 0, malformed: 0 })
      assert.deepInclude(of(heard, "SessionClosed")[0], { turns: 2 })
      const [created] = of(heard, "SessionCreated")
      assert.deepStrictEqual([...new Set(heard.map(({ sessionId }) => sessionId).filter(Boolean))], [
        created?.sessionId
      ])

      const sum = (figures: ReadonlyArray<number>) => figures.reduce((all, each) => all + each, 0)
      const { inputTokens, outputTokens, totalCostUsd } = await client.usage()
      assert.strictEqual(sum(of(heard, "TokensUsed").map((each) => each.inputTokens)), inputTokens)
      assert.strictEqual(sum(of(heard, "TokensUsed").map((each) => each.outputTokens)), outputTokens)
      assert.isAbove(outputTokens, 0)
      assert.closeTo(sum(of(heard, "CostIncurred").map(({ costUsd }) => costUsd)), totalCostUsd, 1e-9)
    })
  })
}

describe("a program that only listens", () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "ccflow-events-"))
  })
  afterAll(() => rm(folder, { recursive: true }))

  const run = async (name: string, lines: ReadonlyArray<string>) => {
    const script = join(folder, `${name}.mjs`)
    const index = join(await bundle("index", { index: "packages/ccflow/src/index.ts" }), "index.mjs")
    const imports = `import { createClient } from ${JSON.stringify(pathToFileURL(index).href)}`
    const client = `const client = createClient({ cliPath: ${JSON.stringify(fakeClaude)} })`
    await writeFile(script, [imports, client, ...lines].join("\n"))
    return runScript(script, [], { env: process.env, timeout: 20_000 })
  }

  it("ends by itself, though nobody has closed its client or left its loop", async () => {
    const ended = await run("asks", [
      "client.events.on(\"QueryEnded\", ({ outcome }) => console.log(outcome))",
      "client.events.onAny(() => { throw new Error(\"bad listener\") })",
      ";(async () => { for await (const { _tag } of client.events) if (_tag === \"QueryStarted\") console.log(_tag) })()",
      "console.log(await client.querySimple(\"hi\"))"
    ])
    assert.deepStrictEqual([ended.code, ended.stdout.trim().split("\n").toSorted()], [0, [
      "QueryStarted",
      "echo: hi",
      "success"
    ]])
    assert.include(ended.stderr, "CcflowListenerWarning: A listener of events has failed: bad listener")
  })

  it("ends at once where it asks nothing", async () => {
    assert.deepStrictEqual(await run("listens", ["client.events.onAny(console.log)"]), {
      code: 0,
      stdout: "",
      stderr: ""
    })
  })
})
