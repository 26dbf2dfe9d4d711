export interface Rules {
  readonly failureThreshold: number
  readonly resetMs: number
  readonly successThreshold: number
}

/** What calls are let through by. An open one lets none through before `until`, and one at a time from then on. */
export type CircuitState =
  | { readonly _tag: "Closed"; readonly failures: number }
  | { readonly _tag: "Open"; readonly until: number }
  | { readonly _tag: "HalfOpen"; readonly successes: number; readonly probing: boolean }

/** How a call ended, as far as it tells anything. */
export type Verdict = "succeeded" | "failed" | "neither"

export interface Circuit {
  /** Begins anew whenever it opens or closes. What was let through in an era before tells nothing of this one. */
  readonly era: number
  readonly state: CircuitState
}

export type CircuitEvent =
  | { readonly _tag: "Admit" }
  | { readonly _tag: "End"; readonly era: number; readonly verdict: Verdict }
  | { readonly _tag: "Reset" }

/** @internal */
export const initial: Circuit = { era: 0, state: { _tag: "Closed", failures: 0 } }

/** @internal */
export const stateAt = ({ state }: Circuit, now: number): CircuitState =>
  state._tag === "Open" && state.until <= now ? { _tag: "HalfOpen", successes: 0, probing: false } : state

/** Milliseconds until it is worth asking again; `undefined` when a call may go through now. @internal */
export const refusedFor = (circuit: Circuit, now: number): number | undefined => {
  const state = stateAt(circuit, now)
  switch (state._tag) {
    case "Closed":
      return undefined
    case "Open":
      return state.until - now
    case "HalfOpen":
      return state.probing ? whileProbing : undefined
  }
}

/** Everything that can happen to a circuit. Calls that are refused do not happen. @internal */
export const next = (rules: Rules, circuit: Circuit, event: CircuitEvent, now: number): Circuit => {
  const { era } = circuit
  const state = stateAt(circuit, now)
  const closed: Circuit = { era: era + 1, state: initial.state }
  const open: Circuit = { era: era + 1, state: { _tag: "Open", until: now + rules.resetMs } }
  if (event._tag === "Reset") return closed
  if (event._tag === "Admit") {
    return state._tag === "HalfOpen" ? { era, state: { ...state, probing: true } } : circuit
  }
  if (event.era !== era || state._tag === "Open") return circuit
  const { verdict } = event
  if (state._tag === "Closed") {
    if (verdict === "neither") return circuit
    const failures = verdict === "failed" ? state.failures + 1 : 0
    if (failures >= rules.failureThreshold) return open
    return failures === state.failures ? circuit : { era, state: { _tag: "Closed", failures } }
  }
  if (verdict === "failed") return open
  const successes = state.successes + (verdict === "succeeded" ? 1 : 0)
  return successes >= rules.successThreshold
    ? closed
    : { era, state: { _tag: "HalfOpen", successes, probing: false } }
}

// ---------------------------------------------------------------------------

/** How long the probe takes is not known. */
const whileProbing = 1000
