import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import type * as Scope from "effect/Scope"
import { CurrentClaim } from "../Concurrency.js"
import type { EventsService } from "../Events.js"
import type { Message } from "../Message.js"
import type { Parser } from "../MessageParser.js"
import { CurrentCall, saying } from "./currentCall.js"
import { watched } from "./watchedParser.js"

/** Told that a process has been started, with the parser of its output; gives the parser to use. */
export type Begun = (parser: Parser) => Parser

/** Tells of a process. This comes before the process is opened, so that its end is told when it is gone. */
export const make = (events: EventsService): Effect.Effect<Begun, never, Scope.Scope> =>
  Effect.gen(function*() {
    if (events.silent("ProcessStarted") && events.silent("ProcessEnded")) return identity
    const { id } = yield* CurrentCall
    const { spare: warm = false } = yield* CurrentClaim
    const processId = crypto.randomUUID()
    let begun: Parser | undefined
    let unknown = 0
    let sessionId = ""
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        if (begun === undefined) return
        const { damaged: malformed, frames, noise } = begun.counts
        const about = { ...saying(id), ...(sessionId === "" ? {} : { sessionId }), processId }
        const lines = frames + noise + malformed
        events.tell({ _tag: "ProcessEnded", ...about, lines, unknown, noise, malformed })
      })
    )
    return (parser) => {
      begun = parser
      events.tell({ _tag: "ProcessStarted", ...saying(id), processId, warm })
      return watched(parser, (batch) => {
        for (const message of batch) {
          if (message.sessionId !== "") sessionId = message.sessionId
          if (isUnknown(message)) unknown++
        }
        return batch
      })
    }
  })

// ---------------------------------------------------------------------------

/** What is broken is counted by the parser. */
const isUnknown = (message: Message): boolean =>
  message._tag === "UnknownSystem" ||
  (message._tag === "Unknown" && (message.reason === "kind" || message.reason === "changed"))
