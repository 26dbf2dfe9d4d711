import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { UsageLimitError } from "../ClaudeError.js"
import type { EventsService } from "../Events.js"
import { is, type Message } from "../Message.js"
import type { UsageWindow } from "../UsageLimit.js"
import type { UsageLimitStore } from "../UsageLimitStore.js"
import { dateText } from "./errorText.js"
import { Observed, Observers } from "./observed.js"
import { commits } from "./reopening.js"
import type { End, Pull } from "./streamed.js"
import { type Ticket, UsageLines } from "./usageLines.js"
import * as UsageMemory from "./usageMemory.js"
import { letsThrough, type News, UsageWindows, windowsOf } from "./usageWindows.js"

/** Where calls wait for the windows that stop them: what messages tell, who may begin, and what is told of both. */
export const make = (store: UsageLimitStore["Type"], events: EventsService) =>
  Effect.gen(function*() {
    const memory = yield* UsageMemory.make(store)
    const seen = new UsageWindows()
    const lines = new UsageLines(seen)
    const statuses = yield* Observers.scoped<UsageWindow>()
    const crowds = new Observed(() => lines.parked)
    yield* Effect.addFinalizer(() => Effect.sync(() => crowds.end()))
    const bells = new Set<Queue.Enqueue<void>>()
    const outbox: Array<UsageWindow> = []
    /** As it was last told. */
    let crowd = "[]"

    /** Does something now, after what has passed was forgotten, and tells what it has changed. */
    const changing = <A>(change: (now: number, jitter: number) => A): Effect.Effect<A> =>
      Effect.map(Effect.zip(Clock.currentTimeMillis, Random.nextIntBetween(1, maxJitter)), ([now, jitter]) => {
        outbox.push(...seen.sweep(now))
        const done = change(now, jitter)
        for (const window of outbox.splice(0)) statuses.tell(window)
        const before = crowd
        crowd = JSON.stringify(lines.parked)
        if (crowd !== before) crowds.tell()
        return done
      })

    const learned = (news: News | undefined): void => {
      if (news === undefined) return
      const { before, known } = news
      const { window } = known
      const was = before?.window
      const same = was?.status === window.status && was.overage === window.overage
      if (!same) outbox.push(window)
      if ((before?.closedUntil ?? 0) !== known.closedUntil) lines.changed(known)
      if (window.status === "rejected" && window.resetsAt === null) return
      if (!same || was.resetsAt !== window.resetsAt || was.utilization !== window.utilization) memory.save(window)
      for (const bell of bells) bell.unsafeOffer(undefined)
    }

    const heard = (ticket: Ticket, batch: ReadonlyArray<Message>): Effect.Effect<void> =>
      changing((now, jitter) => {
        const told = batch.filter(is("RateLimit")).flatMap((message) => windowsOf(message, ticket.target.account, now))
        for (const window of told) learned(seen.learn(window, ticket.askedAt, jitter))
        if (isLetThrough(batch)) lines.probed(ticket, true)
      })

    /** The call is over, with or without a word. */
    const end = (ticket: Ticket): Effect.Effect<void> =>
      ticket.probing === undefined ? Effect.void : changing(() => lines.probed(ticket, false))

    const ended = (ticket: Ticket, how: End): Effect.Effect<void> => {
      if (Option.isNone(how) || how.value._tag !== "UsageLimitError") return end(ticket)
      const error = how.value
      return changing((now, jitter) => {
        learned(seen.reject(ticket.target, error, now, jitter))
        lines.probed(ticket, false)
      })
    }

    yield* changing((now, jitter) => {
      for (const window of memory.remembered) seen.learn(window, Infinity, jitter)
      // What has passed since then is no news.
      seen.sweep(now)
    })

    return {
      /** Nothing is in the way of this call, and nobody is before it: then it need not wait even for a moment. */
      unhindered: (ticket: Ticket): Effect.Effect<boolean> =>
        Effect.clockWith((clock) => {
          const now = clock.unsafeCurrentTimeMillis()
          if (!lines.empty || seen.closing(ticket.target, now) !== undefined) return Effect.succeed(false)
          ticket.askedAt = now
          return Effect.succeed(true)
        }),

      /** Until it may begin. */
      admit: (ticket: Ticket, maxWait: number): Effect.Effect<void, UsageLimitError> => {
        const see = parking(events, ticket)
        const step: Effect.Effect<void, UsageLimitError> = Effect.flatMap(
          changing((now, jitter) => {
            const next = lines.step(ticket, maxWait, 1 + jitter % gap, now)
            see(now)
            return [next, now] as const
          }),
          ([next, now]) =>
            next === "go"
              ? Effect.void
              : "refusedBy" in next
              ? Effect.fail(refusal(next.refusedBy.window))
              : Effect.zipRight(pause(ticket, next.until - now), step)
        )
        return Effect.ensuring(
          step,
          changing((now) => {
            lines.leave(ticket)
            see(now)
          })
        )
      },

      /** Whether a rejected call waits for what has rejected it. */
      waits: (ticket: Ticket, maxWait: number): Effect.Effect<boolean> =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          const closing = seen.closing(ticket.target, now)
          return closing !== undefined && closing.closedUntil <= (ticket.deadline ??= now + maxWait)
        }),

      /** A run, listened to. */
      watched: (ticket: Ticket, pull: Pull): Pull =>
        Effect.matchEffect(pull, {
          onFailure: (how) => Effect.zipRight(ended(ticket, how), Effect.fail(how)),
          onSuccess: (batch) =>
            tells(batch, ticket.probing !== undefined) ? Effect.as(heard(ticket, batch), batch) : Effect.succeed(batch)
        }),

      end,
      windows: changing(() => seen.all.map(({ window }) => window)),
      parked: Effect.sync(() => lines.parked),

      /** Resets come by themselves only where somebody listens for them. */
      changes: Stream.unwrapScoped(Effect.gen(function*() {
        const observer = yield* statuses.subscribe()
        const bell = yield* Queue.sliding<void>(1)
        yield* Effect.acquireRelease(
          Effect.sync(() => bells.add(bell)),
          () => Effect.sync(() => bells.delete(bell))
        )
        const next = Effect.flatMap(
          changing((now) => seen.nextReset - now),
          (millis) => Effect.raceFirst(Queue.take(bell), sleep(millis))
        )
        yield* Effect.forkScoped(Effect.forever(next))
        return observer.stream
      })),

      parkedChanges: crowds.changes,

      forget: changing((now) => {
        for (const { window } of seen.all) {
          const open = { ...window, utilization: null, overage: false, seenAt: now }
          memory.save({ ...open, status: "allowed" })
          if (window.status !== "allowed") outbox.push({ ...open, status: "reset" })
        }
        seen.clear()
        lines.reconsider()
      })
    }
  })

// ---------------------------------------------------------------------------

/** Tells when a call begins to wait in a line, and when it has left it. */
const parking = (events: EventsService, ticket: Ticket) => {
  const { callId } = ticket
  let parked: { readonly limit: string; readonly since: number } | undefined
  return (now: number): void => {
    const known = ticket.line?.known
    const limit = known?.window.limit
    if (limit === parked?.limit) return
    if (parked !== undefined) {
      events.tell({ _tag: "Unparked", callId, limit: parked.limit, waitedMs: now - parked.since })
    }
    parked = limit === undefined ? undefined : { limit, since: now }
    if (known === undefined || limit === undefined) return
    events.tell({ _tag: "Parked", callId, limit, ...(known.closedUntil > now ? { until: known.closedUntil } : {}) })
  }
}

/** Programs that share an account do not all come in the moment of its reset. */
const maxJitter = 500

/** Nor do the calls of one. */
const gap = 25

/** A machine that was asleep, or whose clock was set, is noticed within a minute. */
const sleep = (millis: number): Effect.Effect<void> =>
  Effect.suspend(() =>
    millis === Infinity ? Effect.never : Effect.sleep(Duration.millis(Math.min(Math.max(0, millis), 60_000)))
  )

const pause = (ticket: Ticket, millis: number): Effect.Effect<void> =>
  millis === Infinity ? ticket.news.await : Effect.raceFirst(ticket.news.await, sleep(millis))

const tells = (batch: ReadonlyArray<Message>, probes: boolean): boolean =>
  batch.some(({ _tag }) => _tag === "RateLimit") || (probes && isLetThrough(batch))

/** The API answers, or says that it would. */
const isLetThrough = (batch: ReadonlyArray<Message>): boolean =>
  batch.some((message) => message._tag === "RateLimit" && letsThrough(message)) ||
  commits(batch.filter(({ _tag }) => spoken.has(_tag)))

/** Words of the API, and of the CLI in its place. */
const spoken: ReadonlySet<Message["_tag"]> = new Set(["Text", "Thinking", "ToolUse", "Assistant", "Error"])

const refusal = ({ limit, resetsAt }: UsageWindow): UsageLimitError => {
  const until = dateText(resetsAt ?? undefined)
  const long = until === undefined ? "" : ` until ${until}`
  return new UsageLimitError({
    limit,
    resetsAt,
    detail: `the ${limit === "" ? "usage" : limit} limit is used up${long}, so nothing was asked`,
    facts: { exitCode: null, signal: null, argv: [], stderrTail: "", sessionId: "", frames: 0 },
    hint: "Wait until the window resets, have calls wait for it with a longer maxWait, or use another account."
  })
}
