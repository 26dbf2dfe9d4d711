import * as Effect from "effect/Effect"
import { cursorOf, type EventFilter, type EventLogService, type LoggedEvent, resolvePage } from "../EventLog.js"

/** Events as JSON gives them back, as from a database. */
export class MemoryEventLog implements EventLogService {
  private kept: Array<Kept> = []
  private ids = 0

  readonly append: EventLogService["append"] = (events) =>
    Effect.sync(() => {
      for (const event of events) this.kept.push({ id: ++this.ids, event: JSON.parse(JSON.stringify(event)) })
      this.kept.sort(byTime)
    })

  readonly read: EventLogService["read"] = (filter = {}) =>
    Effect.map(resolvePage(filter), ({ after, limit, newestFirst }) => {
      const sign = newestFirst ? -1 : 1
      const found = this.kept.filter(({ event, id }) =>
        matches(filter, event) &&
        (after === undefined || sign * (event.at - after.at || id - after.id) > 0)
      )
      if (newestFirst) found.reverse()
      const page = found.slice(0, limit)
      const last = page.at(-1)
      return {
        events: page.map(({ event }) => event),
        ...(last === undefined || found.length === page.length
          ? {}
          : { next: cursorOf({ at: last.event.at, id: last.id }) })
      }
    })

  readonly forget: EventLogService["forget"] = ({ before, most }) =>
    Effect.sync(() => {
      const rest = this.kept.filter(({ event }) => event.at >= before)
      this.kept = rest.slice(Math.max(0, rest.length - most))
    })
}

// ---------------------------------------------------------------------------

interface Kept {
  readonly id: number
  readonly event: LoggedEvent
}

const byTime = (one: Kept, other: Kept): number => one.event.at - other.event.at || one.id - other.id

const matches = ({ callId, sessionId, since, types, until }: EventFilter, event: LoggedEvent): boolean =>
  (since === undefined || event.at >= since) &&
  (until === undefined || event.at < until) &&
  (sessionId === undefined || event.sessionId === sessionId) &&
  (callId === undefined || event.callId === callId) &&
  (types === undefined || types.includes(event._tag))
