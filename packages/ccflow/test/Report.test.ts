import { EventLog, layerMemory as eventsInMemory, type LoggedEvent } from "@ccflow/core/EventLog"
import type { TurnRecord } from "@ccflow/core/SessionRecord"
import { layerMemory as sessionsInMemory, SessionRepository } from "@ccflow/core/SessionRepository"
import { layerMemory as ledgerInMemory, type UsageEntry, type UsageFilter, UsageLedger } from "@ccflow/core/UsageLedger"
import { assert, describe, it, vi } from "@effect/vitest"
import { Effect, FastCheck, Layer, TestClock } from "effect"
import { createHash } from "node:crypto"
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { collect, usual } from "../src/internal/reportPage/collect.js"
import type { ReportData, SessionData } from "../src/internal/reportPage/data.js"
import { html } from "../src/internal/reportPage/html.js"
import * as Output from "../src/internal/reportPage/output.js"
import { everything, figuresOf, type Filter, percentile } from "../src/internal/reportPage/page/figures.js"
import { duration, everyDay } from "../src/internal/reportPage/page/format.js"
import { timelineOf } from "../src/internal/reportPage/timeline.js"
import { local } from "../src/internal/time.js"

// A busy machine takes its time for what is drawn by chance.
vi.setConfig({ testTimeout: 30_000 })

const memory = Layer.mergeAll(sessionsInMemory, ledgerInMemory, eventsInMemory)

const ids = { callId: "c", sessionId: "s" }
const ended = { ...ids, model: "m", outcome: "success", durationMs: 1_000 } as const
const record: TurnRecord = {
  turnId: "t",
  sessionId: "s",
  index: 0,
  prompt: "Why?",
  status: "completed",
  startedAt: 1_200,
  endedAt: 2_000,
  seen: "",
  holder: "h"
}
const steps = (records: ReadonlyArray<TurnRecord>, events: ReadonlyArray<LoggedEvent>) =>
  timelineOf(records, events, 9_000).map((turn) => [
    turn.title,
    turn.start,
    turn.end,
    turn.ending,
    turn.steps.map(({ end, kind, name, start, state }) => [kind, name, start, end, state])
  ])

describe("the timeline of a session", () => {
  it("has a turn's tools, retries, waits and permissions where they were, and says which have no end", () => {
    const tool = { ...ids, tool: "Bash", toolUseId: "u" }
    const events: ReadonlyArray<LoggedEvent> = [
      { _tag: "TurnStarted", at: 1_000, ...ids, model: "m", turnNumber: 1 },
      { _tag: "Queued", at: 1_300, ...ids, waitedMs: 100 },
      { _tag: "RateLimited", at: 1_310, ...ids, waitedMs: 10 },
      { _tag: "Retrying", at: 1_400, ...ids, attempt: 1, delayMs: 50, error: "OverloadedError" },
      { _tag: "PermissionDecided", at: 1_480, ...tool, decision: "deny", waitedMs: 20 },
      { _tag: "ToolCalled", at: 1_500, ...tool },
      { _tag: "ToolFinished", at: 1_600, ...tool, isError: true },
      { _tag: "ToolFinished", at: 1_700, ...tool, tool: "Read", toolUseId: "unseen", isError: false, durationMs: 60 },
      { _tag: "ToolCalled", at: 1_750, ...tool, tool: "Grep", toolUseId: "v" },
      { _tag: "BreakerChanged", at: 1_760, key: "k", state: "open" },
      { _tag: "BreakerChanged", at: 8_000, key: "k", state: "open" },
      { _tag: "Parked", at: 1_800, ...ids, limit: "five_hour" },
      { _tag: "Unparked", at: 1_900, ...ids, limit: "five_hour", waitedMs: 100 },
      { _tag: "FellBack", at: 1_910, ...ids, cause: "x", error: "UsageLimitError" },
      { _tag: "TimedOut", at: 1_990, ...ids, phase: "stall", timeoutMs: 5 },
      { _tag: "TurnCompleted", at: 2_000, ...ended, turnNumber: 1 }
    ]
    assert.deepStrictEqual(steps([record], events), [["Why?", 1_000, 2_000, "success", [
      [2, "its turn", 1_000, 1_200, 0],
      [2, "a process", 1_200, 1_300, 0],
      [2, "the rate limit", 1_300, 1_310, 0],
      [1, "OverloadedError", 1_400, 1_450, 0],
      [3, "Bash", 1_460, 1_480, 1],
      [0, "Bash", 1_500, 1_600, 1],
      [0, "Read", 1_640, 1_700, 0],
      [0, "Grep", 1_750, 2_000, 2],
      [4, "circuit breaker opened", 1_760, 1_760, 1],
      [2, "the limit five_hour", 1_800, 1_900, 0],
      [4, "fell back: UsageLimitError", 1_910, 1_910, 0],
      [4, "timed out: stall", 1_990, 1_990, 1]
    ]]])
  })

  it("joins records and calls where turns wait for each other, and shows what only one of both knows", () => {
    const call = (callId: string, from: number, at: number): ReadonlyArray<LoggedEvent> => [
      { _tag: "TurnStarted", at: from, callId, sessionId: "s", model: "m", turnNumber: 1 },
      { _tag: "TurnCompleted", at, ...ended, callId, durationMs: at - from, turnNumber: 1 }
    ]
    const turn = (prompt: string, startedAt: number, endedAt: number): TurnRecord => ({
      ...record,
      prompt,
      startedAt,
      endedAt
    })
    const found = timelineOf(
      [turn("old", 10, 20), turn("first", 100, 200), turn("second", 201, 300)],
      [...call("a", 100, 200), ...call("b", 101, 300), ...call("query", 400, 500)],
      9_000
    )
    assert.deepStrictEqual(found.map(({ callId, title }) => [callId, title]), [
      [undefined, "old"],
      ["a", "first"],
      ["b", "second"],
      ["query", ""]
    ])
    const two = timelineOf([turn("first", 100, 140), turn("second", 150, 190)], call("a", 100, 200), 9_000)
    assert.deepStrictEqual(two.map(({ callId, title }) => [callId, title]), [["a", "first"], [undefined, "second"]])
    const running = timelineOf([{ ...record, status: "cut" }], [], 9_000)
    assert.deepStrictEqual(running.map(({ ending }) => ending), ["cut"])
  })
})

const hour = 60 * 60_000
const anyEntry: FastCheck.Arbitrary<UsageEntry> = FastCheck.record({
  entryId: FastCheck.uuid(),
  at: FastCheck.integer({ min: 0, max: 5 * 24 * hour }),
  basis: FastCheck.constantFrom("reported", "estimated"),
  model: FastCheck.constantFrom("", "opus", "sonnet"),
  usage: FastCheck.option(
    FastCheck.record({
      inputTokens: FastCheck.nat(1_000),
      outputTokens: FastCheck.nat(1_000),
      cacheReadInputTokens: FastCheck.nat(1_000),
      cacheCreationInputTokens: FastCheck.nat(1_000),
      webSearchRequests: FastCheck.constant(0)
    }),
    { nil: undefined }
  ),
  costUsd: FastCheck.option(FastCheck.integer({ min: 0, max: 64 }).map((n) => n / 64), { nil: undefined }),
  listUsd: FastCheck.constant(undefined),
  sessionId: FastCheck.constantFrom("", "s1", "s2", "s3", "s4"),
  callId: FastCheck.constant("c"),
  turnId: FastCheck.constant(undefined),
  batchId: FastCheck.constant(undefined),
  tags: FastCheck.subarray(["ci", "docs", "opus"]),
  apiKeySource: FastCheck.constant("none")
})

describe("the figures of the page", () => {
  it.effect("are the ledger's for every filter, also when most sessions are not shown", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(FastCheck.array(anyEntry, { maxLength: 40 }), (entries) =>
          Effect.runPromise(
            Effect.gen(function*() {
              const ledger = yield* UsageLedger
              yield* ledger.book(entries)
              const data = yield* collect({}, { ...usual, sessions: 2 })
              const same = (filter: Partial<Filter>, asked: UsageFilter) =>
                Effect.map(ledger.total(asked), (sum) => {
                  const { total } = figuresOf(data, { ...everything, ...filter })
                  assert.deepStrictEqual(total, {
                    costUsd: sum.costUsd,
                    estimatedUsd: sum.estimatedUsd,
                    input: sum.inputTokens,
                    output: sum.outputTokens,
                    cacheRead: sum.cacheReadInputTokens,
                    cacheWrite: sum.cacheCreationInputTokens,
                    entries: sum.entries,
                    unpriced: sum.unpriced,
                    uncounted: sum.uncounted
                  })
                })
              yield* same({}, {})
              for (const model of ["opus", "sonnet"]) {
                if (data.names.includes(model)) yield* same({ model: data.names.indexOf(model) }, { model })
                if (data.names.includes(model)) {
                  yield* same({ tag: data.names.indexOf(model) }, { tag: model })
                }
              }
              for (const [session, { id }] of data.sessions.entries()) yield* same({ session }, { sessionId: id })
              const since = new Date(1970, 0, 2).getTime()
              const until = new Date(1970, 0, 4).getTime()
              yield* same({ from: "1970-01-02", to: "1970-01-03" }, { since, until })
              assert.isAtMost(data.sessions.length, 2)
            }).pipe(Effect.provide(memory))
          )),
        { numRuns: 60 }
      )
    ))

  it.effect("count every call once: from the event log, and from records of turns that it does not know", () =>
    Effect.gen(function*() {
      const [repository, log] = yield* Effect.all([SessionRepository, EventLog])
      yield* repository.save({
        sessionId: "s",
        status: "open",
        title: "Title",
        cwd: "",
        tags: ["ci"],
        createdAt: 0,
        updatedAt: 0,
        turnCount: 0,
        usage: { inputTokens: 0, outputTokens: 0, cacheReadInputTokens: 0, cacheCreationInputTokens: 0 },
        costUsd: 0,
        durationMs: 0,
        options: {}
      })
      const turn = (turnId: string, ms: number, end: Parameters<typeof repository.endTurn>[1]) =>
        Effect.gen(function*() {
          yield* repository.beginTurn({ turnId, sessionId: "s", prompt: turnId, holder: "h" })
          yield* TestClock.adjust(ms)
          yield* repository.endTurn(turnId, end)
          yield* TestClock.adjust(1_000)
        })
      yield* turn("old", 400, { status: "failed", error: { tag: "ApiError", message: "secret" } })
      yield* log.append([{ _tag: "TurnStarted", at: 1_400, ...ids, model: "m", turnNumber: 1 }])
      yield* turn("new", 600, { status: "completed" })
      yield* log.append([{ _tag: "TurnCompleted", at: 2_000, ...ended, turnNumber: 1, durationMs: 600 }])
      yield* log.append([
        { _tag: "QueryStarted", at: 2_000, callId: "q", model: "m" },
        { _tag: "Queued", at: 2_300, callId: "q", waitedMs: 300 },
        { ...ended, _tag: "QueryEnded", at: 3_000, callId: "q", sessionId: "other", outcome: "interrupted" }
      ])
      const data = yield* collect()
      const figures = figuresOf(data, everything)
      assert.deepStrictEqual(figures.durations, [400, 600, 1_000])
      assert.deepStrictEqual(figures.calls.map(([, , , , outcome]) => outcome).sort(), [0, 1, 2])
      const ci = data.names.indexOf("ci")
      assert.deepStrictEqual(figuresOf(data, { ...everything, tag: ci }).durations, [400, 600])
      assert.deepStrictEqual(figures.sessions.map((place) => data.sessions[place]?.id), ["other", "s"])
      assert.notInclude(JSON.stringify(data), "secret")
      // Also what it waited for before anybody knew its session.
      const [query] = data.sessions[0]?.turns ?? []
      assert.deepStrictEqual([query?.start, query?.ms, query?.steps], [
        2_000,
        1_000,
        [[2, data.names.indexOf("a process"), 0, 300, 0]]
      ])
      // Only what is asked for.
      const late = yield* collect({ since: 1_300, withoutPrompts: true })
      assert.deepStrictEqual(figuresOf(late, everything).durations, [600, 1_000])
      assert.deepStrictEqual(late.sessions.map(({ title, turns }) => [title, turns.map(({ title }) => title)]), [
        ["", [""]],
        ["Session s", [""]]
      ])
    }).pipe(Effect.provide(memory)))

  it.effect("ask the event log as often for forty sessions as for one, and breakers stand in each that was open", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const told = (sessionId: string): ReadonlyArray<LoggedEvent> => [
        { _tag: "TurnStarted", at: 1_000, callId: sessionId, sessionId, model: "m", turnNumber: 1 },
        { ...ended, _tag: "TurnCompleted", at: 2_000, callId: sessionId, sessionId, turnNumber: 1 }
      ]
      yield* log.append([
        ...Array.from({ length: 40 }, (_, n) => told(`s${n}`)).flat(),
        { _tag: "BreakerChanged", at: 1_500, key: "k", state: "open" }
      ])
      let reads = 0
      const counted = EventLog.of({
        ...log,
        read: (filter) =>
          Effect.suspend(() => {
            reads++
            return log.read(filter)
          })
      })
      const data = yield* Effect.provideService(collect(), EventLog, counted)
      assert.isAtMost(reads, 3)
      const opened = data.names.indexOf("circuit breaker opened")
      assert.deepStrictEqual(
        data.sessions.flatMap(({ turns }) => turns.map(({ steps }) => steps)),
        Array.from({ length: 40 }, () => [[4, opened, 500, 0, 1] as const])
      )
      const { left } = yield* collect({}, { ...usual, events: 10 })
      assert.isTrue(left.steps)
    }).pipe(Effect.provide(memory)))

  it("say percentiles, times and days as they are", () => {
    assert.deepStrictEqual([0, 0.5, 0.95, 1].map((share) => percentile([1, 2, 3, 4], share)), [1, 2, 4, 4])
    assert.isUndefined(percentile([], 0.5))
    const said = [0, 999.6, 1_000, 59_949, 59_960, 3_599_999, 7_260_000, undefined].map(duration)
    assert.deepStrictEqual(said, ["0 ms", "1.0 s", "1.0 s", "59.9 s", "1 min 0 s", "1 h 0 min", "2 h 1 min", "–"])
    assert.deepStrictEqual(everyDay(["2026-02-27", "2026-03-01"]), ["2026-02-27", "2026-02-28", "2026-03-01"])
    assert.deepStrictEqual(everyDay(["1970-01-01", "2026-03-01"]), ["1970-01-01", "2026-03-01"])
    assert.deepStrictEqual(everyDay([]), [])
    assert.match(local(0), /^19(69|70)-/)
  })
})

describe("the page", () => {
  const data = (sessions: ReadonlyArray<SessionData>): ReportData => ({
    madeAt: 0,
    timeZone: "UTC",
    since: null,
    until: null,
    days: [],
    names: [],
    tagSets: [],
    sessions,
    usage: [],
    calls: [],
    left: { sessions: 0, calls: false, steps: false }
  })
  const titled = (title: string) => data([{ id: "s", title, model: -1, tagSet: 0, begun: 0, used: 0, turns: [] }])
  const assets = { script: "alert(1)", style: "body{}" }

  it("holds any text as data that ends no element, and gives it back as it was", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.oneof(
          FastCheck.string({ unit: "binary" }),
          FastCheck.constantFrom("</script>", "<!--", "\u2028\u2029&<")
        ),
        (title) => {
          const page = html(titled(title), assets)
          const [, json = ""] = /<script type="application\/json" id="data">(.*)<\/script>/.exec(page) ?? []
          assert.notMatch(json, /[<>&\u2028\u2029]/)
          assert.deepStrictEqual(JSON.parse(json), JSON.parse(JSON.stringify(titled(title))))
        }
      ),
      { numRuns: 50 }
    )
  })

  it("allows its own script and style by their hashes, and nothing else", () => {
    const hash = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`
    assert.include(
      html(data([]), assets),
      `content="default-src 'none'; script-src ${hash("alert(1)")}; style-src ${hash("body{}")}; base-uri 'none'; ` +
        `form-action 'none'"`
    )
    assert.notMatch(html(data([]), { script: "", style: "" }), /https?:|url\(|\son\w+=|style=/)
  })
})

describe("the file", () => {
  const inFolder = <A, E>(use: (path: string, folder: string) => Effect.Effect<A, E>) =>
    Effect.acquireUseRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "ccflow-report-"))),
      (folder) => use(join(folder, "r.html"), folder),
      (folder) => Effect.promise(() => rm(folder, { recursive: true }))
    )
  const text = (path: string) => Effect.promise(() => readFile(path, "utf8"))

  it.live("is for its owner alone, takes the place of nothing unless told, and leaves nothing beside it", () =>
    inFolder((path, folder) =>
      Effect.gen(function*() {
        yield* Output.free(path)
        yield* Output.write(path, "one", false)
        assert.strictEqual((yield* Effect.promise(() => stat(path))).mode & 0o777, 0o600)
        const refusals = [yield* Effect.flip(Output.free(path)), yield* Effect.flip(Output.write(path, "two", false))]
        for (const { detail, field } of refusals) {
          assert.deepStrictEqual([field, detail], ["--output", `${path} is there already`])
        }
        assert.strictEqual(yield* text(path), "one")
        yield* Output.write(path, "three", true)
        assert.strictEqual(yield* text(path), "three")
        const nowhere = yield* Effect.flip(Output.write(join(folder, "no", "r.html"), "four", false))
        assert.include(nowhere.detail, "cannot be written (ENOENT)")
        yield* Effect.promise(() => writeFile(join(folder, "file"), ""))
        yield* Effect.flip(Output.write(join(folder, "file", "r.html"), "five", true))
        assert.deepStrictEqual((yield* Effect.promise(() => readdir(folder))).sort(), ["file", "r.html"])
      })
    ))
})
