import { type InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type * as HttpServer from "@effect/platform/HttpServer"
import type { ServeError } from "@effect/platform/HttpServerError"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createServer, type Server } from "node:http"
import { Server as NetServer } from "node:net"
import { codeOf } from "./errorCode.js"
import { invalidOption } from "./invalidOption.js"

export interface Listening {
  readonly server: HttpServer.HttpServer
  /** Takes no new connections, once those are in that have come by now: the system would reset them. */
  readonly lastHasCome: Effect.Effect<void>
  /** Takes no new ones, and ends those that there are, whatever they are doing. */
  readonly end: Effect.Effect<void>
}

/** A client that is slow to ask has its connection closed: what it sends has a time limit, what it gets has another. */
export const listen = (host: string, port: number): Effect.Effect<Listening, InvalidOptionsError, Scope.Scope> =>
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
        lastHasCome: Effect.zipRight(allIn(node), stopListening(node)),
        end: Effect.zipRight(stopListening(node), Effect.sync(() => node.closeAllConnections()))
      }))
    )
  })

// ---------------------------------------------------------------------------

/**
 * A turn of the loop takes one in. All are, when a turn has taken none. Where the loop is so slow, or so many come, that
 * it takes longer than 5 seconds, the others are refused.
 */
const allIn = (node: Server): Effect.Effect<void> =>
  Effect.suspend(() => {
    let taken = 0
    node.on("connection", () => taken++)
    // Twice, so that the loop has waited for connections in between.
    const tookOne = Effect.async<boolean>((resume) => {
      const before = taken
      setImmediate(() => setImmediate(() => resume(Effect.succeed(taken > before))))
    })
    return Effect.ignore(Effect.timeout(Effect.repeat(tookOne, { while: (took) => took }), "5 seconds"))
  })

/** HTTP's own `close` would end connections as well whose answer is not yet sent to its end. */
const stopListening = (node: Server): Effect.Effect<void> => Effect.sync(() => NetServer.prototype.close.call(node))

const unusable = (host: string, port: number, cause: unknown) => {
  const code = codeOf(cause) || "unknown"
  return invalidOption(
    code === "EADDRNOTAVAIL" || code === "ENOTFOUND" ? "--host" : "--port",
    `it is not possible to listen on ${host}, port ${port} (${code})`,
    code === "EADDRINUSE" ? "Something else listens there. Choose another port." : "Choose another address."
  )
}
