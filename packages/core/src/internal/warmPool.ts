import * as Effect from "effect/Effect"
import { sequential } from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { QueryOptions } from "../AgentOptions.js"
import { InvalidOptionsError } from "../ClaudeError.js"
import { type Claim, CurrentClaim } from "../Concurrency.js"
import * as ControlProtocol from "../ControlProtocol.js"
import { type Adopted, type Connect, planOf, sessionPlan } from "./connection.js"
import { isRecord } from "./guard.js"
import { contextOf, type Host, none } from "./host.js"
import { patiently } from "./waiting.js"

/** Processes that wait for their first prompt. Each is given away once. */
export interface WarmPool {
  /** For a query: one that waits, or a new one. */
  readonly connect: Connect
  /** For a session: one that waits. */
  readonly adopt: (options: QueryOptions, host: Host) => Effect.Effect<Adopted | undefined, never, Scope.Scope>
}

export const make = (
  size: number,
  defaults: QueryOptions,
  connect: Connect
): Effect.Effect<WarmPool, InvalidOptionsError, Scope.Scope> =>
  Effect.gen(function*() {
    if (!Number.isInteger(size) || size < 0) {
      return yield* new InvalidOptionsError({
        field: "warm",
        detail: "it must be a whole number, 0 or above",
        hint: "Each costs the memory of a CLI: a few are enough."
      })
    }
    if (size === 0) return { connect, adopt: () => Effect.succeed(undefined) }
    const work = yield* Effect.scope
    const ready: Array<Adopted> = []
    const host = { ...none, context: yield* contextOf(defaults.context) }
    const key = keyOf(defaults, host)
    let starting = 0

    const start = Effect.gen(function*() {
      const scope = yield* Scope.fork(work, sequential)
      const sessionId = crypto.randomUUID()
      const close = Effect.uninterruptible(Scope.close(scope, Exit.void))
      const connection = yield* Effect.onError(
        Scope.extend(warmUp(connect(sessionPlan({ ...defaults, sessionId }, host), patiently)), scope),
        () => close
      )
      const waiting: Adopted = { ...connection, sessionId, close }
      ready.push(waiting)
      yield* waiting.permit.idle(Effect.flatMap(drop(waiting), Fiber.await))
      // One that dies while it waits is not given away.
      yield* Effect.forkIn(Effect.zipRight(waiting.cli.exit, drop(waiting)), scope)
    })

    const drop = (waiting: Adopted): Effect.Effect<Fiber.Fiber<void>> =>
      Effect.suspend(() => {
        const at = ready.indexOf(waiting)
        if (at < 0) return Effect.succeed(Fiber.void)
        ready.splice(at, 1)
        return Effect.forkIn(waiting.close, work)
      })

    /** What cannot be started is told to whoever needs it: here it is only not there. */
    const refill: Effect.Effect<void> = Effect.suspend(() => {
      if (ready.length + starting >= size) return Effect.void
      starting++
      return Effect.zipRight(
        Effect.forkIn(
          Effect.ensuring(
            // Whoever took the last one may not be interrupted meanwhile.
            Effect.ignore(Effect.interruptible(Effect.provideService(start, CurrentClaim, spare))),
            Effect.sync(() => {
              starting--
            })
          ),
          work
        ),
        Effect.suspend(() => refill)
      )
    })

    const take = (wanted: string): Effect.Effect<Adopted | undefined, never, Scope.Scope> =>
      wanted !== key ? Effect.succeed(undefined) : Effect.uninterruptible(Effect.gen(function*() {
        const waiting = ready.shift()
        if (waiting !== undefined) {
          yield* waiting.permit.busy
          yield* Effect.addFinalizer(() => waiting.close)
        }
        yield* refill
        return waiting
      }))

    yield* refill
    return {
      connect: (plan, wait) =>
        Effect.flatMap(
          take(JSON.stringify(plan)),
          (waiting) => waiting === undefined ? connect(plan, wait) : Effect.succeed(waiting)
        ),
      adopt: (options, host) => take(keyOf(options, host))
    }
  })

// ---------------------------------------------------------------------------

/** Nobody waits for a process that only waits itself. */
const spare: Claim = { caller: "", priority: 0, spare: true }

const keyOf = (options: QueryOptions, host: Host): string => JSON.stringify(planOf(options, host))

/** Started and asked what it is, which is answered when it has started. */
const warmUp = (started: ReturnType<Connect>) =>
  Effect.gen(function*() {
    const connection = yield* started
    const { cli, parser, plan } = connection
    const control = yield* ControlProtocol.make(cli)
    const reading = yield* Effect.fork(Effect.gen(function*() {
      for (;;) {
        const chunks = yield* cli.stdout
        if (chunks.length === 0) return yield* control.close
        parser.push(chunks)
        for (const frame of parser.takeControl()) yield* control.accept(frame)
      }
    }))
    const reply = yield* control.request({ subtype: "initialize", ...plan.initialize }, "1 minute")
    // The next reader goes on where this one stops.
    yield* Fiber.interrupt(reading)
    return { ...connection, initialized: isRecord(reply) ? reply : {} }
  })
