import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type ClaudeError, CliTimeoutError } from "../ClaudeError.js"
import type { Turn } from "./turn.js"

/** @internal */
export type Phase = "stall" | "total"

/** Makes the error of a turn whose time is up. @internal */
export type Late = (phase: Phase, timeoutMs: number) => CliTimeoutError

/** Comes back when the turn's time is up, and it has been dealt with. While we are asked nothing stalls. @internal */
export const watch = (
  turn: Turn,
  now: () => number,
  asked: () => boolean,
  expire: (phase: Phase, timeoutMs: number) => Effect.Effect<void>
): Effect.Effect<void> => {
  const stall = millis(turn.options.stallTimeout, 6 * 60_000)
  const total = totalOf(turn)
  return Effect.gen(function*() {
    for (;;) {
      const stalls = turn.seen.toolRuns || asked() ? Infinity : turn.lastFrameAt + stall
      const at = Math.min(stalls, turn.startedAt + total)
      const from = now()
      if (at <= from) return yield* at === stalls ? expire("stall", stall) : expire("total", total)
      yield* Effect.sleep(Duration.millis(Math.max(1, Math.min(at - from, stall))))
    }
  })
}

/** The start of a process counts for the turn that it is started for. @internal */
export const within = <A>(
  turn: Turn,
  now: () => number,
  effect: Effect.Effect<A, ClaudeError>,
  late: Late
): Effect.Effect<A, ClaudeError> => {
  const total = totalOf(turn)
  return total === Infinity ? effect : Effect.timeoutFail(effect, {
    duration: Math.max(0, turn.startedAt + total - now()),
    onTimeout: () => late("total", total)
  })
}

/** @internal */
export const late = (phase: Phase, timeoutMs: number, sessionId: string, frames: number): CliTimeoutError =>
  new CliTimeoutError({
    phase,
    timeoutMs,
    sessionId,
    frames,
    hint: phase === "stall" ? "Raise stallTimeout if long silences are expected." : "Raise timeout, or ask again."
  })

// ---------------------------------------------------------------------------

const millis = (input: Duration.DurationInput | undefined, fallback: number): number =>
  input === undefined ? fallback : Duration.toMillis(input)

const totalOf = (turn: Turn): number => millis(turn.options.timeout, Infinity)
