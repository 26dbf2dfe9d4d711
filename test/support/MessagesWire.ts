import type { Block, MessageReply, Usage } from "./MessagesReply.js"

export interface WireIds {
  readonly message: string
  readonly nextTool: () => string
  readonly model: string
}

export interface WireEvent {
  readonly event: Readonly<Record<string, unknown>> & { readonly type: string }
  /** Characters of content it delivers. */
  readonly chars: number
}

const lengthOf = (block: Block): number => block._tag === "toolUse" ? block.json.length : block.text.length

/** Derived from the reply alone, so that a test can state the figures. */
export const usageOf = (reply: MessageReply): Usage => ({
  input_tokens: 25,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  output_tokens: Math.max(1, Math.ceil(reply.blocks.reduce((sum, block) => sum + lengthOf(block), 0) / 4)),
  ...reply.usage
})

const chunks = (value: string, size: number): ReadonlyArray<string> => {
  const list: Array<string> = []
  let piece = ""
  for (const point of value) {
    piece += point
    if (piece.length >= size) {
      list.push(piece)
      piece = ""
    }
  }
  return piece === "" ? list : [...list, piece]
}

const emptyBlock = (block: Block, ids: WireIds): Readonly<Record<string, unknown>> => {
  switch (block._tag) {
    case "text":
      return { type: "text", text: "" }
    case "thinking":
      return { type: "thinking", thinking: "", signature: "" }
    case "toolUse":
      return { type: "tool_use", id: block.id ?? ids.nextTool(), name: block.name, input: {} }
  }
}

const deltasOf = (block: Block, size: number): ReadonlyArray<{ readonly delta: object; readonly chars: number }> => {
  switch (block._tag) {
    case "text":
      return (block.deltas ?? chunks(block.text, size))
        .map((text) => ({ delta: { type: "text_delta", text }, chars: text.length }))
    case "thinking":
      return [
        ...chunks(block.text, size)
          .map((thinking) => ({ delta: { type: "thinking_delta", thinking }, chars: thinking.length })),
        { delta: { type: "signature_delta", signature: block.signature }, chars: 0 }
      ]
    case "toolUse":
      return chunks(block.json, size)
        .map((json) => ({ delta: { type: "input_json_delta", partial_json: json }, chars: json.length }))
  }
}

const blockEvents = (block: Block, index: number, reply: MessageReply, ids: WireIds): ReadonlyArray<WireEvent> => [
  { event: { type: "content_block_start", index, content_block: emptyBlock(block, ids) }, chars: 0 },
  ...deltasOf(block, reply.chunkSize)
    .map(({ chars, delta }) => ({ event: { type: "content_block_delta", index, delta }, chars })),
  { event: { type: "content_block_stop", index }, chars: 0 }
]

const envelope = (reply: MessageReply, ids: WireIds) => ({
  id: ids.message,
  type: "message",
  role: "assistant",
  model: reply.model ?? ids.model
})

/** The whole stream of a reply that ends well; a reply that does not is a prefix of it. */
export const toEvents = (reply: MessageReply, ids: WireIds): ReadonlyArray<WireEvent> => {
  const usage = { ...usageOf(reply), service_tier: "standard" }
  const start = {
    ...envelope(reply, ids),
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { ...usage, output_tokens: 1 }
  }
  const delta = {
    stop_reason: reply.stopReason,
    stop_sequence: null,
    ...(reply.stopDetails === undefined ? {} : { stop_details: reply.stopDetails })
  }
  return [
    { event: { type: "message_start", message: start }, chars: 0 },
    { event: { type: "ping" }, chars: 0 },
    ...reply.blocks.flatMap((block, index) => blockEvents(block, index, reply, ids)),
    { event: { type: "message_delta", delta, usage: { output_tokens: usage.output_tokens } }, chars: 0 },
    { event: { type: "message_stop" }, chars: 0 }
  ]
}

const parseInput = (json: string): unknown => {
  try {
    return JSON.parse(json)
  } catch {
    return {}
  }
}

const toContent = (block: Block, ids: WireIds): Readonly<Record<string, unknown>> => {
  switch (block._tag) {
    case "text":
      return { type: "text", text: block.text }
    case "thinking":
      return { type: "thinking", thinking: block.text, signature: block.signature }
    case "toolUse":
      return { type: "tool_use", id: block.id ?? ids.nextTool(), name: block.name, input: parseInput(block.json) }
  }
}

export const toBody = (reply: MessageReply, ids: WireIds): string =>
  JSON.stringify({
    ...envelope(reply, ids),
    content: reply.blocks.map((block) => toContent(block, ids)),
    stop_reason: reply.stopReason,
    stop_sequence: null,
    ...(reply.stopDetails === undefined ? {} : { stop_details: reply.stopDetails }),
    usage: { ...usageOf(reply), service_tier: "standard" }
  })

export const toSse = (event: WireEvent["event"]): string => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`
