import type { LoggedEvent } from "@ccflow/core/EventLog"
import type { CallOutcome } from "@ccflow/core/Events"
import { promptText, type TurnRecord } from "@ccflow/core/SessionRecord"
import * as Arr from "effect/Array"
import type { StepCell, StepKind, TurnEnding } from "./data.js"

/** A turn of a session, or a query, with its parts. Times are UTC epoch milliseconds. */
export interface TimelineTurn {
  /** The prompt, where it is kept. */
  readonly title: string
  readonly start: number
  readonly end: number
  readonly ending: TurnEnding
  readonly error: string | undefined
  /** Where it comes from the event log: its figures are known as a call's. */
  readonly callId: string | undefined
  readonly steps: ReadonlyArray<Step>
}

export interface Step {
  readonly kind: StepKind
  readonly name: string
  readonly start: number
  readonly end: number
  readonly state: StepCell[4]
}

/**
 * The turns of one session out of what is recorded of them and what the event log has of their calls; either may know
 * of some that the other does not. `now` ends what still runs.
 */
export const timelineOf = (
  records: ReadonlyArray<TurnRecord>,
  events: ReadonlyArray<LoggedEvent>,
  now: number
): ReadonlyArray<TimelineTurn> => {
  const calls = callsOf(events, now)
  const taken = new Set<Call>()
  const turns = [...records].sort((one, other) => one.startedAt - other.startedAt).map((record): TimelineTurn => {
    const call = calls.find((call) => !taken.has(call) && isOf(record, call))
    const title = promptText(record.prompt)
    if (call !== undefined) {
      taken.add(call)
      return turnOf(call, title, record)
    }
    return {
      title,
      start: record.startedAt,
      end: record.endedAt ?? now,
      ending: endings[record.status],
      error: record.error?.tag,
      callId: undefined,
      steps: []
    }
  })
  return [...turns, ...calls.filter((call) => !taken.has(call)).map((call) => turnOf(call, ""))]
    .sort((one, other) => one.start - other.start)
}

// ---------------------------------------------------------------------------

interface Call {
  readonly id: string
  readonly start: number
  readonly end: number
  readonly outcome: CallOutcome | undefined
  readonly error: string | undefined
  readonly events: ReadonlyArray<LoggedEvent>
}

const callsOf = (events: ReadonlyArray<LoggedEvent>, now: number): ReadonlyArray<Call> => {
  const { "": homeless = [], ...byCall } = Arr.groupBy(events, ({ callId = "" }) => callId)
  return Object.entries(byCall).flatMap(([id, own]): ReadonlyArray<Call> => {
    const started = own.find(isStart)
    const ended = own.find(isEnd)
    if (started === undefined && ended === undefined) return []
    const end = ended?.at ?? now
    const start = started?.at ?? end - (ended?.durationMs ?? 0)
    const events = [...own, ...homeless.filter(({ at }) => at >= start && at <= end)]
    return [{ id, start, end, outcome: ended?.outcome, error: ended?.error, events }]
  }).sort((one, other) => one.end - other.end)
}

const isStart = (event: LoggedEvent) => event._tag === "QueryStarted" || event._tag === "TurnStarted"

const isEnd = (event: LoggedEvent) => event._tag === "QueryEnded" || event._tag === "TurnCompleted"

/** The record is written while the call runs; where turns wait for each other, the earlier call ends first. */
const isOf = ({ endedAt, startedAt }: TurnRecord, call: Call): boolean =>
  startedAt >= call.start - slackMs && startedAt < call.end + slackMs &&
  (endedAt === undefined || endedAt <= call.end + slackMs)

const slackMs = 50

const turnOf = (call: Call, title: string, record?: TurnRecord): TimelineTurn => {
  const steps = [
    ...record !== undefined && record.startedAt - call.start > slackMs
      ? [step(2, "its turn", call.start, record.startedAt)]
      : [],
    ...stepsOf(call)
  ]
  return {
    title,
    start: call.start,
    end: call.end,
    ending: call.outcome ?? (record?.status === "cut" ? "cut" : "running"),
    error: call.error ?? record?.error?.tag,
    callId: call.id,
    steps: steps.sort((one, other) => one.start - other.start)
  }
}

const endings: Readonly<Record<TurnRecord["status"], TurnEnding>> = {
  running: "running",
  completed: "success",
  failed: "failure",
  interrupted: "interrupted",
  cut: "cut"
}

const step = (kind: StepKind, name: string, start: number, end: number, state: StepCell[4] = 0): Step => ({
  kind,
  name,
  start: Math.min(start, end),
  end,
  state
})

const stepsOf = ({ end, events }: Call): ReadonlyArray<Step> => {
  const steps: Array<Step> = []
  // What has begun; what stays here was never heard of again.
  const open = new Map<string, Step>()
  const began = (id: string, kind: StepKind, name: string, at: number) =>
    void open.set(`${kind} ${id}`, step(kind, name, at, end, 2))
  const ended = (id: string, kind: StepKind, name: string, start: number, at: number, isBad = false) => {
    open.delete(`${kind} ${id}`)
    lasted(kind, name, start, at, isBad)
  }
  const lasted = (kind: StepKind, name: string, start: number, end: number, isBad = false) =>
    void steps.push(step(kind, name, start, end, isBad ? 1 : 0))
  const happened = (name: string, at: number, isBad = false) => lasted(4, name, at, at, isBad)
  const take = (event: LoggedEvent): void => {
    const { at } = event
    switch (event._tag) {
      case "ToolCalled":
        return began(event.toolUseId, 0, event.tool, at)
      case "ToolFinished": {
        const start = open.get(`0 ${event.toolUseId}`)?.start ?? at - (event.durationMs ?? 0)
        return ended(event.toolUseId, 0, event.tool, start, at, event.isError)
      }
      case "PermissionAsked":
        return began(event.toolUseId, 3, event.tool, at)
      case "PermissionDecided":
        return ended(event.toolUseId, 3, event.tool, at - event.waitedMs, at, event.decision === "deny")
      case "Retrying":
        return lasted(1, event.error, at, at + event.delayMs)
      case "RateLimited":
        return lasted(2, "the rate limit", at - event.waitedMs, at)
      case "Queued":
        return lasted(2, "a process", at - event.waitedMs, at)
      case "Parked":
        return began(event.limit, 2, `the limit ${event.limit}`, at)
      case "Unparked":
        return ended(event.limit, 2, `the limit ${event.limit}`, at - event.waitedMs, at)
      case "BreakerChanged":
        return event.state === "open" ? happened("circuit breaker opened", at, true) : undefined
      case "FellBack":
        return happened(`fell back: ${event.error}`, at)
      case "TimedOut":
        return happened(`timed out: ${event.phase}`, at, true)
    }
  }
  events.forEach(take)
  return [...steps, ...open.values()]
}
