import type { Message } from "@ccflow/core/Message"
import { assert, describe, it } from "@effect/vitest"
import { Attribution } from "../src/internal/attribution.js"
import * as f from "./frames.js"

const lived = (uuid: string, state: string): f.Frame => ({ type: "command_lifecycle", command_uuid: uuid, state })
const echo = (uuid: string): f.Frame => f.user("prompt", { uuid, isReplay: true })
const named = (...uuids: ReadonlyArray<string>): f.Frame => ({ ...f.init, user_message_uuids: uuids })
const says = (text: string, fields: f.Frame = {}) => f.assistant(`m-${text}`, [f.says(text)], fields)
const answer = (text: string, ...uuids: ReadonlyArray<string>): f.Frame =>
  f.result(text, uuids.length === 0 ? {} : { user_message_uuids: uuids })
const ofItsOwn = (text: string): f.Frame => f.result(text, { origin: { kind: "task-notification" } })
const ended = (task: string, tool?: string): f.Frame =>
  f.system("task_notification", { task_id: task, tool_use_id: tool, status: "completed" })

const word = (message: Message): string => {
  switch (message._tag) {
    case "Text":
      return message.content
    case "Result":
      return `=${message.result}`
    case "Task":
      return `${message.phase} ${message.taskId}`
    case "Status":
      return message.kind === "command_lifecycle" ? "lifecycle" : message.kind
    case "ToolUse":
      return `use ${message.id}`
    default:
      return message._tag
  }
}
/** What is told, without what repeats it. */
const words = (messages: ReadonlyArray<Message>) =>
  messages.filter(({ _tag }) => _tag !== "Assistant" && _tag !== "Stop").map(word)

/** One process that is listened to. */
const start = () => {
  const attribution = new Attribution()
  const parser = f.parser()
  return {
    attribution,
    hears: (...frames: ReadonlyArray<f.Frame>) => {
      const { background, turn, ...rest } = attribution.take(parser.push([f.bytes(frames)]))
      return { turn: words(turn), background: words(background), ...rest }
    }
  }
}
const going = { background: [], ended: false, known: false }

describe("a turn of 2.1.330", () => {
  it("has what answers its message, from the start to the result, without the protocol's own lines", () => {
    const { attribution, hears } = start()
    attribution.begin("a")
    const lines = [lived("a", "queued"), lived("a", "started"), named("a"), echo("a"), says("hi"), answer("hi", "a")]
    assert.deepStrictEqual(hears(...lines), { ...going, turn: ["Init", "hi", "=hi"], ended: true })
    assert.deepStrictEqual(hears(lived("a", "completed")), { ...going, turn: [] })
  })

  it("leaves to the background a turn that the CLI starts itself, before it and after", () => {
    const { attribution, hears } = start()
    attribution.begin("a")
    const other = (text: string) => [f.init, says(text), ofItsOwn(text)]
    assert.deepStrictEqual(hears(lived("a", "queued"), ...other("x")).background, ["Init", "x", "=x"])
    assert.deepStrictEqual(hears(named("a"), says("hi"), answer("hi", "a")).turn, ["Init", "hi", "=hi"])
    assert.deepStrictEqual(hears(...other("y")), { ...going, turn: [], background: ["Init", "y", "=y"] })
  })

  it("is not ended by the result of another turn, whatever answers that one", () => {
    const { attribution, hears } = start()
    attribution.begin("a")
    assert.isFalse(hears(named("a"), says("hi"), answer("other", "somebody else")).ended)
    assert.isTrue(hears(named("a"), answer("hi", "a")).ended)
  })

  it("takes what comes between its announcement and its start", () => {
    const { attribution, hears } = start()
    attribution.begin("a")
    hears(lived("a", "queued"))
    assert.deepStrictEqual(hears(f.system("status", { status: "compacting" }), named("a")).turn, ["status", "Init"])
  })

  it("does not take what comes before its announcement", () => {
    const { attribution, hears } = start()
    attribution.begin("a")
    hears(named("a"), answer("1", "a"))
    attribution.begin("b")
    assert.deepStrictEqual(hears(f.system("status"), lived("b", "queued")).background, ["status"])
  })

  it("ends when every message of it is answered: one that was queued has a result of its own", () => {
    const { attribution, hears } = start()
    attribution.begin("a")
    hears(named("a"), echo("a"), says("1"))
    assert.isTrue(attribution.steer("b"))
    assert.deepStrictEqual(attribution.waiting, ["b"])
    assert.isFalse(hears(lived("b", "queued"), answer("1", "a")).ended)
    assert.deepStrictEqual(hears(named("b"), echo("b"), says("2"), answer("2", "b")), {
      ...going,
      turn: ["Init", "2", "=2"],
      ended: true
    })
  })

  it("ends with one result when a message was taken up into it", () => {
    const { attribution, hears } = start()
    attribution.begin("a")
    hears(named("a"), echo("a"), f.assistant("m1", [f.uses("t1", "Bash")]))
    attribution.steer("b")
    hears(f.gives("t1", "ok"), echo("b"), lived("b", "started"))
    assert.deepStrictEqual(attribution.waiting, [])
    assert.isTrue(hears(says("done"), answer("done", "a", "b")).ended)
  })

  it("does not wait for a message that was taken back, whoever says so", () => {
    for (const how of ["by us", "by the CLI"]) {
      const { attribution, hears } = start()
      attribution.begin("a")
      hears(named("a"), says("1"))
      attribution.steer("b")
      if (how === "by us") attribution.withdraw("b")
      else hears(lived("b", "cancelled"))
      assert.isTrue(hears(answer("1", "a")).ended)
    }
  })

  it("that the CLI has run in an earlier process is known at once, and has no messages", () => {
    const { attribution, hears } = start()
    attribution.begin("a")
    assert.deepStrictEqual(hears(lived("a", "completed")), { ...going, turn: [], known: true })
    assert.deepStrictEqual(hears(f.system("status")).background, ["status"])
  })

  it("that clears the conversation ends under the new id", () => {
    const { attribution, hears } = start()
    attribution.begin("a")
    const lines = [lived("a", "queued"), { type: "conversation_reset", session_id: "s1" }, named("a"), answer("", "a")]
    assert.deepStrictEqual(hears(...lines), { ...going, turn: ["conversation_reset", "Init", "="], ended: true })
  })
})

describe("a turn of a version between", () => {
  it("begins with the start that follows its message's, and is not held", () => {
    const { attribution, hears } = start()
    attribution.begin("a")
    assert.deepStrictEqual(hears(lived("a", "queued"), lived("a", "started"), f.init).turn, ["Init"])
    assert.deepStrictEqual(hears(echo("a"), says("hi"), answer("hi", "a")), {
      ...going,
      turn: ["hi", "=hi"],
      ended: true
    })
    hears(lived("a", "completed"))
    attribution.begin("b")
    const next = [lived("b", "queued"), lived("b", "started"), f.init, says("ho"), answer("ho", "b")]
    assert.deepStrictEqual(hears(...next), { ...going, turn: ["Init", "ho", "=ho"], ended: true })
  })

  it("is not the CLI's own that begins while its message waits", () => {
    const { attribution, hears } = start()
    attribution.begin("a")
    hears(lived("a", "queued"), lived("a", "started"), f.init, echo("a"), answer("1", "a"), lived("a", "completed"))
    attribution.begin("b")
    const other = hears(lived("b", "queued"), f.init, says("x"), ofItsOwn("x"))
    assert.deepStrictEqual(other, { ...going, turn: [], background: ["Init", "x", "=x"] })
    assert.deepStrictEqual(hears(lived("b", "started"), f.init, echo("b"), answer("2", "b")).turn, ["Init", "=2"])
  })

  it("goes on with a message that was queued, though a turn of the CLI's own comes between", () => {
    const { attribution, hears } = start()
    attribution.begin("a")
    hears(lived("a", "started"), f.init, echo("a"), says("1"))
    attribution.steer("b")
    assert.isFalse(hears(lived("b", "queued"), answer("1", "a"), lived("a", "completed")).ended)
    assert.deepStrictEqual(hears(f.init, says("x"), ofItsOwn("x")).background, ["Init", "x", "=x"])
    const own = hears(lived("b", "started"), f.init, echo("b"), says("2"), answer("2", "b"))
    assert.deepStrictEqual(own, { ...going, turn: ["Init", "2", "=2"], ended: true })
  })
})

describe("a turn of 2.1.197", () => {
  it("begins with the first start, and ends with the first result that is no turn of the CLI's own", () => {
    const { attribution, hears } = start()
    attribution.begin("a")
    assert.deepStrictEqual(hears(f.init, echo("a"), says("hi")).turn, ["Init", "hi"])
    assert.deepStrictEqual(hears(ofItsOwn("late")).ended, false)
    assert.isTrue(hears(answer("hi")).ended)
  })

  it("that may be the CLI's own is held until the echo says that it is not", () => {
    const { attribution, hears } = start()
    hears(ended("task"))
    attribution.begin("a")
    assert.deepStrictEqual(hears(f.init), { ...going, turn: [] })
    assert.deepStrictEqual(hears(echo("a"), says("hi")), { ...going, turn: ["Init", "hi"] })
    assert.isTrue(hears(answer("hi")).ended)
  })

  it("that is the CLI's own goes to the background as a whole, with its tools and their subagents", () => {
    const { attribution, hears } = start()
    hears(ended("task"))
    attribution.begin("a")
    const inner = says("inner", { parent_tool_use_id: "t9" })
    const told = hears(f.init, f.assistant("m1", [f.uses("t9", "Task")]), inner, f.gives("t9", "x"), ofItsOwn("x"))
    assert.deepStrictEqual(told, { ...going, turn: [], background: ["inner", "Init", "use t9", "ToolResult", "=x"] })
    assert.deepStrictEqual(hears(f.init, says("hi"), answer("hi")).turn, ["Init", "hi", "=hi"])
  })

  it("is not held when the CLI's own turn has been", () => {
    const { attribution, hears } = start()
    hears(ended("task"), f.init, ofItsOwn("x"))
    attribution.begin("a")
    assert.deepStrictEqual(hears(f.init).turn, ["Init"])
  })

  it("that was held has its tools' subagents, too", () => {
    const { attribution, hears } = start()
    hears(ended("task"))
    attribution.begin("a")
    hears(f.init, f.assistant("m1", [f.uses("t1", "Task")]), echo("a"))
    assert.deepStrictEqual(hears(says("inner", { parent_tool_use_id: "t1" })).turn, ["inner"])
  })

  it("that no echo announces, as none does a slash command, is known by its result", () => {
    const { attribution, hears } = start()
    hears(ended("task"))
    attribution.begin("a")
    assert.deepStrictEqual(hears(f.init, answer("")), { ...going, turn: ["Init", "="], ended: true })
  })

  it("with a queued message goes on until that one is answered", () => {
    const { attribution, hears } = start()
    attribution.begin("a")
    hears(f.init, echo("a"), says("1"))
    attribution.steer("b")
    assert.isFalse(hears(answer("1")).ended)
    const itsOwn = hears(ended("task"), f.init, says("x"), ofItsOwn("x"))
    assert.deepStrictEqual(itsOwn.background, ["notification task", "Init", "x", "=x"])
    assert.deepStrictEqual(hears(f.init, echo("b"), answer("2")).turn, ["Init", "=2"])
  })

  it("that goes on to a queued message is told as it comes, where it can be nothing else", () => {
    const { attribution, hears } = start()
    attribution.begin("a")
    hears(f.init, echo("a"), says("1"))
    attribution.steer("b")
    hears(answer("1"))
    assert.deepStrictEqual(hears(f.init, says("2")).turn, ["Init", "2"])
    assert.isTrue(hears(echo("b"), answer("2")).ended)
  })

  it("with a queued slash command ends with its result, which no echo announces", () => {
    const { attribution, hears } = start()
    attribution.begin("a")
    hears(f.init, echo("a"), says("1"))
    attribution.steer("b")
    assert.isFalse(hears(answer("1")).ended)
    assert.isTrue(hears(f.init, answer("cost")).ended)
  })

  it("whose process is gone has what was held", () => {
    const { attribution, hears } = start()
    hears(ended("task"))
    attribution.begin("a")
    hears(f.init, f.system("status"))
    const { ended: over, turn } = attribution.end()
    assert.deepStrictEqual([words(turn), over], [["Init", "status"], false])
  })
})

describe("subagents and background work", () => {
  it("belong to the turn that started them while it runs, and to nobody afterwards", () => {
    const { attribution, hears } = start()
    const inner = (text: string) => says(text, { parent_tool_use_id: "t1" })
    attribution.begin("a")
    hears(named("a"), f.assistant("m1", [f.uses("t1", "Task")]))
    assert.deepStrictEqual(hears(f.system("task_started", { task_id: "k", tool_use_id: "t1" }), inner("1")).turn, [
      "started k",
      "1"
    ])
    assert.deepStrictEqual(hears(f.system("task_progress", { task_id: "k" })).turn, ["progress k"])
    hears(f.gives("t1", "started"), answer("done", "a"))
    attribution.begin("b")
    hears(named("b"))
    assert.deepStrictEqual(hears(inner("2"), ended("k", "t1")), {
      ...going,
      turn: [],
      background: ["2", "notification k"]
    })
  })

  it("of the turn are its own also while the CLI has a turn of its own", () => {
    const { attribution, hears } = start()
    attribution.begin("a")
    hears(named("a"), f.assistant("m1", [f.uses("t1", "Task")]))
    attribution.steer("b")
    hears(answer("1", "a"), f.init)
    assert.deepStrictEqual(hears(says("inner", { parent_tool_use_id: "t1" }), says("x")), {
      ...going,
      turn: ["inner"],
      background: ["x"]
    })
  })

  it("a list of what runs is the turn's when it comes while the turn speaks", () => {
    const { attribution, hears } = start()
    const list = f.system("background_tasks_changed", { tasks: [] })
    attribution.begin("a")
    assert.deepStrictEqual(hears(named("a"), list).turn, ["Init", "background "])
    hears(answer("1", "a"))
    assert.deepStrictEqual(hears(list).background, ["background "])
  })
})

describe("without a turn", () => {
  it("everything is in the background, and nothing can be steered", () => {
    const { attribution, hears } = start()
    assert.isFalse(attribution.steer("b"))
    assert.deepStrictEqual(attribution.waiting, [])
    assert.deepStrictEqual(hears(f.init, says("x"), answer("x")).background, ["Init", "x", "=x"])
    assert.deepStrictEqual(hears(lived("unknown", "queued")).background, ["lifecycle"])
  })
})
