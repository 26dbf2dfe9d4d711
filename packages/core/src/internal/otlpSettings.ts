import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { InvalidOptionsError } from "../ClaudeError.js"
import type { OtlpOptions } from "../Telemetry.js"
import type { Sampler } from "./sampling.js"
import { badVariable, isAboveZero, numberIn, oneOf, variable } from "./variable.js"

/** Where one kind of data goes. */
export interface Target {
  readonly url: string
  readonly headers: Redacted.Redacted<Readonly<Record<string, string>>>
  /** Milliseconds between two exports. */
  readonly interval: number
}

export interface OtlpSettings {
  readonly protocol: "http/json" | "http/protobuf"
  readonly timeoutMs: number
  readonly sampler: Sampler
  readonly serviceName: string
  readonly attributes: Readonly<Record<string, string>>
  /** Undefined where it is not exported. */
  readonly traces: Target | undefined
  readonly metrics: Target | undefined
  readonly logs: Target | undefined
}

/** What the variables `OTEL_*` and the options say; the options first. `None`: nothing is exported. */
export const settingsOf = (
  options: OtlpOptions
): Effect.Effect<Option.Option<OtlpSettings>, InvalidOptionsError> =>
  Effect.gen(function*() {
    if ((yield* variable("OTEL_SDK_DISABLED"))?.toLowerCase() === "true") return Option.none()
    const base = options.endpoint ?? (yield* variable("OTEL_EXPORTER_OTLP_ENDPOINT")) ?? "http://localhost:4318"
    const headers = yield* secret("OTEL_EXPORTER_OTLP_HEADERS")
    const target = (signal: Signal, delay: string, usual: number) =>
      Effect.gen(function*() {
        const exporters = (yield* variable(`OTEL_${signal}_EXPORTER`)) ?? "otlp"
        if (!exporters.split(",").some((name) => name.trim() === "otlp")) return undefined
        const name = `OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`
        const own = options.endpoint === undefined ? yield* variable(name) : undefined
        const url = own ?? `${base.replace(/\/+$/, "")}/v1/${signal.toLowerCase()}`
        if (!isAddress(url)) {
          return yield* options.endpoint === undefined
            ? badVariable(own === undefined ? "OTEL_EXPORTER_OTLP_ENDPOINT" : name, notAnAddress)
            : new InvalidOptionsError({ field: "endpoint", detail: notAnAddress, hint: "Correct the option." })
        }
        const more = yield* secret(`OTEL_EXPORTER_OTLP_${signal}_HEADERS`)
        return {
          url,
          headers: Redacted.make({ ...headers, ...more, ...options.headers }),
          interval: yield* millis(delay, usual)
        }
      })
    const protocol = yield* oneOf("OTEL_EXPORTER_OTLP_PROTOCOL", ["http/protobuf", "http/json"])
    const attributes = pairs((yield* variable("OTEL_RESOURCE_ATTRIBUTES")) ?? "")
    return Option.some({
      protocol: protocol ?? "http/protobuf",
      timeoutMs: yield* millis("OTEL_EXPORTER_OTLP_TIMEOUT", 10_000),
      sampler: yield* sampler,
      serviceName: options.serviceName ?? (yield* variable("OTEL_SERVICE_NAME")) ?? attributes["service.name"] ??
        "ccflow",
      attributes: { ...attributes, ...options.attributes },
      traces: yield* target("TRACES", "OTEL_BSP_SCHEDULE_DELAY", 5000),
      metrics: yield* target("METRICS", "OTEL_METRIC_EXPORT_INTERVAL", 60_000),
      logs: yield* target("LOGS", "OTEL_BLRP_SCHEDULE_DELAY", 1000)
    })
  })

// ---------------------------------------------------------------------------

type Signal = "TRACES" | "METRICS" | "LOGS"

const notAnAddress = "it must be an http or https address"

const secret = (name: string): Effect.Effect<Readonly<Record<string, string>>> =>
  Effect.map(variable(name), (value) => pairs(value ?? ""))

const millis = (name: string, usual: number): Effect.Effect<number, InvalidOptionsError> =>
  Effect.map(numberIn(name, "a number of milliseconds above 0", isAboveZero), (value) => value ?? usual)

const sampler: Effect.Effect<Sampler, InvalidOptionsError> = Effect.gen(function*() {
  const name = (yield* oneOf("OTEL_TRACES_SAMPLER", [
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
    "always_on",
    "always_off",
    "traceidratio"
  ])) ?? "parentbased_always_on"
  const ratio = yield* numberIn("OTEL_TRACES_SAMPLER_ARG", "a number from 0 to 1", (value) => value >= 0 && value <= 1)
  return {
    parentBased: name.startsWith("parentbased_"),
    ratio: name.endsWith("always_on") ? 1 : name.endsWith("always_off") ? 0 : ratio ?? 1
  }
})

/** `a=1,b=2`, each percent-encoded. */
const pairs = (list: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    list.split(",").flatMap((pair) => {
      const at = pair.indexOf("=")
      const name = pair.slice(0, at).trim()
      return at < 1 || name === "" ? [] : [[name, decoded(pair.slice(at + 1).trim())]]
    })
  )

const decoded = (value: string): string => Either.getOrElse(Encoding.decodeUriComponent(value), () => value)

const isAddress = (text: string): boolean => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
