import { appendText } from "@ccflow/core/Message"
import type { Client, Message } from "ccflow"
import { afterAll, assert, beforeAll, it } from "vitest"
import * as Api from "./support/MessagesApi.js"
import { realCli, type SandboxHome, sandboxHome, supportedVersions } from "./support/RealCli.js"
import { throughLibrary } from "./support/throughLibrary.js"

/** Whole queries through the facade, on each of the real CLIs. */
for (const version of supportedVersions) {
  const state: { reply: ReadonlyArray<Api.Reply>; served: number } = { reply: [], served: 0 }
  let api: Api.MessagesApi
  let home: SandboxHome
  let client: Client | undefined
  let missing = ""

  beforeAll(async () => {
    const cli = await realCli(version)
    if (cli._tag === "missing") {
      missing = cli.reason
      return
    }
    api = await Api.startMessagesApi(() => state.reply[Math.min(state.served++, state.reply.length - 1)]!)
    home = await sandboxHome()
    client = throughLibrary({
      path: cli.path,
      url: api.url,
      home: home.path,
      config: { cwd: home.project, env: { CLAUDE_CODE_MAX_RETRIES: "1" } }
    })
  })
  afterAll(async () => {
    await client?.close()
    await api?.close()
    await home?.[Symbol.asyncDispose]()
  })

  const withReplies = (name: string, replies: ReadonlyArray<Api.Reply>, test: (client: Client) => Promise<void>) =>
    it(`${name} (${version})`, async (ctx) => {
      if (client === undefined) return ctx.skip(missing)
      state.reply = replies
      state.served = 0
      await test(client)
    })

  const collect = async (messages: AsyncIterable<Message>): Promise<ReadonlyArray<Message>> => {
    const seen: Array<Message> = []
    for await (const message of messages) seen.push(message)
    return seen
  }

  withReplies(
    "a query streams the text, and its result agrees",
    [Api.text("The answer is 4, as ever.")],
    async (client) => {
      for (const includePartialMessages of [false, true]) {
        const query = client.query("2+2?", { includePartialMessages })
        const seen = await collect(query)
        assert.strictEqual(seen.reduce(appendText, ""), "The answer is 4, as ever.")
        assert.strictEqual((await query.result).result, "The answer is 4, as ever.")
        assert.strictEqual(seen.filter((message) => message._tag === "Assistant").length, 1)
        assert.deepStrictEqual(seen.slice(-2).map((message) => message._tag), ["Stop", "Result"])
      }
    }
  )

  withReplies(
    "text that the CLI withdraws after a cut is withdrawn, with partial messages and without",
    [Api.cut({ content: "This will be cut off somewhere.", afterChars: 20 }), Api.text("Whole at last.")],
    async (client) => {
      for (const includePartialMessages of [true, false]) {
        state.served = 0
        const seen = await collect(client.query("x", { includePartialMessages }))
        assert.strictEqual(seen.reduce(appendText, ""), "Whole at last.")
        assert.strictEqual(
          seen.some((message) => message._tag === "Text" && message.retract !== undefined),
          includePartialMessages
        )
      }
    }
  )

  withReplies(
    "background work is waited for, and the answer is that of the user's turn",
    [
      Api.toolUse("Bash", { command: "sleep 1; echo finished", description: "Wait", run_in_background: true }),
      Api.text("Started."),
      Api.text("It has finished.")
    ],
    async (client) => {
      const query = client.query("Start it", { allowedTools: ["Bash"] })
      const seen = await collect(query)
      assert.strictEqual((await query.result).result, "Started.")
      const results = seen.filter((message) => message._tag === "Result")
      assert.deepStrictEqual(results.map(({ origin, result }) => [result, origin]), [
        ["Started.", undefined],
        ["It has finished.", "task-notification"]
      ])
    }
  )

  withReplies(
    "an interrupt ends the turn well with what there was, and costs no error",
    [Api.hang({ content: "One two three four five", afterChars: 12 })],
    async (client) => {
      const query = client.query("x", { includePartialMessages: true })
      let text = ""
      for await (const message of query) {
        text = appendText(text, message)
        if (message._tag === "Text") query.interrupt()
      }
      assert.isTrue("One two three four five".startsWith(text) && text !== "")
      assert.include((await query.result).terminalReason ?? "", "aborted")
    }
  )

  withReplies("tools run, and their results carry their names", [
    Api.toolUse("Bash", { command: "echo from the tool", description: "Say" }),
    Api.text("Done.")
  ], async (client) => {
    const seen = await collect(client.query("x", { allowedTools: ["Bash"] }))
    const result = seen.find((message) => message._tag === "ToolResult")
    assert.deepInclude({ ...result }, { tool: "Bash", content: "from the tool", isError: false })
  })

  withReplies("many at once, each with its own answer", [Api.text("fine")], async (client) => {
    const results = await client.batchQuery(["a", "b", "c", "d"], { concurrency: 2 })
    assert.deepStrictEqual(results.map(({ result }) => result?.result), ["fine", "fine", "fine", "fine"])
    assert.strictEqual(new Set(results.map(({ result }) => result?.sessionId)).size, 4)
  })
}
