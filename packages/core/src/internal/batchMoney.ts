import type { Message, Usage } from "../Message.js"

/** What was seen of the cost of attempts. @internal */
export interface Spent {
  costUsd: number
  usage: Usage
}

/** @internal */
export const nothing: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadInputTokens: 0,
  cacheCreationInputTokens: 0
}

/** @internal */
export const plus = (one: Usage, other: Usage): Usage => ({
  inputTokens: one.inputTokens + other.inputTokens,
  outputTokens: one.outputTokens + other.outputTokens,
  cacheReadInputTokens: one.cacheReadInputTokens + other.cacheReadInputTokens,
  cacheCreationInputTokens: one.cacheCreationInputTokens + other.cacheCreationInputTokens
})

/** Adds what the messages tell of money, and says whether they do. @internal */
export const account = (spent: Spent, messages: ReadonlyArray<Message>): boolean => {
  let told = false
  for (const message of messages) {
    if (message._tag !== "Result") continue
    spent.costUsd += message.costUsd
    spent.usage = plus(spent.usage, message.usage)
    told = true
  }
  return told
}
