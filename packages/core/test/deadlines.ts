import * as Claude from "@ccflow/core/Claude"
import { ClaudeConfig } from "@ccflow/core/ClaudeConfig"
import type { CliTimeoutError } from "@ccflow/core/ClaudeError"
import { CliProcess, type RunningCli } from "@ccflow/core/CliProcess"
import { Concurrency } from "@ccflow/core/Concurrency"
import * as Deadline from "@ccflow/core/Deadline"
import * as MessageParser from "@ccflow/core/MessageParser"
import * as Policies from "@ccflow/core/Policies"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert } from "@effect/vitest"
import { Effect, Layer, Stream, TestClock } from "effect"
import { failureOf, follow, type Followed, processes } from "./sessions.js"

interface Setting {
  readonly deadlines?: Deadline.DeadlineOptions
  readonly change?: (cli: RunningCli) => RunningCli
  /** What a process waits for before it may be. */
  readonly slot?: Effect.Effect<void>
}

export const layerOf = (
  script: Parameters<typeof FakeCli.layer>[0],
  { change, deadlines = {}, slot }: Setting = {}
) => {
  const fake = FakeCli.layer(script)
  const cli = Layer.effect(
    CliProcess,
    Effect.map(CliProcess, ({ open }) => ({ open: (plan) => Effect.map(open(plan), change ?? ((it) => it)) }))
  )
  const limited = slot === undefined ? Policies.layerNoop : Layer.merge(
    Policies.layerNoop,
    Layer.effect(
      Concurrency,
      Effect.map(
        Concurrency,
        (free) => ({ ...free, acquire: (wait) => Effect.zipRight(wait(slot), free.acquire(wait)) })
      )
    ).pipe(Layer.provide(Policies.layerNoop))
  )
  return Claude.layerWith().pipe(
    Layer.provide([
      MessageParser.layer,
      Layer.succeed(ClaudeConfig, { defaults: {} }),
      Layer.provide(cli, fake)
    ]),
    Layer.provideMerge(Layer.mergeAll(fake, limited, Deadline.layer(deadlines))),
    Layer.orDie
  )
}

/** Said in one second per letter. */
export const slowly = (content: string): FakeCli.Turn => [
  FakeCli.init(),
  FakeCli.text(content, { deltas: content.length, every: "1 second" }),
  FakeCli.result({ result: content })
]

export const asking = (options: Claude.ClaudeOptions) =>
  Effect.flatMap(Claude.Claude, ({ query }) => follow(query("x", { includePartialMessages: true, ...options })))

/** Its consumer takes the first message, and the next when this has completed. */
export const pausing = (options: Claude.ClaudeOptions, pause: Effect.Effect<void>) =>
  Effect.flatMap(
    Claude.Claude,
    ({ query }) => follow(Stream.tap(query("x", options), ({ _tag }) => _tag === "Init" ? pause : Effect.void))
  )

export const errorOf = ({ fiber }: Followed): Effect.Effect<CliTimeoutError> =>
  Effect.map(fiber.await, (exit) => {
    const error = failureOf(exit)
    return error._tag === "CliTimeoutError" ? error : assert.fail(error._tag)
  })

/** It ends at this time from now, and no sooner. */
export const endsAfter = (followed: Followed, millis: number) =>
  Effect.gen(function*() {
    yield* TestClock.adjust(millis - 1)
    assert.isFalse(followed.ended(), "too soon")
    yield* TestClock.adjust(1)
    assert.isTrue(followed.ended(), "too late")
  })

export const nothingRuns = Effect.map(processes, ({ running }) => assert.strictEqual(running, 0))
export const unheard = { interrupt: () => FakeCli.unanswered }
export const deaf = (cli: RunningCli): RunningCli => ({ ...cli, interrupt: Effect.void })
export const retry = (delay: number) =>
  FakeCli.emit({
    type: "system",
    subtype: "api_retry",
    attempt: 1,
    max_retries: 10,
    retry_delay_ms: delay,
    error_status: 529,
    error: "overloaded"
  })
export const status = (said: string | null) => FakeCli.emit({ type: "system", subtype: "status", status: said })
export const asksPermission = FakeCli.emit({
  type: "control_request",
  request_id: "q1",
  request: { subtype: "can_use_tool", tool_name: "Bash", input: {}, tool_use_id: "t1" }
})
