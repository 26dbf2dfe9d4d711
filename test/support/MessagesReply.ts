/** One content block as the API would send it; `deltas` are the pieces in which a stream delivers it. */
export type Block =
  | { readonly _tag: "text"; readonly text: string; readonly deltas?: ReadonlyArray<string> }
  | { readonly _tag: "thinking"; readonly text: string; readonly signature: string }
  | { readonly _tag: "toolUse"; readonly name: string; readonly json: string; readonly id?: string }

export type BlockInput = Block | string

/** How a reply stops being sent. Everything but `complete` is a failure that a client sees in the middle of a body. */
export type Ending =
  | { readonly _tag: "complete" }
  | { readonly _tag: "cut"; readonly afterChars: number }
  | { readonly _tag: "endEarly"; readonly afterChars: number }
  | { readonly _tag: "error"; readonly afterChars: number; readonly type: string; readonly message: string }
  | { readonly _tag: "hang"; readonly afterChars: number }

export interface Usage {
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cache_creation_input_tokens: number
  readonly cache_read_input_tokens: number
}

export interface MessageReply {
  readonly _tag: "message"
  readonly blocks: ReadonlyArray<Block>
  readonly ending: Ending
  readonly stopReason: string
  readonly stopDetails?: Readonly<Record<string, unknown>>
  readonly usage: Partial<Usage>
  readonly model?: string
  readonly headers: Readonly<Record<string, string>>
  /** Characters per delta, for blocks that bring no deltas of their own. */
  readonly chunkSize: number
  /** Pause before each delta. */
  readonly delayMs: number
  readonly firstByteDelayMs: number
}

export interface StatusReply {
  readonly _tag: "status"
  readonly code: number
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

/** Takes the request and never answers. */
export interface SilentReply {
  readonly _tag: "silent"
}

export type Reply = MessageReply | StatusReply | SilentReply

export interface ReplyOptions {
  readonly chunkSize?: number
  readonly delayMs?: number
  readonly firstByteDelayMs?: number
  readonly stopReason?: string
  readonly stopDetails?: Readonly<Record<string, unknown>>
  readonly usage?: Partial<Usage>
  readonly model?: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface PartialOptions extends ReplyOptions {
  /** What is being said when the reply breaks off. */
  readonly content?: BlockInput | ReadonlyArray<BlockInput>
  /** Characters delivered before it breaks off; left out, all of them, yet never the end of the message. */
  readonly afterChars?: number
}

const longText = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"

const toBlock = (input: BlockInput): Block => typeof input === "string" ? textBlock(input) : input

const toBlocks = (input: BlockInput | ReadonlyArray<BlockInput>): ReadonlyArray<Block> =>
  typeof input === "string" || "_tag" in input ? [toBlock(input)] : input.map(toBlock)

const message = (list: ReadonlyArray<Block>, ending: Ending, options: ReplyOptions): MessageReply => ({
  _tag: "message",
  blocks: list,
  ending,
  stopReason: options.stopReason ?? (list.some((block) => block._tag === "toolUse") ? "tool_use" : "end_turn"),
  usage: options.usage ?? {},
  headers: options.headers ?? {},
  chunkSize: options.chunkSize ?? 12,
  delayMs: options.delayMs ?? 0,
  firstByteDelayMs: options.firstByteDelayMs ?? 0,
  ...(options.stopDetails === undefined ? {} : { stopDetails: options.stopDetails }),
  ...(options.model === undefined ? {} : { model: options.model })
})

export const textBlock = (text: string, deltas?: ReadonlyArray<string>): Block =>
  deltas === undefined ? { _tag: "text", text } : { _tag: "text", text: deltas.join(""), deltas }

export const thinkingBlock = (text: string, signature = "c3RhbmQtaW4="): Block => ({
  _tag: "thinking",
  text,
  signature
})

export const toolBlock = (name: string, input: unknown, id?: string): Block =>
  brokenToolBlock(name, JSON.stringify(input), id)

/** A tool call whose arguments are sent as they stand, so that they need not be JSON. */
export const brokenToolBlock = (name: string, json: string, id?: string): Block =>
  id === undefined ? { _tag: "toolUse", name, json } : { _tag: "toolUse", name, json, id }

export const blocks = (list: ReadonlyArray<BlockInput>, options: ReplyOptions = {}): MessageReply =>
  message(list.map(toBlock), { _tag: "complete" }, options)

export const text = (
  content: string,
  options: ReplyOptions & { readonly deltas?: ReadonlyArray<string> } = {}
): MessageReply => message([textBlock(content, options.deltas)], { _tag: "complete" }, options)

export const thinking = (
  content: string,
  then: BlockInput | ReadonlyArray<BlockInput> = [],
  options: ReplyOptions = {}
): MessageReply => message([thinkingBlock(content), ...toBlocks(then)], { _tag: "complete" }, options)

export const toolUse = (name: string, input: unknown, options: ReplyOptions = {}): MessageReply =>
  message([toolBlock(name, input)], { _tag: "complete" }, options)

/** The answer the model gives when it declines. */
export const refusal = (
  options: ReplyOptions & { readonly content?: string; readonly category?: string } = {}
): MessageReply =>
  message([textBlock(options.content ?? "I cannot")], { _tag: "complete" }, {
    stopReason: "refusal",
    ...(options.category === undefined
      ? {}
      : { stopDetails: { type: "refusal", category: options.category, explanation: null } }),
    ...options
  })

const partial = (
  options: PartialOptions,
  ending: (afterChars: number) => Ending
): MessageReply =>
  message(toBlocks(options.content ?? longText), ending(options.afterChars ?? Number.POSITIVE_INFINITY), options)

/** The connection is destroyed in the middle of the body. */
export const cut = (options: PartialOptions = {}): MessageReply =>
  partial(options, (afterChars) => ({ _tag: "cut", afterChars }))

/** The body ends properly for HTTP, yet without the end of the message. */
export const endEarly = (options: PartialOptions = {}): MessageReply =>
  partial(options, (afterChars) => ({ _tag: "endEarly", afterChars }))

/** An `error` event in the middle of the stream, and then the end of the body. */
export const errorMid = (
  options: PartialOptions & { readonly type?: string; readonly message?: string } = {}
): MessageReply =>
  partial(options, (afterChars) => ({
    _tag: "error",
    afterChars,
    type: options.type ?? "overloaded_error",
    message: options.message ?? "Overloaded"
  }))

/** Never finishes; without `afterChars` it does not even begin. */
export const hang = (options: PartialOptions = {}): Reply =>
  options.afterChars === undefined
    ? { _tag: "silent" }
    : partial(options, (afterChars) => ({ _tag: "hang", afterChars }))
