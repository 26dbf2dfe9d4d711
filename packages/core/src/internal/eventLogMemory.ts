import * as Effect from "effect/Effect"
import { cursorOf, type EventFilter, type EventLogService, type LoggedEvent, resolvePage } from "../EventLog.js"

/** Events as JSON gives them back, as from a database. */
export const memoryEventLog = (): EventLogService => {
  let kept: Array<Kept> = []
  let ids = 0
  return {
    append: (events) =>
      Effect.sync(() => {
        for (const event of events) kept.push({ id: ++ids, event: JSON.parse(JSON.stringify(event)) })
        kept.sort(byTime)
      }),

    read: (filter = {}) =>
      Effect.map(resolvePage(filter), ({ after, limit, newestFirst }) => {
        const sign = newestFirst ? -1 : 1
        const found = kept.filter(({ event, id }) =>
          matches(filter, event) && (after === undefined || sign * (event.at - after.at || id - after.id) > 0)
        )
        if (newestFirst) found.reverse()
        const page = found.slice(0, limit)
        const events = page.map(({ event }) => event)
        const last = page.at(-1)
        return last === undefined || found.length === page.length
          ? { events }
          : { events, next: cursorOf({ at: last.event.at, id: last.id }) }
      }),

    forget: ({ before, most }) =>
      Effect.sync(() => {
        const rest = kept.filter(({ event }) => event.at >= before)
        kept = rest.slice(Math.max(0, rest.length - most))
      })
  }
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
