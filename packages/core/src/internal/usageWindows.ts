import * as Predicate from "effect/Predicate"
import type { UsageLimitError } from "../ClaudeError.js"
import type { RateLimit } from "../Message.js"
import type { Target } from "../Policy.js"
import type { UsageWindow } from "../UsageLimit.js"

/** A window, and whom it stops. */
export interface Known {
  readonly window: UsageWindow
  /** UTC epoch milliseconds; 0 where it stops nobody. */
  readonly closedUntil: number
  /** A little later, and not the same for all programs. */
  readonly opensAt: number
  /** Models whose calls it has rejected, as they were asked for. */
  readonly models: ReadonlySet<string>
}

/** What was learned of a window, and what was known of it before. */
export interface News {
  readonly known: Known
  readonly before: Known | undefined
}

/**
 * All that is known of the windows. Nothing in it runs by itself: what has passed is forgotten when it is looked at.
 */
export class UsageWindows {
  private readonly known = new Map<string, Known>()

  get all(): ReadonlyArray<Known> {
    return [...this.known.values()]
  }

  /** What the CLI said, if it is news. `askedAt` is when the one began who was told. */
  learn(window: UsageWindow, askedAt: number, jitter: number): News | undefined {
    const before = this.known.get(keyOf(window))
    const closed = before !== undefined && before.closedUntil > window.seenAt
    if (window.status === "rejected" && window.resetsAt === null) {
      if (closed) return undefined
      // Nobody could say when to forget it.
      this.known.delete(keyOf(window))
      return { known: { window, closedUntil: 0, opensAt: 0, models: new Set() }, before }
    }
    // An answer that was begun before the window closed tells of that time, however late it ends.
    const stale = closed && window.status !== "rejected" && !window.overage && askedAt <= before.window.seenAt
    return stale ? undefined : this.put(window, jitter, before?.models)
  }

  /** A call was rejected, whatever was said before. */
  reject(target: Target, { limit, resetsAt }: UsageLimitError, now: number, jitter: number): News | undefined {
    // What is paid for beside the windows is used up as well, but it is they that open again.
    if (limit === overage && this.closing(target, now) !== undefined) return undefined
    const key = keyOf({ account: target.account, limit })
    const before = this.known.get(key)
    const window: UsageWindow = {
      account: target.account,
      limit,
      status: "rejected",
      resetsAt: resetsAt ?? before?.window.resetsAt ?? null,
      utilization: before?.window.utilization ?? null,
      overage: false,
      seenAt: now
    }
    // A message has named what the error names.
    if (window.resetsAt === null) return limit === "" ? this.learn(window, now, jitter) : undefined
    return this.put(window, jitter, new Set([...before?.models ?? [], target.model]))
  }

  /** The last to open of those that stop this call. */
  closing(target: Target, now: number): Known | undefined {
    return this.all.filter((known) => known.closedUntil > now && concerns(known, target))
      .sort((one, other) => other.closedUntil - one.closedUntil)[0]
  }

  /** Forgets what has been reset. Gives what had been more than allowed. */
  sweep(now: number): ReadonlyArray<UsageWindow> {
    const over: Array<UsageWindow> = []
    for (const [key, known] of this.known) {
      const { window } = known
      if (overAt(known) > now) continue
      this.known.delete(key)
      if (window.status !== "allowed") over.push({ ...window, status: "reset", utilization: null, overage: false })
    }
    return over
  }

  /** When the first of them is to be forgotten. */
  get nextReset(): number {
    return Math.min(...this.all.map(overAt))
  }

  clear(): void {
    this.known.clear()
  }

  private put(window: UsageWindow, jitter: number, models: ReadonlySet<string> = new Set()): News {
    const key = keyOf(window)
    const before = this.known.get(key)
    const until = closedUntil(window)
    const known = {
      window,
      closedUntil: until,
      opensAt: until === before?.closedUntil ? before.opensAt : until + jitter,
      models
    }
    this.known.set(key, known)
    return { known, before }
  }
}

export const keyOf = ({ account, limit }: Pick<UsageWindow, "account" | "limit">): string => `${account}\n${limit}`

/** What a message says of windows. A newer CLI tells each; an older one the one that decides. */
export const windowsOf = (message: RateLimit, account: string, now: number): ReadonlyArray<UsageWindow> => {
  const overage = paysOver(message)
  const windows = new Map<string, UsageWindow>()
  const each = Predicate.hasProperty(message.raw, "unifiedWindows") ? message.raw.unifiedWindows : undefined
  for (const [limit, one] of Predicate.isRecord(each) ? Object.entries(each) : []) {
    if (!Predicate.isRecord(one) || typeof one["status"] !== "string") continue
    windows.set(limit, {
      account,
      limit,
      status: one["status"],
      resetsAt: finite(one["resetsAt"], 1000),
      utilization: finite(one["utilization"], 1),
      // Who is let through is not stopped by a window that stops everybody.
      overage: one["status"] === "rejected" && (overage || (message.status !== "rejected" && isGeneral(limit))),
      seenAt: now
    })
  }
  const own = windows.get(message.limit)
  // The CLI reports any refusal as a rejection, also one at a busy time: only what it names is a window.
  if (message.limit === "" && (message.status !== "rejected" || message.resetsAt === undefined)) {
    return [...windows.values()]
  }
  const rejected = message.status === "rejected" || own?.status === "rejected"
  windows.set(message.limit, {
    account,
    limit: message.limit,
    status: weight(own?.status) > weight(message.status) ? own?.status ?? "" : message.status,
    resetsAt: finite(message.resetsAt, 1) ?? own?.resetsAt ?? null,
    utilization: finite(message.utilization, 1) ?? own?.utilization ?? null,
    overage: rejected && (overage || own?.overage === true),
    seenAt: now
  })
  return [...windows.values()]
}

/** Whether a message says that calls go on. */
export const letsThrough = (message: RateLimit): boolean => message.status !== "rejected" || paysOver(message)

/** Whether a window is in the way of a call: by its name, as `UsageLimit` explains it, or by what it has rejected. */
export const concerns = ({ models, window }: Known, { account, model }: Target): boolean => {
  if (window.account !== account) return false
  if (isGeneral(window.limit) || models.has(model)) return true
  const named = /^[a-z]+_(?:hour|day|week|month)s?_(.+)$/.exec(window.limit)?.[1]
  return named !== undefined && model.toLowerCase().includes(named)
}

// ---------------------------------------------------------------------------

const overage = "overage"

/** A reset that has passed here, but not where it is decided: then it is asked again after so long. */
const pause = 10_000

const closedUntil = ({ overage, resetsAt, seenAt, status }: UsageWindow): number => {
  if (status !== "rejected" || overage || resetsAt === null) return 0
  return resetsAt > seenAt ? resetsAt : seenAt + pause
}

/** When it is to be forgotten. */
const overAt = ({ closedUntil, window }: Known): number =>
  window.resetsAt === null ? Infinity : Math.max(window.resetsAt, closedUntil)

const isGeneral = (limit: string): boolean => limit === "" || /^[a-z]+_(hour|day|week|month)s?$/.test(limit)

const weight = (status: string | undefined): number =>
  status === undefined ? -1 : status === "rejected" ? 2 : status === "allowed_warning" ? 1 : 0

const paysOver = ({ overageStatus, usingOverage }: RateLimit): boolean =>
  usingOverage === true || overageStatus?.startsWith("allowed") === true

const finite = (value: unknown, unit: number): number | null =>
  typeof value === "number" && Number.isFinite(value) ? value * unit : null
