import { CliSpawnError } from "@ccflow/core/ClaudeError"
import { appendText } from "@ccflow/core/Message"
import * as Session from "@ccflow/core/Session"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Stream, TestClock } from "effect"
import { failureOf, flag, identities, layerOf, processes, sending, settle, slowly, subtypes } from "./sessions.js"

const echo = { respond: (prompt: string) => FakeCli.answer(`to ${prompt}`) }
const prompts = Effect.flatMap(FakeCli.FakeCli, ({ prompts }) => prompts)

/** A process whose n-th turn is cut by its death. */
const dying = (...steps: FakeCli.Turn) => ({ turns: [[...steps, FakeCli.kill("SIGKILL")]], ...echo })

describe("a process that dies", { timeout: 20_000 }, () => {
  it.scoped("between two turns is replaced by one that resumes, with what was changed last", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ model: "opus", permissionMode: "plan" })
      yield* Session.text(session, "a")
      yield* session.setModel("haiku")
      yield* session.setModel("sonnet")
      yield* session.setPermissionMode("acceptEdits")
      yield* session.setMaxThinkingTokens(1000)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* processes).running, 0)
      yield* session.setPermissionMode("manual")
      assert.strictEqual(yield* Session.text(session, "b"), "to b")
      const { started } = yield* FakeCli.FakeCli
      const [first, second] = (yield* started).map(({ invocation }) => invocation)
      assert.deepStrictEqual([flag(first!, "model"), flag(first!, "permission-mode")], ["opus", "plan"])
      assert.deepStrictEqual([flag(second!, "model"), flag(second!, "permission-mode")], ["sonnet", "default"])
      assert.strictEqual(flag(second!, "max-thinking-tokens"), "1000")
      const id = yield* session.id
      assert.deepStrictEqual(yield* identities, [`--session-id=${id}`, `--resume=${id}`])
      yield* session.setModel()
      yield* TestClock.adjust("10 minutes")
      yield* Session.text(session, "c")
      assert.isUndefined(flag((yield* started)[2]!.invocation, "model"))
    }).pipe(Effect.provide(layerOf((index) =>
      index === 0
        ? { turns: [[...FakeCli.answer("to a"), FakeCli.delay("1 second"), FakeCli.kill("SIGKILL")]] }
        : echo
    ))))

  it.scoped("before anything has happened in the turn: it is asked once more, and the caller does not notice", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* sending(session, "a")
      assert.strictEqual((yield* turn.result).result, "to a")
      assert.deepStrictEqual(turn.tags(), ["Init", "Init", "Text", "Assistant", "Stop", "Result"])
      assert.deepStrictEqual(yield* prompts, ["a", "a"])
      const { started } = yield* FakeCli.FakeCli
      const uuids = (yield* started).flatMap(({ sent }) =>
        sent.filter(({ type }) => type === "user").map((line) => line["uuid"])
      )
      assert.strictEqual(new Set(uuids).size, 2)
    }).pipe(Effect.provide(layerOf((index) => index === 0 ? dying(FakeCli.init()) : echo))))

  it.scoped("twice before anything has happened: the turn fails with why, and the next one works", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* sending(session, "a")
      const error = failureOf(yield* turn.fiber.await)
      assert.strictEqual(error._tag, "CliExitError")
      if (error._tag === "CliExitError") assert.include(error.facts, { signal: "SIGKILL", stderrTail: "why\n" })
      assert.strictEqual(yield* Session.text(session, "b"), "to b")
      assert.deepStrictEqual(yield* prompts, ["a", "a", "b"])
    }).pipe(Effect.provide(layerOf((index) => index < 2 ? dying(FakeCli.init(), FakeCli.stderr("why\n")) : echo))))

  it.scoped("after the model has done something: the turn fails, is not asked again, and what was seen is kept", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* sending(session, "a")
      const error = failureOf(yield* turn.fiber.await)
      assert.include(error, { _tag: "CliExitError", reason: "Killed" })
      assert.strictEqual(turn.messages.reduce(appendText, ""), "half")
      assert.strictEqual(yield* Session.text(session, "b"), "to b")
      assert.deepStrictEqual(yield* prompts, ["a", "b"])
      assert.strictEqual((yield* session.stats).turns, 1)
    }).pipe(Effect.provide(layerOf((index) => index === 0 ? dying(FakeCli.init(), FakeCli.text("half")) : echo))))

  it.scoped("while it starts fails the turn with why, and the next one starts another", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const error = yield* Effect.flip(Session.text(session, "a"))
      assert.strictEqual(error._tag, "CliExitError")
      assert.strictEqual(yield* Session.text(session, "b"), "to b")
      assert.deepStrictEqual(yield* prompts, ["b"])
    }).pipe(
      Effect.provide(layerOf((index) => index === 0 ? { start: [FakeCli.stderr("no"), FakeCli.exit(3)] } : echo))
    ))

  it.scoped("while it starts leaves the turn's id free, for nobody has had it", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turnId = "aaaaaaaa-0000-4000-8000-000000000001"
      assert.strictEqual((yield* Effect.flip(Session.text(session, "a", { turnId })))._tag, "CliExitError")
      assert.strictEqual(yield* Session.text(session, "a", { turnId }), "to a")
      assert.strictEqual((yield* Effect.flip(Session.text(session, "a", { turnId })))._tag, "InvalidOptionsError")
    }).pipe(Effect.provide(layerOf((index) => index === 0 ? { start: [FakeCli.exit(3)] } : echo))))

  it.scoped("20 times in a row costs 20 turns at the most, and the session lives", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* Session.text(session, "first")
      for (let n = 0; n < 20; n++) {
        const error = yield* Effect.flip(Session.text(session, `${n}`))
        assert.include(error, { _tag: "CliExitError", reason: "Killed" })
      }
      assert.strictEqual(yield* Session.text(session, "last"), "to last")
      const id = yield* session.id
      assert.deepStrictEqual(new Set((yield* identities).slice(1)), new Set([`--resume=${id}`]))
      assert.deepStrictEqual(yield* processes, { started: 21, running: 1 })
    }).pipe(Effect.provide(layerOf((index) => ({
      respond: (prompt) =>
        prompt === "first" || prompt === "last"
          ? FakeCli.answer(`to ${prompt}`)
          : [FakeCli.init(), FakeCli.text(`${index}`), FakeCli.kill("SIGKILL")]
    })))))

  it.scoped("during a question fails the question, and the next one is answered by another process", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* Session.text(session, "a")
      const asking = yield* Effect.fork(Effect.flip(session.mcpStatus))
      yield* TestClock.adjust("1 second")
      assert.include(yield* Fiber.join(asking), { _tag: "CliProtocolError", request: "mcp_status" })
      assert.deepStrictEqual(yield* session.mcpStatus, [])
      assert.strictEqual((yield* processes).started, 2)
    }).pipe(Effect.provide(layerOf((index) =>
      index === 0
        ? {
          turns: [[...FakeCli.answer("a"), FakeCli.delay("1 second"), FakeCli.exit(1)]],
          controls: { mcp_status: () => FakeCli.unanswered }
        }
        : echo
    ))))
})

describe("an id that the CLI does not take", () => {
  const taken = (id: string) => [FakeCli.stderr(`Error: Session ID ${id} is already in use.\n`), FakeCli.exit(1)]

  it.scoped("because a turn was cut before its answer: the session is resumed", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      assert.strictEqual((yield* Effect.flip(Session.text(session, "a")))._tag, "CliExitError")
      assert.strictEqual(yield* Session.text(session, "b"), "to b")
      const id = yield* session.id
      assert.deepStrictEqual(yield* identities, [`--session-id=${id}`, `--session-id=${id}`, `--resume=${id}`])
    }).pipe(Effect.provide(layerOf((index, invocation) =>
      index === 0
        ? dying(FakeCli.init(), FakeCli.text("x"))
        : index === 1
        ? { start: taken(flag(invocation, "session-id") ?? "") }
        : echo
    ))))

  it.scoped("because another conversation has it: the turn says so", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ sessionId: "00000000-0000-4000-8000-000000000001" })
      const error = yield* Effect.flip(Session.text(session, "a"))
      assert.include(error, { _tag: "SessionBusyError", sessionId: "00000000-0000-4000-8000-000000000001" })
      assert.strictEqual((yield* processes).started, 1)
    }).pipe(Effect.provide(layerOf((_, invocation) => ({ start: taken(flag(invocation, "session-id") ?? "") })))))

  it.scoped("because nobody knows it: the turn says so, and starts nothing else", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ resume: "gone" })
      const error = yield* Effect.flip(Session.text(session, "a"))
      assert.include(error, { _tag: "SessionNotFoundError", sessionId: "gone" })
      assert.deepStrictEqual(yield* identities, ["--resume=gone"])
    }).pipe(Effect.provide(layerOf({ start: FakeCli.sessionNotFound("gone") }))))

  const lost = (turns: number) =>
    layerOf((index, invocation) =>
      index === 0
        ? { turns: [...Array.from({ length: turns }, () => FakeCli.answer("a")), [FakeCli.kill("SIGKILL")]] }
        : flag(invocation, "resume") === undefined
        ? echo
        : { start: FakeCli.sessionNotFound(flag(invocation, "resume") ?? "") }
    )

  it.scoped("because it died before it had written its first turn: the session begins again", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* Session.text(session, "a")
      assert.strictEqual(yield* Session.text(session, "b"), "to b")
    }).pipe(Effect.provide(lost(1))))

  it.scoped("because a history was deleted: the turn says so, and nothing is begun in its place", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* Session.text(session, "a")
      yield* Session.text(session, "b")
      assert.strictEqual((yield* Effect.flip(Session.text(session, "c")))._tag, "SessionNotFoundError")
      const id = yield* session.id
      assert.deepStrictEqual(yield* identities, [`--session-id=${id}`, `--resume=${id}`])
    }).pipe(Effect.provide(lost(2))))

  it.scoped("and begins another conversation instead: the turn fails before it has done anything", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ resume: "00000000-0000-4000-8000-000000000001" })
      const error = yield* Effect.flip(Session.text(session, "a"))
      assert.include(error, { _tag: "SessionNotFoundError", sessionId: "00000000-0000-4000-8000-000000000001" })
      yield* settle
      assert.strictEqual((yield* processes).running, 0)
      assert.strictEqual(yield* session.id, "00000000-0000-4000-8000-000000000001")
    }).pipe(Effect.provide(layerOf({
      turns: [[FakeCli.init({ session_id: "00000000-0000-4000-8000-000000000002" }), FakeCli.hang]],
      version: "2.1.197"
    }))))
})

describe("a deadline", { timeout: 20_000 }, () => {
  it.scoped("of all its time ends a turn at once, and the session takes the next one", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ timeout: "1 hour" })
      const turn = yield* sending(session, "abcdef", { timeout: "3 seconds" })
      const next = yield* sending(session, "next")
      yield* TestClock.adjust("3 seconds")
      const error = failureOf(yield* turn.fiber.await)
      assert.include(error, { _tag: "CliTimeoutError", phase: "total", timeoutMs: 3000 })
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* next.result).result, "next")
      assert.include(yield* subtypes(0), "interrupt")
      assert.deepStrictEqual(yield* processes, { started: 1, running: 1 })
    }).pipe(Effect.provide(layerOf({ respond: (prompt) => slowly(prompt, prompt.length) }))))

  it.scoped("of all its time counts from the start of the process", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* sending(session, "a", { timeout: "3 seconds" })
      yield* TestClock.adjust("3 seconds")
      assert.include(failureOf(yield* turn.fiber.await), { _tag: "CliTimeoutError", phase: "total" })
      assert.deepStrictEqual(yield* prompts, [])
    }).pipe(Effect.provide(layerOf({ controls: { initialize: () => FakeCli.unanswered } }))))

  it.scoped("of silence ends a turn that says nothing, and every line puts it off", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ stallTimeout: "2 seconds", includePartialMessages: true })
      const speaks = yield* sending(session, "abcdef")
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual((yield* speaks.result).result, "abcdef")
      const silent = yield* sending(session, "")
      assert.isDefined(silent)
      const hangs = yield* sending(session, "hang")
      yield* TestClock.adjust("2 seconds")
      assert.include(failureOf(yield* hangs.fiber.await), { _tag: "CliTimeoutError", phase: "stall", timeoutMs: 2000 })
      yield* TestClock.adjust("10 seconds")
      const next = yield* sending(session, "x")
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* next.result).result, "x")
    }).pipe(Effect.provide(layerOf({
      respond: (prompt) => prompt === "hang" ? [FakeCli.init(), FakeCli.hang] : slowly(prompt, prompt.length)
    }))))

  it.scoped("of silence does not run while a tool does, and runs again after it", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ stallTimeout: "2 seconds" })
      const turn = yield* sending(session, "go")
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(turn.tags(), ["Init", "ToolUse"])
      yield* TestClock.adjust("30 seconds")
      assert.isFalse(turn.ended())
      yield* TestClock.adjust("2 seconds")
      assert.include(failureOf(yield* turn.fiber.await), { _tag: "CliTimeoutError", phase: "stall" })
    }).pipe(Effect.provide(layerOf([[
      FakeCli.init(),
      FakeCli.toolUse("t1", "Bash", {}),
      FakeCli.delay("1 minute"),
      FakeCli.toolResult("t1", "ok"),
      FakeCli.hang
    ]]))))

  it.scoped("of the start fails the turn, and the next one starts another process", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ startupTimeout: "5 seconds" })
      const turn = yield* sending(session, "a")
      yield* TestClock.adjust("5 seconds")
      assert.include(failureOf(yield* turn.fiber.await), { _tag: "CliTimeoutError", phase: "startup" })
      assert.strictEqual((yield* processes).running, 0)
      assert.strictEqual(yield* Session.text(session, "b"), "to b")
    }).pipe(
      Effect.provide(layerOf((index) => index === 0 ? { controls: { initialize: () => FakeCli.unanswered } } : echo))
    ))
})

describe("a session that cannot start its CLI", () => {
  it.scoped("fails each turn with why", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      for (const one of [Session.text(session, "a"), session.prewarm, session.mcpStatus]) {
        assert.strictEqual((yield* Effect.flip(Effect.asVoid(one)))._tag, "CliSpawnError")
      }
    }).pipe(Effect.provide(layerOf({
      refuse: new CliSpawnError({ command: "claude", reason: "NotExecutable", code: "EACCES", hint: "chmod" })
    }))))
})

describe("a consumer that never pulls", () => {
  it.scoped("stops neither an answer to the CLI, nor an interrupt, nor the next turn", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ includePartialMessages: true })
      const never = yield* Deferred.make<never>()
      const stuck = yield* Effect.forkScoped(Stream.runForEach(session.send("go"), () => Deferred.await(never)))
      yield* settle
      const { started } = yield* FakeCli.FakeCli
      const replies = Effect.map(started, ([one]) => one!.sent.filter(({ type }) => type === "control_response"))
      const [reply] = yield* replies
      assert.deepInclude(reply!["response"], { subtype: "error", error_code: "unsupported_request", request_id: "q1" })
      const next = yield* sending(session, "next")
      yield* session.interrupt
      yield* settle
      assert.strictEqual((yield* next.result).result, "to next")
      assert.isTrue(stuck.unsafePoll() === null)
    }).pipe(Effect.provide(layerOf({
      turns: [[
        FakeCli.init(),
        ...Array.from({ length: 3000 }, (_, n) => FakeCli.text(`${n}`)),
        FakeCli.emit({ type: "control_request", request_id: "q1", request: { subtype: "sing" } }),
        FakeCli.hang
      ]],
      ...echo
    }))))
})
