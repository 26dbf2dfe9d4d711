import type { SessionStoreError as StoreError } from "@ccflow/core/ClaudeError"
import type { SessionRecord } from "@ccflow/core/SessionRecord"
import { SessionRepository, type SessionRepositoryService } from "@ccflow/core/SessionRepository"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { suite } from "@ccflow/testing/SessionRepositorySuite"
import {
  InvalidOptionsError,
  MemorySessionStore,
  SessionBusyError,
  type SessionStore,
  SessionStoreError,
  SQLiteSessionStore
} from "ccflow"
import { fakeClient } from "ccflow/testing"
import { Effect, Layer, Option } from "effect"
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, assert, beforeEach, describe, it, vi } from "vitest"
import { repositoryOf } from "../src/SessionStore.js"

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ccflow-store-"))
})
afterEach(() => rm(folder, { recursive: true }))

const path = () => join(folder, "kept", "sessions.db")
const stores = [
  { name: "SQLiteSessionStore", make: () => new SQLiteSessionStore(path()) },
  { name: "MemorySessionStore", make: () => new MemorySessionStore() }
]

const record = (sessionId: string, fields: Partial<SessionRecord> = {}): SessionRecord => ({
  sessionId,
  status: "open",
  title: "",
  cwd: "/work",
  tags: [],
  createdAt: 1_000,
  updatedAt: 1_000,
  turnCount: 0,
  usage: { inputTokens: 0, outputTokens: 0, cacheReadInputTokens: 0, cacheCreationInputTokens: 0 },
  costUsd: 0,
  durationMs: 0,
  options: {},
  ...fields
})

const rejection = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(() => assert.fail("it did not reject"), (error: unknown) => error)

const echo = () => ({ respond: (prompt: string) => FakeCli.answer(`you said ${prompt}`) })

/** A repository whose every call that a store has goes through the store's promise. */
const through = (store: SessionStore): Effect.Effect<SessionRepositoryService, StoreError> =>
  Effect.map(repositoryOf(store), (repository) => {
    const asked = <A>(ask: () => Promise<A>) => Effect.tryPromise({ try: ask, catch: (error) => error as StoreError })
    return {
      ...repository,
      save: (given) => asked(() => store.save(given)),
      get: (id) => Effect.map(asked(() => store.load(id)), Option.fromNullable),
      delete: (id) => asked(() => store.delete(id)),
      list: (filter) => asked(() => store.list(filter)),
      count: (filter) => asked(() => store.count(filter)),
      addTags: (id, tags) => asked(() => store.addTags(id, tags)),
      removeTags: (id, tags) => asked(() => store.removeTags(id, tags)),
      turns: (id, page) => asked(() => store.turns(id, page)),
      messages: (id, page) => asked(() => store.messages(id, page))
    }
  })

describe.each(stores)("a $name", { timeout: 30_000 }, ({ make }) => {
  it.each(suite.map(({ name, run }) => [name, run] as const))("promises that %s", async (_, run) => {
    await using store = make()
    await Effect.runPromise(Effect.provide(run, Layer.effect(SessionRepository, through(store))))
  })

  it("gives all of its sessions to a loop, however many pages they are", async () => {
    await using store = make()
    for (let n = 1; n <= 7; n++) await store.save(record(`s${n}`, { updatedAt: n, tags: n % 2 === 0 ? ["even"] : [] }))
    const ids = async (sessions: AsyncIterable<SessionRecord>) => {
      const seen: Array<string> = []
      for await (const { sessionId } of sessions) seen.push(sessionId)
      return seen.join(" ")
    }
    assert.strictEqual(await ids(store), "s7 s6 s5 s4 s3 s2 s1")
    assert.strictEqual(await ids(store.all({ limit: 2 })), "s7 s6 s5 s4 s3 s2 s1")
    assert.strictEqual(await ids(store.all({ limit: 1, tags: ["even"], descending: false })), "s2 s4 s6")
    assert.deepStrictEqual([await store.exists("s1"), await store.exists("s8")], [true, false])
  })

  it("deletes what was not used for so long, but not what somebody works on", async () => {
    await using store = make()
    const day = 86_400_000
    const now = Date.now()
    for (const id of ["old", "busy"]) await store.save(record(id, { updatedAt: now - 8 * day, tags: [id] }))
    await store.save(record("new", { updatedAt: now - 6 * day }))
    const repository = await Effect.runPromise(repositoryOf(store))
    await Effect.runPromise(repository.acquireLease("busy", "somebody", "1 minute"))
    assert.strictEqual(await store.cleanup("7 days"), 1)
    assert.deepStrictEqual((await store.list()).sessions.map(({ sessionId }) => sessionId), ["new", "busy"])
    assert.strictEqual(await store.cleanup("7 days"), 0)
    await Effect.runPromise(repository.releaseLease("busy", "somebody"))
    assert.strictEqual(await store.cleanup("7 days"), 1)
    assert.isTrue(Option.isNone(await Effect.runPromise(repository.lease("new"))))
    const error = await rejection(store.cleanup("a while" as "1 day"))
    assert.instanceOf(error, SessionStoreError)
  })

  it("rejects with the tagged error when it is closed", async () => {
    const store = make()
    await store.save(record("s"))
    await store.close()
    await store.close()
    for (const asked of [store.load("s"), store.list(), store.save(record("s")), store.cleanup("1 day")]) {
      const error = await rejection(asked)
      assert.instanceOf(error, SessionStoreError)
      assert.include(error.message, "closed")
    }
  })

  it("is what a client keeps its sessions in, and stays open when that is closed", async () => {
    await using store = make()
    let id: string
    {
      await using client = fakeClient(echo, { store })
      const session = client.session({ tags: ["work"] })
      id = session.id
      await session.sendMessage("one").result
      await using other = fakeClient(echo, { store })
      assert.instanceOf(await rejection(other.sessions.resume(id).ready()), SessionBusyError)
    }
    assert.deepInclude(await store.load(id), { turnCount: 1, status: "closed", tags: ["work"] })
    const { turns } = await store.turns(id)
    assert.deepStrictEqual(turns.map(({ prompt, result }) => [prompt, result]), [["one", "you said one"]])
    await using client = fakeClient(echo, { store })
    await client.sessions.resume(id).sendMessage("two").result
    assert.strictEqual((await store.load(id))?.turnCount, 2)
    const booked = async () => (await client.usageBy("tag")).map(({ entries, key }) => `${key} ${entries}`)
    const before = await booked()
    assert.strictEqual(before.length, 1)
    assert.match(before[0] ?? "", /^work /)
    assert.isTrue(await client.sessions.delete(id))
    assert.deepStrictEqual(await booked(), before)
  })

  it("cannot be given beside another place", async () => {
    await using store = make()
    await using client = fakeClient(echo, { store, storagePath: path() })
    const error = await rejection(client.querySimple("hi"))
    assert.instanceOf(error, InvalidOptionsError)
    assert.strictEqual(error.field, "store")
  })
})

describe("a SQLiteSessionStore", { timeout: 30_000 }, () => {
  it("makes its file when it is first used, for its user alone, and another finds there what was kept", async () => {
    {
      await using store = new SQLiteSessionStore(path())
      await rejection(stat(path()))
      await store.save(record("s"))
    }
    if (process.platform !== "win32") assert.strictEqual((await stat(path())).mode & 0o777, 0o600)
    await using store = new SQLiteSessionStore(path())
    assert.isTrue(await store.exists("s"))
  })

  it("is the file that the environment names where none is given", async () => {
    vi.stubEnv("CCFLOW_SESSION_STORAGE_PATH", path())
    {
      await using store = new SQLiteSessionStore()
      await store.save(record("s"))
    }
    vi.unstubAllEnvs()
    await using store = new SQLiteSessionStore(path())
    assert.isTrue(await store.exists("s"))
  })

  it("says what is wrong with its file, and is tried again", async () => {
    await using store = new SQLiteSessionStore(join(folder, "file", "sessions.db"))
    await writeFile(join(folder, "file"), "")
    const error = await rejection(store.list())
    assert.instanceOf(error, SessionStoreError)
    assert.strictEqual(error.reason, "NotAFile")
    await rm(join(folder, "file"))
    assert.deepStrictEqual(await store.list(), { sessions: [] })
  })
})

describe("a MemorySessionStore", () => {
  it("has its own sessions, and gives copies of them", async () => {
    await using one = new MemorySessionStore()
    await using other = new MemorySessionStore()
    await one.save(record("s", { options: { model: "opus" } }))
    assert.isFalse(await other.exists("s"))
    const found = await one.load("s")
    Object.assign(found?.options ?? assert.fail(), { model: "haiku" })
    assert.deepStrictEqual((await one.load("s"))?.options, { model: "opus" })
  })
})
