/**
 * What traces of Claude's work look like, and where they go.
 *
 * Every query and turn makes spans with whatever tracer the program provides: `claude.query` or `claude.turn` for the
 * call, below it a `claude.attempt` for each try, below that a `claude.tool` for each tool, those of a subagent below the
 * tool that started it. They say what `Attribute` names; tokens and cost are said once, by the call, so that sums over
 * spans are right. The CLI is given the attempt's W3C context in `TRACEPARENT`, unless the caller's `env` has one. With
 * `CLAUDE_CODE_ENABLE_TELEMETRY=1`, `CLAUDE_CODE_ENHANCED_TELEMETRY_BETA=1` and `OTEL_TRACES_EXPORTER=otlp` in its environment
 * 2.1.330 and 2.1.197 were both seen to hang their own spans (`claude_code.interaction` and below) from it, and to put the
 * trace's id into their log records; without the beta there are no spans, and the log records of 2.1.330 and 2.1.263 have
 * the id, those of 2.1.197 have not. A session's process belongs to the turn that started it.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { InvalidOptionsError } from "./ClaudeError.js"
import { settingsOf } from "./internal/otlpSettings.js"
import { CurrentContent } from "./internal/spanNames.js"

export { Attribute, CurrentContent, Span, SpanEvent } from "./internal/spanNames.js"

/** Prompts, answers, tools' inputs and what they gave become attributes of all that runs with this layer. */
export const layerContent: Layer.Layer<never> = Layer.succeed(CurrentContent, true)

/** What is said here comes before what the environment says. */
export interface OtlpOptions {
  /** Where the collector is; `/v1/traces` and the like are added. Default: `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly endpoint?: string | undefined
  /** Sent with every request. They are in no log line. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Default: `OTEL_SERVICE_NAME`, else `ccflow`. */
  readonly serviceName?: string | undefined
  /** Of the resource. */
  readonly attributes?: Readonly<Record<string, string>> | undefined
  /** Values that no log line may have, beside what looks like a secret: see `Logs.secretsOf`. */
  readonly secrets?: ReadonlyArray<string> | undefined
}

/**
 * Sends the program's traces, metrics and log lines to an OpenTelemetry collector over HTTP, as the standard variables
 * say: `OTEL_EXPORTER_OTLP_ENDPOINT` (default: `http://localhost:4318`), `_HEADERS`, `_PROTOCOL` (`http/protobuf` or
 * `http/json`), `_TIMEOUT`, each of the first two also for one signal; `OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER` and
 * `OTEL_LOGS_EXPORTER` (`none` for nothing); `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER` and
 * `_ARG`, `OTEL_SDK_DISABLED`.
 *
 * No query waits for a collector or fails because of one: what cannot be delivered is dropped. What is left at the end of
 * the layer has 3 seconds. It needs the package `@effect/opentelemetry`, and no OpenTelemetry SDK.
 */
export const layerOtlp = (options: OtlpOptions = {}): Layer.Layer<never, InvalidOptionsError> =>
  Layer.unwrapEffect(Effect.flatMap(
    settingsOf(options),
    Option.match({
      onNone: () => Effect.succeed(Layer.empty),
      onSome: (settings) => Effect.map(exporters, ({ layer }) => layer(settings, options.secrets))
    })
  ))

// ---------------------------------------------------------------------------

/** Loaded where it is used: a program without it need not have the package. */
const exporters = Effect.tryPromise({
  try: () => import("./internal/otlp.js"),
  catch: () =>
    new InvalidOptionsError({
      field: "layerOtlp",
      detail: "the package @effect/opentelemetry is not installed",
      hint: "npm install @effect/opentelemetry"
    })
})
