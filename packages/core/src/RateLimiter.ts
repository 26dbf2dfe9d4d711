/** Limits how many calls begin in a time, how many tokens they may take, and how many are under way at once. */
import { RateLimiterStore } from "@effect/experimental/RateLimiter"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Num from "effect/Number"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Prompt } from "./Claude.js"
import { type ClaudeError, InvalidOptionsError } from "./ClaudeError.js"
import * as Events from "./Events.js"
import { saying } from "./internal/currentCall.js"
import { Gate } from "./internal/gate.js"
import { type Asking, evenly, inWindow, type Meter } from "./internal/meter.js"
import { Observed } from "./internal/observed.js"
import { inTime } from "./internal/patience.js"
import { Amount, Callback, checked, configured, Count, Time, TimeAboveZero } from "./internal/policyOptions.js"
import { around } from "./internal/streamed.js"
import { patiently } from "./internal/waiting.js"
import type { Message } from "./Message.js"
import * as Policy from "./Policy.js"

export interface RateLimiterOptions {
  /** Calls that may begin in a minute. Default: no limit. */
  readonly requestsPerMinute?: number | undefined
  /** Calls that may begin at once after a rest. Default: a tenth of `requestsPerMinute`, and at least 1. */
  readonly burst?: number | undefined
  /**
   * `token-bucket` lets calls begin evenly, after the burst; `sliding-window` as soon as fewer than `requestsPerMinute`
   * have begun in the last minute. Default: `token-bucket`.
   */
  readonly algorithm?: "token-bucket" | "sliding-window" | undefined
  /** Never more than so many calls begin in any window of this length. Default: no such limit. */
  readonly requestsPerWindow?: { readonly requests: number; readonly window: Duration.DurationInput } | undefined
  /**
   * Tokens that calls may take in a minute, a minute's worth of them at once: a quarter of the prompt's characters before,
   * settled with what the result says, without what is read from the cache. Default: no limit.
   */
  readonly tokensPerMinute?: number | undefined
  /** Calls under way at once, until their streams have ended. Default: no limit. */
  readonly maxConcurrent?: number | undefined
  /** The longest that a call waits; 0 fails at once. Default: as long as it takes. */
  readonly maxWait?: Duration.DurationInput | undefined
  /** What is counted together. Default: the account. */
  readonly key?: ((target: Policy.Target) => string) | undefined
}

/** A call that is not a query. */
export interface Acquiring {
  /** Default: "". */
  readonly key?: string | undefined
  /** How many calls it is. Default: 1. */
  readonly requests?: number | undefined
  /** Default: 0. */
  readonly tokens?: number | undefined
  /** Default: that of the options. */
  readonly maxWait?: Duration.DurationInput | undefined
  readonly wait?: Policy.Wait | undefined
}

export interface State {
  /** Calls that the limits hold up. */
  readonly waiting: number
  /** Calls that were let through, and have not ended. */
  readonly active: number
}

export class RateLimiter extends Context.Tag("@ccflow/core/RateLimiter")<
  RateLimiter,
  Policy.Policy & {
    /** For what else is to be limited with the calls: it has ended when the scope closes. Gives the milliseconds waited. */
    readonly acquire: (options?: Acquiring) => Effect.Effect<number, ClaudeError, Scope.Scope>
    readonly state: Effect.Effect<State>
    /** How it is now, and then each change. */
    readonly changes: Stream.Stream<State>
  }
>() {}

/**
 * First come, first served. What a call takes it takes of all limits at once, when it goes: one that gives up before has
 * taken nothing, and those behind it move up.
 *
 * Hosts that share a store keep the rates together, each with its own order and its own `maxConcurrent`. A call that is
 * cancelled in the moment in which another host was first loses its share. A store that fails, or does not answer within
 * 2 seconds, stops nobody: each host then keeps the limits by itself.
 */
export const make = (
  options: RateLimiterOptions = {}
): Effect.Effect<RateLimiter["Type"], InvalidOptionsError, RateLimiterStore | Scope.Scope> =>
  Effect.flatMap(RateLimiterStore, (store) => over((count) => remotely(store.fixedWindow(count)), options))

const over = (
  ask: Asking["ask"],
  options: RateLimiterOptions
): Effect.Effect<RateLimiter["Type"], InvalidOptionsError, Scope.Scope> =>
  Effect.gen(function*() {
    const { key: keyOf = accountOf, maxConcurrent = Infinity, maxWait = Duration.infinity } = yield* check(options)
    const clock = yield* Effect.clock
    const now = () => clock.unsafeCurrentTimeMillis()
    const gates = new Map<string, Gate>()
    const events = yield* Events.current
    let sweepAt = 64

    const sumOf = (what: keyof State) => Num.sumAll(Array.from(gates.values(), (gate) => gate[what]))
    const state = (): State => ({ waiting: sumOf("waiting"), active: sumOf("active") })
    const observed = new Observed(state)
    yield* Effect.addFinalizer(() => Effect.sync(() => observed.end()))

    const gateOf = (key: string): Gate => {
      const known = gates.get(key)
      if (known !== undefined) return known
      if (gates.size >= sweepAt) {
        for (const [other, gate] of gates) if (gate.atRest) gates.delete(other)
        sweepAt = Math.max(64, 2 * gates.size)
      }
      const asking = (kind: string): Asking => ({ ask, now, key: `ccflow:${kind}:${key}` })
      const gate = new Gate(metersOf(options, asking), maxConcurrent, clock, () => observed.tell())
      gates.set(key, gate)
      return gate
    }

    /** Through the gate; the scope's end is the call's. */
    const enter = (
      { key = "", maxWait: most = maxWait, requests = 1, tokens = 0, wait = patiently }: Acquiring,
      callId?: string
    ) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function*() {
          const gate = gateOf(key)
          const cost = { requests, tokens }
          const waitedMs = yield* gate.enter({
            cost,
            maxWaitMs: Duration.toMillis(most),
            wait: (effect) => restore(wait(effect))
          })
          observed.tell()
          if (waitedMs > 0) events.tell({ _tag: "RateLimited", ...saying(callId), waitedMs })
          const leave = yield* Effect.once(Effect.sync(() => gate.leave()))
          yield* Effect.addFinalizer(() => leave)
          return { gate, leave, waitedMs }
        })
      )

    const limits = options.tokensPerMinute !== undefined || options.requestsPerMinute !== undefined ||
      options.requestsPerWindow !== undefined || options.maxConcurrent !== undefined

    return {
      around: (call) =>
        !limits ? identity : around((open) =>
          Effect.gen(function*() {
            let owed = options.tokensPerMinute === undefined ? 0 : estimate(call.prompt)
            const { gate, leave } = yield* enter({ key: keyOf(call.target), tokens: owed, wait: call.wait }, call.id)
            const settle = (tokens: number) => {
              const difference = tokens - owed
              owed = 0
              return difference === 0
                ? Effect.void
                : Effect.uninterruptible(gate.settle({ requests: 0, tokens: difference }))
            }
            // What could not begin has taken no tokens.
            const pull = yield* Effect.onError(open, () => settle(0))
            const whole = Effect.tapError(pull, () => leave)
            return options.tokensPerMinute === undefined ? whole : Effect.tap(whole, (batch) => {
              const used = usedBy(batch)
              return used === undefined ? Effect.void : settle(used)
            })
          })
        ),
      acquire: (acquiring = {}) =>
        Effect.gen(function*() {
          const { key = "", requests = 1 } = yield* checkAcquiring(acquiring)
          const { most } = gateOf(key)
          if (requests > most) {
            return yield* new InvalidOptionsError({
              field: "acquire.requests",
              detail: `no more than ${most} ever go at once`,
              hint: "Raise burst, or ask for fewer."
            })
          }
          return (yield* enter(acquiring)).waitedMs
        }),
      state: Effect.sync(state),
      changes: observed.changes
    }
  })

/** With a memory of its own. */
export const makeMemory = (
  options: RateLimiterOptions = {}
): Effect.Effect<RateLimiter["Type"], InvalidOptionsError, Scope.Scope> => over(() => Effect.succeedNone, options)

/** With a memory of its own: what is counted is what goes through this layer. */
export const layer = (options: RateLimiterOptions = {}): Layer.Layer<RateLimiter, InvalidOptionsError> =>
  Layer.scoped(RateLimiter, makeMemory(options))

/**
 * Over a store that several hosts share, such as that of `@effect/experimental/RateLimiter/Redis`. What is in it is the
 * limits' numbers, by key: no prompt, and of an account no more than a hash.
 */
export const layerWith = (
  options: RateLimiterOptions
): Layer.Layer<RateLimiter, InvalidOptionsError, RateLimiterStore> => Layer.scoped(RateLimiter, make(options))

export const layerConfig = configured((options?: Omit<RateLimiterOptions, "key">) => layer(options))

/** Limits nothing. */
export const layerNoop: Layer.Layer<RateLimiter> = Layer.succeed(RateLimiter, {
  ...Policy.noop,
  acquire: () => Effect.succeed(0),
  state: Effect.succeed({ waiting: 0, active: 0 }),
  changes: Stream.empty
})

// ---------------------------------------------------------------------------

const accountOf = ({ account }: Policy.Target): string => account

const minuteMs = 60_000

const metersOf = (
  { algorithm, burst, requestsPerMinute, requestsPerWindow, tokensPerMinute }: RateLimiterOptions,
  asking: (kind: string) => Asking
): ReadonlyArray<Meter> => {
  const meters: Array<Meter> = []
  // Those that another host can be first in come before those that take in any case.
  if (requestsPerWindow !== undefined) {
    const { requests, window } = requestsPerWindow
    const windowMs = Duration.toMillis(window)
    const limit = `${requests} requests in any ${Duration.format(window)}`
    meters.push(inWindow({ ...asking("window"), limit, requests, windowMs }))
  }
  if (requestsPerMinute !== undefined) {
    const limit = `${requestsPerMinute} requests per minute`
    const sliding = algorithm === "sliding-window"
    meters.push(
      sliding
        ? inWindow({ ...asking("minute"), limit, requests: requestsPerMinute, windowMs: minuteMs })
        : evenly({
          ...asking("requests"),
          limit,
          amount: burst ?? Math.max(1, Math.floor(requestsPerMinute / 10)),
          counts: "requests",
          // A store keeps whole milliseconds.
          msPer: Math.ceil(minuteMs / requestsPerMinute)
        })
    )
  }
  if (tokensPerMinute !== undefined) {
    meters.push(evenly({
      ...asking("tokens"),
      limit: `${tokensPerMinute} tokens per minute`,
      counts: "tokens",
      amount: tokensPerMinute,
      msPer: minuteMs / tokensPerMinute
    }))
  }
  return meters
}

/** About four characters for each token, as English text has it, and what the API says of a picture. */
const estimate = (prompt: Prompt): number =>
  Math.ceil(typeof prompt === "string" ? prompt.length / 4 : Num.sumAll(prompt.map(tokensOf)))

const tokensOf = (block: Exclude<Prompt, string>[number]): number =>
  block.type === "image" ? 1600 : (typeof block["text"] === "string" ? block["text"] : JSON.stringify(block)).length / 4

/** What the results among these say. What the API reads from its cache does not count for its limits. */
const usedBy = (batch: ReadonlyArray<Message>): number | undefined => {
  let used: number | undefined
  for (const message of batch) {
    if (message._tag !== "Result") continue
    const { cacheCreationInputTokens, inputTokens, outputTokens } = message.usage
    used = (used ?? 0) + inputTokens + outputTokens + cacheCreationInputTokens
  }
  return used
}

/** The store may be another machine. */
const remotely = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<Option.Option<A>> =>
  inTime(effect, { duration: "2 seconds", onTimeout: () => undefined }).pipe(
    Effect.tapError(() =>
      Effect.logWarning("The store of the rate limiter does not answer: this host limits by itself")
    ),
    Effect.option
  )

const checkOptions = checked(
  Schema.Struct({
    requestsPerMinute: Schema.optional(Amount),
    burst: Schema.optional(Count),
    algorithm: Schema.optional(Schema.Literal("token-bucket", "sliding-window")),
    requestsPerWindow: Schema.optional(Schema.Struct({ requests: Count, window: TimeAboveZero })),
    tokensPerMinute: Schema.optional(Amount),
    maxConcurrent: Schema.optional(Count),
    maxWait: Schema.optional(Time),
    key: Schema.optional(Callback)
  }),
  "rateLimit"
)

const check = (options: RateLimiterOptions): Effect.Effect<RateLimiterOptions, InvalidOptionsError> =>
  Effect.gen(function*() {
    const { algorithm, burst, requestsPerMinute } = yield* checkOptions(options)
    const sliding = algorithm === "sliding-window"
    if (sliding && !Number.isInteger(requestsPerMinute)) {
      const hint = "For other windows than a minute there is requestsPerWindow."
      return yield* invalid("requestsPerMinute", "a sliding window counts a whole number of them", hint)
    }
    if (sliding && burst !== undefined) {
      return yield* invalid("burst", "in a sliding window all may begin at once", "Leave it out.")
    }
    if (burst !== undefined && requestsPerMinute === undefined) {
      return yield* invalid("burst", "it says nothing without requestsPerMinute", "Say how many in a minute, too.")
    }
    return options
  })

const invalid = (field: string, detail: string, hint: string): InvalidOptionsError =>
  new InvalidOptionsError({ field: `rateLimit.${field}`, detail, hint })

const checkAcquiring = checked(
  Schema.Struct({
    key: Schema.optional(Schema.String),
    requests: Schema.optional(Count),
    tokens: Schema.optional(Schema.NonNegative),
    maxWait: Schema.optional(Time),
    wait: Schema.optional(Callback)
  }),
  "acquire"
)
