import type { QueryOptions } from "@ccflow/core/AgentOptions"
import type { ContentBlock, Message, Result, Usage } from "@ccflow/core/Message"
import type { PricedTokens, PricingService } from "@ccflow/core/Pricing"
import type { UsageEntry } from "@ccflow/core/UsageLedger"
import * as Option from "effect/Option"
import * as Record from "effect/Record"
import * as Struct from "effect/Struct"
import { field, isRecord, listOf, number, parse, text } from "./json.js"
import { apiKeySource } from "./request.js"

/** Tokens as they are charged. */
type Charged = { readonly [Kind in keyof PricedTokens]-?: number }

/** A block while it grows. */
interface Growing {
  readonly raw: Record<string, unknown>
  readonly tag: "Text" | "Thinking" | undefined
  text: string
  open: boolean
}

/** What an answer has used. */
export type Used = Pick<UsageEntry, "entryId" | "sessionId" | "model" | "usage" | "costUsd" | "listUsd">

/** How an answer ended. */
export interface Ending {
  /** UTC epoch milliseconds: the price is that of the day. */
  readonly at: number
  readonly durationMs: number
  readonly interrupted: boolean
}

/**
 * The events of one answer to messages, in the order and with the promises of the CLI's: the joined `Text` is the text of
 * the `Assistant`, with partial messages on or off.
 */
export class Reply {
  /** The model has said all it had to say. */
  complete = false
  /** Why the model declined, where the API says so. */
  refusal = "The model declined to answer"
  /** Events, of whatever kind. */
  events = 0
  readonly sessionId: string
  private model: string
  private messageId = ""
  private stopReason: string | null = null
  private started = false
  private usage: Charged = nothing
  private readonly blocks: Array<Growing> = []
  private readonly options: QueryOptions
  private readonly pricing: PricingService

  constructor(sessionId: string, model: string, options: QueryOptions, pricing: PricingService) {
    this.sessionId = sessionId
    this.model = model
    this.options = options
    this.pricing = pricing
  }

  /** What the API has counted so far; undefined before it has said anything. */
  used(at: number): Used | undefined {
    const { messageId, model, sessionId, usage } = this
    if (!this.started) return undefined
    const costUsd = this.cost(at)
    return {
      entryId: `${sessionId}/${messageId}`,
      sessionId,
      model,
      usage: { ...usageOf(usage), webSearchRequests: usage.webSearchRequests },
      costUsd,
      listUsd: costUsd
    }
  }

  private cost(at: number): number | undefined {
    return Option.getOrUndefined(this.pricing.costOf(this.model, this.usage, { at }))
  }

  /** All text so far. */
  get text(): string {
    return this.blocks.map(({ tag, text }) => tag === "Text" ? text : "").join("")
  }

  take(event: unknown): ReadonlyArray<Message> {
    this.events++
    switch (field(event, "type")) {
      case "message_start":
        return this.start(field(event, "message"))
      case "content_block_start":
        return this.block(indexOf(event), field(event, "content_block"))
      case "content_block_delta":
        return this.delta(indexOf(event), field(event, "delta"))
      case "content_block_stop":
        return this.close(this.blocks[indexOf(event)])
      case "message_delta":
        this.stopReason = text(field(field(event, "delta"), "stop_reason")) ?? this.stopReason
        this.refusal = text(field(field(field(event, "delta"), "stop_details"), "explanation")) ?? this.refusal
        this.count(field(event, "usage"))
        return []
      case "message_stop":
        this.complete = true
        return []
      case "ping":
        return []
      default:
        return [{
          _tag: "Unknown",
          sessionId: this.sessionId,
          reason: "kind",
          type: text(field(event, "type")) ?? "",
          raw: event
        }]
    }
  }

  /** What is left to tell: the whole message, and the account of the turn. */
  end({ at, durationMs, interrupted }: Ending) {
    const { sessionId, stopReason, usage } = this
    const refused = stopReason === "refusal"
    const tokens = usageOf(usage)
    const cost = this.cost(at)
    const costUsd = cost ?? 0
    const hour = usage.cacheCreationHourInputTokens
    const modelUsage = this.started
      ? {
        [this.model]: {
          ...tokens,
          costUsd,
          webSearchRequests: usage.webSearchRequests,
          contextWindow: undefined,
          ...(hour > 0 ? { cacheCreationHourInputTokens: hour } : {})
        }
      }
      : {}
    const result: Result = {
      _tag: "Result",
      sessionId,
      result: this.text,
      structuredOutput: interrupted || this.options.outputSchema === undefined ? undefined : parse(this.text),
      subtype: interrupted ? "error_during_execution" : "success",
      isError: refused && !interrupted,
      stopReason,
      terminalReason: interrupted ? "aborted_streaming" : "completed",
      interrupted,
      usage: tokens,
      costUsd,
      totalCostUsd: costUsd,
      modelUsage,
      turnUsage: modelUsage,
      unpriced: this.started && cost === undefined ? [this.model] : undefined,
      numTurns: 1,
      durationMs,
      permissionDenials: [],
      errors: []
    }
    const messages: ReadonlyArray<Message> = [
      ...(this.started ? [] : [this.init()]),
      ...this.blocks.flatMap((block) => this.close(block)),
      ...(this.started ? [this.assistant(interrupted)] : []),
      { _tag: "Stop", sessionId, stopReason, usage: tokens }
    ]
    return { messages, result }
  }

  private start(message: unknown): ReadonlyArray<Message> {
    if (this.started) return []
    this.started = true
    this.messageId = text(field(message, "id")) ?? ""
    this.model = text(field(message, "model")) ?? this.model
    this.count(field(message, "usage"))
    return [this.init()]
  }

  private init(): Message {
    return {
      _tag: "Init",
      sessionId: this.sessionId,
      model: this.model,
      cwd: "",
      tools: [],
      mcpServers: [],
      permissionMode: "default",
      apiKeySource,
      cliVersion: "",
      slashCommands: [],
      agents: [],
      skills: [],
      capabilities: [],
      outputStyle: ""
    }
  }

  private assistant(aborted: boolean): Message {
    return {
      _tag: "Assistant",
      sessionId: this.sessionId,
      messageId: this.messageId,
      model: this.model,
      content: this.blocks.map(contentOf),
      stopReason: this.stopReason,
      usage: usageOf(this.usage),
      aborted
    }
  }

  private block(index: number, raw: unknown): ReadonlyArray<Message> {
    if (!isRecord(raw)) return []
    const tag = raw["type"] === "text" ? "Text" : raw["type"] === "thinking" ? "Thinking" : undefined
    const block: Growing = { raw: { ...raw }, tag, text: "", open: true }
    this.blocks[index] = block
    const begun = tag === undefined ? "" : text(raw[tag === "Text" ? "text" : "thinking"]) ?? ""
    return this.grow(block, begun)
  }

  private delta(index: number, delta: unknown): ReadonlyArray<Message> {
    const block = this.blocks[index]
    if (block === undefined) return []
    const signature = text(field(delta, "signature"))
    if (signature !== undefined) block.raw["signature"] = signature
    const citation = field(delta, "citation")
    if (citation !== undefined) block.raw["citations"] = [...listOf(block.raw["citations"]), citation]
    return this.grow(block, text(field(delta, block.tag === "Thinking" ? "thinking" : "text")) ?? "")
  }

  private grow(block: Growing, content: string): ReadonlyArray<Message> {
    block.text += content
    return content === "" || this.options.includePartialMessages !== true ? [] : this.said(block, content, true)
  }

  private close(block: Growing | undefined): ReadonlyArray<Message> {
    if (block === undefined || !block.open) return []
    block.open = false
    return block.text === "" || this.options.includePartialMessages === true ? [] : this.said(block, block.text, false)
  }

  private said({ tag }: Growing, content: string, delta: boolean): ReadonlyArray<Message> {
    return tag === undefined
      ? []
      : [{ _tag: tag, sessionId: this.sessionId, messageId: this.messageId, content, delta }]
  }

  /** The figures of a message grow while it is made: the last word counts. */
  private count(usage: unknown): void {
    this.usage = Record.map(figures, (path, kind) => number(path.reduce(field, usage)) ?? this.usage[kind])
  }
}

// ---------------------------------------------------------------------------

/** Where the API has each of them. */
const figures: { readonly [Kind in keyof Charged]: ReadonlyArray<string> } = {
  inputTokens: ["input_tokens"],
  outputTokens: ["output_tokens"],
  cacheReadInputTokens: ["cache_read_input_tokens"],
  cacheCreationInputTokens: ["cache_creation_input_tokens"],
  cacheCreationHourInputTokens: ["cache_creation", "ephemeral_1h_input_tokens"],
  webSearchRequests: ["server_tool_use", "web_search_requests"]
}

const nothing: Charged = Record.map(figures, () => 0)

const usageOf: (usage: Charged) => Usage = Struct.pick(
  "inputTokens",
  "outputTokens",
  "cacheReadInputTokens",
  "cacheCreationInputTokens"
)

const contentOf = ({ raw, tag, text: said }: Growing): ContentBlock => {
  const type = text(raw["type"]) ?? ""
  return tag === undefined ? { ...raw, type } : { ...raw, type, [tag === "Text" ? "text" : "thinking"]: said }
}

const indexOf = (event: unknown): number => number(field(event, "index")) ?? 0
