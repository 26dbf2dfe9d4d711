import * as Predicate from "effect/Predicate"
import * as Struct from "effect/Struct"
import type { LoggedEvent, LoggedFacts, LoggedType } from "../EventLog.js"
import type { Event } from "../Events.js"

/** What of an event may be kept: none of its content. Undefined where nothing of it is. */
export const keptOf = (event: Event): LoggedEvent | undefined => {
  if (!isKept(event._tag)) return undefined
  const told: Readonly<Record<string, unknown>> = { ...event }
  const names: ReadonlyArray<string> = kept[event._tag]
  const facts: Record<string, unknown> = {}
  for (const name of ["callId", "sessionId", "traceId", ...names]) {
    const value = told[name]
    if (value === undefined || (name === "sessionId" && value === "")) continue
    facts[name] = name === "error" && Predicate.hasProperty(value, "_tag") ? value._tag : short(value)
  }
  // The compiler does not see that an event and what is kept of it go by the same names.
  return { _tag: event._tag, at: event.at, ...facts } as LoggedEvent
}

// ---------------------------------------------------------------------------

/** Names come from models and servers: they can be of any length. */
const short = (value: unknown): unknown => typeof value === "string" ? value.slice(0, 200) : value

const ended = ["outcome", "model", "durationMs", "firstMessageMs", "error"] as const

const tool = ["tool", "toolUseId"] as const

const kept: { readonly [Type in LoggedType]: ReadonlyArray<keyof LoggedFacts[Type]> } = {
  QueryStarted: ["model"],
  QueryEnded: ended,
  TurnStarted: ["model", "turnNumber"],
  TurnCompleted: [...ended, "turnNumber"],
  ToolCalled: tool,
  ToolFinished: [...tool, "isError", "durationMs"],
  Retrying: ["attempt", "delayMs", "error"],
  BreakerChanged: ["key", "state", "until"],
  RateLimited: ["waitedMs"],
  Queued: ["waitedMs"],
  Parked: ["limit", "until"],
  Unparked: ["limit", "waitedMs"],
  FellBack: ["cause", "error"],
  TimedOut: ["phase", "timeoutMs"],
  PermissionAsked: tool,
  PermissionDecided: [...tool, "decision", "waitedMs"]
}

/** What has anything that may be kept. */
export const keptTypes: ReadonlyArray<LoggedType> = Struct.keys(kept)

const isKept = (type: string): type is LoggedType => Object.hasOwn(kept, type)
