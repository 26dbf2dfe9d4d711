/**
 * What every store of usage windows promises, as programs: each fails when its promise is broken. A test runner turns
 * them into tests, over an empty store each.
 */
import { UsageLimitStore, type UsageWindow } from "@ccflow/core/UsageLimit"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import { type PromiseOf, promisesOf, same } from "./internal/promise.js"

/** One promise, and the program that holds a store to it. */
export type Promised = PromiseOf<UsageLimitStore>

export const suite: ReadonlyArray<Promised> = promisesOf(UsageLimitStore)({
  *"gives back every window as it was saved, one by account and limit"({ load, save }) {
    yield* same("empty", yield* load, [])
    const all = [
      window({ status: "rejected", utilization: 1 }),
      window({ account: "#1a", resetsAt: 1_800_000_000_500, utilization: 0.125 }),
      window({ limit: "", resetsAt: null, overage: true }),
      window({ limit: "seven_day's \"opus\"; --" })
    ]
    yield* Effect.forEach(all, save)
    yield* same("all", sorted(yield* load), sorted(all))
  },
  *"has the last word of each, and the older of two changes nothing"({ load, save }) {
    const newer = window({ status: "rejected", utilization: 1, seenAt: 2_000 })
    yield* save(newer)
    yield* save(window({ seenAt: 1_999 }))
    yield* same("the older", yield* load, [newer])
    const again = window({ status: "allowed_warning", resetsAt: null, overage: true, seenAt: 2_000 })
    yield* save(again)
    yield* same("of the same moment", yield* load, [again])
  },
  *"holds for any order in which many save at once"({ load, save }) {
    const saved = FastCheck.sample(anyWindow, { numRuns: 60, seed: 24 }).map((one, n) => ({ ...one, seenAt: n }))
    const anyOrder = FastCheck.shuffledSubarray(saved, { minLength: saved.length })
    const [shuffled = []] = FastCheck.sample(anyOrder, { numRuns: 1, seed: 4 })
    yield* Effect.forEach(shuffled, save, { concurrency: "unbounded", discard: true })
    const last = new Map(saved.map((one) => [`${one.account} ${one.limit}`, one]))
    yield* same("last words", sorted(yield* load), sorted([...last.values()]))
  }
})

// ---------------------------------------------------------------------------

const window = (fields: Partial<UsageWindow>): UsageWindow => ({
  account: "",
  limit: "five_hour",
  status: "allowed",
  resetsAt: 1_800_000_000_000,
  utilization: null,
  overage: false,
  seenAt: 1_000,
  ...fields
})

const anyWindow: FastCheck.Arbitrary<UsageWindow> = FastCheck.record({
  account: FastCheck.constantFrom("", "#1", "#2"),
  limit: FastCheck.constantFrom("five_hour", "seven_day"),
  status: FastCheck.constantFrom("allowed", "allowed_warning", "rejected"),
  resetsAt: FastCheck.option(FastCheck.integer({ min: 0 })),
  utilization: FastCheck.option(FastCheck.constantFrom(0, 0.5, 1)),
  overage: FastCheck.boolean(),
  seenAt: FastCheck.constant(0)
})

const sorted = (windows: ReadonlyArray<UsageWindow>): ReadonlyArray<UsageWindow> =>
  [...windows].sort((one, other) => keyOf(one) < keyOf(other) ? -1 : 1)

const keyOf = ({ account, limit }: UsageWindow): string => `${account}\n${limit}`
