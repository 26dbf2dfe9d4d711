import type { Message } from "@ccflow/core/Message"
import * as MessageParser from "@ccflow/core/MessageParser"
import type { Run } from "./runs.js"

/** What a run says, in the form in which the parser and the raw lines can be compared. `""` is the main thread. */
export interface Account {
  readonly text: Readonly<Record<string, string>>
  readonly thinking: Readonly<Record<string, string>>
  /** Each message of the model, by thread. */
  readonly messages: Readonly<Record<string, ReadonlyArray<AccountedMessage>>>
  readonly toolUses: ReadonlyArray<string>
  readonly toolResults: ReadonlyArray<{ readonly id: string; readonly tool: string; readonly isError: boolean }>
  readonly results: ReadonlyArray<AccountedResult>
  /** How many messages of each kind that comes from a line by itself. */
  readonly kinds: Readonly<Record<string, number>>
  readonly sessions: ReadonlyArray<string>
  readonly control: number
  readonly frames: number
  readonly noise: number
}

export interface AccountedMessage {
  readonly id: string
  readonly model: string
  readonly content: ReadonlyArray<unknown>
  readonly usage: Tokens
}

export interface AccountedResult {
  readonly text: string
  readonly isError: boolean
  readonly usage: Tokens
  readonly costUsd: string
  readonly totalCostUsd: string
  readonly userTurn: boolean
}

/** Input, output, cache read, cache creation. */
export type Tokens = readonly [number, number, number, number]

export const money = (usd: number): string => usd.toFixed(9)

/** The messages of a run, and how many frames were put aside for the control protocol. */
export const parse = (stdout: Uint8Array) => {
  const parser = MessageParser.make()
  const messages = [...parser.push([stdout]), ...parser.end()]
  return { messages, control: parser.takeControl().length, counts: parser.counts }
}

const derived = new Set(["Text", "Thinking", "ToolUse", "ToolResult", "Assistant", "Stop", "Result"])

type Usage = Extract<Message, { _tag: "Result" }>["usage"]

const tokens = (usage: Usage): Tokens => [
  usage.inputTokens,
  usage.outputTokens,
  usage.cacheReadInputTokens,
  usage.cacheCreationInputTokens
]

/** The account that the parser's messages give. */
export const told = (run: Run): Account => {
  const { control, counts, messages } = parse(run.stdout)
  const text: Record<string, string> = {}
  const thinking: Record<string, string> = {}
  const byThread: Record<string, Array<AccountedMessage>> = {}
  const toolUses: Array<string> = []
  const toolResults: Array<Account["toolResults"][number]> = []
  const results: Array<AccountedResult> = []
  const kinds: Record<string, number> = {}
  const sessions: Array<string> = []
  for (const message of messages) {
    const thread = message.parentToolUseId ?? ""
    if (message.sessionId !== "" && !sessions.includes(message.sessionId)) sessions.push(message.sessionId)
    if (!derived.has(message._tag)) kinds[message._tag] = (kinds[message._tag] ?? 0) + 1
    switch (message._tag) {
      case "Text":
      case "Thinking": {
        const joined = message._tag === "Text" ? text : thinking
        const before = joined[thread] ?? ""
        joined[thread] = before.slice(0, before.length - (message.retract ?? 0)) + message.content
        break
      }
      case "Assistant": {
        const { content, messageId: id, model, usage } = message
        const list = byThread[thread] ??= []
        list.push({ id, model, content, usage: tokens(usage) })
        break
      }
      case "ToolUse":
        toolUses.push(`${message.id} ${message.tool}`)
        break
      case "ToolResult":
        toolResults.push({ id: message.toolUseId, tool: message.tool, isError: message.isError })
        break
      case "Result":
        results.push({
          text: message.result,
          isError: message.isError,
          usage: tokens(message.usage),
          costUsd: money(message.costUsd),
          totalCostUsd: money(message.totalCostUsd),
          userTurn: message.origin === undefined
        })
    }
  }
  return {
    text: said(text),
    thinking: said(thinking),
    messages: byThread,
    toolUses,
    toolResults,
    results,
    kinds,
    sessions,
    control,
    frames: counts.frames,
    noise: counts.noise
  }
}

/** Nothing said is the same as said nothing. */
export const said = (joined: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(joined).filter(([, content]) => content !== ""))
