import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Headers from "@effect/platform/Headers"
import * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as HttpTraceContext from "@effect/platform/HttpTraceContext"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as Option from "effect/Option"
import type { Desk } from "./serveDesk.js"

const requests = Metric.counter("ccflow_http_requests_total", {
  description: "Requests by route and status; 499 is a client that went away.",
  incremental: true
})
const durations = Metric.histogram(
  "ccflow_http_request_duration_seconds",
  MetricBoundaries.fromIterable([0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300]),
  "From a request's headers to the end of its answer."
)
const active = Metric.gauge("ccflow_http_requests_active", { description: "Requests that are being answered." })

/**
 * Around a request from its headers to the last byte of its answer: its id, its span, its line in the log, its place in
 * the metrics. Neither paths nor headers nor bodies are in any of them, since all of these can hold what is secret.
 */
export const observed = (desk: Desk) => <E, R>(app: HttpApp.Default<E, R>) =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const id = idOf(request.headers["x-request-id"])
    const route = routeOf(request)
    const answered = HttpApp.withPreResponseHandler(
      app,
      (_, response) =>
        Effect.sync(() => HttpServerResponse.setHeaders(response, headersOf(response, id, desk.stopping())))
    )
    return Effect.gen(function*() {
      const response = NodeHttpServerRequest.toServerResponse(request)
      const leave = desk.arrive()
      let left = false
      response.once("close", () => {
        left = !response.writableEnded
        leave()
      })
      yield* Metric.increment(active)
      const begin = yield* Clock.currentTimeMillis
      return yield* Effect.onExit(answered, (exit) =>
        Effect.gen(function*() {
          const ms = (yield* Clock.currentTimeMillis) - begin
          const status = left ? 499 : statusOf(exit)
          const quiet = route.name.startsWith("GET /") && !route.name.startsWith("GET /v1")
          yield* Effect.annotateCurrentSpan("http.response.status_code", status)
          yield* Metric.increment(Metric.tagged(Metric.tagged(requests, "route", route.name), "status", String(status)))
          yield* Metric.update(Metric.tagged(durations, "route", route.name), ms / 1000)
          yield* Metric.incrementBy(active, -1)
          yield* (quiet ? Effect.logDebug(route.name) : Effect.logInfo(route.name)).pipe(
            Effect.annotateLogs({ status, ms })
          )
        }))
    }).pipe(
      Effect.annotateLogs("requestId", id),
      Effect.withSpan(`http.server ${route.name}`, {
        kind: "server",
        captureStackTrace: false,
        parent: Option.getOrUndefined(HttpTraceContext.fromHeaders(Headers.fromInput(request.headers))),
        attributes: { "http.request.method": request.method, "http.route": route.path, "http.request.id": id }
      })
    )
  })

// ---------------------------------------------------------------------------

const idOf = (given: string | undefined): string =>
  given !== undefined && /^[\w.:-]{1,128}$/.test(given) ? given : crypto.randomUUID()

const routes = [
  /^\/v1\/(?:query|batch|sessions)$/,
  /^\/v1\/sessions\/[^/]+(\/(?:messages|interrupt))?$/,
  /^\/(?:health|ready|metrics|docs|openapi\.json)$/
]

const methods = ["GET", "POST", "DELETE", "OPTIONS", "HEAD"]

/** As many as there are, whatever is asked for. */
const routeOf = ({ method, url }: HttpServerRequest.HttpServerRequest) => {
  const [asked = ""] = url.split("?", 1)
  const known = routes.some((route) => route.test(asked)) && methods.includes(method)
  const path = known ? asked.replace(/^(\/v1\/sessions\/)[^/]+/, "$1:sessionId") : "other"
  return { path, name: known ? `${method} ${path}` : "other" }
}

const statusOf = (exit: Exit.Exit<HttpServerResponse.HttpServerResponse, unknown>): number =>
  Exit.isSuccess(exit) ? exit.value.status : Cause.isInterrupted(exit.cause)
    ? 499
    : HttpServerError.exitResponse(exit).status

/** The page of the documentation brings all that it needs, and may ask nobody but its service. */
const policy = [
  "default-src 'none'",
  "script-src 'unsafe-inline'",
  "style-src 'unsafe-inline'",
  "img-src data:",
  "font-src data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join("; ")

const headersOf = (
  { headers, status }: HttpServerResponse.HttpServerResponse,
  id: string,
  stopping: boolean
): Readonly<Record<string, string>> => ({
  "x-request-id": id,
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  ...(headers["content-type"]?.startsWith("text/html") === true ? { "content-security-policy": policy } : {}),
  ...(status === 401 ? { "www-authenticate": "Bearer" } : {}),
  // Else the client would send its next request by a connection that is ended soon.
  ...(stopping ? { connection: "close" } : {})
})
