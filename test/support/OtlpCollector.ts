import { createServer, type IncomingHttpHeaders } from "node:http"
import type { Socket } from "node:net"
import { gunzipSync } from "node:zlib"
import { currentFile } from "./programs.js"
import { note } from "./run.js"

export interface Attribute {
  readonly key: string
  readonly value: {
    readonly stringValue?: string
    readonly intValue?: number | string
    readonly doubleValue?: number
    readonly boolValue?: boolean
    readonly arrayValue?: { readonly values: ReadonlyArray<Attribute["value"]> }
  }
}

export interface CollectedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: ReadonlyArray<Attribute>
  readonly events: ReadonlyArray<{ readonly name: string; readonly attributes: ReadonlyArray<Attribute> }>
  readonly status: { readonly code?: number; readonly message?: string }
}

export interface CollectedLog {
  readonly severityText: string
  readonly body: Attribute["value"]
  readonly attributes: ReadonlyArray<Attribute>
  readonly traceId?: string
}

export interface CollectedRequest {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface OtlpCollector extends AsyncDisposable {
  readonly url: string
  readonly requests: ReadonlyArray<CollectedRequest>
  /** Of every resource that has sent some, or of the service of this name. */
  readonly spans: (service?: string) => ReadonlyArray<CollectedSpan>
  readonly logs: () => ReadonlyArray<CollectedLog>
  readonly metrics: () => ReadonlyArray<string>
  readonly services: () => ReadonlyArray<string>
}

/** `accept`: takes all. `refuse`: 500 to all. `silent`: takes connections, and never answers. */
export type CollectorMood = "accept" | "refuse" | "silent"

interface Resourced {
  readonly resource: { readonly attributes: ReadonlyArray<Attribute> }
}
interface Body {
  readonly resourceSpans?: ReadonlyArray<
    Resourced & { readonly scopeSpans: ReadonlyArray<{ readonly spans: ReadonlyArray<CollectedSpan> }> }
  >
  readonly resourceLogs?: ReadonlyArray<
    Resourced & { readonly scopeLogs: ReadonlyArray<{ readonly logRecords: ReadonlyArray<CollectedLog> }> }
  >
  readonly resourceMetrics?: ReadonlyArray<
    Resourced & {
      readonly scopeMetrics: ReadonlyArray<{ readonly metrics: ReadonlyArray<{ readonly name: string }> }>
    }
  >
}

/** What a value of OTLP's JSON stands for. */
export const valueOf = ({ arrayValue, boolValue, doubleValue, intValue, stringValue }: Attribute["value"]): unknown =>
  arrayValue?.values.map(valueOf) ?? stringValue ?? boolValue ?? doubleValue ??
    (intValue === undefined ? undefined : Number(intValue))

export const attributesOf = (of: { readonly attributes: ReadonlyArray<Attribute> }): Record<string, unknown> =>
  Object.fromEntries(of.attributes.map(({ key, value }) => [key, valueOf(value)]))

/** A collector of OTLP over HTTP with JSON, on the loopback interface only. */
export const startOtlpCollector = async (mood: CollectorMood = "accept"): Promise<OtlpCollector> => {
  const requests: Array<CollectedRequest> = []
  const sockets = new Set<Socket>()
  const server = createServer((request, response) => {
    const parts: Array<Buffer> = []
    request.on("data", (part: Buffer) => parts.push(part))
    request.on("end", () => {
      const whole = Buffer.concat(parts)
      const body = request.headers["content-encoding"] === "gzip" ? gunzipSync(whole) : whole
      requests.push({ path: request.url ?? "", headers: request.headers, body: body.toString("utf8") })
      note(`telemetry of ${currentFile()}`, body.toString("utf8"))
      if (mood === "silent") return
      response.writeHead(mood === "accept" ? 200 : 500, { "content-type": "application/json" }).end("{}")
    })
  })
  server.on("connection", (socket) => {
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("the collector has no port")
  const bodies = () =>
    requests.flatMap(({ body, headers }): ReadonlyArray<Body> =>
      headers["content-type"]?.includes("json") === true && body !== "" ? [JSON.parse(body)] : []
    )
  const serviceOf = ({ resource }: Resourced) => String(attributesOf(resource)["service.name"])
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    spans: (service) =>
      bodies().flatMap(({ resourceSpans = [] }) => resourceSpans)
        .filter((of) => service === undefined || serviceOf(of) === service)
        .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
    logs: () =>
      bodies().flatMap(({ resourceLogs = [] }) => resourceLogs)
        .flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords)),
    metrics: () =>
      bodies().flatMap(({ resourceMetrics = [] }) => resourceMetrics)
        .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics.map(({ name }) => name))),
    services: () => [
      ...new Set(
        bodies().flatMap(({ resourceLogs = [], resourceMetrics = [], resourceSpans = [] }) =>
          [...resourceLogs, ...resourceMetrics, ...resourceSpans].map(serviceOf)
        )
      )
    ],
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      })
  }
}
