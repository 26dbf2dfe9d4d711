import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { CurrentClaim } from "../Concurrency.js"
import type { EventsService } from "../Events.js"
import type { Message } from "../Message.js"
import type { Parser } from "../MessageParser.js"
import { CurrentCall, saying } from "./currentCall.js"
import { watched } from "./watchedParser.js"

/** Told that a process has been started, with the parser of its output; gives the parser to use. @internal */
export type Begun = (parser: Parser) => Parser

/**
 * Tells of a process. This comes before the process is opened, so that its end is told when it is gone.
 *
 * @internal
 */
export const make = (events: EventsService): Effect.Effect<Begun, never, Scope.Scope> =>
  Effect.suspend(() =>
    events.silent("ProcessStarted") && events.silent("ProcessEnded") ? Effect.succeed(silently) : telling(events)
  )

// ---------------------------------------------------------------------------

const silently: Begun = (parser) => parser

const telling = (events: EventsService): Effect.Effect<Begun, never, Scope.Scope> =>
  Effect.flatMap(Effect.zip(CurrentCall, CurrentClaim), ([{ id }, { spare = false }]) => {
    const told = new ProcessTelling(events, id)
    return Effect.as(
      Effect.addFinalizer(() => Effect.sync(() => told.end())),
      (parser) => told.begin(parser, spare)
    )
  })

class ProcessTelling {
  private readonly events: EventsService
  private readonly callId: string | undefined
  private readonly processId = crypto.randomUUID()
  private parser: Parser | undefined
  private unknown = 0
  private sessionId = ""

  constructor(events: EventsService, callId: string | undefined) {
    this.events = events
    this.callId = callId
  }

  begin(parser: Parser, warm: boolean): Parser {
    const { callId, processId } = this
    this.parser = parser
    this.events.tell({ _tag: "ProcessStarted", ...saying(callId), processId, warm })
    return watched(parser, (batch) => this.see(batch))
  }

  end(): void {
    const { callId, parser, processId, sessionId, unknown } = this
    if (parser === undefined) return
    const { damaged: malformed, frames, noise } = parser.counts
    this.events.tell({
      _tag: "ProcessEnded",
      ...saying(callId),
      ...(sessionId === "" ? {} : { sessionId }),
      processId,
      lines: frames + noise + malformed,
      unknown,
      noise,
      malformed
    })
  }

  private see(batch: ReadonlyArray<Message>): ReadonlyArray<Message> {
    for (const message of batch) {
      if (message.sessionId !== "") this.sessionId = message.sessionId
      if (isUnknown(message)) this.unknown++
    }
    return batch
  }
}

/** What is broken is counted by the parser. */
const isUnknown = (message: Message): boolean =>
  message._tag === "UnknownSystem" ||
  (message._tag === "Unknown" && (message.reason === "kind" || message.reason === "changed"))
