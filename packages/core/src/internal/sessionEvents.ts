import * as Effect from "effect/Effect"
import type { QueryOptions } from "../AgentOptions.js"
import type { EventsService } from "../Events.js"
import { CurrentCall } from "./currentCall.js"
import type { Host } from "./host.js"
import type { Totals } from "./totals.js"

/** What is told of a session beside its turns. */
export class SessionEvents {
  /** The call whose turn the CLI is in, or was last. */
  running: string | undefined
  private readonly events: EventsService
  private over = false

  constructor(events: EventsService) {
    this.events = events
  }

  begun(
    sessionId: string,
    { continueSession, forkSession, model = "", resume }: QueryOptions,
    tags: ReadonlyArray<string>
  ): void {
    const resumed = continueSession === true || (resume !== undefined && forkSession !== true)
    this.events.tell({ _tag: resumed ? "SessionResumed" : "SessionCreated", ...naming(sessionId), model, tags })
  }

  /** The first time counts. */
  closed(sessionId: string, totals: Totals): void {
    if (this.over) return
    this.over = true
    this.events.tell({ _tag: "SessionClosed", ...naming(sessionId), ...totals })
  }

  /** What the CLI asks while it works on a turn it asks for that turn's call, whichever has started the process. */
  host(host: Host): Host {
    const ask = host.handlers["can_use_tool"]
    if (ask === undefined) return host
    return {
      ...host,
      handlers: {
        ...host.handlers,
        can_use_tool: (request) =>
          Effect.suspend(() =>
            Effect.provideService(ask(request), CurrentCall, { id: this.running, events: this.events })
          )
      }
    }
  }
}

// ---------------------------------------------------------------------------

/** It may have no name yet. */
const naming = (sessionId: string): { readonly sessionId?: string } => sessionId === "" ? {} : { sessionId }
