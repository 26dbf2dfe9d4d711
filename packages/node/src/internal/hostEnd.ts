/**
 * What this host must not leave behind when it ends: processes, and files with secrets.
 *
 * Node ends on a signal without running anything, and an `exit` listener cannot wait for events. So while there is
 * something to look after, one listener for each signal and one for `exit` do so. A host that handles a signal itself is
 * left to do it; what is then still there goes at its exit.
 */
import { globalValue } from "effect/GlobalValue"
import * as Predicate from "effect/Predicate"

export interface Guest {
  /** Asks it to go. From then on it tells the host's code nothing, which would take its end for a failure. */
  readonly ask: (signal: NodeJS.Signals) => void
  /** Whether it has gone. Must also know it while no event can be received. */
  readonly gone: () => boolean
  /** Ends it at once. */
  readonly remove: () => void
}

const guests = new Set<Guest>()
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const

/** How long the host's end waits for those it has asked to go before it removes them. */
const leaveMs = 2000
/** Elsewhere an ended process cannot be told from a living one while no event can be received. */
const leaveAtExitMs = process.platform === "linux" ? leaveMs : 300

/** Listeners for each signal, of every copy of this module in the process. */
const listening = globalValue("@ccflow/node/hostEnd/listening", () => ({ count: 0 }))

let attached = false
let ending = false

export const admit = (guest: Guest): void => {
  guests.add(guest)
  if (attached) return
  attached = true
  listening.count++
  process.on("exit", onExit)
  // First, so that a listener that takes itself off when it is called is still counted.
  for (const name of signals) process.prependListener(name, onSignal)
}

/** Who starts one process after another listens all the time: each change of it costs a dozen system calls. */
export const release = (guest: Guest): void => {
  if (guests.delete(guest) && guests.size === 0) setImmediate(() => guests.size === 0 ? detach() : undefined)
}

const detach = (): void => {
  if (!attached) return
  attached = false
  listening.count--
  process.off("exit", onExit)
  for (const name of signals) process.off(name, onSignal)
}

/**
 * Gives a function to call until it says that the wait is over. SIGINT comes first: at SIGTERM older versions of the CLI
 * were seen to leave without their tools.
 */
const asking = (withinMs: number): () => boolean => {
  const started = Date.now()
  let asked: NodeJS.Signals | undefined
  return () => {
    const waited = Date.now() - started
    const signal = waited < 0.75 * withinMs ? "SIGINT" : "SIGTERM"
    if (signal !== asked) { for (const guest of guests) guest.ask(signal) }
    asked = signal
    return waited >= withinMs || [...guests].every((guest) => guest.gone())
  }
}

const removeAll = (): void => {
  for (const guest of guests) {
    try {
      guest.remove()
    } catch {
      // The host ends; nobody is left to be told.
    }
  }
}

const onExit = (): void => {
  const over = asking(leaveAtExitMs)
  const cell = new Int32Array(new SharedArrayBuffer(4))
  while (!over()) Atomics.wait(cell, 0, 0, 5)
  removeAll()
}

const onSignal = (name: NodeJS.Signals): void => {
  if (ending || process.listenerCount(name) > listening.count + standBy()) return
  ending = true
  const over = asking(leaveMs)
  const check = () => {
    if (!over()) return void setTimeout(check, 10)
    removeAll()
    detach()
    guests.clear()
    process.kill(process.pid, name)
  }
  check()
}

/** Listeners of `signal-exit`, which much of npm uses. They act where nobody else listens: left to us, neither would. */
const standBy = (): number =>
  countOf(Reflect.get(process, "__signal_exit_emitter__")) +
  countOf(Reflect.get(globalThis, Symbol.for("signal-exit emitter")))

const countOf = (emitter: unknown): number =>
  Predicate.hasProperty(emitter, "count") && typeof emitter.count === "number" ? emitter.count : 0
