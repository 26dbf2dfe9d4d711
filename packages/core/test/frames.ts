import type { Control } from "@ccflow/core/CliFrame"
import type { Message } from "@ccflow/core/Message"
import * as MessageParser from "@ccflow/core/MessageParser"

/** A line of the CLI, before it is one. */
export type Frame = { readonly [field: string]: unknown }

export const session = "5e551011-0000-4000-8000-000000000001"
const usage = (output: number) => ({ input_tokens: 25, output_tokens: output, cache_read_input_tokens: 3 })
const base = { session_id: session, uuid: "00000000-0000-4000-8000-00000000000a", parent_tool_use_id: null }

export const init: Frame = {
  ...base,
  type: "system",
  subtype: "init",
  model: "claude-opus-5-5",
  tools: ["Task", "Bash"]
}

export const system = (subtype: string, fields: Frame = {}): Frame => ({ ...base, type: "system", subtype, ...fields })

export const assistant = (id: string, content: ReadonlyArray<Frame>, fields: Frame = {}, output = 1): Frame => ({
  type: "assistant",
  ...base,
  message: { id, model: "claude-opus-5-5", role: "assistant", content, stop_reason: null, usage: usage(output) },
  ...fields
})

export const says = (text: string): Frame => ({ type: "text", text })
export const thinks = (thinking: string): Frame => ({ type: "thinking", thinking, signature: "" })
export const uses = (id: string, name: string, input: unknown = {}): Frame => ({ type: "tool_use", id, name, input })

export const gives = (id: string, content: unknown, fields: Frame = {}): Frame => ({
  type: "user",
  ...base,
  message: { role: "user", content: [{ type: "tool_result", tool_use_id: id, content, is_error: false }] },
  ...fields
})

export const user = (content: unknown, fields: Frame = {}): Frame => ({
  type: "user",
  ...base,
  message: { role: "user", content },
  ...fields
})

const event = (fields: Frame, beside: Frame = {}): Frame => ({
  type: "stream_event",
  ...base,
  event: fields,
  ...beside
})

export const starts = (id: string, beside: Frame = {}): Frame =>
  event({ type: "message_start", message: { id, model: "claude-opus-5-5", content: [], usage: usage(1) } }, beside)
export const delta = (text: string, index = 0, beside: Frame = {}): Frame =>
  event({ type: "content_block_delta", index, delta: { type: "text_delta", text } }, beside)
export const thinkingDelta = (thinking: string, index = 0): Frame =>
  event({ type: "content_block_delta", index, delta: { type: "thinking_delta", thinking } })
export const ends = (stopReason: string | null, output: number): Frame =>
  event({ type: "message_delta", delta: { stop_reason: stopReason }, usage: usage(output) })
export const stops = (beside: Frame = {}): Frame => event({ type: "message_stop" }, beside)
/** The CLI gives up on what the message has said from a block on. */
export const abandons = (id: string, from = 0): Frame =>
  stops({ abandoned_blocks: { api_message_id: id, from_block_index: from } })

export const result = (text: string, fields: Frame = {}): Frame => ({
  duration_ms: 12,
  ...base,
  is_error: false,
  num_turns: 1,
  subtype: "success",
  stop_reason: "end_turn",
  terminal_reason: "completed",
  total_cost_usd: 0.25,
  usage: usage(7),
  modelUsage: {},
  permission_denials: [],
  result: text,
  type: "result",
  ...fields
})

const encoder = new TextEncoder()

export const bytes = (frames: ReadonlyArray<Frame | string>): Uint8Array =>
  encoder.encode(frames.map((frame) => `${typeof frame === "string" ? frame : JSON.stringify(frame)}\n`).join(""))

export interface Parsed {
  readonly messages: ReadonlyArray<Message>
  readonly control: ReadonlyArray<Control>
  readonly counts: MessageParser.ParserCounts
}

export const parseBytes = (chunks: ReadonlyArray<Uint8Array>, options?: MessageParser.ParserOptions): Parsed => {
  const parser = MessageParser.make(options)
  const messages = chunks.flatMap((chunk) => parser.push([chunk]))
  messages.push(...parser.end())
  return { messages, control: parser.takeControl(), counts: { ...parser.counts } }
}

export const parser = MessageParser.make

export const parse = (...frames: ReadonlyArray<Frame | string>): ReadonlyArray<Message> =>
  parseBytes([bytes(frames)]).messages

export const tags = (messages: ReadonlyArray<Message>): ReadonlyArray<string> => messages.map(({ _tag }) => _tag)

/** What a joiner has at the end, of the main thread or of a subagent's. */
export const joined = (
  messages: ReadonlyArray<Message>,
  parent?: string,
  kind: "Text" | "Thinking" = "Text"
): string =>
  messages.reduce((text, message) =>
    message._tag !== kind || message.parentToolUseId !== parent
      ? text
      : text.slice(0, text.length - (message.retract ?? 0)) + message.content, "")
