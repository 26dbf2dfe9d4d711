import * as Batch from "@ccflow/core/Batch"
import * as BatchRepository from "@ccflow/core/BatchRepository"
import { ApiError, SessionStoreError } from "@ccflow/core/ClaudeError"
import { SessionHolder } from "@ccflow/core/SessionHolder"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Schema, Stream, TestClock } from "effect"
import { atOnce, collect, promptsSent, said, settled, timed, works } from "./batches.js"

const alive = new Set<string>()
let hosts = 0

/** A program that can be killed: nothing that it does afterwards reaches the store. */
const host = Effect.gen(function*() {
  const repository = yield* BatchRepository.BatchRepository
  const id = `host ${++hosts}`
  alive.add(id)
  const gate = <A>(effect: Effect.Effect<A, SessionStoreError>): Effect.Effect<A, SessionStoreError> =>
    Effect.suspend(() => alive.has(id) ? effect : Effect.fail(gone))
  const own: BatchRepository.BatchRepositoryService = {
    ...repository,
    claim: (item) => gate(repository.claim(item)),
    seen: (...args) => gate(repository.seen(...args)),
    end: (...args) => gate(repository.end(...args)),
    release: (...args) => gate(repository.release(...args)),
    renew: (...args) => gate(repository.renew(...args))
  }
  const context = Context.make(BatchRepository.BatchRepository, own).pipe(
    Context.add(SessionHolder, { id, isAlive: (holder) => alive.has(holder) })
  )
  return {
    as: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provide(effect, context),
    /** As long as it takes, while others let the time pass. */
    reads: (items: ReadonlyArray<Batch.BatchItem | string>, options: Batch.BatchOptions = {}) =>
      read(Stream.provideSomeContext(Batch.run(items, { id: "b", ordered: true, ...options }), context)),
    ends: (items: ReadonlyArray<Batch.BatchItem | string>, options: Batch.BatchOptions = {}) =>
      collect(Stream.provideSomeContext(Batch.run(items, { id: "b", ordered: true, ...options }), context)),
    /** Runs until the time, and is killed then. */
    killedAfter: (
      time: number,
      items: ReadonlyArray<Batch.BatchItem | string>,
      options: Batch.BatchOptions = {}
    ) =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(
          Stream.runDrain(Stream.provideSomeContext(Batch.run(items, { id: "b", ...options }), context))
        )
        yield* TestClock.adjust(time)
        alive.delete(id)
        yield* Fiber.interrupt(fiber)
      })
  }
})

const read = <E, R>(ends: Stream.Stream<Batch.BatchEnd, E, R>) => Effect.map(Stream.runCollect(ends), (all) => [...all])

const gone = new SessionStoreError({ operation: "any", reason: "Unavailable", detail: "killed", hint: "" })

const record = (key: string) =>
  Effect.flatMap(BatchRepository.BatchRepository, (repository) => repository.get("b", key))

const totals = Effect.flatMap(BatchRepository.BatchRepository, (repository) => repository.totals("b"))

/** What the CLIs were started with: how each knew its session. */
const flags = Effect.map(
  Effect.flatMap(FakeCli.FakeCli, ({ started }) => started),
  (all) => all.map(({ invocation }) => invocation.args.filter((arg) => /^--(session-id|resume)=/.test(arg)).join(" "))
)

const provided = (script: Parameters<typeof FakeClaude.layer>[0]) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provide(effect, Layer.merge(FakeClaude.layer(script), BatchRepository.layerMemory))

const working = provided({ respond: works })

describe("a batch that is started again", () => {
  it.effect("gives the ends of what was finished, and asks only the rest", () =>
    Effect.gen(function*() {
      const items = ["a 10", "b 10 fail", "c 100", "d 10"]
      yield* (yield* host).killedAfter(50, items, { concurrency: 2 })
      const before = yield* promptsSent
      const ends = yield* (yield* host).ends(items)
      assert.deepStrictEqual(ends.map(said), ["a", "ApiError", "c", "d"])
      assert.deepStrictEqual(ends.map(({ restored }) => restored), [true, true, false, true])
      assert.deepStrictEqual(before, ["a 10", "b 10 fail", "c 100", "d 10"])
      assert.deepStrictEqual((yield* promptsSent).slice(4), ["c 100"])
      const failed = ends[1]?.outcome
      assert.instanceOf(failed?._tag === "Failed" ? failed.error : undefined, ApiError)
      const third = yield* (yield* host).ends(items)
      assert.deepStrictEqual(third.map(({ restored }) => restored), [true, true, true, true])
      const told = ({ costUsd, outcome, usage }: Batch.BatchEnd): unknown =>
        JSON.parse(JSON.stringify({ costUsd, outcome, usage }))
      assert.deepStrictEqual(third.map(told), ends.map(told))
    }).pipe(working))

  it.effect("runs again what failed or was cancelled by its key only when it is asked to, and what that has cost stays", () =>
    Effect.gen(function*() {
      const items = [{ key: "fails", prompt: "a" }, { key: "waits", prompt: "b 1000" }, { key: "good", prompt: "c" }]
      const ends = yield* (yield* host).as(Effect.scoped(Effect.gen(function*() {
        const batch = yield* Batch.make(items, { id: "b", ordered: true })
        yield* TestClock.adjust(10)
        assert.isTrue(yield* batch.cancel("waits"))
        return yield* collect(batch.ends)
      })))
      assert.deepStrictEqual(ends.map(said), ["ApiError", "cancelled: item", "c"])
      const same = yield* (yield* host).ends(items)
      assert.deepStrictEqual(same.map(said), ["ApiError", "cancelled: item", "c"])
      assert.deepStrictEqual(same.map(({ restored }) => restored), [true, true, true])
      const asked = yield* (yield* host).ends(items, { retryFailed: true })
      assert.deepStrictEqual(asked.map(said), ["a", "b", "c"])
      assert.deepStrictEqual(asked.map(({ attempts }) => attempts), [2, 2, 1])
      assert.strictEqual(asked[0]?.costUsd, 3)
      assert.strictEqual((yield* totals).costUsd, 5)
    }).pipe(provided((index) => ({
      respond: (prompt) =>
        index > 0 || prompt !== "a" ? works(prompt) : [
          ...FakeCli.apiError({ status: 400, code: "x", type: "y", message: "no" }).slice(0, 2),
          FakeCli.result({
            is_error: true,
            result: "no",
            api_error_status: 400,
            api_error_type: "y",
            total_cost_usd: 2
          })
        ]
    }))))

  it.effect("sends a prompt anew whose answer had not begun, in the same session", () =>
    Effect.gen(function*() {
      yield* (yield* host).killedAfter(50, [{ key: "a", prompt: "a 100" }])
      assert.deepInclude(yield* record("a"), { status: "running", committed: false, attempts: 1, costUsd: 0 })
      const [end] = yield* (yield* host).ends([{ key: "a", prompt: "a 100" }])
      assert.deepStrictEqual(yield* promptsSent, ["a 100", "a 100"])
      assert.strictEqual(said(end!), "a")
      assert.deepInclude(end, { attempts: 2, restored: false, costUsd: 1 })
      const [first = "", second] = yield* flags
      assert.match(first, /^--session-id=/)
      assert.strictEqual(second, first)
    }).pipe(working))
})

const cutScript = (index: number) => ({
  respond: (prompt: string) =>
    index === 0
      ? [FakeCli.init(), FakeCli.toolUse("t", "Bash", { command: "deploy" }), FakeCli.hang]
      : FakeCli.answer(`answer to: ${prompt}`)
})

const refusing = (refuse: (args: ReadonlyArray<string>) => FakeCli.Turn | undefined) =>
  provided((index, { args }) => ({ ...cutScript(index), ...start(refuse(args)) }))

const start = (steps: FakeCli.Turn | undefined) => steps === undefined ? {} : { start: steps }

const idIn = (args: ReadonlyArray<string>, flag: string) =>
  args.find((arg) => arg.startsWith(`--${flag}=`))?.slice(flag.length + 3)

const notFound = (args: ReadonlyArray<string>) => {
  const id = idIn(args, "resume")
  return id === undefined ? undefined : FakeCli.sessionNotFound(id)
}

describe("an item that was cut while it acted", () => {
  const items = [{ key: "a", prompt: "deploy it", options: { title: "a title" } }]

  it.effect("goes on in its session, and its prompt is not sent again", () =>
    Effect.gen(function*() {
      yield* (yield* host).killedAfter(50, items)
      assert.deepInclude(yield* record("a"), { status: "running", committed: true })
      const [end] = yield* (yield* host).ends(items, { continuePrompt: "go on" })
      assert.strictEqual(said(end!), "answer to: go on")
      assert.deepStrictEqual(yield* promptsSent, ["deploy it", "go on"])
      const [first = "", second] = yield* flags
      assert.strictEqual(second, first.replace("--session-id", "--resume"))
    }).pipe(provided(cutScript)))

  it.effect("fails when its session is gone", () =>
    Effect.gen(function*() {
      yield* (yield* host).killedAfter(50, items)
      const [end] = yield* (yield* host).ends(items)
      assert.strictEqual(said(end!), "SessionNotFoundError")
      assert.deepInclude(yield* record("a"), { status: "failed", attempts: 2 })
      assert.deepStrictEqual(yield* promptsSent, ["deploy it"])
    }).pipe(refusing(notFound)))

  it.effect("is run again when its session is gone, where that is asked for", () =>
    Effect.gen(function*() {
      yield* (yield* host).killedAfter(50, items)
      const [end] = yield* (yield* host).ends(items, { whenSessionIsGone: "rerun" })
      assert.strictEqual(said(end!), "answer to: deploy it")
      const [first, , third] = yield* flags
      assert.match(third ?? "", /^--session-id=/)
      assert.notStrictEqual(third, first)
      assert.strictEqual((yield* record("a"))?.sessionId, third?.slice("--session-id=".length))
    }).pipe(refusing(notFound)))

  it.effect("has its answer, when that was all that was missing to its end", () =>
    Effect.gen(function*() {
      yield* (yield* host).killedAfter(50, items)
      assert.deepInclude(yield* record("a"), { status: "running", costUsd: 1 })
      const [end] = yield* (yield* host).ends(items)
      assert.strictEqual(said(end!), "deployed")
      assert.deepInclude(end, { restored: true, costUsd: 1, attempts: 2 })
      assert.strictEqual((yield* flags).length, 1)
      assert.deepInclude(yield* totals, { completed: 1, running: 0, costUsd: 1, endedCostUsd: 1 })
    }).pipe(provided([[
      FakeCli.init(),
      FakeCli.text("deployed"),
      FakeCli.background([], { after: "1 hour" }),
      FakeCli.result({ result: "deployed", total_cost_usd: 1 })
    ]])))
})

describe("an item of which nothing was seen, and whose session the CLI knows", () => {
  it.effect("goes on in it", () =>
    Effect.gen(function*() {
      yield* (yield* host).killedAfter(50, [{ key: "a", prompt: "a" }])
      const [end] = yield* (yield* host).ends([{ key: "a", prompt: "a" }], { continuePrompt: "go on" })
      assert.strictEqual(said(end!), "answer to: go on")
    }).pipe(provided((index, { args }) => ({
      respond: (prompt) => index === 0 ? [FakeCli.init(), FakeCli.hang] : FakeCli.answer(`answer to: ${prompt}`),
      ...start(
        index === 0 || idIn(args, "session-id") === undefined ? undefined : [
          FakeCli.stderr(`Error: Session ID ${idIn(args, "session-id")} is already in use.\n`),
          FakeCli.exit(1)
        ]
      )
    }))))
})

describe("the store", () => {
  it.effect("has an item before it runs, and its end before anyone sees it", () =>
    Effect.gen(function*() {
      const seen: Array<string | undefined> = []
      yield* (yield* host).as(Effect.scoped(Effect.gen(function*() {
        const batch = yield* Batch.make([{ key: "a", prompt: "a 100" }], { id: "b" })
        yield* TestClock.adjust(50)
        assert.deepInclude(yield* record("a"), { status: "running", prompt: "a 100", index: 0 })
        yield* timed(
          Stream.runForEach(batch.ends, ({ key }) => Effect.map(record(key), (found) => seen.push(found?.status)))
        )
      })))
      assert.deepStrictEqual(seen, ["completed"])
    }).pipe(working))

  it.effect("that fails ends the batch with its error, after what ran has ended and was seen", () =>
    Effect.gen(function*() {
      const repository = yield* BatchRepository.BatchRepository
      const failing = Context.make(BatchRepository.BatchRepository, { ...repository, end: () => Effect.fail(gone) })
      const seen: Array<string> = []
      const exit = yield* timed(Effect.exit(Stream.runForEach(
        Batch.run(["a 10", "b 20", "c 10"], { id: "b", concurrency: 2 }),
        (end) => Effect.sync(() => seen.push(said(end)))
      ))).pipe(Effect.provide(failing))
      assert.deepStrictEqual(exit, Exit.fail(gone))
      assert.deepStrictEqual(seen, ["a", "cancelled: all", "b"])
      const refusing = { ...repository, claim: () => Effect.fail(gone) }
      const refused = yield* Effect.exit(collect(Batch.run(["a"], { id: "c" }))).pipe(
        Effect.provideService(BatchRepository.BatchRepository, refusing)
      )
      assert.deepStrictEqual(refused, Exit.fail(gone))
      assert.strictEqual((yield* promptsSent).length, 2)
    }).pipe(working))

  it.effect("gives structured output back as the schema decodes it", () =>
    Effect.gen(function*() {
      const items = [{ prompt: "when?", options: { outputSchema: Schema.Struct({ at: Schema.Date }) } }]
      const at = new Date(0)
      for (const restored of [false, true]) {
        const [end] = yield* (yield* host).ends(items)
        assert.deepInclude(end, { restored })
        assert.deepStrictEqual(
          end?.outcome._tag === "Completed" ? end.outcome.result.structuredOutput : undefined,
          { at }
        )
      }
    }).pipe(provided([[
      FakeCli.init(),
      FakeCli.text("then"),
      FakeCli.result({ structured_output: { at: "1970-01-01T00:00:00.000Z" } })
    ]])))

  it.effect("is told that an interrupted item can be gone on with at once, and knows what the others have spent", () =>
    Effect.gen(function*() {
      const first = yield* host
      const items = ["a 10", "b 100", "c 10"].map((prompt) => ({ key: prompt, prompt }))
      const reader = yield* Effect.fork(first.reads(items, { concurrency: 2 }))
      yield* TestClock.adjust(50)
      yield* Fiber.interrupt(reader)
      assert.deepInclude(yield* totals, { running: 1, completed: 2, endedCostUsd: 2 })
      assert.deepInclude(yield* record("b 100"), { status: "running", expiresAt: 0 })
      const ends = yield* (yield* host).ends(items, { maxBudgetUsd: 2 })
      assert.deepStrictEqual(ends.map(said), ["a", "cancelled: budget", "c"])
      const more = yield* (yield* host).ends(items, { maxBudgetUsd: 3 })
      assert.deepStrictEqual(more.map(said), ["a", "b", "c"])
      assert.deepInclude(yield* totals, { running: 0, completed: 3, costUsd: 3, endedCostUsd: 3 })
    }).pipe(working))
})

describe("two hosts with the same batch", () => {
  it.effect("share its items: each is asked once, and both see every end", () =>
    Effect.gen(function*() {
      const items = Array.from({ length: 12 }, (_, n) => `${n} ${n % 4 * 100}`)
      const [one, other] = [yield* host, yield* host]
      const [here, there] = yield* Effect.all(
        [one.ends(items, { concurrency: 2 }), other.ends(items, { concurrency: 3 })],
        { concurrency: 2 }
      )
      assert.deepStrictEqual(here.map(said), items.map((_, n) => `${n}`))
      assert.deepStrictEqual(there.map(said), here.map(said))
      assert.deepStrictEqual([...yield* promptsSent].sort(), [...items].sort())
      for (const [n, { restored }] of here.entries()) assert.strictEqual(restored, !there[n]?.restored)
      assert.isAbove(here.filter(({ restored }) => restored).length, 0)
    }).pipe(working))

  it.effect("run again together what had failed before, and not what fails meanwhile", () =>
    Effect.gen(function*() {
      const items = ["a 100 fail", "b 10"]
      const all = Effect.fnUntraced(function*() {
        const [one, other] = [yield* host, yield* host]
        const ends = [one, other].map((each) => each.ends(items, { retryFailed: true }))
        const both = yield* Effect.all(ends, { concurrency: 2 })
        assert.deepStrictEqual(both.map((ends) => ends.map(said)), [["ApiError", "b"], ["ApiError", "b"]])
        assert.deepStrictEqual(both.map((ends) => ends[0]?.restored).sort(), [false, true])
      })
      yield* all()
      assert.deepStrictEqual([...yield* promptsSent].sort(), items)
      yield* all()
      assert.deepStrictEqual((yield* promptsSent).slice(2), ["a 100 fail"])
      assert.deepInclude(yield* totals, { failed: 1, completed: 1 })
    }).pipe(working))

  it.effect("keep what they run for as long as they run it", () =>
    Effect.gen(function*() {
      const items = ["a 300000"]
      const [one, other] = [yield* host, yield* host]
      const here = yield* Effect.fork(one.reads(items))
      yield* settled
      const there = yield* Effect.fork(other.reads(items))
      yield* TestClock.adjust("4 minutes")
      assert.strictEqual(yield* atOnce, 1)
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual((yield* Fiber.join(here)).map(({ restored }) => restored), [false])
      assert.deepStrictEqual((yield* Fiber.join(there)).map(({ restored }) => restored), [true])
    }).pipe(working))

  it.effect("a host that could not keep its item gives it up to the one that took it", () =>
    Effect.gen(function*() {
      const repository = yield* BatchRepository.BatchRepository
      const items = ["a 100000"]
      let asleep = true
      const sleepy: BatchRepository.BatchRepositoryService = {
        ...repository,
        renew: (...args) => asleep ? Effect.fail(gone) : repository.renew(...args)
      }
      const here = yield* Effect.fork(
        read(Batch.run(items, { id: "b" })).pipe(
          Effect.provideService(BatchRepository.BatchRepository, sleepy)
        )
      )
      yield* settled
      const there = yield* Effect.fork((yield* host).reads(items))
      yield* TestClock.adjust("35 seconds")
      assert.strictEqual(yield* atOnce, 2)
      asleep = false
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* atOnce, 1)
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual((yield* Fiber.join(there)).map(({ restored }) => restored), [false])
      assert.deepStrictEqual((yield* Fiber.join(here)).map(({ restored }) => restored), [true])
      assert.strictEqual((yield* totals).costUsd, 1)
    }).pipe(working))
})
