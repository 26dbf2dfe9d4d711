import type { Message } from "../Message.js"

/** What a session has come to so far. @internal */
export interface Totals {
  turns: number
  inputTokens: number
  outputTokens: number
  costUsd: number
  durationMs: number
}

/** @internal */
export const nothing = (): Totals => ({ turns: 0, inputTokens: 0, outputTokens: 0, costUsd: 0, durationMs: 0 })

/** What the CLI does by itself, and what subagents do, is used as well. @internal */
export const count = (totals: Totals, messages: ReadonlyArray<Message>): void => {
  for (const message of messages) {
    if (message._tag !== "Result") continue
    const { turnUsage, usage } = message
    for (const { inputTokens, outputTokens } of turnUsage === undefined ? [usage] : Object.values(turnUsage)) {
      totals.inputTokens += inputTokens
      totals.outputTokens += outputTokens
    }
    totals.costUsd += message.costUsd
  }
}
