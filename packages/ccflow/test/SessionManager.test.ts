import * as FakeCli from "@ccflow/testing/FakeCli"
import {
  InvalidOptionsError,
  MemorySessionStore,
  SessionBusyError,
  SessionLimitError,
  SessionManager,
  SessionNotFoundError,
  type SessionRecord,
  type SessionStore,
  SQLiteSessionStore
} from "ccflow"
import { fakeClient } from "ccflow/testing"
import { mkdtemp, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it, vi } from "vitest"

const rejection = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(() => assert.fail("it did not reject"), (error: unknown) => error)

type Config = NonNullable<Parameters<typeof fakeClient>[1]>

/** A manager over a fake CLI, and how often that was started. */
const managing = (config: Config) => {
  const started: Array<string> = []
  const client = fakeClient((_, { args }) => {
    started.push(args.join(" "))
    return { respond: (prompt: string) => FakeCli.answer(`you said ${prompt}`) }
  }, config)
  return { manager: new SessionManager({}, client), started }
}

const idsOf = (sessions: ReadonlyArray<{ readonly sessionId: string }>) => sessions.map(({ sessionId }) => sessionId)

const backdate = async (store: SessionStore, sessionId: string, days: number) => {
  const record: SessionRecord = await store.load(sessionId) ?? assert.fail("it is not there")
  await store.save({ ...record, updatedAt: Date.now() - days * 86_400_000 })
}

describe("a session manager", () => {
  it("has a session on record when it is made, and starts no CLI for that", async () => {
    await using store = new MemorySessionStore()
    const { manager, started } = managing({ store })
    await using _ = manager
    const session = await manager.createSession({ tags: ["work"], title: "T", model: "opus" })
    assert.deepInclude(await manager.getRecord(session.id), {
      status: "open",
      title: "T",
      tags: ["work"],
      turnCount: 0
    })
    assert.isTrue(await manager.sessionExists(session.id))
    assert.deepStrictEqual(started, [])
    assert.strictEqual((await session.sendMessage("one").result).result, "you said one")
    assert.strictEqual(started.length, 1)
    const { turns } = await manager.getTurns(session.id)
    assert.deepStrictEqual(turns.map(({ prompt, status }) => [prompt, status]), [["one", "completed"]])
    assert.strictEqual((await manager.exportSession(session.id)).turns.length, 1)
  })

  it("gives a session that is open as it is, the same each time, and none that is not", async () => {
    await using store = new MemorySessionStore()
    const { manager } = managing({ store })
    await using _ = manager
    const session = await manager.createSession()
    await session.sendMessage("one").result
    const found = await manager.getSession(session.id)
    assert.isDefined(found)
    assert.strictEqual(found, await manager.getSession(session.id))
    assert.strictEqual(found.stats.turns, 1)
    await found.sendMessage("two").result
    assert.strictEqual(session.stats.turns, 2)
    assert.isUndefined(await manager.getSession("unknown"))
    assert.isTrue(await manager.closeSession(session.id))
    assert.isFalse(await manager.closeSession(session.id))
    assert.isUndefined(await manager.getSession(session.id))
    assert.deepStrictEqual(await manager.listActiveSessions(), [])
  })

  it("resumes what was closed, with its history, and rejects at once what it cannot resume", async () => {
    await using store = new MemorySessionStore()
    const { manager, started } = managing({ store })
    await using _ = manager
    const { id } = await manager.createSession({ model: "opus" })
    const session = await manager.resumeSession(id)
    await session.sendMessage("one").result
    await manager.closeSession(id)
    const again = await manager.resumeSession(id)
    await again.sendMessage("two").result
    assert.include(started.at(-1), `--resume=${id}`)
    assert.include(started.at(-1), "--model=opus")
    assert.strictEqual((await manager.getRecord(id))?.turnCount, 2)
    assert.instanceOf(await rejection(manager.resumeSession(crypto.randomUUID())), SessionNotFoundError)
    const other = managing({ store }).manager
    assert.instanceOf(await rejection(other.resumeSession(id)), SessionBusyError)
    await other.close()
  })

  it("lists, counts, tags and deletes by what is on record", async () => {
    await using store = new MemorySessionStore()
    const { manager } = managing({ store })
    await using _ = manager
    const one = await manager.createSession({ tags: ["a"] })
    const two = await manager.createSession({ tags: ["b"] })
    await manager.closeSession(two.id)
    assert.deepStrictEqual(idsOf((await manager.listSessions({ tags: ["a"] })).sessions), [one.id])
    assert.isTrue(await manager.addTags(two.id, ["a"]))
    assert.isTrue(await manager.removeTags(two.id, ["b"]))
    const found: Array<string> = []
    for await (const { sessionId } of manager.allSessions({ tags: ["a"], limit: 1 })) found.push(sessionId)
    assert.sameMembers(found, [one.id, two.id])
    assert.strictEqual(await manager.countSessions({ tags: ["b"] }), 0)
    assert.deepStrictEqual(await manager.getStats(), { total: 2, open: 1, closed: 1, expired: 0, live: 1 })
    assert.isTrue(await manager.deleteSession(one.id))
    assert.isFalse(await manager.deleteSession(one.id))
    assert.deepStrictEqual(await manager.getStats(), { total: 1, open: 0, closed: 1, expired: 0, live: 0 })
  })

  it("marks and deletes after the times that the config says, and has no more live sessions than it says", async () => {
    await using store = new MemorySessionStore()
    const sessions = { expireAfter: "2 days", deleteAfter: "9 days", maxLive: 1 } as const
    const { manager } = managing({ store, sessions })
    await using _ = manager
    const first = await manager.createSession()
    assert.instanceOf(await rejection(manager.createSession()), SessionLimitError)
    await backdate(store, first.id, 3)
    assert.deepStrictEqual(await manager.cleanup(), { expired: [], deleted: [] })
    await manager.closeSession(first.id)
    await backdate(store, first.id, 3)
    assert.deepStrictEqual(await manager.cleanup(), { expired: [first.id], deleted: [] })
    assert.strictEqual((await manager.getStats()).expired, 1)
    await backdate(store, first.id, 10)
    assert.deepStrictEqual(await manager.cleanup(), { expired: [], deleted: [first.id] })
    assert.isFalse(await manager.sessionExists(first.id))
  })

  it("closes its sessions with itself, and not the store that it was given", async () => {
    await using store = new MemorySessionStore()
    const { manager } = managing({ store })
    const session = await manager.createSession()
    await session.sendMessage("one").result
    await manager.close()
    assert.strictEqual((await store.load(session.id))?.status, "closed")
  })

  it("needs a client that keeps sessions", async () => {
    const { manager } = managing({})
    await using _ = manager
    assert.instanceOf(await rejection(manager.listSessions()), InvalidOptionsError)
  })

  it(
    "uses the file that the environment names where no store is given, and closes it",
    { timeout: 30_000 },
    async () => {
      const folder = await mkdtemp(join(tmpdir(), "ccflow-manager-"))
      const path = join(folder, "sessions.db")
      vi.stubEnv("CCFLOW_SESSION_STORAGE_PATH", path)
      try {
        let id: string
        {
          await using manager = new SessionManager()
          await rejection(stat(path))
          id = (await manager.createSession({ tags: ["kept"] })).id
        }
        await rejection(stat(`${path}-wal`))
        await using store = new SQLiteSessionStore(path)
        assert.deepInclude(await store.load(id), { status: "closed", tags: ["kept"] })
      } finally {
        vi.unstubAllEnvs()
        await rm(folder, { recursive: true })
      }
    }
  )
})
