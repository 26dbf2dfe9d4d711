import * as Claude from "@ccflow/core/Claude"
import type { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as Events from "@ccflow/core/Events"
import * as Logs from "@ccflow/core/Logs"
import * as Policies from "@ccflow/core/Policies"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber, Layer, Stream, TestClock, Tracer } from "effect"
import { overloaded } from "./attempts.js"
import { recorder } from "./spans.js"

interface Written {
  readonly stdout: Array<string>
  readonly stderr: Array<string>
}

/** Runs it with a console that only remembers. */
const written = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Written, E, R> =>
  Effect.consoleWith((console) => {
    const stdout: Array<string> = []
    const stderr: Array<string> = []
    return Effect.withConsole(effect, {
      ...console,
      unsafe: {
        ...console.unsafe,
        log: (...parts: ReadonlyArray<unknown>) => stdout.push(parts.join(" ")),
        error: (...parts: ReadonlyArray<unknown>) => stderr.push(parts.join(" "))
      }
    }).pipe(Effect.as({ stdout, stderr }))
  })

const variables = (map: Readonly<Record<string, string>>) =>
  Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(map)), { pathDelim: "_" }))

/** A line of JSON. */
interface Line {
  readonly message: string
  readonly logLevel: string
  readonly annotations: Readonly<Record<string, unknown>>
}
const parsed = (lines: ReadonlyArray<string>): ReadonlyArray<Line> => lines.map((line) => JSON.parse(line))

const prompt = "a prompt that nobody is to read"

/** A query whose log lines are JSON, at this level. */
const asking = (
  level: Logs.Level,
  script: Parameters<typeof FakeCli.layer>[0],
  ask: Effect.Effect<unknown, unknown, Claude.Claude> = Effect.exit(Claude.text(prompt))
) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(ask)
    yield* TestClock.adjust("10 minutes")
    yield* Fiber.join(fiber)
  }).pipe(
    Effect.provide(FakeClaude.layerWith(script, Policies.layer)),
    Effect.provide(Logs.layerEvents.pipe(
      Layer.provideMerge(Events.layer),
      Layer.provideMerge(Logs.layer({ level, format: "json" }))
    )),
    written,
    Effect.map(({ stderr, stdout }) => {
      assert.deepStrictEqual(stdout, [])
      return parsed(stderr)
    })
  )

describe("log lines", () => {
  it.effect("go to stderr as logfmt, from the level on that is asked for", () =>
    Effect.gen(function*() {
      const log = Effect.zipRight(
        Effect.logInfo("quiet"),
        Effect.logWarning("loud").pipe(Effect.annotateLogs({ n: 1 }))
      )
      const { stderr, stdout } = yield* written(Effect.provide(log, Logs.layer()))
      assert.deepStrictEqual(stdout, [])
      assert.strictEqual(stderr.length, 1)
      assert.match(stderr[0]!, /^timestamp=1970-01-01T00:00:00.000Z level=WARN fiber=#\d+ message=loud n=1$/)
      const none = yield* written(Effect.provide(Effect.logError("x"), Logs.layer({ level: "none" })))
      assert.deepStrictEqual(none.stderr, [])
    }))

  it.effect("have no secrets, whoever writes them and wherever they stand", () =>
    Effect.gen(function*() {
      const key = "sk-ant-api03-0123456789abcdef"
      const log = Effect.logError(`a key: ${key}`, { token: "t0ps3cretvalue" }).pipe(
        Effect.annotateLogs({ authorization: "Bearer abcdefgh", header: "planted-value-1" }),
        Effect.zipRight(Effect.logError("cause", Effect.fail(key)))
      )
      for (const format of ["logfmt", "json"] as const) {
        const { stderr } = yield* written(
          Effect.provide(log, Logs.layer({ format, secrets: ["planted-value-1"] }))
        )
        for (const secret of [key, "t0ps3cretvalue", "abcdefgh", "planted-value-1"]) {
          assert.notInclude(stderr.join("\n"), secret)
        }
        assert.include(stderr.join("\n"), "<redacted>")
        if (format === "json") parsed(stderr)
      }
    }))

  it.effect("cannot steer a terminal", () =>
    Effect.gen(function*() {
      const { stderr } = yield* written(Effect.provide(Effect.logError("a\u001b[31mb\rc\u009bd"), Logs.layer()))

      assert.notMatch(stderr[0]!, /[\u0000-\u001f\u007f-\u009f]/)
    }))
})

describe("the environment", () => {
  const level = (map: Readonly<Record<string, string>>, options?: Logs.LogOptions) =>
    written(
      Effect.provide(
        Effect.zipRight(Effect.logDebug("debug"), Effect.logWarning("warning")),
        Layer.provide(Logs.layerConfig(options), variables(map))
      )
    ).pipe(Effect.map(({ stderr }) => stderr.map((line) => /message"?[=:]"?(\w+)/.exec(line)?.[1])))

  it.effect("says how much is logged, and how", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* level({}), ["warning"])
      assert.deepStrictEqual(yield* level({ CCFLOW_LOG_LEVEL: "" }), ["warning"])
      assert.deepStrictEqual(yield* level({ CCFLOW_LOG_LEVEL: "DEBUG" }), ["debug", "warning"])
      assert.deepStrictEqual(yield* level({ CCFLOW_LOG_LEVEL: "none" }), [])
      assert.deepStrictEqual(yield* level({ CCFLOW_LOG_LEVEL: "error" }, { level: "trace" }), [])
      assert.deepStrictEqual(yield* level({ CCFLOW_LOG_FORMAT: "json" }, { level: "trace" }), ["debug", "warning"])
    }))

  it.effect("is told which variable is wrong, and what it may be", () =>
    Effect.gen(function*() {
      for (const name of ["CCFLOW_LOG_LEVEL", "CCFLOW_LOG_FORMAT"]) {
        const error: InvalidOptionsError = yield* Effect.flip(level({ [name]: "loud" }))
        assert.strictEqual(error.field, name)
        assert.match(error.detail, name === "CCFLOW_LOG_LEVEL" ? /none, error, warning, info, debug, trace/ : /logfmt/)
      }
    }))
})

describe("a query's lines", () => {
  it.effect("tell its start and its end, each with the call, the session and the trace", () =>
    Effect.gen(function*() {
      const seen = recorder()
      const lines = yield* Effect.provide(
        asking("trace", [[
          FakeCli.init(),
          FakeCli.toolUse("t1", "Bash", { command: prompt }),
          FakeCli.toolResult("t1", prompt),
          FakeCli.text(prompt),
          FakeCli.result({ result: prompt, total_cost_usd: 0.5 })
        ]]),
        seen.layer
      )
      const messages = lines.map(({ message }) => message)
      assert.strictEqual(messages[0], "query started")
      assert.includeMembers(messages, ["tool called", "tool finished", "message", "query ended"])
      const { traceId } = seen.only("claude.query")
      const callIds = new Set(lines.map(({ annotations }) => annotations["callId"]))
      assert.strictEqual(callIds.size, 1)
      for (const { annotations, message } of lines) {
        assert.match(String(annotations["callId"]), /^[0-9a-f-]{36}$/, message)
        assert.strictEqual(annotations["traceId"], traceId, message)
      }
      const end = lines.find(({ message }) => message === "query ended")!
      assert.strictEqual(end.logLevel, "INFO")
      assert.strictEqual(end.annotations["outcome"], "success")
      assert.strictEqual(end.annotations["costUsd"], 0.5)
      assert.isString(end.annotations["sessionId"])
      assert.notInclude(JSON.stringify(lines), prompt)
    }))

  it.effect("have an id of the same form where nothing is traced", () =>
    Effect.gen(function*() {
      const lines = yield* asking("debug", [FakeCli.answer(prompt)])
      for (const { annotations: { callId, traceId } } of lines) {
        assert.match(String(traceId), /^[0-9a-f]{32}$/)
        assert.strictEqual(String(callId).replaceAll("-", ""), traceId)
      }
      assert.isAbove(lines.length, 1)
    }))

  it.effect("tell a failure's tag and facts, and what is tried again as a warning, without what was said", () =>
    Effect.gen(function*() {
      const busy = FakeCli.apiError({ status: 529, code: "overloaded", type: "overloaded_error", message: prompt })
      const lines = yield* asking("info", [busy])
      assert.deepStrictEqual(
        [...new Set(lines.map(({ logLevel, message }) => `${logLevel} ${message}`))],
        ["WARN trying again", "INFO query ended"]
      )
      const end = lines.at(-1)!.annotations
      assert.strictEqual(end["outcome"], "failure")
      assert.strictEqual(end["error"], "OverloadedError")
      assert.notInclude(JSON.stringify(lines), prompt)
      const loud = yield* asking("warning", [busy])
      assert.deepStrictEqual([...new Set(loud.map(({ message }) => message))], ["trying again"])
      for (const { annotations } of loud) assert.isString(annotations["callId"])
    }))

  it.effect("that the program or a policy writes itself belong to the call as well", () =>
    Effect.gen(function*() {
      const log = Effect.provide(
        Effect.logWarning("inner"),
        Logs.layer({ format: "json" })
      )
      const from = Tracer.externalSpan({ traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" })
      const { stderr } = yield* written(Effect.withParentSpan(log, from))
      assert.strictEqual(parsed(stderr)[0]!.annotations["traceId"], "0af7651916cd43dd8448eb211c80319c")
    }))

  it.effect("are written at once, also where no fiber runs; nothing listens where nothing is logged", () =>
    Effect.gen(function*() {
      const logged = (level: Logs.Level, silent: boolean) =>
        Effect.gen(function*() {
          const events = yield* Events.Events
          assert.strictEqual(events.silent(), silent)
          const tell = () => events.tell({ _tag: "Retrying", callId: "c-1", attempt: 2, delayMs: 5, error: overloaded })
          yield* Effect.promise(() => Promise.resolve().then(tell))
        }).pipe(
          Effect.provide(Logs.layerEvents.pipe(
            Layer.provideMerge(Events.layer),
            Layer.provideMerge(Logs.layer({ level, format: "json" }))
          )),
          written
        )
      const [line] = parsed((yield* logged("warning", false)).stderr)
      assert.deepStrictEqual(line!.annotations, {
        attempt: 2,
        delayMs: 5,
        error: "OverloadedError",
        "error.exitCode": 1,
        callId: "c-1",
        traceId: "c1"
      })
      assert.deepStrictEqual((yield* logged("none", true)).stderr, [])
      assert.deepStrictEqual((yield* logged("error", true)).stderr, [])
    }))

  it.effect("of a wait whose end is no date say all but that", () =>
    Effect.gen(function*() {
      const events = yield* Events.Events
      events.tell({ _tag: "Parked", callId: "c-1", limit: "five_hour", until: Infinity })
    }).pipe(
      Effect.provide(Logs.layerEvents.pipe(
        Layer.provideMerge(Events.layer),
        Layer.provideMerge(Logs.layer({ level: "warning", format: "json" }))
      )),
      written,
      Effect.map(({ stderr }) => assert.deepInclude(parsed(stderr)[0]?.annotations, { limit: "five_hour" }))
    ))

  it.effect("of a session have its id", () =>
    Effect.gen(function*() {
      const turns = Effect.scoped(Effect.gen(function*() {
        const session = yield* Effect.flatMap(Claude.Claude, (claude) => claude.session({ sessionId: id }))
        yield* Stream.runDrain(session.send(prompt))
        yield* Stream.runDrain(session.send(prompt))
      }))
      const lines = yield* asking("info", { respond: () => FakeCli.answer("ok") }, turns)
      const ends = lines.filter(({ message }) => message === "turn ended")
      assert.deepStrictEqual(
        ends.map(({ annotations: { outcome, sessionId, turn } }) => [turn, outcome, sessionId]),
        [[1, "success", id], [2, "success", id]]
      )
    }))
})

const id = "5e551011-0000-4000-8000-000000000001"
