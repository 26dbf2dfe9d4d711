/**
 * Queries, sessions and batches over HTTP, for whom it is given to: by default those on the same machine. Nothing that a
 * request says runs code of its own or widens what Claude Code may do, unless the operator allows that.
 */
import type { QueryOptions } from "@ccflow/core/AgentOptions"
import type { Claude } from "@ccflow/core/Claude"
import type { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import type { HealthCheck } from "@ccflow/core/HealthCheck"
import type { SessionManager } from "@ccflow/core/SessionManager"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApiSwagger from "@effect/platform/HttpApiSwagger"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { Api, Authorization } from "./HttpServiceApi.js"
import { invalidOption } from "./internal/invalidOption.js"
import { answered, Service } from "./internal/serveContext.js"
import * as Desk from "./internal/serveDesk.js"
import { answerOf, responseOf } from "./internal/serveErrors.js"
import * as Guard from "./internal/serveGuard.js"
import { listen } from "./internal/serveListen.js"
import { observed } from "./internal/serveObserve.js"
import { isGuarded } from "./internal/serveOptions.js"
import * as Queries from "./internal/serveQueries.js"
import * as Sessions from "./internal/serveSessions.js"
import * as System from "./internal/serveSystem.js"

export interface HttpServiceOptions {
  /** Default: `127.0.0.1`, which nobody on another machine can reach. */
  readonly host?: string | undefined
  /** 0 for any that is free. Default: 8080. */
  readonly port?: number | undefined
  /** What clients must send, 16 characters or more. Off the loopback interface there must be one. Default: none. */
  readonly token?: Redacted.Redacted | undefined
  /** Web pages that may ask, such as `https://app.example`. Default: none. */
  readonly corsOrigins?: ReadonlyArray<string> | undefined
  /** Other names that it may be called by. Default: on the loopback interface none, elsewhere any. */
  readonly allowedHosts?: ReadonlyArray<string> | undefined
  /** Options that requests may have beyond those of `HttpServiceApi.optionFields`. Default: none. */
  readonly allow?: ReadonlyArray<string> | undefined
  /** Those of the client, which requests cannot widen. `maxTurns` and `maxBudgetUsd` are the most that one may ask for. */
  readonly defaults?: QueryOptions | undefined
  /** Queries, turns and batches at once; one more is refused. Default: 32. */
  readonly maxRequests?: number | undefined
  /** Bytes of a request. Default: 1 MiB. */
  readonly maxBody?: number | undefined
  /** Prompts of one batch. Default: 100. */
  readonly maxBatch?: number | undefined
  /** From its begin to the end of its answer. Default: 10 minutes. */
  readonly requestTimeout?: Duration.DurationInput | undefined
  /** How long requests may go on when the service is closed. Default: 10 seconds. */
  readonly grace?: Duration.DurationInput | undefined
  /** Between two signs of life in a stream of events. Default: 15 seconds. */
  readonly heartbeat?: Duration.DurationInput | undefined
}

/** A service that listens. */
export class HttpService extends Context.Tag("ccflow/HttpService")<HttpService, {
  readonly url: string
  readonly port: number
}>() {}

/** Listens as long as the layer lives. Closing it lets requests end for the grace, and then ends them and their CLIs. */
export const layer = (
  options: HttpServiceOptions = {}
): Layer.Layer<HttpService, InvalidOptionsError, Claude | SessionManager | HealthCheck> => {
  const { grace = "10 seconds", host = "127.0.0.1", port = 8080 } = options
  const serving = Effect.gen(function*() {
    const { desk, guard } = yield* Service
    const app = yield* HttpApiBuilder.httpApp
    const { end, lastHasCome, server } = yield* listen(host, port)
    yield* server.serve(Guard.cors(guard)(guarded(guard)(app)), observed(desk)).pipe(
      // Its spans would have headers in them, and whole addresses.
      Effect.locally(HttpMiddleware.currentTracerDisabledWhen, () => true)
    )
    yield* Effect.addFinalizer(() => Effect.zipRight(desk.close(grace, lastHasCome), end))
    const at = server.address._tag === "TcpAddress" ? server.address.port : port
    return { url: `http://${host.includes(":") ? `[${host}]` : host}:${at}`, port: at }
  })
  const docs = Layer.merge(
    HttpApiSwagger.layer({ path: "/docs" }),
    HttpApiBuilder.middlewareOpenApi({ path: "/openapi.json" })
  )
  return Layer.scoped(HttpService, serving).pipe(
    Layer.provide([docs, HttpApiBuilder.middleware(answered)]),
    Layer.provide(HttpApiBuilder.api(Api)),
    Layer.provide([Queries.layer, Sessions.layer, System.layer]),
    Layer.provide(authorization),
    Layer.provide([HttpApiBuilder.Router.Live, HttpApiBuilder.Middleware.layer, NodeHttpServer.layerContext]),
    Layer.provide(Layer.effect(Service, serviceOf(options)))
  )
}

// ---------------------------------------------------------------------------

const serviceOf = ({
  allow = [],
  allowedHosts = [],
  corsOrigins = [],
  defaults = {},
  heartbeat = "15 seconds",
  host = "127.0.0.1",
  maxBatch = 100,
  maxBody = 1 << 20,
  maxRequests = 32,
  requestTimeout = "10 minutes",
  token
}: HttpServiceOptions) =>
  Effect.gen(function*() {
    const loopback = Guard.isLoopback(host)
    if (token === undefined ? !loopback : Redacted.value(token).trim().length < 16) {
      return yield* invalidOption(
        "token",
        token === undefined ? `there is none, and others than this machine can reach ${host}` : "it is too short",
        "Give 16 characters or more by CCFLOW_SERVE_TOKEN or --token-file."
      )
    }
    const unknown = allow.find((name) => !isGuarded(name))
    if (unknown !== undefined) {
      return yield* invalidOption(
        "allow",
        `there is no option ${unknown} to be allowed`,
        "See QueryOptions for their names."
      )
    }
    const wrong = corsOrigins.find((origin) => !/^https?:\/\/[^/*\s]+$/.test(origin))
    if (wrong !== undefined) {
      return yield* invalidOption(
        "corsOrigins",
        `"${wrong}" is no origin`,
        "Write it as https://app.example, without a path."
      )
    }
    const timeLimit = Option.map(Duration.decodeUnknown(requestTimeout), Duration.toMillis)
    if (Option.isNone(timeLimit) || !(timeLimit.value > 0)) {
      return yield* invalidOption("requestTimeout", "it must be a duration above 0", "Write it as \"10 minutes\".")
    }
    for (const [name, value] of Object.entries({ maxBatch, maxBody, maxRequests })) {
      if (!(Number.isInteger(value) && value > 0)) {
        return yield* invalidOption(name, "it must be a whole number above 0", "Leave it out for its default.")
      }
    }
    const hosts = [...allowedHosts, ...loopback ? Guard.loopbackHosts : [], host].map((name) => name.toLowerCase())
    return {
      desk: yield* Desk.make(maxRequests, timeLimit.value),
      guard: {
        token,
        hosts: loopback || allowedHosts.length > 0 ? new Set(hosts) : undefined,
        origins: corsOrigins
      },
      rules: { defaults, allow: new Set(allow), timeLimit: timeLimit.value },
      maxBody,
      maxBatch,
      heartbeat
    }
  })

const authorization = Layer.effect(
  Authorization,
  Effect.map(Service, ({ guard }) =>
    Authorization.of({
      bearer: (token) => Guard.knows(guard, Redacted.value(token)) ? Effect.void : Effect.fail(Guard.unauthorized)
    }))
)

const guarded = (guard: Guard.Guard) => <E, R>(app: HttpApp.Default<E, R>): HttpApp.Default<E, R> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const refused = Guard.check(guard, request)
    return refused === undefined ? app : Effect.succeed(responseOf(answerOf(refused, 0)))
  })
