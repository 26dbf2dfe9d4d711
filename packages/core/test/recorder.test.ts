import { type Claude, Message, Session, SessionHolder, SessionRepository } from "@ccflow/core"
import { SessionStoreError } from "@ccflow/core/ClaudeError"
import type { SessionRepositoryService } from "@ccflow/core/SessionRepository"
import { FakeClaude, FakeCli } from "@ccflow/testing"
import { assert, describe, it } from "@effect/vitest"
import {
  Duration,
  Effect,
  Exit,
  FastCheck,
  Fiber,
  Layer,
  Logger,
  Option,
  Scope,
  Stream,
  TestClock,
  TestContext
} from "effect"

type Script = Parameters<typeof FakeCli.layer>[0]
type Operation = keyof SessionRepositoryService

const echo: Script = { respond: (prompt) => FakeCli.answer(`${prompt}!`) }

const provided = (script: Script = echo) =>
  Effect.provide(Layer.merge(SessionRepository.layerMemory, FakeClaude.layer(script)))

const store = SessionRepository.SessionRepository

/** Sends, lets time pass until it is over, and gives what came. */
const say = (session: Session.Session, prompt: Claude.Prompt, options?: Session.TurnOptions) =>
  Effect.gen(function*() {
    const seen: Array<Message.Message> = []
    const fiber = yield* Effect.fork(Effect.either(
      Stream.runForEach(session.send(prompt, options), (message) => Effect.sync(() => seen.push(message)))
    ))
    yield* TestClock.adjust("45 seconds")
    const end = yield* Fiber.join(fiber)
    return { seen, error: end._tag === "Left" ? end.left : undefined }
  })

const only = (sessionId: string) =>
  Effect.flatMap(store, ({ turns }) => Effect.map(turns(sessionId), (page) => page.turns[0]))
const recordOf = (sessionId: string) =>
  Effect.flatMap(store, ({ get }) => Effect.map(get(sessionId), Option.getOrThrow))
const prompts = Effect.flatMap(FakeCli.FakeCli, (fake) => fake.prompts)

/** The store, in which something else happens at some operations. */
const altered = (
  change: <A, E>(operation: Operation, run: Effect.Effect<A, E>, args: ReadonlyArray<unknown>) => Effect.Effect<A, E>
) =>
  Effect.map(store, (real): SessionRepositoryService =>
    new Proxy(real, {
      get: (target, name: Operation) => (...args: ReadonlyArray<unknown>) =>
        change(name, Reflect.apply(target[name], target, args), args)
    }))

const mebibyte = 1024 * 1024

const broken = (operation: Operation) =>
  new SessionStoreError({ operation, reason: "DiskFull", detail: "no space left", hint: "Make room." })

/** A store whose operations fail for as long as they are told to. */
const failing = (failures: Set<Operation>) =>
  altered((operation, run) =>
    failures.has(operation) ? Effect.fail(broken(operation)) as Effect.Effect<never, never> : run
  )

describe("a turn on record", () => {
  it.scoped("is there, running, before the CLI has its prompt, and its end before the consumer has it", () =>
    Effect.gen(function*() {
      const order: Array<string> = []
      const fake = yield* FakeCli.FakeCli
      const watching = yield* altered((operation, run) =>
        Effect.tap(run, () =>
          Effect.map(fake.prompts, (sent) => {
            if (operation === "beginTurn" || operation === "endTurn") order.push(`${operation} ${sent.length}`)
          }))
      )
      const session = yield* Effect.provideService(Session.make(), store, watching)
      yield* Stream.runForEach(session.send("hello"), ({ _tag }) => Effect.sync(() => order.push(_tag)))
      order.push("end")
      assert.deepStrictEqual(order.filter((what) => what !== "Assistant" && what !== "Text"), [
        "beginTurn 0",
        "Init",
        "endTurn 1",
        "Stop",
        "Result",
        "end"
      ])
    }).pipe(provided()))

  it.scoped("has its answer, what it cost and how it ended; its session has the sums of them", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ title: "A talk", model: "opus", permissionMode: "plan" })
      const id = yield* session.id
      const { seen } = yield* say(session, "hello")
      yield* say(session, "more")
      const [result] = seen.filter(Message.is("Result"))
      const turn = yield* only(id)
      assert.deepInclude({ ...turn }, {
        status: "completed",
        prompt: "hello",
        result: "hello!",
        seen: "hello!",
        stopReason: "end_turn",
        usage: result?.usage,
        costUsd: result?.costUsd,
        numTurns: 1
      })
      const record = yield* recordOf(id)
      assert.deepInclude(record, {
        status: "open",
        title: "A talk",
        model: "opus",
        turnCount: 2,
        cliVersion: "2.1.330"
      })
      assert.deepInclude(record.options, { model: "opus", permissionMode: "plan" })
      assert.closeTo(record.costUsd, 0.002, 1e-9)
      assert.strictEqual(record.usage.outputTokens, 2 * (result?.usage.outputTokens ?? 0))
      yield* session.close
      yield* session.close
      assert.deepInclude(yield* recordOf(id), { status: "closed", turnCount: 2 })
      assert.isTrue(Option.isNone(yield* (yield* store).lease(id)))
    }).pipe(provided()))

  it.scoped("that failed has the error, what was said, and what it cost; it is no completed one", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const id = yield* session.id
      const { error } = yield* say(session, "hello")
      assert.deepInclude({ ...yield* only(id) }, {
        status: "failed",
        seen: "so far",
        costUsd: 0.001,
        error: { tag: "MaxTurnsError", message: error?.message ?? "" }
      })
      assert.deepInclude(yield* recordOf(id), { turnCount: 0, costUsd: 0.001 })
    }).pipe(provided([[
      FakeCli.init(),
      FakeCli.text("so far"),
      FakeCli.result({ subtype: "error_max_turns", is_error: true, errors: ["Reached maximum number of turns (1)"] })
    ]])))

  it.scoped("that was interrupted says so, and has what there was", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ includePartialMessages: true })
      const fiber = yield* Effect.fork(say(session, "hello"))
      yield* TestClock.adjust("3500 millis")
      yield* Effect.fork(session.interrupt)
      yield* TestClock.adjust("1 minute")
      yield* Fiber.interrupt(fiber)
      const turn = yield* only(yield* session.id)
      assert.strictEqual(turn?.status, "interrupted")
      assert.isTrue(turn?.seen !== "" && "a long answer".startsWith(turn?.seen ?? "?"), turn?.seen)
    }).pipe(provided([FakeCli.answer("a long answer", { deltas: 10, every: "1 second" })])))

  it.scoped("has its text at once, then four times a second at the most, and the last of it though nothing follows", () =>
    Effect.gen(function*() {
      const at: Array<number> = []
      const counting = yield* altered((operation, run) =>
        operation === "progress"
          ? Effect.tap(run, () =>
            Effect.clockWith((clock) => Effect.sync(() => at.push(clock.unsafeCurrentTimeMillis()))))
          : run
      )
      const session = yield* Effect.provideService(Session.make({ includePartialMessages: true }), store, counting)
      const id = yield* session.id
      yield* Effect.forkScoped(Stream.runDrain(session.send("go")))
      yield* TestClock.adjust(10)
      assert.strictEqual((yield* only(id))?.seen, "0")
      yield* TestClock.adjust("2 seconds")
      // Said in 100 ms, then silence.
      assert.strictEqual((yield* only(id))?.seen, "0123456789")
      assert.deepStrictEqual(at, [10, 260])
    }).pipe(provided([[
      FakeCli.init(),
      FakeCli.text("0123456789", { deltas: 10, every: "10 millis" }),
      FakeCli.hang
    ]])))

  it.scoped("has all that was said when a tool is used", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* Effect.forkScoped(Stream.runDrain(session.send("go")))
      yield* TestClock.adjust("20 millis")
      assert.strictEqual((yield* only(yield* session.id))?.seen, "one, two")
    }).pipe(provided([[
      FakeCli.init(),
      FakeCli.text("one, "),
      FakeCli.delay("10 millis"),
      FakeCli.text("two"),
      FakeCli.toolUse("t1", "Bash", { command: "true" }),
      FakeCli.hang
    ]])))

  it.scoped("keeps every message where that is asked for, before the consumer has it", () =>
    Effect.gen(function*() {
      const { appendMessages, messages } = yield* store
      const session = yield* Session.make({ recordMessages: true })
      const turnId = "aaaaaaaa-0000-4000-8000-000000000001"
      const seen: Array<unknown> = []
      yield* Stream.runForEach(session.send("go", { turnId }), (message) =>
        Effect.gen(function*() {
          seen.push(JSON.parse(JSON.stringify(message)))
          const kept = (yield* messages(turnId)).messages
          assert.deepStrictEqual(kept.slice(0, seen.length), seen)
        }))
      assert.deepStrictEqual((yield* messages(turnId)).messages, seen)
      assert.isFunction(appendMessages)
      const quiet = yield* Session.make()
      yield* say(quiet, "go", { turnId: "aaaaaaaa-0000-4000-8000-000000000002" })
      assert.deepStrictEqual((yield* messages("aaaaaaaa-0000-4000-8000-000000000002")).messages, [])
    }).pipe(provided({
      respond: () =>
        [
          FakeCli.init(),
          FakeCli.text("one"),
          FakeCli.toolUse("t1", "Bash", {}),
          FakeCli.delay("1 millis"),
          FakeCli.toolResult("t1", "done"),
          FakeCli.text("two"),
          FakeCli.result({ result: "two" })
        ].filter(({ _tag }) => _tag !== "Delay")
    })))

  it.scoped("is refused when its id is that of an earlier one, also of another session", () =>
    Effect.gen(function*() {
      const turnId = "aaaaaaaa-0000-4000-8000-000000000001"
      const first = yield* Session.make()
      yield* say(first, "one", { turnId })
      const { error } = yield* say(yield* Session.make(), "two", { turnId })
      assert.deepInclude({ ...error }, { _tag: "InvalidOptionsError", field: "turnId" })
      assert.deepStrictEqual(yield* prompts, ["one"])
      assert.deepInclude({ ...yield* only(yield* first.id) }, { status: "completed", prompt: "one" })
    }).pipe(provided()))

  it.scoped("of a session that only the CLI can name is recorded when it has", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ continueSession: true })
      assert.strictEqual(yield* session.id, "")
      yield* say(session, "hello")
      const id = yield* session.id
      assert.deepInclude({ ...yield* only(id) }, { status: "completed", result: "hello!" })
      assert.deepInclude(yield* recordOf(id), { title: "hello", turnCount: 1 })
    }).pipe(provided()))
})

describe("a session's record", () => {
  it.scoped("holds nothing that is secret, whatever the options are", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(FastCheck.uuid(), (secret) =>
          Effect.gen(function*() {
            const session = yield* Session.make({
              env: { TOKEN: secret },
              mcpServers: { m: { type: "http", url: `https://x/${secret}`, headers: { a: secret } } },
              settings: { apiKeyHelper: secret },
              extraArgs: { secret },
              agents: { a: { description: "d", prompt: "p", mcpServers: [{ headers: secret }] } },
              debugFile: secret,
              cliPath: secret
            })
            yield* say(session, "hello")
            const record = yield* recordOf(yield* session.id)
            assert.notInclude(JSON.stringify(record), secret)
            assert.deepStrictEqual(record.options, { agents: { a: { description: "d", prompt: "p" } } })
          }).pipe(Effect.scoped, provided(), Effect.provide(TestContext.TestContext), Effect.runPromise)),
        { numRuns: 5 }
      )
    ))

  it.scoped("is titled by the first line of the first prompt, 80 characters of it", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* say(session, [{ type: "image" }, { type: "text", text: `\n ${"é😀".repeat(50)} \nsecond line` }])
      yield* say(session, "another")
      assert.strictEqual((yield* recordOf(yield* session.id)).title, "é😀".repeat(40))
    }).pipe(provided()))

  it.scoped("has the model and the mode that the session has by now", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ model: "opus", permissionMode: "plan" })
      const id = yield* session.id
      yield* say(session, "one")
      yield* session.setModel("haiku")
      yield* session.setPermissionMode("acceptEdits")
      yield* say(session, "two")
      const record = yield* recordOf(id)
      assert.strictEqual(record.model, "haiku")
      assert.deepStrictEqual(record.options, { model: "haiku", permissionMode: "acceptEdits" })
    }).pipe(provided()))

  it.scoped("keeps the tags and the figures that others have changed meanwhile", () =>
    Effect.gen(function*() {
      const { addTags } = yield* store
      const session = yield* Session.make()
      const id = yield* session.id
      yield* say(session, "one")
      yield* addTags(id, ["mine"])
      yield* session.setModel("haiku")
      yield* say(session, "two")
      yield* session.close
      assert.deepInclude(yield* recordOf(id), { tags: ["mine"], turnCount: 2 })
    }).pipe(provided()))

  it.scoped("of a fork names the session that it came from", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ model: "opus" })
      yield* say(session, "one")
      // Whoever forks need not have the store.
      const branch = yield* session.fork()
      yield* say(branch, "two")
      const parentId = yield* session.id
      assert.notStrictEqual(yield* branch.id, parentId)
      assert.deepInclude(yield* recordOf(yield* branch.id), { parentId, model: "opus", turnCount: 1 })
      assert.notProperty(yield* recordOf(parentId), "parentId")
    }).pipe(provided()))

  it.scoped("ends with /clear, and another one begins that names it; the right to write goes along", () =>
    Effect.gen(function*() {
      const { lease, turns } = yield* store
      const session = yield* Session.make({ model: "opus" })
      const before = yield* session.id
      yield* say(session, "one")
      yield* say(session, "/clear")
      const after = yield* session.id
      assert.notStrictEqual(after, before)
      assert.deepInclude(yield* recordOf(before), { status: "closed", title: "one" })
      assert.isTrue(Option.isNone(yield* lease(before)))
      assert.isTrue(Option.isSome(yield* lease(after)))
      yield* say(session, "two")
      assert.deepInclude(yield* recordOf(after), { parentId: before, title: "two", model: "opus", turnCount: 1 })
      assert.deepStrictEqual((yield* turns(before)).turns.map(({ prompt }) => prompt), ["one", "/clear"])
      assert.deepStrictEqual((yield* turns(after)).turns.map(({ prompt }) => prompt), ["two"])
    }).pipe(provided()))
})

describe("the right to write to a session", () => {
  const sessionId = "bbbbbbbb-0000-4000-8000-000000000001"

  it.scoped("is one session's at a time, also within a process; the other is told who has it and until when", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ sessionId })
      const error = yield* Effect.flip(Session.make({ sessionId }))
      assert.deepInclude({ ...error }, { _tag: "SessionBusyError", sessionId, until: 30_000 })
      assert.include(JSON.stringify(error), "me/")
      yield* session.close
      yield* Session.make({ sessionId })
      assert.deepStrictEqual(yield* prompts, [])
    }).pipe(
      Effect.provideService(SessionHolder.SessionHolder, { id: "me", isAlive: () => true }),
      provided()
    ))

  it.scoped("stays for as long as the session is open, whether it is used or not", () =>
    Effect.gen(function*() {
      yield* Session.make({ sessionId })
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual((yield* Effect.flip(Session.make({ sessionId })))._tag, "SessionBusyError")
    }).pipe(provided()))

  it.scoped("is taken over from one that is dead, and waited for from one of whom nothing is known", () =>
    Effect.gen(function*() {
      const { acquireLease } = yield* store
      yield* acquireLease(sessionId, "dead/1", "1 hour")
      yield* Effect.scoped(Session.make({ sessionId }))
      yield* acquireLease(sessionId, "other/1", "1 hour")
      assert.deepInclude({ ...yield* Effect.flip(Session.make({ sessionId })) }, {
        holder: "other/1",
        until: 3_600_000
      })
      yield* TestClock.adjust("1 hour")
      yield* Session.make({ sessionId })
    }).pipe(
      Effect.provideService(SessionHolder.SessionHolder, { id: "me", isAlive: (holder) => holder !== "dead" }),
      provided()
    ))

  it.scoped("that was lost makes the next turn fail before its prompt is sent; then the session comes back with all", () =>
    Effect.gen(function*() {
      const { acquireLease, lease, releaseLease } = yield* store
      const session = yield* Session.make({ sessionId })
      yield* say(session, "one")
      const mine = Option.getOrThrow(yield* lease(sessionId))
      yield* releaseLease(sessionId, mine.holder)
      yield* acquireLease(sessionId, "other", "1 hour")
      yield* TestClock.adjust("10 seconds")
      const { error } = yield* say(session, "two")
      assert.deepInclude({ ...error }, { _tag: "SessionBusyError", holder: "other" })
      assert.deepInclude({ ...(yield* say(session, "three")).error }, { _tag: "SessionBusyError", holder: "other" })
      yield* releaseLease(sessionId, "other")
      assert.isUndefined((yield* say(session, "four")).error)
      assert.deepStrictEqual(yield* prompts, ["one", "four"])
      const { started } = yield* FakeCli.FakeCli
      assert.deepStrictEqual(
        (yield* started).map(({ invocation }) => invocation.args.filter((arg) => arg.includes(sessionId))),
        [[`--session-id=${sessionId}`], [`--resume=${sessionId}`]]
      )
    }).pipe(provided()))

  it.scoped("is looked at before a turn when the heartbeat was late", () =>
    Effect.gen(function*() {
      const { acquireLease } = yield* store
      const failures = new Set<Operation>(["renewLease"])
      const repository = yield* failing(failures)
      const session = yield* Effect.provideService(Session.make({ sessionId }), store, repository)
      yield* TestClock.adjust("25 seconds")
      failures.clear()
      yield* acquireLease(sessionId, "other", "1 hour", () => false)
      const fiber = yield* Effect.fork(Effect.flip(Session.result(session, "one")))
      yield* TestClock.adjust("1 seconds")
      assert.deepInclude({ ...yield* Fiber.join(fiber) }, { _tag: "SessionBusyError", holder: "other" })
      assert.deepStrictEqual(yield* prompts, [])
    }).pipe(provided()))
})

describe("a store that fails", () => {
  const operations: ReadonlyArray<Operation> = [
    "save",
    "get",
    "turns",
    "beginTurn",
    "endTurn",
    "progress",
    "appendMessages",
    "acquireLease",
    "renewLease",
    "releaseLease",
    "lease"
  ]
  /** What is made good by the turn's end, or concerns no turn. */
  const harmless: ReadonlySet<Operation> = new Set([
    "progress",
    "turns",
    "renewLease",
    "releaseLease",
    "lease",
    "acquireLease"
  ])

  const outcome = (session: Session.Session) => Effect.map(say(session, "go"), ({ error }) => error)

  it.scoped.each(operations)(
    "at %s, from the beginning: it is told, nothing hangs, and the session works when it does",
    (operation) =>
      Effect.gen(function*() {
        const failures = new Set<Operation>([operation])
        const repository = yield* failing(failures)
        const scope = yield* Scope.make()
        const made = yield* Effect.either(
          Session.make({ recordMessages: true }).pipe(
            Effect.provideService(store, repository),
            Scope.extend(scope)
          )
        )
        if (made._tag === "Left") {
          assert.deepStrictEqual(made.left, broken(operation))
          return
        }
        const error = yield* outcome(made.right)
        if (error === undefined) assert.isTrue(harmless.has(operation))
        else assert.deepStrictEqual<unknown>(error, broken(operation))
        failures.clear()
        assert.isUndefined(yield* outcome(made.right))
        yield* Scope.close(scope, Exit.void)
        const { turns } = yield* (yield* store).turns(yield* made.right.id)
        assert.deepStrictEqual(turns.filter(({ status }) => status === "running"), [])
        assert.strictEqual(turns.at(-1)?.status, "completed")
      }).pipe(provided())
  )

  it.scoped.each(operations)(
    "at %s, in the middle: the turn is whole on record or fails, and closing ends",
    (operation) =>
      Effect.gen(function*() {
        const failures = new Set<Operation>()
        const repository = yield* failing(failures)
        const session = yield* Effect.provideService(
          Session.make({ recordMessages: true, includePartialMessages: true }),
          store,
          repository
        )
        const fiber = yield* Effect.fork(outcome(session))
        yield* TestClock.adjust("2 seconds")
        failures.add(operation)
        yield* TestClock.adjust("5 minutes")
        const error = yield* Fiber.join(fiber)
        const id = yield* session.id
        if (error === undefined) {
          assert.deepInclude({ ...yield* only(id) }, { status: "completed", seen: "a long answer" })
        } else assert.deepStrictEqual<unknown>(error, broken(operation))
        assert.strictEqual(error !== undefined, operation === "endTurn" || operation === "appendMessages")
        const closing = yield* Effect.fork(session.close)
        yield* TestClock.adjust("5 minutes")
        yield* Fiber.join(closing)
      }).pipe(provided([FakeCli.answer("a long answer", { deltas: 10, every: "500 millis" })]))
  )

  it.scoped("to keep messages is owed 16 MiB of them at most, and it is said that some are missing", () =>
    Effect.gen(function*() {
      const failures = new Set<Operation>(["appendMessages"])
      const repository = yield* failing(failures)
      const warnings: Array<string> = []
      const logger = Logger.make(({ message }) => void warnings.push(String(message)))
      const session = yield* Effect.provideService(Session.make({ recordMessages: true }), store, repository)
      const fiber = yield* Effect.fork(Effect.provide(outcome(session), Logger.replace(Logger.defaultLogger, logger)))
      yield* TestClock.adjust("15 seconds")
      failures.clear()
      yield* TestClock.adjust("45 seconds")
      assert.isUndefined(yield* Fiber.join(fiber))
      const turn = yield* only(yield* session.id)
      const { messages } = yield* (yield* store).messages(turn!.turnId)
      const size = JSON.stringify(messages).length
      assert.isAtMost(size, 16 * mebibyte + 2 * mebibyte)
      assert.isAbove(size, 15 * mebibyte)
      assert.match(warnings.join(), /^\d+ messages of a turn are not on record/)
    }).pipe(provided([[
      FakeCli.init(),
      ...Array.from({ length: 24 }, (_, index) => FakeCli.text(`${index}`.padEnd(mebibyte))),
      FakeCli.delay("20 seconds"),
      FakeCli.result()
    ]])))

  it.scoped("to take a turn's end is given it again", () =>
    Effect.gen(function*() {
      const failures = new Set<Operation>(["endTurn"])
      const repository = yield* failing(failures)
      const session = yield* Effect.provideService(Session.make(), store, repository)
      assert.strictEqual((yield* outcome(session))?._tag, "SessionStoreError")
      const id = yield* session.id
      assert.deepInclude({ ...yield* only(id) }, { status: "running" })
      failures.clear()
      yield* session.close
      assert.deepInclude({ ...yield* only(id) }, { status: "completed", result: "go!" })
    }).pipe(provided()))

  it.scoped("to answer at all holds a session for a bounded time", () =>
    Effect.gen(function*() {
      let silent = true
      const repository = yield* altered((operation, run) =>
        silent && (operation === "beginTurn" || operation === "endTurn" || operation === "releaseLease")
          ? Effect.never
          : run
      )
      const session = yield* Effect.provideService(Session.make(), store, repository)
      const { error } = yield* say(session, "go")
      assert.deepInclude({ ...error }, { _tag: "SessionStoreError", reason: "Unavailable" })
      const closing = yield* Effect.fork(session.close)
      yield* TestClock.adjust(Duration.minutes(3))
      assert.isTrue(Option.isSome(yield* Fiber.poll(closing)))
      silent = false
    }).pipe(provided()))
})
