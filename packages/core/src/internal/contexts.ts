import * as Effect from "effect/Effect"
import * as Struct from "effect/Struct"
import type { EventsService } from "../Events.js"
import type { ContextSavings, Message } from "../Message.js"
import type { ObservedCall } from "./observation.js"
import type { Open } from "./streamed.js"

/** Tells of the data that a call has given the model, and says so in its result. */
export const whole = (events: EventsService, { contexts = [], id: callId }: ObservedCall) => (open: Open): Open => {
  const [first, ...others] = contexts
  if (first === undefined) return open
  const context = others.reduce(together, savingsOf(first))
  const withContext = (message: Message): Message =>
    message._tag === "Result" && message.origin === undefined ? { ...message, context } : message
  return Effect.suspend(() => {
    for (const one of contexts) events.tell({ _tag: "ContextEncoded", callId, ...savingsOf(one) })
    return Effect.map(open, Effect.map((batch) => batch.map(withContext)))
  })
}

// ---------------------------------------------------------------------------

/** Without what it was made of. */
const savingsOf = Struct.pick("format", "jsonTokens", "toonTokens", "savedTokens")

const together = (one: ContextSavings, other: ContextSavings): ContextSavings => ({
  format: one.format === "json" ? other.format : one.format,
  jsonTokens: one.jsonTokens + other.jsonTokens,
  toonTokens: one.toonTokens + other.toonTokens,
  savedTokens: one.savedTokens + other.savedTokens
})
