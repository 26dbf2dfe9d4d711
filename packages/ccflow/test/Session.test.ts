import * as FakeCli from "@ccflow/testing/FakeCli"
import { CCFlowError, createClient, InvalidOptionsError, type Query, Session, SessionClosedError } from "ccflow"
import { fakeClient } from "ccflow/testing"
import { mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "vitest"

const fakeClaude = fileURLToPath(new URL("../../testing/bin/fake-claude.mjs", import.meta.url))
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Answers each prompt by itself. */
const echo = () => ({ respond: (prompt: string) => FakeCli.answer(`you said ${prompt}`) })

const rejection = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(() => assert.fail("it did not reject"), (error: unknown) => error)

const tags = async (query: Query): Promise<Array<string>> => {
  const seen: Array<string> = []
  for await (const message of query) seen.push(message._tag)
  return seen
}

/** A turn that says something and then does not end by itself. */
const endless = [FakeCli.init(), FakeCli.text("half an answer"), FakeCli.hang]

describe("a session", () => {
  it("answers turn after turn with one CLI, and sums up what they came to", async () => {
    let started = 0
    const client = fakeClient(() => {
      started++
      return echo()
    })
    const session = client.session()
    const first = session.sendMessage("one")
    assert.deepStrictEqual(await tags(first), ["Init", "Text", "Assistant", "Stop", "Result"])
    assert.strictEqual((await first.result).result, "you said one")
    const second = await session.sendMessage("two").result
    assert.strictEqual(second.result, "you said two")
    assert.strictEqual(started, 1)
    const { stats } = session
    assert.strictEqual(stats.turns, 2)
    assert.isAbove(stats.outputTokens, 0)
    assert.deepStrictEqual(await session.close(), stats)
    assert.deepStrictEqual(await session.close(), stats)
    await client.close()
  })

  it("has its id from the start, and the CLI takes it", async () => {
    await using session = fakeClient(echo).session()
    const { id } = session
    assert.match(id, uuid)
    assert.strictEqual((await session.sendMessage("one").result).sessionId, id)
    assert.strictEqual(session.id, id)
  })

  it("has the id that it is given, or that it resumes", () => {
    const client = fakeClient(echo)
    const id = crypto.randomUUID()
    assert.strictEqual(client.session({ sessionId: id }).id, id)
    assert.strictEqual(client.session({ resume: id }).id, id)
    assert.match(client.session({ resume: id, forkSession: true }).id, uuid)
    assert.notStrictEqual(client.session({ resume: id, forkSession: true }).id, id)
    assert.strictEqual(client.session({ continueSession: true }).id, "")
  })

  it("starts nothing before it is needed, and prewarms when asked", async () => {
    let started = 0
    const client = fakeClient(() => {
      started++
      return echo()
    })
    const session = client.session()
    session.sendMessage("never looked at")
    await sleep(20)
    assert.strictEqual(started, 0)
    await session.prewarm()
    assert.strictEqual(started, 1)
    await session.close()
  })

  it("runs turns in the order in which they were first looked at, also before it has a CLI", async () => {
    await using session = fakeClient(echo).session()
    const ended: Array<number> = []
    await Promise.all(Array.from({ length: 10 }, async (_, index) => {
      const turn = session.sendMessage(`turn ${index}`)
      for await (const message of turn) {
        if (message._tag === "Text") assert.strictEqual(message.content, `you said turn ${index}`)
      }
      ended.push(index)
    }))
    assert.deepStrictEqual(ended, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  it("is closed with its client, whatever it is at", async () => {
    const client = fakeClient([endless])
    const session = client.session()
    const turn = session.sendMessage("one")
    await turn.next()
    await client.close()
    assert.strictEqual(session.stats.turns, 1)
    assert.instanceOf(await rejection(session.sendMessage("two").result), Error)
  })

  it("that lies idle is closed with its client, and so is its CLI", async () => {
    const folder = await mkdtemp(join(tmpdir(), "ccflow-idle-"))
    const script = { onEof: [{ writeFile: { path: join(folder, "left"), content: "" } }] }
    const client = createClient({ cliPath: fakeClaude, env: { FAKE_CLAUDE_SCRIPT: JSON.stringify(script) } })
    const session = client.session()
    await session.sendMessage("one").result
    assert.deepStrictEqual(await readdir(folder), [])
    await client.close()
    assert.deepStrictEqual(await readdir(folder), ["left"])
    await rm(folder, { recursive: true })
  })

  it("rejects what is sent after its end with a SessionClosedError, used before or not", async () => {
    const used = fakeClient(echo).session()
    await used.sendMessage("one").result
    await used.close()
    assert.instanceOf(await rejection(used.sendMessage("two").result), SessionClosedError)
    const unused = fakeClient(echo).session()
    assert.deepStrictEqual((await unused.close()).turns, 0)
    const error = await rejection(unused.sendMessage("two").result)
    assert.instanceOf(error, SessionClosedError)
    assert.strictEqual(error.sessionId, unused.id)
    assert.instanceOf(await rejection(unused.contextUsage()), SessionClosedError)
  })

  it("says which option is wrong, and closes all the same", async () => {
    // @ts-expect-error: not a number
    const session = fakeClient(echo).session({ maxTurns: "many" })
    const error = await rejection(session.sendMessage("one").result)
    assert.instanceOf(error, InvalidOptionsError)
    assert.isTrue(error instanceof CCFlowError)
    assert.strictEqual(error.field, "maxTurns")
    assert.strictEqual((await session.close()).turns, 0)
  })

  it("of a client with warm CLIs takes one of them, and knows its id from the first use on", async () => {
    const folder = await mkdtemp(join(tmpdir(), "ccflow-warm-"))
    const script = {
      start: [{ writeFile: { path: join(folder, "$PID"), content: "" } }],
      turns: [[{ init: {} }, { text: "$PID" }, { result: { result: "$PID" } }]]
    }
    const client = createClient({
      cliPath: fakeClaude,
      env: { FAKE_CLAUDE_SCRIPT: JSON.stringify(script) },
      warm: 1
    })
    await client.querySimple("builds the pool")
    /** One that is still starting is not taken. */
    for (let tries = 0, taken = false; !taken; tries++) {
      assert.isBelow(tries, 20)
      await sleep(200)
      const waiting = await readdir(folder)
      const session = client.session()
      assert.strictEqual(session.id, "")
      const { result, sessionId } = await session.sendMessage("two").result
      assert.match(session.id, uuid)
      assert.strictEqual(sessionId, session.id)
      taken = waiting.includes(result)
    }
    await client.close()
    await rm(folder, { recursive: true })
  })

  it("can be subclassed and recognised", () => {
    assert.instanceOf(fakeClient(echo).session(), Session)
  })
})

describe("a turn", () => {
  const slowThenFine = () => ({ turns: [endless, FakeCli.answer("fine")] })

  it("that is interrupted ends well with what there was, and the session takes the next one", async () => {
    await using session = fakeClient(slowThenFine).session()
    const turn = session.sendMessage("one")
    for await (const message of turn) if (message._tag === "Text") turn.interrupt()
    const result = await turn.result
    assert.isTrue(result.interrupted)
    assert.strictEqual(result.result, "half an answer")
    assert.strictEqual((await session.sendMessage("two").result).result, "fine")
  })

  it("that is interrupted through the session ends in the same way", async () => {
    await using session = fakeClient(slowThenFine).session()
    const turn = session.sendMessage("one")
    for await (const message of turn) if (message._tag === "Text") void session.interrupt()
    assert.isTrue((await turn.result).interrupted)
    assert.strictEqual((await session.sendMessage("two").result).result, "fine")
  })

  it("that has ended does not hand its interrupt on to the next one", async () => {
    const client = fakeClient(() => ({
      turns: [FakeCli.answer("first"), [
        FakeCli.init(),
        FakeCli.delay(30),
        FakeCli.text("second"),
        FakeCli.result({ result: "second" })
      ]]
    }))
    await using session = client.session()
    const first = session.sendMessage("one")
    await first.next()
    const second = session.sendMessage("two")
    await second.next()
    first.interrupt()
    await tags(first)
    await tags(second)
    assert.isFalse((await second.result).interrupted)
    assert.strictEqual((await second.result).result, "second")
  })

  it("that is left, closed or aborted is interrupted, and the session takes the next one", async () => {
    const leave = async (turn: Query) => {
      for await (const message of turn) if (message._tag === "Text") break
    }
    const close = async (turn: Query) => {
      await turn.next()
      await turn.close()
    }
    for (const give of [leave, close]) {
      await using session = fakeClient(slowThenFine).session()
      await give(session.sendMessage("one"))
      assert.strictEqual((await session.sendMessage("two").result).result, "fine")
    }
    await using session = fakeClient(slowThenFine).session()
    const aborting = new AbortController()
    const turn = session.sendMessage("one", { signal: aborting.signal })
    await turn.next()
    aborting.abort()
    const error = await rejection(turn.result)
    assert.instanceOf(error, DOMException)
    assert.strictEqual(error.name, "AbortError")
    assert.strictEqual((await session.sendMessage("two").result).result, "fine")
  })

  it("that is aborted while it waits for another is never sent", async () => {
    await using client = fakeClient(() => ({ turns: [endless, FakeCli.answer("second")] }))
    const session = client.session()
    const first = session.sendMessage("one")
    await first.next()
    const aborting = new AbortController()
    const waiting = session.sendMessage("never", { signal: aborting.signal })
    const rejected = rejection(waiting.result)
    await sleep(10)
    aborting.abort()
    assert.strictEqual(Reflect.get(Object(await rejected), "name"), "AbortError")
    first.interrupt()
    await tags(first)
    assert.strictEqual((await session.sendMessage("two").result).result, "second")
    assert.strictEqual(session.stats.turns, 2)
  })

  it("rejects with the tagged error when it fails, and the session takes the next one", async () => {
    const overloaded = FakeCli.apiError({ status: 529, code: "overloaded", type: "overloaded_error", message: "Busy" })
    await using session = fakeClient(() => ({ turns: [overloaded, FakeCli.answer("fine")] })).session()
    const error = await rejection(session.sendMessage("one").result)
    if (!(error instanceof CCFlowError)) assert.fail(String(error))
    assert.strictEqual(error._tag, "OverloadedError")
    assert.strictEqual((await session.sendMessage("two").result).result, "fine")
  })

  it("takes a message more while its tool runs", async () => {
    const client = fakeClient(() => ({
      turns: [[
        FakeCli.init(),
        FakeCli.toolUse("t1", "Bash", { command: "make" }),
        FakeCli.delay(100),
        FakeCli.toolResult("t1", "made"),
        FakeCli.text("done"),
        FakeCli.result()
      ]]
    }))
    await using session = client.session()
    assert.isFalse(await session.steer("nothing runs"))
    const turn = session.sendMessage("one")
    const seen: Array<string> = []
    for await (const message of turn) {
      if (message._tag === "ToolUse") assert.isTrue(await session.steer("hurry"))
      seen.push(message._tag)
    }
    assert.strictEqual(seen.filter((tag) => tag === "Result").length, 1)
    assert.strictEqual(session.stats.turns, 1)
  })
})

describe("a fork", () => {
  it("has the history, an id of its own, and lives on when the first is closed", async () => {
    const ids: Array<string> = []
    await using client = fakeClient((_, { args }) => {
      ids.push(args.filter((arg) => /^--(resume|fork-session|session-id|model)/.test(arg)).join(" "))
      return echo()
    })
    const session = client.session()
    await session.sendMessage("one").result
    const branch = await session.fork({ model: "opus" })
    assert.match(branch.id, uuid)
    assert.notStrictEqual(branch.id, session.id)
    await session.close()
    assert.strictEqual((await branch.sendMessage("two").result).sessionId, branch.id)
    assert.strictEqual(ids.length, 2)
    for (const part of [`--resume=${session.id}`, "--fork-session", "--model=opus"]) assert.include(ids[1], part)
    await branch.close()
  })

  it("rejects with what is wrong about its options", async () => {
    await using session = fakeClient(echo).session()
    await session.sendMessage("one").result
    // @ts-expect-error: not a function
    assert.instanceOf(await rejection(session.fork({ permissions: "yes" })), InvalidOptionsError)
  })
})

describe("what a session can be asked", () => {
  it("goes to the CLI, and its answer comes back", async () => {
    const asked: Array<unknown> = []
    const note = (answer: unknown) => (request: unknown) => {
      asked.push(request)
      return answer
    }
    const client = fakeClient(() => ({
      ...echo(),
      controls: {
        set_model: note({}),
        set_permission_mode: note({}),
        set_max_thinking_tokens: note({}),
        stop_task: note({}),
        mcp_reconnect: note({}),
        mcp_toggle: note({}),
        mcp_status: note({ mcpServers: [{ name: "one", status: "connected" }] }),
        rewind_files: note({ canRewind: true, filesChanged: ["a"] })
      }
    }))
    await using session = client.session()
    await session.prewarm()
    await session.setModel("opus")
    await session.setPermissionMode("plan")
    await session.setMaxThinkingTokens(0)
    await session.stopTask("t1")
    await session.reconnectMcpServer("one")
    await session.toggleMcpServer("one", false)
    assert.deepStrictEqual(await session.mcpStatus(), [{ name: "one", status: "connected" }])
    assert.isTrue((await session.rewindFiles("m1", { dryRun: true })).canRewind)
    assert.deepStrictEqual(asked, [
      { model: "opus" },
      { mode: "plan" },
      { max_thinking_tokens: 0 },
      { task_id: "t1" },
      { serverName: "one" },
      { serverName: "one", enabled: false },
      {},
      { user_message_id: "m1", dry_run: true }
    ])
    assert.isArray(await session.supportedCommands())
    assert.isArray(await session.supportedModels())
    assert.isArray(await session.supportedAgents())
    assert.isObject(await session.accountInfo())
    assert.isNumber((await session.contextUsage()).totalTokens)
  })

  it("rejects with the tagged error when the CLI refuses", async () => {
    const controls = { get_context_usage: () => FakeCli.refused("not now") }
    await using session = fakeClient(() => ({ ...echo(), controls })).session()
    const error = await rejection(session.contextUsage())
    if (!(error instanceof CCFlowError)) assert.fail(String(error))
    assert.strictEqual(error._tag, "CliProtocolError")
  })
})

describe("what belongs to no turn", () => {
  it("comes by the background, which ends with the session", async () => {
    const client = fakeClient(() => ({
      turns: [[
        FakeCli.init(),
        FakeCli.background([FakeCli.init(), FakeCli.text("it is done"), FakeCli.result()], { after: 20 }),
        FakeCli.text("it runs"),
        FakeCli.result()
      ]]
    }))
    const session = client.session()
    const seen: Array<string> = []
    const listening = (async () => {
      for await (const message of session.background) {
        if (message._tag !== "Text") continue
        seen.push(message.content)
        void session.close()
      }
    })()
    const turn = session.sendMessage("one")
    const own: Array<string> = []
    for await (const message of turn) if (message._tag === "Text") own.push(message.content)
    await listening
    assert.deepStrictEqual(own, ["it runs"])
    assert.deepStrictEqual(seen, ["it is done"])
  })
})
