import * as Claude from "@ccflow/core/Claude"
import * as Policies from "@ccflow/core/Policies"
import * as UsageLimit from "@ccflow/core/UsageLimit"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert } from "@effect/vitest"
import { Effect, Exit, type Fiber, Layer, Stream } from "effect"

/** A moment of the CLI's, which counts in whole seconds. */
export const at = (seconds: number) => seconds * 1000

type Info = Readonly<Record<string, unknown>>

/** What the CLI says of its windows. */
export const says = (info: Info): FakeCli.Step =>
  FakeCli.emit({
    type: "rate_limit_event",
    rate_limit_info: { overageStatus: "rejected", isUsingOverage: false, ...info }
  })

export const error: FakeCli.Turn = FakeCli.apiError({
  status: 429,
  code: "rate_limit",
  type: "rate_limit_error",
  message: "You've hit your limit"
}).slice(1)

/** The window is used up: the turn is refused. */
export const rejected = (rateLimitType: string, seconds: number | undefined, info: Info = {}): FakeCli.Turn => [
  FakeCli.init(),
  says({ status: "rejected", rateLimitType, resetsAt: seconds, ...info }),
  ...error
]

/** An answer, with what the CLI says of a window. */
export const allowed = (info: Info, text = "yes"): FakeCli.Turn => [
  FakeCli.init(),
  FakeCli.text(text),
  says({ status: "allowed", rateLimitType: "five_hour", ...info }),
  FakeCli.result({ result: text })
]

/** The n-th process plays the n-th turn, those after them the last. */
export const inTurn = (...turns: ReadonlyArray<FakeCli.Turn>) => (index: number): FakeCli.Script => ({
  turns: [turns[Math.min(index, turns.length - 1)] ?? []]
})

type Script = Parameters<typeof FakeClaude.layer>[0]

/** With no other policy around. */
export const claude = <E, R>(script: Script, usageLimit: Layer.Layer<UsageLimit.UsageLimit, E, R>) =>
  FakeClaude.layerWith(script, Layer.merge(Policies.layerNoop, usageLimit))

export const claudeWith = (script: Script, options: UsageLimit.UsageLimitOptions = {}) =>
  claude(script, UsageLimit.layer(options))

export const starts = Effect.flatMap(
  FakeCli.FakeCli,
  (fake) => Effect.map(fake.started, (started) => started.length)
)

export const prompts = Effect.flatMap(FakeCli.FakeCli, (fake) => fake.prompts)

export const parked = Effect.flatMap(UsageLimit.UsageLimit, (usage) => usage.parked)

export const windows = Effect.flatMap(UsageLimit.UsageLimit, (usage) => usage.windows)

/** Asks beside the test. */
export const ask = (prompt = "hi", options?: Claude.ClaudeOptions) => Effect.fork(Claude.text(prompt, options))

/** Collects what a stream tells from now on. */
export const recorded = <A, R>(stream: Stream.Stream<A, never, R>) =>
  Effect.gen(function*() {
    const seen: Array<A> = []
    yield* Effect.forkScoped(Stream.runForEach(stream, (one) => Effect.sync(() => seen.push(one))))
    for (let i = 0; i < 10; i++) yield* Effect.yieldNow()
    return seen
  })

export const waits = (fiber: Fiber.RuntimeFiber<unknown, unknown>) =>
  Effect.map(fiber.poll, (exit) => assert.isTrue(exit._tag === "None", "it waits no more"))

export const answers = (fiber: Fiber.RuntimeFiber<string, unknown>, text = "yes") =>
  Effect.map(
    fiber.poll,
    (exit) => assert.deepStrictEqual(exit._tag === "Some" ? exit.value : "it waits", Exit.succeed(text))
  )

/** What a call fails with. */
export const refused = (options?: Claude.ClaudeOptions) =>
  Effect.map(
    Effect.flip(Claude.text("hi", options)),
    (error) => error._tag === "UsageLimitError" ? error : assert.fail(`${error._tag}: ${error.message}`)
  )
