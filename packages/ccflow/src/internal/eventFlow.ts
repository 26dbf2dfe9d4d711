import type { Event, EventsService, EventType } from "@ccflow/core/Events"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** One who listens, or a loop that reads. */
interface Observer {
  readonly tell: (event: Event) => void
  readonly types: ReadonlyArray<EventType> | undefined
  readonly ended: () => void
  stop: () => void
}

interface Due {
  readonly to: Registration
  readonly event: Event
}

interface Registration {
  readonly type: EventType | "any"
  readonly listener: unknown
  readonly deliver: (event: Event) => unknown
  readonly stop: () => void
  left: boolean
  /** Its first failure has been told. */
  complained: boolean
}

/** From a client's bus to its listeners. It asks for the bus when the first comes, and is over when that is closed. */
export class EventFlow {
  private readonly open: () => Promise<Exit.Exit<EventsService, unknown>>
  private readonly observers = new Set<Observer>()
  private readonly registrations = new Set<Registration>()
  private bus: EventsService | undefined
  private opening = false
  private over = false
  /** Calls that are due, and those who wait for the calls before them. */
  private waiting: Array<Due | (() => void)> = []
  private draining = false

  constructor(open: () => Promise<Exit.Exit<EventsService, unknown>>) {
    this.open = open
  }

  /** Called soon after each event, in turn. What it gives ends it. */
  add(type: EventType | "any", listener: unknown, deliver: (event: Event) => unknown): () => void {
    const known = this.find(type, listener)
    if (known !== undefined) return known.stop
    const stop = this.observe((event) => this.offer(registration, event), type === "any" ? undefined : [type])
    const registration: Registration = {
      type,
      listener,
      deliver,
      left: false,
      complained: false,
      stop: () => {
        registration.left = true
        this.registrations.delete(registration)
        stop()
      }
    }
    this.registrations.add(registration)
    return registration.stop
  }

  remove(type: EventType, listener: unknown): boolean {
    const known = this.find(type, listener)
    known?.stop()
    return known !== undefined
  }

  /** Told in place. */
  observe(
    tell: (event: Event) => void,
    types: ReadonlyArray<EventType> | undefined,
    ended: () => void = () => {}
  ): () => void {
    if (this.over) {
      ended()
      return () => {}
    }
    const observer: Observer = { tell, types, ended, stop: () => {} }
    this.observers.add(observer)
    if (this.bus === undefined) this.connect()
    else attach(this.bus, observer)
    return () => {
      this.observers.delete(observer)
      observer.stop()
    }
  }

  /** Settles when the listeners have been called for all that was told so far. */
  caughtUp(): Promise<void> | undefined {
    return this.waiting.length === 0 ? undefined : new Promise((resolve) => this.waiting.push(resolve))
  }

  private find(type: EventType | "any", listener: unknown): Registration | undefined {
    for (const each of this.registrations) if (each.type === type && each.listener === listener) return each
    return undefined
  }

  private connect(): void {
    if (this.opening) return
    this.opening = true
    const end = () => this.end()
    this.open().then((exit) => {
      if (Exit.isFailure(exit)) return end()
      const bus = this.bus = exit.value
      for (const observer of this.observers) attach(bus, observer)
      // Wants no event: it only ends with the bus.
      Effect.runFork(Effect.scoped(Effect.flatMap(
        bus.subscribe({ types: [] }),
        ({ events }) => Effect.zipRight(Stream.runDrain(events), Effect.sync(end))
      )))
    }).catch(end)
  }

  private end(): void {
    this.over = true
    const observers = [...this.observers]
    this.observers.clear()
    for (const { ended, stop } of observers) {
      stop()
      ended()
    }
  }

  private offer(to: Registration, event: Event): void {
    if (this.waiting.length >= most) {
      const dropped = this.waiting.shift()
      if (typeof dropped === "function") dropped()
    }
    this.waiting.push({ to, event })
    if (this.draining) return
    this.draining = true
    queueMicrotask(() => this.drain())
  }

  /** In one go, unless listeners take long: then others come in between. */
  private drain(): void {
    const until = performance.now() + atOnce
    for (let at = 0; at < this.waiting.length; at++) {
      const due = this.waiting[at]!
      if (typeof due === "function") due()
      else call(due.to, due.event)
      if (performance.now() < until) continue
      this.waiting = this.waiting.slice(at + 1)
      setImmediate(() => this.drain())
      return
    }
    this.waiting = []
    this.draining = false
  }
}

// ---------------------------------------------------------------------------

/** Calls that wait for slow listeners: then the oldest are dropped. */
const most = 16_384

/** Milliseconds. */
const atOnce = 10

const attach = (bus: EventsService, observer: Observer): void => {
  const scope = Effect.runSync(Scope.make())
  Effect.runSync(Scope.extend(bus.observe(observer.tell, observer.types), scope))
  observer.stop = () => Effect.runSync(Scope.close(scope, Exit.void))
}

const call = (registration: Registration, event: Event): void => {
  if (registration.left) return
  try {
    const given = registration.deliver(event)
    if (!Predicate.isPromiseLike(given)) return
    given.then(undefined, (error) => complain(registration, error))
  } catch (error) {
    complain(registration, error)
  }
}

const complain = (registration: Registration, error: unknown): void => {
  if (registration.complained) return
  registration.complained = true
  const why = error instanceof Error ? error.message : typeof error === "string" ? error : "no error was given"
  const which = registration.type === "any" ? "events" : registration.type
  process.emitWarning(`A listener of ${which} has failed: ${why}. Further failures of it are not told.`, {
    type: "CcflowListenerWarning"
  })
}
