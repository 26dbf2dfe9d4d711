import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { EventLogService, KeepingOptions, LoggedEvent } from "../EventLog.js"
import type { Event } from "../Events.js"
import { keptOf } from "./eventLogKept.js"

/** Takes events as they come, and writes them when it can. @internal */
export class EventKeeper {
  private readonly log: EventLogService
  private readonly every: Duration.DurationInput
  private readonly maxAgeMs: number
  private readonly maxEvents: number
  private readonly grace: Duration.DurationInput
  private waiting: Array<LoggedEvent> = []
  private dropped = 0
  private hurried = false
  private ending = false
  private wake: (() => void) | undefined
  private failing = false
  private forgotAt = -Infinity
  private writtenSince = 0

  constructor(log: EventLogService, { every, grace, maxAge, maxEvents }: KeepingOptions) {
    this.log = log
    this.every = every ?? "1 second"
    this.grace = grace ?? "2 seconds"
    this.maxAgeMs = Duration.toMillis(maxAge ?? "90 days")
    this.maxEvents = maxEvents ?? 250_000
  }

  readonly tell = (event: Event): void => {
    const kept = keptOf(event)
    if (kept === undefined) return
    if (this.waiting.length === most) {
      this.waiting.shift()
      this.dropped++
    }
    this.waiting.push(kept)
    // A program may end as soon as it has its answer.
    if (kept._tag === "QueryEnded" || kept._tag === "TurnCompleted") this.hurried = true
    if (this.hurried || this.waiting.length === 1 || this.waiting.length >= batch) this.awake()
  }

  /** Until the scope ends; then what waits is written, for as long as the grace lasts. */
  readonly work: Effect.Effect<void, never, Scope.Scope> = Effect.gen(this, function*() {
    const fiber = yield* Effect.forkScoped(Effect.interruptible(this.write))
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        this.ending = true
        this.awake()
        return Fiber.join(fiber).pipe(Effect.interruptible, Effect.timeoutOption(this.grace), Effect.ignore)
      })
    )
  })

  private readonly write: Effect.Effect<void> = Effect.gen(this, function*() {
    while (!this.ending || this.waiting.length > 0) {
      if (this.waiting.length === 0) yield* this.woken
      if (!this.hurried && !this.ending && this.waiting.length < batch) {
        yield* Effect.raceFirst(Effect.sleep(this.every), this.woken)
      }
      this.hurried = false
      yield* this.writeAll
    }
  })

  private readonly writeAll = Effect.gen(this, function*() {
    while (this.waiting.length > 0) {
      const events = this.waiting.splice(0, batch)
      yield* Effect.matchCauseEffect(this.log.append(events), {
        onFailure: (cause) => this.failed(cause, events.length),
        onSuccess: () => this.written(events.length)
      })
    }
  })

  private readonly written = (count: number): Effect.Effect<void> =>
    Effect.gen(this, function*() {
      this.failing = false
      const { dropped } = this
      this.dropped = 0
      if (dropped > 0) yield* Effect.logWarning(`The event log is slow: ${dropped} events were not kept.`)
      const now = yield* Clock.currentTimeMillis
      this.writtenSince += count
      if (now - this.forgotAt < hourMs && this.writtenSince < 10_000) return
      this.forgotAt = now
      this.writtenSince = 0
      yield* Effect.exit(this.log.forget({ before: now - this.maxAgeMs, most: this.maxEvents }))
    })

  private readonly failed = (cause: Cause.Cause<unknown>, count: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      this.dropped += count
      if (this.failing) return Effect.void
      this.failing = true
      const error = Cause.squash(cause)
      return Effect.logWarning(
        `Events are not kept: ${error instanceof Error ? error.message : String(error)}`
      )
    })

  private readonly woken = Effect.async<void>((resume) => {
    this.wake = () => resume(Effect.void)
    if (this.ending || this.hurried || this.waiting.length >= batch) this.awake()
    return Effect.sync(() => {
      this.wake = undefined
    })
  })

  private awake(): void {
    const { wake } = this
    this.wake = undefined
    wake?.()
  }
}

// ---------------------------------------------------------------------------

/** Events that wait for a slow log. */
const most = 8192

/** Events that are written at once. */
const batch = 500

const hourMs = 60 * 60 * 1000
