import * as Effect from "effect/Effect"
import * as Struct from "effect/Struct"
import type { QueryOptions } from "../AgentOptions.js"
import type { Prompt } from "../Claude.js"
import * as Events from "../Events.js"
import type { ContextSavings, Message } from "../Message.js"
import * as CallEvents from "./callEvents.js"
import { CurrentCall } from "./currentCall.js"
import * as Spans from "./spans.js"
import type { Open } from "./streamed.js"

/** A call, as those who look on are told of it. */
export interface ObservedCall {
  readonly id: string
  readonly kind: "query" | "turn"
  /** Of a session's turns; 1 is the first here. */
  readonly turnNumber: number
  readonly prompt: Prompt
  readonly options: QueryOptions
  /** Empty where it is not known yet. */
  readonly sessionId: () => string
  /** Data that the model is given for it, as it was encoded. */
  readonly contexts?: ReadonlyArray<ContextSavings> | undefined
  /** The host that is asked, where it is no CLI. */
  readonly server?: string | undefined
}

/** What is put around every call, and around every attempt of it, for those who look on. */
export interface Observation {
  readonly events: Events.EventsService
  readonly whole: (call: ObservedCall) => (open: Open) => Open
  readonly attempt: (call: ObservedCall) => (open: Open) => Open
}

/** With the program's own bus and tracer. The events are told within the span: they know its trace. */
export const make: Effect.Effect<Observation> = Effect.map(Events.current, (events) => ({
  events,
  whole: (call) => (open) =>
    Spans.whole(call, events)(CallEvents.whole(events, call)(withContexts(events, call)(open))),
  attempt: (call) => (open) => {
    const spanned = Spans.attempt(call)(open)
    return Effect.suspend(() =>
      events.silent() ? spanned : Effect.provideService(spanned, CurrentCall, { id: call.id, events })
    )
  }
}))

// ---------------------------------------------------------------------------

/** Tells of the data that a call has given the model, and says so in its result. */
const withContexts =
  (events: Events.EventsService, { contexts = [], id: callId }: ObservedCall) => (open: Open): Open => {
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

/** Without what it was made of. */
const savingsOf = Struct.pick("format", "jsonTokens", "toonTokens", "savedTokens")

const together = (one: ContextSavings, other: ContextSavings): ContextSavings => ({
  format: one.format === "json" ? other.format : one.format,
  jsonTokens: one.jsonTokens + other.jsonTokens,
  toonTokens: one.toonTokens + other.toonTokens,
  savedTokens: one.savedTokens + other.savedTokens
})
