import * as Claude from "@ccflow/core/Claude"
import * as Telemetry from "@ccflow/core/Telemetry"
import * as NodeClaude from "@ccflow/node/NodeClaude"
import { ConfigProvider, Effect, Layer } from "effect"
import { assert, it } from "vitest"
import { startMessagesApi, text } from "./support/MessagesApi.js"
import { attributesOf, startOtlpCollector } from "./support/OtlpCollector.js"
import { sandboxEnvironment, sandboxHome } from "./support/RealCli.js"
import { describeRealCli } from "./support/realCliBench.js"

const jsonOnly = Layer.setConfigProvider(
  ConfigProvider.fromMap(new Map([["OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"]]), { pathDelim: "_" })
)

await describeRealCli("telemetry", ({ path, version }) => {
  /** Asks once, with the CLI's own telemetry going to the same collector as ours. */
  const traced = async (variables: Readonly<Record<string, string>>) => {
    await using api = await startMessagesApi([text("hello")])
    await using home = await sandboxHome()
    await using collector = await startOtlpCollector()
    const hidden = Object.fromEntries(Object.keys(process.env).map((name) => [name, undefined]))
    const extra = {
      CLAUDE_CODE_ENABLE_TELEMETRY: "1",
      OTEL_LOGS_EXPORTER: "otlp",
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      ...variables
    }
    await Effect.runPromise(
      Claude.text("hi", {
        cliPath: path,
        cwd: home.project,
        env: { ...hidden, ...sandboxEnvironment({ url: api.url, home: home.path, extra }) }
      }).pipe(
        Effect.withSpan("caller"),
        Effect.provide(
          Layer.merge(NodeClaude.layer, Telemetry.layerOtlp({ endpoint: collector.url })).pipe(
            Layer.provide(jsonOnly)
          )
        )
      )
    )
    const spans = collector.spans()
    return {
      ours: spans.filter(({ name }) => !name.startsWith("claude_code.")),
      theirs: spans.filter(({ name }) => name.startsWith("claude_code.")),
      logs: collector.logs().filter((log) => "event.name" in attributesOf(log))
    }
  }

  it(
    "makes its own spans children of the attempt that started it, where its traces are switched on",
    async () => {
      const seen = await traced({ CLAUDE_CODE_ENHANCED_TELEMETRY_BETA: "1", OTEL_TRACES_EXPORTER: "otlp" })
      const attempt = seen.ours.find(({ name }) => name === "claude.attempt") ?? assert.fail("no attempt")
      const interaction = seen.theirs.find(({ name }) => name === "claude_code.interaction") ??
        assert.fail("no spans of its")
      const request = seen.theirs.find(({ name }) => name === "claude_code.llm_request")
      assert.deepStrictEqual([interaction.traceId, interaction.parentSpanId], [attempt.traceId, attempt.spanId])
      assert.deepStrictEqual([request?.traceId, request?.parentSpanId], [attempt.traceId, interaction.spanId])
      const ids = new Set([...seen.ours, ...seen.theirs].map(({ traceId }) => traceId))
      assert.deepStrictEqual([...ids], [seen.ours.find(({ name }) => name === "caller")?.traceId])
    },
    60_000
  )

  it("puts the trace's id into its log records", async () => {
    const seen = await traced({ CLAUDE_CODE_ENHANCED_TELEMETRY_BETA: "1", OTEL_TRACES_EXPORTER: "otlp" })
    const [first] = seen.ours
    assert.isNotEmpty(seen.logs)
    for (const log of seen.logs) assert.strictEqual(log.traceId, first?.traceId)
  }, 60_000)

  it(
    "make no spans without their beta switch; then all but 2.1.197 know the trace in their log records",
    async () => {
      const seen = await traced({ OTEL_TRACES_EXPORTER: "otlp" })
      assert.deepStrictEqual(seen.theirs, [])
      const traceId = version === "2.1.197" ? undefined : seen.ours[0]?.traceId
      assert.isNotEmpty(seen.logs)
      for (const log of seen.logs) assert.strictEqual(log.traceId || undefined, traceId)
    },
    60_000
  )
}, { concurrent: true })
