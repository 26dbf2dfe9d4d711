import type { Event, EventType } from "@ccflow/core/Events"
import type { EventFlow } from "./eventFlow.js"

export interface EventStreamOptions {
  /** Default: all. */
  readonly types?: ReadonlyArray<EventType> | undefined
  /** Events that wait for a slow loop; then the oldest are dropped. Default: 1024. */
  readonly capacity?: number | undefined
}

/** Events as they come. */
export interface EventStream extends AsyncIterableIterator<Event> {
  /** How many the loop was too slow for. */
  readonly dropped: number
}

export const eventStream = (flow: EventFlow, { capacity = 1024, types }: EventStreamOptions = {}): EventStream => {
  const most = Math.max(1, capacity)
  let held: Array<Event> = []
  let dropped = 0
  let over = false
  /** Those who wait, when nothing is held. */
  let takers: Array<(taken: IteratorResult<Event>) => void> = []

  const end = () => {
    over = true
    for (const taker of takers) taker(done)
    takers = []
  }
  const tell = (event: Event) => {
    const taker = takers.shift()
    if (taker !== undefined) return taker({ done: false, value: event })
    if (held.length === most) {
      held.shift()
      dropped++
    }
    held.push(event)
  }
  const stop = flow.observe(tell, types, end)
  const leave = () => {
    stop()
    held = []
    end()
    return Promise.resolve(done)
  }

  return {
    get dropped() {
      return dropped
    },
    next: () => {
      const event = held.shift()
      if (event !== undefined) return Promise.resolve({ done: false, value: event })
      return over ? Promise.resolve(done) : new Promise((resolve) => takers.push(resolve))
    },
    return: leave,
    throw: async (error) => {
      await leave()
      throw error
    },
    [Symbol.asyncIterator]() {
      return this
    }
  }
}

// ---------------------------------------------------------------------------

const done: IteratorReturnResult<undefined> = { done: true, value: undefined }
