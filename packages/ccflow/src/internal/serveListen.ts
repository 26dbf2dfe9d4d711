import { type InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type * as HttpServer from "@effect/platform/HttpServer"
import type { ServeError } from "@effect/platform/HttpServerError"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createServer, type Server } from "node:http"
import { codeOf } from "./errorCode.js"
import { invalidOption } from "./invalidOption.js"

/** @internal */
export interface Listening {
  readonly server: HttpServer.HttpServer
  /** Takes no new connections. */
  readonly refuse: Effect.Effect<void>
  /** Ends those that there are, whatever they are doing. */
  readonly cut: Effect.Effect<void>
}

/** A client that is slow to ask has its connection closed: what it sends has a time limit, what it gets has another. @internal */
export const listen = (
  host: string,
  port: number
): Effect.Effect<Listening, InvalidOptionsError, Scope.Scope> =>
  Effect.suspend(() => {
    const node: Server = createServer({
      headersTimeout: 10_000,
      requestTimeout: 30_000,
      keepAliveTimeout: 5_000,
      connectionsCheckingInterval: 5_000,
      maxHeaderSize: 16_384
    })
    return NodeHttpServer.make(() => node, { host, port }).pipe(
      Effect.mapError(({ cause }: ServeError) => unusable(host, port, cause)),
      Effect.map((server) => ({
        server,
        refuse: Effect.sync(() => {
          node.close()
          node.closeIdleConnections()
        }),
        cut: Effect.sync(() => node.closeAllConnections())
      }))
    )
  })

// ---------------------------------------------------------------------------

const unusable = (host: string, port: number, cause: unknown) => {
  const code = codeOf(cause) || "unknown"
  return invalidOption(
    code === "EADDRNOTAVAIL" || code === "ENOTFOUND" ? "--host" : "--port",
    `it is not possible to listen on ${host}, port ${port} (${code})`,
    code === "EADDRINUSE" ? "Something else listens there. Choose another port." : "Choose another address."
  )
}
