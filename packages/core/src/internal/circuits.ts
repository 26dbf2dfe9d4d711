import {
  type Circuit,
  type CircuitEvent,
  type CircuitState,
  initial,
  next,
  refusedFor,
  type Rules,
  stateAt,
  type Verdict
} from "./circuit.js"

/** A call that was let through. Its first end counts. */
export interface Ticket {
  readonly key: string
  readonly era: number
  ended: boolean
}

interface Changed {
  readonly key: string
  readonly state: CircuitState
}

interface Counted {
  calls: number
  successes: number
  failures: number
  rejections: number
  lastSuccessAt: number | undefined
  lastFailureAt: number | undefined
}

interface Entry {
  circuit: Circuit
  /** Calls under way. */
  running: number
  usedAt: number
}

/**
 * The circuits of all keys. Each method is one step that nothing comes between, so that what is decided is decided on
 * what is so.
 */
export class Circuits {
  readonly stats: Counted = {
    calls: 0,
    successes: 0,
    failures: 0,
    rejections: 0,
    lastSuccessAt: undefined,
    lastFailureAt: undefined
  }
  private readonly rules: Rules
  private readonly entries = new Map<string, Entry>()
  private sweptAt = -Infinity

  constructor(rules: Rules) {
    this.rules = rules
  }

  admit(
    key: string,
    now: number
  ): { readonly retryAfter: number } | { readonly ticket: Ticket; readonly change: Changed | undefined } {
    const entry = this.entry(key, now)
    const retryAfter = refusedFor(entry.circuit, now)
    if (retryAfter !== undefined) {
      this.stats.rejections++
      return { retryAfter }
    }
    this.stats.calls++
    entry.running++
    const change = this.happen(key, entry, { _tag: "Admit" }, now)
    return { ticket: { key, era: entry.circuit.era, ended: false }, change }
  }

  end(ticket: Ticket, verdict: Verdict, now: number): Changed | undefined {
    const { era, key } = ticket
    const entry = this.entries.get(key)
    if (ticket.ended || entry === undefined) return undefined
    ticket.ended = true
    entry.running--
    if (verdict === "succeeded") {
      this.stats.successes++
      this.stats.lastSuccessAt = now
    } else if (verdict === "failed") {
      this.stats.failures++
      this.stats.lastFailureAt = now
    }
    return this.happen(key, entry, { _tag: "End", era, verdict }, now)
  }

  reset(key: string, now: number): Changed | undefined {
    const entry = this.entries.get(key)
    return entry && this.happen(key, entry, { _tag: "Reset" }, now)
  }

  state(key: string, now: number): CircuitState {
    const entry = this.entries.get(key)
    return stateAt(entry === undefined || this.forgotten(entry, now) ? initial : entry.circuit, now)
  }

  states(now: number): ReadonlyArray<Changed> {
    return [...this.entries.keys()]
      .map((key) => ({ key, state: this.state(key, now) }))
      .filter(({ state }) => state._tag !== "Closed" || state.failures > 0)
  }

  /** Keys that are held. */
  get size(): number {
    return this.entries.size
  }

  private entry(key: string, now: number): Entry {
    const found = this.entries.get(key)
    if (found !== undefined && !this.forgotten(found, now)) return found
    this.sweep(now)
    const entry = { circuit: initial, running: 0, usedAt: now }
    this.entries.set(key, entry)
    return entry
  }

  private happen(key: string, entry: Entry, event: CircuitEvent, now: number): Changed | undefined {
    const before = entry.circuit.state
    entry.circuit = next(this.rules, entry.circuit, event, now)
    entry.usedAt = now
    const { state } = entry.circuit
    if (entry.running === 0 && state._tag === "Closed" && state.failures === 0) this.entries.delete(key)
    return state._tag === before._tag ? undefined : { key, state }
  }

  private forgotten(entry: Entry, now: number): boolean {
    return entry.running === 0 && now - entry.usedAt >= this.rules.resetMs + keptMs
  }

  /** Now and then, when there is one key more. */
  private sweep(now: number): void {
    if (now - this.sweptAt < keptMs) return
    this.sweptAt = now
    for (const [key, entry] of this.entries) if (this.forgotten(entry, now)) this.entries.delete(key)
  }
}

// ---------------------------------------------------------------------------

const keptMs = 60 * 60 * 1000
