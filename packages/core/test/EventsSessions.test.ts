import * as Claude from "@ccflow/core/Claude"
import type * as Events from "@ccflow/core/Events"
import * as Permissions from "@ccflow/core/Permissions"
import * as Session from "@ccflow/core/Session"
import * as SessionManager from "@ccflow/core/SessionManager"
import * as SessionRepository from "@ccflow/core/SessionRepository"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope, TestClock } from "effect"
import { claude, hear, names, of } from "./listening.js"

const echo: Parameters<typeof FakeCli.layer>[0] = { respond: (prompt) => FakeCli.answer(`${prompt}!`) }

const refused = FakeCli.apiError({ status: 400, code: "invalid_request", type: "invalid_request_error", message: "No" })

const open = (options?: Session.SessionOptions) => Effect.flatMap(Claude.Claude, ({ session }) => session(options))

const say = (session: Session.Session, prompt: string) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(Effect.exit(Session.text(session, prompt)))
    yield* TestClock.adjust("10 seconds")
    return yield* fiber
  })

const managed = Effect.provide(
  SessionManager.layer.pipe(
    Layer.provideMerge(SessionRepository.layerMemory),
    Layer.provideMerge(claude(echo))
  )
)

const lives: ReadonlyArray<Events.EventType> = [
  "SessionCreated",
  "SessionResumed",
  "SessionClosed",
  "SessionLoaded",
  "SessionDeleted"
]

describe("a session", () => {
  it.scoped("is told when it begins, for each turn, and when it is closed", () =>
    Effect.gen(function*() {
      const heard = yield* hear()
      const scope = yield* Scope.make()
      const session = yield* Scope.extend(open({ model: "opus" }), scope)
      const sessionId = yield* session.id
      yield* say(session, "one")
      yield* say(session, "two")
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(
        names(heard).filter((name) => !["MessageReceived", "TokensUsed", "CostIncurred"].includes(name)),
        [
          "SessionCreated",
          "TurnStarted",
          "ProcessStarted",
          "TurnCompleted",
          "TurnStarted",
          "TurnCompleted",
          "ProcessEnded",
          "SessionClosed"
        ]
      )
      assert.deepStrictEqual([...new Set(heard.map(({ sessionId }) => sessionId))], [sessionId])
      const [one, two] = of(heard, "TurnStarted")
      assert.deepStrictEqual([one?.turnNumber, one?.prompt, two?.turnNumber, two?.prompt], [1, "one", 2, "two"])
      assert.notStrictEqual(one?.callId, two?.callId)
      assert.deepStrictEqual(
        of(heard, "TurnCompleted").map((
          { callId, outcome, result, turnNumber }
        ) => [callId, outcome, result, turnNumber]),
        [[one?.callId, "success", "one!", 1], [two?.callId, "success", "two!", 2]]
      )
      assert.deepInclude(of(heard, "SessionCreated")[0], { model: "opus", tags: [] })
      assert.deepInclude(of(heard, "SessionClosed")[0], { turns: 2 })
    }).pipe(Effect.provide(claude(echo))))

  it.scoped("is closed once, by whomever and however often it is closed", () =>
    Effect.gen(function*() {
      const heard = yield* hear(...lives)
      const scope = yield* Scope.make()
      const session = yield* Scope.extend(open(), scope)
      yield* say(session, "one")
      yield* Effect.all([session.close, session.close], { concurrency: "unbounded" })
      yield* session.close
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(names(heard), ["SessionCreated", "SessionClosed"])
    }).pipe(Effect.provide(claude(echo))))

  it.scoped("tells a turn that has failed, with its error, and goes on", () =>
    Effect.gen(function*() {
      const heard = yield* hear("TurnStarted", "TurnCompleted", "SessionError")
      const session = yield* open()
      yield* say(session, "one")
      yield* say(session, "two")
      assert.deepStrictEqual(
        names(heard),
        ["TurnStarted", "SessionError", "TurnCompleted", "TurnStarted", "TurnCompleted"]
      )
      const [failed] = of(heard, "SessionError")
      assert.strictEqual(failed?.error._tag, "ApiError")
      assert.strictEqual(failed?.callId, of(heard, "TurnStarted")[0]?.callId)
      assert.deepStrictEqual(of(heard, "TurnCompleted").map(({ outcome }) => outcome), ["failure", "success"])
      assert.deepStrictEqual(of(heard, "TurnCompleted").map(({ turnNumber }) => turnNumber), [1, 2])
    }).pipe(Effect.provide(claude({ turns: [refused], respond: () => FakeCli.answer("yes") }))))

  it.scoped("that goes on with another is told as resumed, a branch as created, and neither as both", () =>
    Effect.gen(function*() {
      const heard = yield* hear(...lives)
      const resume = "cccccccc-0000-4000-8000-000000000001"
      yield* open({ resume, model: "opus" })
      yield* open({ resume, forkSession: true })
      yield* open({ continueSession: true })
      assert.deepStrictEqual(names(heard), ["SessionResumed", "SessionCreated", "SessionResumed"])
      assert.deepInclude(heard[0], { sessionId: resume, model: "opus" })
      assert.notStrictEqual(heard[1]?.sessionId, resume)
      assert.isUndefined(heard[2]?.sessionId)
    }).pipe(Effect.provide(claude(echo))))

  it.scoped("asks for a tool in the name of the turn that wants it, whichever has started the process", () =>
    Effect.gen(function*() {
      const heard = yield* hear("TurnStarted", "PermissionAsked", "PermissionDecided", "ProcessStarted")
      const session = yield* open({ permissions: () => Effect.succeed(Permissions.allow()) })
      yield* say(session, "one")
      yield* say(session, "two")
      const [one, two] = of(heard, "TurnStarted")
      assert.deepStrictEqual(of(heard, "ProcessStarted").map(({ callId }) => callId), [one?.callId])
      assert.deepStrictEqual(of(heard, "PermissionAsked").map(({ callId }) => callId), [one?.callId, two?.callId])
      assert.deepStrictEqual(of(heard, "PermissionDecided").map(({ callId }) => callId), [one?.callId, two?.callId])
    }).pipe(
      Effect.provide(claude({
        respond: () => [FakeCli.init(), FakeCli.askPermission("Bash", {}), ...FakeCli.answer("done").slice(1)]
      }))
    ))
})

describe("a session on record", () => {
  it.scoped("is told when a turn's end is stored, when it is read again, and when it is deleted", () =>
    Effect.gen(function*() {
      const heard = yield* hear(...lives, "SessionPersisted", "TurnStarted", "TurnCompleted")
      const { close, create, delete: remove, resume } = yield* SessionManager.SessionManager
      const session = yield* create({ tags: ["b"] })
      const sessionId = yield* session.id
      yield* say(session, "one")
      yield* close(sessionId)
      const again = yield* resume(sessionId)
      yield* resume(sessionId)
      yield* say(again, "two")
      assert.isTrue(yield* remove(sessionId))
      assert.isFalse(yield* remove(sessionId))
      assert.deepStrictEqual(names(heard), [
        "SessionCreated",
        "TurnStarted",
        "SessionPersisted",
        "TurnCompleted",
        "SessionClosed",
        "SessionLoaded",
        "SessionResumed",
        "TurnStarted",
        "SessionPersisted",
        "TurnCompleted",
        "SessionClosed",
        "SessionDeleted"
      ])
      assert.deepStrictEqual([...new Set(heard.map(({ sessionId }) => sessionId))], [sessionId])
      assert.deepStrictEqual(of(heard, "SessionCreated")[0]?.tags, ["b"])
      assert.strictEqual(of(heard, "SessionLoaded")[0]?.turnCount, 1)
      assert.deepStrictEqual(
        of(heard, "SessionPersisted").map(({ callId }) => callId),
        of(heard, "TurnStarted").map(({ callId }) => callId)
      )
    }).pipe(managed))

  it.scoped("is not told as stored where it is not", () =>
    Effect.gen(function*() {
      const heard = yield* hear("SessionPersisted", "TurnCompleted")
      yield* say(yield* open(), "one")
      assert.deepStrictEqual(names(heard), ["TurnCompleted"])
    }).pipe(Effect.provide(claude(echo))))
})
