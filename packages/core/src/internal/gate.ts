import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ClaudeError } from "../ClaudeError.js"
import type { Wait } from "../Policy.js"
import { RateLimitExceededError } from "../PolicyError.js"
import { Fifo } from "./fifo.js"
import type { Cost, Meter } from "./meter.js"

/** How a call goes through a gate. */
interface Entering {
  readonly cost: Cost
  readonly maxWaitMs: number
  readonly wait: Wait
}

interface Waiter {
  readonly cost: Cost
  /** Open when something has changed since it has looked. */
  readonly stirred: Effect.Latch
}

/**
 * Where the calls of one key go through, one after the other as they came. Only the first of them looks at the limits,
 * and takes what it needs of all of them when it goes: whoever gives up before has taken nothing, and those behind move
 * up.
 */
export class Gate {
  active = 0
  /** Those that the limits hold up. */
  waiting = 0
  private readonly meters: ReadonlyArray<Meter>
  private readonly maxActive: number
  private readonly clock: Clock.Clock
  private readonly changed: () => void
  private readonly line = new Fifo<Waiter>()

  constructor(meters: ReadonlyArray<Meter>, maxActive: number, clock: Clock.Clock, changed: () => void) {
    this.meters = meters
    this.maxActive = maxActive
    this.clock = clock
    this.changed = changed
  }

  /** Requests that ever go at once. */
  get most(): number {
    return Math.min(Infinity, ...this.meters.map(({ most }) => most))
  }

  /** Nothing of it needs to be remembered. */
  get atRest(): boolean {
    return this.active === 0 && this.line.size === 0 && this.meters.every((meter) => meter.atRest())
  }

  /**
   * Comes back when the call may go, with the milliseconds that it has waited. It leaves by `leave`: so this is to be where
   * nothing is interrupted, and `wait` where it may be.
   */
  enter({ cost, maxWaitMs, wait }: Entering): Effect.Effect<number, ClaudeError> {
    return Effect.suspend(() => {
      const due = this.due(cost, maxWaitMs === Infinity ? nothing : this.ahead())
      // Read after it: a clock that has moved on meanwhile makes nothing late that is due now.
      const from = this.now()
      const until = from + maxWaitMs
      const full = this.full
      if (due.at > until || (full && maxWaitMs === 0)) return Effect.fail(this.exceeded(due))
      const waiter: Waiter = { cost, stirred: Effect.unsafeMakeLatch() }
      const place = this.line.push(waiter)
      let waited = false
      const pausing = (effect: Effect.Effect<void, ClaudeError>) => {
        waited = true
        return wait(this.pause(effect))
      }

      const turn: Effect.Effect<void, ClaudeError> = Effect.suspend(() =>
        Effect.zipRight(
          this.mayGo(waiter) ? Effect.void : pausing(this.within(until, cost, this.turnOf(waiter))),
          Effect.flatMap(this.take(cost), (at) => {
            if (at === undefined) return turn
            if (at <= this.now()) return Effect.void
            // Another host was first.
            return at > until
              ? Effect.zipRight(
                this.giveBack(cost),
                Effect.suspend(() => Effect.fail(this.exceeded(this.due(cost, nothing))))
              )
              : Effect.onError(pausing(this.sleep(at)), () => this.giveBack(cost))
          })
        )
      )
      return turn.pipe(
        Effect.map(() => {
          this.active++
          return waited ? this.now() - from : 0
        }),
        Effect.ensuring(Effect.sync(() => {
          this.line.remove(place)
          this.stir()
          this.changed()
        }))
      )
    })
  }

  /** The call is over. */
  leave(): void {
    this.active--
    this.stir()
    this.changed()
  }

  settle(difference: Cost): Effect.Effect<void> {
    return Effect.zipRight(
      Effect.forEach(this.meters, (meter) => meter.settle(difference), { discard: true }),
      Effect.sync(() => this.stir())
    )
  }

  private get full(): boolean {
    return this.active >= this.maxActive
  }

  private now(): number {
    return this.clock.unsafeCurrentTimeMillis()
  }

  private sleep(at: number): Effect.Effect<void> {
    return this.clock.sleep(Duration.millis(Math.ceil(at - this.now())))
  }

  private due(cost: Cost, ahead: Cost): Due {
    let due: Due = { at: this.now(), limit: `${this.maxActive} calls at once` }
    for (const { at, limit } of this.meters) {
      const then = at(cost, ahead)
      if (then > due.at) due = { at: then, limit }
    }
    return due
  }

  private ahead(): Cost {
    let [requests, tokens] = [0, 0]
    for (const { cost } of this.line) {
      requests += cost.requests
      tokens += cost.tokens
    }
    return { requests, tokens }
  }

  private mayGo(waiter: Waiter): boolean {
    return this.line.head === waiter && !this.full && this.due(waiter.cost, nothing).at <= this.now()
  }

  private turnOf(waiter: Waiter): Effect.Effect<void> {
    return Effect.suspend(() => {
      waiter.stirred.unsafeClose()
      if (this.mayGo(waiter)) return Effect.void
      const next = this.line.head !== waiter || this.full
        ? waiter.stirred.await
        : Effect.raceFirst(this.sleep(this.due(waiter.cost, nothing).at), waiter.stirred.await)
      return Effect.zipRight(next, this.turnOf(waiter))
    })
  }

  private within(until: number, cost: Cost, turn: Effect.Effect<void>): Effect.Effect<void, ClaudeError> {
    if (until === Infinity) return turn
    const late = Effect.zipRight(this.sleep(until), Effect.suspend(() => this.exceeded(this.due(cost, nothing))))
    return Effect.raceFirst(turn, late)
  }

  private pause<E>(effect: Effect.Effect<void, E>): Effect.Effect<void, E> {
    const count = (by: number) =>
      Effect.sync(() => {
        this.waiting += by
        this.changed()
      })
    return Effect.acquireUseRelease(count(1), () => effect, () => count(-1))
  }

  /** Of all or of none, as far as this host goes. */
  private take(cost: Cost): Effect.Effect<number | undefined> {
    const { meters } = this
    return Effect.gen(function*() {
      let at = -Infinity
      for (const meter of meters) {
        const due = yield* meter.take(cost)
        if (due === undefined) return undefined
        at = Math.max(at, due)
      }
      return at
    })
  }

  private giveBack({ requests, tokens }: Cost): Effect.Effect<void> {
    return this.settle({ requests: -requests, tokens: -tokens })
  }

  /** The first in the line looks again. */
  private stir(): void {
    this.line.head?.stirred.unsafeOpen()
  }

  private exceeded({ at, limit }: Due): RateLimitExceededError {
    return new RateLimitExceededError({
      retryAfter: Math.max(0, Math.ceil(at - this.now())),
      limit,
      hint: "Try again then, or raise maxWait: calls are let through in the order in which they came."
    })
  }
}

// ---------------------------------------------------------------------------

interface Due {
  readonly at: number
  readonly limit: string
}

const nothing: Cost = { requests: 0, tokens: 0 }
