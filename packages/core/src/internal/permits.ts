import * as Effect from "effect/Effect"
import type { Claim } from "../Concurrency.js"
import { Fifo, type Place } from "./fifo.js"

export interface Waiting {
  readonly caller: Caller
  readonly spare: boolean
  granted: boolean
  /** Opened when its turn has come. */
  readonly turn: Effect.Latch
}

export type Waiter = Place<Waiting>

interface Caller {
  readonly level: Level
  readonly name: string
  readonly waiters: Fifo<Waiting>
}

/** Those of one priority. */
interface Level {
  readonly priority: number
  /** By name, in the order of their turns. */
  readonly callers: Map<string, Caller>
}

/**
 * So many permits, and the order in which those who wait get them: by priority, then by turns of the callers, then as
 * they came.
 */
export class Permits {
  readonly max: number
  active = 0
  /** Without those who want only what is to spare. */
  waiting = 0
  private readonly changed: () => void
  /** Highest first, and none without callers. */
  private readonly levels: Array<Level> = []

  constructor(max: number, changed: () => void) {
    this.max = max
    this.changed = changed
  }

  /** Nobody waits while one is free. */
  take(): boolean {
    if (this.active >= this.max) return false
    this.active++
    this.changed()
    return true
  }

  /** Gives one back, to whose turn it is. */
  release(): void {
    const next = this.next()
    if (next === undefined) this.active--
    else {
      next.granted = true
      next.turn.unsafeOpen()
    }
    this.changed()
  }

  join({ caller, priority, spare = false }: Claim): Waiter {
    const own = callerOf(this.levelOf(spare ? -Infinity : Number.isNaN(priority) ? 0 : priority), caller)
    const granted = this.active < this.max
    const waiter = own.waiters.push({ caller: own, spare, granted: false, turn: Effect.unsafeMakeLatch() })
    if (!spare) this.waiting++
    if (granted) {
      this.active++
      this.release()
    } else this.changed()
    return waiter
  }

  /** It wants none any more. One that it was given meanwhile goes to the next. */
  leave(waiter: Waiter): void {
    const { caller, granted } = waiter.value
    if (granted) return this.release()
    caller.waiters.remove(waiter)
    this.gone(waiter.value)
    this.changed()
  }

  private next(): Waiting | undefined {
    const [caller] = this.levels[0]?.callers.values() ?? []
    const next = caller?.waiters.shift()
    if (caller === undefined || next === undefined) return undefined
    caller.level.callers.delete(caller.name)
    caller.level.callers.set(caller.name, caller)
    this.gone(next)
    return next
  }

  private gone({ caller: { level, name, waiters }, spare }: Waiting): void {
    if (!spare) this.waiting--
    if (waiters.size > 0) return
    level.callers.delete(name)
    if (level.callers.size === 0) this.levels.splice(this.levels.indexOf(level), 1)
  }

  private levelOf(priority: number): Level {
    const at = this.levels.findIndex((level) => level.priority <= priority)
    const found = this.levels[at]
    if (found?.priority === priority) return found
    const level: Level = { priority, callers: new Map() }
    this.levels.splice(at < 0 ? this.levels.length : at, 0, level)
    return level
  }
}

// ---------------------------------------------------------------------------

const callerOf = (level: Level, name: string): Caller => {
  const caller = level.callers.get(name) ?? { level, name, waiters: new Fifo<Waiting>() }
  level.callers.set(name, caller)
  return caller
}
