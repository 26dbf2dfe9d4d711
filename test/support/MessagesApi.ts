import { once } from "node:events"
import { createServer } from "node:http"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { text } from "./MessagesReply.js"
import type { Ending, MessageReply, Reply, StatusReply } from "./MessagesReply.js"
import { parseRequest } from "./MessagesRequest.js"
import type { MessagesRequest } from "./MessagesRequest.js"
import { status } from "./MessagesStatus.js"
import { toBody, toEvents, toSse } from "./MessagesWire.js"
import type { WireIds } from "./MessagesWire.js"

export * from "./MessagesReply.js"
export type { MessagesRequest, RequestBlock, RequestKind, ToolResultBlock } from "./MessagesRequest.js"
export * from "./MessagesStatus.js"

/** `index` counts the main requests only. Of a list the last reply repeats. */
export type Script =
  | ((request: MessagesRequest, index: number) => Reply | Promise<Reply>)
  | ReadonlyArray<Reply>

export interface MessagesApi {
  readonly url: string
  readonly port: number
  /** Everything that arrived, in order. */
  readonly requests: ReadonlyArray<MessagesRequest>
  /** What a test usually asks about: the requests for the model's next words, without the CLI's small ones. */
  readonly mainRequests: () => ReadonlyArray<MessagesRequest>
  /** Main requests whose client went away before the reply was complete. */
  readonly abandoned: () => number
  readonly close: () => Promise<void>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

interface Exchange {
  readonly request: MessagesRequest
  readonly response: ServerResponse
  readonly ids: WireIds
  readonly requestId: string
  /** Aborted when the client goes away or the server closes. */
  readonly gone: AbortSignal
}

const readBody = async (request: IncomingMessage): Promise<string> => {
  const parts: Array<Buffer> = []
  for await (const part of request) parts.push(Buffer.from(part))
  return Buffer.concat(parts).toString("utf8")
}

/** Ends with the pause, or at once when nobody listens any more. */
const pause = (ms: number, gone: AbortSignal): Promise<void> =>
  ms <= 0 ? Promise.resolve() : sleep(ms, undefined, { signal: gone }).catch(() => undefined)

const sendStatus = ({ request, requestId, response }: Exchange, reply: StatusReply): void => {
  response.writeHead(reply.code, { "request-id": requestId, ...reply.headers })
  response.end(request.method === "HEAD" ? undefined : reply.body)
}

const stopBody = (response: ServerResponse, ending: Ending): void => {
  switch (ending._tag) {
    case "complete":
    case "endEarly":
      response.end()
      return
    case "error":
      response.end(toSse({ type: "error", error: { type: ending.type, message: ending.message } }))
      return
    case "cut":
      // A client that learns of the cut before it has read what was written drops that.
      setTimeout(() => response.destroy(), 250).unref()
      return
    case "hang":
      return
  }
}

const sendStream = async ({ gone, ids, requestId, response }: Exchange, reply: MessageReply): Promise<void> => {
  response.writeHead(200, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "request-id": requestId,
    ...reply.headers
  })
  const limit = reply.ending._tag === "complete" ? Number.POSITIVE_INFINITY : reply.ending.afterChars
  let sent = 0
  for (const { chars, event } of toEvents(reply, ids)) {
    if (reply.ending._tag !== "complete" && (event.type === "message_delta" || sent + chars > limit)) break
    if (chars > 0) await pause(reply.delayMs, gone)
    if (gone.aborted) return
    sent += chars
    if (!response.write(toSse(event))) await drained(response, gone)
  }
  stopBody(response, reply.ending)
}

const drained = (response: ServerResponse, gone: AbortSignal): Promise<unknown> =>
  once(response, "drain", { signal: gone }).catch(() => undefined)

const statusOfError: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  authentication_error: 401,
  permission_error: 403,
  not_found_error: 404,
  rate_limit_error: 429,
  overloaded_error: 529
}

/** The same failure for a client that asked for one JSON body. */
const sendBody = (exchange: Exchange, reply: MessageReply): void => {
  const { ids, requestId, response } = exchange
  if (reply.ending._tag === "error") {
    const { message, type } = reply.ending
    return sendStatus(exchange, status(statusOfError[type] ?? 500, { type, message, headers: reply.headers }))
  }
  const body = toBody(reply, ids)
  response.writeHead(200, { "content-type": "application/json", "request-id": requestId, ...reply.headers })
  if (reply.ending._tag === "complete") {
    response.end(body)
    return
  }
  response.write(body.slice(0, Math.floor(body.length / 2)))
  stopBody(response, reply.ending)
}

const send = async (exchange: Exchange, reply: Reply): Promise<void> => {
  if (reply._tag === "silent") return
  if (reply._tag === "status") return sendStatus(exchange, reply)
  await pause(reply.firstByteDelayMs, exchange.gone)
  if (exchange.gone.aborted) return
  return exchange.request.stream ? sendStream(exchange, reply) : sendBody(exchange, reply)
}

const json = (value: unknown): StatusReply => status(200, { body: JSON.stringify(value) })

const defaultReply = (request: MessagesRequest): Reply => {
  if (request.kind === "countTokens") return json({ input_tokens: 25 })
  if (request.kind === "auxiliary") return text("Stand-in")
  return request.method === "HEAD" || request.path === "/" ? json({}) : status(404)
}

const scripted = (script: Script) => (request: MessagesRequest): Reply | Promise<Reply> => {
  if (request.kind !== "main") return defaultReply(request)
  if (typeof script === "function") return script(request, request.index)
  return script[Math.min(request.index, script.length - 1)] ?? status(500, { message: "The script is empty" })
}

const pad = (value: number): string => String(value).padStart(4, "0")

/** A Messages API without a model behind it, on the loopback interface only. */
export const startMessagesApi = async (script: Script): Promise<MessagesApi> => {
  const requests: Array<MessagesRequest> = []
  const sockets = new Set<Socket>()
  const closing = new AbortController()
  const replyTo = scripted(script)
  const count = { main: 0, tools: 0, abandoned: 0 }

  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const left = new AbortController()
    response.on("error", () => left.abort())
    response.on("close", () => left.abort())
    const request = parseRequest({
      method: incoming.method ?? "",
      url: incoming.url ?? "",
      headers: incoming.headers,
      body: await readBody(incoming),
      nextIndex: count.main
    })
    requests.push(request)
    if (request.kind === "main") {
      count.main += 1
      response.on("close", () => {
        if (!response.writableFinished) count.abandoned += 1
      })
    }
    // Numbered by the main request, so that what the CLI asks on the side does not shift them.
    const number = request.kind === "main" ? pad(count.main) : `side_${pad(requests.length)}`
    const ids: WireIds = {
      message: `msg_standin_${number}`,
      nextTool: () => `toolu_standin_${pad(count.tools += 1)}`,
      model: request.model
    }
    await send({
      request,
      response,
      ids,
      requestId: `req_standin_${number}`,
      gone: AbortSignal.any([left.signal, closing.signal])
    }, await replyTo(request))
  }

  const server = createServer((incoming, response) => {
    handle(incoming, response).catch((cause: unknown) => {
      if (response.headersSent || response.destroyed) {
        response.destroy()
        return
      }
      response.writeHead(500, { "content-type": "application/json" })
      response.end(JSON.stringify({ type: "error", error: { type: "api_error", message: `Script: ${String(cause)}` } }))
    })
  })
  server.keepAliveTimeout = 60_000
  server.on("clientError", (_cause, socket) => socket.destroy())
  server.on("connection", (socket) => {
    sockets.add(socket)
    socket.on("error", () => socket.destroy())
    socket.on("close", () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(0, "127.0.0.1", resolve)
  })
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("The stand-in has no port")

  const close = (): Promise<void> =>
    new Promise((resolve) => {
      closing.abort()
      server.close(() => setImmediate(resolve))
      for (const socket of sockets) socket.destroy()
    })

  return {
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    requests,
    mainRequests: () => requests.filter((request) => request.kind === "main"),
    abandoned: () => count.abandoned,
    close,
    [Symbol.asyncDispose]: close
  }
}
