/** What a store promises of turns and their logs. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Promised } from "../SessionRepositorySuite.js"
import { at, everyPage, promises, same, session, turnOf, usage } from "./promise.js"

export const turns: ReadonlyArray<Promised> = promises({
  *"a turn that has begun is there to be read, at the end of its session"(repository) {
    yield* repository.save(session("s"))
    yield* repository.save(session("other"))
    const first = yield* at(2_000)(repository.beginTurn(turnOf("t0")))
    yield* same("first", first, {
      turnId: "t0",
      sessionId: "s",
      index: 0,
      prompt: "hi",
      status: "running",
      startedAt: 2_000,
      seen: "",
      holder: "me"
    })
    const blocks = [{ type: "text", text: "again" }]
    const second = yield* at(3_000)(repository.beginTurn(turnOf("t1", { prompt: blocks, holder: "you" })))
    yield* same("second", [second.index, second.prompt], [1, blocks])
    yield* same("turns", (yield* repository.turns("s")).turns, [first, second])
    yield* same("session", yield* repository.get("s"), Option.some(session("s", { updatedAt: 3_000 })))
    yield* same("other", yield* repository.get("other"), Option.some(session("other")))
  },

  *"beginning a turn again gives the stored one, and changes nothing"(repository) {
    yield* repository.save(session("s"))
    const turn = turnOf("t")
    const first = yield* at(2_000)(repository.beginTurn(turn))
    const again = yield* at(3_000)(repository.beginTurn({ ...turn, prompt: "other" }))
    yield* same("again", again, first)
    yield* same("turns", (yield* repository.turns("s")).turns, [first])
    yield* same("session", Option.getOrThrow(yield* repository.get("s")).updatedAt, 2_000)
    yield* repository.endTurn("t", { status: "completed" })
    yield* same("ended", (yield* repository.beginTurn(turn)).status, "completed")
    const begun = Array.from({ length: 8 }, () => repository.beginTurn({ ...turn, turnId: "twin" }))
    const twins = yield* Effect.all(begun, { concurrency: "unbounded" })
    yield* same("at once", new Set(twins.map((twin) => JSON.stringify(twin))).size, 1)
    yield* same("turns", (yield* repository.turns("s")).turns.map(({ index }) => index), [0, 1])
  },

  *"what was seen is kept while a turn runs, and not changed after"(repository) {
    yield* repository.save(session("s"))
    yield* repository.beginTurn(turnOf("t"))
    const seen = Effect.map(repository.turns("s"), ({ turns }) => turns[0]?.seen)
    yield* same("progress", yield* repository.progress("t", "He"), true)
    yield* same("progress", yield* repository.progress("t", "Hello"), true)
    yield* same("seen", yield* seen, "Hello")
    yield* repository.endTurn("t", { status: "interrupted" })
    yield* same("after", yield* repository.progress("t", "late"), false)
    yield* same("seen", yield* seen, "Hello")
  },

  *"the end of a turn is stored with all its facts, and adds them to its session once"(repository) {
    yield* repository.save(session("s"))
    yield* at(2_000)(repository.beginTurn(turnOf("t")))
    const end = {
      status: "completed",
      result: "Hello",
      seen: "Hel",
      stopReason: "end_turn",
      usage: usage(10),
      costUsd: 0.25,
      numTurns: 2
    } as const
    yield* same("ended", yield* at(2_500)(repository.endTurn("t", end)), true)
    const turn = { turnId: "t", sessionId: "s", index: 0, prompt: "hi", startedAt: 2_000, endedAt: 2_500, holder: "me" }
    yield* same("turn", (yield* repository.turns("s")).turns, [{ ...turn, ...end }])
    const after = session("s", { updatedAt: 2_500, turnCount: 1, usage: usage(10), costUsd: 0.25, durationMs: 500 })
    yield* same("session", yield* repository.get("s"), Option.some(after))

    yield* same("again", yield* at(9_000)(repository.endTurn("t", { ...end, result: "other" })), false)
    yield* same("again", yield* at(9_000)(repository.endTurn("t", { status: "failed" })), false)
    yield* same("turn", (yield* repository.turns("s")).turns, [{ ...turn, ...end }])
    yield* same("session", yield* repository.get("s"), Option.some(after))
  },

  *"a failed or interrupted turn has its cost and time counted, but is no completed turn"(repository) {
    yield* repository.save(session("s"))
    for (const status of ["failed", "interrupted"] as const) {
      yield* at(2_000)(repository.beginTurn(turnOf(status)))
      const error = { tag: "OverloadedError", message: "busy" }
      yield* at(2_100)(repository.endTurn(status, { status, usage: usage(1), costUsd: 0.5, error }))
    }
    const after = session("s", { updatedAt: 2_100, usage: usage(2), costUsd: 1, durationMs: 200 })
    yield* same("session", yield* repository.get("s"), Option.some(after))
    const { turns } = yield* repository.turns("s")
    yield* same("turns", turns.map(({ error, status }) => [status, error?.tag]), [
      ["failed", "OverloadedError"],
      ["interrupted", "OverloadedError"]
    ])
  },

  *"turns of many fibers at once each have their own place, and none is lost from the sum"(repository) {
    yield* repository.save(session("s"))
    const numbers = Array.from({ length: 24 }, (_, index) => index)
    yield* Effect.forEach(numbers, (n) =>
      Effect.gen(function*() {
        yield* repository.beginTurn(turnOf(`t${n}`, { prompt: `${n}` }))
        yield* Effect.yieldNow()
        yield* repository.addTags("s", [`tag${n}`])
        yield* repository.endTurn(`t${n}`, { status: "completed", usage: usage(1), costUsd: 1 })
      }), { concurrency: "unbounded", discard: true })
    const stored = Option.getOrThrow(yield* repository.get("s"))
    yield* same("sum", [stored.turnCount, stored.costUsd, stored.usage], [24, 24, usage(24)])
    yield* same("tags", stored.tags.length, 24)
    const { turns } = yield* repository.turns("s")
    yield* same("places", turns.map(({ index }) => index), numbers)
    yield* same("each once", new Set(turns.map(({ turnId }) => turnId)).size, 24)
  },

  *"turns and messages come in pages, in order, each once"(repository) {
    yield* repository.save(session("s"))
    const numbers = Array.from({ length: 7 }, (_, index) => index)
    for (const n of numbers) yield* repository.beginTurn(turnOf(`t${n}`, { prompt: `${n}` }))
    yield* repository.appendMessages("t0", [0, 1, 2])
    yield* repository.appendMessages("t1", ["other"])
    yield* repository.appendMessages("t0", [])
    yield* repository.appendMessages("t0", [3, 4])
    yield* repository.endTurn("t0", { status: "completed" })
    yield* same("after its end", yield* repository.appendMessages("t0", [5, 6]), true)

    const pages = yield* everyPage((after?: number) => repository.turns("s", { limit: 3, after }))
    const logged = yield* everyPage((after?: number) => repository.messages("t0", { limit: 3, after }))
    yield* same("turns", pages.flatMap(({ turns }) => turns.map(({ prompt }) => Number(prompt))), numbers)
    yield* same("messages", logged.flatMap(({ messages }) => messages), numbers)
    yield* same("a full last page", (yield* repository.messages("t0", { limit: 7 })).next, undefined)
  },

  *"a great many messages at once are stored in order"(repository) {
    yield* repository.save(session("s"))
    yield* repository.beginTurn(turnOf("t"))
    const messages = Array.from({ length: 1_300 }, (_, index) => ({ type: "assistant", index }))
    yield* repository.appendMessages("t", messages)
    const first = yield* repository.messages("t", { limit: 1000 })
    const second = yield* repository.messages("t", { limit: 1000, after: first.next })
    yield* same("messages", [...first.messages, ...second.messages], messages)
  }
})
