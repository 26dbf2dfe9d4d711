import { Session } from "ccflow"
import { assert, it } from "vitest"
import { echoBrain } from "./support/EchoBrain.js"
import { startMessagesApi } from "./support/MessagesApi.js"
import { sandboxHome } from "./support/RealCli.js"
import { describeRealCli } from "./support/realCliBench.js"
import { sandboxedOptions } from "./support/throughLibrary.js"

await describeRealCli("the conversation that everybody begins with", (cli) => {
  it("is a new Session, two messages and a close, and it remembers", async () => {
    await using home = await sandboxHome()
    await using api = await startMessagesApi(echoBrain)
    const session = new Session(
      sandboxedOptions({ path: cli.path, url: api.url, home: home.path, config: { cwd: home.project } })
    )
    const words: Array<string> = []
    for await (const message of session.sendMessage("My name is Ada.")) {
      if (message._tag === "Text") words.push(message.content)
    }
    assert.match(words.join(""), /^Nice to meet you, Ada\./)

    const { result, sessionId } = await session.sendMessage("What is my name?").result
    assert.strictEqual(result, "Your name is Ada.")
    assert.strictEqual(sessionId, session.id)

    const stats = await session.close()
    assert.strictEqual(stats.turns, 2)
    assert.isAbove(stats.costUsd, 0)
    assert.strictEqual(api.mainRequests().length, 2)
  })

  it("goes on after an interrupt, in a fork, and with another model", async () => {
    await using home = await sandboxHome()
    await using api = await startMessagesApi(echoBrain)
    await using session = new Session(
      sandboxedOptions({ path: cli.path, url: api.url, home: home.path, config: { cwd: home.project } })
    )
    const turn = session.sendMessage("My name is Ada.")
    await turn.result
    turn.interrupt()
    const branch = await session.fork()
    const [here, there] = await Promise.all([
      session.sendMessage("What is my name?").result,
      branch.sendMessage("What is my name?").result
    ])
    assert.deepStrictEqual([here.result, there.result], ["Your name is Ada.", "Your name is Ada."])
    assert.notStrictEqual(here.sessionId, there.sessionId)
    assert.strictEqual(there.sessionId, branch.id)
    await session.setModel("opus")
    await session.sendMessage("And now?").result
    assert.include(String(Reflect.get(Object(api.mainRequests().at(-1)?.body), "model")), "opus")
    await branch.close()
  })
}, { concurrent: true })
