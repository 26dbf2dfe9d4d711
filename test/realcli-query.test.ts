import { appendText } from "@ccflow/core/Message"
import type { Client, Message } from "ccflow"
import { assert, it } from "vitest"
import * as Api from "./support/MessagesApi.js"
import { sandboxHome } from "./support/RealCli.js"
import { describeRealCli } from "./support/realCliBench.js"
import { throughLibrary } from "./support/throughLibrary.js"

await describeRealCli("a query through the facade", ({ path }) => {
  /** `anew` makes the replies begin again. */
  const withReplies = (
    name: string,
    replies: ReadonlyArray<Api.Reply>,
    test: (client: Client, anew: () => void) => Promise<void>
  ) =>
    it(name, async () => {
      let served = 0
      await using home = await sandboxHome()
      await using api = await Api.startMessagesApi(() => replies[Math.min(served++, replies.length - 1)]!)
      await using client = throughLibrary({
        path,
        url: api.url,
        home: home.path,
        config: { cwd: home.project, env: { CLAUDE_CODE_MAX_RETRIES: "1" } }
      })
      await test(client, () => served = 0)
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
    async (client, anew) => {
      for (const includePartialMessages of [true, false]) {
        anew()
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
}, { concurrent: true })
