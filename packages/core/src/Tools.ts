/**
 * Tools of the program for the model to use: an input schema and a handler that is an Effect. They are served within the
 * process, over the CLI's control channel, as an MCP server is by its own process.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { complaint } from "./internal/schemaIssue.js"
import type { ContentBlock } from "./Message.js"

/** A block of a result, as MCP has them: text, a picture, a resource. */
export type { ContentBlock } from "./Message.js"

const TypeId: unique symbol = Symbol.for("@ccflow/core/Tools/Content")

/** A result in blocks. Made by `content`. */
export interface Content {
  readonly [TypeId]: typeof TypeId
  readonly blocks: ReadonlyArray<ContentBlock>
}

/** One use of a tool, as its handler sees it. */
export interface Call {
  /** Joins the call with the `ToolUse` and `ToolResult` messages. Absent where the CLI does not say. */
  readonly toolUseId: string | undefined
  /** Tells the CLI how far the work is. Says nothing where the CLI has not asked to be told. */
  readonly progress: (done: number, total?: number, message?: string) => Effect.Effect<void>
}

/** What may be said of a tool beside what it does; hints, in the words of MCP. */
export interface Annotations {
  /** Changes nothing. The CLI may then run several at the same time, and in plan mode. */
  readonly readOnlyHint?: boolean | undefined
  readonly destructiveHint?: boolean | undefined
  readonly idempotentHint?: boolean | undefined
  readonly openWorldHint?: boolean | undefined
}

/** A tool. Made by `tool`. */
export interface Tool<out R = never> extends Described {
  readonly input: Schema.Schema.AnyNoContext
  /** Takes the arguments as the model gave them. */
  readonly run: (args: unknown, call: Call) => Effect.Effect<unknown, unknown, R>
}

/** Tools under one name. It is a value, which many sessions can serve at once. */
export interface ToolSet<out R = never> {
  readonly name: string
  readonly version: string
  /** What the model should know about these tools as a whole. */
  readonly instructions: string | undefined
  readonly tools: ReadonlyArray<Tool<R>>
}

/** The tool sets of all queries of a fiber and its children, beside those of the call. */
export class Tools extends Context.Reference<Tools>()("@ccflow/core/Tools", {
  defaultValue: (): ReadonlyArray<ToolSet> => []
}) {}

/** Tool sets that may need services: those of the place where the layer is built. */
export const layer = <R = never>(toolSets: ReadonlyArray<ToolSet<R>>): Layer.Layer<Tools, never, R> =>
  Layer.effect(Tools, Effect.forEach(toolSets, withContext))

/** No tools but those of a call. */
export const layerNoop: Layer.Layer<Tools> = Layer.succeed(Tools, [])

/**
 * A tool. The handler gives text, `content`, or a value that is written as JSON. Arguments that do not fit the schema
 * never reach it: the model is told what is wrong. A failure or a defect is told to the model, too, by its message. It is
 * interrupted when the turn is.
 */
export const tool = <A, I, R = never>({ handler, ...described }: Described & {
  /** A struct; its descriptions are read by the model. */
  readonly input: Schema.Schema<A, I>
  readonly handler: (input: A, call: Call) => Effect.Effect<unknown, unknown, R>
}): Tool<R> => {
  const decode = Schema.decodeUnknownEither(described.input)
  return {
    ...described,
    run: (args, call) =>
      Either.match(decode(args), {
        onLeft: (error) => Effect.fail({ message: `Invalid arguments: ${complaint(error)}.` }),
        onRight: (input) => handler(input, call)
      })
  }
}

/** Tools under one name. For the model each is `mcp__<name>__<tool>`. */
export function toolSet<const Members extends ReadonlyArray<Tool<unknown>>>(
  name: string,
  tools: Members,
  options?: { readonly version?: string | undefined; readonly instructions?: string | undefined }
): ToolSet<ContextOf<Members[number]>>
export function toolSet<R>(
  name: string,
  tools: ReadonlyArray<Tool<R>>,
  { instructions, version = "1.0.0" }: { readonly [Field in "version" | "instructions"]?: string | undefined } = {}
): ToolSet<R> {
  return { name, version, instructions, tools }
}

/** A tool set whose handlers have their services, as the options of a call want it. */
export const withContext = <R>(set: ToolSet<R>): Effect.Effect<ToolSet, never, R> =>
  Effect.map(Effect.context<R>(), (context) => ({
    ...set,
    tools: set.tools.map((tool) => ({
      ...tool,
      run: (args: unknown, call: Call) => Effect.provide(tool.run(args, call), context)
    }))
  }))

/** The tools' names for `allowedTools`, so that nobody is asked about them. */
export const allowed = <R>(set: ToolSet<R>): ReadonlyArray<string> =>
  set.tools.map(({ name }) => `mcp__${set.name}__${name}`)

/** A result in blocks. */
export const content = (...blocks: ReadonlyArray<ContentBlock>): Content => ({ [TypeId]: TypeId, blocks })

export const text = (text: string): ContentBlock => ({ type: "text", text })

/** A picture; `data` is base64. */
export const image = (data: string, mimeType: string): ContentBlock => ({ type: "image", data, mimeType })

export const isContent = (value: unknown): value is Content => Predicate.hasProperty(value, TypeId)

// ---------------------------------------------------------------------------

interface Described {
  /** Letters, digits, `_` and `-`. */
  readonly name: string
  readonly description: string
  readonly annotations?: Annotations | undefined
  /**
   * How many characters of a result the model gets itself: of more the CLI writes a file and shows the beginning. Default:
   * the CLI's, some 50 000. It has a limit of its own, somewhere below a million.
   */
  readonly inlineChars?: number | undefined
  /** The model knows the tool from the start. Left out, newer versions let it search for tools before it uses them. */
  readonly alwaysLoad?: boolean | undefined
}

/** The services of all of them. */
type ContextOf<Member> = Member extends Tool<infer R> ? R : never
