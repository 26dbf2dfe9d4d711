/**
 * What every log of events promises, as programs: each fails when its promise is broken. A test runner turns them into
 * tests, over an empty log each.
 */
import { EventLog, type EventLogService, type LoggedEvent } from "@ccflow/core/EventLog"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import { everyPage, type PromiseOf, promisesOf, same } from "./internal/promise.js"

/** One promise, and the program that holds a log to it. */
export type Promised = PromiseOf<EventLog>

export const suite: ReadonlyArray<Promised> = promisesOf(EventLog)({
  *"gives back every event as it was appended, by time and then in order"(log) {
    yield* same("empty", yield* log.read(), { events: [] })
    yield* log.append([])
    const [first, second, third, fourth] = [
      tool(1_000, "a \0 b \ud83d\ude00 ' ; --", { callId: "c", sessionId: "s", traceId: "t" }),
      tool(2_000, "second"),
      tool(2_000, "third", { callId: "other" }),
      tool(1_500, "late", { sessionId: "other" })
    ] as const
    yield* log.append([first, second])
    yield* log.append([third, fourth])
    yield* same("all", yield* log.read(), { events: [first, fourth, second, third] })
    yield* same("newest first", yield* log.read({ newestFirst: true }), { events: [third, second, fourth, first] })
  },
  *"finds by time, session, call and kind, all at once"(log) {
    const started: LoggedEvent = { _tag: "QueryStarted", at: 10, callId: "c", sessionId: "s", model: "m" }
    const used = tool(20, "Bash", { callId: "c", sessionId: "s" })
    const ended: LoggedEvent = {
      _tag: "QueryEnded",
      at: 30,
      callId: "c",
      sessionId: "t",
      model: "m",
      outcome: "failure",
      durationMs: 20,
      error: "ApiError"
    }
    yield* log.append([started, used, ended])
    const found = (filter: Parameters<EventLogService["read"]>[0]) =>
      Effect.map(log.read(filter), ({ events }) => events.map(({ _tag }) => _tag))
    yield* same("since", yield* found({ since: 20 }), ["ToolCalled", "QueryEnded"])
    yield* same("since half", yield* found({ since: 19.5 }), ["ToolCalled", "QueryEnded"])
    yield* same("until", yield* found({ until: 20 }), ["QueryStarted"])
    yield* same("until half", yield* found({ until: 20.5 }), ["QueryStarted", "ToolCalled"])
    yield* same("session", yield* found({ sessionId: "s" }), ["QueryStarted", "ToolCalled"])
    yield* same("call", yield* found({ callId: "c" }), ["QueryStarted", "ToolCalled", "QueryEnded"])
    yield* same("kinds", yield* found({ types: ["QueryEnded", "QueryStarted"] }), ["QueryStarted", "QueryEnded"])
    yield* same("no kind", yield* found({ types: [] }), [])
    yield* same("all", yield* found({ sessionId: "s", since: 11, until: 21, types: ["ToolCalled"] }), ["ToolCalled"])
    yield* same("none", yield* found({ sessionId: "t", callId: "d" }), [])
  },
  *"pages give every event once, in either order, whatever is appended meanwhile"(log) {
    const times = FastCheck.sample(FastCheck.integer({ min: 0, max: 20 }), { numRuns: 60, seed: 7 })
    yield* log.append(times.map((at, n) => tool(at, String(n))))
    const sorted = times.map((at, n) => ({ at, n })).sort((one, other) => one.at - other.at || one.n - other.n)
    const expected = sorted.map(({ n }) => String(n))
    const forwards = yield* everyTool(log, { limit: 7, until: 1_000 }, log.append([tool(2_000, "behind")]))
    yield* same("oldest first", forwards, expected)
    const newer = log.append([tool(30, "before")])
    const backwards = yield* everyTool(log, { newestFirst: true, limit: 7, until: 21 }, newer)
    yield* same("newest first", backwards, [...expected].reverse())
    yield* same("too much", yield* Effect.isFailure(log.read({ limit: 1_001 })), true)
    yield* same("nothing", yield* Effect.isFailure(log.read({ limit: 0 })), true)
    yield* same("no page", yield* Effect.isFailure(log.read({ after: "1; DROP TABLE" })), true)
  },
  *"takes many at once, and forgets what is too old and what is too much"(log) {
    yield* log.append(Array.from({ length: 1_203 }, (_, n) => tool(n, String(n))))
    const count = Effect.map(everyTool(log, { limit: 1_000 }), (found) => [found.length, found[0]])
    yield* same("all", yield* count, [1_203, "0"])
    yield* log.forget({ before: 203, most: 5_000 })
    yield* same("old", yield* count, [1_000, "203"])
    yield* log.forget({ before: 0, most: 10 })
    yield* same("much", yield* count, [10, "1193"])
    yield* log.forget({ before: 0, most: 10 })
    yield* same("again", yield* count, [10, "1193"])
    yield* log.forget({ before: 0, most: 0 })
    yield* same("everything", yield* count, [0, null])
  }
})

// ---------------------------------------------------------------------------

const tool = (at: number, name: string, fields: Partial<LoggedEvent> = {}): LoggedEvent => ({
  ...fields,
  _tag: "ToolCalled",
  at,
  tool: name,
  toolUseId: "toolu_1"
})

const everyTool = (
  log: EventLogService,
  filter: NonNullable<Parameters<EventLogService["read"]>[0]>,
  meanwhile: Effect.Effect<void, unknown> = Effect.void
) =>
  Effect.map(
    everyPage((after?: string) => Effect.zipLeft(log.read({ ...filter, after }), meanwhile)),
    (pages) => pages.flatMap(({ events }) => events.map((event) => event._tag === "ToolCalled" ? event.tool : null))
  )
