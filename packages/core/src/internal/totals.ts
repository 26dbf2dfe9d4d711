import type * as Types from "effect/Types"
import type { Message } from "../Message.js"
import type { SessionStats } from "../Session.js"

/** What a session has come to so far. */
export type Totals = Types.Mutable<SessionStats>

export const nothing = (): Totals => ({ turns: 0, inputTokens: 0, outputTokens: 0, costUsd: 0, durationMs: 0 })

/** What the CLI does by itself, and what subagents do, is used as well. */
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
