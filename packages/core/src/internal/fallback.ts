import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Metric from "effect/Metric"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { ClaudeError } from "../ClaudeError.js"
import * as Events from "../Events.js"
import type { Status } from "../Message.js"
import { fallbacks } from "../Metrics.js"
import type { Target } from "../Policy.js"
import { reopening } from "./reopening.js"
import * as Spans from "./spans.js"
import type { Open, Pull } from "./streamed.js"

/**
 * Why a CLI does not answer: there is none that can be started, its breaker is open, or a window of the subscription is
 * used up.
 */
export type FallbackCause = "cliMissing" | "breakerOpen" | "usageLimit"

/** A call goes to the fallback. */
export interface Fallback {
  /** `other` for an error that only a predicate of the caller's has named. */
  readonly cause: FallbackCause | "other"
  /** Who does not answer, as far as the call itself says. */
  readonly target: Target
  readonly error: ClaudeError
}

/** For which failures: the causes, or a test of the error. */
export type FallbackWhen = ReadonlyArray<FallbackCause> | ((error: ClaudeError) => boolean)

export interface FallbackOptions {
  /** Told each time, before the fallback has done anything that costs. It is waited for. */
  readonly onFallback?: ((fallback: Fallback) => Effect.Effect<void>) | undefined
}

/** A call that is told of already, which the query of a fallback goes on with. */
interface JoinedCall {
  readonly id: string
  /** It is under a budget, which what goes on with it spends as well. */
  readonly budgeted: boolean
}

/** What takes over where a query cannot answer. */
interface Standby {
  readonly around: (call: JoinedCall) => (open: Open) => Open
  /** What takes over where that cannot either. */
  readonly outer: Standby | undefined
  /** The query does it by itself, once. */
  taken: boolean
}

/**
 * What a query is a part of, where it does not stand alone: so that whoever asks two, one after the other, is seen to
 * have made one call. It is there for the query itself, and for nothing that is done within its run.
 */
export class CurrentPart extends Context.Reference<CurrentPart>()("@ccflow/core/internal/CurrentPart", {
  defaultValue: (): Part => alone
}) {}

interface Part {
  readonly joined: JoinedCall | undefined
  readonly standby: Standby | undefined
}

export const alone: Part = { joined: undefined, standby: undefined }

/** The run, with those around it who take over. */
export const standingBy = (standby: Standby | undefined, call: JoinedCall) => (open: Open): Open => {
  if (standby === undefined || standby.taken) return open
  standby.taken = true
  return standingBy(standby.outer, call)(standby.around(call)(open))
}

/** What a run falls back to, and when. */
export interface Plan extends FallbackOptions {
  readonly fallback: Open
  readonly target: Target
  readonly when: FallbackWhen
}

/**
 * One run, and another in its place where it fails for a reason that is named and before it was committed. The first one
 * is closed by then. Where the second one refuses to take over, the failure is that of the first.
 *
 * A query that is told of falls back by itself, in the midst of what is told (`standingBy`). One that is not, such as the
 * caller's own, or that fails before it is told of, falls back here.
 */
export const withFallback = (primary: Open, plan: Plan): Open =>
  Effect.flatMap(CurrentPart, ({ joined, standby: outer }) => {
    const standby: Standby = { around: (call) => falling(plan, call, () => false), outer, taken: false }
    return falling(plan, undefined, () => standby.taken)(
      Effect.provideService(primary, CurrentPart, { joined, standby })
    )
  })

// ---------------------------------------------------------------------------

const falling = (plan: Plan, call: JoinedCall | undefined, done: () => boolean) => (primary: Open): Open =>
  Effect.flatMap(Effect.scope, (scope) =>
    Effect.suspend(() => {
      const { fallback, onFallback, target, when } = plan
      const second = call === undefined
        ? fallback
        : Effect.provideService(fallback, CurrentPart, { joined: call, standby: undefined })
      let open = primary
      let fallen = false

      const fall = (error: ClaudeError): Effect.Effect<void, ClaudeError> =>
        Effect.gen(function*() {
          fallen = true
          const opened = yield* Effect.either(Scope.extend(second, scope))
          const refusal = Either.isLeft(opened) ? refusalOf(opened.left) : undefined
          if (refusal !== undefined) return yield* withHint(error, refusal)
          const cause = causeOf(error) ?? "other"
          yield* Metric.update(Metric.tagged(fallbacks, "cause", cause), 1)
          const events = yield* Events.current
          events.tell({ _tag: "FellBack", ...(call === undefined ? {} : { callId: call.id }), cause, error })
          if (call !== undefined) yield* Spans.fellBack(call.id, cause, error)
          if (onFallback !== undefined) yield* onFallback({ cause, target, error })
          open = Effect.map(opened, (pull) => announced(cause, error, pull))
        })

      return reopening(
        Effect.suspend(() => open),
        (error) => Effect.succeed(fallen || done() || !isNamed(when, error) ? undefined : fall(error))
      )
    }))

const causeOf = (error: ClaudeError): FallbackCause | undefined => {
  switch (error._tag) {
    case "CliNotFoundError":
      return "cliMissing"
    case "CliSpawnError":
      return error.reason === "NotExecutable" || error.reason === "IsDirectory" || error.reason === "BadFormat"
        ? "cliMissing"
        : undefined
    case "CircuitBreakerError":
      return "breakerOpen"
    case "UsageLimitError":
      return "usageLimit"
    default:
      return undefined
  }
}

const isNamed = (when: FallbackWhen, error: ClaudeError): boolean => {
  if (typeof when === "function") return when(error)
  const cause = causeOf(error)
  return cause !== undefined && when.includes(cause)
}

/** What it says where it refuses before anything was asked. */
const refusalOf = (error: ClaudeError): string | undefined => {
  if (error._tag === "InvalidOptionsError") return error.detail
  if (error._tag === "BillingMismatchError") return error.message
  return error._tag === "ApiClientError" && error.type === "unsupported_option" ? error.detail : undefined
}

/** The same error, which also says why nobody took over. */
const withHint = (error: ClaudeError, refusal: string): ClaudeError =>
  Either.getOrElse(
    Either.flatMap(
      Schema.encodeEither(ClaudeError)(error),
      (encoded) => Schema.decodeEither(ClaudeError)({ ...encoded, hint: `${error.hint} No fallback: ${refusal}` })
    ),
    () => error
  )

/** Who reads along learns that it is not the CLI that answers from here on. */
const announced = (cause: string, error: ClaudeError, pull: Pull): Pull => {
  let told = false
  const status: Status = {
    _tag: "Status",
    sessionId: "",
    kind: "fallback",
    content: cause,
    raw: { type: "fallback", cause, error: error._tag }
  }
  return Effect.suspend(() => {
    if (told) return pull
    told = true
    return Effect.succeed([status])
  })
}
