import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { createHash, timingSafeEqual } from "node:crypto"
import { invalid, ServiceError } from "./serveErrors.js"

/** Whom the service answers. */
export interface Guard {
  /** Nothing where anybody who reaches it may ask. */
  readonly token: Redacted.Redacted | undefined
  /** The names that it is called by, in small letters; nothing where it may be called by any. */
  readonly hosts: ReadonlySet<string> | undefined
  /** The web pages that may ask, beside its own. */
  readonly origins: ReadonlyArray<string>
}

export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host)

/** What a loopback address is called by. */
export const loopbackHosts = ["localhost", "127.0.0.1", "::1"]

/** Takes as long whatever is wrong with it. */
export const knows = ({ token }: Guard, given: string): boolean =>
  token === undefined || timingSafeEqual(digest(Redacted.value(token)), digest(given))

/** The same of a request. */
export const admits = (guard: Guard, request: HttpServerRequest.HttpServerRequest): boolean =>
  knows(guard, /^Bearer (.*)$/i.exec(request.headers["authorization"] ?? "")?.[1] ?? "")

export const unauthorized = {
  error: {
    type: "Unauthorized" as const,
    message: "The bearer token is missing or wrong",
    hint: "Send the header Authorization: Bearer with the service's token."
  }
}

/**
 * A web page anywhere can make its reader's browser ask a service on the loopback interface: by the name of a host of its
 * own that resolves there, which the `Host` header tells, or across origins, which `Origin` tells.
 */
export const check = (guard: Guard, request: HttpServerRequest.HttpServerRequest): ServiceError | undefined => {
  const host = hostOf(request.headers["host"])
  if (guard.hosts !== undefined && !guard.hosts.has(host.name)) return hostRefused
  const origin = request.headers["origin"]
  if (origin === undefined || guard.origins.includes(origin)) return undefined
  // Its own page. Behind a proxy it may have come by https.
  return host.all !== "" && (origin === `http://${host.all}` || origin === `https://${host.all}`)
    ? undefined
    : originRefused
}

/** No page of another origin, but those that the operator names. */
export const cors = (
  { origins }: Guard
): <E, R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
) => Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
  origins.length === 0 ? (app) => app : HttpMiddleware.cors({
    allowedOrigins: (origin) => origins.includes(origin),
    allowedMethods: ["GET", "POST", "DELETE"],
    allowedHeaders: ["authorization", "content-type", "x-request-id", "traceparent", "tracestate"],
    exposedHeaders: ["x-request-id", "retry-after"],
    maxAge: 600
  })

/** The body as JSON, read no further than the limit. */
export const bodyOf = (request: HttpServerRequest.HttpServerRequest, limit: number) =>
  Effect.gen(function*() {
    const type = (request.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase()
    if (type !== "application/json") return yield* contentTypeRefused
    if (Number(request.headers["content-length"] ?? 0) > limit) return yield* tooLarge(limit)
    const bytes = yield* readAll(request, limit)
    return yield* Effect.try({
      try: (): unknown => JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)),
      catch: () => invalid("body", "it is not JSON in UTF-8")
    })
  })

// ---------------------------------------------------------------------------

const digest = (text: string): Buffer => createHash("sha256").update(text).digest()

const hostOf = (header: string | undefined): { readonly name: string; readonly all: string } => {
  const all = (header ?? "").toLowerCase()
  const [, name = ""] = /^(\[[0-9a-f:.]+\]|[^:/?#@\s]+)(?::\d+)?$/.exec(all) ?? []
  return { name: name.replace(/^\[|\]$/g, ""), all: name === "" ? "" : all }
}

/** The reader stops at the limit and leaves the connection alone, so that the answer still reaches the client. */
const readAll = (request: HttpServerRequest.HttpServerRequest, limit: number): Effect.Effect<Buffer, ServiceError> =>
  Effect.async((resume) => {
    const source = NodeHttpServerRequest.toIncomingMessage(request)
    const parts: Array<Buffer> = []
    let bytes = 0
    const data = (part: Buffer) => {
      bytes += part.length
      parts.push(part)
      if (bytes > limit) done(Effect.fail(tooLarge(limit)))
    }
    const end = () => done(Effect.succeed(Buffer.concat(parts)))
    const failed = () => done(Effect.fail(invalid("body", "it was cut")))
    const done = (effect: Effect.Effect<Buffer, ServiceError>) => {
      forget()
      resume(effect)
    }
    const forget = () => {
      source.off("data", data).off("end", end).off("error", failed).off("aborted", failed)
      source.pause()
    }
    source.on("data", data).on("end", end).on("error", failed).on("aborted", failed)
    return Effect.sync(forget)
  })

const hostRefused = new ServiceError({
  type: "HostRefused",
  message: "The service is not known by this host name",
  hint: "Call it by the address that it listens on, or let the operator add the name: --allowed-host."
})

const originRefused = new ServiceError({
  type: "OriginRefused",
  message: "Pages of this origin may not ask the service",
  hint: "Let the operator add the origin: --cors-origin."
})

const contentTypeRefused = new ServiceError({
  type: "ContentTypeRefused",
  message: "The body must be JSON",
  hint: "Send the header Content-Type: application/json."
})

const tooLarge = (limit: number) =>
  new ServiceError({
    type: "BodyTooLarge",
    message: `The body is longer than ${limit} bytes`,
    hint: "Send less, or let the operator raise --max-body."
  })
