/**
 * What every store of batches promises, as programs: each fails when its promise is broken. A test runner turns them
 * into tests, over an empty store each:
 *
 * ```ts
 * for (const { name, run } of suite) it.effect(name, () => Effect.provide(run, layer))
 * ```
 */
import { type BatchClaim, type BatchClaimed, BatchRepository } from "@ccflow/core/BatchRepository"
import * as Effect from "effect/Effect"
import { at, type PromiseOf, promisesOf, same, usage } from "./internal/promise.js"

/** One promise, and the program that holds a store to it. */
export type Promised = PromiseOf<BatchRepository>

const claim = (key: string, fields: Partial<BatchClaim> = {}): BatchClaim => ({
  batchId: "b",
  key,
  index: 0,
  prompt: `prompt of ${key}`,
  sessionId: `session of ${key}`,
  holder: "me",
  ttl: 1_000,
  ...fields
})

const told = ({ _tag, record }: BatchClaimed) => [_tag, record.holder, record.attempts]

const nothing = { costUsd: 0, usage: usage(0) }

export const suite: ReadonlyArray<Promised> = promisesOf(BatchRepository)({
  *"an item is stored as running before it runs, with all that is known of it"(repository) {
    const prompt = [{ type: "text", text: "a \0 b \ud800 c" }]
    const begun = yield* at(1_000)(repository.claim(claim("a", { prompt, index: 3 })))
    yield* same("begun", begun, {
      _tag: "begun",
      record: {
        batchId: "b",
        key: "a",
        index: 3,
        prompt,
        status: "running",
        sessionId: "session of a",
        committed: false,
        attempts: 1,
        ...nothing,
        startedAt: 1_000,
        holder: "me",
        expiresAt: 2_000
      }
    })
    yield* same("stored", yield* repository.get("b", "a"), begun.record)
    yield* same("not stored", (yield* repository.get("b", "x")) ?? null, null)
    yield* same("not stored", (yield* repository.get("x", "a")) ?? null, null)
    const other = yield* repository.claim(claim("a", { batchId: "other", holder: "you" }))
    yield* same("other batch", other._tag, "begun")
  },

  *"an item that somebody runs is nobody else's, until its time is over, it is given back or its holder dead"(
    repository
  ) {
    yield* at(1_000)(repository.claim(claim("a")))
    const by = (holder: string, fields: Partial<BatchClaim> = {}) =>
      repository.claim(claim("a", { holder, sessionId: "another", ...fields }))
    yield* same("busy", told(yield* at(1_999)(by("you"))), ["busy", "me", 1])
    yield* same("alive", told(yield* at(1_999)(by("you", { holderIsAlive: () => true }))), ["busy", "me", 1])
    const cut = yield* at(2_000)(by("you"))
    yield* same("too late", told(cut), ["cut", "you", 2])
    yield* same("its session stays", [cut.record.sessionId, cut.record.expiresAt], ["session of a", 3_000])
    yield* same("its own", told(yield* at(2_500)(by("you"))), ["cut", "you", 3])
    yield* same("not given back by others", yield* repository.release("b", "a", "me"), false)
    yield* same("given back", yield* repository.release("b", "a", "you"), true)
    yield* same("free", told(yield* at(2_501)(by("me"))), ["cut", "me", 4])
    const asked: Array<string> = []
    const dead = (holder: string) => Effect.sync(() => asked.push(holder) < 0)
    yield* same("dead", told(yield* at(2_502)(by("you", { holderIsAlive: dead }))), ["cut", "you", 5])
    yield* same("asked", asked, ["me"])
  },

  *"what was seen of an item stays with it when it is cut; what is left out stays as it was"(repository) {
    yield* at(1_000)(repository.claim(claim("a")))
    yield* same("kept", yield* repository.seen("b", "a", "me", { committed: true, sessionId: "real" }), true)
    const seen = { costUsd: 0.25, usage: usage(1), result: { text: "so \0 far" } }
    yield* same("kept", yield* repository.seen("b", "a", "me", seen), true)
    yield* same("others", yield* repository.seen("b", "a", "you", { committed: false, costUsd: 9 }), false)
    yield* same("unknown", yield* repository.seen("b", "x", "me", { committed: true }), false)
    const { record } = yield* at(2_000)(repository.claim(claim("a", { holder: "you" })))
    const { committed, costUsd, result, sessionId, usage: tokens } = record
    yield* same("cut", { committed, sessionId, costUsd, usage: tokens, result }, {
      committed: true,
      sessionId: "real",
      ...seen
    })
    yield* same("no more", yield* repository.seen("b", "a", "me", { committed: false }), false)
    yield* same("anew", yield* repository.seen("b", "a", "you", { committed: false }), true)
    yield* same("not committed", (yield* repository.get("b", "a"))?.committed, false)
  },

  *"an item ends once, and by whoever runs it"(repository) {
    yield* at(1_000)(repository.claim(claim("a")))
    yield* repository.seen("b", "a", "me", { costUsd: 5, usage: usage(5), result: "half", committed: true })
    const end = { status: "completed" as const, costUsd: 0.5, usage: usage(2), result: { _tag: "Result", n: 1 } }
    yield* same("by others", yield* repository.end("b", "a", "you", end), false)
    yield* same("ended", yield* at(1_500)(repository.end("b", "a", "me", end)), true)
    yield* same("again", yield* at(1_600)(repository.end("b", "a", "me", { ...end, status: "failed" })), false)
    yield* same("seen", yield* repository.seen("b", "a", "me", { costUsd: 9 }), false)
    yield* same("given back", yield* repository.release("b", "a", "me"), false)
    const again = yield* at(9_000)(repository.claim(claim("a", { holder: "you", again: ["failed", "cancelled"] })))
    yield* same("ended", again._tag, "ended")
    const { costUsd, endedAt, error, result, status, usage: tokens } = again.record
    yield* same("end", { costUsd, endedAt, error, result, status, usage: tokens }, { ...end, endedAt: 1_500 })
  },

  *"what failed or was cancelled begins anew only where that is asked for, and what it has cost stays"(repository) {
    for (const status of ["failed", "cancelled"] as const) {
      yield* at(1_000)(repository.claim(claim(status)))
      yield* repository.seen("b", status, "me", { committed: true })
      const error = { _tag: "ApiError", why: status }
      yield* at(1_100)(repository.end("b", status, "me", { status, costUsd: 2, usage: usage(2), error }))
      const kept = yield* at(1_200)(repository.claim(claim(status, { holder: "you" })))
      yield* same("kept", [...told(kept), kept.record.error], ["ended", "me", 1, error])
      const again = claim(status, { holder: "you", sessionId: "new", again: [status] })
      const anew = yield* at(1_300)(repository.claim(again))
      const { committed, costUsd, endedAt, sessionId, startedAt, status: now } = anew.record
      yield* same("anew", told(anew), ["begun", "you", 2])
      yield* same("as new", { committed, costUsd, endedAt, sessionId, startedAt, now, error: anew.record.error }, {
        committed: false,
        costUsd: 2,
        sessionId: "new",
        startedAt: 1_300,
        now: "running"
      })
    }
  },

  *"a holder keeps all that it runs by one renewal, and learns what it has lost"(repository) {
    for (const key of ["a", "b", "c", "d"]) yield* at(1_000)(repository.claim(claim(key)))
    yield* at(1_000)(repository.claim(claim("a", { batchId: "other" })))
    yield* repository.end("b", "b", "me", { status: "cancelled", ...nothing })
    yield* at(2_000)(repository.claim(claim("c", { holder: "you" })))
    const kept = yield* at(2_500)(repository.renew("b", "me", 1_000))
    yield* same("kept", [...kept].sort(), ["a", "d"])
    const until = yield* Effect.forEach(["a", "c", "d"], (key) => repository.get("b", key))
    yield* same("until", until.map((record) => record?.expiresAt), [3_500, 3_000, 3_500])
    yield* same("other batch", (yield* repository.get("other", "a"))?.expiresAt, 2_000)
  },

  *"of several who want an item at the same time one has it"(repository) {
    const holders = Array.from({ length: 8 }, (_, n) => `holder ${n}`)
    const race = Effect.forEach(holders, (holder) => repository.claim(claim("a", { holder })), {
      concurrency: "unbounded"
    })
    for (const [time, tag] of [[1_000, "begun"], [5_000, "cut"]] as const) {
      const tags = (yield* at(time)(race)).map(({ _tag }) => _tag).sort()
      yield* same(tag, tags.filter((one) => one !== "busy"), [tag])
    }
  },

  *"a batch comes to the sums of its items, which can be listed page by page and deleted"(repository) {
    const none = { running: 0, completed: 0, failed: 0, cancelled: 0, costUsd: 0, endedCostUsd: 0, usage: usage(0) }
    yield* same("none", yield* repository.totals("b"), none)
    yield* same("none", yield* repository.list("b"), { items: [] })
    const keys = ["B", "a", "e", "é", "z"]
    for (const key of [...keys].reverse()) yield* repository.claim(claim(key))
    yield* repository.claim(claim("x", { batchId: "other" }))
    yield* repository.end("b", "a", "me", { status: "completed", costUsd: 1, usage: usage(1), result: 1 })
    yield* repository.end("b", "B", "me", { status: "completed", costUsd: 2, usage: usage(2), result: 2 })
    yield* repository.end("b", "e", "me", { status: "failed", costUsd: 4, usage: usage(4), error: 3 })
    yield* repository.end("b", "z", "me", { status: "cancelled", ...nothing })
    yield* repository.seen("b", "é", "me", { costUsd: 8, usage: usage(8) })
    yield* same("totals", yield* repository.totals("b"), {
      running: 1,
      completed: 2,
      failed: 1,
      cancelled: 1,
      costUsd: 15,
      endedCostUsd: 7,
      usage: usage(15)
    })
    const first = yield* repository.list("b", { limit: 2 })
    const second = yield* repository.list("b", { limit: 3, after: first.next })
    yield* same("pages", [first, second].map(({ items }) => items.map(({ key }) => key).join("")), ["Ba", "ezé"])
    yield* same("no more", second.next ?? null, null)
    yield* same("deleted", [yield* repository.delete("b"), yield* repository.delete("b")], [true, false])
    yield* same("gone", yield* repository.totals("b"), none)
    yield* same("the other", (yield* repository.totals("other")).running, 1)
  }
})
