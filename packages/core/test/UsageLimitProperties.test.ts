import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, it } from "@effect/vitest"
import { Effect, FastCheck, Fiber, Option, TestClock, TestContext } from "effect"
import { ask, claudeWith, parked, prompts, rejected } from "./usage.js"

const deeds = FastCheck.array(FastCheck.constantFrom("answers", "answers", "dies", "rejects", "hangs"), {
  maxLength: 8
})

const calls = FastCheck.array(
  FastCheck.record({
    after: FastCheck.constantFrom(0, 1, 500, 30_000),
    /** Interrupted so long after the last has come. */
    until: FastCheck.option(FastCheck.integer({ min: 1, max: 300_000 }), { freq: 3 })
  }),
  { minLength: 1, maxLength: 8 }
)

/** What the n-th process does; the first closes the window, and each rejection closes it for 100 seconds more. */
const turnOf = (deeds: ReadonlyArray<string>, index: number): FakeCli.Turn => {
  const deed = index === 0 ? "rejects" : deeds[index - 1] ?? "answers"
  const rejections = 1 + deeds.slice(0, Math.max(0, index - 1)).filter((other) => other === "rejects").length
  switch (deed) {
    case "rejects":
      return rejected("five_hour", 100 * (index === 0 ? 1 : rejections + 1))
    case "dies":
      return [FakeCli.init(), FakeCli.exit(1)]
    case "hangs":
      return [FakeCli.init(), FakeCli.hang]
    default:
      return [FakeCli.init(), FakeCli.delay("1 second"), ...FakeCli.answer("yes").slice(1)]
  }
}

it.effect(
  "every call ends, in whatever order they come, are refused, die, hang or are given up; none overtakes",
  () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(deeds, calls, (deeds, calls) =>
          Effect.runPromise(
            Effect.gen(function*() {
              const fibers: Array<Fiber.RuntimeFiber<string, unknown>> = []
              for (const [index, { after }] of calls.entries()) {
                yield* TestClock.adjust(after)
                fibers.push(yield* ask(String(index), { stallTimeout: "20 seconds" }))
              }
              yield* Effect.forEach(calls, ({ until }, index) =>
                until === null || fibers[index] === undefined
                  ? Effect.void
                  : Effect.fork(Effect.delay(Fiber.interrupt(fibers[index]), until)))
              yield* TestClock.adjust("40 minutes")
              const ends = yield* Effect.forEach(fibers, (fiber) => fiber.poll)
              assert.deepStrictEqual(ends.filter(Option.isNone), [])
              assert.deepStrictEqual(yield* parked, [])
              // In the order of coming, each with those that it is made again.
              const asked = (yield* prompts).map(Number)
              const firsts = asked.filter((prompt, at) => asked.indexOf(prompt) === at)
              assert.deepStrictEqual(firsts, [...firsts].sort((one, other) => one - other))
              const fake = yield* FakeCli.FakeCli
              assert.isTrue((yield* fake.started).every(({ running }) => !running))
            }).pipe(
              Effect.scoped,
              Effect.provide(claudeWith((index) => ({ turns: [turnOf(deeds, index)] }), { maxWait: "3 hours" })),
              Effect.provide(TestContext.TestContext)
            )
          )),
        { numRuns: 8 }
      )
    ),
  60_000
)
