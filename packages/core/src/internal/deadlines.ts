import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import { type ClaudeError, CliTimeoutError } from "../ClaudeError.js"
import type { Limits } from "../Deadline.js"
import type { Seen } from "./seen.js"

export type Phase = CliTimeoutError["phase"]

/** The next deadline. `end` is none that the caller has set: nothing more is waited for. */
export interface Due {
  readonly at: number
  readonly phase: Phase | "end"
  readonly timeoutMs: number
}

/** The first deadline, as things are: of what is waited for, and of the whole. */
export const next = (limits: Limits, facts: Facts): Due => {
  const { answeredAt, begun, expiredAt, since } = facts
  if (expiredAt !== undefined) return { at: expiredAt + (begun ? lastWords : 0), phase: "end", timeoutMs: 0 }
  const total = since + limits.total
  const due = waitedFor(limits, facts)
  if (due.at <= total) return due
  // An answer is not taken back.
  return { at: total, phase: answeredAt === undefined ? "total" : due.phase, timeoutMs: limits.total }
}

/** For the CLI to tell what there was, after its time is up. It was seen to take 54 ms. */
export const lastWords = 2000

/** After the answer, or the end of the output, until the process must be gone. It was seen to take 45 ms. */
export const leavingTime = 5000

/**
 * What the deadlines of a run, or of a session's turn, depend on, as it comes in. Times are those of the clock, in
 * milliseconds.
 */
export class Pace {
  /** The limits have let it through. */
  readonly since: number
  /** The start of the process, its last line, or the end of a silence of ours. `Infinity`: there is no process yet. */
  heardAt = Infinity
  /** The CLI has said that it says nothing before. */
  quietUntil = 0
  /** The CLI has said something. */
  begun = true
  /** The answer has come, and background work lives. */
  answeredAt: number | undefined
  /** The output has ended. */
  endedAt: number | undefined
  /** The deadline that has run out. */
  expired: { readonly phase: Phase; readonly timeoutMs: number } | undefined
  /** Since then the CLI may say its last. */
  expiredAt: number | undefined
  /** Whether the silence is ours. */
  ours: () => boolean = () => false
  private readonly seen: Seen

  constructor(since: number, seen: Seen) {
    this.since = since
    this.seen = seen
  }

  /** The silence is ours, or has its reason: a tool that runs, a question to the program, a consumer that is full. */
  get excused(): boolean {
    return this.seen.busy || this.ours()
  }

  /** The answer has come, and the CLI was asked to leave. */
  get leaving(): boolean {
    return this.seen.leaving
  }

  /** A turn runs: the user's, or after the answer one of the CLI's own. */
  get inTurn(): boolean {
    return this.seen.inTurn
  }

  /** What was heard has been looked at. */
  heard(now: number): void {
    this.heardAt = now
    const announced = this.seen.takeAnnounced()
    if (announced > 0) this.quietUntil = Math.max(this.quietUntil, now + announced)
  }

  expire(phase: Phase, timeoutMs: number, now: number): void {
    this.expired = { phase, timeoutMs }
    this.expiredAt = now
  }
}

/** What decides which deadline is the next. */
export type Facts = Readonly<Omit<Pace, "expired" | "ours" | "heard" | "expire">>

/** What a watch needs. */
export interface WatchParts {
  readonly clock: Pick<Clock.Clock, "sleep" | "unsafeCurrentTimeMillis">
  readonly due: () => Due
  /** It is time. What comes of it must be in the facts when this has come back. */
  readonly expire: (due: Due) => Effect.Effect<void>
  readonly fork: (effect: Effect.Effect<void>) => Effect.Effect<Fiber.RuntimeFiber<void>>
  /** It looks first after so long at the latest, so that what a short run ends with needs no other look. */
  readonly firstLook: number
}

/**
 * Sleeps until a deadline is due, and not at all while none can be. A deadline that is put off meanwhile is found to be
 * at the next look; one that comes sooner wakes it: whoever changes the facts asks `late`, and starts it anew.
 */
export class Watch {
  private readonly parts: WatchParts
  private lookAt = Infinity
  private looker = 0
  private looked = false
  private fiber: Fiber.RuntimeFiber<void> | undefined

  constructor(parts: WatchParts) {
    this.parts = parts
  }

  /** It would look too late. */
  get late(): boolean {
    return this.parts.due().at < this.lookAt
  }

  readonly start: Effect.Effect<void> = Effect.suspend(() => {
    const before = this.fiber
    const mine = ++this.looker
    this.lookAt = -Infinity
    // It may be started where nothing is interrupted, and must not keep a scope from closing.
    return Effect.map(this.parts.fork(Effect.interruptible(this.looking(mine))), (fiber) => {
      this.fiber = fiber
      before?.unsafeInterruptAsFork(FiberId.none)
    })
  })

  /** For good. */
  readonly stop: Effect.Effect<void> = Effect.sync(() => {
    this.looker++
    this.lookAt = -Infinity
    this.fiber?.unsafeInterruptAsFork(FiberId.none)
    this.fiber = undefined
  })

  private looking(mine: number): Effect.Effect<void> {
    const { clock, due: dueNow, expire, firstLook } = this.parts
    return Effect.gen(this, function*() {
      while (this.looker === mine) {
        const due = dueNow()
        const from = clock.unsafeCurrentTimeMillis()
        if (due.at <= from) {
          // Nobody need wake it meanwhile.
          this.lookAt = -Infinity
          yield* expire(due)
          if (due.phase === "end" || due.phase === "background") return
          continue
        }
        const pause = Math.min(due.at - from, this.looked ? Infinity : firstLook)
        this.looked = true
        this.lookAt = from + pause
        if (pause === Infinity) return
        yield* clock.sleep(Duration.millis(Math.min(pause, timerLimit)))
      }
    })
  }
}

/** What has to be there in time: the start of a process, or its first answer. */
export const within = <A, R>(
  effect: Effect.Effect<A, ClaudeError, R>,
  leftMs: number,
  late: () => CliTimeoutError
): Effect.Effect<A, ClaudeError, R> =>
  leftMs === Infinity
    ? effect
    : Effect.timeoutFail(effect, { duration: Math.min(Math.max(0, leftMs), timerLimit), onTimeout: late })

/** Where it happened, and what there was by then. */
export interface Circumstances {
  readonly sessionId: string
  readonly frames: number
  readonly partial?: string | undefined
  readonly costUsd?: number | null | undefined
  /** It is a turn of a session, which goes on. */
  readonly session?: boolean | undefined
}

export const timeoutError = (
  phase: Phase,
  timeoutMs: number,
  { costUsd = null, frames, partial = "", session = false, sessionId }: Circumstances
): CliTimeoutError =>
  new CliTimeoutError({
    phase,
    timeoutMs,
    sessionId,
    frames,
    partial,
    costUsd,
    hint: `${frames === 0 ? hintsOfSilence[phase] : hints[phase]}${
      frames === 0 || phase === "background"
        ? ""
        : session
        ? " Or send the next prompt: the session goes on from there."
        : sessionId === ""
        ? ""
        : ` Or go on from there, with resume: "${sessionId}".`
    }`
  })

// ---------------------------------------------------------------------------

/** What is waited for now. */
const waitedFor = (limits: Limits, facts: Facts): Due => {
  const { answeredAt, begun, endedAt, excused, heardAt, inTurn, leaving, quietUntil } = facts
  if (endedAt !== undefined) return { at: endedAt + leavingTime, phase: "end", timeoutMs: 0 }
  const stallAt = excused ? Infinity : Math.max(heardAt, quietUntil) + limits.stall
  if (answeredAt !== undefined) {
    // Nothing more is asked of the CLI: it may end what it is in, but not stay.
    if (leaving && !inTurn) return { at: heardAt + leavingTime, phase: "end", timeoutMs: 0 }
    const background: Due = {
      at: answeredAt + limits.background,
      phase: "background",
      timeoutMs: limits.background
    }
    return leaving && stallAt < background.at ? { at: stallAt, phase: "end", timeoutMs: 0 } : background
  }
  return begun
    ? { at: stallAt, phase: "stall", timeoutMs: limits.stall }
    : { at: heardAt + limits.startup, phase: "startup", timeoutMs: limits.startup }
}

/** A timer cannot run longer: then it is looked again. */
const timerLimit = 2 ** 31 - 1

const hints: Readonly<Record<Phase, string>> = {
  startup: "Does the CLI start by hand? Raise startupTimeout on a slow machine.",
  stall: "Raise stallTimeout if long silences are expected.",
  total: "Raise timeout.",
  background: "Raise backgroundTimeout if work may go on for longer after the answer."
}

const hintsOfSilence: Readonly<Record<Phase, string>> = {
  ...hints,
  total: "It had not begun: raise timeout, or maxConcurrent where many wait for a process."
}
