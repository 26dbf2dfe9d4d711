import * as Telemetry from "@ccflow/core/Telemetry"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, FastCheck, Layer, Option, Redacted, Tracer } from "effect"
import { settingsOf } from "../src/internal/otlpSettings.js"
import { sampling } from "../src/internal/sampling.js"
import { recorder } from "./spans.js"

const settings = (variables: Readonly<Record<string, string>>, options: Telemetry.OtlpOptions = {}) =>
  Effect.provide(
    settingsOf(options),
    Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables)), { pathDelim: "_" }))
  )
const some = (variables: Readonly<Record<string, string>>, options?: Telemetry.OtlpOptions) =>
  Effect.map(settings(variables, options), Option.getOrThrow)

describe("the standard variables", () => {
  it.effect("have their standard defaults", () =>
    Effect.gen(function*() {
      const { logs, metrics, protocol, sampler, serviceName, timeoutMs, traces } = yield* some({})
      assert.deepStrictEqual([traces?.url, metrics?.url, logs?.url], [
        "http://localhost:4318/v1/traces",
        "http://localhost:4318/v1/metrics",
        "http://localhost:4318/v1/logs"
      ])
      assert.deepStrictEqual([traces?.interval, metrics?.interval, logs?.interval], [5000, 60_000, 1000])
      assert.deepStrictEqual([protocol, serviceName, timeoutMs], ["http/protobuf", "ccflow", 10_000])
      assert.deepStrictEqual(sampler, { parentBased: true, ratio: 1 })
    }))

  it.effect("say where each signal goes, and with which headers; the options come first", () =>
    Effect.gen(function*() {
      const variables = {
        OTEL_EXPORTER_OTLP_ENDPOINT: "https://collector.example:4318/otlp/",
        OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "http://logs.example/in",
        OTEL_EXPORTER_OTLP_HEADERS: "x-key=a%20b, other=1",
        OTEL_EXPORTER_OTLP_TRACES_HEADERS: "other=2",
        OTEL_METRICS_EXPORTER: "none",
        OTEL_TRACES_EXPORTER: "console,otlp",
        OTEL_SERVICE_NAME: "mine",
        OTEL_RESOURCE_ATTRIBUTES: "deployment.environment=prod,service.name=not this,broken"
      }
      const { attributes, logs, metrics, serviceName, traces } = yield* some(variables)
      assert.strictEqual(traces?.url, "https://collector.example:4318/otlp/v1/traces")
      assert.strictEqual(logs?.url, "http://logs.example/in")
      assert.isUndefined(metrics)
      assert.deepStrictEqual(Redacted.value(traces!.headers), { "x-key": "a b", other: "2" })
      assert.notInclude(JSON.stringify(traces), "a b")
      assert.strictEqual(serviceName, "mine")
      assert.strictEqual(attributes["deployment.environment"], "prod")
      const own = yield* some(variables, { endpoint: "http://own:1", serviceName: "own", headers: { other: "3" } })
      assert.deepStrictEqual([own.logs?.url, own.serviceName], ["http://own:1/v1/logs", "own"])
      assert.strictEqual(Redacted.value(own.traces!.headers)["other"], "3")
    }))

  it.effect("switch everything off", () =>
    Effect.gen(function*() {
      assert.isTrue(Option.isNone(yield* settings({ OTEL_SDK_DISABLED: "TRUE" })))
    }))

  it.effect("that are wrong are named", () =>
    Effect.gen(function*() {
      for (
        const [name, value] of [
          ["OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"],
          ["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "nowhere"],
          ["OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"],
          ["OTEL_EXPORTER_OTLP_TIMEOUT", "-1"],
          ["OTEL_TRACES_SAMPLER", "sometimes"],
          ["OTEL_TRACES_SAMPLER_ARG", "2"],
          ["OTEL_BSP_SCHEDULE_DELAY", "soon"]
        ] as const
      ) {
        const error = yield* Effect.flip(settings({ [name]: value }))
        assert.strictEqual(error.field, name)
        assert.strictEqual(
          (yield* Effect.flip(Effect.scoped(Layer.build(Layer.provide(
            Telemetry.layerOtlp(),
            Layer.setConfigProvider(ConfigProvider.fromMap(new Map([[name, value]]), { pathDelim: "_" }))
          ))))).field,
          name
        )
      }
    }))
})

describe("the sampler", () => {
  const traced = (ratio: number, parentBased: boolean, parent?: Tracer.AnySpan) => {
    const seen = recorder()
    return Effect.provide(
      Effect.gen(function*() {
        const tracer = sampling(yield* Effect.tracer, { ratio, parentBased })
        return yield* Effect.makeSpan("x", parent === undefined ? {} : { parent }).pipe(Effect.withTracer(tracer))
      }),
      seen.layer
    )
  }
  const external = (sampled: boolean) =>
    Tracer.externalSpan({ traceId: "a".repeat(32), spanId: "b".repeat(16), sampled })

  it.effect("records all, none, or as the parent does", () =>
    Effect.gen(function*() {
      assert.isTrue((yield* traced(1, false)).sampled)
      assert.isFalse((yield* traced(0, false)).sampled)
      assert.isFalse((yield* traced(1, true, external(false))).sampled)
      assert.isTrue((yield* traced(0, true, external(true))).sampled)
      assert.isFalse((yield* traced(0, false, external(true))).sampled)
    }))

  it("records about as many as it is told, and the same ones for a higher ratio", () => {
    const tracer = Tracer.make({
      context: (f) => f(),
      span: (name, parent, context, links, startTime, kind) => ({
        _tag: "Span",
        name,
        parent,
        context,
        links,
        kind,
        spanId: "b".repeat(16),
        traceId: Option.getOrThrow(parent).traceId,
        sampled: true,
        attributes: new Map(),
        status: { _tag: "Started", startTime },
        attribute: () => {},
        event: () => {},
        addLinks: () => {},
        end: () => {}
      })
    })
    const hex = FastCheck.hexaString({ minLength: 32, maxLength: 32 })
    const sampled = (traceId: string, ratio: number) =>
      sampling(tracer, { parentBased: false, ratio }).span(
        "x",
        Option.some(Tracer.externalSpan({ traceId, spanId: "c".repeat(16) })),
        external(true).context,
        [],
        0n,
        "internal"
      ).sampled
    const ratios = FastCheck.tuple(
      FastCheck.double({ min: 0, max: 1, noNaN: true }),
      FastCheck.double({ min: 0, max: 1, noNaN: true })
    )
    FastCheck.assert(FastCheck.property(hex, ratios, (traceId, [one, other]) => {
      if (sampled(traceId, Math.min(one, other))) assert.isTrue(sampled(traceId, Math.max(one, other)))
    }))
    const digit = () => Math.floor(Math.random() * 16).toString(16)
    const ids = Array.from({ length: 2000 }, () => Array.from({ length: 32 }, digit).join(""))
    const share = ids.filter((id) => sampled(id, 0.25)).length / ids.length
    assert.isTrue(share > 0.15 && share < 0.35, `${share}`)
  })
})
