/**
 * What every ledger promises, as programs: each fails when its promise is broken. A test runner turns them into tests,
 * over an empty ledger each:
 *
 * ```ts
 * for (const { name, run } of suite) it.effect(name, () => Effect.provide(run, layer))
 * ```
 */
import {
  type UsageEntry,
  type UsageFilter,
  type UsageGroup,
  type UsageKey,
  UsageLedger,
  type UsageSum
} from "@ccflow/core/UsageLedger"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Record from "effect/Record"
import { everyPage, type PromiseOf, promisesOf, same, usage } from "./internal/promise.js"

/** One promise, and the program that holds a ledger to it. */
export type Promised = PromiseOf<UsageLedger>

export const suite: ReadonlyArray<Promised> = promisesOf(UsageLedger)({
  *"an empty one has used nothing"(ledger) {
    yield* ledger.book([])
    yield* same("total", yield* ledger.total(), sum({}))
    for (const key of keys) yield* same(key, yield* ledger.by(key), [])
    yield* same("entries", yield* ledger.entries(), { entries: [] })
  },

  *"an entry is given back as it was booked, what nobody has told as well"(ledger) {
    const whole = entry("a", {
      basis: "estimated",
      model: "claude's \"best\"; --",
      turnId: "turn",
      batchId: "batch",
      tags: ["a b", "é", "世界"],
      apiKeySource: "ANTHROPIC_API_KEY"
    })
    const unknown = entry("b", { usage: undefined, costUsd: undefined, listUsd: undefined })
    const nothing = entry("c", { usage: tokens(0), costUsd: 0, listUsd: 0 })
    yield* ledger.book([whole, unknown])
    yield* ledger.book([nothing])
    const { entries } = yield* ledger.entries()
    yield* same("entries", entries.map(shown), [whole, unknown, nothing].map(shown))
  },

  *"the same entry again changes nothing, whatever it says then"(ledger) {
    const first = entry("a", { tags: ["x"] })
    const other = entry("a", { at: 5_000, model: "other", costUsd: 8, tags: ["x", "y"], sessionId: "other" })
    yield* ledger.book([first, other])
    yield* ledger.book([other, first])
    yield* same("entries", (yield* ledger.entries()).entries.map(shown), [first].map(shown))
    yield* same("total", yield* ledger.total(), sum({ costUsd: 1, listUsd: 2, entries: 1, ...tokens(1) }))
    yield* same("tags", (yield* ledger.by("tag")).map(({ key }) => key), ["x"])
  },

  *"what is unknown is in no sum, and is never 0"(ledger) {
    yield* ledger.book([
      entry("a", { costUsd: 0.5, usage: tokens(3) }),
      entry("b", { costUsd: undefined, listUsd: undefined }),
      entry("c", { usage: undefined, costUsd: 0 }),
      entry("d", { model: "new", usage: undefined, costUsd: undefined, listUsd: undefined }),
      entry("e", { costUsd: 0.25, usage: tokens(0), basis: "estimated", listUsd: undefined }),
      entry("f", { costUsd: undefined, usage: undefined, basis: "estimated", listUsd: undefined })
    ])
    const known = { costUsd: 0.75, estimatedUsd: 0.25, listUsd: 4, ...tokens(4) }
    yield* same("total", yield* ledger.total(), sum({ ...known, unpriced: 3, uncounted: 3, entries: 6 }))
    yield* same("by model", yield* ledger.by("model"), [
      { key: "m", ...sum({ ...known, unpriced: 2, uncounted: 2, entries: 5 }) },
      { key: "new", ...sum({ unpriced: 1, uncounted: 1, entries: 1 }) }
    ])
  },

  *"a filter takes what all of its conditions hold for; since is within, until is not"(ledger) {
    yield* ledger.book([
      entry("a", { at: 1_000 }),
      entry("b", { at: 2_000, model: "n", tags: ["x", "y"] }),
      entry("c", { at: 3_000, sessionId: "t", tags: ["x"], batchId: "1" }),
      entry("d", { at: 4_000, sessionId: "t", model: "n", batchId: "2" })
    ])
    const cases: ReadonlyArray<readonly [UsageFilter, string]> = [
      [{}, "abcd"],
      [{ since: 2_000 }, "bcd"],
      [{ until: 3_000 }, "ab"],
      [{ since: 1_000.5, until: 3_000.5 }, "bc"],
      [{ since: 2_000, until: 2_000 }, ""],
      [{ model: "n" }, "bd"],
      [{ sessionId: "t" }, "cd"],
      [{ tag: "x" }, "bc"],
      [{ tag: "y" }, "b"],
      [{ batchId: "1" }, "c"],
      [{ sessionId: "t", model: "n" }, "d"],
      [{ tag: "x", since: 2_500, model: "m" }, "c"],
      [{ tag: "x", batchId: "2" }, ""],
      [{ model: "" }, ""],
      [{ since: undefined, tag: undefined }, "abcd"]
    ]
    for (const [filter, found] of cases) {
      const what = JSON.stringify(filter)
      yield* same(what, (yield* ledger.entries(filter)).entries.map(({ entryId }) => entryId).join(""), found)
      yield* same(what, (yield* ledger.total(filter)).entries, found.length)
      const groups = yield* ledger.by("session", filter)
      yield* same(what, groups.reduce((all, { entries }) => all + entries, 0), found.length)
    }
  },

  *"groups come by what they cost, batches by their name; those without one have the empty key"(ledger) {
    yield* ledger.book([
      entry("a", { model: "B", costUsd: 1, batchId: "2", sessionId: "s1", tags: ["x", "y"] }),
      entry("b", { model: "a", costUsd: 1, batchId: "1", sessionId: "s2", tags: ["y"] }),
      entry("c", { model: "c", costUsd: 4, sessionId: "s2" }),
      entry("d", { model: "", costUsd: undefined, sessionId: "", tags: ["z"] }),
      entry("e", { model: "a", costUsd: 2, batchId: "B", sessionId: "s1", tags: ["x"] })
    ])
    const cost = (groups: ReadonlyArray<UsageGroup>) => groups.map(({ costUsd, key }) => [key, costUsd])
    yield* same("model", cost(yield* ledger.by("model")), [["c", 4], ["a", 3], ["B", 1], ["", 0]])
    yield* same("session", cost(yield* ledger.by("session")), [["s2", 5], ["s1", 3], ["", 0]])
    yield* same("batch", cost(yield* ledger.by("batch")), [["", 4], ["1", 1], ["2", 1], ["B", 2]])
    yield* same("tag", cost(yield* ledger.by("tag")), [["", 4], ["x", 3], ["y", 2], ["z", 0]])
    yield* same("tag of a tag", cost(yield* ledger.by("tag", { tag: "y" })), [["y", 2], ["x", 1]])
  },

  *"a day is one of the time zone, also where that is off by a half or a quarter, or turns its clocks"(ledger) {
    const times = {
      // 18:15 and 18:30 UTC are midnight in Kathmandu and in Kolkata.
      a: Date.UTC(2026, 10, 21, 18, 14, 59, 999),
      b: Date.UTC(2026, 10, 21, 18, 15),
      c: Date.UTC(2026, 10, 21, 18, 29, 59, 999),
      d: Date.UTC(2026, 10, 21, 18, 30),
      e: Date.UTC(2026, 10, 22, 0, 0),
      // That day had 25 hours in Berlin.
      f: Date.UTC(2026, 9, 24, 21, 59, 59, 999),
      g: Date.UTC(2026, 9, 24, 22, 0),
      h: Date.UTC(2026, 9, 25, 22, 59, 59, 999),
      i: Date.UTC(2026, 9, 25, 23, 0)
    }
    yield* ledger.book(Object.entries(times).map(([id, at]) => entry(id, { at })))
    const days = (timeZone: string, filter: UsageFilter = {}) =>
      Effect.map(
        ledger.by("day", { timeZone, ...filter }),
        (groups) => groups.map(({ entries, key }) => [key, entries])
      )
    const october = { until: Date.UTC(2026, 10, 1) }
    const november = { since: october.until }
    yield* same("UTC", yield* days("UTC", november), [["2026-11-21", 4], ["2026-11-22", 1]])
    yield* same("Kolkata", yield* days("Asia/Kolkata", november), [["2026-11-21", 3], ["2026-11-22", 2]])
    yield* same("Kathmandu", yield* days("Asia/Kathmandu", november), [["2026-11-21", 1], ["2026-11-22", 4]])
    yield* same("Berlin", yield* days("Europe/Berlin", october), [
      ["2026-10-24", 1],
      ["2026-10-25", 2],
      ["2026-10-26", 1]
    ])
    const { timeZone } = new Intl.DateTimeFormat().resolvedOptions()
    yield* same("the host's", yield* ledger.by("day"), yield* ledger.by("day", { timeZone }))
  },

  *"whatever is booked, groups add up to the total, and a day to what falls into it"(ledger) {
    const booked = FastCheck.sample(anyEntry, { numRuns: 120, seed: 7 }).map((one, n) => ({ ...one, entryId: `${n}` }))
    yield* ledger.book(booked)
    const total = yield* ledger.total()
    yield* same("total", total, booked.map(sumOf).reduce(plus))
    for (const key of keys.filter((key) => key !== "tag")) {
      const groups = yield* ledger.by(key, { timeZone: "Australia/Lord_Howe" })
      yield* same(key, groups.map(({ key: _, ...sum }) => sum).reduce(plus), total)
    }
    for (const timeZone of ["UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Chatham", "Australia/Lord_Howe"]) {
      const format = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short" })
      const days = new Map<string, number>()
      for (const { at } of booked) days.set(format.format(at), (days.get(format.format(at)) ?? 0) + 1)
      const found = yield* ledger.by("day", { timeZone })
      yield* same(timeZone, found.map(({ entries, key }) => [key, entries]), [...days].sort())
    }
  },

  *"entries come by their time, then by their id, page by page, each once"(ledger) {
    const booked = ["e", "d", "B", "a", "c"].map((id, n) => entry(id, { at: n < 3 ? 2_000 : 1_000, model: `${n % 2}` }))
    yield* ledger.book(booked)
    const idsOf = ({ entries }: { readonly entries: ReadonlyArray<UsageEntry> }) =>
      entries.map(({ entryId }) => entryId).join("")
    const pages = yield* everyPage((after?: string) => ledger.entries({ limit: 2, after }))
    yield* same("pages", pages.map(idsOf), ["ac", "Bd", "e"])
    const whole = yield* ledger.entries({ limit: 5 })
    yield* same("no more", whole.next ?? null, null)
    const first = yield* ledger.entries({ model: "0", limit: 1 })
    yield* ledger.book([entry("bb", { at: 1_500, model: "0" }), entry("Z", { at: 500, model: "0" })])
    const rest = yield* ledger.entries({ model: "0", after: first.next })
    yield* same("what came between", idsOf(rest), "bbBe")
  },

  *"many that book at once lose nothing"(ledger) {
    const ids = Array.from({ length: 60 }, (_, n) => `${n}`)
    yield* Effect.forEach(
      ids,
      (id) => ledger.book([entry(id, { tags: ["x", id] }), entry("all"), entry(`and ${id}`)]),
      { concurrency: "unbounded", discard: true }
    )
    const { costUsd, entries } = yield* ledger.total()
    yield* same("total", [costUsd, entries], [121, 121])
    yield* same("tagged", (yield* ledger.total({ tag: "x" })).entries, 60)
  },

  *"what makes no sense is refused"(ledger) {
    yield* ledger.book([entry("a")])
    const refused: ReadonlyArray<readonly [string, Effect.Effect<unknown, { readonly _tag: string }>]> = [
      ["no entries", ledger.entries({ limit: 0 })],
      ["too many", ledger.entries({ limit: 1_001 })],
      ["half an entry", ledger.entries({ limit: 1.5 })],
      ["another cursor", ledger.entries({ after: "a" })],
      ["no time", ledger.total({ since: Number.NaN })],
      ["no time", ledger.entries({ until: Infinity })],
      ["no time zone", ledger.by("day", { timeZone: "Mars/Olympus" })]
    ]
    for (const [what, asked] of refused) yield* same(what, (yield* Effect.flip(asked))._tag, "SessionStoreError")
  }
})

// ---------------------------------------------------------------------------

const keys: ReadonlyArray<UsageKey> = ["day", "model", "session", "tag", "batch"]

const tokens = (count: number) => ({ ...usage(count), webSearchRequests: count * 5 })

const entry = (entryId: string, fields: Partial<UsageEntry> = {}): UsageEntry => ({
  entryId,
  at: 1_000,
  basis: "reported",
  model: "m",
  usage: tokens(1),
  costUsd: 1,
  listUsd: 2,
  sessionId: "s",
  callId: "call",
  turnId: undefined,
  batchId: undefined,
  tags: [],
  apiKeySource: "none",
  ...fields
})

type Figures = { readonly [K in keyof UsageSum]: number }

const sum = (fields: Partial<Figures>): Figures => ({
  ...tokens(0),
  costUsd: 0,
  estimatedUsd: 0,
  listUsd: 0,
  unpriced: 0,
  uncounted: 0,
  entries: 0,
  ...fields
})

const sumOf = ({ basis, costUsd, listUsd, usage }: UsageEntry): Figures =>
  sum({
    ...usage,
    costUsd: costUsd ?? 0,
    estimatedUsd: basis === "estimated" ? costUsd ?? 0 : 0,
    listUsd: listUsd ?? 0,
    unpriced: costUsd === undefined ? 1 : 0,
    uncounted: usage === undefined ? 1 : 0,
    entries: 1
  })

const plus = (one: Figures, other: Figures): Figures => Record.union(one, other, (here, there) => here + there)

/** Unknown and 0 are told apart. */
const shown = ({ batchId, costUsd, listUsd, turnId, usage, ...rest }: UsageEntry) => ({
  ...rest,
  batchId: batchId ?? null,
  costUsd: costUsd ?? null,
  listUsd: listUsd ?? null,
  turnId: turnId ?? null,
  usage: usage ?? null
})

/** Sums of eighths are exact, in whatever order they are made. */
const usd = FastCheck.option(FastCheck.integer({ min: 0, max: 800 }).map((eighths) => eighths / 8), { nil: undefined })

const anyEntry: FastCheck.Arbitrary<UsageEntry> = FastCheck.record({
  entryId: FastCheck.constant(""),
  at: FastCheck.integer({ min: Date.UTC(2024, 0, 1), max: Date.UTC(2026, 11, 31) }),
  basis: FastCheck.constantFrom("reported", "estimated"),
  model: FastCheck.constantFrom("", "m", "n"),
  usage: FastCheck.option(FastCheck.integer({ min: 0, max: 100_000 }).map(tokens), { nil: undefined }),
  costUsd: usd,
  listUsd: usd,
  sessionId: FastCheck.constantFrom("s", "t"),
  callId: FastCheck.constant("call"),
  turnId: FastCheck.constant(undefined),
  batchId: FastCheck.constantFrom(undefined, "1", "2"),
  tags: FastCheck.constantFrom([], ["x"], ["x", "y"]),
  apiKeySource: FastCheck.constant("")
})
