import * as Claude from "@ccflow/core/Claude"
import { ClaudeConfig } from "@ccflow/core/ClaudeConfig"
import { CliProcess, type RunningCli } from "@ccflow/core/CliProcess"
import { is, type Message } from "@ccflow/core/Message"
import * as MessageParser from "@ccflow/core/MessageParser"
import * as Permissions from "@ccflow/core/Permissions"
import * as Policies from "@ccflow/core/Policies"
import * as Session from "@ccflow/core/Session"
import * as SessionManager from "@ccflow/core/SessionManager"
import * as SessionRepository from "@ccflow/core/SessionRepository"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Stream, TestClock } from "effect"
import { follow, processes, sending, settle, subtypes } from "./sessions.js"

const mebibyte = 1024 * 1024
/** What a session reads before it waits for a reader, and what the last read brings on top. */
const most = 16.1 * mebibyte

/** So many mebibytes, said in parts that tell their place. */
const saying = (mebibytes: number): FakeCli.Turn =>
  Array.from({ length: 16 * mebibytes }, (_, index) => FakeCli.text(`${index}`.padEnd(mebibyte / 16)))
const places = (messages: ReadonlyArray<Message>) => messages.filter(is("Text")).map(({ content }) => Number(content))
const inOrder = (mebibytes: number) => Array.from({ length: 16 * mebibytes }, (_, index) => index)

const echo = { respond: (prompt: string) => FakeCli.answer(`to ${prompt}`) }
const flooding = (mebibytes: number, ...more: FakeCli.Turn): FakeCli.Script => ({
  turns: [[FakeCli.init(), ...saying(mebibytes), ...more]],
  ...echo
})

/** A CLI whose output comes in reads of 64 KiB, or of one line. What has been read is counted. */
class Pipe {
  bytes = 0
  private waiting: Array<Uint8Array> = []
  private readonly size: number

  constructor(size = mebibyte / 16) {
    this.size = size
  }

  readonly of = (cli: RunningCli): RunningCli => ({
    ...cli,
    // A read takes its time, in which others have theirs.
    stdout: Effect.zipRight(
      Effect.yieldNow(),
      Effect.suspend(() => this.waiting.length > 0 ? Effect.succeed(this.take()) : this.more(cli))
    ),
    send: (text) => this.answer(text) ? Effect.succeed(true) : cli.send(text)
  })

  /** True where it answers in place of the CLI. */
  protected answer(_: string): boolean {
    return false
  }

  protected print(frame: unknown): void {
    this.waiting.unshift(new TextEncoder().encode(`${JSON.stringify(frame)}\n`))
  }

  private more(cli: RunningCli): RunningCli["stdout"] {
    return Effect.map(cli.stdout, (chunks) => {
      this.waiting.push(...chunks)
      return this.take()
    })
  }

  private take(): ReadonlyArray<Uint8Array> {
    const taken: Array<Uint8Array> = []
    let size = 0
    while (this.waiting.length > 0 && size < this.size) {
      const [chunk] = this.waiting.splice(0, 1)
      taken.push(chunk!)
      size += chunk!.length
    }
    this.bytes += size
    return taken
  }
}

/** A CLI that takes an interrupt at once, and has much to say before its turn has ended. */
class Talkative extends Pipe {
  protected override answer(text: string): boolean {
    const [, request_id] = /"request_id":"([^"]+)","request":{"subtype":"interrupt"/.exec(text) ?? []
    if (request_id !== undefined) {
      this.print({ type: "control_response", response: { subtype: "success", request_id, response: {} } })
    }
    return request_id !== undefined
  }
}

const layerOf = (
  script: Parameters<typeof FakeCli.layer>[0],
  pipe = new Pipe(),
  policies: Layer.Layer<Policies.Policies> = Policies.layerNoop
) => {
  const fake = FakeCli.layer(script)
  const cli = Layer.effect(
    CliProcess,
    Effect.map(CliProcess, ({ open }) => ({ open: (invocation) => Effect.map(open(invocation), pipe.of) }))
  )
  return Layer.orDie(Claude.layerWith()).pipe(
    Layer.provide([MessageParser.layer, Layer.succeed(ClaudeConfig, { defaults: {} }), policies, cli]),
    Layer.provideMerge(fake)
  )
}

/** Reads the first message of a turn, and the next when `go` is done. */
const stuck = (session: Session.Session, go: Effect.Effect<void>, options?: Parameters<Session.Session["send"]>[1]) =>
  follow(Stream.tap(session.send("go", options), ({ _tag }) => _tag === "Init" ? go : Effect.void))

describe("a reader of a turn that is slow", { timeout: 60_000 }, () => {
  for (
    const [policies, layer] of [
      ["", Policies.layerNoop],
      [", also where policies stand between", Layer.orDie(Policies.layerWith({ budget: { perQueryUsd: 1 } }))]
    ] as const
  ) {
    const pipe = new Pipe()
    it.scoped(`slows the CLI, gets everything in order, and is no stall${policies}`, () =>
      Effect.gen(function*() {
        const session = yield* Session.make({ stallTimeout: "1 second" })
        const turn = yield* stuck(session, Effect.sleep("9 minutes"))
        yield* TestClock.adjust("8 minutes")
        assert.isAbove(pipe.bytes, 15 * mebibyte)
        assert.isBelow(pipe.bytes, most)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* turn.result).result, "said")
        assert.deepStrictEqual(places(turn.messages), inOrder(24))
        assert.strictEqual((yield* session.stats).turns, 1)
      }).pipe(Effect.provide(layerOf(flooding(24, FakeCli.result({ result: "said" })), pipe, layer))))
  }

  const small = new Pipe()
  it.scoped("slows it by many messages, too, however small they are", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const go = yield* Deferred.make<void>()
      const turn = yield* stuck(session, Deferred.await(go))
      const read = small.bytes
      yield* Deferred.succeed(go, undefined)
      yield* settle
      yield* turn.result
      assert.isBelow(read, small.bytes / 2)
      assert.isBelow(read, 8 * mebibyte)
    }).pipe(Effect.provide(layerOf({
      turns: [[
        FakeCli.init(),
        ...Array.from({ length: 40_000 }, (_, index) => FakeCli.emit({ type: "filler", index })),
        FakeCli.result()
      ]]
    }, small))))

  it.scoped("keeps no turn of a usual size from its record, nor the next one from its answer", () =>
    Effect.gen(function*() {
      const repository = yield* SessionRepository.SessionRepository
      const sessions = yield* SessionManager.SessionManager
      const session = yield* sessions.create()
      yield* stuck(session, Effect.never)
      const { turns: [turn] } = yield* repository.turns(yield* session.id)
      assert.deepInclude(turn, { status: "completed", result: "said" })
      assert.strictEqual(yield* Session.text(session, "next"), "to next")
    }).pipe(Effect.provide(
      SessionManager.layer.pipe(
        Layer.provideMerge(
          Layer.merge(SessionRepository.layerMemory, layerOf(flooding(8, FakeCli.result({ result: "said" }))))
        )
      )
    )))

  it.scoped("keeps no question of the CLI from its answer", () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<void>()
      const session = yield* Session.make({
        permissions: () => Effect.as(Deferred.succeed(asked, undefined), Permissions.allow())
      })
      const turn = yield* stuck(session, Deferred.await(asked))
      assert.strictEqual((yield* turn.result).result, "made")
    }).pipe(Effect.provide(layerOf(flooding(
      8,
      FakeCli.toolUse("t1", "Bash", { command: "make" }),
      FakeCli.askPermission("Bash", { command: "make" }),
      FakeCli.toolResult("t1", "made"),
      FakeCli.result({ result: "made" })
    )))))

  it.scoped("keeps no news of background work from those who listen", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const news = yield* follow(session.background)
      yield* stuck(session, Effect.never)
      yield* TestClock.adjust("1 minute")
      assert.include(news.messages.filter(is("Text")).map(({ content }) => content), "it is made")
    }).pipe(Effect.provide(layerOf(flooding(
      8,
      FakeCli.background(FakeCli.answer("it is made"), { after: "1 minute" }),
      FakeCli.result()
    )))))
})

describe("one who takes news of background work slowly", { timeout: 60_000 }, () => {
  it.scoped("has the last of it, and no more than 16 MiB of output", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const go = yield* Deferred.make<void>()
      const heard: Array<Message> = []
      yield* Effect.forkScoped(Stream.runForEach(
        session.background,
        (message) => Effect.zipRight(Effect.sync(() => heard.push(message)), Deferred.await(go))
      ))
      yield* Session.text(session, "start")
      yield* TestClock.adjust("2 minutes")
      assert.lengthOf(heard, 1)
      yield* Deferred.succeed(go, undefined)
      yield* settle
      assert.strictEqual(heard.at(-1)?._tag, "Result")
      const said = places(heard)
      assert.deepStrictEqual(said, inOrder(24).slice(-said.length))
      assert.isAtMost(said.length, 16 * 16)
      assert.isAbove(said.length, 16 * 15)
    }).pipe(Effect.provide(layerOf({
      turns: [[
        FakeCli.init(),
        FakeCli.background([FakeCli.init(), ...saying(24), FakeCli.result()], { after: "1 minute" }),
        FakeCli.result()
      ]]
    }))))
})

describe("a session whose reader has had all that may wait for it", { timeout: 60_000 }, () => {
  const endless = flooding(24, FakeCli.hang)

  it.scoped("is interrupted, and its turn ends well with all that was said", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const go = yield* Deferred.make<void>()
      const turn = yield* stuck(session, Deferred.await(go))
      yield* session.interrupt
      assert.strictEqual(yield* Session.text(session, "next"), "to next")
      assert.deepStrictEqual(yield* processes, { started: 1, running: 1 })
      yield* Deferred.succeed(go, undefined)
      assert.isTrue((yield* turn.result).interrupted)
      const said = places(turn.messages)
      assert.deepStrictEqual(said, inOrder(24).slice(0, said.length))
      assert.isAbove(said.length, 15 * 16)
    }).pipe(Effect.provide(layerOf(endless, new Pipe(1)))))

  it.scoped("hears all that the CLI still says after it has been interrupted", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* stuck(session, Effect.never)
      yield* session.interrupt
      assert.strictEqual((yield* session.stats).turns, 1)
      assert.deepStrictEqual(yield* processes, { started: 1, running: 1 })
    }).pipe(Effect.provide(layerOf(flooding(30, FakeCli.result()), new Talkative(1)))))

  it.scoped("gets answers to what it asks", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* stuck(session, Effect.never)
      yield* session.setModel("opus")
      assert.include(yield* subtypes(0), "set_model")
    }).pipe(Effect.provide(layerOf(endless))))

  it.scoped("closes at once, and leaves no process", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      yield* stuck(session, Effect.never)
      yield* session.close
      assert.strictEqual((yield* processes).running, 0)
    }).pipe(Effect.provide(layerOf(endless))))

  it.scoped("goes on without a reader that leaves, whose turn is interrupted", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* stuck(session, Effect.never)
      yield* turn.fiber.interruptAsFork(turn.fiber.id())
      yield* settle
      assert.isTrue(turn.ended())
      assert.strictEqual(
        (yield* sending(session, "next").pipe(Effect.flatMap(({ result }) => result))).result,
        "to next"
      )
      assert.deepStrictEqual(yield* processes, { started: 1, running: 1 })
    }).pipe(Effect.provide(layerOf(endless))))

  it.scoped("goes on with the same process when its reader leaves, however much that has yet to say", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const turn = yield* stuck(session, Effect.never)
      yield* turn.fiber.interruptAsFork(turn.fiber.id())
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(yield* Session.text(session, "next"), "to next")
      assert.deepStrictEqual(yield* processes, { started: 1, running: 1 })
    }).pipe(Effect.provide(layerOf({
      ...flooding(48, FakeCli.result()),
      controls: { interrupt: () => FakeCli.unanswered }
    }))))

  it.scoped("goes on without a reader that takes nothing for as long as a session may be idle", () =>
    Effect.gen(function*() {
      const session = yield* Session.make({ idleTimeout: "5 minutes" })
      const go = yield* Deferred.make<void>()
      const turn = yield* stuck(session, Deferred.await(go))
      const next = yield* sending(session, "next")
      yield* TestClock.adjust("299 seconds")
      assert.isFalse(next.ended())
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* next.result).result, "to next")
      yield* Deferred.succeed(go, undefined)
      assert.isTrue((yield* turn.result).interrupted)
      assert.isAbove(places(turn.messages).length, 15 * 16)
    }).pipe(Effect.provide(layerOf(endless))))

  const deaf = new Pipe()
  it.scoped("stops a CLI that says ever more and does not listen, within bounds of time and memory", () =>
    Effect.gen(function*() {
      const session = yield* Session.make()
      const go = yield* Deferred.make<void>()
      const turn = yield* stuck(session, Deferred.await(go))
      yield* Effect.fork(session.interrupt)
      yield* TestClock.adjust("11 seconds")
      assert.isBelow(deaf.bytes, 2 * most)
      assert.strictEqual((yield* processes).running, 0)
      yield* Deferred.succeed(go, undefined)
      yield* Effect.exit(turn.result)
      assert.isTrue(turn.ended())
      assert.strictEqual(yield* Session.text(session, "next"), "to next")
    }).pipe(
      Effect.provide(layerOf((index) =>
        index === 0
          ? {
            ...flooding(48, FakeCli.hang),
            controls: { interrupt: () => FakeCli.unanswered }
          }
          : echo, deaf))
    ))
})
