import { HealthCheck } from "@ccflow/core/HealthCheck"
import * as Prometheus from "@ccflow/node/Prometheus"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import { Api, type Readiness } from "../HttpServiceApi.js"
import { Service } from "./serveContext.js"
import { admits } from "./serveGuard.js"

/** How the service is. */
export const layer = HttpApiBuilder.group(Api, "system", (handlers) =>
  Effect.gen(function*() {
    const health = yield* HealthCheck
    const { desk, guard } = yield* Service

    const ready = Effect.gen(function*() {
      const { healthy, problems } = yield* health.check()
      const mayKnow = admits(guard, yield* HttpServerRequest.HttpServerRequest)
      const body: typeof Readiness.Type = {
        ready: healthy && !desk.stopping(),
        problems: [
          ...(desk.stopping() ? [{ check: "service", detail: "It is stopping." }] : []),
          // What is wrong names paths and people.
          ...problems.map(({ check, detail, fix }) => mayKnow ? { check, detail, fix } : { check })
        ]
      }
      return HttpServerResponse.unsafeJson(body, { status: body.ready ? 200 : 503 })
    })

    return handlers
      .handle("health", () => Effect.succeed({ status: "ok" as const }))
      .handleRaw("ready", () => ready)
      .handleRaw("metrics", () =>
        Effect.map(Prometheus.render, (text) =>
          HttpServerResponse.text(text, { contentType: Prometheus.contentType })))
  }))
