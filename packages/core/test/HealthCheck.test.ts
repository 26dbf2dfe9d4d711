import * as ClaudeConfig from "@ccflow/core/ClaudeConfig"
import { CliNotFoundError, CliSpawnError, InvalidOptionsError } from "@ccflow/core/ClaudeError"
import { CliProcess, type Invocation } from "@ccflow/core/CliProcess"
import * as HealthCheck from "@ccflow/core/HealthCheck"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, ConfigProvider, Effect, FastCheck, Fiber, Layer, Stream, TestClock } from "effect"

const loggedIn = { loggedIn: true, authMethod: "claude.ai", apiProvider: "firstParty", subscriptionType: "max" }

interface Says {
  readonly stdout?: string
  readonly stderr?: string
  readonly code?: number
  readonly signal?: string
  readonly after?: number
}

const script = ({ after = 0, code = 0, signal, stderr = "", stdout = "" }: Says): FakeCli.Script => ({
  start: [
    ...(after === 0 ? [] : [FakeCli.delay(after)]),
    FakeCli.raw(stdout),
    FakeCli.stderr(stderr),
    signal === undefined ? FakeCli.exit(code) : FakeCli.kill(signal)
  ]
})

/** What the CLI says of its version, and of its login. */
interface Cli {
  readonly version?: Says
  readonly status?: Says
  readonly refuse?: CliNotFoundError | CliSpawnError
}

const isVersion = ({ args }: Invocation) => args[0] === "--version"

const cliLayer = (cli: () => Cli) =>
  FakeCli.layer((_, invocation) => {
    const { refuse, status, version } = cli()
    if (refuse !== undefined) return { refuse }
    return isVersion(invocation)
      ? script(version ?? { stdout: "2.1.330 (Claude Code)\n" })
      : script(status ?? { stdout: JSON.stringify(loggedIn) })
  })

const layer = (cli: Cli | (() => Cli), options?: HealthCheck.HealthCheckOptions) =>
  Layer.provideMerge(
    HealthCheck.layer(options),
    Layer.merge(cliLayer(typeof cli === "function" ? cli : () => cli), ClaudeConfig.layerWith({}))
  )

const check = (options?: HealthCheck.CheckOptions) =>
  Effect.flatMap(HealthCheck.HealthCheck, (health) => health.check(options))

const asked = Effect.flatMap(
  FakeCli.FakeCli,
  ({ started }) => Effect.map(started, (all) => all.map(({ invocation }) => invocation.args.join(" ")))
)

const found = (cli: Cli) => Effect.provide(check(), layer(cli))

const problemsOf = (status: HealthCheck.HealthStatus) =>
  status.problems.map(({ check, severity }) => `${check} ${severity}`)

const spent = (after: number) => (says: Says): Says => ({ ...says, after })

describe("what it finds", () => {
  it.effect("a CLI that is logged in is healthy, and it says who pays", () =>
    Effect.gen(function*() {
      const status = yield* check()
      assert.deepStrictEqual(status, {
        healthy: true,
        cli: "claude",
        cliFound: true,
        cliVersion: "2.1.330",
        authenticated: true,
        account: {
          payer: "subscription",
          source: "claude.ai",
          provider: "firstParty",
          plan: "max",
          email: null,
          organization: null
        },
        latencyMs: 0,
        checkedAt: 0,
        problems: []
      })
      assert.deepStrictEqual(yield* asked, ["--version", "auth status --json"])
    }).pipe(Effect.provide(layer({}))))

  it.effect.each(
    [
      [{ authMethod: "api_key", apiKeySource: "ANTHROPIC_API_KEY" }, "apiKey", "ANTHROPIC_API_KEY"],
      // A key was seen to pay where the older version tells of a login, too.
      [{ authMethod: "claude.ai", apiKeySource: "ANTHROPIC_API_KEY" }, "apiKey", "ANTHROPIC_API_KEY"],
      [{ authMethod: "oauth_token", apiKeySource: "ANTHROPIC_API_KEY" }, "apiKey", "ANTHROPIC_API_KEY"],
      [{ authMethod: "api_key_helper", apiKeySource: "apiKeyHelper" }, "apiKey", "apiKeyHelper"],
      [{ authMethod: "oauth_token", apiKeySource: "none" }, "token", "oauth_token"],
      [{ authMethod: "third_party", apiProvider: "bedrock" }, "cloud", "third_party"],
      [{ authMethod: "claude.ai", email: "a@b.example" }, "subscription", "claude.ai"],
      [{ authMethod: "something new" }, "unknown", "something new"],
      [{}, "unknown", null]
    ] as const
  )("%j: %s pays", ([fields, payer, source]) =>
    Effect.gen(function*() {
      const { account } = yield* found({ status: { stdout: JSON.stringify({ loggedIn: true, ...fields }) } })
      assert.deepInclude(account, { payer, source })
    }))

  it.effect("nobody logged in is unhealthy, with what to do", () =>
    Effect.gen(function*() {
      const status = yield* found({
        status: { stdout: JSON.stringify({ loggedIn: false, authMethod: "none" }), code: 1 }
      })
      assert.deepInclude(status, { healthy: false, cliFound: true, authenticated: false, account: null })
      assert.deepStrictEqual(problemsOf(status), ["login failed"])
      assert.include(status.problems[0]?.fix, "/login")
    }))

  it.effect("a CLI that is not there, or cannot be started, is unhealthy, with what to do", () =>
    Effect.gen(function*() {
      const missing = yield* found({ refuse: new CliNotFoundError({ command: "claude", hint: "Install it." }) })
      assert.deepInclude(missing, { healthy: false, cliFound: false, cliVersion: null, authenticated: null })
      assert.deepInclude(missing.problems[0], { check: "cli", fix: "Install it." })
      const refuse = new CliSpawnError({ command: "claude", reason: "NotExecutable", code: "EACCES", hint: "" })
      const refused = yield* found({ refuse })
      assert.isFalse(refused.cliFound)
      assert.include(refused.problems[0]?.detail, "NotExecutable (EACCES)")
      assert.notStrictEqual(refused.problems[0]?.fix, "")
    }))

  it.effect("an older version than is known is a warning, never a failure", () =>
    Effect.gen(function*() {
      const status = yield* found({ version: { stdout: "2.1.100 (Claude Code)" } })
      assert.deepInclude(status, { healthy: true, cliVersion: "2.1.100", authenticated: true })
      assert.deepStrictEqual(problemsOf(status), ["version warning"])
      for (const stdout of ["2.1.197", "2.1.330", "2.2.0", "3.0.0", "10.0.0"]) {
        assert.deepStrictEqual(problemsOf(yield* found({ version: { stdout } })), [])
      }
    }))

  it.effect("never says auth status to a version that would take it for a prompt", () =>
    Effect.gen(function*() {
      for (const stdout of ["2.1.40 (Claude Code)", "1.0.128 (Claude Code)", "no version at all", ""]) {
        const status = yield* Effect.gen(function*() {
          const status = yield* check()
          assert.deepStrictEqual(yield* asked, ["--version"])
          return status
        }).pipe(Effect.provide(layer({ version: { stdout } })))
        assert.deepInclude(status, { healthy: true, authenticated: null, account: null })
        assert.isNotEmpty(status.problems)
      }
    }))

  it.effect("an answer on the login that is not known leaves it unknown, and is no failure", () =>
    Effect.gen(function*() {
      for (
        const says of [
          { stdout: "Logged in!" },
          { stderr: "error: unknown option '--json'", code: 1 },
          { stderr: "error: unknown command 'status'", code: 1 },
          { stdout: "[true]" },
          { stdout: "{\"loggedIn\":\"yes\"}" }
        ]
      ) {
        const status = yield* found({ status: says })
        assert.deepInclude(status, { healthy: true, authenticated: null })
        assert.deepStrictEqual(problemsOf(status), ["login warning"])
      }
    }))

  it.effect("a CLI that breaks down over its login is unhealthy, and says why", () =>
    Effect.gen(function*() {
      const status = yield* found({ status: { stderr: "\nConfiguration error in x\nmore", code: 1 } })
      assert.isFalse(status.healthy)
      assert.include(status.problems[0]?.detail, "code 1: Configuration error in x")
      assert.notInclude(status.problems[0]?.detail, "more")
      const killed = yield* found({ version: { signal: "SIGKILL" } })
      assert.include(killed.problems[0]?.detail, "SIGKILL")
    }))

  it.effect("what the CLI prints can steer no terminal", () =>
    Effect.gen(function*() {
      const status = yield* found({ status: { stderr: "\u001b[2J\u202Ebad", code: 3 } })
      assert.include(status.problems[0]?.detail, "code 3: [2Jbad")
    }))

  it.effect("asks the client's CLI, in its folder and environment, or the one that is named", () =>
    Effect.gen(function*() {
      const health = yield* HealthCheck.HealthCheck
      yield* health.check()
      const other = yield* health.check({ cliPath: "/other/claude", env: { A: "1" } })
      assert.strictEqual(other.cli, "/other/claude")
      const { started } = yield* FakeCli.FakeCli
      const [first, , second] = (yield* started).map(({ invocation }) => invocation)
      assert.deepInclude(first, { command: "/my/claude", cwd: "/my" })
      assert.deepInclude(first?.env, { B: "2", CLAUDECODE: undefined, NODE_OPTIONS: undefined })
      assert.deepInclude(second, { command: "/other/claude", cwd: "/my" })
      assert.deepInclude(second?.env, { A: "1", B: "2" })
      assert.deepStrictEqual((yield* health.states).map(({ cli }) => cli), ["/my/claude", "/other/claude"])
    }).pipe(
      Effect.provide(Layer.provideMerge(
        HealthCheck.layer(),
        Layer.merge(
          cliLayer(() => ({})),
          ClaudeConfig.layerWith({ cliPath: "/my/claude", cwd: "/my", env: { B: "2" } })
        )
      ))
    ))

  it.effect("never fails, whatever the CLI prints and however it ends", () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(
          FastCheck.record({ version: answers, status: answers }),
          async (cli) => {
            const status = await Effect.runPromise(Effect.provide(check(), layer(cli)))
            assert.strictEqual(status.healthy, status.problems.every(({ severity }) => severity === "warning"))
            assert.strictEqual(status.authenticated === true, status.account !== null)
            const texts = [...Object.values(status.account ?? {}), ...status.problems.map(({ detail }) => detail)]
            for (const text of texts) assert.notMatch(text ?? "", /\p{Cc}/u)
          }
        ),
        { numRuns: 150 }
      )
    ), 30_000)

  it.effect("never fails where the port breaks", () =>
    Effect.gen(function*() {
      const status = yield* check()
      assert.deepInclude(status, { healthy: false, authenticated: null })
      assert.include(status.problems[0]?.detail, "the tunnel is down")
    }).pipe(
      Effect.provide(Layer.provideMerge(
        HealthCheck.layer(),
        Layer.merge(Layer.succeed(CliProcess, { open: () => Effect.die("the tunnel is down") }), ClaudeConfig.layer)
      ))
    ))
})

const outputs = FastCheck.oneof(
  FastCheck.string(),
  FastCheck.string({ unit: "binary" }),
  FastCheck.json(),
  FastCheck.record({
    loggedIn: FastCheck.oneof(FastCheck.boolean(), FastCheck.anything()),
    authMethod: FastCheck.anything(),
    apiProvider: FastCheck.anything(),
    apiKeySource: FastCheck.anything(),
    email: FastCheck.string({ unit: "binary" })
  }, { requiredKeys: [] }).map((value) => {
    try {
      return JSON.stringify(value) ?? ""
    } catch {
      return ""
    }
  }),
  FastCheck.constantFrom("2.1.330 (Claude Code)", "2.1.40", "0.0.0", JSON.stringify(loggedIn), "{\"loggedIn\":false}")
)

const answers = FastCheck.record({
  stdout: outputs,
  stderr: outputs,
  code: FastCheck.oneof(FastCheck.constantFrom(0, 1), FastCheck.integer({ min: 0, max: 255 }))
})

describe("its bounds", () => {
  it.effect("a CLI that says nothing is ended after the time that it has, and is unhealthy", () =>
    Effect.gen(function*() {
      const { started } = yield* FakeCli.FakeCli
      const checking = yield* Effect.fork(check())
      yield* TestClock.adjust("9999 millis")
      assert.isNull(checking.unsafePoll())
      assert.deepStrictEqual((yield* started).map(({ running }) => running), [true])
      yield* TestClock.adjust("1 millis")
      const status = yield* Fiber.join(checking)
      assert.deepInclude(status, { healthy: false, cliFound: true, cliVersion: null, latencyMs: 10_000 })
      assert.include(status.problems[0]?.detail, "10 s")
      assert.deepStrictEqual((yield* started).map(({ running }) => running), [false])
    }).pipe(Effect.provide(layer({ version: { after: 3_600_000 } }))))

  it.effect("each question has a time of its own, which can be set", () =>
    Effect.gen(function*() {
      const { started } = yield* FakeCli.FakeCli
      const checking = yield* Effect.fork(check())
      yield* TestClock.adjust("900 millis")
      yield* TestClock.adjust("1 second")
      const status = yield* Fiber.join(checking)
      assert.deepInclude(status, { healthy: false, cliVersion: "2.1.330", authenticated: null, latencyMs: 1900 })
      assert.deepStrictEqual(problemsOf(status), ["login failed"])
      assert.deepStrictEqual((yield* started).map(({ running }) => running), [false, false])
    }).pipe(Effect.provide(
      layer(
        { version: spent(900)({ stdout: "2.1.330" }), status: { after: 60_000 } },
        { timeout: "1 second" }
      )
    )))

  it.effect("an output without end is not kept without end", () =>
    Effect.gen(function*() {
      const status = yield* found({ version: { stdout: "x".repeat(5_000_000) } })
      assert.isTrue(status.problems.every(({ detail }) => detail.length < 400))
    }))

  it.effect("whoever gives up asking ends what was asked", () =>
    Effect.gen(function*() {
      const { started } = yield* FakeCli.FakeCli
      const checking = yield* Effect.fork(check())
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(checking)
      assert.deepStrictEqual((yield* started).map(({ running }) => running), [false])
    }).pipe(Effect.provide(layer({ version: { after: 3_600_000 } }))))
})

describe("what it remembers", () => {
  it.effect("a good answer for 30 seconds, and then asks again", () =>
    Effect.gen(function*() {
      yield* check()
      yield* TestClock.adjust("29999 millis")
      assert.strictEqual((yield* check()).checkedAt, 0)
      assert.lengthOf(yield* asked, 2)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* check()).checkedAt, 30_000)
      assert.lengthOf(yield* asked, 4)
    }).pipe(Effect.provide(layer({}))))

  it.effect("a bad answer for 2 seconds", () =>
    Effect.gen(function*() {
      yield* check()
      yield* TestClock.adjust("1999 millis")
      yield* check()
      assert.lengthOf(yield* asked, 2)
      yield* TestClock.adjust("1 millis")
      yield* check()
      assert.lengthOf(yield* asked, 4)
    }).pipe(Effect.provide(layer({ status: { stdout: "{\"loggedIn\":false}", code: 1 } }))))

  it.effect("nothing where it is told so, with force, or when it was told to forget", () =>
    Effect.gen(function*() {
      const health = yield* HealthCheck.HealthCheck
      yield* health.check()
      yield* health.check({ force: true })
      assert.lengthOf(yield* asked, 4)
      yield* health.invalidate
      yield* health.check()
      assert.lengthOf(yield* asked, 6)
    }).pipe(
      Effect.provide(layer({})),
      Effect.zipRight(
        Effect.gen(function*() {
          yield* check()
          yield* check()
          assert.lengthOf(yield* asked, 4)
        }).pipe(Effect.provide(layer({}, { timeToLive: 0 })))
      )
    ))

  it.effect("a hundred who ask at once share one answer, also with force", () =>
    Effect.gen(function*() {
      const all = yield* Effect.fork(
        Effect.all(Array.from({ length: 100 }, (_, index) => check({ force: index % 2 === 0 })), {
          concurrency: "unbounded"
        })
      )
      yield* TestClock.adjust("5 seconds")
      const statuses = yield* Fiber.join(all)
      assert.lengthOf(new Set(statuses), 1)
      assert.lengthOf(yield* asked, 2)
    }).pipe(Effect.provide(layer({ version: { stdout: "2.1.330", after: 5000 } }))))

  it.effect("when the one who asked gives up, the next in line asks", () =>
    Effect.gen(function*() {
      const first = yield* Effect.fork(check())
      yield* TestClock.adjust("1 second")
      const others = yield* Effect.fork(Effect.all([check(), check()], { concurrency: "unbounded" }))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("5 seconds")
      const statuses = yield* Fiber.join(others)
      assert.isTrue(statuses.every(({ healthy }) => healthy))
      assert.deepStrictEqual(yield* asked, ["--version", "--version", "auth status --json"])
    }).pipe(Effect.provide(layer({ version: { stdout: "2.1.330", after: 5000 } }))))

  it.effect("what was being asked when it was told to forget is not remembered", () =>
    Effect.gen(function*() {
      const health = yield* HealthCheck.HealthCheck
      const stale = yield* Effect.fork(health.check())
      yield* TestClock.adjust("1 second")
      yield* health.invalidate
      const fresh = yield* Effect.fork(health.check())
      yield* TestClock.adjust("4 seconds")
      yield* Fiber.join(stale)
      assert.isNull(fresh.unsafePoll())
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(fresh)).checkedAt, 6000)
      assert.strictEqual((yield* health.check()).checkedAt, 6000)
      const late = yield* Effect.fork(health.check({ force: true }))
      yield* TestClock.adjust("1 second")
      yield* health.invalidate
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual((yield* Fiber.join(late)).checkedAt, 11_000)
      assert.deepStrictEqual((yield* health.states).map(({ checkedAt }) => checkedAt), [6000])
      const again = yield* Effect.fork(health.check())
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(again)).checkedAt, 16_000)
    }).pipe(Effect.provide(layer({ version: { stdout: "2.1.330", after: 5000 } }))))

  it.effect("tells of each answer that says something else, and of no other", () => {
    let status: Says = { stdout: JSON.stringify(loggedIn) }
    return Effect.gen(function*() {
      const health = yield* HealthCheck.HealthCheck
      const seen = yield* Effect.fork(Stream.runCollect(Stream.take(health.changes, 3)))
      yield* Effect.yieldNow()
      for (
        const stdout of [status.stdout, status.stdout, "{\"loggedIn\":false}", "{\"loggedIn\":false}", status.stdout]
      ) {
        status = { stdout: stdout ?? "" }
        yield* TestClock.adjust("1 minute")
        yield* health.check()
      }
      assert.deepStrictEqual(
        Chunk.toReadonlyArray(yield* Fiber.join(seen)).map(({ healthy }) => healthy),
        [true, false, true]
      )
    }).pipe(Effect.provide(layer(() => ({ status }))))
  })
})

describe("its layers", () => {
  it.effect("the noop is always healthy, and starts nothing", () =>
    Effect.gen(function*() {
      const status = yield* check({ cliPath: "/no/such" })
      assert.deepInclude(status, { healthy: true, cli: "/no/such", problems: [] })
    }).pipe(Effect.provide(HealthCheck.layerNoop)))

  it.effect.each([
    [{ timeout: 0 }, "timeout"],
    [{ timeToLive: "later" as "1 second" }, "timeToLive"],
    [{ unhealthyTimeToLive: "soon" as "1 second" }, "unhealthyTimeToLive"]
  ])("refuses %j", ([options, field]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.provide(check(), layer({}, options as HealthCheck.HealthCheckOptions)))
      assert.instanceOf(error, InvalidOptionsError)
      assert.strictEqual((error as InvalidOptionsError).field, field)
    }))

  it.effect("reads its options from the configuration", () =>
    Effect.gen(function*() {
      const { Config } = yield* Effect.promise(() => import("effect"))
      const checking = Effect.provide(
        check(),
        Layer.provide(
          HealthCheck.layerConfig({ timeout: Config.duration("TIMEOUT") }),
          Layer.merge(cliLayer(() => ({ version: { after: 60_000 } })), ClaudeConfig.layerWith({}))
        )
      )
      const running = yield* Effect.fork(
        Effect.withConfigProvider(checking, ConfigProvider.fromMap(new Map([["TIMEOUT", "3 seconds"]])))
      )
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* Fiber.join(running)).latencyMs, 3000)
    }))
})
