import { UsageLimitError } from "@ccflow/core/ClaudeError"
import type { RateLimit } from "@ccflow/core/Message"
import type { Target } from "@ccflow/core/Policy"
import type { UsageWindow } from "@ccflow/core/UsageLimit"
import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { UsageWindows, windowsOf } from "../src/internal/usageWindows.js"

const limits = ["five_hour", "seven_day", "seven_day_opus", "overage", "oauth_apps"]
const models = ["", "opus", "claude-opus-5-5", "haiku"]

type Event =
  | { readonly _tag: "Pass"; readonly ms: number }
  | { readonly _tag: "Said"; readonly window: Omit<UsageWindow, "seenAt">; readonly ago: number }
  | { readonly _tag: "Rejected"; readonly target: Target; readonly limit: string; readonly inMs: number | null }

const account = FastCheck.constantFrom("", "#2")
const soon = FastCheck.integer({ min: -20, max: 100 }).map((tens) => tens * 1000)

const event: FastCheck.Arbitrary<Event> = FastCheck.oneof(
  FastCheck.record({ _tag: FastCheck.constant("Pass" as const), ms: FastCheck.integer({ min: 0, max: 40_000 }) }),
  FastCheck.record({
    _tag: FastCheck.constant("Said" as const),
    ago: FastCheck.constantFrom(0, 0, 5_000, 60_000),
    window: FastCheck.record({
      account,
      limit: FastCheck.constantFrom(...limits),
      status: FastCheck.constantFrom("allowed", "allowed_warning", "rejected"),
      resetsAt: FastCheck.option(soon, { freq: 8 }),
      utilization: FastCheck.constant(null),
      overage: FastCheck.boolean()
    }).map((window) => ({ ...window, overage: window.overage && window.status === "rejected" }))
  }),
  FastCheck.record({
    _tag: FastCheck.constant("Rejected" as const),
    target: FastCheck.record({
      cli: FastCheck.constant("claude"),
      account,
      model: FastCheck.constantFrom(...models)
    }),
    limit: FastCheck.constantFrom(...limits),
    inMs: FastCheck.option(soon, { freq: 8 })
  })
)

interface Remembered {
  readonly window: UsageWindow
  readonly models: ReadonlyArray<string>
}

/** The rules one by one, over a list: no index, nothing kept but what was said. */
class Model {
  now = 1_000_000
  list: ReadonlyArray<Remembered> = []

  private stops({ window }: Remembered): number {
    if (window.status !== "rejected" || window.overage || window.resetsAt === null) return 0
    return window.resetsAt > window.seenAt ? window.resetsAt : window.seenAt + 10_000
  }

  private isOver(one: Remembered): boolean {
    return one.window.resetsAt !== null && one.window.resetsAt <= this.now && this.stops(one) <= this.now
  }

  private find(account: string, limit: string): Remembered | undefined {
    return this.list.find(({ window }) => window.account === account && window.limit === limit)
  }

  private without({ account, limit }: UsageWindow): ReadonlyArray<Remembered> {
    return this.list.filter(({ window }) => window.account !== account || window.limit !== limit)
  }

  pass(ms: number): void {
    this.now += ms
    this.list = this.list.filter((one) => !this.isOver(one))
  }

  said(window: UsageWindow, askedAt: number): void {
    const before = this.find(window.account, window.limit)
    const closed = before !== undefined && this.stops(before) > this.now
    if (window.status === "rejected" && window.resetsAt === null) {
      if (!closed) this.list = this.without(window)
    } else if (!closed || window.status === "rejected" || askedAt > before.window.seenAt) {
      this.list = [...this.without(window), { window, models: before?.models ?? [] }]
    }
  }

  rejected({ account, model }: Target, limit: string, resetsAt: number | null): void {
    if (limit === "overage" && this.closing({ cli: "", account, model }) !== undefined) return
    const before = this.find(account, limit)
    const until = resetsAt ?? before?.window.resetsAt ?? null
    if (until === null) return
    const window = {
      account,
      limit,
      status: "rejected",
      resetsAt: until,
      utilization: null,
      overage: false,
      seenAt: this.now
    }
    this.list = [...this.without(window), { window, models: [...before?.models ?? [], model] }]
  }

  closing({ account, model }: Target): number | undefined {
    const until = this.list
      .filter(({ models, window: { account: its, limit } }) =>
        its === account &&
        (limit === "five_hour" || limit === "seven_day" || models.includes(model) ||
          (limit === "seven_day_opus" && model.includes("opus")))
      )
      .map((one) => this.stops(one))
      .filter((until) => until > this.now)
    return until.length === 0 ? undefined : Math.max(...until)
  }
}

const byName = (windows: ReadonlyArray<UsageWindow>) =>
  [...windows].sort((one, other) => `${one.account} ${one.limit}` < `${other.account} ${other.limit}` ? -1 : 1)

const targets = ["", "#2"].flatMap((account) => models.map((model) => ({ cli: "claude", account, model })))

const facts = { exitCode: 1, signal: null, argv: [], stderrTail: "", sessionId: "", frames: 3 }

describe("what is known of the windows", () => {
  it("is what a list of all that was said comes to, after any sequence of events", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(event, { maxLength: 40 }), (events) => {
        const model = new Model()
        const windows = new UsageWindows()
        for (const event of events) {
          const { now } = model
          if (event._tag === "Pass") model.pass(event.ms)
          else if (event._tag === "Said") {
            const { resetsAt } = event.window
            const window = { ...event.window, resetsAt: resetsAt === null ? null : now + resetsAt, seenAt: now }
            windows.learn(window, now - event.ago, 7)
            model.said(window, now - event.ago)
          } else {
            const resetsAt = event.inMs === null ? null : now + event.inMs
            windows.reject(
              event.target,
              new UsageLimitError({ limit: event.limit, resetsAt, detail: "", facts, hint: "" }),
              now,
              7
            )
            model.rejected(event.target, event.limit, resetsAt)
          }
          windows.sweep(model.now)
          model.pass(0)
          assert.deepStrictEqual(
            byName(windows.all.map(({ window }) => window)),
            byName(model.list.map(({ window }) => window))
          )
          for (const target of targets) {
            const known = windows.closing(target, model.now)
            assert.strictEqual(known?.closedUntil, model.closing(target))
            if (known !== undefined) assert.strictEqual(known.opensAt, known.closedUntil + 7)
          }
        }
      }),
      { numRuns: 200 }
    )
  })
})

describe("a message about windows", () => {
  const message = (fields: Partial<RateLimit>): RateLimit => ({
    _tag: "RateLimit",
    sessionId: "",
    uuid: undefined,
    parentToolUseId: undefined,
    status: "allowed",
    limit: "five_hour",
    resetsAt: undefined,
    utilization: undefined,
    raw: {},
    ...fields
  })
  const said = (fields: Partial<RateLimit>) =>
    windowsOf(message(fields), "", 0).map(({ limit, overage, resetsAt, status, utilization }) => [
      limit,
      status,
      resetsAt,
      utilization,
      overage
    ])

  it("is read whatever it holds", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.anything(), FastCheck.anything(), FastCheck.string(), (raw, windows, status) => {
        for (const any of [raw, { unifiedWindows: raw }, { unifiedWindows: { x: windows } }]) {
          for (const window of windowsOf(message({ raw: any, status }), "", 0)) assert.isString(window.status)
        }
      })
    )
  })

  it("says whether what is used up is paid for beside the plan", () => {
    const used = { status: "rejected", resetsAt: 5_000 }
    const paid = [{ usingOverage: true }, { overageStatus: "allowed" }, { overageStatus: "allowed_warning" }]
    const unpaid = [{}, { usingOverage: false }, { overageStatus: "rejected" }]
    const told = (overage: boolean) => [["five_hour", "rejected", 5_000, null, overage]]
    for (const fields of paid) assert.deepStrictEqual(said({ ...used, ...fields }), told(true))
    for (const fields of unpaid) assert.deepStrictEqual(said({ ...used, ...fields }), told(false))
  })

  it("warns of a window when it says so of it alone", () => {
    assert.deepStrictEqual(
      said({
        resetsAt: 5_000,
        raw: {
          unifiedWindows: {
            five_hour: { utilization: 0.93, resetsAt: 5, status: "allowed_warning" },
            seven_day: { utilization: 0.2, resetsAt: 9, status: "allowed" }
          }
        }
      }),
      [["five_hour", "allowed_warning", 5_000, 0.93, false], ["seven_day", "allowed", 9_000, 0.2, false]]
    )
  })

  it("that lets through is not contradicted by a window that stops everybody, but by one of another model", () => {
    const rejected = { utilization: 1, resetsAt: 5, status: "rejected" }
    assert.deepStrictEqual(
      said({ limit: "seven_day", raw: { unifiedWindows: { five_hour: rejected, seven_day_opus: rejected } } }),
      [
        ["five_hour", "rejected", 5_000, 1, true],
        ["seven_day_opus", "rejected", 5_000, 1, false],
        ["seven_day", "allowed", null, null, false]
      ]
    )
  })
})
