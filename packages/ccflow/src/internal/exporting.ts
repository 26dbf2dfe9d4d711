import type { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as Logs from "@ccflow/core/Logs"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/**
 * Traces, metrics and log lines go to the collector that the environment names; without one nothing of it is loaded. A
 * variable that is wrong is a warning: it may have been meant for another program.
 */
export const layer: Layer.Layer<never> = Layer.suspend(() =>
  isAsked()
    ? Layer.catchAll(otlp, (error) => Layer.effectDiscard(Effect.logWarning(`Nothing is exported. ${error.message}`)))
    : Layer.empty
)

/** Also where the environment names none. */
export const otlp: Layer.Layer<never, InvalidOptionsError> = Layer.unwrapEffect(Effect.map(
  Effect.promise(() => import("@ccflow/core/Telemetry")),
  (Telemetry) => Telemetry.layerOtlp({ secrets: Logs.secretsOf(process.env) })
))

// ---------------------------------------------------------------------------

const isAsked = (): boolean =>
  ["", "_TRACES", "_METRICS", "_LOGS"].some((signal) =>
    (process.env[`OTEL_EXPORTER_OTLP${signal}_ENDPOINT`] ?? "") !== ""
  )
