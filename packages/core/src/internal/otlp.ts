import * as OtlpLogger from "@effect/opentelemetry/OtlpLogger"
import * as OtlpMetrics from "@effect/opentelemetry/OtlpMetrics"
import * as OtlpSerialization from "@effect/opentelemetry/OtlpSerialization"
import * as OtlpTracer from "@effect/opentelemetry/OtlpTracer"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { redactor } from "../Redaction.js"
import { correlated, redacted } from "./logOptions.js"
import type { OtlpSettings, Target } from "./otlpSettings.js"
import { sampling } from "./sampling.js"

/** Traces, metrics and log lines to a collector, by the program's own HTTP client where it has one. */
export const layer = (settings: OtlpSettings, secrets: ReadonlyArray<string> = []): Layer.Layer<never> =>
  Layer.unwrapScoped(Effect.gen(function*() {
    const { attributes, logs, metrics, sampler, serviceName, traces } = settings
    const common = ({ headers, interval, url }: Target) => ({
      url,
      headers: Redacted.value(headers),
      exportInterval: interval,
      resource: { serviceName, attributes: { ...attributes } },
      shutdownTimeout: leaving
    })
    // What is left at the end is sent by all at the same time.
    const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.parallel)
    const tracer = traces === undefined ? undefined : yield* Scope.extend(OtlpTracer.make(common(traces)), scope)
    const logger = logs === undefined ? undefined : yield* Scope.extend(OtlpLogger.make(common(logs)), scope)
    if (metrics !== undefined) yield* Scope.extend(OtlpMetrics.make(common(metrics)), scope)
    const headers = [traces, metrics, logs].flatMap((target) =>
      target === undefined ? [] : Object.values(Redacted.value(target.headers))
    )
    const redact = redactor([...secrets, ...headers])
    return Layer.provideMerge(
      tracer === undefined ? Layer.empty : Layer.setTracer(sampling(tracer, sampler)),
      logger === undefined
        ? Layer.empty
        : Logger.add(Logger.mapInputOptions(logger, (options) => redacted(redact)(correlated(options))))
    )
  })).pipe(
    Layer.provide(
      settings.protocol === "http/json" ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf
    ),
    Layer.provide(client(settings.timeoutMs))
  )

// ---------------------------------------------------------------------------

/** What is left when the program ends has so long to arrive, in milliseconds. */
const leaving = 3000

/** A collector that takes a request and never answers holds nothing up for ever. */
const client = (timeoutMs: number): Layer.Layer<HttpClient.HttpClient> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(Effect.flatMap(Effect.serviceOption(HttpClient.HttpClient), ownOrFetch), (client) =>
      HttpClient.transform(client, (response, request) =>
        Effect.timeoutFail(response, {
          duration: timeoutMs,
          onTimeout: () =>
            new HttpClientError.RequestError({ request, reason: "Transport", description: "no answer in time" })
        })))
  )

const ownOrFetch = Option.match({
  onNone: () => Effect.provide(HttpClient.HttpClient, FetchHttpClient.layer),
  onSome: (own: HttpClient.HttpClient) => Effect.succeed(own)
})
