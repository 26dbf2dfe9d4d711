import * as Claude from "@ccflow/core/Claude"
import * as ClaudeConfig from "@ccflow/core/ClaudeConfig"
import type { Invocation } from "@ccflow/core/CliProcess"
import * as MessageParser from "@ccflow/core/MessageParser"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Exit, Layer, TestClock } from "effect"

type Variables = Readonly<Record<string, string>>

const environment = (variables: Variables) =>
  Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables)), { pathDelim: "_" }))

const claude = (
  variables: Variables,
  client: Parameters<typeof ClaudeConfig.layerWith>[0] = {},
  turn = FakeCli.answer("ok")
) =>
  Claude.layer.pipe(
    Layer.provideMerge(Layer.mergeAll(FakeCli.layer([turn]), MessageParser.layer, ClaudeConfig.layerWith(client))),
    Layer.provide(environment(variables))
  )

const started: Effect.Effect<Invocation, never, FakeCli.FakeCli> = Effect.gen(function*() {
  const fake = yield* FakeCli.FakeCli
  const [first] = yield* fake.started
  return first?.invocation ?? assert.fail("nothing was started")
})

const modelOf = ({ args }: Invocation) => args.filter((arg) => arg.startsWith("--model="))

describe("where an option comes from", () => {
  it.effect("without any, no model is forced and the CLI is the one on the PATH", () =>
    Effect.gen(function*() {
      yield* Claude.text("hi")
      const invocation = yield* started
      assert.deepStrictEqual(modelOf(invocation), [])
      assert.strictEqual(invocation.command, "claude")
    }).pipe(Effect.provide(claude({}))))

  it.effect("from the environment, where nothing else is given", () =>
    Effect.gen(function*() {
      yield* Claude.text("hi")
      const invocation = yield* started
      assert.deepStrictEqual(modelOf(invocation), ["--model=from-environment"])
      assert.strictEqual(invocation.command, "/opt/claude")
    }).pipe(
      Effect.provide(claude({ CCFLOW_DEFAULT_MODEL: "from-environment", CCFLOW_CLI_PATH: "/opt/claude" }))
    ))

  it.effect("from the client, over the environment", () =>
    Effect.gen(function*() {
      yield* Claude.text("hi")
      const invocation = yield* started
      assert.deepStrictEqual(modelOf(invocation), ["--model=from-client"])
      assert.strictEqual(invocation.command, "/home/claude")
    }).pipe(
      Effect.provide(
        claude({ CCFLOW_DEFAULT_MODEL: "from-environment", CCFLOW_CLI_PATH: "/opt/claude" }, {
          model: "from-client",
          cliPath: "/home/claude"
        })
      )
    ))

  it.effect("from the fiber's options, over the client", () =>
    Effect.gen(function*() {
      yield* Effect.provideService(Claude.text("hi"), ClaudeConfig.CurrentOptions, { model: "from-fiber" })
      assert.deepStrictEqual(modelOf(yield* started), ["--model=from-fiber"])
    }).pipe(Effect.provide(claude({}, { model: "from-client" }))))

  it.effect("from the call, over everything", () =>
    Effect.gen(function*() {
      yield* Effect.provideService(
        Claude.text("hi", { model: "from-call", env: { C: "call" } }),
        ClaudeConfig.CurrentOptions,
        { model: "from-fiber", maxTurns: 2, env: { B: "fiber", C: "fiber" } }
      )
      const invocation = yield* started
      assert.deepStrictEqual(modelOf(invocation), ["--model=from-call"])
      assert.include(invocation.args, "--max-turns=2")
      assert.deepInclude(invocation.env, { A: "client", B: "fiber", C: "call" })
    }).pipe(
      Effect.provide(
        claude({ CCFLOW_DEFAULT_MODEL: "from-environment" }, {
          model: "from-client",
          env: { A: "client", C: "client" }
        })
      )
    ))
})

describe("CCFLOW_DEFAULT_TIMEOUT", () => {
  it.effect("counts seconds", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(Effect.flip(Claude.text("hi")))
      yield* TestClock.adjust(Duration.millis(1499))
      assert.strictEqual(fiber.unsafePoll(), null)
      yield* TestClock.adjust(Duration.minutes(1))
      const error = yield* fiber
      assert.strictEqual(error._tag, "CliTimeoutError")
      if (error._tag === "CliTimeoutError") assert.deepInclude(error, { phase: "total", timeoutMs: 1500 })
    }).pipe(Effect.provide(claude({ CCFLOW_DEFAULT_TIMEOUT: "1.5" }, {}, [FakeCli.init(), FakeCli.hang]))))
})

const built = (variables: Variables, client: Parameters<typeof ClaudeConfig.layerWith>[0] = {}) =>
  ClaudeConfig.ClaudeConfig.pipe(
    Effect.provide(ClaudeConfig.layerWith(client).pipe(Layer.provide(environment(variables)))),
    Effect.exit
  )

describe("a bad variable", () => {
  const bad: ReadonlyArray<readonly [name: string, value: string, said: string]> = [
    ["CCFLOW_DEFAULT_TIMEOUT", "0", "it must be a number of seconds above 0"],
    ["CCFLOW_DEFAULT_TIMEOUT", "-5", "it must be a number of seconds above 0"],
    ["CCFLOW_DEFAULT_TIMEOUT", "5 minutes", "it must be a number of seconds above 0"],
    ["CCFLOW_DEFAULT_MODEL", "-opus", "it must not start with \"-\""],
    ["CCFLOW_DEFAULT_MODEL", "  ", "it must not be empty"],
    ["CCFLOW_CLI_PATH", " ", "it must not be empty"]
  ]
  it.effect.each(bad.map(([name, value, said]) => ({ name, value, said })))(
    "is named: $name=$value",
    ({ name, said, value }) =>
      Effect.gen(function*() {
        const exit = yield* built({ [name]: value, CCFLOW_OTHER: "x" }, { model: "opus", timeout: 5, cliPath: "/x" })
        const message = `Invalid option ${name}: ${said}. Correct the variable or remove it from the environment.`
        assert.isTrue(Exit.isFailure(exit))
        if (Exit.isFailure(exit)) {
          assert.deepInclude(exit.cause, { _tag: "Fail" })
          if (exit.cause._tag === "Fail") {
            assert.strictEqual(exit.cause.error._tag, "InvalidOptionsError")
            assert.strictEqual(exit.cause.error.message, message)
          }
        }
      })
  )

  it.effect("an empty one says nothing", () =>
    Effect.gen(function*() {
      const exit = yield* built({ CCFLOW_DEFAULT_TIMEOUT: "", CCFLOW_DEFAULT_MODEL: "", CCFLOW_CLI_PATH: "" })
      assert.deepStrictEqual(exit, Exit.succeed({ defaults: {} }))
    }))

  it.effect("a client's bad option is refused when the client is made, by the option's name", () =>
    Effect.gen(function*() {
      const exit = yield* built({}, { maxTurns: 0 })
      assert.isTrue(Exit.isFailure(exit))
      if (Exit.isFailure(exit) && exit.cause._tag === "Fail") assert.strictEqual(exit.cause.error.field, "maxTurns")
      else assert.fail("not a failure")
    }))

  it.effect("a call's bad option is refused before a process is started", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Claude.text("hi", { maxTurns: 0 }))
      assert.deepInclude(error, { _tag: "InvalidOptionsError", field: "maxTurns" })
      const fake = yield* FakeCli.FakeCli
      assert.lengthOf(yield* fake.started, 0)
    }).pipe(Effect.provide(claude({}))))
})
