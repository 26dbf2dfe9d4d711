import type { Message } from "@ccflow/core/Message"
import * as Session from "@ccflow/core/Session"
import { Effect, Stream } from "effect"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, it } from "vitest"
import { childrenOf, processesWith } from "./fixtures/lifecycle/processes.js"
import * as Api from "./support/MessagesApi.js"
import { describeRealCli } from "./support/realCliBench.js"
import { bash, follow, kept, play, processesOf, soon, waitFor, wordsOf } from "./support/sessionBench.js"

const isText = (message: Message) => message._tag === "Text"
const isUse = (message: Message) => message._tag === "ToolUse"
const originsOf = (messages: ReadonlyArray<Message>) =>
  messages.flatMap((message) => message._tag === "Result" ? [[message.result, message.origin]] : [])
const long = "one two three four five six seven eight nine ten"

const folder = mkdtempSync(join(tmpdir(), "ccflow-signals-"))
afterAll(() => rmSync(folder, { recursive: true }))
/** A file that a command waits for. */
const signal = () => join(folder, crypto.randomUUID())

/** Turns on the real CLI that are interrupted, steered, killed, or leave something running. */
await describeRealCli("a turn", ({ path }) => {
  it.concurrent("is interrupted in the middle of its text with what there was, and the next one is clean", () =>
    play(
      path,
      { replies: [Api.hang({ content: long, afterChars: 13 }), Api.text("And on.")] },
      () =>
        Effect.gen(function*() {
          const session = yield* Session.make({ includePartialMessages: true })
          const turn = yield* follow(session.send("Count"))
          yield* turn.says("something", isText)
          yield* session.interrupt
          const result = yield* turn.end
          assert.isTrue(result.interrupted)
          assert.isTrue(long.startsWith(wordsOf(turn.messages)) && wordsOf(turn.messages) !== "")
          assert.strictEqual(result.result, wordsOf(turn.messages))
          const next = yield* follow(session.send("Go on"))
          assert.strictEqual((yield* next.end).result, "And on.")
          assert.strictEqual(wordsOf(next.messages), "And on.")
          assert.strictEqual(yield* session.stats.pipe(Effect.map(({ turns }) => turns)), 2)
        })
    ))

  it.concurrent("is interrupted while a tool runs, whose processes are gone; the next one is clean", () => {
    const file = signal()
    return play(path, { replies: [bash(waitFor(file)), Api.text("Fine.")] }, () =>
      Effect.gen(function*() {
        const session = yield* Session.make()
        const turn = yield* follow(session.send("Wait"))
        yield* soon("the tool runs", () => processesWith(file).length > 0)
        const [pid] = yield* processesOf(session)
        yield* session.interrupt
        assert.isTrue((yield* turn.end).interrupted)
        yield* soon("the tool is gone", () => processesWith(file).length === 0)
        assert.strictEqual(yield* Session.text(session, "Go on"), "Fine.")
        assert.deepStrictEqual(yield* processesOf(session), [pid])
      }))
  })

  it.concurrent("that is left behind is interrupted", () =>
    play(
      path,
      { replies: [Api.hang({ content: long, afterChars: 13 }), Api.text("Fine.")] },
      ({ api }) =>
        Effect.gen(function*() {
          const session = yield* Session.make({ includePartialMessages: true })
          const [first] = yield* session.send("Count").pipe(Stream.filter(isText), Stream.take(1), Stream.runCollect)
          assert.isDefined(first)
          assert.strictEqual(yield* Session.text(session, "Go on"), "Fine.")
          assert.strictEqual(api.abandoned(), 1)
        })
    ))

  it.concurrent("that is steered while a tool runs has one result, and the model has read both", () => {
    const go = signal()
    return play(
      path,
      { replies: [bash(waitFor(go)), Api.text("Both."), Api.text("Next.")] },
      ({ api }) =>
        Effect.gen(function*() {
          const session = yield* Session.make()
          const turn = yield* follow(session.send("First"))
          yield* turn.says("that it uses a tool", isUse)
          assert.isTrue(yield* session.steer("And also STEERED"))
          writeFileSync(go, "")
          assert.strictEqual((yield* turn.end).result, "Both.")
          assert.deepStrictEqual(originsOf(turn.messages), [["Both.", undefined]])
          assert.include(JSON.stringify(api.mainRequests()[1]?.body), "STEERED")
          assert.strictEqual(yield* Session.text(session, "Then"), "Next.")
        })
    )
  })

  it.concurrent("that is steered while it speaks answers that, too, and then ends", () =>
    play(path, {
      replies: [Api.text(long, { delayMs: 150, chunkSize: 8 }), Api.text("Also."), Api.text("Next.")]
    }, () =>
      Effect.gen(function*() {
        const session = yield* Session.make({ includePartialMessages: true })
        const turn = yield* follow(session.send("First"))
        yield* turn.says("something", isText)
        assert.isTrue(yield* session.steer("STEERED"))
        yield* turn.end
        assert.deepStrictEqual(originsOf(turn.messages), [[long, undefined], ["Also.", undefined]])
        assert.strictEqual(yield* Session.text(session, "Then"), "Next.")
        assert.isFalse(yield* session.steer("too late"))
      })))

  it.concurrent("leaves background work behind, whose own turn is in the background; close ends what still runs", () => {
    const [go, never] = [signal(), signal()]
    const replies = [
      bash(waitFor(go), { run_in_background: true }),
      Api.text("Started."),
      Api.text("Clean."),
      Api.text("It has ended."),
      bash(waitFor(never), { run_in_background: true }),
      Api.text("Another.")
    ]
    return play(path, { replies }, () =>
      Effect.gen(function*() {
        const session = yield* Session.make()
        const background = yield* follow(session.background)
        assert.strictEqual(yield* Session.text(session, "Start"), "Started.")
        const next = yield* follow(session.send("Something else"))
        assert.strictEqual((yield* next.end).result, "Clean.")
        assert.strictEqual(wordsOf(next.messages), "Clean.")
        assert.deepStrictEqual(originsOf(background.messages), [])
        writeFileSync(go, "")
        yield* background.says("that it has ended", ({ _tag }) => _tag === "Result")
        assert.deepStrictEqual(originsOf(background.messages), [["It has ended.", "task-notification"]])
        assert.strictEqual(yield* Session.text(session, "Start another"), "Another.")
        yield* soon("it runs", () => processesWith(never).length > 0)
        const started = Date.now()
        yield* session.close
        assert.isBelow(Date.now() - started, 14_000)
        assert.deepStrictEqual(yield* processesOf(session), [])
        yield* soon("it is gone", () => processesWith(never).length === 0)
      }))
  })

  it.concurrent("whose process is killed before anything has happened is asked again; after that it fails with why", () =>
    play(path, {
      replies: (request, index) =>
        index === 0
          ? Api.hang()
          : request.lastUserText.endsWith("Count")
          ? Api.hang({ content: long, afterChars: 13 })
          : Api.text(request.userTexts.join("; "))
    }, (scene) =>
      Effect.gen(function*() {
        const session = yield* Session.make({ includePartialMessages: true })
        const first = yield* follow(session.send("Hello"))
        yield* soon("the API is asked", () => scene.api.mainRequests().length === 1)
        for (const pid of yield* processesOf(session)) process.kill(pid, "SIGKILL")
        assert.include((yield* first.end).result, "Hello")
        yield* session.setModel("haiku")
        const second = yield* follow(session.send("Count"))
        yield* second.says("something", isText)
        yield* kept(scene, "Count")
        for (const pid of yield* processesOf(session)) process.kill(pid, "SIGKILL")
        const error = yield* Effect.flip(second.end)
        assert.include(error, { _tag: "CliExitError", reason: "Killed" })
        const third = yield* Session.text(session, "Are you there?")
        assert.match(third, /Hello[^]*Are you there/)
        assert.match(scene.api.mainRequests().at(-1)?.model ?? "", /haiku/)
      })))

  it.concurrent("has its files put back by its id", () =>
    play(path, {
      replies: (request, index) =>
        index === 0
          ? Api.toolUse("Write", {
            file_path: join(request.system.match(/working directory: (\S+)/i)?.[1] ?? "", "new.txt"),
            content: "new"
          })
          : Api.text("Written.")
    }, ({ home }) =>
      Effect.gen(function*() {
        const session = yield* Session.make({ fileCheckpointing: true, permissionMode: "acceptEdits" })
        const turnId = crypto.randomUUID()
        yield* Session.result(session, "Write it", { turnId })
        const file = join(home.project, "new.txt")
        assert.strictEqual(readFileSync(file, "utf8"), "new")
        const dry = yield* session.rewindFiles(turnId, { dryRun: true })
        assert.isTrue(dry.canRewind)
        assert.deepStrictEqual(dry.filesChanged, [file])
        assert.isTrue(existsSync(file))
        yield* session.rewindFiles(turnId)
        assert.isFalse(existsSync(file))
      })))

  it("leaves no process behind", () => {
    const left = childrenOf(process.pid).flatMap((pid) => processesWith(path).includes(pid) ? [pid] : [])
    assert.deepStrictEqual(left, [])
  })
})
