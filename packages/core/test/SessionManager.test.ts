import { Message, Session, SessionHolder, SessionManager, SessionRepository, UsageLedger } from "@ccflow/core"
import type { SessionRecord } from "@ccflow/core/SessionRecord"
import { FakeClaude, FakeCli } from "@ccflow/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Option, Scope, Stream, TestClock } from "effect"

type Script = Parameters<typeof FakeCli.layer>[0]

const echo: Script = { respond: (prompt) => FakeCli.answer(`${prompt}!`) }

const holder: SessionHolder.Holder = { id: "me", isAlive: (other) => other !== "dead" }

/** A manager, with what is under it. */
const provided = (options: SessionManager.SessionManagerOptions = {}, script: Script = echo) =>
  Effect.provide(
    SessionManager.layerWith(options).pipe(
      Layer.provide(Layer.succeed(SessionHolder.SessionHolder, holder)),
      Layer.provideMerge(SessionRepository.layerMemory),
      Layer.provideMerge(FakeClaude.layer(script))
    )
  )

const manager = SessionManager.SessionManager
const store = SessionRepository.SessionRepository

/** Lets time pass until it is over. */
const soon = <A, E, R>(effect: Effect.Effect<A, E, R>, time = "10 seconds" as const) =>
  Effect.flatMap(Effect.fork(effect), (fiber) => Effect.zipRight(TestClock.adjust(time), Fiber.join(fiber)))
const say = (session: Session.Session, prompt: string) => soon(Session.text(session, prompt))
const argsOf = (index: number) =>
  Effect.flatMap(
    FakeCli.FakeCli,
    ({ started }) => Effect.map(started, (all) => all[index]?.invocation.args.filter((arg) => arg.includes("=")) ?? [])
  )

const record = (sessionId: string, fields: Partial<SessionRecord> = {}): SessionRecord => ({
  sessionId,
  status: "open",
  title: "",
  cwd: "",
  tags: [],
  createdAt: 0,
  updatedAt: 0,
  turnCount: 1,
  usage: { inputTokens: 0, outputTokens: 0, cacheReadInputTokens: 0, cacheCreationInputTokens: 0 },
  costUsd: 0,
  durationMs: 0,
  options: {},
  ...fields
})
const id = (n: number) => `cccccccc-0000-4000-8000-00000000000${n}`
const days = (n: number) => n * 86_400_000

describe("a live session", () => {
  it.scoped("is on record from the start, with its tags, and found under its id until it is closed", () =>
    Effect.gen(function*() {
      const { create, get, live, record } = yield* manager
      const session = yield* create({ tags: ["b", "a", "b"], title: "T", model: "opus", cwd: "/work" })
      const sessionId = yield* session.id
      assert.deepInclude(Option.getOrThrow(yield* record(sessionId)), {
        tags: ["a", "b"],
        title: "T",
        model: "opus",
        cwd: "/work",
        turnCount: 0
      })
      assert.strictEqual(Option.getOrThrow(yield* get(sessionId)), session)
      assert.deepStrictEqual(yield* live, [session])
      assert.strictEqual(yield* say(session, "hello"), "hello!")
      const stats = yield* soon(session.close)
      assert.strictEqual(stats.turns, 1)
      assert.isTrue(Option.isNone(yield* get(sessionId)))
      assert.deepStrictEqual(yield* live, [])
      assert.deepStrictEqual(yield* soon(session.close), stats)
    }).pipe(provided()))

  it.scoped("is found under the id that /clear has given it", () =>
    Effect.gen(function*() {
      const { create, get } = yield* manager
      const session = yield* create()
      const before = yield* session.id
      yield* say(session, "one")
      yield* say(session, "/clear")
      assert.isTrue(Option.isNone(yield* get(before)))
      assert.strictEqual(Option.getOrThrow(yield* get(yield* session.id)), session)
    }).pipe(provided()))

  it.scoped("is closed by its id, once; to close what is not live is nothing", () =>
    Effect.gen(function*() {
      const { close, create, record } = yield* manager
      const session = yield* create()
      const sessionId = yield* session.id
      yield* say(session, "hello")
      assert.strictEqual(Option.getOrThrow(yield* soon(close(sessionId))).turns, 1)
      assert.isTrue(Option.isNone(yield* close(sessionId)))
      assert.isTrue(Option.isNone(yield* close("unknown")))
      assert.deepInclude(Option.getOrThrow(yield* record(sessionId)), { status: "closed" })
    }).pipe(provided()))

  it.scoped("ends with the manager, and leaves no process and no lease", () =>
    Effect.gen(function*() {
      const repository = yield* store
      const scope = yield* Scope.make()
      const { create } = yield* Scope.extend(SessionManager.make(), scope)
      const session = yield* create()
      yield* say(session, "hello")
      yield* soon(Scope.close(scope, Exit.void))
      const { started } = yield* FakeCli.FakeCli
      assert.deepStrictEqual((yield* started).map(({ running }) => running), [false])
      assert.isTrue(Option.isNone(yield* repository.lease(yield* session.id)))
      assert.deepInclude(Option.getOrThrow(yield* repository.get(yield* session.id)), { status: "closed" })
    }).pipe(provided()))

  it.scoped("has forks that are live sessions, too, until their own scope closes", () =>
    Effect.gen(function*() {
      const { create, get, live } = yield* manager
      const session = yield* create()
      yield* say(session, "one")
      const scope = yield* Scope.make()
      const branch = yield* soon(Scope.extend(session.fork(), scope))
      assert.strictEqual(Option.getOrThrow(yield* get(yield* branch.id)), branch)
      yield* soon(Scope.close(scope, Exit.void))
      assert.deepStrictEqual(yield* live, [session])
    }).pipe(provided()))
})

describe("resuming", () => {
  it.scoped("gives the live session, also to two who ask at once for one that is not", () =>
    Effect.gen(function*() {
      const { create, live, resume } = yield* manager
      const session = yield* create()
      const sessionId = yield* session.id
      assert.strictEqual(yield* resume(sessionId), session)
      yield* say(session, "one")
      yield* soon(session.close)
      const [one, two] = yield* Effect.all([resume(sessionId), resume(sessionId)], { concurrency: 2 })
      assert.strictEqual(one, two)
      assert.notStrictEqual(one, session)
      assert.deepStrictEqual(yield* live, [one])
    }).pipe(provided()))

  it.scoped("waits for one that is closing", () =>
    Effect.gen(function*() {
      const { create, resume } = yield* manager
      const session = yield* create()
      yield* say(session, "one")
      const closing = yield* Effect.fork(session.close)
      const again = yield* soon(Effect.flatMap(session.id, (sessionId) => resume(sessionId)))
      yield* Fiber.join(closing)
      assert.notStrictEqual(again, session)
      assert.strictEqual(yield* say(again, "two"), "two!")
    }).pipe(provided()))

  it.scoped("brings back model, folder and options from the record; what is given wins", () =>
    Effect.gen(function*() {
      const { create, record, resume } = yield* manager
      const session = yield* create({
        model: "opus",
        cwd: "/work",
        permissionMode: "plan",
        allowedTools: ["Read"],
        maxTurns: 7
      })
      const sessionId = yield* session.id
      yield* say(session, "one")
      yield* session.setModel("haiku")
      yield* say(session, "two")
      yield* soon(session.close)
      yield* say(yield* resume(sessionId, { maxTurns: 9, model: undefined }), "three")
      assert.deepStrictEqual((yield* argsOf(1)).slice().sort(), [
        "--allowedTools=Read",
        "--input-format=stream-json",
        "--max-turns=9",
        "--model=haiku",
        "--output-format=stream-json",
        "--permission-mode=plan",
        `--resume=${sessionId}`
      ])
      const { started } = yield* FakeCli.FakeCli
      assert.strictEqual((yield* started)[1]?.invocation.cwd, "/home/user/project")
      const kept = Option.getOrThrow(yield* record(sessionId))
      assert.deepInclude(kept, { status: "open", turnCount: 3, model: "haiku" })
      assert.deepInclude(kept.options, { maxTurns: 9, permissionMode: "plan" })
    }).pipe(provided()))

  it.scoped("keeps a conversation's shape of answers, as JSON", () =>
    Effect.gen(function*() {
      const { create, resume } = yield* manager
      const outputSchema = { type: "object", properties: { n: { type: "number" } } }
      const session = yield* create({ outputSchema })
      yield* say(session, "one").pipe(Effect.ignore)
      yield* soon(session.close)
      yield* say(yield* resume(yield* session.id), "two").pipe(Effect.ignore)
      const { started } = yield* FakeCli.FakeCli
      const asked = (yield* started)[1]?.sent.find(({ type }) => type === "control_request")
      assert.deepNestedInclude(asked, { "request.jsonSchema": outputSchema })
    }).pipe(provided()))

  it.scoped("begins a session under its id again when no turn of it was completed", () =>
    Effect.gen(function*() {
      const { resume } = yield* manager
      const { beginTurn, save } = yield* store
      yield* save(record(id(1), { turnCount: 0, model: "opus" }))
      yield* beginTurn({ turnId: "t", sessionId: id(1), prompt: "cut", holder: "dead/1" })
      yield* save(record(id(2), { turnCount: 0, parentId: id(1), options: { forkSession: true } }))
      yield* say(yield* resume(id(1)), "go")
      yield* say(yield* resume(id(2)), "go")
      assert.includeMembers([...yield* argsOf(0)], [`--session-id=${id(1)}`, "--model=opus"])
      assert.includeMembers([...yield* argsOf(1)], [`--session-id=${id(2)}`, `--resume=${id(1)}`])
      const { turns } = yield* (yield* manager).turns(id(1))
      assert.deepStrictEqual(turns.map(({ status }) => status), ["cut", "completed"])
    }).pipe(provided()))

  it.scoped("fails for what is on no record, and for what another process works on", () =>
    Effect.gen(function*() {
      const { live, resume } = yield* manager
      const { acquireLease, save } = yield* store
      assert.deepInclude({ ...yield* Effect.flip(resume("unknown")) }, {
        _tag: "SessionNotFoundError",
        sessionId: "unknown"
      })
      yield* save(record(id(1)))
      yield* acquireLease(id(1), "other/1", "1 minute")
      assert.deepInclude({ ...yield* Effect.flip(resume(id(1))) }, { _tag: "SessionBusyError", holder: "other/1" })
      assert.deepStrictEqual(yield* live, [])
    }).pipe(provided()))

  it.scoped("understands a record of a later version, but for what it does not know", () =>
    Effect.gen(function*() {
      const { save } = yield* store
      yield* save(record(id(1), { options: { model: "opus", somethingNew: { a: 1 }, env: { A: "x" } } }))
      yield* say(yield* (yield* manager).resume(id(1)), "go")
      assert.include(yield* argsOf(0), "--model=opus")
    }).pipe(provided()))
})

describe("a record", () => {
  it.scoped("is not changed by being looked at", () =>
    Effect.gen(function*() {
      const all = yield* manager
      const { get, lease, list } = yield* store
      const session = yield* all.create({ model: "opus" })
      const sessionId = yield* session.id
      yield* say(session, "one")
      yield* soon(session.close)
      yield* (yield* store).save(record(id(1), { model: "opus", updatedAt: 5 }))
      const snapshot = Effect.all([list(), get(sessionId), lease(sessionId), lease(id(1))])
      const before = yield* snapshot
      yield* TestClock.adjust("1 hour")
      for (const one of [sessionId, id(1), "unknown"]) {
        yield* Effect.all([all.get(one), all.record(one), all.turns(one), all.messages(one), all.live])
      }
      yield* Effect.all([all.list(), all.count({ model: "opus" }), all.list({ search: "one" })])
      // Opened and closed again without a turn.
      yield* soon((yield* all.resume(id(1))).close)
      const after = yield* snapshot
      assert.deepStrictEqual(after[1], before[1])
      assert.deepStrictEqual([after[2], after[3]], [before[2], before[3]])
      const [now, then] = [after[0], before[0]].map(({ sessions }) => sessions.map(({ status, ...rest }) => rest))
      assert.deepStrictEqual(now, then)
    }).pipe(provided()))

  it.scoped("has what it uses booked under its tags, also when it is deleted, forked or resumed", () =>
    Effect.gen(function*() {
      const { close, create, delete: remove, resume } = yield* manager
      const { by } = yield* UsageLedger.UsageLedger
      const booked = Effect.map(by("tag"), (groups) => groups.map(({ entries, key }) => [key, entries]))
      const session = yield* create({ tags: ["work"] })
      yield* say(session, "one")
      assert.deepStrictEqual(yield* booked, [["work", 1]])
      const sessionId = yield* session.id
      yield* soon(close(sessionId))
      const resumed = yield* resume(sessionId)
      yield* say(resumed, "two")
      yield* say(yield* soon(resumed.fork()), "three")
      assert.deepStrictEqual(yield* booked, [["work", 3]])
      yield* soon(remove(sessionId))
      assert.deepStrictEqual(yield* booked, [["work", 3]])
    }).pipe(provided(), Effect.provide(UsageLedger.layerMemory)))

  it.scoped("gets and loses tags, live or not", () =>
    Effect.gen(function*() {
      const { addTags, create, list, record, removeTags } = yield* manager
      const session = yield* create({ tags: ["a"] })
      const sessionId = yield* session.id
      assert.isTrue(yield* addTags(sessionId, ["b", "c"]))
      yield* say(session, "one")
      assert.isTrue(yield* removeTags(sessionId, ["a"]))
      yield* soon(session.close)
      assert.deepStrictEqual(Option.getOrThrow(yield* record(sessionId)).tags, ["b", "c"])
      assert.strictEqual((yield* list({ tags: ["c"] })).sessions.length, 1)
      assert.isFalse(yield* addTags("unknown", ["a"]))
    }).pipe(provided()))

  it.scoped("is deleted with its turns, and its live session closed first; not one of another process", () =>
    Effect.gen(function*() {
      const all = yield* manager
      const { acquireLease, lease, save } = yield* store
      const session = yield* all.create()
      const sessionId = yield* session.id
      yield* say(session, "one")
      assert.isTrue(yield* soon(all.delete(sessionId)))
      assert.isTrue(Option.isNone(yield* all.record(sessionId)))
      assert.deepStrictEqual((yield* all.turns(sessionId)).turns, [])
      assert.isTrue(Option.isNone(yield* all.get(sessionId)))
      assert.isFalse(yield* all.delete(sessionId))
      assert.isTrue(Option.isNone(yield* lease(sessionId)))
      yield* save(record(id(1)))
      yield* acquireLease(id(1), "other/1", "1 hour")
      assert.strictEqual((yield* Effect.flip(all.delete(id(1))))._tag, "SessionBusyError")
      assert.isTrue(Option.isSome(yield* all.record(id(1))))
    }).pipe(provided()))
})

describe("a sweep", () => {
  it.scoped("marks what has not been used for so long, deletes what is marked, and leaves the live and the leased", () =>
    Effect.gen(function*() {
      const { create, record: recordOf, resume, sweep } = yield* manager
      const { acquireLease, list, save } = yield* store
      yield* TestClock.setTime(days(100))
      yield* save(record(id(1), { updatedAt: days(100 - 11) }))
      yield* save(record(id(2), { updatedAt: days(100 - 11), status: "closed" }))
      yield* save(record(id(3), { updatedAt: days(100 - 9) }))
      yield* save(record(id(4), { updatedAt: days(100 - 50) }))
      yield* acquireLease(id(4), "other/1", "1 hour")
      yield* save(record(id(5), { updatedAt: days(100 - 50) }))
      yield* resume(id(5))
      yield* save(record(id(6), { updatedAt: days(100 - 21), status: "expired" }))
      yield* save(record(id(7), { updatedAt: days(100 - 19), status: "expired" }))
      yield* save(record(id(8), { updatedAt: days(100 - 50) }))
      yield* acquireLease(id(8), "dead/1", "1 hour")
      yield* create()
      const swept = yield* sweep
      assert.deepStrictEqual([...swept.expired].sort(), [id(1), id(2), id(8)])
      assert.deepStrictEqual(swept.deleted, [id(6)])
      const { sessions } = yield* list()
      assert.deepStrictEqual(
        sessions.filter(({ status }) => status === "expired").map(({ sessionId }) => sessionId).sort(),
        [id(1), id(2), id(7), id(8)]
      )
      assert.strictEqual(sessions.length, 8)
      assert.strictEqual(Option.getOrThrow(yield* recordOf(id(1))).updatedAt, days(100 - 11))
      assert.deepStrictEqual(yield* sweep, { expired: [], deleted: [id(8)] })
      // An expired one comes back by being used.
      yield* say(yield* resume(id(1)), "again")
      assert.strictEqual(Option.getOrThrow(yield* recordOf(id(1))).status, "open")
    }).pipe(provided({ expireAfter: "10 days", deleteAfter: "20 days" })))

  it.scoped("deletes nothing unless it is asked to, and goes through all pages", () =>
    Effect.gen(function*() {
      const { save } = yield* store
      yield* TestClock.setTime(days(1000))
      yield* Effect.forEach(Array.from({ length: 250 }, (_, n) => n), (n) => save(record(`old-${n}`)))
      const { sweep } = yield* manager
      assert.strictEqual((yield* sweep).expired.length, 250)
      assert.deepStrictEqual(yield* sweep, { expired: [], deleted: [] })
    }).pipe(provided()))
})

describe("a limit on live sessions", () => {
  it.scoped("fails what is one too many, with what to do; a place that is left is taken", () =>
    Effect.gen(function*() {
      const { create, live, resume } = yield* manager
      const first = yield* create()
      yield* say(first, "one")
      const second = yield* create()
      const error = yield* Effect.flip(create())
      assert.deepInclude({ ...error }, { _tag: "SessionLimitError", maxLive: 2 })
      assert.strictEqual((yield* Effect.flip(soon(Effect.scoped(first.fork()))))._tag, "SessionLimitError")
      yield* resume(yield* first.id)
      yield* soon(second.close)
      yield* create()
      assert.strictEqual((yield* live).length, 2)
    }).pipe(provided({ maxLive: 2 })))

  it.scoped("closes the one that has been idle for the longest time, never one at work", () =>
    Effect.gen(function*() {
      const { create, get, live } = yield* manager
      const [busy, old, young] = [yield* create(), yield* create(), yield* create()]
      const working = yield* Effect.fork(Stream.runDrain(busy.send("work")))
      yield* TestClock.adjust("1 second")
      yield* soon(Session.text(old, "hi"))
      yield* soon(Session.text(young, "hi"))
      const fourth = yield* soon(create())
      assert.deepStrictEqual(yield* live, [busy, young, fourth])
      assert.isTrue(Option.isNone(yield* get(yield* old.id)))
      yield* soon(Effect.zipRight(create(), create()))
      assert.isTrue((yield* live).includes(busy))
      yield* Fiber.interrupt(working)
    }).pipe(provided({ maxLive: 3, onFull: "closeIdle" }, {
      respond: (prompt) =>
        prompt === "work"
          ? [FakeCli.init(), FakeCli.delay("1 hour"), ...FakeCli.answer("x").slice(1)]
          : FakeCli.answer("x")
    })))

  it.scoped("must be a number of sessions", () =>
    Effect.gen(function*() {
      for (const maxLive of [0, -1, 1.5, NaN]) {
        const error = yield* Effect.flip(Effect.scoped(SessionManager.make({ maxLive })))
        assert.deepInclude({ ...error }, { _tag: "InvalidOptionsError", field: "maxLive" })
      }
    }).pipe(provided()))
})

describe("a manager that begins", () => {
  it.scoped("finds the turns that dead processes have left running, and says which", () =>
    Effect.gen(function*() {
      const { acquireLease, beginTurn, progress, save, turns } = yield* store
      yield* save(record(id(1)))
      yield* save(record(id(2)))
      yield* acquireLease(id(1), "dead/1", "1 hour")
      yield* acquireLease(id(2), "other/1", "1 hour")
      yield* beginTurn({ turnId: "t1", sessionId: id(1), prompt: "cut", holder: "dead/1" })
      yield* beginTurn({ turnId: "t2", sessionId: id(2), prompt: "runs", holder: "other/1" })
      yield* progress("t1", "half")
      const { recovered } = yield* Effect.provideService(
        SessionManager.make(),
        SessionHolder.SessionHolder,
        holder
      )
      assert.deepStrictEqual(recovered.map(({ seen, status, turnId }) => [turnId, status, seen]), [[
        "t1",
        "cut",
        "half"
      ]])
      assert.deepStrictEqual((yield* turns(id(2))).turns.map(({ status }) => status), ["running"])
    }).pipe(provided()))

  it.scoped("does not take its own running turns for cut", () =>
    Effect.gen(function*() {
      const { create } = yield* manager
      const session = yield* create()
      const fiber = yield* Effect.fork(Stream.runCollect(session.send("work")))
      yield* TestClock.adjust("1 second")
      const { recovered } = yield* Effect.provideService(SessionManager.make(), SessionHolder.SessionHolder, holder)
      assert.deepStrictEqual(recovered, [])
      yield* TestClock.adjust("1 minute")
      assert.isTrue(Array.from(yield* Fiber.join(fiber)).some(Message.is("Result")))
    }).pipe(provided({}, [[FakeCli.init(), FakeCli.delay("10 seconds"), ...FakeCli.answer("x").slice(1)]])))
})

describe("many sessions", () => {
  it.scoped("leave nothing behind when they are closed, however that happens", () =>
    Effect.gen(function*() {
      const { close, create, live, list } = yield* manager
      const sessions = yield* Effect.replicateEffect(create(), 50)
      yield* soon(Effect.forEach(sessions, (session) => Session.text(session, "hi"), { concurrency: "unbounded" }))
      yield* soon(
        Effect.forEach(
          sessions,
          (session, n) => n % 2 === 0 ? Effect.asVoid(session.close) : Effect.asVoid(Effect.flatMap(session.id, close)),
          { concurrency: "unbounded" }
        )
      )
      assert.deepStrictEqual(yield* live, [])
      const { sessions: records } = yield* list({ status: "closed" })
      assert.strictEqual(records.length, 50)
      assert.isTrue(records.every(({ turnCount }) => turnCount === 1))
    }).pipe(provided()), 20_000)
})
