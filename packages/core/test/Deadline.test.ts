import { CliTimeoutError } from "@ccflow/core/ClaudeError"
import * as Deadline from "@ccflow/core/Deadline"
import { assert, describe, it } from "@effect/vitest"
import {
  Chunk,
  type Clock,
  Config,
  ConfigProvider,
  Duration,
  Effect,
  FastCheck,
  Fiber,
  Layer,
  Stream,
  TestClock
} from "effect"
import { type Due, type Facts, lastWords, leavingTime, next, Pace, Watch } from "../src/internal/deadlines.js"
import { Seen } from "../src/internal/seen.js"

const limitsOf = (call: Parameters<Deadline.Deadline["Type"]["limits"]>[0] = {}) =>
  Effect.map(Deadline.Deadline, ({ limits }) => limits(call))

const error = (frames: number) =>
  new CliTimeoutError({ phase: "stall", timeoutMs: 1, sessionId: "", frames, partial: "", costUsd: null, hint: "" })

describe("Deadline", () => {
  it.effect("has defaults for what a call does not say, and the call's word comes first", () =>
    Effect.gen(function*() {
      const minute = 60_000
      const own = { startup: minute, stall: 6 * minute, total: Infinity, background: 10 * minute }
      assert.deepStrictEqual(yield* Effect.provide(limitsOf(), Deadline.layer()), own)
      const layer = Deadline.layer({ startupTimeout: 5, stallTimeout: "7 seconds", timeout: "1 hour" })
      assert.deepStrictEqual(
        yield* Effect.provide(limitsOf({ stallTimeout: "2 seconds", timeout: Infinity }), layer),
        { startup: 5, stall: 2000, total: Infinity, background: 10 * minute }
      )
      assert.deepStrictEqual(
        yield* Effect.provide(limitsOf(), Deadline.layer({ startupTimeout: Infinity })),
        { ...own, startup: Infinity }
      )
    }))

  it.effect("layerNoop keeps only what the call itself asks for", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* Effect.provide(limitsOf({ startupTimeout: 5 }), Deadline.layerNoop),
        { startup: 5, stall: Infinity, total: Infinity, background: Infinity }
      )
    }))

  it.effect("layerConfig reads them, and both layers refuse what is no time above zero and say which", () =>
    Effect.gen(function*() {
      const layer = Deadline.layerConfig({ stallTimeout: Config.duration("STALL") })
      const read = (value: string) =>
        Effect.provide(limitsOf(), layer).pipe(
          Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["STALL", value]])))
        )
      assert.strictEqual((yield* read("3 seconds")).stall, 3000)
      const refused = yield* Effect.flip(read("0 seconds"))
      assert.strictEqual(refused._tag === "InvalidOptionsError" && refused.field, "stallTimeout")
      for (const field of ["startupTimeout", "stallTimeout", "timeout", "backgroundTimeout"] as const) {
        for (const value of [-1, 0, NaN, "soon", "-5 minutes", Duration.zero]) {
          const wrong = { [field]: value } as Deadline.DeadlineOptions
          const error = yield* Effect.flip(Layer.build(Deadline.layer(wrong)))
          assert.strictEqual(error.field, field, String(value))
        }
      }
    }).pipe(Effect.scoped))

  it.effect("tells each one that runs out, to all who watch, and never waits for a slow one", () =>
    Effect.gen(function*() {
      const { changes, expired } = yield* Deadline.Deadline
      const slow = yield* Effect.fork(Stream.runForEach(changes, () => Effect.never))
      const quick = yield* Effect.fork(Stream.runCollect(Stream.take(changes, 1000)))
      yield* TestClock.adjust(0)
      for (let frames = 0; frames < 1000; frames++) {
        yield* expired(error(frames))
        yield* Effect.yieldNow()
      }
      assert.deepStrictEqual(
        Chunk.toReadonlyArray(yield* Fiber.join(quick)).map(({ frames }) => frames),
        Array.from({ length: 1000 }, (_, index) => index)
      )
      yield* Fiber.interrupt(slow)
    }).pipe(Effect.provide(Deadline.layer())))
})

const facts: Facts = {
  since: 0,
  begun: true,
  heardAt: 100,
  quietUntil: 0,
  excused: false,
  answeredAt: undefined,
  leaving: false,
  inTurn: true,
  endedAt: undefined,
  expiredAt: undefined
}
const limits: Deadline.Limits = { startup: 10, stall: 20, total: Infinity, background: 50_000 }

describe("the next deadline", () => {
  const cases: ReadonlyArray<readonly [string, Partial<Facts>, Partial<Deadline.Limits>, Partial<Due>]> = [
    ["waits for no process: only the whole counts", { heardAt: Infinity, begun: false }, { total: 70 }, {
      at: 70,
      phase: "total"
    }],
    ["start-up, from the start of the process", { begun: false }, {}, { at: 110, phase: "startup", timeoutMs: 10 }],
    ["a stall, from the last line", {}, {}, { at: 120, phase: "stall", timeoutMs: 20 }],
    ["a stall, from the end of an announced silence", { quietUntil: 500 }, {}, { at: 520, phase: "stall" }],
    ["none while a silence is excused", { excused: true }, {}, { at: Infinity }],
    ["the whole also while a silence is excused", { excused: true }, { total: 300 }, { at: 300, phase: "total" }],
    ["the whole when it comes first", {}, { total: 119 }, { at: 119, phase: "total", timeoutMs: 119 }],
    ["what comes first when it is the other", {}, { total: 121 }, { at: 120, phase: "stall" }],
    ["background work, from the answer", { answeredAt: 90 }, {}, { at: 50_090, phase: "background" }],
    ["background work, excused or not", { answeredAt: 90, excused: true }, {}, { at: 50_090, phase: "background" }],
    ["the whole cuts background work, but not the answer", { answeredAt: 90 }, { total: 200 }, {
      at: 200,
      phase: "background",
      timeoutMs: 200
    }],
    ["leaving, from the last line", { answeredAt: 90, leaving: true, inTurn: false }, {}, {
      at: 100 + leavingTime,
      phase: "end"
    }],
    ["a turn of the CLI's own that stalls while it should leave", { answeredAt: 90, leaving: true }, {}, {
      at: 120,
      phase: "end"
    }],
    ["such a turn that works, as background work", { answeredAt: 90, leaving: true, excused: true }, {}, {
      at: 50_090,
      phase: "background"
    }],
    ["the exit after the end of the output", { endedAt: 130 }, {}, { at: 130 + leavingTime, phase: "end" }],
    ["the whole before that exit, where no answer has come", { endedAt: 130 }, { total: 140 }, {
      at: 140,
      phase: "total"
    }],
    ["the last words, whatever else", { expiredAt: 120, endedAt: 121, excused: true }, { total: 130 }, {
      at: 120 + lastWords,
      phase: "end"
    }],
    ["no last words of what had not begun", { begun: false, expiredAt: 120 }, {}, { at: 120, phase: "end" }]
  ]
  for (const [name, known, asked, due] of cases) {
    it(name, () => assert.deepInclude(next({ ...limits, ...asked }, { ...facts, ...known }), due))
  }
})

type Happening = "line" | "tool" | "toolEnd" | "asked" | "answered" | "retry" | "compacting" | "compacted"
interface Happens {
  readonly after: number
  readonly what: Happening
}

const timelines = FastCheck.array(
  FastCheck.record({
    after: FastCheck.integer({ min: 1, max: 30 }),
    what: FastCheck.constantFrom<Happening>(
      "line",
      "tool",
      "toolEnd",
      "asked",
      "answered",
      "retry",
      "compacting",
      "compacted"
    )
  }),
  { maxLength: 25 }
)
const retryDelay = 25

/**
 * The same, told another way: time goes on step by step, and what is silent adds up. Nothing of the rule is in it.
 */
const reference = (timeline: ReadonlyArray<Happens>, stall: number, total: number): readonly [number, string] => {
  let [silent, quiet, tools, asks] = [0, 0, 0, 0]
  let compacting = false
  const left = timeline.map((_, index) => timeline.slice(0, index + 1).reduce((sum, { after }) => sum + after, 0))
  for (let now = 0;; now++) {
    if (now >= total) return [now, silent >= stall ? "stall" : "total"]
    if (silent >= stall) return [now, "stall"]
    timeline.forEach(({ what }, index) => {
      if (left[index] !== now) return
      if (what === "answered") {
        if (asks > 0) silent = 0
        asks = Math.max(0, asks - 1)
        return
      }
      silent = 0
      if (what === "asked") asks++
      if (what === "tool") tools = 1
      if (what === "toolEnd") tools = 0
      if (what === "retry") quiet = Math.max(quiet, now + retryDelay)
      if (what === "compacting") compacting = true
      if (what === "compacted") compacting = false
    })
    if (tools > 0 || asks > 0 || compacting || now < quiet) silent = 0
    else silent++
    if (now > 5000) return [Infinity, "none"]
  }
}

const common = { sessionId: "s", uuid: undefined, parentToolUseId: undefined }
const status = (content: string) => ({ _tag: "Status", ...common, kind: "status", content, raw: {} }) as const

/** A clock that is moved by hand. It counts how often somebody slept, and runs no timer for longer than 24.8 days. */
class HandClock {
  sleeps = 0
  private now = 0
  private sleepers: Array<{ readonly at: number; readonly wake: () => void }> = []
  readonly clock: Pick<Clock.Clock, "sleep" | "unsafeCurrentTimeMillis"> = {
    unsafeCurrentTimeMillis: () => this.now,
    sleep: (duration) => {
      this.sleeps++
      const at = this.now + Duration.toMillis(duration)
      return at - this.now > 2 ** 31 - 1 ? Effect.never : Effect.async<void>((resume) => {
        this.sleepers.push({ at, wake: () => resume(Effect.void) })
      })
    }
  }

  readonly settled = Effect.repeatN(Effect.yieldNow(), 5)

  readonly move = (by: number): Effect.Effect<void> =>
    Effect.gen(this, function*() {
      const until = this.now + by
      yield* this.settled
      for (;;) {
        const [first] = this.sleepers.sort((one, other) => one.at - other.at)
        if (first === undefined || first.at > until) break
        this.sleepers.shift()
        this.now = first.at
        first.wake()
        yield* this.settled
      }
      this.now = until
    })
}

/** Plays a timeline, and says when the watch told, what, and how often it had slept. */
const played = (timeline: ReadonlyArray<Happens>, stall: number, total: number) =>
  Effect.scoped(Effect.gen(function*() {
    const hand = new HandClock()
    const { clock, move } = hand
    const now = clock.unsafeCurrentTimeMillis
    const scope = yield* Effect.scope
    const seen = new Seen({})
    const pace = new Pace(0, seen)
    let asks = 0
    pace.ours = () => asks > 0
    pace.heard(0)
    let told: readonly [number, string] = [Infinity, "none"]
    const watch = new Watch({
      clock,
      due: () => next({ startup: Infinity, background: Infinity, stall, total }, pace),
      expire: ({ phase, timeoutMs }) =>
        Effect.sync(() => {
          if (phase === "end") return
          told = [now(), phase]
          if (phase !== "background") pace.expire(phase, timeoutMs, now())
        }),
      fork: (effect) => Effect.forkIn(effect, scope),
      firstLook: Infinity
    })
    yield* watch.start
    for (const { after, what } of timeline) {
      yield* move(after)
      if (told[0] !== Infinity) break
      switch (what) {
        case "asked":
          asks++
          break
        case "answered":
          if (asks === 0) continue
          asks--
          break
        case "tool":
          seen.all([{ _tag: "ToolUse", ...common, messageId: "m", id: "t", tool: "Bash", input: {} }])
          break
        case "toolEnd":
          seen.all([{ _tag: "ToolResult", ...common, toolUseId: "t", tool: "Bash", content: "", isError: false }])
          break
        case "retry":
          seen.all([{
            _tag: "ApiRetry",
            ...common,
            attempt: 1,
            maxRetries: 2,
            delayMs: retryDelay,
            status: 529,
            error: ""
          }])
          break
        case "compacting":
          seen.all([status("compacting")])
          break
        case "compacted":
          seen.all([status("")])
          break
      }
      pace.heard(now())
      if (watch.late) yield* watch.start
    }
    yield* move(6000)
    return { told, sleeps: hand.sleeps }
  }))

describe("a watch", () => {
  it.effect.prop(
    "tells of the earliest deadline at its time, and never while a silence is excused",
    { timeline: timelines, stall: FastCheck.integer({ min: 1, max: 60 }), total: FastCheck.constantFrom(70, Infinity) },
    ({ stall, timeline, total }) =>
      Effect.gen(function*() {
        assert.deepStrictEqual((yield* played(timeline, stall, total)).told, reference(timeline, stall, total))
      }),
    { fastCheck: { numRuns: 120 }, timeout: 20_000 }
  )

  it.effect("does not wake while a tool runs, however long, and is there when it has ended", () =>
    Effect.gen(function*() {
      const { sleeps, told } = yield* played(
        [{ after: 1, what: "tool" }, { after: 1_000_000, what: "toolEnd" }],
        10,
        Infinity
      )
      assert.deepStrictEqual(told, [1_000_011, "stall"])
      assert.isAtMost(sleeps, 3)
    }))

  it.effect("wakes no oftener than a silence may last, however much is said", () =>
    Effect.gen(function*() {
      const chatter = Array.from({ length: 1000 }, () => ({ after: 1, what: "line" }) as const)
      const { sleeps, told } = yield* played(chatter, 100, Infinity)
      assert.deepStrictEqual(told, [1100, "stall"])
      assert.isAtMost(sleeps, 13)
    }))

  it.scoped("sleeps on where a deadline is further off than a timer can run", () =>
    Effect.gen(function*() {
      const days = 40 * 24 * 3600_000
      const { clock, move } = new HandClock()
      const scope = yield* Effect.scope
      const at: Array<number> = []
      const watch = new Watch({
        clock,
        due: () => ({ at: days, phase: "end", timeoutMs: 0 }),
        expire: () => Effect.sync(() => at.push(clock.unsafeCurrentTimeMillis())),
        fork: (effect) => Effect.forkIn(effect, scope),
        firstLook: Infinity
      })
      yield* watch.start
      yield* move(days - 1)
      assert.deepStrictEqual(at, [])
      yield* move(1)
      assert.deepStrictEqual(at, [days])
    }))
})
