import type * as Types from "effect/Types"
import type { Change, State, Stats } from "../CircuitBreaker.js"

export interface Rules {
  readonly failureThreshold: number
  readonly resetMs: number
  readonly successThreshold: number
}

/** How a call ended, as far as it tells anything. */
export type Verdict = "succeeded" | "failed" | "neither"

/** A call that was let through. Its first end counts. */
export interface Ticket {
  readonly key: string
  readonly era: number
  ended: boolean
}

/** An open one lets no call through before `until`, and one at a time from then on. */
interface Circuit {
  readonly key: string
  /** Begins anew whenever it opens or closes. What was let through in an era before tells nothing of this one. */
  era: number
  state: State
  /** Calls under way. */
  running: number
  usedAt: number
}

export const noStats: Stats = {
  calls: 0,
  successes: 0,
  failures: 0,
  rejections: 0,
  lastSuccessAt: undefined,
  lastFailureAt: undefined
}

/**
 * The circuits of all keys. Each method is one step that nothing comes between, so that what is decided is decided on
 * what is so.
 */
export class Circuits {
  readonly stats: Types.Mutable<Stats> = { ...noStats }
  private readonly rules: Rules
  private readonly circuits = new Map<string, Circuit>()
  private sweptAt = -Infinity

  constructor(rules: Rules) {
    this.rules = rules
  }

  admit(
    key: string,
    now: number
  ): { readonly retryAfter: number } | { readonly ticket: Ticket; readonly change: Change | undefined } {
    const circuit = this.circuit(key, now)
    const state = stateAt(circuit, now)
    const probes = state._tag === "HalfOpen"
    if (state._tag === "Open" || (probes && state.probing)) {
      this.stats.rejections++
      return { retryAfter: probes ? whileProbing : state.until - now }
    }
    this.stats.calls++
    circuit.running++
    const change = this.become(circuit, probes ? { ...state, probing: true } : state, now)
    return { ticket: { key, era: circuit.era, ended: false }, change }
  }

  end(ticket: Ticket, verdict: Verdict, now: number): Change | undefined {
    const circuit = this.circuits.get(ticket.key)
    if (ticket.ended || circuit === undefined) return undefined
    ticket.ended = true
    circuit.running--
    if (verdict === "succeeded") {
      this.stats.successes++
      this.stats.lastSuccessAt = now
    } else if (verdict === "failed") {
      this.stats.failures++
      this.stats.lastFailureAt = now
    }
    const { state } = circuit
    if (ticket.era !== circuit.era || state._tag === "Open") return this.become(circuit, state, now)
    if (state._tag === "Closed") {
      const failures = verdict === "failed" ? state.failures + 1 : verdict === "succeeded" ? 0 : state.failures
      return failures >= this.rules.failureThreshold
        ? this.open(circuit, now)
        : this.become(circuit, { _tag: "Closed", failures }, now)
    }
    if (verdict === "failed") return this.open(circuit, now)
    const successes = state.successes + (verdict === "succeeded" ? 1 : 0)
    return successes >= this.rules.successThreshold
      ? this.close(circuit, now)
      : this.become(circuit, { _tag: "HalfOpen", successes, probing: false }, now)
  }

  reset(key: string, now: number): Change | undefined {
    const circuit = this.circuits.get(key)
    return circuit && this.close(circuit, now)
  }

  state(key: string, now: number): State {
    const circuit = this.circuits.get(key)
    return circuit === undefined || this.forgotten(circuit, now) ? closed : stateAt(circuit, now)
  }

  states(now: number): ReadonlyArray<Change> {
    return [...this.circuits.keys()]
      .map((key) => ({ key, state: this.state(key, now) }))
      .filter(({ state }) => state._tag !== "Closed" || state.failures > 0)
  }

  /** Keys that are held. */
  get size(): number {
    return this.circuits.size
  }

  private circuit(key: string, now: number): Circuit {
    const found = this.circuits.get(key)
    if (found !== undefined && !this.forgotten(found, now)) return found
    this.sweep(now)
    const circuit: Circuit = { key, era: 0, state: closed, running: 0, usedAt: now }
    this.circuits.set(key, circuit)
    return circuit
  }

  private open(circuit: Circuit, now: number): Change | undefined {
    circuit.era++
    return this.become(circuit, { _tag: "Open", until: now + this.rules.resetMs }, now)
  }

  private close(circuit: Circuit, now: number): Change | undefined {
    circuit.era++
    return this.become(circuit, closed, now)
  }

  private become(circuit: Circuit, state: State, now: number): Change | undefined {
    const before = circuit.state
    const { key, running } = circuit
    circuit.state = state
    circuit.usedAt = now
    if (running === 0 && state._tag === "Closed" && state.failures === 0) this.circuits.delete(key)
    return state._tag === before._tag ? undefined : { key, state }
  }

  private forgotten({ running, usedAt }: Circuit, now: number): boolean {
    return running === 0 && now - usedAt >= this.rules.resetMs + keptMs
  }

  /** Now and then, when there is one key more. */
  private sweep(now: number): void {
    if (now - this.sweptAt < keptMs) return
    this.sweptAt = now
    for (const [key, circuit] of this.circuits) if (this.forgotten(circuit, now)) this.circuits.delete(key)
  }
}

// ---------------------------------------------------------------------------

const closed: State = { _tag: "Closed", failures: 0 }

const stateAt = ({ state }: Circuit, now: number): State =>
  state._tag === "Open" && state.until <= now ? { _tag: "HalfOpen", successes: 0, probing: false } : state

/** How long a probe takes is not known: milliseconds until it is worth asking again. */
const whileProbing = 1000

const keptMs = 60 * 60 * 1000
