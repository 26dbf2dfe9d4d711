/**
 * From the bytes that the CLI prints to messages: framing, decoding, translation.
 *
 * No line can make it fail. What is not understood becomes an `Unknown` message or is counted, and what comes after it
 * is read as if it had not been there.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Control } from "./CliFrame.js"
import { Conversation } from "./internal/conversation.js"
import { LineSplitter } from "./internal/lines.js"
import { notUnderstood, translate } from "./internal/translator.js"
import type { Assistant, Message, Unknown } from "./Message.js"

/** What the parser saw, for diagnosis. */
export interface ParserCounts {
  bytes: number
  /** Lines that were frames, known or not. */
  frames: number
  /** Lines that are not JSON objects: what hooks, shells or debug switches print between the frames. */
  noise: number
  /** Lines that became `Unknown` because they are cut, broken or over the limit. */
  damaged: number
}

/** One run's parser. It is synchronous and keeps state: one for each process, never shared. */
export interface Parser {
  /** What one read gave. */
  readonly push: (chunks: ReadonlyArray<Uint8Array>) => ReadonlyArray<Message>
  /** The rest, when the output has ended: an unterminated line, an unfinished message. */
  readonly end: () => ReadonlyArray<Message>
  /**
   * Messages of the model that have begun and of which nothing was told in full, since the last result: what was cut was
   * paid for, too. Each may be given more than once, and also be told later.
   */
  readonly unfinished?: () => ReadonlyArray<UnfinishedMessage>
  /** Control frames since the last call, in order. They are answered, not shown. */
  readonly takeControl: () => ReadonlyArray<Control>
  readonly counts: Readonly<ParserCounts>
}

export type UnfinishedMessage = Pick<Assistant, "messageId" | "model" | "usage">

export interface ParserOptions {
  /** A longer line is reported as `Unknown` with its head. Default: 64 MiB. */
  readonly maxLineBytes?: number | undefined
}

/** Makes parsers. Replace it to see or change what every run is made of. */
export class MessageParser extends Context.Tag("@ccflow/core/MessageParser")<MessageParser, {
  readonly make: Effect.Effect<Parser>
}>() {}

/** A parser by itself, for those who have the CLI's output from elsewhere. */
export const make = (options?: ParserOptions): Parser => {
  const counts: ParserCounts = { bytes: 0, frames: 0, noise: 0, damaged: 0 }
  const conversation = new Conversation()
  let messages: Array<Message> = []

  const damaged = (reason: Unknown["reason"], raw: string, bytes?: number) => {
    counts.damaged++
    messages.push(notUnderstood(conversation, { reason, type: "", raw, bytes }))
  }
  const frame = (text: string, broken: "malformed" | "truncated") => {
    let value: Record<string, unknown>
    try {
      value = JSON.parse(text)
    } catch {
      return damaged(broken, text)
    }
    counts.frames++
    translate(conversation, messages, value)
  }
  const line = (broken: "malformed" | "truncated") => (text: string) => {
    if (text.charCodeAt(0) === openBrace) return frame(text, broken)
    const trimmed = text.trim()
    if (trimmed === "") return
    if (trimmed.charCodeAt(0) === openBrace) return frame(trimmed, broken)
    counts.noise++
  }
  const splitter = new LineSplitter(options?.maxLineBytes ?? defaultMaxLineBytes, {
    line: line("malformed"),
    unterminated: line("truncated"),
    oversized: (head, bytes) => damaged("oversized", head, bytes)
  })
  const take = (): ReadonlyArray<Message> => {
    const taken = messages
    messages = []
    return taken
  }

  return {
    counts,
    takeControl: () => conversation.takeControl(),
    unfinished: () => conversation.unfinished(),
    push: (chunks) => {
      for (const chunk of chunks) {
        counts.bytes += chunk.length
        splitter.push(chunk)
      }
      return take()
    },
    end: () => {
      splitter.end()
      conversation.end(messages)
      return take()
    }
  }
}

/** Parsers with other limits than the default. */
export const layerWith = (options: ParserOptions): Layer.Layer<MessageParser> =>
  Layer.succeed(MessageParser, { make: Effect.sync(() => make(options)) })

/** The parser for what the CLI prints. */
export const layer: Layer.Layer<MessageParser> = layerWith({})

// ---------------------------------------------------------------------------

const openBrace = 0x7b
const defaultMaxLineBytes = 64 * 1024 * 1024
