import type * as Batch from "@ccflow/core/Batch"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { vi } from "@effect/vitest"
import { Duration, Effect, Fiber, Stream, TestClock } from "effect"

// A busy machine takes its time, whatever the clock of the test says.
vi.setConfig({ testTimeout: 60_000 })

/** What a prompt such as `"name 100 ok"` asks the CLI to do: to work for so many milliseconds, and how to end. */
export const works = (prompt: string): FakeCli.Turn => {
  const [name = "", ms = "0", end = "ok"] = prompt.split(" ")
  const wait = Number(ms) > 0 ? [FakeCli.delay(Number(ms))] : []
  return end === "fail"
    ? [
      ...wait,
      ...FakeCli.apiError({ status: 400, code: "invalid_request", type: "invalid_request_error", message: name })
    ]
    : [FakeCli.init(), ...wait, FakeCli.text(name), FakeCli.result({ result: name, total_cost_usd: 1 })]
}

/** Does what the prompts say. Each answer costs one dollar. */
export const worker = FakeClaude.layer({ respond: works })

export const said = ({ outcome }: Batch.BatchEnd): string =>
  outcome._tag === "Completed"
    ? outcome.result.result
    : outcome._tag === "Failed"
    ? outcome.error._tag
    : `cancelled: ${outcome.reason}`

/** Lets the clock run until it is done. */
export const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(effect)
    yield* TestClock.adjust("1 day")
    return yield* Fiber.join(fiber)
  })

export const collect = <E, R>(ends: Stream.Stream<Batch.BatchEnd, E, R>) =>
  timed(Effect.map(Stream.runCollect(ends), (all) => [...all]))

/** Everything that can be done now is done. */
export const settled = TestClock.adjust(Duration.zero)

/** Processes at once, at the most. */
export const atOnce = Effect.map(
  Effect.flatMap(FakeCli.FakeCli, ({ started }) => started),
  (all) => all.filter(({ running }) => running).length
)

export const promptsSent = Effect.map(
  Effect.flatMap(FakeCli.FakeCli, ({ prompts }) => prompts),
  (all) => all.map(String)
)
