import type { Assistant as AssistantFrame, Block, MessageStart, Usage as UsageFrame } from "../CliFrame.js"
import type { Message, Usage } from "../Message.js"
import type { UnfinishedMessage } from "../MessageParser.js"
import { noUsage } from "./figures.js"

type Kind = "Text" | "Thinking"

/** Deltas that were told before the CLI confirmed their block by an assistant line. */
interface Begun {
  readonly kind: Kind
  readonly messageId: string
  readonly index: number
  text: string
}

/** A message of the model whose lines are still coming. */
interface Open {
  readonly id: string
  model: string
  readonly content: Array<Block>
  stopReason: string | null
  usage: Usage
  aborted: boolean
  uuid: string | undefined
}

/**
 * One thread of the conversation, the main one or a subagent's: which message it is in, and what has been told of it.
 *
 * Partial messages can be withdrawn by the CLI (a cut connection, a restarted message); assistant lines never are. So
 * what only deltas have told is kept here until a line confirms it, and is retracted when something else comes instead.
 */
export class Thread {
  sessionId = ""
  /** The names of the tools whose results have not come, by the id of their use. */
  readonly tools = new Map<string, string>()
  private begun: Array<Begun> = []
  private streaming: string | undefined
  private message: Open | undefined
  /** Messages that were cut before a line told anything of them. */
  private cut: Array<UnfinishedMessage> = []

  private readonly parentToolUseId: string | undefined

  constructor(parentToolUseId: string | undefined) {
    this.parentToolUseId = parentToolUseId
  }

  /** `message_start`: the API begins a message, perhaps anew. */
  start(out: Array<Message>, message: MessageStart["event"]["message"]): void {
    if (this.message?.id === message.id) this.withdraw(out, 0)
    else {
      this.finish(out)
      this.message = open(message.id, message.model ?? "")
    }
    this.streaming = message.id
    this.count(message.usage)
  }

  delta(out: Array<Message>, kind: Kind, index: number, content: string, uuid: string | null | undefined): void {
    if (content === "") return
    const messageId = this.streaming ?? ""
    const last = this.begun[this.begun.length - 1]
    if (last !== undefined && last.index === index && last.kind === kind && last.messageId === messageId) {
      last.text += content
    } else this.begun.push({ kind, messageId, index, text: content })
    this.tell(out, kind, messageId, content, true, undefined, uuid ?? undefined)
  }

  /**
   * `message_delta`: the message's stop reason and final count of tokens. Of a cut message it was seen to come after the
   * next one had begun, which it does not concern.
   */
  ending(stopReason: string | null, usage: UsageFrame | null | undefined): void {
    if (this.message === undefined || this.streaming === undefined) return
    if (stopReason !== null) this.message.stopReason = stopReason
    this.count(usage)
  }

  /** `message_stop`: the message is complete, or the CLI gave up on its blocks from an index on. */
  stop(out: Array<Message>, abandonedFrom: number | undefined): void {
    if (abandonedFrom !== undefined) this.withdraw(out, abandonedFrom)
    if (this.streaming !== undefined) this.complete(out)
  }

  /** An assistant line: one more block, or several, of a message. */
  line(out: Array<Message>, frame: AssistantFrame): void {
    const { content, id, model, stop_reason: stopReason, usage } = frame.message
    if (this.begun.some((begun) => begun.messageId !== id)) this.withdraw(out, 0)
    if (this.message?.id !== id) this.complete(out)
    const message = this.message ??= open(id, model)
    message.model = model
    for (const block of content) message.content.push(block)
    message.uuid = frame.uuid ?? undefined
    if (stopReason != null) message.stopReason = stopReason
    if (frame.aborted === true) message.aborted = true
    this.count(usage)
  }

  /** A whole block of text: tells what the deltas have not told, and corrects what they told otherwise. */
  whole(out: Array<Message>, kind: Kind, text: string, uuid: string | null | undefined): void {
    const messageId = this.message?.id ?? ""
    const at = this.begun.findIndex((begun) => begun.kind === kind)
    const told = this.begun[at]?.text ?? ""
    const last = this.begun.findLastIndex((begun) => begun.kind === kind) === at
    const goesOn = text === told || (last && text.startsWith(told))
    if (!goesOn) this.withdraw(out, 0, kind)
    else if (at >= 0) this.begun.splice(at, 1)
    const rest = goesOn ? text.slice(told.length) : text
    this.tell(out, kind, messageId, rest, goesOn && at >= 0, undefined, uuid ?? undefined)
  }

  /**
   * The conversation goes on after the message: it is complete, unless its stream still runs. Results of its tools do
   * not say so: the CLI runs a tool, and prints its result, while the model still writes the rest of the message.
   */
  next(out: Array<Message>): void {
    if (this.streaming === undefined) this.complete(out)
  }

  /** The turn or the output has ended, or a new message begins: what is only begun is withdrawn. */
  finish(out: Array<Message>): void {
    this.withdraw(out, 0)
    this.complete(out)
  }

  /** What was begun, and not told in full. */
  unfinished(): ReadonlyArray<UnfinishedMessage> {
    const { message } = this
    return message === undefined ? this.cut : [...this.cut, unfinishedOf(message)]
  }

  /** A result has counted what was cut. */
  forget(): void {
    this.cut = []
  }

  private complete(out: Array<Message>): void {
    const message = this.message
    this.message = undefined
    this.streaming = undefined
    if (message === undefined) return
    if (message.content.length === 0) return void this.cut.push(unfinishedOf(message))
    out.push({
      _tag: "Assistant",
      sessionId: this.sessionId,
      uuid: message.uuid,
      parentToolUseId: this.parentToolUseId,
      messageId: message.id,
      model: message.model,
      content: message.content,
      stopReason: message.stopReason,
      usage: message.usage,
      aborted: message.aborted
    })
  }

  /** Only an end can be taken off: what was told after a withdrawn block goes with it, to be told again if it stays. */
  private withdraw(out: Array<Message>, fromIndex: number, only?: Kind): void {
    if (this.begun.length === 0) return
    const kept: Array<Begun> = []
    const gone = { Text: 0, Thinking: 0 }
    let messageId = ""
    for (const begun of this.begun) {
      const goes = begun.index >= fromIndex && (only === undefined || begun.kind === only)
      if (goes || gone[begun.kind] > 0) {
        gone[begun.kind] += begun.text.length
        messageId = begun.messageId
      } else kept.push(begun)
    }
    this.begun = kept
    if (gone.Text > 0) this.tell(out, "Text", messageId, "", true, gone.Text, undefined)
    if (gone.Thinking > 0) this.tell(out, "Thinking", messageId, "", true, gone.Thinking, undefined)
  }

  private tell(
    out: Array<Message>,
    kind: Kind,
    messageId: string,
    content: string,
    delta: boolean,
    retract: number | undefined,
    uuid: string | undefined
  ): void {
    if (content === "" && retract === undefined) return
    out.push({
      _tag: kind,
      sessionId: this.sessionId,
      uuid,
      parentToolUseId: this.parentToolUseId,
      messageId,
      content,
      delta,
      retract
    })
  }

  /** The CLI repeats a message's usage on every block, so figures are replaced by larger ones and never added up. */
  private count(usage: UsageFrame | null | undefined): void {
    if (usage == null || this.message === undefined) return
    const seen = this.message.usage
    this.message.usage = {
      inputTokens: Math.max(seen.inputTokens, usage.input_tokens ?? 0),
      outputTokens: Math.max(seen.outputTokens, usage.output_tokens ?? 0),
      cacheReadInputTokens: Math.max(seen.cacheReadInputTokens, usage.cache_read_input_tokens ?? 0),
      cacheCreationInputTokens: Math.max(seen.cacheCreationInputTokens, usage.cache_creation_input_tokens ?? 0)
    }
  }
}

const unfinishedOf = ({ id, model, usage }: Open): UnfinishedMessage => ({ messageId: id, model, usage })

const open = (id: string, model: string): Open => ({
  id,
  model,
  content: [],
  stopReason: null,
  usage: noUsage,
  aborted: false,
  uuid: undefined
})
