import * as FakeCli from "@ccflow/testing/FakeCli"
import {
  createClient,
  InvalidOptionsError,
  SessionBusyError,
  SessionClosedError,
  SessionNotFoundError,
  SessionStoreError
} from "ccflow"
import { fakeClient } from "ccflow/testing"
import { mkdir, mkdtemp, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "vitest"

let folder: string
let storagePath: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ccflow-sessions-"))
  storagePath = join(folder, "kept", "sessions.db")
})
afterEach(() => rm(folder, { recursive: true }))

const echo = () => ({ respond: (prompt: string) => FakeCli.answer(`you said ${prompt}`) })
const clientOf = () => fakeClient(echo, { storagePath })

const rejection = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(() => assert.fail("it did not reject"), (error: unknown) => error)

describe("a client with a storagePath", () => {
  it("keeps what was said: a later one lists it, reads it, exports it and goes on with it", async () => {
    let id: string
    {
      await using client = clientOf()
      const session = client.session({ model: "opus", tags: ["work"], recordMessages: true })
      id = session.id
      await session.sendMessage("My name is Ada.").result
      await session.sendMessage("What is my name?").result
    }
    const started: Array<string> = []
    await using client = fakeClient((_, { args }) => {
      started.push(args.join(" "))
      return echo()
    }, { storagePath })
    const { next, sessions } = await client.sessions.list({ tags: ["work"] })
    assert.isUndefined(next)
    assert.deepStrictEqual(sessions.map(({ sessionId, turnCount }) => [sessionId, turnCount]), [[id, 2]])
    assert.deepStrictEqual(await client.sessions.get(id), sessions[0])
    const { turns } = await client.sessions.turns(id)
    assert.deepStrictEqual(turns.map(({ prompt, result, status }) => [prompt, result, status]), [
      ["My name is Ada.", "you said My name is Ada.", "completed"],
      ["What is my name?", "you said What is my name?", "completed"]
    ])
    const whole = await client.sessions.export(id)
    assert.deepStrictEqual(JSON.parse(JSON.stringify(whole.session)), sessions[0])
    assert.isAbove(whole.turns[0]?.messages?.length ?? 0, 0)
    assert.deepStrictEqual((await client.sessions.messages(turns[0]?.turnId ?? "")).messages, whole.turns[0]?.messages)

    const resumed = client.sessions.resume(id)
    assert.strictEqual(resumed.id, id)
    assert.strictEqual((await resumed.sendMessage("And now?").result).result, "you said And now?")
    assert.include(started[0], `--resume=${id}`)
    assert.include(started[0], "--model=opus")
    assert.strictEqual((await client.sessions.get(id))?.turnCount, 3)
    await client.sessions.close(id)
    assert.instanceOf(await rejection(resumed.sendMessage("closed").result), SessionClosedError)
    assert.strictEqual((await client.sessions.get(id))?.status, "closed")
  })

  it("makes the file for its user alone, and not before there is something to keep", async () => {
    await using client = clientOf()
    client.session()
    await client.query("one")[Symbol.asyncIterator]().next()
    await rejection(stat(storagePath))
    assert.deepStrictEqual((await client.sessions.list()).sessions, [])
    if (process.platform !== "win32") assert.strictEqual((await stat(storagePath)).mode & 0o777, 0o600)
  })

  it("keeps a fork as a session of its own, that knows its parent", async () => {
    await using client = clientOf()
    const session = client.session()
    await session.sendMessage("one").result
    const branch = await session.fork()
    await branch.sendMessage("two").result
    assert.strictEqual((await client.sessions.get(branch.id))?.parentId, session.id)
    assert.strictEqual((await client.sessions.list()).sessions.length, 2)
  })

  it("gives a session that is open as it is, and tags and deletes it", async () => {
    await using client = clientOf()
    const session = client.session()
    await session.sendMessage("one").result
    const same = client.sessions.resume(session.id)
    await same.sendMessage("two").result
    assert.strictEqual(session.stats.turns, 2)
    assert.isTrue(await client.sessions.addTags(session.id, ["b", "a"]))
    assert.isTrue(await client.sessions.removeTags(session.id, ["b"]))
    assert.deepStrictEqual((await client.sessions.get(session.id))?.tags, ["a"])
    assert.isTrue(await client.sessions.delete(session.id))
    assert.isFalse(await client.sessions.delete(session.id))
    assert.isUndefined(await client.sessions.get(session.id))
    assert.isUndefined(await client.sessions.close(session.id))
    assert.instanceOf(await rejection(session.sendMessage("three").result), SessionClosedError)
  })

  it("rejects with the tagged errors: no such session, one that another client has, a bad filter", async () => {
    await using client = clientOf()
    const unknown = crypto.randomUUID()
    assert.instanceOf(
      await rejection(client.sessions.resume(unknown).sendMessage("one").result),
      SessionNotFoundError
    )
    assert.instanceOf(await rejection(client.sessions.export(unknown)), SessionNotFoundError)
    assert.isUndefined(await client.sessions.get(unknown))
    const session = client.session()
    await session.sendMessage("one").result
    await using other = clientOf()
    const error = await rejection(other.sessions.resume(session.id).prewarm())
    assert.instanceOf(error, SessionBusyError)
    assert.isNumber(error.until)
    assert.instanceOf(await rejection(client.sessions.list({ limit: -1 })), SessionStoreError)
  })

  it("says what is wrong with the file, to those who need it, and answers queries all the same", async () => {
    await mkdir(storagePath, { recursive: true })
    await using client = clientOf()
    assert.strictEqual(await client.querySimple("one"), "you said one")
    for (const way of [client.sessions.list(), client.session().sendMessage("one").result]) {
      const error = await rejection(way)
      assert.instanceOf(error, SessionStoreError)
      assert.strictEqual(error.reason, "NotAFile")
    }
    await rm(storagePath, { recursive: true })
    assert.deepStrictEqual((await client.sessions.list()).sessions, [])
  })
})

describe("a client without a storagePath", () => {
  it("keeps nothing, and says so", async () => {
    await using client = fakeClient(echo)
    const session = client.session({ tags: ["of no use"] })
    assert.strictEqual((await session.sendMessage("one").result).result, "you said one")
    const error = await rejection(client.sessions.list())
    assert.instanceOf(error, InvalidOptionsError)
    assert.strictEqual(error.field, "storagePath")
    assert.instanceOf(await rejection(client.sessions.resume(session.id).prewarm()), InvalidOptionsError)
  })

  it("keeps sessions where CCFLOW_SESSION_STORAGE_PATH says", async () => {
    process.env["CCFLOW_SESSION_STORAGE_PATH"] = storagePath
    try {
      await using client = createClient()
      assert.deepStrictEqual((await client.sessions.list()).sessions, [])
      assert.isTrue((await stat(storagePath)).isFile())
    } finally {
      delete process.env["CCFLOW_SESSION_STORAGE_PATH"]
    }
  })
})
