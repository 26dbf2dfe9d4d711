import { type Message } from "@ccflow/core/Message"
import * as Session from "@ccflow/core/Session"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream, Supervisor } from "effect"
import { heldBytes } from "../../../test/fixtures/lifecycle/processes.js"
import { flag, layerOf, processes } from "./sessions.js"

const crowd = Array.from({ length: 100 }, (_, index) => index)
const turns = Array.from({ length: 10 }, (_, index) => index)

/** Each turn uses a tool and says who asked what. */
const replies = layerOf((_, invocation) => ({
  respond: (prompt) => {
    const said = `${flag(invocation, "session-id")} ${prompt}`
    const id = prompt.replaceAll(" ", "-")
    return [
      FakeCli.init(),
      FakeCli.toolUse(id, "Bash", { command: said }),
      FakeCli.toolResult(id, said),
      FakeCli.text(said),
      FakeCli.result({ result: said })
    ]
  }
}))

/** What a message says, of all that can be said by a wrong one. */
const saidBy = (message: Message): ReadonlyArray<string> => {
  switch (message._tag) {
    case "Text":
    case "ToolResult":
      return [message.content]
    case "Result":
      return [message.result]
    default:
      return []
  }
}

const converse = (name: number) =>
  Effect.scoped(Effect.gen(function*() {
    const session = yield* Session.make({ includePartialMessages: true })
    const id = yield* session.id
    for (const turn of turns) {
      const messages = yield* Stream.runCollect(session.send(`session${name} turn${turn}`))
      const heard = [...messages]
      assert.deepStrictEqual(new Set(heard.flatMap(saidBy)), new Set([`${id} session${name} turn${turn}`]))
      assert.deepStrictEqual(new Set(heard.map(({ sessionId }) => sessionId)), new Set([id]))
      assert.strictEqual(heard.filter(({ _tag }) => _tag === "Result").length, 1)
    }
    const { costUsd, turns: done } = yield* session.close
    assert.strictEqual(done, turns.length)
    assert.closeTo(costUsd, 0.001 * turns.length, 1e-9)
  }))

/** A round of all of them at once; what it has left behind is told. */
const round = Effect.gen(function*() {
  const supervisor = yield* Supervisor.track
  yield* Effect.forEach(crowd, converse, { concurrency: "unbounded", discard: true }).pipe(
    Effect.zipRight(Effect.map(processes, (all) => assert.deepStrictEqual(all, { started: crowd.length, running: 0 }))),
    Effect.provide(replies),
    Effect.supervised(supervisor)
  )
  yield* Effect.yieldNow({ priority: 1000 })
  assert.deepStrictEqual((yield* supervisor.value).filter((fiber) => fiber.unsafePoll() === null), [])
})

describe("100 sessions with 10 turns each, at once", () => {
  it.live(
    "mix nothing up, leave no process and no fiber, and hold no more memory after a round than after the one before",
    () =>
      Effect.gen(function*() {
        yield* round
        const held = [heldBytes()]
        // What is lost grows in every round; what the engine keeps for itself does not.
        const grown = () => held.at(-1)! - (held.at(-2) ?? 0)
        while (held.length < 8 && grown() >= 200_000) {
          yield* round
          held.push(heldBytes())
        }
        assert.isBelow(grown(), 200_000, held.join(" "))
      }),
    120_000
  )
})
