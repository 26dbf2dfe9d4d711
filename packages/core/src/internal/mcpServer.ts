import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { QueryOptions } from "../AgentOptions.js"
import { InvalidOptionsError } from "../ClaudeError.js"
import type * as ControlProtocol from "../ControlProtocol.js"
import * as Tools from "../Tools.js"
import { causeText } from "./causeText.js"
import { HostChannel } from "./hostChannel.js"
import { toJsonSchema } from "./outputSchema.js"

/**
 * Answers the CLI's MCP messages: one server for each tool set. There is no connection to keep, so that the same set can
 * serve any number of sessions; what is under way is kept by the process that asked.
 */
export const make = (
  toolSets: ReadonlyArray<Tools.ToolSet>,
  options: QueryOptions
): Either.Either<ControlProtocol.Handler, InvalidOptionsError> =>
  Either.gen(function*() {
    const servers = new Map<string, Server>()
    for (const set of toolSets) {
      if (servers.has(set.name)) return yield* invalid(set.name, "there are two tool sets of this name")
      if (Object.hasOwn(options.mcpServers ?? {}, set.name)) {
        return yield* invalid(set.name, "there is an MCP server of this name in mcpServers")
      }
      servers.set(set.name, yield* serverOf(set))
    }
    const underWay = new WeakMap<object, Calls>()

    return ({ message, server_name: name }) =>
      Effect.flatMap(HostChannel, (channel) => {
        const server = servers.get(String(name))
        if (server === undefined) return Effect.fail({ error: `There is no tool set "${String(name)}"` })
        const calls: Calls = underWay.get(channel) ?? new Map()
        underWay.set(channel, calls)
        return Effect.map(
          Option.match(decodeMessage(message), {
            onNone: () => Effect.succeed(failure(null, -32600, "Not a request of JSON-RPC")),
            onSome: (read) => respond(server, read, calls, channel.tell)
          }),
          (response) => ({ mcp_response: response })
        )
      })
  })

// ---------------------------------------------------------------------------

interface Server {
  readonly set: Tools.ToolSet
  readonly tools: ReadonlyMap<string, Tools.Tool>
  /** The answer to `tools/list`. */
  readonly listed: ReadonlyArray<unknown>
}

/** What is being done for a process, by server and request, each with what cancels it. */
type Calls = Map<string, Deferred.Deferred<Result>>

const JsonRpc = Schema.Struct({
  id: Schema.optional(Schema.Union(Schema.String, Schema.Number)),
  method: Schema.String,
  params: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Unknown }))
})
const decodeMessage = Schema.decodeUnknownOption(JsonRpc)

const Meta = Schema.Struct({
  "claudecode/toolUseId": Schema.optional(Schema.String),
  progressToken: Schema.optional(Schema.Union(Schema.String, Schema.Number))
})
const decodeMeta = Schema.decodeUnknownOption(Meta)

const invalid = (name: string, detail: string, hint = "Give it another name.") =>
  Either.left(new InvalidOptionsError({ field: `toolSets.${name}`, detail, hint }))

const goodName = /^[A-Za-z0-9_-]{1,64}$/

const serverOf = (set: Tools.ToolSet): Either.Either<Server, InvalidOptionsError> =>
  Either.gen(function*() {
    if (!goodName.test(set.name) || set.name.includes("__")) {
      return yield* invalid(set.name, "a name has up to 64 letters, digits, \"-\" and \"_\", and no \"__\"")
    }
    const tools = new Map<string, Tools.Tool>()
    const listed: Array<unknown> = []
    for (const tool of set.tools) {
      const field = `${set.name}.${tool.name}`
      if (!goodName.test(tool.name)) {
        return yield* invalid(field, "a name has up to 64 letters, digits, \"-\" and \"_\"")
      }
      if (tools.has(tool.name)) return yield* invalid(field, "there are two tools of this name")
      const inputSchema = Either.getOrUndefined(Either.try(() => inputSchemaOf(tool)))
      if (inputSchema?.["type"] !== "object") {
        return yield* invalid(
          field,
          "its input has no JSON Schema of an object",
          "Take a Schema.Struct, and annotate what JSON does not have."
        )
      }
      tools.set(tool.name, tool)
      listed.push({
        name: tool.name,
        description: tool.description,
        inputSchema,
        annotations: tool.annotations,
        _meta: { "anthropic/maxResultSizeChars": tool.inlineChars, "anthropic/alwaysLoad": tool.alwaysLoad }
      })
    }
    return { set, tools, listed }
  })

/** An empty struct takes lists, too, for Effect; arguments are an object. */
const inputSchemaOf = ({ input }: Tools.Tool): Readonly<Record<string, unknown>> =>
  input.ast._tag === "TypeLiteral" && input.ast.propertySignatures.length === 0 &&
    input.ast.indexSignatures.length === 0
    ? { type: "object", properties: {}, additionalProperties: false }
    : toJsonSchema(input)

type Id = string | number | null

type Tell = HostChannel["Type"]["tell"]

const respond = (
  server: Server,
  { id: given, method, params = {} }: typeof JsonRpc.Type,
  calls: Calls,
  tell: Tell
): Effect.Effect<unknown> => {
  const id = given ?? null
  switch (method) {
    case "initialize":
      return Effect.succeed(success(id, {
        protocolVersion: typeof params["protocolVersion"] === "string" ? params["protocolVersion"] : "2025-06-18",
        capabilities: { tools: {} },
        serverInfo: { name: server.set.name, version: server.set.version },
        instructions: server.set.instructions
      }))
    case "ping":
      return Effect.succeed(success(id, {}))
    case "tools/list":
      return Effect.succeed(success(id, { tools: server.listed }))
    case "tools/call":
      return Effect.map(
        cancellable(calls, `${server.set.name} ${String(id)}`, call(server, params, tell)),
        (result) => success(id, result)
      )
    case "notifications/cancelled": {
      const cancelled = calls.get(`${server.set.name} ${String(params["requestId"])}`)
      const ended = toolError("The call was cancelled.")
      return Effect.as(cancelled === undefined ? Effect.void : Deferred.succeed(cancelled, ended), success(0, {}))
    }
    default:
      // What is only told has no answer, but the control request that it came in has.
      return Effect.succeed(id === null ? success(0, {}) : failure(id, -32601, `There is no method ${method}`))
  }
}

const cancellable = (calls: Calls, key: string, work: Effect.Effect<Result>): Effect.Effect<Result> =>
  Effect.flatMap(Deferred.make<Result>(), (cancelled) => {
    calls.set(key, cancelled)
    return Effect.ensuring(Effect.raceFirst(work, Deferred.await(cancelled)), Effect.sync(() => calls.delete(key)))
  })

interface Result {
  readonly content: ReadonlyArray<Tools.ContentBlock>
  readonly isError?: true
}

const call = (server: Server, params: Readonly<Record<string, unknown>>, tell: Tell): Effect.Effect<Result> => {
  const tool = server.tools.get(String(params["name"]))
  if (tool === undefined) return Effect.succeed(toolError(`There is no tool ${String(params["name"])}.`))
  const meta = Option.getOrElse(decodeMeta(params["_meta"]), (): typeof Meta.Type => ({}))
  const { progressToken } = meta
  return Effect.suspend(() =>
    tool.run(params["arguments"] ?? {}, {
      toolUseId: meta["claudecode/toolUseId"],
      progress: (done, total, message) =>
        progressToken === undefined ? Effect.void : tell({
          subtype: "mcp_message",
          server_name: server.set.name,
          message: {
            jsonrpc: "2.0",
            method: "notifications/progress",
            params: { progressToken, progress: done, total, message }
          }
        })
    })
  ).pipe(
    Effect.map(resultOf),
    Effect.catchAllCause((cause) =>
      Effect.as(
        Effect.annotateLogs(Effect.logDebug("A tool failed", cause), { tool: tool.name }),
        toolError(causeText(cause))
      )
    )
  )
}

const resultOf = (value: unknown): Result => {
  if (Tools.isContent(value)) return bounded({ content: value.blocks })
  const text = typeof value === "string" ? value : JSON.stringify(value) ?? ""
  return bounded({ content: [Tools.text(text)] })
}

/** A line that is too long for the CLI ends it, and all of the session. */
const bounded = (result: Result): Result => {
  const size = result.content.reduce((sum, block) => sum + sizeOf(block), 0)
  // Escaped, a character can take six.
  const line = size * 6 <= longest || size > longest ? size : JSON.stringify(result.content).length
  return line <= longest
    ? result
    : toolError(`The result has ${size} characters. That is too much to hand on: narrow the question down.`)
}

const sizeOf = (block: Tools.ContentBlock): number =>
  Object.values(block).reduce(
    (sum: number, value) => sum + (typeof value === "string" ? value.length : JSON.stringify(value)?.length ?? 0),
    0
  )

/** The CLI's own bound is 256 Mi characters; there it ends. */
const longest = 192 * 1024 * 1024

const toolError = (message: string): Result => ({ content: [Tools.text(message)], isError: true })

const success = (id: Id, result: unknown) => ({ jsonrpc: "2.0", id, result })

const failure = (id: Id, code: number, message: string) => ({ jsonrpc: "2.0", id, error: { code, message } })
