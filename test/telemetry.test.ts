import { createClient } from "ccflow"
import { afterEach, assert, describe, it } from "vitest"
import { fakeClaude } from "./support/bundle.js"
import { commandBundle } from "./support/commandBundle.js"
import { attributesOf, type CollectorMood, startOtlpCollector, valueOf } from "./support/OtlpCollector.js"
import { planted } from "./support/planted.js"
import { runScript } from "./support/programs.js"

const command = await commandBundle()

const set = new Set<string>()
const environment = (variables: Readonly<Record<string, string>>): void => {
  for (const [name, value] of Object.entries(variables)) {
    set.add(name)
    process.env[name] = value
  }
}
afterEach(() => {
  for (const name of set) delete process.env[name]
  set.clear()
})

const script = (...turns: ReadonlyArray<ReadonlyArray<unknown>>) => ({ FAKE_CLAUDE_SCRIPT: JSON.stringify(turns) })
const prompt = "a prompt that nobody is to read"
const withTool = script([
  { init: {} },
  { tool: { name: "Bash", input: { command: prompt }, ms: 20, result: prompt } },
  { text: prompt },
  { result: { result: prompt } }
])

/** The command, in an environment of its own. */
const ccflow = async (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) => {
  const startedAt = performance.now()
  const ended = await runScript(command, args, {
    env: { PATH: process.env["PATH"], CCFLOW_CLI_PATH: fakeClaude, ...env }
  })
  return { ...ended, ms: performance.now() - startedAt }
}

describe("a client with telemetry", () => {
  it("sends its spans, metrics and log lines to the collector, and what is left when it is closed", async () => {
    await using collector = await startOtlpCollector()
    environment({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_HEADERS: `x-collector=the%20${planted.collector}`,
      OTEL_SERVICE_NAME: "tested",
      OTEL_RESOURCE_ATTRIBUTES: "deployment.environment=test",
      CCFLOW_LOG_LEVEL: "none"
    })
    const client = createClient({ cliPath: fakeClaude, telemetry: true, env: withTool })
    await client.querySimple(prompt)
    await client.close()
    const spans = collector.spans()
    const byName = (name: string) => spans.find((span) => span.name === name) ?? assert.fail(`no ${name}`)
    assert.deepStrictEqual(spans.map(({ name }) => name).sort(), ["claude.attempt", "claude.query", "claude.tool"])
    assert.strictEqual(byName("claude.tool").parentSpanId, byName("claude.attempt").spanId)
    assert.strictEqual(byName("claude.attempt").parentSpanId, byName("claude.query").spanId)
    assert.strictEqual(attributesOf(byName("claude.query"))["gen_ai.provider.name"], "anthropic")
    assert.isNumber(attributesOf(byName("claude.query"))["gen_ai.usage.input_tokens"])
    assert.isNotEmpty(collector.metrics())
    assert.deepStrictEqual(collector.services(), ["tested"])
    for (const { body, headers } of collector.requests) {
      assert.strictEqual(headers["x-collector"], `the ${planted.collector}`)
      assert.include(body, "deployment.environment")
      assert.notInclude(body, prompt)
    }
  }, 30_000)

  it("sends nothing where nobody has asked for it, or it is switched off", async () => {
    await using collector = await startOtlpCollector()
    environment({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
    const without = createClient({ cliPath: fakeClaude })
    await without.querySimple("hi")
    await without.close()
    environment({ OTEL_SDK_DISABLED: "true" })
    const off = createClient({ cliPath: fakeClaude, telemetry: true })
    await off.querySimple("hi")
    await off.close()
    assert.deepStrictEqual(collector.requests, [])
  }, 30_000)

  const bad: ReadonlyArray<CollectorMood | "absent"> = ["absent", "silent", "refuse"]
  it.for(bad)("answers as ever where the collector is %s, and is closed in time", { timeout: 30_000 }, async (mood) => {
    await using collector = await startOtlpCollector(mood === "absent" ? "accept" : mood)
    if (mood === "absent") await collector[Symbol.asyncDispose]()
    environment({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, CCFLOW_LOG_LEVEL: "none" })
    const client = createClient({ cliPath: fakeClaude, telemetry: true })
    const startedAt = performance.now()
    assert.strictEqual(await client.querySimple("hi"), "echo: hi")
    const answeredAt = performance.now()
    await client.close()
    assert.isBelow(answeredAt - startedAt, 5000)
    assert.isBelow(performance.now() - answeredAt, 4500)
  })

  it("refuses a variable that is wrong, by its name", async () => {
    environment({ OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" })
    const client = createClient({ cliPath: fakeClaude, telemetry: true })
    const error: unknown = await client.querySimple("hi").catch((error: unknown) => error)
    assert.include(String(error), "OTEL_EXPORTER_OTLP_PROTOCOL")
    await client.close()
  })
})

describe("the command", () => {
  it("sends what it does to the collector that the environment names", async () => {
    await using collector = await startOtlpCollector()
    const ended = await ccflow([prompt], {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      CCFLOW_LOG_LEVEL: "info",
      ...withTool
    })
    assert.deepStrictEqual([ended.code, ended.stdout], [0, `${prompt}\n`])
    assert.includeMembers(collector.spans().map(({ name }) => name), ["claude.query", "claude.attempt", "claude.tool"])
    const end = collector.logs().find(({ body }) => valueOf(body) === "query ended") ?? assert.fail("no log record")
    assert.strictEqual(end.traceId, collector.spans()[0]?.traceId)
    assert.strictEqual(attributesOf(end)["traceId"], end.traceId)
    assert.isBelow(ended.ms, 10_000)
    for (const { body } of collector.requests) assert.notInclude(body, prompt)
    assert.notInclude(ended.stderr, prompt)
  }, 30_000)

  it("warns of a variable that it cannot follow, and answers", async () => {
    const ended = await ccflow(["hi"], {
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9",
      OTEL_EXPORTER_OTLP_PROTOCOL: "grpc"
    })
    assert.deepStrictEqual([ended.code, ended.stdout], [0, "echo: hi\n"])
    assert.include(ended.stderr, "OTEL_EXPORTER_OTLP_PROTOCOL")
  }, 30_000)

  it("logs to stderr as the environment says, with the call and the trace in every line of a query", async () => {
    const quiet = await ccflow(["hi"])
    assert.deepStrictEqual([quiet.stdout, quiet.stderr], ["echo: hi\n", ""])
    const loud = await ccflow(["hi"], { CCFLOW_LOG_LEVEL: "debug" })
    assert.strictEqual(loud.stdout, "echo: hi\n")
    const lines = loud.stderr.trimEnd().split("\n")
    assert.isAbove(lines.length, 1)
    const ids = lines.map((
      line
    ) => [/callId=([0-9a-f-]{36})/.exec(line)?.[1], /traceId=([0-9a-f]{32})/.exec(line)?.[1]])
    assert.isString(ids[0]?.[0])
    for (const id of ids) assert.deepStrictEqual(id, ids[0])
    assert.match(loud.stderr, /message="query ended".* outcome=success/)
    const json = await ccflow(["hi"], { CCFLOW_LOG_LEVEL: "info", CCFLOW_LOG_FORMAT: "json" })
    assert.strictEqual(JSON.parse(json.stderr.trim().split("\n")[0]!).message, "query ended")
  }, 30_000)

  it("refuses a level that there is not, by the variable's name", async () => {
    const ended = await ccflow(["hi"], { CCFLOW_LOG_LEVEL: "loud" })
    assert.strictEqual(ended.code, 2)
    assert.strictEqual(ended.stdout, "")
    assert.match(ended.stderr, /CCFLOW_LOG_LEVEL.*none, error, warning, info, debug, trace/)
  }, 30_000)
})

describe("a client's log lines", () => {
  it("are at the level that the environment has when it is made", async () => {
    environment({ CCFLOW_LOG_LEVEL: "loud" })
    const client = createClient({ cliPath: fakeClaude })
    const error: unknown = await client.querySimple("hi").catch((error: unknown) => error)
    assert.include(String(error), "CCFLOW_LOG_LEVEL")
    await client.close()
  })
})
