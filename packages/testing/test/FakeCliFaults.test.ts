import * as Claude from "@ccflow/core/Claude"
import { CliProcess, defaultGraces } from "@ccflow/core/CliProcess"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream, TestClock } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { at, type Frame, start } from "./fakeCli.js"

const recording = (name: string): ReadonlyArray<Frame> =>
  readFileSync(fileURLToPath(new URL(`../../../test/recordings/${name}/stdout.ndjson`, import.meta.url)), "utf8")
    .trim().split("\n").map((line) => JSON.parse(line) as Frame)

/** Where one of the API's servers is, as the recording's has been. */
const ofServer = (text: unknown) => String(text).replace(/ If it persists, .*/, "")
const facts = ["error", "is_api_error_message", "api_error_status", "api_error_type", "api_error"]
const ends = ["subtype", "is_error", "terminal_reason", "stop_reason", "num_turns", "total_cost_usd", "modelUsage"]
const pick = (frame: Frame, names: ReadonlyArray<string>) =>
  Object.fromEntries(names.filter((name) => frame[name] !== undefined).map((name) => [name, frame[name]]))

/** What is told, without ids, times and what the surroundings add. */
const essence = (frame: Frame, texts: boolean): unknown => {
  switch (frame["type"]) {
    case "assistant":
      return ["assistant", pick(frame, facts), texts ? ofServer(at(frame, "message.content.0.text")) : ""]
    case "result":
      return ["result", pick(frame, [...facts, ...ends]), texts ? ofServer(frame["result"]) : ""]
    case "rate_limit_event": {
      const { unifiedWindows: _, ...info } = frame["rate_limit_info"] as Frame
      return info
    }
    case "system":
      return [frame["subtype"], pick(frame, ["error_status", "error"])]
    default:
      return [frame["type"], frame["state"]]
  }
}
/** How often the CLI tries again was set in the recordings. */
const told = (frames: ReadonlyArray<Frame>, texts: boolean) =>
  frames.map((frame) => JSON.stringify(essence(frame, texts))).filter((one, index, all) => one !== all[index - 1])
    .map((one) => JSON.parse(one) as unknown)

const faults: Readonly<Record<string, FakeCli.Turn>> = {
  "api-529": FakeCli.overloaded,
  "api-429-key": FakeCli.rateLimited(),
  "api-429-subscription": FakeCli.usageLimit({ resetsAt: 1_795_363_200_000 }),
  "connection-refused": FakeCli.offline,
  "not-logged-in": FakeCli.loggedOut
}

describe.each(["2.1.330", "2.1.197"] as const)("a fault is told as claude %s was recorded to tell it", (version) => {
  for (const [name, turn] of Object.entries(faults)) {
    it.scoped(name, () =>
      Effect.gen(function*() {
        const { cli, frames, prompt } = yield* start()
        yield* prompt("What is 2+2?", 1)
        yield* cli.closeInput
        yield* TestClock.adjust("1 second")
        // The prose of the older version is another one.
        const texts = version === "2.1.330"
        assert.deepStrictEqual(told(frames, texts), told(recording(`${name}-${version}`), texts))
        assert.deepStrictEqual(yield* cli.exit, { code: 1, signal: null })
      }).pipe(Effect.provide(FakeCli.layer({ version, turns: [turn] }))))
  }
})

describe("a fault", () => {
  const errorOf = (...turns: readonly [FakeCli.Turn, ...ReadonlyArray<FakeCli.Turn>]) =>
    Effect.flip(Claude.text("x")).pipe(Effect.provide(FakeClaude.layer(FakeCli.sequence(...turns))))

  it.effect("becomes the error that the program gets from the real one", () =>
    Effect.gen(function*() {
      const tags = yield* Effect.forEach(
        [...Object.values(faults), [FakeCli.init(), FakeCli.exit(0)], [FakeCli.crashAfter(1), ...FakeCli.answer("4")]],
        (turn) => Effect.map(errorOf(turn), ({ _tag }) => _tag)
      )
      assert.deepStrictEqual(tags, [
        "OverloadedError",
        "ApiError",
        "UsageLimitError",
        "ApiError",
        "AuthenticationError",
        "MissingResultError",
        "CliExitError"
      ])
    }))

  it.effect("a window's reset is the moment that was said, in whole seconds", () =>
    Effect.gen(function*() {
      const error = yield* errorOf(FakeCli.usageLimit({ resetsAt: new Date(7_200_001), limit: "seven_day" }))
      assert.deepInclude(error, { _tag: "UsageLimitError", limit: "seven_day", resetsAt: 7_201_000 })
    }))

  it.effect("a wait that the API asked for is said, and then waited", () =>
    Effect.gen(function*() {
      const asked = yield* Effect.fork(Stream.runCollect(Stream.either(Claude.query("x"))))
      yield* TestClock.adjust("2999 millis")
      assert.isNull(asked.unsafePoll())
      yield* TestClock.adjust("1 milli")
      const retries = Array.from(yield* Fiber.join(asked)).filter((one) =>
        one._tag === "Right" && one.right._tag === "ApiRetry" && one.right.delayMs === 3000
      )
      assert.lengthOf(retries, 1)
    }).pipe(Effect.provide(FakeClaude.layer([FakeCli.rateLimited({ retryAfter: "3 seconds" })]))))

  it.scoped("crashAfter lets exactly so many frames out, wherever that is, and no step after them", () =>
    Effect.gen(function*() {
      const all = 10
      for (let frames = 0; frames <= all + 1; frames++) {
        const seen = yield* Effect.gen(function*() {
          const { cli, frames, prompt } = yield* start(["--include-partial-messages"])
          yield* prompt("x")
          return { frames: frames.length, ended: frames.length === all ? undefined : yield* cli.exit }
        }).pipe(
          Effect.provide(
            FakeCli.layer([[FakeCli.crashAfter(frames, FakeCli.exit(9)), ...FakeCli.answer("one two", { deltas: 2 })]])
          )
        )
        assert.deepStrictEqual(seen, {
          frames: Math.min(frames, all),
          ended: frames < all ? { code: 9, signal: null } : undefined
        })
      }
    }))

  it.effect("a sequence is that of the prompts, whatever process they go to, and its last turn stays", () =>
    Effect.gen(function*() {
      const asked = yield* Effect.all(Array.from({ length: 4 }, () => Effect.either(Claude.text("x"))))
      assert.deepStrictEqual(asked.map((one) => one._tag === "Right" ? one.right : one.left._tag), [
        "OverloadedError",
        "CliExitError",
        "4",
        "4"
      ])
    }).pipe(
      Effect.provide(FakeClaude.layer(FakeCli.sequence(FakeCli.overloaded, [FakeCli.exit(1)], FakeCli.answer("4"))))
    ))

  it.effect("costs nothing where the API refused, and is not billed to the turn that follows", () =>
    Effect.gen(function*() {
      const { cli, prompt, results } = yield* Effect.flatMap(Effect.scope, () => start())
      yield* prompt("a")
      yield* prompt("b")
      assert.deepStrictEqual(results().map((frame) => frame["total_cost_usd"]), [0, 0.001])
      yield* cli.closeInput
      assert.deepStrictEqual(yield* cli.exit, { code: 0, signal: null })
    }).pipe(Effect.scoped, Effect.provide(FakeCli.layer([FakeCli.overloaded, FakeCli.answer("4")]))))
})

describe("a reader that is slow", () => {
  it.scoped("holds up a CLI whose pipe is full, which prints on where it was", () =>
    Effect.gen(function*() {
      const { open } = yield* CliProcess
      const cli = yield* open({ command: "claude", args: [], env: {}, files: [], graces: defaultGraces })
      const { only } = yield* FakeCli.FakeCli
      yield* cli.send(`${JSON.stringify({ type: "user", message: { role: "user", content: "x" } })}\n`)
      yield* TestClock.adjust("1 hour")
      const { printed } = yield* only
      assert.isAbove(printed, 10)
      assert.isBelow(printed, 500)
      const texts: Array<unknown> = []
      const decoder = new TextDecoder()
      while (texts.at(-1) !== "done") {
        const chunks = yield* cli.stdout
        for (const line of chunks.map((chunk) => decoder.decode(chunk)).join("").trim().split("\n")) {
          const frame = JSON.parse(line) as Frame
          texts.push(frame["result"] ?? at(frame, "message.content.0.text"))
        }
        yield* TestClock.adjust("1 milli")
      }
      assert.deepStrictEqual(texts.slice(1, -1), Array.from({ length: 500 }, (_, n) => `line ${n}`))
      assert.strictEqual((yield* only).printed, 502)
    }).pipe(Effect.provide(FakeCli.layer({
      pipeBytes: 4096,
      turns: [[
        FakeCli.init(),
        ...Array.from({ length: 500 }, (_, n) => FakeCli.text(`line ${n}`)),
        FakeCli.result({ result: "done" })
      ]]
    }))))
})
