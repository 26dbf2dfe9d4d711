import * as Effect from "effect/Effect"
import type { Target } from "../Policy.js"
import type { ParkedCalls } from "../UsageLimit.js"
import { concerns, keyOf, type Known, type UsageWindows } from "./usageWindows.js"

/** A call, from its start to its end, however often it is made. */
export class Ticket {
  /** When it stops waiting, from the first time on that it has to. UTC epoch milliseconds. */
  deadline: number | undefined
  /** It may begin, and has not yet. */
  admitted = false
  askedAt = 0
  /** The line whose first it is, gone ahead to find out for the others. */
  probing: Line | undefined
  line: Line | undefined
  place = 0
  /** Open while there is something that it has not looked at. */
  readonly news = Effect.unsafeMakeLatch()
  readonly target: Target
  readonly callId: string

  constructor(target: Target, callId: string) {
    this.target = target
    this.callId = callId
  }

  /** Begins, if it may. */
  take(): boolean {
    const { admitted } = this
    this.admitted = false
    return admitted
  }
}

/** Calls that wait for one window, in the order in which they came. */
export interface Line {
  known: Known
  /** Nobody begins before this. */
  opensAt: number
  tickets: Array<Ticket>
  probe: Ticket | undefined
  /** The first was let through: the others follow, one after the other. */
  open: boolean
}

/** What a call does next: begins, is refused, looks again at a time, or when it is woken. */
export type Step = "go" | { readonly refusedBy: Known } | { readonly until: number }

/**
 * Who waits, and who may begin. When a window opens, the first of its line goes ahead; the others follow when it is let
 * through, or else the next finds out.
 */
export class UsageLines {
  private readonly lines = new Map<string, Line>()
  private places = 0
  private readonly windows: UsageWindows

  constructor(windows: UsageWindows) {
    this.windows = windows
  }

  get empty(): boolean {
    return this.lines.size === 0
  }

  step(ticket: Ticket, maxWait: number, gap: number, now: number): Step {
    ticket.news.unsafeClose()
    const { target } = ticket
    const closing = this.windows.closing(target, now)
    if (closing !== undefined) {
      if (closing.closedUntil > (ticket.deadline ??= now + maxWait)) {
        this.leave(ticket)
        return { refusedBy: closing }
      }
      const line = this.lineOf(closing)
      this.enter(line, ticket)
      return { until: line.tickets[0] === ticket ? line.opensAt : Infinity }
    }
    const line = ticket.line ?? (maxWait > 0 ? this.opening(target) : undefined)
    if (line === undefined) return this.go(ticket, now)
    this.enter(line, ticket)
    if (line.tickets[0] !== ticket || line.probe !== undefined) return { until: Infinity }
    if (line.opensAt > now) return { until: line.opensAt }
    if (line.open) line.opensAt = now + gap
    else {
      line.probe = ticket
      ticket.probing = line
    }
    return this.go(ticket, now)
  }

  /** Waits no more. */
  leave(ticket: Ticket): void {
    const { line } = ticket
    if (line === undefined) return
    ticket.line = undefined
    line.tickets = line.tickets.filter((other) => other !== ticket)
    this.next(line)
  }

  /** The one that went ahead was let through, or has ended without a word. */
  probed(ticket: Ticket, letThrough: boolean): void {
    const line = ticket.probing
    if (line === undefined) return
    ticket.probing = undefined
    if (line.probe === ticket) line.probe = undefined
    line.open = letThrough
    this.next(line)
  }

  /** A window was closed, until another time than before, or opened. */
  changed(known: Known): void {
    const line = this.lines.get(keyOf(known.window))
    if (line === undefined) return
    follow(line, known, known.closedUntil === 0)
    this.wake(line)
  }

  /** What they wait for may have changed: each looks for itself. */
  reconsider(): void {
    for (const line of this.lines.values()) {
      line.opensAt = 0
      line.open = false
      this.wake(line)
    }
  }

  get parked(): ReadonlyArray<ParkedCalls> {
    return [...this.lines.values()].flatMap(({ known: { closedUntil, window }, tickets }) =>
      tickets.length === 0
        ? []
        : [{ account: window.account, limit: window.limit, until: closedUntil, calls: tickets.length }]
    )
  }

  private go(ticket: Ticket, now: number): "go" {
    this.leave(ticket)
    ticket.admitted = true
    ticket.askedAt = now
    return "go"
  }

  private lineOf(known: Known): Line {
    const key = keyOf(known.window)
    const found = this.lines.get(key)
    if (found !== undefined) {
      if (found.known !== known) follow(found, known, false)
      return found
    }
    const line = { known, opensAt: known.opensAt, tickets: [], probe: undefined, open: false }
    this.lines.set(key, line)
    return line
  }

  /** A line that has not ended, of a window that is open again: who comes now comes after those in it. */
  private opening(target: Target): Line | undefined {
    for (const line of this.lines.values()) if (concerns(line.known, target)) return line
    return undefined
  }

  private enter(line: Line, ticket: Ticket): void {
    if (ticket.line === line) return
    if (ticket.place === 0) ticket.place = ++this.places
    this.leave(ticket)
    ticket.line = line
    const at = line.tickets.findIndex((other) => other.place > ticket.place)
    if (at < 0) line.tickets.push(ticket)
    else line.tickets.splice(at, 0, ticket)
  }

  private next(line: Line): void {
    const [first] = line.tickets
    if (first !== undefined) first.news.unsafeOpen()
    else if (line.probe === undefined) this.lines.delete(keyOf(line.known.window))
  }

  private wake(line: Line): void {
    for (const ticket of line.tickets) ticket.news.unsafeOpen()
  }
}

// ---------------------------------------------------------------------------

const follow = (line: Line, known: Known, open: boolean): void => {
  line.known = known
  line.opensAt = known.opensAt
  line.open = open
}
