import type { Assistant as AssistantFrame, Block, StreamEvent, Usage as UsageFrame } from "../CliFrame.js"
import type { Assistant, Message, Usage } from "../Message.js"

type Kind = "Text" | "Thinking"

/** Deltas that were told before the CLI confirmed their block by an assistant line. */
interface Begun {
  readonly kind: Kind
  readonly messageId: string
  readonly index: number
  text: string
}

/**
 * One thread of the conversation, the main one or a subagent's: which message it is in, and what has been told of it.
 *
 * Partial messages can be withdrawn by the CLI (a cut connection, a restarted message); assistant lines never are. So
 * what only deltas have told is kept here until a line confirms it, and is retracted when something else comes instead.
 *
 * @internal
 */
export class Thread {
  sessionId = ""
  private begun: Array<Begun> = []
  private streaming: string | undefined
  private message: {
    readonly id: string
    model: string
    content: Array<Block>
    stopReason: string | null
    usage: Usage
    aborted: boolean
    uuid: string | undefined
  } | undefined

  private readonly parentToolUseId: string | undefined

  constructor(parentToolUseId: string | undefined) {
    this.parentToolUseId = parentToolUseId
  }

  /** `message_start`: the API begins a message, perhaps anew. */
  start(out: Array<Message>, message: NonNullable<StreamEvent["event"]["message"]>): void {
    this.withdraw(out, 0)
    this.complete(out)
    this.streaming = message.id
    this.message = this.fresh(message.id, message.model ?? "")
    this.count(message.usage)
  }

  delta(out: Array<Message>, kind: Kind, index: number, content: string, uuid: string | null | undefined): void {
    const messageId = this.streaming ?? ""
    const last = this.begun[this.begun.length - 1]
    if (last !== undefined && last.index === index && last.kind === kind && last.messageId === messageId) {
      last.text += content
    } else this.begun.push({ kind, messageId, index, text: content })
    this.tell(out, kind, messageId, content, true, undefined, uuid ?? undefined)
  }

  /** `message_delta`: the message's stop reason and final count of tokens. */
  ending(stopReason: string | null, usage: UsageFrame | null | undefined): void {
    if (this.message === undefined) return
    if (stopReason !== null) this.message.stopReason = stopReason
    this.count(usage)
  }

  /** `message_stop`: the message is complete, or the CLI gave up on its blocks from an index on. */
  stop(out: Array<Message>, abandonedFrom: number | undefined): void {
    if (abandonedFrom !== undefined) this.withdraw(out, abandonedFrom)
    this.streaming = undefined
    this.complete(out)
  }

  /** An assistant line: one more block, or several, of a message. */
  line(out: Array<Message>, frame: AssistantFrame): void {
    const { content, id, model, stop_reason: stopReason, usage } = frame.message
    if (this.message !== undefined && this.message.id !== id) {
      this.complete(out)
      this.streaming = undefined
    }
    if (this.begun.some((begun) => begun.messageId !== id)) this.withdraw(out, 0)
    this.message ??= this.fresh(id, model)
    this.message.model = model
    this.message.content.push(...content)
    this.message.uuid = frame.uuid ?? undefined
    if (stopReason != null) this.message.stopReason = stopReason
    if (frame.aborted === true) this.message.aborted = true
    this.count(usage)
  }

  /** A whole block of text: tells what the deltas have not told, and corrects what they told otherwise. */
  whole(out: Array<Message>, kind: Kind, text: string): void {
    const messageId = this.message?.id ?? ""
    const at = this.begun.findIndex((begun) => begun.kind === kind)
    if (at < 0) return this.tell(out, kind, messageId, text, false)
    const told = this.begun[at]!.text
    if (text === told) this.begun.splice(at, 1)
    else if (text.startsWith(told) && this.begun.findLastIndex((begun) => begun.kind === kind) === at) {
      this.begun.splice(at, 1)
      this.tell(out, kind, messageId, text.slice(told.length), true)
    } else {
      this.withdraw(out, 0, kind)
      this.tell(out, kind, messageId, text, false)
    }
  }

  /** The conversation goes on after the message: it is complete unless its stream still runs. */
  next(out: Array<Message>): void {
    if (this.streaming === undefined) this.complete(out)
  }

  /** The turn or the output has ended. */
  close(out: Array<Message>): void {
    this.withdraw(out, 0)
    this.streaming = undefined
    this.complete(out)
  }

  private complete(out: Array<Message>): void {
    const message = this.message
    this.message = undefined
    if (message === undefined || message.content.length === 0) return
    const assistant: Assistant = {
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
    }
    out.push(assistant)
  }

  private withdraw(out: Array<Message>, fromIndex: number, only?: Kind): void {
    if (this.begun.length === 0) return
    const goes = (begun: Begun) => begun.index >= fromIndex && (only === undefined || begun.kind === only)
    for (const kind of ["Text", "Thinking"] as const) {
      const gone = this.begun.filter((begun) => begun.kind === kind && goes(begun))
      const length = gone.reduce((sum, begun) => sum + begun.text.length, 0)
      if (length > 0) this.tell(out, kind, gone[0]!.messageId, "", true, length)
    }
    this.begun = this.begun.filter((begun) => !goes(begun))
  }

  private tell(
    out: Array<Message>,
    kind: Kind,
    messageId: string,
    content: string,
    delta: boolean,
    retract?: number,
    uuid?: string
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

  private fresh(id: string, model: string) {
    return {
      id,
      model,
      content: [],
      stopReason: null,
      aborted: false,
      uuid: undefined,
      usage: { inputTokens: 0, outputTokens: 0, cacheReadInputTokens: 0, cacheCreationInputTokens: 0 }
    }
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
