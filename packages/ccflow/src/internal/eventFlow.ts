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

/** What is done in its turn. */
interface Due {
  readonly run: () => void
  /** Also where too much waits. */
  readonly surely: boolean
}

/** From a client's bus to its listeners. It asks for the bus when the first comes, and is over when that is closed. */
export class EventFlow {
  private readonly open: () => Promise<Exit.Exit<EventsService, unknown>>
  private readonly observers = new Set<Observer>()
  /** What ends each listener, by the type that it listens to. */
  private readonly stops = new Map<EventType | "any", Map<unknown, () => void>>()
  private bus: EventsService | undefined
  private opening: Promise<void> | undefined
  private over = false
  /** Calls that are due, and those who wait for the calls before them. */
  private waiting: Array<Due> = []
  private draining = false

  constructor(open: () => Promise<Exit.Exit<EventsService, unknown>>) {
    this.open = open
  }

  /** Called soon after each event, in turn. What it gives ends it. */
  add(type: EventType | "any", listener: unknown, deliver: (event: Event) => unknown): () => void {
    const stops = this.stops.get(type) ?? new Map<unknown, () => void>()
    this.stops.set(type, stops)
    const known = stops.get(listener)
    if (known !== undefined) return known
    let left = false
    let complained = false
    const complain = (error: unknown) => {
      if (complained) return
      complained = true
      warn(type, error)
    }
    const run = (event: Event) => {
      if (left) return
      try {
        const given = deliver(event)
        if (Predicate.isPromiseLike(given)) given.then(undefined, complain)
      } catch (error) {
        complain(error)
      }
    }
    const forget = this.observe((event) => this.offer(() => run(event)), type === "any" ? undefined : [type])
    const stop = () => {
      left = true
      stops.delete(listener)
      forget()
    }
    stops.set(listener, stop)
    return stop
  }

  remove(type: EventType, listener: unknown): boolean {
    const stop = this.stops.get(type)?.get(listener)
    stop?.()
    return stop !== undefined
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
    return this.waiting.length === 0 ? undefined : new Promise((run) => this.waiting.push({ run, surely: true }))
  }

  private connect(): void {
    this.opening ??= this.open().then((exit) => {
      if (Exit.isFailure(exit)) return this.end()
      const bus = this.bus = exit.value
      for (const observer of this.observers) attach(bus, observer)
      // Wants no event: it only ends with the bus.
      Effect.runFork(Effect.scoped(Effect.flatMap(
        bus.subscribe({ types: [] }),
        ({ events }) => Effect.zipRight(Stream.runDrain(events), Effect.sync(this.end))
      )))
    }).catch(this.end)
  }

  private readonly end = (): void => {
    this.over = true
    const observers = [...this.observers]
    this.observers.clear()
    for (const { ended, stop } of observers) {
      stop()
      ended()
    }
  }

  private offer(run: () => void): void {
    if (this.waiting.length >= most) {
      const dropped = this.waiting.shift()
      if (dropped?.surely === true) dropped.run()
    }
    this.waiting.push({ run, surely: false })
    if (this.draining) return
    this.draining = true
    queueMicrotask(() => this.drain())
  }

  /** In one go, unless listeners take long: then others come in between. */
  private drain(): void {
    const until = performance.now() + atOnce
    for (let at = 0; at < this.waiting.length; at++) {
      this.waiting[at]!.run()
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

const warn = (type: EventType | "any", error: unknown): void => {
  const why = error instanceof Error ? error.message : typeof error === "string" ? error : "no error was given"
  const which = type === "any" ? "events" : type
  process.emitWarning(`A listener of ${which} has failed: ${why}. Further failures of it are not told.`, {
    type: "CcflowListenerWarning"
  })
}
