/** What a store promises of listings. */
import type { SessionRecord } from "@ccflow/core/SessionRecord"
import type { SessionRepositoryService } from "@ccflow/core/SessionRepository"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import type { Promised } from "../SessionRepositorySuite.js"
import { everyPage, forAll, ids, promises, same, session, turnOf } from "./promise.js"

const saveAll = (repository: SessionRepositoryService, records: ReadonlyArray<SessionRecord>) =>
  Effect.forEach(records, repository.save, { discard: true })

const orders = ["updatedAt", "createdAt", "turnCount", "costUsd", "title"] as const

const awkward = FastCheck.constantFrom("%", "_", "\\", "'", "\"", "a", "A", "[", "*", "?", "\n", "\u{1F600}")

/** Few different values, so that ties are the rule. */
const anySessions = FastCheck.uniqueArray(
  FastCheck.record({
    sessionId: FastCheck.string({
      minLength: 1,
      maxLength: 3,
      unit: FastCheck.constantFrom("a", "B", "-", "é", "\u{1F600}", "\uFF5E")
    }),
    title: FastCheck.string({ maxLength: 2, unit: FastCheck.constantFrom("a", "B", "b", "_", "\u{1F600}", "\uFF5E") }),
    createdAt: FastCheck.integer({ min: 0, max: 3 }),
    updatedAt: FastCheck.integer({ min: 0, max: 3 }),
    turnCount: FastCheck.integer({ min: 0, max: 2 }),
    costUsd: FastCheck.constantFrom(0, 0.1, 0.30000000000000004, 1e-9)
  }),
  { selector: ({ sessionId }) => sessionId, minLength: 1, maxLength: 20 }
)

export const listings: ReadonlyArray<Promised> = promises({
  *"a listing gives what its conditions hold for, all of them together, and counts the same"(repository) {
    yield* saveAll(repository, [
      session("a", { status: "open", model: "opus", tags: ["x", "y"], createdAt: 10, updatedAt: 100, turnCount: 1 }),
      session("b", { status: "closed", model: "opus", tags: ["y"], createdAt: 20, updatedAt: 90, turnCount: 2 }),
      session("c", {
        status: "expired",
        model: "haiku",
        tags: ["X", "x%"],
        createdAt: 30,
        updatedAt: 80,
        turnCount: 3
      }),
      session("d", { createdAt: 40, updatedAt: 70, turnCount: 4 })
    ])
    const expected = [
      [{}, "abcd"],
      [{ status: "closed" }, "b"],
      [{ model: "opus" }, "ab"],
      [{ model: "opu%" }, ""],
      [{ tags: [] }, "abcd"],
      [{ tags: ["x"] }, "a"],
      [{ tags: ["y", "X"] }, "abc"],
      [{ tags: ["x%"] }, "c"],
      [{ tags: ["_"] }, ""],
      [{ createdAfter: 20 }, "cd"],
      [{ createdAfter: 19.5 }, "bcd"],
      [{ createdBefore: 20 }, "a"],
      [{ createdBefore: 20.5 }, "ab"],
      [{ updatedAfter: 80 }, "ab"],
      [{ updatedBefore: 80 }, "d"],
      [{ minTurns: 2 }, "bcd"],
      [{ minTurns: 2.5 }, "cd"],
      [{ maxTurns: 2 }, "ab"],
      [{ minTurns: 2, maxTurns: 3 }, "bc"],
      [{ minTurns: 0, createdAfter: 0, maxTurns: 0 }, ""],
      [{ status: "open", tags: ["y"], model: "opus", createdAfter: 5, maxTurns: 1 }, "a"],
      [{ status: "open", tags: ["y"], model: "haiku" }, ""]
    ] as const
    for (const [filter, found] of expected) {
      const { sessions } = yield* repository.list(filter)
      yield* same(JSON.stringify(filter), ids(sessions).join(""), found)
      yield* same(`count ${JSON.stringify(filter)}`, yield* repository.count(filter), found.length)
    }
    yield* same("count has no page", yield* repository.count({ limit: 1 }), 4)
  },

  *"a search finds parts of titles and of prompts, whatever their case"(repository) {
    yield* saveAll(repository, [
      session("title", { title: "Straße nach CAFÉ" }),
      session("prompt", { title: "other" }),
      session("blocks", { title: "other" }),
      session("nothing", { title: "other", cwd: "/cafe", tags: ["café"], options: { text: "café" } })
    ])
    yield* repository.beginTurn(turnOf("t1", { sessionId: "prompt", prompt: "Where is the cafe\u0301?" }))
    yield* repository.beginTurn(turnOf("t2", { sessionId: "prompt", prompt: "And the café again" }))
    yield* repository.beginTurn(
      turnOf("t3", { sessionId: "blocks", prompt: [{ type: "image", data: "tea" }, { type: "text", text: "a Café" }] })
    )
    yield* repository.endTurn("t3", { status: "completed", result: "answer" })
    const found = (search: string) =>
      Effect.map(repository.list({ search, orderBy: "title" }), ({ sessions }) => [...ids(sessions)].sort())
    yield* same("any case", yield* found("café"), ["blocks", "prompt", "title"])
    yield* same("any case", yield* found("CAFÉ"), ["blocks", "prompt", "title"])
    yield* same("images", yield* found("tea"), [])
    yield* same("types", yield* found("image"), [])
    yield* same("answers", yield* found("answer"), [])
    yield* same("empty", (yield* found("")).length, 4)
    yield* same("counted once", yield* repository.count({ search: "café" }), 3)
  },

  *"no character of a search has a meaning of its own"(repository) {
    yield* forAll(
      repository,
      FastCheck.record({
        title: FastCheck.string({ unit: awkward, maxLength: 6 }),
        prompt: FastCheck.string({ unit: awkward, maxLength: 6 }),
        search: FastCheck.string({ unit: awkward, minLength: 1, maxLength: 2 })
      }),
      ({ prompt, search, title }) =>
        Effect.gen(function*() {
          yield* saveAll(repository, [session("titled", { title }), session("asked")])
          yield* repository.beginTurn(turnOf("t", { sessionId: "asked", prompt }))
          const { sessions } = yield* repository.list({ search })
          yield* same("found", [...ids(sessions)].sort(), [
            ...prompt.toLowerCase().includes(search.toLowerCase()) ? ["asked"] : [],
            ...title.toLowerCase().includes(search.toLowerCase()) ? ["titled"] : []
          ])
        })
    )
  },

  *"each order is an order: by its value, then by id, titles whatever their case"(repository) {
    yield* saveAll(repository, [
      session("a", { updatedAt: 1, createdAt: 3, turnCount: 2, costUsd: 0.2, title: "banana" }),
      session("b", { updatedAt: 2, createdAt: 2, turnCount: 2, costUsd: 0.1, title: "Apple" }),
      session("c", { updatedAt: 3, createdAt: 1, turnCount: 10, costUsd: 0.1, title: "apple" })
    ])
    const expected = { updatedAt: "abc", createdAt: "cba", turnCount: "abc", costUsd: "bca", title: "bca" }
    for (const orderBy of orders) {
      const up = yield* repository.list({ orderBy, descending: false })
      const down = yield* repository.list({ orderBy, descending: true })
      yield* same(orderBy, ids(up.sessions).join(""), expected[orderBy])
      yield* same(`${orderBy} descending`, ids(down.sessions), [...ids(up.sessions)].reverse())
    }
    yield* same("default", ids((yield* repository.list()).sessions).join(""), "cba")
  },

  *"titles are ordered by their characters, also by those that JavaScript writes as two"(repository) {
    yield* saveAll(repository, [session("emoji", { title: "\u{1F600}" }), session("tilde", { title: "\uFF5E" })])
    const { sessions } = yield* repository.list({ orderBy: "title", descending: false })
    yield* same("in order", ids(sessions), ["tilde", "emoji"])
  },

  *"paging through any sessions in any order gives each once, in the order of the whole"(repository) {
    yield* forAll(
      repository,
      FastCheck.record({
        given: anySessions,
        orderBy: FastCheck.constantFrom(...orders),
        descending: FastCheck.boolean(),
        limit: FastCheck.integer({ min: 1, max: 7 }),
        minTurns: FastCheck.integer({ min: 0, max: 1 })
      }),
      ({ descending, given, limit, minTurns, orderBy }) =>
        Effect.gen(function*() {
          yield* saveAll(repository, given.map(({ sessionId, ...fields }) => session(sessionId, fields)))
          const filter = { orderBy, descending, minTurns }
          const whole = yield* repository.list(filter)
          const pages = (yield* everyPage((after?: string) => repository.list({ ...filter, limit, after })))
            .map(({ sessions }) => sessions)
          yield* same("in order", ids(pages.flat()), ids(whole.sessions))
          const asked = given.filter(({ turnCount }) => turnCount >= minTurns).map(({ sessionId }) => sessionId)
          yield* same("each once", [...ids(pages.flat())].sort(), asked.sort())
          yield* same("full pages", pages.slice(0, -1).every((page) => page.length === limit), true)
          yield* same("no empty page at the end", pages.length === 1 || (pages.at(-1)?.length ?? 0) > 0, true)
        })
    )
  },

  *"a page does not move when sessions come and go before it"(repository) {
    yield* saveAll(repository, [10, 20, 30, 40].map((time) => session(`s${time}`, { updatedAt: time })))
    const first = yield* repository.list({ limit: 2 })
    yield* same("first", ids(first.sessions), ["s40", "s30"])
    yield* repository.save(session("s50", { updatedAt: 50 }))
    yield* repository.save(session("s15", { updatedAt: 15 }))
    yield* repository.delete("s30")
    const second = yield* repository.list({ limit: 2, after: first.next })
    yield* same("second", ids(second.sessions), ["s20", "s15"])
    const third = yield* repository.list({ limit: 2, after: second.next })
    yield* same("third", [ids(third.sessions), third.next], [["s10"], undefined])
  },

  *"a listing that makes no sense is refused with an error"(repository) {
    yield* saveAll(repository, [session("a"), session("b")])
    const { next } = yield* repository.list({ limit: 1 })
    const refused = [
      { limit: 0 },
      { limit: 1001 },
      { limit: 1.5 },
      { updatedAfter: Number.NaN },
      { after: "nonsense" },
      { after: "" },
      { after: next, orderBy: "title" },
      { after: next, descending: false }
    ] as const
    for (const filter of refused) {
      const error = yield* Effect.flip(repository.list(filter))
      yield* same(JSON.stringify(filter), [error._tag, error.operation], ["SessionStoreError", "list"])
    }
    const error = yield* Effect.flip(repository.turns("a", { limit: 0 }))
    yield* same("turns", error.operation, "turns")
  }
})
