import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { at, start, uuid } from "./fakeCli.js"

const replay = ["--replay-user-messages"]
const slow = [
  FakeCli.init(),
  FakeCli.text("one two three ", { deltas: 2, every: "1 second" }),
  FakeCli.result({ result: "one two three" })
]
const tool = [
  FakeCli.init(),
  FakeCli.toolUse("toolu_1", "Bash", { command: "make" }),
  FakeCli.delay("1 minute"),
  FakeCli.toolResult("toolu_1", "ok"),
  FakeCli.text("made"),
  FakeCli.result({ result: "made" })
]

describe("prompts and turns", () => {
  it.scoped("a prompt's life is told around its turn, and every frame of the turn names it", () =>
    Effect.gen(function*() {
      const cli = yield* start(replay)
      yield* cli.prompt("a", 1)
      yield* cli.prompt("b", 2)
      assert.deepStrictEqual(
        cli.story(),
        [1, 2].flatMap((n) => [
          `queued ${n}`,
          `started ${n}`,
          `init [${n}]`,
          `replay ${n}`,
          `assistant [${n}]`,
          `result completed [${n}]`,
          `completed ${n}`
        ])
      )
      assert.deepStrictEqual(cli.results().map((frame) => frame["result_index"]), [0, 1])
      assert.deepStrictEqual(at(cli.frames[3], "message.content"), "a")
      assert.strictEqual(cli.results()[0]!["user_message_uuid"], uuid(1))
      const uuids = cli.frames.map((frame) => frame["uuid"])
      assert.strictEqual(new Set(uuids).size, uuids.length)
    }).pipe(Effect.provide(FakeCli.layer([FakeCli.answer("A"), FakeCli.answer("B")]))))

  it.scoped("prompts without uuids have no lifecycle, and their frames name nobody", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.prompt("a")
      assert.deepStrictEqual(cli.story(), ["init", "assistant", "result completed"])
      assert.isTrue(cli.frames.every((frame) => !("uuid" in frame)))
    }).pipe(Effect.provide(FakeCli.layer([FakeCli.answer("A")]))))

  it.scoped("version 2.1.197 tells no lifecycle, no attribution and no index, but repeats prompts", () =>
    Effect.gen(function*() {
      const cli = yield* start(replay)
      yield* cli.prompt("a", 1)
      assert.deepStrictEqual(cli.story(), ["init", "replay 1", "assistant", "result completed"])
      assert.notProperty(cli.results()[0], "result_index")
      assert.strictEqual(cli.frames[0]!["claude_code_version"], "2.1.197")
      assert.notProperty(cli.frames[0], "capabilities")
    }).pipe(Effect.provide(FakeCli.layer({ turns: [FakeCli.answer("A")], version: "2.1.197" }))))

  it.scoped("prompts that queue behind a running turn become one turn with one result", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.send(...[1, 2, 3].map((n) => cli.line(`m${n}`, n)))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(cli.story(), [
        "queued 1",
        "started 1",
        "queued 2",
        "queued 3",
        "init [1]",
        "assistant [1]",
        "result completed [1]",
        "completed 1",
        "started 2",
        "started 3",
        "init [2,3]",
        "assistant [2,3]",
        "result completed [2,3]",
        "completed 2",
        "completed 3"
      ])
      assert.strictEqual(cli.results()[1]!["user_message_uuid"], uuid(3))
      assert.strictEqual(cli.results()[1]!["result"], "to m2\n\nm3")
    }).pipe(Effect.provide(FakeCli.layer({
      turns: [slow],
      respond: (prompt) => FakeCli.answer(`to ${prompt}`)
    }))))

  it.scoped("a prompt that comes while a tool runs is taken into the turn when the tool has ended", () =>
    Effect.gen(function*() {
      const cli = yield* start(replay)
      yield* cli.prompt("first", 1)
      yield* cli.prompt("steer", 2)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(cli.story(), [
        "queued 1",
        "started 1",
        "init [1]",
        "replay 1",
        "assistant [1]",
        "queued 2",
        "tool result",
        "replay 2",
        "started 2",
        "assistant",
        "completed 2",
        "result completed [1,2]",
        "completed 1"
      ])
      assert.strictEqual(cli.results()[0]!["user_message_uuid"], uuid(1))
    }).pipe(Effect.provide(FakeCli.layer([tool]))))

  it.scoped("one that waits when a tool has ended joins too, but /clear does not; the end is told before the result", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.send(cli.line("first", 1), cli.line("steer", 2), cli.line("/clear", 3), cli.line("steer more", 4))
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(cli.story().slice(5, 19), [
        "init [1]",
        "assistant [1]",
        "tool result",
        "started 2",
        "started 4",
        "assistant",
        "tool result",
        "assistant",
        "completed 2",
        "completed 4",
        "result completed [1,2,4]",
        "completed 1",
        "started 3",
        "conversation_reset"
      ])
    }).pipe(Effect.provide(FakeCli.layer([[
      ...tool.slice(0, 4),
      FakeCli.toolUse("toolu_2", "Bash", {}),
      FakeCli.toolResult("toolu_2", "ok"),
      ...tool.slice(4)
    ]]))))

  it.scoped("only the first line of the model names its prompts", () =>
    Effect.gen(function*() {
      const cli = yield* start(["--include-partial-messages"])
      yield* cli.prompt("first", 1)
      assert.deepStrictEqual(cli.story().filter((word) => /message_start|assistant/.test(word)), [
        "message_start [1]",
        "assistant [1]",
        "message_start",
        "assistant"
      ])
    }).pipe(Effect.provide(FakeCli.layer([[FakeCli.init(), FakeCli.thinking("hm"), ...FakeCli.answer("A").slice(1)]]))))

  it.scoped("a prompt that comes while text streams has a turn of its own", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.prompt("first", 1)
      yield* cli.prompt("second", 2)
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(cli.results().map((frame) => frame["user_message_uuids"]), [[uuid(1)], [uuid(2)]])
    }).pipe(Effect.provide(FakeCli.layer([slow, FakeCli.answer("B")]))))

  it.scoped("a uuid runs once, in its process and in those that resume the conversation", () =>
    Effect.gen(function*() {
      const first = yield* start()
      yield* first.prompt("a", 1)
      const printed = first.frames.length
      yield* first.prompt("a", 1)
      assert.strictEqual(first.frames.length, printed)
      const second = yield* start([`--resume=${first.frames[0]!["session_id"]}`])
      yield* second.prompt("a", 1)
      assert.deepStrictEqual(second.story(), ["completed 1"])
    }).pipe(Effect.provide(FakeCli.layer([FakeCli.answer("A")]))))

  it.scoped("what comes after the result is nobody's", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.prompt("a", 1)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(cli.story().slice(-4), ["completed 1", "init", "assistant", "result completed"])
    }).pipe(
      Effect.provide(FakeCli.layer([[...FakeCli.answer("A"), FakeCli.delay("1 minute"), ...FakeCli.answer("B")]]))
    ))

  it.scoped("start is played at once, and a session that is not found says so", () =>
    Effect.gen(function*() {
      const cli = yield* start(["--resume=gone"])
      yield* TestClock.adjust("0 millis")
      assert.include(cli.results()[0], { session_id: "gone", is_error: true, num_turns: 0, total_cost_usd: 0 })
      assert.deepStrictEqual(yield* cli.cli.exit, { code: 1, signal: null })
      assert.include(yield* cli.cli.stderrTail, "No conversation found with session ID: gone")
    }).pipe(Effect.provide(FakeCli.layer({ start: FakeCli.sessionNotFound("gone") }))))

  it.scoped("tells the state of the session to those who ask for it", () =>
    Effect.gen(function*() {
      const cli = yield* start([], { CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS: "1" })
      yield* cli.prompt("one")
      yield* cli.answer({ behavior: "allow" })
      yield* cli.send(cli.line("two"), cli.line("three"))
      assert.deepStrictEqual(cli.story(), [
        "session_state_changed running",
        "init",
        "assistant",
        "session_state_changed requires_action",
        "can_use_tool",
        "session_state_changed running",
        "tool result",
        "assistant",
        "result completed",
        "session_state_changed idle",
        "session_state_changed running",
        "init",
        "assistant",
        "result completed",
        "init",
        "assistant",
        "result completed",
        "session_state_changed idle"
      ])
    }).pipe(Effect.provide(FakeCli.layer([
      [FakeCli.init(), FakeCli.askPermission("Bash", { command: "touch y" }), ...FakeCli.answer("A").slice(1)],
      FakeCli.answer("B"),
      FakeCli.answer("C")
    ]))))
})

describe("sessions", () => {
  const idOf = (args: ReadonlyArray<string>) =>
    Effect.gen(function*() {
      const cli = yield* start(args)
      yield* cli.prompt("a")
      return String(cli.frames[0]!["session_id"])
    })

  it.scoped("ids are kept, resumed, forked and given", () =>
    Effect.gen(function*() {
      const [mine, other] = [uuid(1), uuid(2)]
      assert.strictEqual(yield* idOf([`--session-id=${mine}`]), mine)
      assert.strictEqual(yield* idOf([`--resume=${mine}`]), mine)
      const forked = yield* idOf([`--resume=${mine}`, "--fork-session"])
      assert.notInclude([mine, yield* idOf([])], forked)
      assert.strictEqual(yield* idOf([`--resume=${mine}`, "--fork-session", `--session-id=${other}`]), other)
    }).pipe(Effect.provide(FakeCli.layer([FakeCli.answer("A")]))))

  const costs = (args: ReadonlyArray<string>, n: number) =>
    Effect.gen(function*() {
      const cli = yield* start(args)
      yield* Effect.repeatN(cli.prompt("a"), n - 1)
      return cli.results().map((frame) => [
        frame["total_cost_usd"],
        at(frame, "modelUsage.claude-fake.costUSD"),
        at(frame, "modelUsage.claude-fake.outputTokens")
      ])
    })

  it.scoped("costs add up in a process and over a resume, unless the script says them", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* costs([`--session-id=${uuid(1)}`], 3), [
        [0.001, 0.001, 5],
        [0.002, 0.002, 10],
        [0.5, 0.5, 15]
      ])
      assert.deepStrictEqual(yield* costs([`--resume=${uuid(1)}`], 1), [[0.501, 0.501, 20]])
      assert.deepStrictEqual(yield* costs([`--resume=${uuid(1)}`, "--fork-session"], 1), [[0.502, 0.502, 25]])
    }).pipe(Effect.provide(FakeCli.layer({
      turns: [FakeCli.answer("A"), FakeCli.answer("B"), [FakeCli.init(), FakeCli.result({ total_cost_usd: 0.5 })]]
    }))))

  it.scoped("costs of a resumed process start again on 2.1.197", () =>
    Effect.gen(function*() {
      yield* costs([`--session-id=${uuid(1)}`], 2)
      assert.deepStrictEqual(yield* costs([`--resume=${uuid(1)}`], 1), [[0.001, 0.001, 5]])
    }).pipe(Effect.provide(FakeCli.layer({ respond: () => FakeCli.answer("A"), version: "2.1.197" }))))

  it.scoped("/clear goes on under another id, from no cost, and takes no turn of the script", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.prompt("one", 1)
      yield* cli.prompt("/clear", 2)
      yield* cli.prompt("two", 3)
      assert.deepStrictEqual(cli.story().slice(6), [
        "queued 2",
        "started 2",
        "conversation_reset",
        "background_tasks_changed",
        "init [2]",
        "result clear [2]",
        "completed 2",
        "queued 3",
        "started 3",
        "init [3]",
        "assistant [3]",
        "result completed [3]",
        "completed 3"
      ])
      assert.deepStrictEqual(
        cli.results().map((frame) => [frame["result"], frame["total_cost_usd"], frame["result_index"]]),
        [["A", 0.001, 0], ["", 0, 1], ["B", 0.001, 2]]
      )
      const ids = cli.frames.map((frame) => frame["session_id"])
      assert.strictEqual(new Set(ids).size, 2)
      assert.strictEqual(ids.indexOf(ids.at(-1)), cli.story().indexOf("init [2]"))
      assert.strictEqual(cli.results()[1]!["num_turns"], 0)
    }).pipe(Effect.provide(FakeCli.layer([FakeCli.answer("A"), FakeCli.answer("B")]))))

  it.scoped("/clear has no reset of its own in 2.1.197, and costs go on", () =>
    Effect.gen(function*() {
      const cli = yield* start(replay)
      yield* cli.prompt("one", 1)
      yield* cli.prompt("/clear", 2)
      assert.deepStrictEqual(cli.story().slice(4), ["init", "assistant", "result undefined"])
      assert.include(cli.results()[1], { total_cost_usd: 0.001, result: "" })
      assert.notStrictEqual(cli.results()[1]!["session_id"], cli.results()[0]!["session_id"])
    }).pipe(Effect.provide(FakeCli.layer({ turns: [FakeCli.answer("A")], version: "2.1.197" }))))

  it.scoped("a prompt queued before /clear, and one behind it, are turns of their own", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.send(...["first", "before", "/clear", "after"].map((text, n) => cli.line(text, n + 1)))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(
        cli.results().map((frame) => frame["user_message_uuids"]),
        [1, 2, 3, 4].map((n) => [uuid(n)])
      )
    }).pipe(Effect.provide(FakeCli.layer({ turns: [slow], respond: (prompt) => FakeCli.answer(prompt) }))))
})

describe("work of its own", () => {
  const background = (after?: "1 minute") => [
    FakeCli.init(),
    FakeCli.toolUse("toolu_1", "Bash", { command: "make", run_in_background: true }),
    FakeCli.background(FakeCli.answer("it is made"), after === undefined ? {} : { after }),
    FakeCli.toolResult("toolu_1", "Command running in background"),
    FakeCli.text("started"),
    FakeCli.result({ result: "started" })
  ]

  it.scoped("background work is announced, ends, and is told in a turn that answers no prompt", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.prompt("go", 1)
      const before = cli.frames.length
      assert.deepStrictEqual(cli.story().slice(2), [
        "init [1]",
        "assistant [1]",
        "background_tasks_changed",
        "task_started",
        "tool result",
        "assistant",
        "result completed [1]",
        "completed 1"
      ])
      yield* cli.cli.closeInput
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual([cli.frames.length, cli.ended()], [before, false])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(cli.story().slice(before), [
        "task_updated",
        "task_notification",
        "background_tasks_changed",
        "init",
        "assistant",
        "result completed of its own"
      ])
      assert.deepStrictEqual(at(cli.results()[1], "origin.kind"), "task-notification")
      assert.deepStrictEqual(
        cli.frames.map((frame) => frame["tasks"]).filter(Array.isArray).map((tasks) => tasks.length),
        [
          1,
          0
        ]
      )
      assert.isTrue(cli.ended())
    }).pipe(Effect.provide(FakeCli.layer([background("1 minute")]))))

  it.scoped("without a time it ends with the turn, and prompts that wait go first", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.send(cli.line("go", 1), cli.line("next", 2))
      assert.deepStrictEqual(cli.results().map((frame) => frame["result"]), ["started", "B", "it is made"])
    }).pipe(Effect.provide(FakeCli.layer([
      [FakeCli.init(), FakeCli.background(FakeCli.answer("it is made")), FakeCli.result({ result: "started" })],
      FakeCli.answer("B")
    ]))))

  it.scoped("2.1.197 does not list the tasks", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.prompt("go", 1)
      assert.notInclude(cli.story(), "background_tasks_changed")
      assert.deepStrictEqual(cli.results()[1]!["origin"], { kind: "task-notification" })
    }).pipe(Effect.provide(FakeCli.layer({ turns: [background()], version: "2.1.197" }))))

  it.scoped("an interrupt of no turn dooms it to end with the input", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.prompt("go", 1)
      yield* cli.control("interrupt")
      yield* TestClock.adjust("59 seconds")
      yield* cli.cli.closeInput
      yield* TestClock.adjust("0 millis")
      assert.include(cli.frames.find((frame) => frame["subtype"] === "task_notification"), { status: "stopped" })
      assert.deepStrictEqual([cli.results().length, cli.ended()], [1, true])
    }).pipe(Effect.provide(FakeCli.layer([background("1 minute")]))))

  it.scoped("a task that is stopped starts no turn, and the process can leave", () =>
    Effect.gen(function*() {
      const cli = yield* start()
      yield* cli.prompt("go", 1)
      const task = cli.frames.find((frame) => frame["subtype"] === "task_started")!["task_id"]
      const before = cli.frames.length
      assert.deepInclude(yield* cli.control("stop_task", { task_id: task }), { subtype: "success", response: {} })
      assert.deepStrictEqual(cli.story().slice(before), [
        "task_updated",
        "task_notification",
        "background_tasks_changed",
        "control_response"
      ])
      assert.strictEqual(cli.frames[before + 1]!["status"], "stopped")
      yield* cli.cli.closeInput
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual([cli.results().length, cli.ended()], [1, true])
    }).pipe(Effect.provide(FakeCli.layer([background("1 minute")]))))
})
